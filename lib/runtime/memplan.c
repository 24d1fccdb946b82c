/* The memory planner: greedy by size, best fit. */
#include "runtime/memplan.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

/* Beyond this many items they are placed in order of time alone, which is linear. */
enum { ANY_ORDER_MAX = 8192 };

/* Large items get a cache line more, so that neighbours do not lie whole pages apart: what a loop reads and writes in step
 * would meet in the same sets of the cache. */
enum { LARGE = 16 << 10 };

static size_t padded_size(size_t bytes)
{
    const size_t whole = (bytes + OI_ALIGN - 1) / OI_ALIGN * OI_ALIGN;
    return whole >= LARGE ? whole + OI_ALIGN : whole;
}

typedef struct {
    oi_mem_item *item;
    size_t padded, offset;
} entry;

static int by_place(const entry *a, const entry *b)
{
    return (a->item > b->item) - (a->item < b->item);
}

static uint32_t length(const entry *e)
{
    return e->item->last - e->item->first;
}

static int by_size(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    return a->padded != b->padded ? (a->padded < b->padded ? 1 : -1) : by_place(a, b);
}

static int by_length(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    return length(a) != length(b) ? (length(a) < length(b) ? 1 : -1) : by_size(x, y);
}

/* Size times lifetime. */
static int by_area(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    double p = (double)a->padded * (length(a) + 1.0), q = (double)b->padded * (length(b) + 1.0);
    return p != q ? (p < q ? 1 : -1) : by_place(a, b);
}

static int by_time(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    return a->item->first != b->item->first ? (a->item->first < b->item->first ? -1 : 1) : by_size(x, y);
}

static int (*const orders[])(const void *, const void *) = {by_size, by_area, by_length, by_time};

static bool meet(const oi_mem_item *a, const oi_mem_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The smallest gap between the placed items (in order of offset) that live at the same time as e. */
static size_t find_gap(const entry *e, const entry *placed, size_t n)
{
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const entry *p = &placed[i];
        if (!meet(e->item, p->item))
            continue;
        if (p->offset > end && p->offset - end >= e->padded && p->offset - end < best_gap) {
            best = end;
            best_gap = p->offset - end;
        }
        if (p->offset + p->padded > end)
            end = p->offset + p->padded;
    }
    return best == SIZE_MAX ? end : best;
}

static void insert_by_offset(entry *placed, size_t n, const entry *e)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (placed[middle].offset <= e->offset)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(placed + low + 1, placed + low, (n - low) * sizeof *placed);
    placed[low] = *e;
}

static size_t forget_dead(entry *placed, size_t n, uint32_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (placed[i].item->last >= now)
            placed[kept++] = placed[i];
    }
    return kept;
}

/* The arena that the items need when placed in the order of `todo`; sets the entries' offsets. */
static size_t place_all(entry *todo, size_t n, entry *placed, bool in_time)
{
    size_t nplaced = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        if (in_time)
            nplaced = forget_dead(placed, nplaced, todo[i].item->first);
        todo[i].offset = find_gap(&todo[i], placed, nplaced);
        insert_by_offset(placed, nplaced++, &todo[i]);
        if (todo[i].offset + todo[i].padded > total)
            total = todo[i].offset + todo[i].padded;
    }
    return total;
}

static int by_end(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    return (a->item->last > b->item->last) - (a->item->last < b->item->last);
}

/* The most that is in use at one step. `start` is in order of time. */
static size_t most_alive(const entry *start, entry *end, size_t n)
{
    size_t now = 0, most = 0, ended = 0;
    memcpy(end, start, n * sizeof *end);
    qsort(end, n, sizeof *end, by_end);
    for (size_t i = 0; i < n; i++) {
        for (; end[ended].item->last < start[i].item->first; ended++)
            now -= end[ended].padded;
        now += start[i].padded;
        if (now > most)
            most = now;
    }
    return most;
}

void oi_memplan_live(const oi_mem_item *item, size_t n, uint32_t nstep, size_t *live)
{
    size_t now = 0;
    memset(live, 0, nstep * sizeof *live);
    for (size_t i = 0; i < n; i++) { /* what begins less what has ended, which wraps */
        const size_t padded = padded_size(item[i].bytes);
        if (item[i].first < nstep)
            live[item[i].first] += padded;
        if (item[i].last < nstep - 1)
            live[item[i].last + 1] -= padded;
    }
    for (uint32_t s = 0; s < nstep; s++)
        live[s] = now += live[s];
}

static oi_status describe(entry *todo, oi_mem_item *item, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        todo[i].item = &item[i];
        todo[i].padded = item[i].bytes < SIZE_MAX / 4 ? padded_size(item[i].bytes) : SIZE_MAX;
        if (todo[i].padded > SIZE_MAX / 4 / n)
            return oi_fail(ONNX_INFER_E_LIMIT, "the model needs more memory than can be addressed");
    }
    return ONNX_INFER_OK;
}

/* Keeps the offsets of `todo` where they need less. */
static void keep_better(const entry *todo, size_t n, size_t total, oi_mem_need *need)
{
    if (total >= need->total)
        return;
    need->total = total;
    for (size_t i = 0; i < n; i++)
        todo[i].item->offset = todo[i].offset;
}

/* What lies on top is placed first, again and again: it was put there for want of a gap that others had cut up. */
static void improve(entry *todo, size_t n, entry *placed, oi_mem_need *need)
{
    enum { ROUNDS = 32, WORTH_MAX = 1024 };
    size_t total = place_all(todo, n, placed, false);
    keep_better(todo, n, total, need);
    for (int round = 0; n <= WORTH_MAX && round < ROUNDS && need->total > need->live; round++) {
        size_t top = 0;
        while (todo[top].offset + todo[top].padded != total)
            top++;
        const entry first = todo[top];
        memmove(todo + 1, todo, top * sizeof *todo);
        todo[0] = first;
        total = place_all(todo, n, placed, false);
        keep_better(todo, n, total, need);
    }
}

oi_status oi_memplan(const oi_alloc *a, oi_mem_item *item, size_t n, oi_mem_need *need)
{
    *need = (oi_mem_need){0, 0};
    if (!n)
        return ONNX_INFER_OK;
    entry *todo = oi_alloc_array(a, n, sizeof *todo), *placed = oi_alloc_array(a, n, sizeof *placed);
    oi_status st = todo && placed ? describe(todo, item, n) : ONNX_INFER_E_OUT_OF_MEMORY;
    if (st == ONNX_INFER_OK) {
        qsort(todo, n, sizeof *todo, by_time);
        need->live = most_alive(todo, placed, n);
        need->total = SIZE_MAX;
    }
    for (size_t k = 0; st == ONNX_INFER_OK && k < sizeof orders / sizeof *orders && need->total > need->live; k++) {
        qsort(todo, n, sizeof *todo, orders[k]);
        if (orders[k] == by_time)
            keep_better(todo, n, place_all(todo, n, placed, true), need);
        else if (n <= ANY_ORDER_MAX)
            improve(todo, n, placed, need);
    }
    oi_free_mem(a, todo);
    oi_free_mem(a, placed);
    return st;
}
