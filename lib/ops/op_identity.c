/* Identity: the value itself, of any kind. */
#include "ops/op.h"

static oi_status infer(oi_infer *x)
{
    x->out[0] = *x->in[0];
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    if (t)
        return e->host->out_view(e, 0, t, t->rank, t->dim);
    onnx_infer_value *v;
    OI_TRY(oi_eval_in_as_value(e, 0, &v));
    return e->host->out_value(e, 0, v);
}

const oi_op oi_op_Identity = {
    .name = "Identity", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_MOVES_DATA | OI_OP_VIEW,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .infer = infer, .eval = eval,
};
