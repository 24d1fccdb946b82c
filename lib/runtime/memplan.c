/* The memory planner: greedy by size, best fit. */
#include "runtime/memplan.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

/* Beyond this many items they are placed in order of time, which is linear but packs less well. */
enum { SORT_BY_SIZE_MAX = 8192 };

typedef struct {
    oi_mem_item *item;
    size_t padded;
} entry;

static int by_size(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    if (a->padded != b->padded)
        return a->padded < b->padded ? 1 : -1;
    return (a->item > b->item) - (a->item < b->item);
}

static int by_time(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    if (a->item->first != b->item->first)
        return a->item->first < b->item->first ? -1 : 1;
    return (a->item > b->item) - (a->item < b->item);
}

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
        if (p->item->offset > end && p->item->offset - end >= e->padded && p->item->offset - end < best_gap) {
            best = end;
            best_gap = p->item->offset - end;
        }
        if (p->item->offset + p->padded > end)
            end = p->item->offset + p->padded;
    }
    return best == SIZE_MAX ? end : best;
}

static void insert_by_offset(entry *placed, size_t n, const entry *e)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (placed[middle].item->offset <= e->item->offset)
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

oi_status oi_memplan(const oi_alloc *a, oi_mem_item *item, size_t n, size_t *total)
{
    *total = 0;
    if (!n)
        return ONNX_INFER_OK;
    entry *todo = oi_alloc_array(a, n, sizeof *todo), *placed = oi_alloc_array(a, n, sizeof *placed);
    oi_status st = ONNX_INFER_OK;
    if (!todo || !placed) {
        st = ONNX_INFER_E_OUT_OF_MEMORY;
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        size_t padded;
        todo[i].item = &item[i];
        if (!oi_align_size(item[i].bytes, OI_ALIGN, &padded) || !oi_add_size(padded, OI_ALIGN, &todo[i].padded) ||
            todo[i].padded > SIZE_MAX / 4 / n) {
            st = oi_fail(ONNX_INFER_E_LIMIT, "the model needs more memory than can be addressed");
            goto done;
        }
    }
    bool sorted_by_size = n <= SORT_BY_SIZE_MAX;
    qsort(todo, n, sizeof *todo, sorted_by_size ? by_size : by_time);
    size_t nplaced = 0;
    for (size_t i = 0; i < n; i++) {
        if (!sorted_by_size)
            nplaced = forget_dead(placed, nplaced, todo[i].item->first);
        todo[i].item->offset = find_gap(&todo[i], placed, nplaced);
        insert_by_offset(placed, nplaced++, &todo[i]);
        if (todo[i].item->offset + todo[i].padded > *total)
            *total = todo[i].item->offset + todo[i].padded;
    }
done:
    oi_free_mem(a, todo);
    oi_free_mem(a, placed);
    return st;
}
