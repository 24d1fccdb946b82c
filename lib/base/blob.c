/* Blocks of bytes: writing and reading. */
#include "base/blob.h"

#define NO_TEXT UINT32_MAX

void *oi_blob_room(oi_blob *b, size_t n, size_t align)
{
    size_t at = (b->n + align - 1) & ~(align - 1);
    if (b->full || n > SIZE_MAX / 4 || at > SIZE_MAX / 4)
        return NULL;
    if (at + n > b->cap) {
        size_t cap = b->cap + b->cap / 2 + n + 4096;
        uint8_t *grown = oi_realloc_mem(b->alloc, b->at, cap);
        b->full = !grown;
        if (!grown)
            return NULL;
        b->at = grown;
        b->cap = cap;
    }
    b->n = at + n;
    return b->at + at;
}

void oi_blob_put(oi_blob *b, const void *p, size_t n, size_t align)
{
    void *to = oi_blob_room(b, n, align);
    if (to && n)
        memcpy(to, p, n);
}

void oi_blob_text(oi_blob *b, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n >= NO_TEXT) {
        b->full = true;
        return;
    }
    oi_blob_u32(b, text ? (uint32_t)n : NO_TEXT);
    if (text)
        oi_blob_put(b, text, n + 1, 1);
}

const char *oi_cursor_text(oi_cursor *c)
{
    uint32_t n = oi_cursor_u32(c);
    if (c->bad || n == NO_TEXT)
        return NULL;
    const char *p = oi_cursor_take(c, (size_t)n + 1, 1);
    if (p && p[n]) {
        c->bad = true;
        return NULL;
    }
    return p;
}
