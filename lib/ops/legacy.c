/* What operators of the first opsets have in common. */
#include "ops/legacy.h"

oi_status oi_import_unary(oi_import *im)
{
    oi_import_drop(im, "consumed_inputs");
    return ONNX_INFER_OK;
}

/* The rank of v as an int64 tensor of one element. */
static oi_status rank_of(oi_import *im, oi_value_id v, oi_value_id *shape, oi_value_id *rank)
{
    *shape = *rank = OI_NONE;
    OI_TRY(oi_import_node(im, "Shape", "", 1, &v, 1, shape));
    return oi_import_node(im, "Shape", "", 1, shape, 1, rank);
}

static oi_status subtract(oi_import *im, oi_value_id *a, oi_value_id b)
{
    oi_value_id in[2] = {*a, b};
    *a = OI_NONE;
    return oi_import_node(im, "Sub", "", 2, in, 1, a);
}

/* b, whose dims begin at `axis` of a, with as many trailing dims of size 1 as a has behind them. The ranks may be known
 * only later, so this is written as shape arithmetic, which folds once they are. */
oi_status oi_import_align(oi_import *im, int64_t axis)
{
    oi_value_id shape_a, shape_b, rank_a, rank_b, from, one, ones = OI_NONE, dims = OI_NONE, moved = OI_NONE;
    OI_TRY(rank_of(im, im->in[1], &shape_b, &rank_b));
    if (axis < 0) {
        axis = -axis;
        OI_TRY(oi_import_const_ints(im, &axis, 1, 1, &rank_a));
    } else {
        OI_TRY(rank_of(im, im->in[0], &shape_a, &rank_a));
        OI_TRY(oi_import_const_ints(im, &axis, 1, 1, &from));
        OI_TRY(subtract(im, &rank_a, from));
    }
    OI_TRY(subtract(im, &rank_a, rank_b));
    OI_TRY(oi_import_const_ints(im, &(int64_t){1}, 1, 1, &one));
    OI_TRY(oi_import_node(im, "Expand", "", 2, (oi_value_id[]){one, rank_a}, 1, &ones));
    OI_TRY(oi_import_node(im, "Concat", "axis=0", 2, (oi_value_id[]){shape_b, ones}, 1, &dims));
    OI_TRY(oi_import_node(im, "Reshape", "allowzero=1", 2, (oi_value_id[]){im->in[1], dims}, 1, &moved));
    return oi_import_set_input(im, 1, moved);
}

oi_status oi_import_binary(oi_import *im)
{
    oi_import_drop(im, "consumed_inputs");
    if (im->opset >= 7)
        return ONNX_INFER_OK;
    const oi_raw_attr *broadcast = oi_import_find(im, "broadcast"), *axis = oi_import_find(im, "axis");
    bool aligned = broadcast && broadcast->i && axis && im->nin == 2 && im->in[1] != OI_NONE;
    int64_t at = axis ? axis->i : 0;
    oi_import_drop(im, "broadcast");
    oi_import_drop(im, "axis");
    return aligned ? oi_import_align(im, at) : ONNX_INFER_OK;
}
