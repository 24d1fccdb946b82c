/* AttentionStrided: attention whose operands are read where they lie, whatever views and transposes stand between. */
#include "ops/op_attention_lowered.h"

#include "base/checked.h"
#include "ops/eval_prepared.h"

#include <string.h>

#define FIELD(field) ((uint16_t)offsetof(oi_attention_lowered_attr, field))
#define INT_ATTR(label, field) {.name = label, .type = OI_ATTR_INT, .offset = FIELD(field)}
#define INTS_ATTR(label, field) {.name = label, .type = OI_ATTR_INTS, .offset = FIELD(field)}
#define FLOAT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_FLOAT, .offset = FIELD(field), .f = value}
#define KINDS "none|add|keep|drop"

static const oi_attr_spec attrs[] = {
    INT_ATTR("isa", isa), INT_ATTR("rows", rows), INT_ATTR("keys", keys), INT_ATTR("size", size), INT_ATTR("value_size", value_size),
    INTS_ATTR("outer", outer), INTS_ATTR("q", q), INTS_ATTR("k", k), INTS_ATTR("v", v), INTS_ATTR("y", y),
    {.name = "mask0", .type = OI_ATTR_ENUM, .offset = FIELD(kind[0]), .s = KINDS}, INTS_ATTR("mask0_at", at[0]),
    FLOAT_ATTR("fill0", fill[0], 0),
    {.name = "mask1", .type = OI_ATTR_ENUM, .offset = FIELD(kind[1]), .s = KINDS}, INTS_ATTR("mask1_at", at[1]),
    FLOAT_ATTR("fill1", fill[1], 0),
    INTS_ATTR("out", out), INT_ATTR("causal", causal), INT_ATTR("ahead", ahead), INT_ATTR("zero_rows", zero_rows),
    FLOAT_ATTR("scale", scale, 1), FLOAT_ATTR("softcap", softcap, 0), {0},
};

static oi_status infer(oi_infer *x)
{
    const oi_attention_lowered_attr *a = x->attr;
    OI_FAIL_IF(a->out.n > OI_MAX_RANK, ONNX_INFER_E_INTERNAL, "rank %u", a->out.n);
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, (int32_t)a->out.n, a->out.at);
    return ONNX_INFER_OK;
}

/* The operand's place as the kernel wants it; false where a member lies outside its `count` elements. */
static bool read_view(const oi_attention_lowered_attr *a, const oi_ints *list, int64_t rows, int64_t cols, int64_t count,
                      oi_attention_view *v)
{
    int64_t last, step;
    if (list->n != 3 + a->outer.n)
        return false;
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->at[i] < 0)
            return false;
    }
    *v = (oi_attention_view){.offset = (size_t)list->at[0], .row = (size_t)list->at[1], .col = (size_t)list->at[2]};
    last = list->at[0];
    bool fits = oi_mul_i64(rows - 1, list->at[1], &step) && oi_add_i64(last, step, &last) &&
                oi_mul_i64(cols - 1, list->at[2], &step) && oi_add_i64(last, step, &last);
    for (uint32_t i = 0; i < a->outer.n && fits; i++) {
        v->outer[i] = (size_t)list->at[3 + i];
        fits = oi_mul_i64(a->outer.at[i] - 1, list->at[3 + i], &step) && oi_add_i64(last, step, &last);
    }
    return fits && last < count;
}

