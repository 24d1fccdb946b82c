/* Where: an element of one of two tensors, as a third says. */
#include "ops/loop.h"
#include "ops/op.h"

#include <string.h>

typedef struct {
    uint64_t half[2];
} wide;

typedef void where_loop(size_t n, const uint8_t *c, int64_t cs, const void *x, int64_t xs, const void *y, int64_t ys, void *z);

#define T uint8_t
#define FN(name) name##_1
#include "ops/tmpl/where_loop.inc"
#undef T
#undef FN
#define T uint16_t
#define FN(name) name##_2
#include "ops/tmpl/where_loop.inc"
#undef T
#undef FN
#define T uint32_t
#define FN(name) name##_4
#include "ops/tmpl/where_loop.inc"
#undef T
#undef FN
#define T uint64_t
#define FN(name) name##_8
#include "ops/tmpl/where_loop.inc"
#undef T
#undef FN
#define T wide
#define FN(name) name##_16
#include "ops/tmpl/where_loop.inc"
#undef T
#undef FN

static where_loop *loop_for(oi_dtype dtype)
{
    static where_loop *const by_size[] = {[1] = choose_1, [2] = choose_2, [4] = choose_4, [8] = choose_8, [16] = choose_16};
    return dtype == ONNX_INFER_STRING || oi_dtype_is_packed(dtype) ? NULL : by_size[oi_dtype_size(dtype)];
}

static oi_status infer_content(oi_infer *x)
{
    oi_dim v[3][OI_SYM_CONTENT_MAX], out[OI_SYM_CONTENT_MAX];
    int32_t n[3], count = 1;
    for (uint32_t i = 0; i < 3; i++) {
        n[i] = oi_infer_content(x, i, v[i], OI_SYM_CONTENT_MAX);
        if (n[i] < 1 || x->in[i]->shape.rank > 1)
            return ONNX_INFER_OK;
        count = n[i] > count ? n[i] : count;
    }
    for (int32_t i = 0; i < count; i++) {
        oi_dim c = v[0][n[0] == 1 ? 0 : i];
        if (!oi_dim_is_number(c))
            return ONNX_INFER_OK;
        int k = c ? 1 : 2;
        out[i] = v[k][n[k] == 1 ? 0 : i];
    }
    oi_infer_set_content(x, 0, out, (uint32_t)count);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *c = x->in[0], *a = x->in[1], *b = x->in[2];
    OI_FAIL_IF(c->dtype && c->dtype != ONNX_INFER_BOOL, ONNX_INFER_E_TYPE_MISMATCH, "Where: the condition has element type %s, not bool",
               oi_dtype_name(c->dtype));
    OI_FAIL_IF(a->dtype && b->dtype && a->dtype != b->dtype, ONNX_INFER_E_TYPE_MISMATCH,
               "Where: input 1 has element type %s but input 2 has %s", oi_dtype_name(a->dtype), oi_dtype_name(b->dtype));
    oi_shape shape;
    OI_TRY(oi_infer_broadcast(x, 0, 3, &shape));
    oi_dtype dtype = a->dtype ? a->dtype : b->dtype;
    oi_infer_set(x, 0, dtype, shape.rank, shape.dim);
    return dtype == ONNX_INFER_INT64 || dtype == ONNX_INFER_INT32 ? infer_content(x) : ONNX_INFER_OK;
}

static void walk(oi_loop_cursor *c, where_loop *loop, size_t size, const void *const *in, void *out)
{
    oi_loop_part p;
    while (oi_loop_next(c, &p)) {
        for (int64_t i = 0; i < p.rows; i++) {
            loop((size_t)p.n, (const uint8_t *)in[0] + p.off[0] + i * p.row_stride[0], p.step[0],
                 (const char *)in[1] + (size_t)(p.off[1] + i * p.row_stride[1]) * size, p.step[1],
                 (const char *)in[2] + (size_t)(p.off[2] + i * p.row_stride[2]) * size, p.step[2],
                 (char *)out + (size_t)(p.off[3] + i * p.row_stride[3]) * size);
        }
    }
}

static oi_status walk_strings(const oi_eval *e, oi_loop_cursor *c, oi_tensor *y)
{
    const uint8_t *cond = e->in[0]->data;
    oi_loop_part p;
    while (oi_loop_next(c, &p)) {
        for (int64_t i = 0; i < p.rows * p.n; i++) {
            int64_t r = i / p.n, k = i % p.n;
            int which = cond[p.off[0] + r * p.row_stride[0] + k * p.step[0]] ? 1 : 2;
            const oi_string *s = e->in[which]->data;
            s += p.off[which] + r * p.row_stride[which] + k * p.step[which];
            OI_TRY(oi_tensor_set_string(e->alloc, y, (size_t)(p.off[3] + r * p.row_stride[3] + k * p.step[3]), s->text, s->n));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    int32_t rank = 0;
    int64_t dims[OI_MAX_RANK];
    for (uint32_t i = 0; i < 3; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (!t || (i == 0 && t->dtype != ONNX_INFER_BOOL) || (i == 2 && t->dtype != e->in[1]->dtype) || oi_dtype_is_packed(t->dtype))
            return oi_eval_bad_type(e, i);
        OI_FAIL_IF(!oi_dims_broadcast(rank, dims, t->rank, t->dim, &rank, dims), ONNX_INFER_E_SHAPE_MISMATCH,
                   "Where: the shape of input %u does not broadcast with those before it", i);
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, e->in[1]->dtype, rank, dims, &y));
    oi_loop l;
    oi_loop_cursor c;
    oi_loop_broadcast(&l, rank, dims, 4, (const oi_tensor *[]){e->in[0], e->in[1], e->in[2], y});
    oi_loop_all(&l, &c);
    where_loop *loop = loop_for(y->dtype);
    if (!loop)
        return walk_strings(e, &c, y);
    walk(&c, loop, oi_dtype_size(y->dtype), (const void *[]){e->in[0]->data, e->in[1]->data, e->in[2]->data}, y->data);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_loop l;
    where_loop *loop;
    size_t size;
} where_state;

static oi_status run(const oi_run *r, uint32_t task)
{
    const where_state *s = r->step->state;
    oi_loop_cursor c;
    oi_loop_task(&s->l, task, &c);
    walk(&c, s->loop, s->size, r->in, r->out[0]);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *y = &step->out[0];
    where_loop *loop = loop_for(y->dtype);
    if (!loop || step->nin != 3)
        return ONNX_INFER_OK;
    where_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_loop_broadcast(&s->l, y->rank, y->dim, 4, (const oi_tensor *[]){&step->in[0], &step->in[1], &step->in[2], y});
    s->loop = loop;
    s->size = oi_dtype_size(y->dtype);
    step->kernel = "loop";
    step->state = s;
    step->n_tasks = s->l.tasks;
    step->in_place = oi_tensor_same_shape(&step->in[1], y) ? 1 : oi_tensor_same_shape(&step->in[2], y) ? 2 : -1;
    step->run = run;
    return ONNX_INFER_OK;
}

const oi_op oi_op_Where = {
    .name = "Where", .domain = "", .since = 9, .newest = 16, .flags = OI_OP_ELEMENTWISE, .min_in = 3, .max_in = 3, .min_out = 1,
    .max_out = 1, .infer = infer, .eval = eval, .prepare = prepare,
};
