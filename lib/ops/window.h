/* Sliding windows: the geometry that convolution and pooling share. */
#ifndef OI_OPS_WINDOW_H
#define OI_OPS_WINDOW_H

#include "ops/op.h"

enum { OI_WINDOW_MAX = OI_MAX_RANK - 2 };

typedef enum { OI_PAD_NOTSET, OI_PAD_SAME_UPPER, OI_PAD_SAME_LOWER, OI_PAD_VALID } oi_auto_pad;
#define OI_AUTO_PAD_WORDS "NOTSET|SAME_UPPER|SAME_LOWER|VALID"

/* The attributes, as operators embed them. */
typedef struct {
    oi_ints kernel_shape, strides, dilations, pads;
    int64_t auto_pad, ceil_mode;
} oi_window_attr;

/* Resolved for one input: sizes along each spatial axis. Output o, tap k reads input o * stride - begin + k * dilation. */
typedef struct {
    int32_t nd;
    int64_t in[OI_WINDOW_MAX], out[OI_WINDOW_MAX], kernel[OI_WINDOW_MAX];
    int64_t stride[OI_WINDOW_MAX], dilation[OI_WINDOW_MAX], begin[OI_WINDOW_MAX], end[OI_WINDOW_MAX];
} oi_window;

/* Checks the attributes against nd spatial axes and fills kernel (from `kernel`, which may be NULL where the attribute
 * must give it), stride, dilation, and pads where they are explicit. */
oi_status oi_window_init(const oi_window_attr *a, int32_t nd, const int64_t *kernel, oi_window *w);
/* Then: pads of the automatic modes and output sizes for these input sizes. */
oi_status oi_window_resolve(const oi_window_attr *a, const int64_t *in, oi_window *w);
/* Output sizes for sizes that may be symbolic. */
void oi_window_infer(oi_symtab *syms, const oi_window_attr *a, const oi_window *w, const oi_dim *in, oi_dim *out);
/* The taps [*first, *last) of axis i whose input position for output o lies inside the input. */
static inline void oi_window_taps(const oi_window *w, int32_t i, int64_t o, int64_t *first, int64_t *last)
{
    int64_t start = o * w->stride[i] - w->begin[i], d = w->dilation[i];
    *first = start < 0 ? (-start + d - 1) / d : 0;
    int64_t room = w->in[i] - start;
    *last = room <= 0 ? 0 : (room + d - 1) / d;
    if (*last > w->kernel[i])
        *last = w->kernel[i];
    if (*first > *last)
        *first = *last;
}
/* Steps a position through the box of `n` axes, last axis fastest; false after the last one. */
static inline bool oi_next_index(int32_t n, const int64_t *size, int64_t *at)
{
    for (int32_t i = n - 1; i >= 0; i--) {
        if (++at[i] < size[i])
            return true;
        at[i] = 0;
    }
    return false;
}

#endif
