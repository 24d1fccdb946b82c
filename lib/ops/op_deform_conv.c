/* DeformConv: a convolution whose taps are moved by offsets and weighted by a mask, both of them inputs. */
#include "base/checked.h"
#include "ops/op_conv.h"
#include "ops/widen.h"

#include <math.h>
#include <string.h>

typedef struct {
    oi_conv_attr conv;
    int64_t offset_group;
} deform_attr;

enum { IN_X, IN_W, IN_OFFSET, IN_BIAS, IN_MASK };

typedef struct {
    oi_window w;
    int64_t channels, oc, groups, offset_groups;
    int64_t taps, places, pixels;        /* of the kernel, the output and the input */
    int64_t image, group;                /* being computed */
    const void *x, *weights, *offset, *bias, *mask;
    void *y;
    void *columns;                       /* [channels of a group][taps][places] */
} deform_job;

#define T float
#define FN(name) name##_f32
#define MATH(g) g##f
#include "ops/tmpl/deform_conv.inc"
#undef T
#undef FN
#undef MATH
#define T double
#define FN(name) name##_f64
#define MATH(g) g
#include "ops/tmpl/deform_conv.inc"
#undef T
#undef FN
#undef MATH

static oi_status infer(oi_infer *x)
{
    const deform_attr *a = x->attr;
    const oi_fact *f = x->in[IN_X], *w = x->in[IN_W];
    int32_t rank = f->shape.rank, nd = rank - 2;
    int64_t kernel[OI_WINDOW_MAX];
    oi_dim dims[OI_MAX_RANK];
    oi_window window;
    if (rank < 0 || w->shape.rank < 0) {
        oi_infer_set_fresh(x, 0, f->dtype, rank < 0 ? w->shape.rank : rank);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(rank < 3 || w->shape.rank != rank, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, the weights have rank %d", (int)rank,
               (int)w->shape.rank);
    bool known = true;
    for (int32_t i = 0; i < nd && known; i++) {
        known = oi_dim_is_number(w->shape.dim[2 + i]);
        kernel[i] = w->shape.dim[2 + i];
    }
    dims[0] = f->shape.dim[0];
    dims[1] = w->shape.dim[0];
    if (known || a->conv.window.kernel_shape.at) {
        OI_TRY(oi_window_init(&a->conv.window, nd, known ? kernel : NULL, &window));
        oi_window_infer(x->syms, &a->conv.window, &window, f->shape.dim + 2, dims + 2);
    } else {
        for (int32_t i = 2; i < rank; i++)
            dims[i] = oi_dim_fresh(x->syms);
    }
    oi_infer_set(x, 0, f->dtype, rank, dims);
    return ONNX_INFER_OK;
}

/* Input `in` has this many channels and the output's places. */
static oi_status check_field(const oi_eval *e, uint32_t in, int64_t n, int64_t channels, const oi_window *w)
{
    const oi_tensor *t = oi_eval_in(e, in);
    bool fits = t->rank == w->nd + 2 && t->dim[0] == n && t->dim[1] == channels;
    for (int32_t i = 0; i < w->nd && fits; i++)
        fits = t->dim[2 + i] == w->out[i];
    char text[96];
    OI_FAIL_IF(!fits, ONNX_INFER_E_SHAPE_MISMATCH, "DeformConv: input %u must be %lld x %lld x the output's spatial axes, it is %s", in,
               (long long)n, (long long)channels, oi_dims_text(t->rank, t->dim, text, sizeof text));
    return ONNX_INFER_OK;
}

static oi_status run(oi_eval *e, deform_job *job, int64_t images, bool doubles)
{
    int64_t rows = job->channels / job->groups;
    size_t count = (size_t)(rows * job->taps), bytes = (size_t)job->places * (doubles ? sizeof(double) : sizeof(float));
    job->columns = oi_eval_scratch_array(e, count, bytes);
    if (!job->columns)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (job->image = 0; job->image < images; job->image++) {
        for (job->group = 0; job->group < job->groups; job->group++) {
            OI_TRY(e->host->check(e));
            OI_TRY(e->host->parallel(e, count, doubles ? sample_f64 : sample_f32, job));
            OI_TRY(e->host->parallel(e, (size_t)(job->oc / job->groups), doubles ? multiply_f64 : multiply_f32, job));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const deform_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, IN_X), *w = oi_eval_in(e, IN_W), *bias = oi_eval_in(e, IN_BIAS);
    deform_job job = {.groups = a->conv.group, .offset_groups = a->offset_group};
    for (uint32_t i = 0; i < 5; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if ((!t && i <= IN_OFFSET) || (t && (!oi_dtype_is_float(t->dtype) || t->dtype != x->dtype)))
            return oi_eval_bad_type(e, i);
    }
    OI_FAIL_IF(x->rank < 3 || w->rank != x->rank, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, the weights have rank %d", (int)x->rank,
               (int)w->rank);
    OI_TRY(oi_window_init(&a->conv.window, x->rank - 2, w->dim + 2, &job.w));
    OI_TRY(oi_window_resolve(&a->conv.window, x->dim + 2, &job.w));
    OI_TRY(oi_conv_check(&a->conv, false, x->dim, w->rank, w->dim, &job.oc));
    job.channels = x->dim[1];
    OI_FAIL_IF(job.offset_groups < 1 || job.channels % job.offset_groups, ONNX_INFER_E_INVALID_MODEL,
               "DeformConv: %lld channels cannot be split into %lld groups of offsets", (long long)job.channels, (long long)job.offset_groups);
    job.taps = oi_dims_count(job.w.nd, job.w.kernel);
    job.places = oi_dims_count(job.w.nd, job.w.out);
    job.pixels = oi_dims_count(job.w.nd, job.w.in);
    int64_t masks = job.offset_groups * job.taps, dims[OI_MAX_RANK] = {x->dim[0], job.oc};
    OI_TRY(check_field(e, IN_OFFSET, x->dim[0], masks * job.w.nd, &job.w));
    if (oi_eval_in(e, IN_MASK))
        OI_TRY(check_field(e, IN_MASK, x->dim[0], masks, &job.w));
    OI_FAIL_IF(bias && oi_tensor_count(bias) != job.oc, ONNX_INFER_E_SHAPE_MISMATCH, "DeformConv: %lld biases for %lld channels",
               (long long)oi_tensor_count(bias), (long long)job.oc);
    memcpy(dims + 2, job.w.out, (size_t)job.w.nd * sizeof *dims);
    const oi_tensor *mask = oi_eval_in(e, IN_MASK);
    if (x->dtype == ONNX_INFER_DOUBLE) {
        oi_tensor *y;
        OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &y));
        job.x = x->data, job.weights = w->data, job.offset = oi_eval_in(e, IN_OFFSET)->data, job.y = y->data;
        job.bias = bias ? bias->data : NULL, job.mask = mask ? mask->data : NULL;
        return run(e, &job, x->dim[0], true);
    }
    const float *in[5];
    oi_widen_out out;
    for (uint32_t i = 0; i < 5; i++)
        OI_TRY(oi_widen_in(e, i, &in[i]));
    OI_TRY(oi_widen_begin(e, 0, x->dtype, x->rank, dims, &out));
    job.x = in[IN_X], job.weights = in[IN_W], job.offset = in[IN_OFFSET], job.bias = in[IN_BIAS], job.mask = in[IN_MASK], job.y = out.p;
    OI_TRY(run(e, &job, x->dim[0], false));
    oi_widen_finish(&out);
    return ONNX_INFER_OK;
}

#define OFFSET(field) ((uint16_t)offsetof(deform_attr, field))
static const oi_attr_spec attrs[] = {
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = OFFSET(conv.window.dilations)},
    {.name = "group", .type = OI_ATTR_INT, .offset = OFFSET(conv.group), .i = 1},
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = OFFSET(conv.window.kernel_shape)},
    {.name = "offset_group", .type = OI_ATTR_INT, .offset = OFFSET(offset_group), .i = 1},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = OFFSET(conv.window.pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = OFFSET(conv.window.strides)},
    {0},
};

const oi_op oi_op_DeformConv = {
    .name = "DeformConv", .domain = "", .since = 19, .newest = 22, .min_in = 3, .max_in = 5, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(deform_attr), .infer = infer, .eval = eval,
};