static bool read_shape(const oi_step *step, oi_attention_shape *s)
{
    const oi_attention_lowered_attr *a = step->attr;
    if (a->outer.n > OI_ATTENTION_OUTER || a->rows < 1 || a->keys < 1 || a->size < 1 || a->value_size < 1)
        return false;
    *s = (oi_attention_shape){.nouter = a->outer.n, .rows = (size_t)a->rows, .keys = (size_t)a->keys, .size = (size_t)a->size,
                              .value_size = (size_t)a->value_size, .causal = a->causal != 0, .ahead = (ptrdiff_t)a->ahead,
                              .zero_rows = a->zero_rows != 0, .scale = a->scale, .softcap = a->softcap};
    for (uint32_t i = 0; i < a->outer.n; i++) {
        if (a->outer.at[i] < 1)
            return false;
        s->outer[i] = (size_t)a->outer.at[i];
    }
    if (!read_view(a, &a->q, a->rows, a->size, oi_tensor_count(&step->in[0]), &s->q) ||
        !read_view(a, &a->k, a->keys, a->size, oi_tensor_count(&step->in[1]), &s->k) ||
        !read_view(a, &a->v, a->keys, a->value_size, oi_tensor_count(&step->in[2]), &s->v) ||
        !read_view(a, &a->y, a->rows, a->value_size, oi_tensor_count(&step->out[0]), &s->y) || s->q.col != 1 || s->v.col != 1 ||
        s->y.col != 1 || (s->k.col != 1 && s->k.row != 1))
        return false;
    for (uint32_t m = 0; m < OI_ATTENTION_MASKS; m++) {
        oi_attention_mask *mask = &s->mask[m];
        *mask = (oi_attention_mask){.kind = (oi_mask_kind)a->kind[m], .fill = a->fill[m]};
        if (mask->kind == OI_MASK_NONE)
            continue;
        if (step->nin <= 3 + m || step->in[3 + m].dtype != (mask->kind == OI_MASK_ADD ? ONNX_INFER_FLOAT : ONNX_INFER_BOOL) ||
            !read_view(a, &a->at[m], a->rows, a->keys, oi_tensor_count(&step->in[3 + m]), &mask->at) ||
            (mask->at.col != 1 && !(mask->kind == OI_MASK_ADD && mask->at.col == 0)))
            return false;
    }
    return true;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const oi_attention_plan *p = r->step->state;
    oi_attention_args args = {.q = r->in[0], .k = r->in[1], .v = r->in[2], .y = r->out[0], .workspace = r->workspace,
                              .stop = r->stop};
    for (uint32_t m = 0; m < OI_ATTENTION_MASKS && 3 + m < r->step->nin; m++)
        args.mask[m] = r->in[3 + m];
    if (task < p->pack_tasks)
        oi_attention_pack(p, &args, task);
    else
        oi_attention_run(p, &args, task - (uint32_t)p->pack_tasks, r->thread_workspace);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    oi_attention_shape s;
    OI_FAIL_IF(!read_shape(step, &s), ONNX_INFER_E_INTERNAL, "operands do not lie within their tensors");
    oi_attention_plan *plan = oi_arena_mem(p->arena, sizeof *plan);
    if (!plan)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_attention_plan_init(plan, p->target->kernels, &s));
    OI_FAIL_IF(plan->pack_tasks + plan->n_tasks > UINT32_MAX, ONNX_INFER_E_LIMIT, "attention: too many tasks");
    step->state = plan;
    step->run = run;
    step->n_tasks = (uint32_t)(plan->pack_tasks + plan->n_tasks);
    if (plan->pack_tasks) {
        step->phases = 2;
        step->phase_end[0] = (uint32_t)plan->pack_tasks;
        step->phase_end[1] = step->n_tasks;
    }
    step->workspace = plan->workspace * sizeof(float);
    step->thread_workspace = plan->thread_workspace * sizeof(float);
    step->flops = 2 * (uint64_t)(plan->units / plan->blocks) * s.rows * s.keys * (s.size + s.value_size);
    step->kernel = oi_arena_format(p->arena, "attention %zux%zux%zu of %zu %s", s.rows, s.keys, s.size, plan->units / plan->blocks,
                                   p->target->kernels->name);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_attention_lowered_attr *a = e->attr;
    return oi_eval_prepared(e, (oi_cpu_isa)a->isa, ONNX_INFER_FLOAT, (int32_t)a->out.n, a->out.at);
}

const oi_op oi_op_oi_AttentionStrided = {
    .name = "AttentionStrided", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 3, .max_in = 5, .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(oi_attention_lowered_attr),
    .infer = infer, .eval = eval, .prepare = prepare,
};
