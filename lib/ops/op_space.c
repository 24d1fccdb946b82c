/* DepthToSpace and SpaceToDepth: a transposition of a tensor seen with six axes. */
#include "ops/strided.h"

typedef struct {
    int64_t blocksize, mode;
} space_attr;

enum { DCR, CRD };

static const oi_attr_spec depth_attrs[] = {
    {.name = "blocksize", .type = OI_ATTR_INT, .offset = offsetof(space_attr, blocksize), .flags = OI_ATTR_REQUIRED},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(space_attr, mode), .s = "DCR|CRD"},
    {0},
};
static const oi_attr_spec space_attrs[] = {
    {.name = "blocksize", .type = OI_ATTR_INT, .offset = offsetof(space_attr, blocksize), .flags = OI_ATTR_REQUIRED},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(space_attr, mode), .s = "DCR|CRD"},
    {0},
};

static oi_status check(const space_attr *a, int32_t rank)
{
    OI_FAIL_IF(rank != 4, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 4", rank);
    OI_FAIL_IF(a->blocksize < 1 || a->blocksize > INT16_MAX, ONNX_INFER_E_INVALID_MODEL, "attribute blocksize is %lld",
               (long long)a->blocksize);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x, bool to_space)
{
    const space_attr *a = x->attr;
    const oi_shape *in = &x->in[0]->shape;
    oi_infer_set_fresh(x, 0, x->in[0]->dtype, 4);
    if (in->rank < 0)
        return ONNX_INFER_OK;
    OI_TRY(check(a, in->rank));
    oi_symtab *s = x->syms;
    int64_t b = a->blocksize;
    oi_dim dims[4] = {in->dim[0]};
    dims[1] = to_space ? oi_dim_floordiv(s, in->dim[1], b * b) : oi_dim_mul(s, in->dim[1], b * b);
    for (int i = 2; i < 4; i++)
        dims[i] = to_space ? oi_dim_mul(s, in->dim[i], b) : oi_dim_floordiv(s, in->dim[i], b);
    oi_infer_set(x, 0, x->in[0]->dtype, 4, dims);
    return ONNX_INFER_OK;
}

static oi_status infer_depth(oi_infer *x)
{
    return infer(x, true);
}

static oi_status infer_space(oi_infer *x)
{
    return infer(x, false);
}

/* The result's six axes, as a view of the input, and its shape. */
static oi_status view(const space_attr *a, const oi_tensor *in, bool to_space, oi_strided *v, int64_t *dims)
{
    OI_TRY(check(a, in->rank));
    int64_t b = a->blocksize, n = in->dim[0], c = in->dim[1], h = in->dim[2], w = in->dim[3];
    if (to_space) {
        OI_FAIL_IF(c % (b * b), ONNX_INFER_E_SHAPE_MISMATCH, "%lld channels are no multiple of %lld", (long long)c,
                   (long long)(b * b));
        int64_t d = c / (b * b), block = a->mode == DCR ? d * h * w : h * w, deep = a->mode == DCR ? h * w : b * b * h * w;
        *v = (oi_strided){.rank = 6, .dim = {n, d, h, b, w, b}, .stride = {c * h * w, deep, w, b * block, 1, block}};
        dims[0] = n, dims[1] = d, dims[2] = h * b, dims[3] = w * b;
    } else {
        OI_FAIL_IF(h % b || w % b, ONNX_INFER_E_SHAPE_MISMATCH, "%lldx%lld is no multiple of the block %lld", (long long)h,
                   (long long)w, (long long)b);
        bool dcr = a->mode == DCR;
        *v = (oi_strided){.rank = 6};
        int64_t dcr_dim[6] = {n, b, b, c, h / b, w / b}, dcr_stride[6] = {c * h * w, w, 1, h * w, w * b, b};
        int64_t crd_dim[6] = {n, c, b, b, h / b, w / b}, crd_stride[6] = {c * h * w, h * w, w, 1, w * b, b};
        for (int i = 0; i < 6; i++) {
            v->dim[i] = dcr ? dcr_dim[i] : crd_dim[i];
            v->stride[i] = dcr ? dcr_stride[i] : crd_stride[i];
        }
        dims[0] = n, dims[1] = c * b * b, dims[2] = h / b, dims[3] = w / b;
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e, bool to_space)
{
    const oi_tensor *in = oi_eval_in(e, 0);
    int64_t dims[4];
    oi_strided v;
    oi_tensor *out;
    OI_TRY(view(e->attr, in, to_space, &v, dims));
    OI_TRY(oi_eval_out(e, 0, in->dtype, 4, dims, &out));
    return oi_strided_copy_tensor(e, &v, in, out);
}

static oi_status eval_depth(oi_eval *e)
{
    return eval(e, true);
}

static oi_status eval_space(oi_eval *e)
{
    return eval(e, false);
}

static oi_status prepare(oi_prepare *p, bool to_space)
{
    int64_t dims[4];
    oi_strided v;
    OI_TRY(view(p->step->attr, &p->step->in[0], to_space, &v, dims));
    return oi_strided_prepare(p, &v, to_space ? "depth to space" : "space to depth");
}

static oi_status prepare_depth(oi_prepare *p)
{
    return prepare(p, true);
}

static oi_status prepare_space(oi_prepare *p)
{
    return prepare(p, false);
}

const oi_op oi_op_DepthToSpace = {
    .name = "DepthToSpace", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = depth_attrs, .attr_size = sizeof(space_attr),
    .infer = infer_depth, .eval = eval_depth, .prepare = prepare_depth,
};

const oi_op oi_op_SpaceToDepth = {
    .name = "SpaceToDepth", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = space_attrs, .attr_size = sizeof(space_attr),
    .infer = infer_space, .eval = eval_space, .prepare = prepare_space,
};
