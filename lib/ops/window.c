/* Sliding windows: the geometry that convolution and pooling share. */
#include "ops/window.h"

#include <string.h>

static const int64_t LARGEST = INT32_MAX; /* keeps every sum and product below within 64 bits */

static oi_status read_list(const oi_ints *list, const char *name, uint32_t n, int64_t low, int64_t absent, int64_t *out)
{
    if (!list->at) {
        for (uint32_t i = 0; i < n; i++)
            out[i] = absent;
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(list->n != n, ONNX_INFER_E_INVALID_MODEL, "attribute %s has %u elements, expected %u", name, list->n, n);
    for (uint32_t i = 0; i < n; i++) {
        OI_FAIL_IF(list->at[i] < low || list->at[i] > LARGEST, ONNX_INFER_E_INVALID_MODEL,
                   "attribute %s[%u] is %lld, expected %lld..%lld", name, i, (long long)list->at[i], (long long)low,
                   (long long)LARGEST);
        out[i] = list->at[i];
    }
    return ONNX_INFER_OK;
}

oi_status oi_window_init(const oi_window_attr *a, int32_t nd, const int64_t *kernel, oi_window *w)
{
    memset(w, 0, sizeof *w);
    OI_FAIL_IF(nd < 1 || nd > OI_WINDOW_MAX, ONNX_INFER_E_INVALID_MODEL, "input 0 has rank %d, expected 3..%d", nd + 2,
               OI_MAX_RANK);
    uint32_t n = (uint32_t)nd;
    w->nd = nd;
    OI_FAIL_IF(!kernel && !a->kernel_shape.at, ONNX_INFER_E_INVALID_MODEL, "attribute kernel_shape is missing");
    OI_TRY(read_list(&a->kernel_shape, "kernel_shape", n, 1, 1, w->kernel));
    OI_TRY(read_list(&a->strides, "strides", n, 1, 1, w->stride));
    OI_TRY(read_list(&a->dilations, "dilations", n, 1, 1, w->dilation));
    int64_t pads[2 * OI_WINDOW_MAX];
    OI_TRY(read_list(&a->pads, "pads", 2 * n, 0, 0, pads));
    for (uint32_t i = 0; i < n; i++) {
        if (kernel) {
            OI_FAIL_IF(a->kernel_shape.at && w->kernel[i] != kernel[i], ONNX_INFER_E_INVALID_MODEL,
                       "attribute kernel_shape[%u] is %lld but the weights have %lld", i, (long long)w->kernel[i],
                       (long long)kernel[i]);
            w->kernel[i] = kernel[i];
        }
        if (a->auto_pad == OI_PAD_NOTSET) {
            w->begin[i] = pads[i];
            w->end[i] = pads[n + i];
        }
    }
    return ONNX_INFER_OK;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

oi_status oi_window_resolve(const oi_window_attr *a, const int64_t *in, oi_window *w)
{
    for (int32_t i = 0; i < w->nd; i++) {
        OI_FAIL_IF(in[i] > LARGEST, ONNX_INFER_E_LIMIT, "spatial axis %d is %lld, at most %lld is supported", i,
                   (long long)in[i], (long long)LARGEST);
        int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1, stride = w->stride[i];
        w->in[i] = in[i];
        if (a->auto_pad == OI_PAD_SAME_UPPER || a->auto_pad == OI_PAD_SAME_LOWER) {
            w->out[i] = ceil_div(in[i], stride);
            int64_t total = (w->out[i] - 1) * stride + reach - in[i];
            if (total < 0)
                total = 0;
            w->begin[i] = a->auto_pad == OI_PAD_SAME_UPPER ? total / 2 : total - total / 2;
            w->end[i] = total - w->begin[i];
            continue;
        }
        int64_t room = in[i] + w->begin[i] + w->end[i] - reach;
        if (room < 0) {
            w->out[i] = 0;
            OI_FAIL_IF(in[i] > 0, ONNX_INFER_E_SHAPE_MISMATCH,
                       "spatial axis %d: the window reaches over %lld elements but input and pads have only %lld", i,
                       (long long)reach, (long long)(room + reach));
            continue;
        }
        w->out[i] = (a->ceil_mode ? ceil_div(room, stride) : room / stride) + 1;
        /* A window that begins in the right pad is dropped (the standard's note on ceil_mode). */
        if (a->ceil_mode && (w->out[i] - 1) * stride >= in[i] + w->begin[i])
            w->out[i]--;
    }
    return ONNX_INFER_OK;
}

void oi_window_infer(oi_symtab *syms, const oi_window_attr *a, const oi_window *w, const oi_dim *in, oi_dim *out)
{
    for (int32_t i = 0; i < w->nd; i++) {
        int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
        if (a->auto_pad == OI_PAD_SAME_UPPER || a->auto_pad == OI_PAD_SAME_LOWER) {
            out[i] = oi_dim_ceildiv(syms, in[i], w->stride[i]);
        } else if (a->ceil_mode) {
            out[i] = oi_dim_fresh(syms);
        } else {
            oi_dim room = oi_dim_add(syms, in[i], w->begin[i] + w->end[i] - reach);
            out[i] = oi_dim_add(syms, oi_dim_floordiv(syms, room, w->stride[i]), 1);
        }
    }
}
