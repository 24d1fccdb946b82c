/* The convolution in blocked layout, its packed weights, and Conv's lowering to them. */
#include "ops/op_conv_blocked.h"

#include "base/checked.h"
#include "kernels/conv.h"
#include "ops/eval_prepared.h"
#include "ops/op_conv.h"
#include "ops/rewrite.h"

#include <stdio.h>
#include <string.h>

#define CONV(field) ((uint16_t)offsetof(oi_conv_blocked_attr, field))
static const oi_attr_spec conv_attrs[] = {
    {.name = "isa", .type = OI_ATTR_INT, .offset = CONV(isa), .flags = OI_ATTR_REQUIRED},
    {.name = "channels", .type = OI_ATTR_INT, .offset = CONV(channels), .flags = OI_ATTR_REQUIRED},
    {.name = "out_channels", .type = OI_ATTR_INT, .offset = CONV(out_channels), .flags = OI_ATTR_REQUIRED},
    {.name = "group", .type = OI_ATTR_INT, .offset = CONV(group), .i = 1},
    {.name = "kernel", .type = OI_ATTR_INTS, .offset = CONV(kernel), .flags = OI_ATTR_REQUIRED},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = CONV(strides), .flags = OI_ATTR_REQUIRED},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = CONV(dilations), .flags = OI_ATTR_REQUIRED},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = CONV(pads), .flags = OI_ATTR_REQUIRED},
    {.name = "out", .type = OI_ATTR_INTS, .offset = CONV(out), .flags = OI_ATTR_REQUIRED},
    {.name = "transposed", .type = OI_ATTR_INT, .offset = CONV(transposed)},
    {.name = "in_plain", .type = OI_ATTR_INT, .offset = CONV(in_plain)},
    OI_ACTIVATION_ATTRS(oi_conv_blocked_attr, act),
    {0},
};

#define PACK(field) ((uint16_t)offsetof(oi_pack_conv_attr, field))
static const oi_attr_spec pack_attrs[] = {
    {.name = "isa", .type = OI_ATTR_INT, .offset = PACK(isa), .flags = OI_ATTR_REQUIRED},
    {.name = "channels", .type = OI_ATTR_INT, .offset = PACK(channels), .flags = OI_ATTR_REQUIRED},
    {.name = "out_channels", .type = OI_ATTR_INT, .offset = PACK(out_channels), .flags = OI_ATTR_REQUIRED},
    {.name = "group", .type = OI_ATTR_INT, .offset = PACK(group), .i = 1},
    {.name = "kernel", .type = OI_ATTR_INTS, .offset = PACK(kernel), .flags = OI_ATTR_REQUIRED},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = PACK(strides), .flags = OI_ATTR_REQUIRED},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = PACK(dilations), .flags = OI_ATTR_REQUIRED},
    {.name = "transposed", .type = OI_ATTR_INT, .offset = PACK(transposed)},
    {.name = "in_plain", .type = OI_ATTR_INT, .offset = PACK(in_plain)},
    {0},
};

static oi_status need_counts(const oi_ints *list, const char *name, uint32_t n)
{
    OI_FAIL_IF(list->n != n, ONNX_INFER_E_INTERNAL, "attribute %s has %u elements, expected %u", name, list->n, n);
    return ONNX_INFER_OK;
}

static oi_status pack_plan(const oi_pack_conv_attr *a, oi_conv_plan *plan)
{
    OI_TRY(need_counts(&a->kernel, "kernel", 2));
    OI_TRY(need_counts(&a->strides, "strides", 2));
    OI_TRY(need_counts(&a->dilations, "dilations", 2));
    size_t kh = (size_t)a->kernel.at[0], kw = (size_t)a->kernel.at[1];
    oi_conv_shape shape = {
        .n = 1, .c = (size_t)a->channels, .h = kh, .w = kw, .oc = (size_t)a->out_channels, .oh = 1, .ow = 1,
        .kh = kh, .kw = kw, .sh = (size_t)a->strides.at[0], .sw = (size_t)a->strides.at[1], .dh = 1, .dw = 1,
        .groups = (size_t)a->group, .in_plain = a->in_plain != 0, .transposed = a->transposed != 0,
    };
    if (a->transposed) {
        shape.h = shape.w = 1;
        shape.oh = kh, shape.ow = kw;
        shape.dh = (size_t)a->dilations.at[0], shape.dw = (size_t)a->dilations.at[1]; /* they say which phase a tap is in */
    }
    return oi_conv_plan_init(plan, oi_kernels_for((oi_cpu_isa)a->isa), &shape);
}

