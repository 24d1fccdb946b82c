/* NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss. */
#include "ops/loop.h"
#include "ops/op.h"
#include "tensor/convert.h"

#include <math.h>

typedef struct {
    int64_t ignore_index, reduction;
} loss_attr;

enum { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN };

extern const oi_op oi_op_SoftmaxCrossEntropyLoss;

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *labels = x->in[1];
    if (((const loss_attr *)x->attr)->reduction == REDUCE_NONE)
        oi_infer_set(x, 0, f->dtype, labels->shape.rank, labels->shape.dim);
    else
        oi_infer_set(x, 0, f->dtype, 0, NULL);
    if (x->nout > 1)
        oi_infer_set_same(x, 1, 0);
    return ONNX_INFER_OK;
}

static void log_softmax(int64_t outer, int64_t n, int64_t inner, double *v)
{
    for (int64_t i = 0; i < outer * inner; i++) {
        double *lane = v + i / inner * n * inner + i % inner, max = -INFINITY, sum = 0;
        for (int64_t k = 0; k < n; k++)
            max = fmax(max, lane[k * inner]);
        for (int64_t k = 0; k < n; k++)
            sum += exp(lane[k * inner] - max);
        sum = log(sum);
        for (int64_t k = 0; k < n; k++)
            lane[k * inner] = lane[k * inner] - max - sum;
    }
}

static oi_status eval(oi_eval *e)
{
    const loss_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *labels = oi_eval_in(e, 1), *weights = oi_eval_in(e, 2);
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    if (!labels || !oi_dtype_is_int(labels->dtype))
        return oi_eval_bad_type(e, 1);
    if (weights && !oi_dtype_is_float(weights->dtype))
        return oi_eval_bad_type(e, 2);
    OI_FAIL_IF(x->rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "%s: input 0 has rank %d, at least 2 is needed", e->op->name, (int)x->rank);
    int64_t outer, classes, inner;
    oi_loop_axis(x->rank, x->dim, 1, &outer, &classes, &inner);
    OI_FAIL_IF(oi_tensor_count(labels) != outer * inner || (weights && oi_tensor_count(weights) != classes), ONNX_INFER_E_SHAPE_MISMATCH,
               "%s: labels or weights do not have the shape that input 0 asks for", e->op->name);
    size_t count = (size_t)oi_tensor_count(x);
    double *v = oi_eval_scratch_array(e, count + 1, sizeof *v), sum = 0, total = 0;
    if (!v)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_convert(x->dtype, x->data, 0, ONNX_INFER_DOUBLE, v, 0, count, true);
    if (e->op == &oi_op_SoftmaxCrossEntropyLoss)
        log_softmax(outer, classes, inner, v);
    oi_tensor *y;
    if (oi_eval_wants(e, 1)) {
        OI_TRY(oi_eval_out(e, 1, x->dtype, x->rank, x->dim, &y));
        oi_convert(ONNX_INFER_DOUBLE, v, 0, x->dtype, y->data, 0, count, true);
    }
    bool each = a->reduction == REDUCE_NONE;
    OI_TRY(oi_eval_out(e, 0, x->dtype, each ? labels->rank : 0, labels->dim, &y));
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t label = oi_elem_get_int(labels->dtype, labels->data, (size_t)i);
        double weight = 0, loss = 0;
        if (label != a->ignore_index) {
            OI_FAIL_IF(label < 0 || label >= classes, ONNX_INFER_E_INVALID_ARGUMENT, "%s: label %lld is outside [0, %lld)", e->op->name,
                       (long long)label, (long long)classes);
            weight = weights ? oi_elem_get_double(weights->dtype, weights->data, (size_t)label) : 1;
            loss = -v[(i / inner * classes + label) * inner + i % inner] * weight;
        }
        if (each)
            oi_elem_set_double(y->dtype, y->data, (size_t)i, loss);
        sum += loss;
        total += weight;
    }
    if (!each)
        oi_elem_set_double(y->dtype, y->data, 0, a->reduction == REDUCE_MEAN ? sum / total : sum);
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "ignore_index", .type = OI_ATTR_INT, .offset = offsetof(loss_attr, ignore_index), .i = OI_UNSET},
    {.name = "reduction", .type = OI_ATTR_ENUM, .offset = offsetof(loss_attr, reduction), .i = REDUCE_MEAN, .s = "none|sum|mean"},
    {0},
};

const oi_op oi_op_NegativeLogLikelihoodLoss = {
    .name = "NegativeLogLikelihoodLoss", .domain = "", .since = 12, .newest = 22, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(loss_attr), .infer = infer, .eval = eval,
};
const oi_op oi_op_SoftmaxCrossEntropyLoss = {
    .name = "SoftmaxCrossEntropyLoss", .domain = "", .since = 12, .newest = 13, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 2,
    .attrs = attrs, .attr_size = sizeof(loss_attr), .infer = infer, .eval = eval,
};
