/* SwiGLU: a * sigmoid(alpha * a) * b. */
#include "ops/number_text.h"
#include "ops/op.h"
#include "ops/rewrite.h"

#include <math.h>
#include <string.h>

typedef struct {
    float alpha;
} swiglu_attr;

static oi_status infer(oi_infer *x)
{
    const oi_fact *a = x->in[0], *b = x->in[1];
    bool concrete = oi_shape_is_concrete(&a->shape) && oi_shape_is_concrete(&b->shape);
    OI_FAIL_IF(concrete && !oi_shape_equal(&a->shape, &b->shape), ONNX_INFER_E_SHAPE_MISMATCH, "SwiGLU: its inputs differ in shape");
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const swiglu_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *b = oi_eval_in(e, 1);
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    if (!b || b->dtype != x->dtype)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(!oi_tensor_same_shape(x, b), ONNX_INFER_E_SHAPE_MISMATCH, "SwiGLU: its inputs differ in shape");
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    for (size_t i = 0; i < (size_t)oi_tensor_count(x); i++) {
        double v = oi_elem_get_double(x->dtype, x->data, i);
        oi_elem_set_double(y->dtype, y->data, i, v / (1 + exp(-(double)a->alpha * v))); /* rounded as Swish rounds it */
        oi_elem_set_double(y->dtype, y->data, i, oi_elem_get_double(y->dtype, y->data, i) * oi_elem_get_double(b->dtype, b->data, i));
    }
    return ONNX_INFER_OK;
}

/* Swish and Mul, which have kernels and join the product before them. */
static oi_status declutter(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    const oi_shape *a = &rw->g->value[n->in[0]].fact.shape, *b = &rw->g->value[n->in[1]].fact.shape;
    oi_value_id out = n->out[0], in[2] = {n->in[0], n->in[1]};
    char text[6 + OI_NUMBER_TEXT_MAX];
    if (a->rank < 0 || b->rank != a->rank)
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i])
            return ONNX_INFER_OK; /* Mul would broadcast where the sizes turn out to be 1 */
    }
    memcpy(text, "alpha=", 6);
    oi_number_text(ONNX_INFER_FLOAT, &((const swiglu_attr *)n->attr)->alpha, 0, text + 6);
    in[0] = oi_rewrite_op(rw, "", "Swish", text, 1, in);
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "Mul", "", 2, in));
    return rw->status;
}

static const oi_attr_spec attrs[] = {{.name = "alpha", .type = OI_ATTR_FLOAT, .offset = offsetof(swiglu_attr, alpha), .f = 1}, {0}};

const oi_op oi_op_SwiGLU = {
    .name = "SwiGLU", .domain = "", .since = 28, .newest = 28, .flags = OI_OP_ELEMENTWISE, .min_in = 2, .max_in = 2, .min_out = 1,
    .max_out = 1, .attrs = attrs, .attr_size = sizeof(swiglu_attr), .infer = infer, .eval = eval, .declutter = declutter,
};
