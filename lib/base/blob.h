/* A block of bytes that is written to and grows, and a cursor over such a block that never leaves it. In the machine's own byte
 * order; numbers and lists lie at addresses that their types ask for, as far as the block itself does. */
#ifndef OI_BASE_BLOB_H
#define OI_BASE_BLOB_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const oi_alloc *alloc;
    uint8_t *at; /* of oi_alloc_mem; the caller frees it */
    size_t n, cap;
    bool full;   /* memory ran out: nothing more is written */
} oi_blob;

/* Room for n bytes behind padding to `align` (a power of two, at most 64); NULL without memory. */
void *oi_blob_room(oi_blob *b, size_t n, size_t align);
void oi_blob_put(oi_blob *b, const void *p, size_t n, size_t align);
void oi_blob_text(oi_blob *b, const char *text); /* NULL stays NULL */
static inline void oi_blob_u32(oi_blob *b, uint32_t v)
{
    oi_blob_put(b, &v, sizeof v, sizeof v);
}
static inline void oi_blob_i64(oi_blob *b, int64_t v)
{
    oi_blob_put(b, &v, sizeof v, sizeof v);
}

/* Once it is bad (a read beyond the end, a text without its end) it gives zeros. */
typedef struct {
    const uint8_t *data; /* aligned to 64 where lists must be */
    size_t n, at;
    bool bad;
} oi_cursor;

/* n bytes in place; NULL where there are not as many. */
static inline const void *oi_cursor_take(oi_cursor *c, size_t n, size_t align)
{
    size_t at = (c->at + align - 1) & ~(align - 1);
    if (c->bad || at > c->n || n > c->n - at) {
        c->bad = true;
        return NULL;
    }
    c->at = at + n;
    return c->data + at;
}
static inline uint32_t oi_cursor_u32(oi_cursor *c)
{
    const void *p = oi_cursor_take(c, sizeof(uint32_t), sizeof(uint32_t));
    uint32_t v = 0;
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}
static inline int64_t oi_cursor_i64(oi_cursor *c)
{
    const void *p = oi_cursor_take(c, sizeof(int64_t), sizeof(int64_t));
    int64_t v = 0;
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}
/* A count of things that take `each` bytes or more: no more than there is room for. */
static inline uint32_t oi_cursor_count(oi_cursor *c, size_t each)
{
    uint32_t n = oi_cursor_u32(c);
    if (n > (c->n - c->at) / each)
        c->bad = true;
    return c->bad ? 0 : n;
}
/* In place, ended by a NUL; NULL where it was, or where the cursor is bad. */
const char *oi_cursor_text(oi_cursor *c);

#endif
