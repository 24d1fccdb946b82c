/* RotaryStrided: rotary embedding of rows that are read and written where they lie. */
#include "ops/op_rotary_lowered.h"

#include "base/checked.h"
#include "ops/eval_prepared.h"

#include <string.h>

#define FIELD(field) ((uint16_t)offsetof(oi_rotary_lowered_attr, field))
#define INT_ATTR(label, field) {.name = label, .type = OI_ATTR_INT, .offset = FIELD(field)}
#define INTS_ATTR(label, field) {.name = label, .type = OI_ATTR_INTS, .offset = FIELD(field)}

static const oi_attr_spec attrs[] = {
    INT_ATTR("isa", isa), INT_ATTR("size", size), INT_ATTR("turned", turned), INT_ATTR("interleaved", interleaved),
    INT_ATTR("half", half), INTS_ATTR("outer", outer), INTS_ATTR("x", x), INTS_ATTR("cosines", cosines), INTS_ATTR("sines", sines),
    INTS_ATTR("y", y), INTS_ATTR("out", out), {0},
};

static oi_status infer(oi_infer *x)
{
    const oi_rotary_lowered_attr *a = x->attr;
    OI_FAIL_IF(a->out.n > OI_MAX_RANK, ONNX_INFER_E_INTERNAL, "rank %u", a->out.n);
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, (int32_t)a->out.n, a->out.at);
    return ONNX_INFER_OK;
}

typedef struct {
    const oi_rotary_lowered_attr *a;
    const oi_kernels *kern;
    size_t rows, task_rows;
} rotary_state;

static size_t start_of(const oi_rotary_lowered_attr *a, const oi_ints *list, size_t row)
{
    size_t at = (size_t)list->at[0];
    for (uint32_t i = a->outer.n; i-- > 0;) {
        at += row % (size_t)a->outer.at[i] * (size_t)list->at[1 + i];
        row /= (size_t)a->outer.at[i];
    }
    return at;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const rotary_state *s = r->step->state;
    const oi_rotary_lowered_attr *a = s->a;
    const size_t first = task * s->task_rows, last = first + s->task_rows < s->rows ? first + s->task_rows : s->rows;
    oi_rotate_args t = {.n = (size_t)a->turned, .interleaved = a->interleaved != 0, .half = a->half != 0};
    for (size_t row = first; row < last; row++) {
        t.x = (const float *)r->in[0] + start_of(a, &a->x, row);
        t.cosines = (const float *)r->in[1] + start_of(a, &a->cosines, row);
        t.sines = (const float *)r->in[2] + start_of(a, &a->sines, row);
        t.y = (float *)r->out[0] + start_of(a, &a->y, row);
        s->kern->rotate(&t);
        memcpy(t.y + a->turned, t.x + a->turned, (size_t)(a->size - a->turned) * sizeof *t.y);
    }
    return ONNX_INFER_OK;
}

/* All rows of this length lie within `count` elements. */
static bool fits(const oi_rotary_lowered_attr *a, const oi_ints *list, int64_t length, int64_t count)
{
    int64_t last, step;
    if (list->n != 1 + a->outer.n || list->at[0] < 0 || !oi_add_i64(list->at[0], length - 1, &last))
        return false;
    for (uint32_t i = 0; i < a->outer.n; i++) {
        if (a->outer.at[i] < 1 || list->at[1 + i] < 0 || !oi_mul_i64(a->outer.at[i] - 1, list->at[1 + i], &step) ||
            !oi_add_i64(last, step, &last))
            return false;
    }
    return last < count;
}

static oi_status prepare(oi_prepare *p)
{
    enum { TASK_ELEMENTS = 1 << 15 };
    oi_step *step = p->step;
    const oi_rotary_lowered_attr *a = step->attr;
    int64_t angles = a->half ? a->turned / 2 : a->turned;
    OI_FAIL_IF(a->turned < 2 || a->turned % 2 || a->turned > a->size || a->outer.n > OI_ROTARY_OUTER ||
                   !fits(a, &a->x, a->size, oi_tensor_count(&step->in[0])) ||
                   !fits(a, &a->cosines, angles, oi_tensor_count(&step->in[1])) ||
                   !fits(a, &a->sines, angles, oi_tensor_count(&step->in[2])) ||
                   !fits(a, &a->y, a->size, oi_tensor_count(&step->out[0])),
               ONNX_INFER_E_INTERNAL, "operands do not lie within their tensors");
    rotary_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *s = (rotary_state){.a = a, .kern = p->target->kernels, .rows = 1};
    for (uint32_t i = 0; i < a->outer.n; i++)
        s->rows *= (size_t)a->outer.at[i];
    s->task_rows = TASK_ELEMENTS / (size_t)a->size + 1;
    step->state = s;
    step->run = run;
    step->n_tasks = (uint32_t)((s->rows + s->task_rows - 1) / s->task_rows);
    step->kernel = "rotate";
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_rotary_lowered_attr *a = e->attr;
    return oi_eval_prepared(e, (oi_cpu_isa)a->isa, ONNX_INFER_FLOAT, (int32_t)a->out.n, a->out.at);
}

const oi_op oi_op_oi_RotaryStrided = {
    .name = "RotaryStrided", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(oi_rotary_lowered_attr),
    .infer = infer, .eval = eval, .prepare = prepare,
};
