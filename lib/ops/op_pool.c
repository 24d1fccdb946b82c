/* Pooling: MaxPool, AveragePool, LpPool and their global forms; the reference. */
#include "ops/op_pool.h"

#include "ops/widen.h"

#include <math.h>
#include <string.h>

typedef struct {
    oi_window window;
    const void *x;
    void *y;
    int64_t *index; /* MaxPool's second output, or NULL */
    bool column_major, count_include_pad;
    int64_t p;
} pool_job;

/* The taps of output o that lie inside the input, as a box: false where there are none. */
static bool pool_box(const oi_window *w, const int64_t *o, int64_t *first, int64_t *size)
{
    bool some = true;
    for (int32_t a = 0; a < w->nd; a++) {
        int64_t last;
        oi_window_taps(w, a, o[a], &first[a], &last);
        size[a] = last - first[a];
        some = some && size[a] > 0;
    }
    return some;
}

static int64_t pool_offset(const oi_window *w, const int64_t *o, const int64_t *first, const int64_t *k)
{
    int64_t offset = 0;
    for (int32_t a = 0; a < w->nd; a++)
        offset = offset * w->in[a] + o[a] * w->stride[a] - w->begin[a] + (first[a] + k[a]) * w->dilation[a];
    return offset;
}

/* Taps inside the padded input: in ceil mode the last window may reach beyond it. */
static int64_t pool_padded_taps(const oi_window *w, const int64_t *o)
{
    int64_t count = 1;
    for (int32_t a = 0; a < w->nd; a++) {
        int64_t room = w->in[a] + w->begin[a] + w->end[a] - o[a] * w->stride[a];
        int64_t taps = (room + w->dilation[a] - 1) / w->dilation[a];
        count *= taps < w->kernel[a] ? (taps > 0 ? taps : 0) : w->kernel[a];
    }
    return count;
}

/* A row-major position within the plane in the order that the attribute storage_order asks for. */
static int64_t pool_stored(const pool_job *job, int64_t at)
{
    if (!job->column_major)
        return at;
    const oi_window *w = &job->window;
    int64_t coordinate[OI_WINDOW_MAX], stored = 0;
    for (int32_t a = w->nd - 1; a >= 0; a--) {
        coordinate[a] = at % w->in[a];
        at /= w->in[a];
    }
    for (int32_t a = w->nd - 1; a >= 0; a--)
        stored = stored * w->in[a] + coordinate[a];
    return stored;
}

#define FLOATING
#define LOAD(v) (v)
#define STORE(v) (v)
#define T float
#define A float
#define LOWEST (-INFINITY)
#define NAME(kind) pool_##kind##_float
#include "ops/tmpl/pool.inc"
#undef T
#undef A
#undef NAME
#define T double
#define A double
#define NAME(kind) pool_##kind##_double
#include "ops/tmpl/pool.inc"
#undef T
#undef A
#undef NAME
#undef FLOATING
#undef LOWEST
#define T int8_t
#define LOWEST INT8_MIN
#define NAME(kind) pool_##kind##_int8
#include "ops/tmpl/pool.inc"
#undef T
#undef LOWEST
#undef NAME
#define T uint8_t
#define LOWEST 0
#define NAME(kind) pool_##kind##_uint8
#include "ops/tmpl/pool.inc"
#undef T
#undef LOWEST
#undef NAME
#undef LOAD
#undef STORE

#define OFFSET(field) ((uint16_t)offsetof(oi_pool_attr, field))
#define WINDOW_ATTRS                                                                                                     \
    {.name = "auto_pad", .type = OI_ATTR_ENUM, .offset = OFFSET(window.auto_pad), .s = OI_AUTO_PAD_WORDS},               \
    {.name = "ceil_mode", .type = OI_ATTR_INT, .offset = OFFSET(window.ceil_mode)},                                      \
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = OFFSET(window.dilations)},                                     \
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = OFFSET(window.kernel_shape), .flags = OI_ATTR_REQUIRED},    \
    {.name = "pads", .type = OI_ATTR_INTS, .offset = OFFSET(window.pads)},                                               \
    {.name = "strides", .type = OI_ATTR_INTS, .offset = OFFSET(window.strides)}
static const oi_attr_spec max_attrs[] = {
    WINDOW_ATTRS,
    {.name = "storage_order", .type = OI_ATTR_INT, .offset = OFFSET(storage_order)},
    {0},
};
static const oi_attr_spec average_attrs[] = {
    WINDOW_ATTRS,
    {.name = "count_include_pad", .type = OI_ATTR_INT, .offset = OFFSET(count_include_pad)},
    {0},
};
static const oi_attr_spec lp_attrs[] = {
    WINDOW_ATTRS,
    {.name = "p", .type = OI_ATTR_INT, .offset = OFFSET(p), .i = 2},
    {0},
};
static const oi_attr_spec global_lp_attrs[] = {
    {.name = "p", .type = OI_ATTR_INT, .offset = OFFSET(p), .i = 2},
    {0},
};

static bool is_global(const oi_op *op)
{
    return strncmp(op->name, "Global", 6) == 0;
}