static oi_status infer_pack(oi_infer *x)
{
    oi_conv_plan plan;
    OI_TRY(pack_plan(x->attr, &plan));
    oi_dim size = (oi_dim)plan.packed;
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 1, &size);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_conv_plan plan;
    const void *from;
    const float *scale;
    float *to;
} packing;

static oi_status pack_part(void *arg, size_t i)
{
    const packing *p = arg;
    oi_conv_pack_part(&p->plan, p->from, p->scale, i, p->to);
    return ONNX_INFER_OK;
}

static oi_status eval_pack(oi_eval *e)
{
    const oi_tensor *scale = oi_eval_in(e, 1);
    packing p = {.from = oi_eval_in(e, 0)->data, .scale = scale ? scale->data : NULL};
    OI_TRY(pack_plan(e->attr, &p.plan));
    int64_t size = (int64_t)p.plan.packed;
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, 1, &size, &out));
    p.to = out->data;
    return oi_eval_parts(e, oi_conv_pack_parts(&p.plan), out->bytes, pack_part, &p);
}

const oi_op oi_op_oi_PackConvWeights = {
    .name = "PackConvWeights", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .loose = 1, .attrs = pack_attrs, .attr_size = sizeof(oi_pack_conv_attr),
    .infer = infer_pack, .eval = eval_pack,
};

static oi_status check_attr(const oi_conv_blocked_attr *a)
{
    OI_TRY(need_counts(&a->kernel, "kernel", 2));
    OI_TRY(need_counts(&a->strides, "strides", 2));
    OI_TRY(need_counts(&a->dilations, "dilations", 2));
    OI_TRY(need_counts(&a->pads, "pads", 4));
    return need_counts(&a->out, "out", 2);
}

static oi_status infer_conv(oi_infer *x)
{
    const oi_conv_blocked_attr *a = x->attr;
    OI_TRY(check_attr(a));
    OI_FAIL_IF(x->in[0]->shape.rank != (a->in_plain ? 4 : 5), ONNX_INFER_E_INTERNAL, "input 0 has rank %d",
               x->in[0]->shape.rank);
    int64_t block = (int64_t)oi_kernels_for((oi_cpu_isa)a->isa)->vl;
    oi_dim dims[5] = {x->in[0]->shape.dim[0], (a->out_channels + block - 1) / block, a->out.at[0], a->out.at[1], block};
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 5, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_conv_plan plan;
    oi_activation act;
    uint32_t scaling; /* tasks of the first phase, which scale the weights into the workspace */
} conv_state;

static oi_status run_conv(const oi_run *r, uint32_t task)
{
    const conv_state *s = r->step->state;
    if (task < s->scaling) {
        oi_conv_scale_part(&s->plan, r->in[1], r->in[4], task, r->workspace);
        return ONNX_INFER_OK;
    }
    oi_conv_args args = {.x = r->in[0], .weights = s->scaling ? r->workspace : r->in[1], .y = r->out[0], .stop = r->stop};
    args.epilogue = oi_activation_epilogue(&s->act, r->step->nin > 2 ? r->in[2] : NULL, r->step->nin > 3 ? r->in[3] : NULL);
    oi_conv_run(&s->plan, &args, task - s->scaling, r->thread_workspace);
    return ONNX_INFER_OK;
}

static const char *kernel_name(oi_arena *arena, const oi_conv_plan *plan)
{
    static const char *const algo[] = {"direct", "pointwise", "depthwise", "phases", "winograd"};
    return oi_arena_format(arena, "conv %zux%zu %s %s", plan->shape.kh, plan->shape.kw, algo[plan->algo], plan->kern->name);
}

