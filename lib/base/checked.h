/* Arithmetic on sizes that says when it overflows. Every size computed from a model's numbers goes through here. */
#ifndef OI_BASE_CHECKED_H
#define OI_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each stores the result in *out and returns true, or returns false where it does not fit. */
static inline bool oi_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool oi_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool oi_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool oi_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool oi_sub_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_sub_overflow(a, b, out);
}

/* `align` is a power of two. */
static inline bool oi_align_size(size_t n, size_t align, size_t *out)
{
    if (n > SIZE_MAX - (align - 1))
        return false;
    *out = (n + align - 1) & ~(align - 1);
    return true;
}

#endif
