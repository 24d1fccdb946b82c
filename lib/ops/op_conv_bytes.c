/* The convolution of bytes, its packed weights, and QLinearConv's lowering to them. */
#include "ops/op_conv_bytes.h"

#include "base/checked.h"
#include "kernels/conv_bytes.h"
#include "ops/eval_prepared.h"
#include "ops/rewrite.h"

#include <string.h>

enum { X, PACKED, W_SCALE, BIAS, W_ZERO, RESIDUAL };

#define INT(owner, field, ...) {.name = #field, .type = OI_ATTR_INT, .offset = offsetof(owner, field), __VA_ARGS__}
#define INTS(owner, field) {.name = #field, .type = OI_ATTR_INTS, .offset = offsetof(owner, field), .flags = OI_ATTR_REQUIRED}
#define FLOAT(owner, field) {.name = #field, .type = OI_ATTR_FLOAT, .offset = offsetof(owner, field)}

#define A oi_conv_bytes_attr
static const oi_attr_spec conv_attrs[] = {
    INT(A, isa, .flags = OI_ATTR_REQUIRED), INT(A, channels, .flags = OI_ATTR_REQUIRED), INT(A, out_channels, .flags = OI_ATTR_REQUIRED),
    INT(A, group, .i = 1), INTS(A, kernel), INTS(A, strides), INTS(A, dilations), INTS(A, pads), INTS(A, out), INT(A, columns, 0),
    INT(A, w_signed, 0), INT(A, x_zero, 0), INT(A, y_zero, 0), INT(A, y_signed, 0), INT(A, low, 0), INT(A, high, 0), FLOAT(A, x_scale),
    FLOAT(A, y_scale), INT(A, r_zero, 0), INT(A, sum_zero, 0), INT(A, sum_signed, 0), INT(A, sum_low, 0), INT(A, sum_high, 0),
    FLOAT(A, r_scale), FLOAT(A, sum_scale), {0},
};
#undef A
#define A oi_pack_conv_bytes_attr
static const oi_attr_spec pack_attrs[] = {
    INT(A, isa, .flags = OI_ATTR_REQUIRED), INT(A, channels, .flags = OI_ATTR_REQUIRED), INT(A, out_channels, .flags = OI_ATTR_REQUIRED),
    INT(A, group, .i = 1), INTS(A, kernel), INT(A, columns, 0), {0},
};
#undef A

/* --- PackConvBytes --- */

static oi_status pack_plan(const oi_pack_conv_bytes_attr *a, oi_dtype dtype, oi_conv_bytes_plan *plan)
{
    OI_FAIL_IF(a->kernel.n != 2, ONNX_INFER_E_INTERNAL, "attribute kernel has %u elements, expected 2", a->kernel.n);
    const oi_conv_bytes_shape shape = {
        .n = 1, .c = (size_t)a->channels, .h = 1, .w = 1, .oc = (size_t)a->out_channels, .oh = 1, .ow = 1, .kh = (size_t)a->kernel.at[0],
        .kw = (size_t)a->kernel.at[1], .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = (size_t)a->group, .columns = a->columns != 0,
        .w_signed = dtype == ONNX_INFER_INT8};
    return oi_conv_bytes_plan_init(plan, oi_kernels_for((oi_cpu_isa)a->isa), &shape);
}

static oi_status infer_pack(oi_infer *x)
{
    oi_conv_bytes_plan plan;
    OI_TRY(pack_plan(x->attr, x->in[0]->dtype, &plan));
    oi_infer_set(x, 0, ONNX_INFER_UINT8, 1, &(oi_dim){(oi_dim)plan.packed});
    return ONNX_INFER_OK;
}

static oi_status eval_pack(oi_eval *e)
{
    oi_conv_bytes_plan plan;
    oi_tensor *out;
    OI_TRY(pack_plan(e->attr, e->in[0]->dtype, &plan));
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_UINT8, 1, &(int64_t){(int64_t)plan.packed}, &out));
    oi_conv_bytes_pack(&plan, e->in[0]->data, out->data);
    return ONNX_INFER_OK;
}

const oi_op oi_op_oi_PackConvBytes = {
    .name = "PackConvBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 1, .max_in = 1,
    .min_out = 1, .max_out = 1, .attrs = pack_attrs, .attr_size = sizeof(oi_pack_conv_bytes_attr), .infer = infer_pack, .eval = eval_pack,
};

/* --- ConvBytes --- */