static oi_status prepare_conv(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_conv_blocked_attr *a = step->attr;
    const int64_t *in = step->in[0].dim;
    conv_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(check_attr(a));
    oi_conv_shape shape = {
        .n = (size_t)in[0], .c = (size_t)a->channels, .h = (size_t)in[2], .w = (size_t)in[3],
        .oc = (size_t)a->out_channels, .oh = (size_t)a->out.at[0], .ow = (size_t)a->out.at[1],
        .kh = (size_t)a->kernel.at[0], .kw = (size_t)a->kernel.at[1],
        .sh = (size_t)a->strides.at[0], .sw = (size_t)a->strides.at[1],
        .dh = (size_t)a->dilations.at[0], .dw = (size_t)a->dilations.at[1],
        .pt = (size_t)a->pads.at[0], .pl = (size_t)a->pads.at[1],
        .groups = (size_t)a->group, .in_plain = a->in_plain != 0, .transposed = a->transposed != 0,
    };
    OI_TRY(oi_conv_plan_init(&s->plan, oi_kernels_for((oi_cpu_isa)a->isa), &shape));
    s->act = a->act;
    step->state = s;
    step->run = run_conv;
    step->n_tasks = (uint32_t)s->plan.n_tasks;
    step->thread_workspace = s->plan.workspace * sizeof(float);
    step->in_place = step->nin > 3 && step->in[3].dtype ? 3 : -1;
    if (step->nin > 4) {
        s->scaling = (uint32_t)oi_conv_scale_parts(&s->plan);
        OI_FAIL_IF(!s->scaling || shape.n != 1, ONNX_INFER_E_INTERNAL, "this convolution takes no scale for its input");
        step->phases = 2;
        step->phase_end[0] = s->scaling;
        step->n_tasks = step->phase_end[1] = s->scaling + (uint32_t)s->plan.n_tasks;
        step->workspace = s->plan.packed * sizeof(float);
    }
    const size_t pixels = a->transposed ? shape.h * shape.w : shape.oh * shape.ow;
    step->flops = 2 * (uint64_t)(shape.n * pixels * shape.oc * (shape.c / shape.groups) * shape.kh * shape.kw);
    step->kernel = kernel_name(p->arena, &s->plan);
    return ONNX_INFER_OK;
}

static oi_status eval_conv(oi_eval *e)
{
    const oi_conv_blocked_attr *a = e->attr;
    OI_TRY(check_attr(a));
    int64_t block = (int64_t)oi_kernels_for((oi_cpu_isa)a->isa)->vl;
    int64_t dims[5] = {oi_eval_in(e, 0)->dim[0], (a->out_channels + block - 1) / block, a->out.at[0], a->out.at[1], block};
    return oi_eval_prepared(e, (oi_cpu_isa)a->isa, ONNX_INFER_FLOAT, 5, dims);
}

const oi_op oi_op_oi_ConvBlocked = {
    .name = "ConvBlocked", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 2, .max_in = 5, .min_out = 1, .max_out = 1, .attrs = conv_attrs, .attr_size = sizeof(oi_conv_blocked_attr),
    .infer = infer_conv, .eval = eval_conv, .prepare = prepare_conv,
};

/* --- lowering ---------------------------------------------------------------------------------------------------- */

/* The window as two spatial axes; false where it has another number. */
static bool as_two_axes(const oi_window *w, const int64_t *size, int64_t *hw)
{
    if (w->nd != 1 && w->nd != 2)
        return false;
    hw[0] = w->nd == 2 ? size[0] : 1;
    hw[1] = size[w->nd - 1];
    return true;
}

/* [n, c, w] as [n, c, 1, w]. */
static oi_value_id with_height(oi_rewrite *rw, oi_value_id v, const int64_t *dims)
{
    const int64_t shape[4] = {dims[0], dims[1], 1, dims[2]};
    const oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, shape, 4)};
    return oi_rewrite_op(rw, "", "Reshape", "", 2, in);
}