/* The window of the operator over these spatial sizes; a global one spans them. */
static oi_status resolve(const oi_op *op, const oi_pool_attr *a, int32_t nd, const int64_t *in, oi_window *w)
{
    if (!is_global(op)) {
        OI_TRY(oi_window_init(&a->window, nd, NULL, w));
        return oi_window_resolve(&a->window, in, w);
    }
    OI_FAIL_IF(nd < 0 || nd > OI_WINDOW_MAX, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 2..%d", nd + 2,
               OI_MAX_RANK);
    memset(w, 0, sizeof *w);
    w->nd = nd;
    for (int32_t i = 0; i < nd; i++) {
        w->in[i] = w->kernel[i] = in[i];
        w->out[i] = w->stride[i] = w->dilation[i] = 1;
    }
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_pool_attr *a = x->attr;
    const oi_fact *in = x->in[0];
    int32_t rank = in->shape.rank, known_rank;
    oi_infer_set_same(x, 0, 0);
    if (rank >= 0) {
        OI_FAIL_IF(rank < 2 || rank > OI_MAX_RANK, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 3..%d", rank,
                   OI_MAX_RANK);
        int64_t dims[OI_MAX_RANK];
        oi_dim out[OI_MAX_RANK] = {in->shape.dim[0], in->shape.dim[1]};
        oi_window w;
        if (oi_fact_dims(in, &known_rank, dims)) {
            OI_TRY(resolve(x->op, a, rank - 2, dims + 2, &w));
            for (int32_t i = 0; i < w.nd; i++)
                out[2 + i] = w.out[i];
        } else if (is_global(x->op)) {
            for (int32_t i = 2; i < rank; i++)
                out[i] = 1;
        } else {
            OI_TRY(oi_window_init(&a->window, rank - 2, NULL, &w));
            oi_window_infer(x->syms, &a->window, &w, in->shape.dim + 2, out + 2);
        }
        oi_infer_set(x, 0, in->dtype, rank, out);
    }
    if (oi_infer_wants(x, 1)) {
        x->out[1] = x->out[0];
        x->out[1].dtype = ONNX_INFER_INT64;
    }
    return ONNX_INFER_OK;
}

typedef oi_status (*plane_fn)(void *job, size_t plane);

static oi_status eval_kind(oi_eval *e, plane_fn as_float, plane_fn as_double, plane_fn as_int8, plane_fn as_uint8)
{
    const oi_pool_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    pool_job job = {.column_major = a && a->storage_order, .count_include_pad = a && a->count_include_pad, .p = a ? a->p : 0};
    OI_FAIL_IF(x->rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected at least 3", x->rank);
    OI_TRY(resolve(e->op, a, x->rank - 2, x->dim + 2, &job.window));
    int64_t dims[OI_MAX_RANK] = {x->dim[0], x->dim[1]};
    memcpy(dims + 2, job.window.out, (size_t)job.window.nd * sizeof *dims);
    if (oi_eval_wants(e, 1)) {
        oi_tensor *index;
        OI_TRY(oi_eval_out(e, 1, ONNX_INFER_INT64, x->rank, dims, &index));
        job.index = index->data;
    }
    size_t planes = (size_t)(x->dim[0] * x->dim[1]);
    plane_fn direct = x->dtype == ONNX_INFER_DOUBLE ? as_double : x->dtype == ONNX_INFER_INT8 ? as_int8
                    : x->dtype == ONNX_INFER_UINT8 ? as_uint8 : NULL;
    if (direct) {
        oi_tensor *y;
        OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &y));
        job.x = x->data, job.y = y->data;
        return e->host->parallel(e, planes, direct, &job);
    }
    const float *in;
    oi_widen_out out;
    OI_TRY(oi_widen_in(e, 0, &in));
    OI_TRY(oi_widen_begin(e, 0, x->dtype, x->rank, dims, &out));
    job.x = in, job.y = out.p;
    OI_TRY(e->host->parallel(e, planes, as_float, &job));
    oi_widen_finish(&out);
    return ONNX_INFER_OK;
}

static oi_status eval_max(oi_eval *e)
{
    return eval_kind(e, pool_max_float, pool_max_double, pool_max_int8, pool_max_uint8);
}

static oi_status eval_average(oi_eval *e)
{
    return eval_kind(e, pool_average_float, pool_average_double, NULL, NULL);
}

static oi_status eval_lp(oi_eval *e)
{
    return eval_kind(e, pool_lp_float, pool_lp_double, NULL, NULL);
}

#define POOL_OP(id, version, outs, table, size, evaluate, lowering)                                                      \
    const oi_op oi_op_##id = {                                                                                           \
        .name = #id, .domain = "", .since = 1, .newest = version, .min_in = 1, .max_in = 1, .min_out = 1,                \
        .max_out = outs, .attrs = table, .attr_size = size, .infer = infer, .eval = evaluate, .lower = lowering,         \
    }
POOL_OP(AveragePool, 22, 1, average_attrs, sizeof(oi_pool_attr), eval_average, oi_pool_lower);
POOL_OP(MaxPool, 22, 2, max_attrs, sizeof(oi_pool_attr), eval_max, oi_pool_lower);
POOL_OP(LpPool, 22, 1, lp_attrs, sizeof(oi_pool_attr), eval_lp, NULL);
POOL_OP(GlobalAveragePool, 22, 1, NULL, 0, eval_average, oi_pool_lower);
POOL_OP(GlobalMaxPool, 22, 1, NULL, 0, eval_max, oi_pool_lower);
POOL_OP(GlobalLpPool, 22, 1, global_lp_attrs, sizeof(oi_pool_attr), eval_lp, NULL);
