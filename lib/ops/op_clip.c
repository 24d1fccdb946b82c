/* Clip: bounds from below and above, given as inputs. */
#include "ops/dtypes.h"
#include "ops/legacy.h"
#include "ops/loop.h"
#include "ops/target.h"

#include <math.h>
#include <string.h>

typedef void clip_loop(size_t n, const void *x, void *y, const void *lo, const void *hi);

#define TMPL "ops/tmpl/clip_loop.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/clip_loop.inc"
#include "ops/tmpl/each_int.inc"

static clip_loop *const loops[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(clip), OI_INT_ROWS(clip)};

/* Attributes until opset 10. */
static oi_status import(oi_import *im)
{
    oi_import_drop(im, "consumed_inputs");
    if (im->opset >= 11)
        return ONNX_INFER_OK;
    const oi_fact *f = im->nin ? oi_graph_fact(im->g, im->in[0]) : NULL;
    oi_dtype dtype = f && oi_dtype_is_float(f->dtype) ? f->dtype : ONNX_INFER_FLOAT;
    OI_TRY(oi_import_attr_to_input(im, "min", 1, dtype));
    return oi_import_attr_to_input(im, "max", 2, dtype);
}

static oi_status infer(oi_infer *x)
{
    oi_dtype dtype = x->in[0]->dtype;
    OI_FAIL_IF(dtype && !loops[dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input 0: Clip does not take element type %s",
               oi_dtype_name(dtype));
    for (uint32_t i = 1; i < 3; i++) {
        const oi_fact *f = oi_infer_in(x, i);
        OI_FAIL_IF(f && f->shape.rank > 1, ONNX_INFER_E_SHAPE_MISMATCH, "Clip: input %u is a bound and must be a scalar, its rank is %d", i,
                   (int)f->shape.rank);
    }
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

/* A bound in the data's own type: in place, or converted into room for one element. */
static const void *bound(oi_dtype dtype, oi_dtype have, const void *data, void *room)
{
    if (!data || dtype == have)
        return data;
    if (oi_dtype_is_int(dtype) && oi_dtype_is_int(have))
        oi_elem_set_int(dtype, room, 0, oi_elem_get_int(have, data, 0));
    else
        oi_elem_set_double(dtype, room, 0, oi_elem_get_double(have, data, 0));
    return room;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    if (!t || !loops[t->dtype])
        return oi_eval_bad_type(e, 0);
    const void *limit[2];
    uint64_t room[2];
    for (uint32_t i = 0; i < 2; i++) {
        const oi_tensor *b = oi_eval_in(e, i + 1);
        OI_FAIL_IF(b && oi_tensor_count(b) != 1, ONNX_INFER_E_SHAPE_MISMATCH, "Clip: input %u is a bound and must be a scalar", i + 1);
        limit[i] = b ? bound(t->dtype, b->dtype, b->data, &room[i]) : NULL;
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, t->dim, &y));
    loops[t->dtype]((size_t)oi_tensor_count(t), t->data, y->data, limit[0], limit[1]);
    return ONNX_INFER_OK;
}

typedef struct {
    clip_loop *loop;
    oi_unary_fn *kernel;
    int64_t n;
    size_t size;
} clip_state;

static oi_status run(const oi_run *r, uint32_t task)
{
    const clip_state *s = r->step->state;
    const oi_step *step = r->step;
    const void *limit[2];
    uint64_t room[2];
    int64_t first, n;
    for (uint32_t i = 0; i < 2; i++)
        limit[i] = i + 1 < step->nin ? bound(step->in[0].dtype, step->in[i + 1].dtype, r->in[i + 1], &room[i]) : NULL;
    oi_loop_flat(s->n, step->n_tasks, task, &first, &n);
    const char *x = (const char *)r->in[0] + (size_t)first * s->size;
    char *y = (char *)r->out[0] + (size_t)first * s->size;
    if (s->kernel) {
        float lo = limit[0] ? *(const float *)limit[0] : -INFINITY, hi = limit[1] ? *(const float *)limit[1] : INFINITY;
        s->kernel((size_t)n, (const float *)x, (float *)y, lo, hi);
    } else {
        s->loop((size_t)n, x, y, limit[0], limit[1]);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    oi_dtype dtype = step->in[0].dtype;
    if (!loops[dtype])
        return ONNX_INFER_OK;
    for (uint32_t i = 1; i < step->nin; i++) {
        if (step->in[i].dtype && oi_tensor_count(&step->in[i]) != 1)
            return ONNX_INFER_OK; /* eval says why not */
    }
    clip_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->loop = loops[dtype];
    s->n = oi_tensor_count(&step->out[0]);
    s->size = oi_dtype_size(dtype);
    s->kernel = dtype == ONNX_INFER_FLOAT ? p->target->kernels->unary[OI_UNARY_CLIP] : NULL;
    step->kernel = s->kernel ? "vector" : "loop";
    step->state = s;
    step->n_tasks = oi_loop_flat_tasks(s->n);
    step->in_place = 0;
    step->run = run;
    return ONNX_INFER_OK;
}

const oi_op oi_op_Clip = {
    .name = "Clip", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_ELEMENTWISE, .min_in = 1, .max_in = 3, .min_out = 1,
    .max_out = 1, .import = import, .infer = infer, .eval = eval, .prepare = prepare,
};