static oi_status check_attr(const oi_conv_bytes_attr *a)
{
    OI_FAIL_IF(a->kernel.n != 2 || a->strides.n != 2 || a->dilations.n != 2 || a->pads.n != 4 || a->out.n != 2, ONNX_INFER_E_INTERNAL,
               "ConvBytes: lists of wrong lengths");
    return ONNX_INFER_OK;
}

static oi_dtype result_type(const oi_conv_bytes_attr *a, bool residual)
{
    return (residual ? a->sum_signed : a->y_signed) ? ONNX_INFER_INT8 : ONNX_INFER_UINT8;
}

static oi_status infer_conv(oi_infer *x)
{
    const oi_conv_bytes_attr *a = x->attr;
    OI_TRY(check_attr(a));
    OI_FAIL_IF(x->in[X]->shape.rank != 4, ONNX_INFER_E_INTERNAL, "input 0 has rank %d", x->in[X]->shape.rank);
    const oi_dim dims[4] = {x->in[X]->shape.dim[0], a->out.at[0], a->out.at[1], a->out_channels};
    oi_infer_set(x, 0, result_type(a, oi_infer_in(x, RESIDUAL) != NULL), 4, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_conv_bytes_plan plan;
    oi_byte_scaling scaling;
    oi_conv_bytes_terms terms; /* of constant weights; else phase 0 makes them in the workspace */
    bool known;
} conv_state;

static const oi_tensor *input(const oi_step *step, uint32_t i)
{
    return i < step->nin && step->in[i].dtype ? &step->in[i] : NULL;
}

/* The terms of the step's inputs, `data` of each. w_zero: room for out_channels numbers. */
static void fill_terms(const oi_step *step, const conv_state *s, const void *const *data, int32_t *w_zero, float *factor, oi_conv_bytes_terms *terms)
{
    const oi_conv_bytes_attr *a = step->attr;
    const oi_tensor *scale = input(step, W_SCALE), *zero = input(step, W_ZERO);
    const size_t n = (size_t)oi_tensor_count(scale);
    for (size_t i = 0; i < n; i++)
        factor[i] = a->x_scale * ((const float *)data[W_SCALE])[i] / a->y_scale;
    for (size_t i = 0; zero && i < (size_t)a->out_channels; i++) {
        const size_t at = oi_tensor_count(zero) > 1 ? i : 0;
        w_zero[i] = zero->dtype == ONNX_INFER_INT8 ? ((const int8_t *)data[W_ZERO])[at] : ((const uint8_t *)data[W_ZERO])[at];
    }
    oi_conv_bytes_fill(&s->plan, data[PACKED], (int32_t)a->x_zero, input(step, BIAS) ? data[BIAS] : NULL, zero ? w_zero : NULL, factor, n > 1, terms);
}

/* Room for terms: a list of numbers after the other, zero points and factors behind. */
static size_t terms_room(const conv_state *s)
{
    return (3 * s->plan.terms + 2 * s->plan.shape.oc) * sizeof(int32_t);
}

static oi_conv_bytes_terms terms_in(const conv_state *s, void *room)
{
    int32_t *at = room;
    return (oi_conv_bytes_terms){.bias = at, .b_zero = at + s->plan.terms, .factor = (float *)(at + 2 * s->plan.terms)};
}

static void make_terms(const oi_step *step, const conv_state *s, const void *const *data, void *room, oi_conv_bytes_terms *terms)
{
    int32_t *w_zero = (int32_t *)room + 3 * s->plan.terms;
    *terms = terms_in(s, room);
    fill_terms(step, s, data, w_zero, (float *)(w_zero + s->plan.shape.oc), terms);
}

static oi_status run_conv(const oi_run *r, uint32_t task)
{
    const conv_state *s = r->step->state;
    oi_conv_bytes_terms made;
    if (!s->known && task == 0) {
        make_terms(r->step, s, r->in, r->workspace, &made);
        memcpy((char *)r->workspace + terms_room(s), (bool[]){made.has_zero, made.tame}, 2 * sizeof(bool));
        return ONNX_INFER_OK;
    }
    if (!s->known) {
        made = terms_in(s, r->workspace);
        const bool *said = (const bool *)((const char *)r->workspace + terms_room(s));
        made.has_zero = said[0];
        made.tame = said[1];
        task--;
    }
    const oi_conv_bytes_args args = {
        .x = r->in[X], .packed = r->in[PACKED], .x_zero = (int32_t)((const oi_conv_bytes_attr *)r->step->attr)->x_zero,
        .terms = s->known ? &s->terms : &made, .scaling = &s->scaling, .residual = input(r->step, RESIDUAL) ? r->in[RESIDUAL] : NULL,
        .y = r->out[0], .stop = r->stop};
    oi_conv_bytes_run(&s->plan, &args, task, r->thread_workspace);
    return ONNX_INFER_OK;
}

static oi_byte_scaling scaling_of(const oi_conv_bytes_attr *a, const oi_tensor *residual)
{
    return (oi_byte_scaling){.low = (float)(a->low - a->y_zero), .high = (float)(a->high - a->y_zero), .zero = (int32_t)a->y_zero,
                             .scale = a->y_scale, .r_scale = a->r_scale, .y_scale = a->sum_scale, .y_low = (float)(a->sum_low - a->sum_zero),
                             .y_high = (float)(a->sum_high - a->sum_zero), .r_zero = (int32_t)a->r_zero, .y_zero = (int32_t)a->sum_zero,
                             .r_signed = residual && residual->dtype == ONNX_INFER_INT8};
}

static oi_status prepare_conv(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_conv_bytes_attr *a = step->attr;
    const oi_tensor *x = &step->in[X], *residual = input(step, RESIDUAL);
    conv_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(check_attr(a));
    const oi_conv_bytes_shape shape = {
        .n = (size_t)x->dim[0], .c = (size_t)a->channels, .h = (size_t)x->dim[1], .w = (size_t)x->dim[2], .oc = (size_t)a->out_channels,
        .oh = (size_t)a->out.at[0], .ow = (size_t)a->out.at[1], .kh = (size_t)a->kernel.at[0], .kw = (size_t)a->kernel.at[1],
        .sh = (size_t)a->strides.at[0], .sw = (size_t)a->strides.at[1], .dh = (size_t)a->dilations.at[0], .dw = (size_t)a->dilations.at[1],
        .pt = (size_t)a->pads.at[0], .pl = (size_t)a->pads.at[1], .groups = (size_t)a->group, .x_signed = x->dtype == ONNX_INFER_INT8,
        .w_signed = a->w_signed != 0, .columns = a->columns != 0};
    OI_TRY(oi_conv_bytes_plan_init(&s->plan, oi_kernels_for((oi_cpu_isa)a->isa), &shape));
    s->scaling = scaling_of(a, residual);
    const void *data[RESIDUAL];
    s->known = true;
    for (uint32_t i = PACKED; i < RESIDUAL; i++) {
        const oi_tensor *t = input(step, i);
        data[i] = t ? t->data : NULL;
        s->known = s->known && (!t || t->data);
    }
    if (s->known) {
        void *room = oi_arena_mem(p->arena, terms_room(s));
        if (!room)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        make_terms(step, s, data, room, &s->terms);
    } else {
        step->workspace = terms_room(s) + 2 * sizeof(bool);
        step->phases = 2;
        step->phase_end[0] = 1;
        step->phase_end[1] = (uint32_t)s->plan.n_tasks + 1;
    }
    step->n_tasks = (uint32_t)s->plan.n_tasks + !s->known;
    step->state = s;
    step->run = run_conv;
    step->thread_workspace = s->plan.workspace;
    step->in_place = residual && residual->dtype == step->out[0].dtype ? RESIDUAL : -1;
    step->flops = 2 * (uint64_t)(shape.n * shape.oh * shape.ow * shape.oc * (shape.c / shape.groups) * shape.kh * shape.kw);
    step->kernel = oi_arena_format(p->arena, "conv %zux%zu bytes %s%s", shape.kh, shape.kw, s->plan.depthwise ? "depthwise " : "",
                                   s->plan.kern->name);
    return ONNX_INFER_OK;
}

static oi_status eval_conv(oi_eval *e)
{
    const oi_conv_bytes_attr *a = e->attr;
    OI_TRY(check_attr(a));
    const int64_t dims[4] = {oi_eval_in(e, X)->dim[0], a->out.at[0], a->out.at[1], a->out_channels};
    return oi_eval_prepared(e, (oi_cpu_isa)a->isa, result_type(a, oi_eval_in(e, RESIDUAL) != NULL), 4, dims);
}

const oi_op oi_op_oi_ConvBytes = {
    .name = "ConvBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 3, .max_in = 6,
    .min_out = 1, .max_out = 1, .attrs = conv_attrs, .attr_size = sizeof(oi_conv_bytes_attr), .infer = infer_conv, .eval = eval_conv,
    .prepare = prepare_conv,
};

/* --- lowering --- */

bool oi_codes_read(const oi_graph *g, oi_value_id scale, oi_value_id zero, oi_dtype type, oi_codes *codes)
{
    double s, z = 0;
    const oi_fact *fs = oi_graph_fact(g, scale), *fz = zero == OI_NONE ? NULL : oi_graph_fact(g, zero);
    if ((type != ONNX_INFER_UINT8 && type != ONNX_INFER_INT8) || !fs || fs->dtype != ONNX_INFER_FLOAT || !oi_match_scalar(g, scale, &s) || !(s > 0) ||
        (fz && (fz->dtype != type || !oi_match_scalar(g, zero, &z))))
        return false;
    *codes = (oi_codes){.scale = (float)s, .zero = (int32_t)z, .is_signed = type == ONNX_INFER_INT8};
    return true;
}

oi_value_id oi_bytes_to_last(oi_rewrite *rw, oi_value_id v)
{
    static const int64_t order[] = {0, 2, 3, 1};
    const oi_graph *g = rw->g;
    for (uint32_t i = 0; v != OI_NONE && i < g->value[v].nuse; i++) { /* one for all users */
        const oi_node *n = &g->node[g->value[v].use[i].node];
        const oi_ints *perm = !n->op->domain[0] && strcmp(n->op->name, "Transpose") == 0 ? oi_attr_field(n, "perm") : NULL;
        if (perm && perm->at && perm->n == 4 && memcmp(perm->at, order, sizeof order) == 0)
            return n->out[0];
    }
    return oi_rewrite_op(rw, "", "Transpose", "perm=[0,2,3,1]", 1, &v);
}

oi_value_id oi_bytes_from_last(oi_rewrite *rw, oi_value_id v)
{
    return oi_rewrite_op(rw, "", "Transpose", "perm=[0,3,1,2]", 1, &v);
}

/* A constant of one element, or of n. */
static bool is_list(const oi_graph *g, oi_value_id v, oi_dtype dtype, int64_t n)
{
    const oi_fact *f = oi_graph_fact(g, v);
    const int64_t count = f && f->konst ? oi_tensor_count(f->konst) : 0;
    return count && f->dtype == dtype && (count == 1 || count == n);
}

/* Zero points of weights that kernels for depthwise convolutions take. */
static bool in_the_middle(const oi_graph *g, oi_value_id zero, oi_dtype type)
{
    const oi_tensor *t = zero == OI_NONE ? NULL : oi_match_const(g, zero);
    for (int64_t i = 0; t && i < oi_tensor_count(t); i++) {
        if (((const uint8_t *)t->data)[i] != (type == ONNX_INFER_INT8 ? 0 : 128))
            return false;
    }
    return zero == OI_NONE ? type == ONNX_INFER_INT8 : t != NULL;
}

/* The window and channel counts of the convolution in `conv`; false where there is no kernel. */
static oi_status resolve(const oi_graph *g, const oi_conv_bytes_spec *spec, oi_window *w, int64_t *in, int64_t *weights, int64_t *oc, bool *good)
{
    int32_t rank, w_rank;
    const oi_fact *x = oi_graph_fact(g, spec->x), *wf = oi_graph_fact(g, spec->w);
    *good = wf->konst && (wf->dtype == ONNX_INFER_INT8 || wf->dtype == ONNX_INFER_UINT8) && oi_fact_dims(x, &rank, in) &&
            oi_fact_dims(wf, &w_rank, weights) && rank == 4 && (spec->columns ? w_rank == 2 : w_rank == 4 || (!spec->conv && w_rank == 2)) &&
            oi_dims_count(rank, in) > 0 && oi_dims_count(w_rank, weights) > 0;
    if (!*good)
        return ONNX_INFER_OK;
    if (spec->last) {
        const int64_t c = in[3];
        in[3] = in[2], in[2] = in[1], in[1] = c;
    }
    if (!spec->conv) {
        *oc = spec->columns ? weights[1] : weights[0];
        *good = in[1] == (spec->columns ? weights[0] : weights[1]);
        *w = (oi_window){.nd = 2, .in = {in[2], in[3]}, .out = {in[2], in[3]}, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
        return ONNX_INFER_OK;
    }
    OI_TRY(oi_window_init(&spec->conv->window, 2, weights + 2, w));
    OI_TRY(oi_conv_check(spec->conv, false, in, w_rank, weights, oc));
    OI_TRY(oi_window_resolve(&spec->conv->window, in + 2, w));
    *good = w->out[0] * w->out[1] > 0;
    return ONNX_INFER_OK;
}

oi_value_id oi_conv_bytes_build(oi_rewrite *rw, const oi_conv_bytes_spec *spec, const oi_target *target)
{
    const oi_graph *g = rw->g;
    int64_t in[OI_MAX_RANK], weights[OI_MAX_RANK], oc;
    oi_window w;
    bool good;
    const int64_t group = spec->conv ? spec->conv->group : 1;
    rw->status = resolve(g, spec, &w, in, weights, &oc, &good);
    const oi_fact *wf = oi_graph_fact(g, spec->w);
    if (rw->status || !good || !is_list(g, spec->w_scale, ONNX_INFER_FLOAT, oc) ||
        (spec->w_zero != OI_NONE && !is_list(g, spec->w_zero, wf->dtype, oc)) ||
        (spec->bias != OI_NONE && (!is_list(g, spec->bias, ONNX_INFER_INT32, oc) || oi_tensor_count(oi_graph_fact(g, spec->bias)->konst) != oc)))
        return OI_NONE;
    const bool depthwise = oi_conv_bytes_is_depthwise((size_t)in[1], (size_t)oc, (size_t)group);
    if (depthwise ? !in_the_middle(g, spec->w_zero, wf->dtype) || w.kernel[0] * w.kernel[1] > 256 : group > 1 && oc / group < 4)
        return OI_NONE;
    oi_conv_bytes_attr *a = oi_attr_new(g->arena, &oi_op_oi_ConvBytes);
    oi_pack_conv_bytes_attr *pack = oi_attr_new(g->arena, &oi_op_oi_PackConvBytes);
    if (!a || !pack) {
        rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return OI_NONE;
    }
    const int64_t pads[4] = {w.begin[0], w.begin[1], w.end[0], w.end[1]};
    a->isa = pack->isa = target->isa;
    a->channels = pack->channels = in[1];
    a->out_channels = pack->out_channels = oc;
    a->group = pack->group = group;
    a->columns = pack->columns = spec->columns;
    a->kernel = oi_rewrite_ints(rw, w.kernel, 2);
    pack->kernel = a->kernel;
    a->strides = oi_rewrite_ints(rw, w.stride, 2);
    a->dilations = oi_rewrite_ints(rw, w.dilation, 2);
    a->pads = oi_rewrite_ints(rw, pads, 4);
    a->out = oi_rewrite_ints(rw, w.out, 2);
    a->w_signed = wf->dtype == ONNX_INFER_INT8;
    a->x_zero = spec->x_codes.zero;
    a->x_scale = spec->x_codes.scale;
    a->y_zero = spec->y_codes.zero;
    a->y_scale = spec->y_codes.scale;
    a->y_signed = spec->y_codes.is_signed;
    a->low = spec->low;
    a->high = spec->high;
    const oi_value_id x = spec->last ? spec->x : oi_bytes_to_last(rw, spec->x);
    const oi_value_id packed = oi_rewrite_node(rw, &oi_op_oi_PackConvBytes, pack, 1, &spec->w);
    const oi_value_id args[5] = {x, packed, spec->w_scale, spec->bias, spec->w_zero};
    const uint32_t n = spec->w_zero != OI_NONE ? 5 : spec->bias != OI_NONE ? 4 : 3;
    const oi_value_id y = oi_rewrite_node(rw, &oi_op_oi_ConvBytes, a, n, args);
    return spec->last ? y : oi_bytes_from_last(rw, y);
}

oi_status oi_qlinear_conv_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_conv_bytes_spec spec = {.x = n.in[0], .w = n.in[3], .w_scale = n.in[4], .w_zero = n.in[5], .bias = n.nin > 8 ? n.in[8] : OI_NONE,
                               .conv = n.attr};
    if (!oi_codes_read(g, n.in[1], n.in[2], oi_graph_fact(g, n.in[0])->dtype, &spec.x_codes) ||
        !oi_codes_read(g, n.in[6], n.in[7], oi_graph_fact(g, n.out[0])->dtype, &spec.y_codes))
        return ONNX_INFER_OK;
    spec.low = oi_codes_low(spec.y_codes.is_signed);
    spec.high = oi_codes_high(spec.y_codes.is_signed);
    const oi_value_id y = oi_conv_bytes_build(rw, &spec, target);
    if (y != OI_NONE)
        oi_rewrite_replace(rw, n.out[0], y);
    return rw->status;
}
