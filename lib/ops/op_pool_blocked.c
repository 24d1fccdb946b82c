/* Pooling in blocked layout. */
#include "kernels/conv.h"
#include "ops/eval_prepared.h"
#include "ops/op_conv_blocked.h"
#include "ops/op_conv_bytes.h"
#include "ops/op_pool.h"
#include "ops/rewrite.h"

#include <string.h>

typedef struct {
    int64_t kind;                       /* oi_pool_kind */
    oi_ints kernel, strides, dilations; /* 2 each */
    oi_ints pads;                       /* top, left, bottom, right */
    oi_ints out;                        /* output height and width */
} pool_attr;

#define OFFSET(field) ((uint16_t)offsetof(pool_attr, field))
static const oi_attr_spec attrs[] = {
    {.name = "kind", .type = OI_ATTR_ENUM, .offset = OFFSET(kind), .s = "max|average|average_with_pads|sum_square"},
    {.name = "kernel", .type = OI_ATTR_INTS, .offset = OFFSET(kernel), .flags = OI_ATTR_REQUIRED},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = OFFSET(strides), .flags = OI_ATTR_REQUIRED},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = OFFSET(dilations), .flags = OI_ATTR_REQUIRED},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = OFFSET(pads), .flags = OI_ATTR_REQUIRED},
    {.name = "out", .type = OI_ATTR_INTS, .offset = OFFSET(out), .flags = OI_ATTR_REQUIRED},
    {0},
};

static oi_status check_attr(const pool_attr *a)
{
    bool good = a->kernel.n == 2 && a->strides.n == 2 && a->dilations.n == 2 && a->pads.n == 4 && a->out.n == 2;
    OI_FAIL_IF(!good, ONNX_INFER_E_INTERNAL, "an attribute list has a wrong length");
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const pool_attr *a = x->attr;
    const oi_shape *in = &x->in[0]->shape;
    OI_TRY(check_attr(a));
    OI_FAIL_IF(in->rank != 5, ONNX_INFER_E_INTERNAL, "input 0 has rank %d", in->rank);
    oi_dim dims[5] = {in->dim[0], in->dim[1], a->out.at[0], a->out.at[1], in->dim[4]};
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 5, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    const oi_kernels *kernels;
    oi_pool_shape shape;
    size_t in_plane, out_plane, rows, parts; /* a task: `rows` output rows of one channel block */
    bool whole;                              /* an average over the whole plane */
} pool_state;

static oi_status run_pool(const oi_run *r, uint32_t task)
{
    const pool_state *s = r->step->state;
    size_t plane = task / s->parts, first = task % s->parts * s->rows, last = first + s->rows;
    const float *x = (const float *)r->in[0] + plane * s->in_plane;
    float *y = (float *)r->out[0] + plane * s->out_plane;
    if (s->whole) {
        size_t pixels = s->shape.h * s->shape.w, vl = s->kernels->vl;
        s->kernels->lane_sum(pixels, x, y);
        for (size_t i = 0; i < vl; i++)
            y[i] /= (float)pixels;
        return ONNX_INFER_OK;
    }
    s->kernels->pool(&s->shape, x, y, first, last < s->shape.oh ? last : s->shape.oh);
    return ONNX_INFER_OK;
}

enum { TAPS_PER_TASK = 1 << 14 };

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const pool_attr *a = step->attr;
    const int64_t *in = step->in[0].dim;
    OI_TRY(check_attr(a));
    pool_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    size_t vl = p->target->kernels->vl;
    OI_FAIL_IF((size_t)in[4] != vl, ONNX_INFER_E_INTERNAL, "block %lld, the kernels have %zu", (long long)in[4], vl);
    s->kernels = p->target->kernels;
    s->shape = (oi_pool_shape){
        .kind = (oi_pool_kind)a->kind, .h = (size_t)in[2], .w = (size_t)in[3],
        .oh = (size_t)a->out.at[0], .ow = (size_t)a->out.at[1], .kh = (size_t)a->kernel.at[0], .kw = (size_t)a->kernel.at[1],
        .sh = (size_t)a->strides.at[0], .sw = (size_t)a->strides.at[1],
        .dh = (size_t)a->dilations.at[0], .dw = (size_t)a->dilations.at[1],
        .pt = (size_t)a->pads.at[0], .pl = (size_t)a->pads.at[1], .pb = (size_t)a->pads.at[2], .pr = (size_t)a->pads.at[3],
    };
    const oi_pool_shape *q = &s->shape;
    s->in_plane = q->h * q->w * vl;
    s->out_plane = q->oh * q->ow * vl;
    s->whole = q->kind == OI_POOL_AVERAGE && q->kh == q->h && q->kw == q->w && q->oh == 1 && q->ow == 1 && !q->pt && !q->pl;
    size_t taps = q->ow * q->kh * q->kw;
    s->rows = taps < TAPS_PER_TASK ? TAPS_PER_TASK / (taps ? taps : 1) : 1;
    s->parts = (q->oh + s->rows - 1) / s->rows;
    step->state = s;
    step->run = run_pool;
    step->n_tasks = (uint32_t)((size_t)(in[0] * in[1]) * s->parts);
    step->kernel = oi_arena_format(p->arena, "pool %zux%zu %s", q->kh, q->kw, s->kernels->name);
    step->flops = (uint64_t)step->n_tasks / (s->parts ? s->parts : 1) * q->oh * taps * vl;
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const pool_attr *a = e->attr;
    const int64_t *in = oi_eval_in(e, 0)->dim;
    OI_TRY(check_attr(a));
    int64_t dims[5] = {in[0], in[1], a->out.at[0], a->out.at[1], in[4]};
    for (oi_cpu_isa isa = 0; isa < OI_ISA_COUNT; isa++) {
        if ((int64_t)oi_kernels_for(isa)->vl == in[4])
            return oi_eval_prepared(e, isa, ONNX_INFER_FLOAT, 5, dims);
    }
    return oi_fail(ONNX_INFER_E_INTERNAL, "no kernels with blocks of %lld", (long long)in[4]);
}

