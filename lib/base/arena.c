/* A bump allocator over a list of blocks that double in size. */
#include "base/arena.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>

typedef struct block {
    struct block *next;
    size_t used, cap;
    size_t big;         /* bytes of oi_alloc_data; 0: of oi_alloc_mem */
    max_align_t data[];
} block;

typedef struct cleanup {
    struct cleanup *next;
    void (*fn)(void *);
    void *arg;
} cleanup;

struct oi_arena {
    const oi_alloc *alloc;
    block *blocks;
    cleanup *cleanups;
    size_t bytes;
};

/* What is big goes, with what follows, into blocks of whole big pages. */
enum { FIRST_BLOCK = 4096, LARGEST_STEP = 1 << 20, BIG = 512 << 10, BIG_PAGE = 2 << 20 };

oi_arena *oi_arena_create(const oi_alloc *a)
{
    oi_arena *arena = oi_alloc_mem(a, sizeof *arena);
    if (arena)
        arena->alloc = a;
    return arena;
}

void oi_arena_destroy(oi_arena *arena)
{
    if (!arena)
        return;
    for (cleanup *c = arena->cleanups; c; c = c->next)
        c->fn(c->arg);
    for (block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        if (b->big)
            oi_free_data(arena->alloc, b, b->big);
        else
            oi_free_mem(arena->alloc, b);
    }
    oi_free_mem(arena->alloc, arena);
}

const oi_alloc *oi_arena_alloc_of(const oi_arena *arena)
{
    return arena->alloc;
}

size_t oi_arena_bytes(const oi_arena *arena)
{
    return arena->bytes;
}

static block *make_block(oi_arena *arena, size_t least)
{
    const block *last = arena->blocks;
    size_t cap = last ? last->cap * 2 : FIRST_BLOCK, total;
    block *b;
    if (least >= BIG && oi_align_size(least + sizeof *b + OI_ALIGN, BIG_PAGE, &total)) {
        total -= OI_ALIGN;
        b = oi_alloc_data(arena->alloc, total);
        if (!b)
            return NULL;
        memset(b, 0, total);
        b->big = total;
    } else {
        cap = cap > LARGEST_STEP ? LARGEST_STEP : cap;
        total = sizeof *b + (cap < least ? least : cap);
        b = oi_alloc_mem(arena->alloc, total);
        if (!b)
            return NULL;
    }
    b->cap = total - sizeof *b;
    b->next = arena->blocks;
    arena->blocks = b;
    arena->bytes += total;
    return b;
}

void *oi_arena_mem(oi_arena *arena, size_t bytes)
{
    size_t size, total;
    if (!oi_align_size(bytes ? bytes : 1, _Alignof(max_align_t), &size) || !oi_add_size(size, sizeof(block), &total)) {
        oi_fail_out_of_memory(bytes);
        return NULL;
    }
    block *b = arena->blocks;
    if (!b || b->cap - b->used < size) {
        b = make_block(arena, size);
        if (!b)
            return NULL;
    }
    void *p = (char *)b->data + b->used;
    b->used += size;
    return p;
}

void *oi_arena_array(oi_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!oi_mul_size(count, size, &bytes)) {
        oi_fail_out_of_memory(SIZE_MAX);
        return NULL;
    }
    return oi_arena_mem(arena, bytes);
}

void *oi_arena_copy(oi_arena *arena, const void *p, size_t bytes)
{
    void *copy = oi_arena_mem(arena, bytes);
    if (copy && bytes)
        memcpy(copy, p, bytes);
    return copy;
}

char *oi_arena_text_n(oi_arena *arena, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? oi_arena_mem(arena, n + 1) : NULL;
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}

char *oi_arena_text(oi_arena *arena, const char *text)
{
    return text ? oi_arena_text_n(arena, text, strlen(text)) : NULL;
}

char *oi_arena_format(oi_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : oi_arena_mem(arena, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

oi_status oi_arena_on_destroy(oi_arena *arena, void (*fn)(void *arg), void *arg)
{
    cleanup *c = oi_arena_mem(arena, sizeof *c);
    if (!c)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *c = (cleanup){arena->cleanups, fn, arg};
    arena->cleanups = c;
    return ONNX_INFER_OK;
}

oi_status oi_arena_grow(oi_arena *arena, void *array_ptr, uint32_t *cap, uint32_t need, size_t size)
{
    if (need <= *cap)
        return ONNX_INFER_OK;
    uint32_t want = *cap < 4 ? 4 : *cap > UINT32_MAX / 2 ? UINT32_MAX : *cap * 2;
    if (want < need)
        want = need;
    void **array = array_ptr;
    void *grown = oi_arena_array(arena, want, size);
    if (!grown)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (*cap)
        memcpy(grown, *array, (size_t)*cap * size);
    *array = grown;
    *cap = want;
    return ONNX_INFER_OK;
}
