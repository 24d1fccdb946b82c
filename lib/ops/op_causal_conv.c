/* CausalConvWithState: a filter for each channel over past and present, which hands its last inputs on. */
#include "ops/op.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t activation; /* none, silu, swish */
} causal_attr;

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *w = x->in[1];
    oi_infer_set_same(x, 0, 0);
    oi_infer_set_fresh(x, 1, f->dtype, 3);
    if (x->nout > 1 && f->shape.rank == 3 && w->shape.rank == 3) {
        oi_dim dims[3] = {f->shape.dim[0], f->shape.dim[1], oi_dim_sub(x->syms, w->shape.dim[2], 1)};
        oi_infer_set(x, 1, f->dtype, 3, dims);
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *w = oi_eval_in(e, 1), *bias = oi_eval_in(e, 2), *past = oi_eval_in(e, 3);
    bool active = ((const causal_attr *)e->attr)->activation != 0;
    for (uint32_t i = 0; i < 4; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if ((!t && i < 2) || (t && (!oi_dtype_is_float(t->dtype) || t->dtype != x->dtype)))
            return oi_eval_bad_type(e, i);
    }
    OI_FAIL_IF(x->rank != 3 || w->rank != 3 || w->dim[0] != x->dim[1] || w->dim[1] != 1 || w->dim[2] < 1, ONNX_INFER_E_SHAPE_MISMATCH,
               "CausalConvWithState: the filters do not fit input 0");
    int64_t batch = x->dim[0], channels = x->dim[1], length = x->dim[2], k = w->dim[2], state = k - 1;
    OI_FAIL_IF((bias && oi_tensor_count(bias) != channels) ||
                   (past && (past->rank != 3 || past->dim[0] != batch || past->dim[1] != channels || past->dim[2] != state)),
               ONNX_INFER_E_SHAPE_MISMATCH, "CausalConvWithState: bias or past state do not fit input 0");
    oi_tensor *y, *next = NULL;
    double *v = oi_eval_scratch_array(e, (size_t)(state + length) + 1, sizeof *v), *taps = oi_eval_scratch_array(e, (size_t)k, sizeof *taps);
    if (!v || !taps)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_eval_out(e, 0, x->dtype, 3, x->dim, &y));
    if (oi_eval_wants(e, 1))
        OI_TRY(oi_eval_out(e, 1, x->dtype, 3, (const int64_t[]){batch, channels, state}, &next));
    for (int64_t lane = 0; lane < batch * channels; lane++) {
        int64_t c = lane % channels;
        memset(v, 0, (size_t)state * sizeof *v);
        if (past)
            oi_convert(past->dtype, past->data, (size_t)(lane * state), ONNX_INFER_DOUBLE, v, 0, (size_t)state, true);
        oi_convert(x->dtype, x->data, (size_t)(lane * length), ONNX_INFER_DOUBLE, v, (size_t)state, (size_t)length, true);
        oi_convert(w->dtype, w->data, (size_t)(c * k), ONNX_INFER_DOUBLE, taps, 0, (size_t)k, true);
        double first = bias ? oi_elem_get_double(bias->dtype, bias->data, (size_t)c) : 0;
        for (int64_t i = 0; i < length; i++) {
            double sum = first;
            for (int64_t t = 0; t < k; t++)
                sum += taps[t] * v[i + t];
            size_t at = (size_t)(lane * length + i);
            oi_elem_set_double(y->dtype, y->data, at, sum);
            if (active) { /* of the sum as it is stored */
                sum = oi_elem_get_double(y->dtype, y->data, at);
                oi_elem_set_double(y->dtype, y->data, at, sum / (1 + exp(-sum)));
            }
        }
        if (next)
            oi_convert(ONNX_INFER_DOUBLE, v, (size_t)length, next->dtype, next->data, (size_t)(lane * state), (size_t)state, true);
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "activation", .type = OI_ATTR_ENUM, .offset = offsetof(causal_attr, activation), .s = "none|silu|swish"}, {0}};

const oi_op oi_op_CausalConvWithState = {
    .name = "CausalConvWithState", .domain = "", .since = 27, .newest = 27, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 2,
    .attrs = attrs, .attr_size = sizeof(causal_attr), .infer = infer, .eval = eval,
};