oi_status oi_conv_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    const oi_conv_attr *a = node.attr;
    const bool transposed = node.op == &oi_op_ConvTranspose;
    const oi_fact *x = oi_graph_fact(g, node.in[0]), *w = oi_graph_fact(g, node.in[1]);
    int64_t in[OI_MAX_RANK], weights[OI_MAX_RANK], out_channels, hw[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
    int32_t rank, w_rank;
    oi_window window;
    if (x->dtype != ONNX_INFER_FLOAT || !w->konst || !oi_fact_dims(x, &rank, in) || !oi_fact_dims(w, &w_rank, weights) ||
        rank < 3 || rank > 4 || oi_dims_count(rank, in) == 0 || oi_dims_count(w_rank, weights) == 0)
        return ONNX_INFER_OK;
    OI_TRY(oi_window_init(&a->window, rank - 2, weights + 2, &window));
    OI_TRY(oi_conv_check(a, transposed, in, w_rank, weights, &out_channels));
    OI_TRY(transposed ? oi_conv_transpose_resolve(a, in + 2, &window) : oi_window_resolve(&a->window, in + 2, &window));
    if (!as_two_axes(&window, transposed ? window.in : window.out, hw) || hw[0] * hw[1] == 0 ||
        !as_two_axes(&window, window.kernel, kernel) || !as_two_axes(&window, window.stride, stride) ||
        !as_two_axes(&window, window.dilation, dilation))
        return ONNX_INFER_OK;
    as_two_axes(&window, window.begin, begin);
    as_two_axes(&window, window.end, end);
    if (rank == 3)
        begin[0] = end[0] = 0;

    oi_conv_blocked_attr *conv = oi_attr_new(g->arena, &oi_op_oi_ConvBlocked);
    oi_pack_conv_attr *pack = oi_attr_new(g->arena, &oi_op_oi_PackConvWeights);
    oi_to_blocked_attr *to = oi_attr_new(g->arena, &oi_op_oi_ReorderToBlocked);
    oi_from_blocked_attr *from = oi_attr_new(g->arena, &oi_op_oi_ReorderFromBlocked);
    if (!conv || !pack || !to || !from)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    conv->isa = pack->isa = target->isa;
    conv->channels = pack->channels = in[1];
    conv->out_channels = pack->out_channels = out_channels;
    conv->group = pack->group = a->group;
    conv->transposed = pack->transposed = transposed;
    conv->in_plain = pack->in_plain = in[1] <= 4 && a->group == 1 && !transposed;
    int64_t pads[4] = {begin[0], begin[1], end[0], end[1]};
    conv->kernel = oi_rewrite_ints(rw, kernel, 2);
    conv->strides = oi_rewrite_ints(rw, stride, 2);
    conv->dilations = oi_rewrite_ints(rw, dilation, 2);
    conv->pads = oi_rewrite_ints(rw, pads, 4);
    conv->out = oi_rewrite_ints(rw, hw, 2);
    OI_TRY(rw->status);
    pack->kernel = conv->kernel;
    pack->strides = conv->strides;
    pack->dilations = conv->dilations;
    to->block = (int64_t)target->kernels->vl;
    from->channels = out_channels;
    from->rank = rank;

    oi_value_id packed = oi_rewrite_node(rw, &oi_op_oi_PackConvWeights, pack, 1, &node.in[1]);
    oi_value_id input = !conv->in_plain ? oi_rewrite_node(rw, &oi_op_oi_ReorderToBlocked, to, 1, &node.in[0])
                        : rank == 4     ? node.in[0]
                                        : with_height(rw, node.in[0], in);
    oi_value_id conv_in[3] = {input, packed, node.nin > 2 ? node.in[2] : OI_NONE};
    oi_value_id blocked = oi_rewrite_node(rw, &oi_op_oi_ConvBlocked, conv, conv_in[2] == OI_NONE ? 2 : 3, conv_in);
    oi_value_id out = oi_rewrite_node(rw, &oi_op_oi_ReorderFromBlocked, from, 1, &blocked);
    oi_rewrite_replace(rw, node.out[0], out);
    return rw->status;
}