const oi_op oi_op_oi_PoolBlocked = {
    .name = "PoolBlocked", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(pool_attr),
    .infer = infer, .eval = eval, .prepare = prepare,
};

/* Of one number for each axis, those of the last two; 1 for an axis that is not there. */
static oi_ints last_two(oi_rewrite *rw, int32_t nd, const int64_t *v)
{
    int64_t pair[2] = {nd == 2 ? v[0] : 1, v[nd - 1]};
    return oi_rewrite_ints(rw, pair, 2);
}

oi_status oi_pool_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    const oi_pool_attr *a = node.attr;
    const oi_fact *x = oi_graph_fact(g, node.in[0]);
    int32_t rank;
    int64_t in[OI_MAX_RANK];
    oi_window w = {0};
    if (node.op == &oi_op_MaxPool && x->dtype != ONNX_INFER_FLOAT)
        return oi_pool_bytes_lower(rw, id, target);
    if (x->dtype != ONNX_INFER_FLOAT || !oi_fact_dims(x, &rank, in) || rank < 3 || rank > 4 || oi_dims_count(rank, in) == 0 ||
        (node.nout > 1 && node.out[1] != OI_NONE))
        return ONNX_INFER_OK;
    w.nd = rank - 2;
    if (a) {
        OI_TRY(oi_window_init(&a->window, w.nd, NULL, &w));
        OI_TRY(oi_window_resolve(&a->window, in + 2, &w));
    } else {
        for (int32_t i = 0; i < w.nd; i++) {
            w.in[i] = w.kernel[i] = in[2 + i];
            w.out[i] = w.stride[i] = w.dilation[i] = 1;
        }
    }
    if (oi_dims_count(w.nd, w.out) == 0)
        return ONNX_INFER_OK;
    pool_attr *pool = oi_attr_new(g->arena, &oi_op_oi_PoolBlocked);
    oi_to_blocked_attr *to = oi_attr_new(g->arena, &oi_op_oi_ReorderToBlocked);
    oi_from_blocked_attr *from = oi_attr_new(g->arena, &oi_op_oi_ReorderFromBlocked);
    if (!pool || !to || !from)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    bool is_max = node.op == &oi_op_MaxPool || node.op == &oi_op_GlobalMaxPool;
    pool->kind = is_max ? OI_POOL_MAX : a && a->count_include_pad ? OI_POOL_AVERAGE_WITH_PADS : OI_POOL_AVERAGE;
    int64_t pads[4] = {w.nd == 2 ? w.begin[0] : 0, w.begin[w.nd - 1], w.nd == 2 ? w.end[0] : 0, w.end[w.nd - 1]};
    pool->pads = oi_rewrite_ints(rw, pads, 4);
    pool->kernel = last_two(rw, w.nd, w.kernel);
    pool->strides = last_two(rw, w.nd, w.stride);
    pool->dilations = last_two(rw, w.nd, w.dilation);
    pool->out = last_two(rw, w.nd, w.out);
    OI_TRY(rw->status);
    to->block = (int64_t)target->kernels->vl;
    from->channels = in[1];
    from->rank = rank;
    oi_value_id blocked = oi_rewrite_node(rw, &oi_op_oi_ReorderToBlocked, to, 1, &node.in[0]);
    oi_value_id pooled = oi_rewrite_node(rw, &oi_op_oi_PoolBlocked, pool, 1, &blocked);
    oi_rewrite_replace(rw, node.out[0], oi_rewrite_node(rw, &oi_op_oi_ReorderFromBlocked, from, 1, &pooled));
    return rw->status;
}
