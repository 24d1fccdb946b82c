/* A bump allocator: everything in it is freed at once. Graphs, attributes and plans live in arenas. */
#ifndef OI_BASE_ARENA_H
#define OI_BASE_ARENA_H

#include "base/alloc.h"

typedef struct oi_arena oi_arena;

/* NULL (and a record) without memory. The allocator struct must outlive the arena. */
oi_arena *oi_arena_create(const oi_alloc *a);
void oi_arena_destroy(oi_arena *arena); /* accepts NULL */
const oi_alloc *oi_arena_alloc_of(const oi_arena *arena);

/* Zeroed memory, aligned for any type; NULL (and a record) when there is none. */
void *oi_arena_mem(oi_arena *arena, size_t bytes);
void *oi_arena_array(oi_arena *arena, size_t count, size_t size);
void *oi_arena_copy(oi_arena *arena, const void *p, size_t bytes);
char *oi_arena_text(oi_arena *arena, const char *text); /* NULL stays NULL */
char *oi_arena_text_n(oi_arena *arena, const char *text, size_t n);
char *oi_arena_format(oi_arena *arena, const char *fmt, ...) OI_PRINTF(2, 3);

/* Calls fn(arg) when the arena is destroyed, in reverse order; on failure it is not registered. */
oi_status oi_arena_on_destroy(oi_arena *arena, void (*fn)(void *arg), void *arg);

/* Grows *array (of elements of `size` bytes, capacity *cap) in the arena so that it holds at least `need`; the old copy
 * stays behind in the arena. */
oi_status oi_arena_grow(oi_arena *arena, void *array_ptr, uint32_t *cap, uint32_t need, size_t size);

size_t oi_arena_bytes(const oi_arena *arena); /* taken from the allocator so far */

#endif
