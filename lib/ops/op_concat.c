/* Concat and Split: runs of elements put together or taken apart along an axis. */
#include "ops/strided.h"

#include <string.h>

/* A tensor as [outer][axis][inner] elements. */
static void around_axis(const oi_tensor *t, int32_t axis, int64_t *outer, int64_t *inner)
{
    *outer = oi_dims_count(axis, t->dim);
    *inner = oi_dims_count(t->rank - axis - 1, t->dim + axis + 1);
}

/* Copies `run` elements for each outer index: element [o][from + i] of src, whose rows have src_row elements, to
 * [o][to + i] of dst. */
typedef struct {
    int64_t outer, run, src_row, dst_row, from, to;
} runs;

static void copy_runs(const runs *r, size_t size, const void *src, void *dst, int64_t first, int64_t last)
{
    for (int64_t o = first; o < last; o++)
        memcpy((char *)dst + (size_t)(o * r->dst_row + r->to) * size,
               (const char *)src + (size_t)(o * r->src_row + r->from) * size, (size_t)r->run * size);
}

static oi_status copy_runs_tensor(oi_eval *e, const runs *r, const oi_tensor *src, oi_tensor *dst)
{
    if (r->run == 0)
        return ONNX_INFER_OK;
    if (src->dtype != ONNX_INFER_STRING && !oi_dtype_is_packed(src->dtype)) {
        copy_runs(r, oi_dtype_size(src->dtype), src->data, dst->data, 0, r->outer);
        return ONNX_INFER_OK;
    }
    for (int64_t o = 0; o < r->outer; o++) {
        for (int64_t i = 0; i < r->run; i++)
            OI_TRY(oi_copy_element(e->alloc, src, (size_t)(o * r->src_row + r->from + i), dst,
                                   (size_t)(o * r->dst_row + r->to + i)));
    }
    return ONNX_INFER_OK;
}

/* Tasks: piece by piece, each cut along the outer axis. */
typedef struct {
    runs run;
    int64_t per_task, tasks;
} piece;

typedef struct {
    size_t size;
    uint32_t n;
    piece *at;
} pieces_state;

enum { BYTES_PER_TASK = 1 << 16 };

static void plan_piece(piece *p, size_t size)
{
    int64_t bytes = p->run.run * (int64_t)size;
    p->per_task = bytes <= 0 ? p->run.outer + 1 : bytes < BYTES_PER_TASK ? BYTES_PER_TASK / bytes : 1;
    p->tasks = bytes <= 0 ? 0 : (p->run.outer + p->per_task - 1) / p->per_task;
}

static const piece *find_piece(const pieces_state *s, uint32_t task, uint32_t *index, int64_t *first, int64_t *last)
{
    int64_t at = task;
    for (uint32_t i = 0; i < s->n; at -= s->at[i++].tasks) {
        const piece *p = &s->at[i];
        if (at >= p->tasks)
            continue;
        *index = i;
        *first = at * p->per_task;
        *last = *first + p->per_task < p->run.outer ? *first + p->per_task : p->run.outer;
        return p;
    }
    return NULL;
}

static pieces_state *new_pieces(oi_prepare *p, uint32_t n)
{
    const oi_tensor *t = &p->step->in[0];
    if (t->dtype == ONNX_INFER_STRING || oi_dtype_is_packed(t->dtype))
        return NULL;
    pieces_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (s && (s->at = oi_arena_array(p->arena, n, sizeof *s->at)) != NULL) {
        s->n = n;
        s->size = oi_dtype_size(t->dtype);
        return s;
    }
    return NULL;
}

static void finish_pieces(oi_prepare *p, const pieces_state *s, oi_run_fn run, const char *kernel)
{
    int64_t tasks = 0;
    for (uint32_t i = 0; i < s->n; i++)
        tasks += s->at[i].tasks;
    p->step->state = s;
    p->step->run = run;
    p->step->n_tasks = (uint32_t)tasks;
    p->step->kernel = kernel;
}

/* --- Concat -------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis;
} axis_attr;

static const oi_attr_spec concat_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(axis_attr, axis), .i = 1},
    {0},
};

static oi_status infer_concat(oi_infer *x)
{
    const oi_shape *shape = &x->in[0]->shape;
    int32_t axis = 0;
    for (uint32_t i = 0; i < x->nin; i++) {
        if (x->in[i]->shape.rank < 0) {
            oi_infer_set_fresh(x, 0, x->in[0]->dtype, shape->rank);
            return ONNX_INFER_OK;
        }
    }
    OI_TRY(oi_infer_axis(x, ((const axis_attr *)x->attr)->axis, shape->rank, &axis));
    oi_dim dims[OI_MAX_RANK];
    memcpy(dims, shape->dim, sizeof dims);
    for (uint32_t i = 1; i < x->nin; i++) {
        const oi_shape *other = &x->in[i]->shape;
        OI_FAIL_IF(other->rank != shape->rank, ONNX_INFER_E_SHAPE_MISMATCH, "input %u has rank %d, input 0 has rank %d", i,
                   other->rank, shape->rank);
        OI_FAIL_IF(x->in[i]->dtype != x->in[0]->dtype && x->in[i]->dtype && x->in[0]->dtype, ONNX_INFER_E_TYPE_MISMATCH,
                   "input %u is %s, input 0 is %s", i, oi_dtype_name(x->in[i]->dtype), oi_dtype_name(x->in[0]->dtype));
        for (int32_t d = 0; d < shape->rank; d++) {
            if (d == axis) {
                dims[d] = oi_dim_add(x->syms, dims[d], other->dim[d]);
            } else if (!oi_dim_is_number(dims[d])) {
                dims[d] = other->dim[d];
            } else if (oi_dim_is_number(other->dim[d]) && other->dim[d] != dims[d]) {
                oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input %u has %lld along axis %d, input 0 has %lld", i,
                        (long long)other->dim[d], d, (long long)dims[d]);
                return oi_error_at_axis(d, other->dim[d], dims[d]);
            }
        }
    }
    oi_infer_set(x, 0, x->in[0]->dtype, shape->rank, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_concat(oi_eval *e)
{
    const oi_tensor *first = oi_eval_in(e, 0);
    int64_t dims[OI_MAX_RANK], axis = ((const axis_attr *)e->attr)->axis, total = 0, at = 0, outer, inner;
    axis += axis < 0 ? first->rank : 0;
    OI_FAIL_IF(axis < 0 || axis >= first->rank, ONNX_INFER_E_INVALID_MODEL, "axis %lld of a tensor of rank %d",
               (long long)axis, first->rank);
    memcpy(dims, first->dim, sizeof dims);
    for (uint32_t i = 0; i < e->nin; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        OI_FAIL_IF(t->rank != first->rank || t->dtype != first->dtype, ONNX_INFER_E_SHAPE_MISMATCH,
                   "input %u differs from input 0 in rank or type", i);
        for (int32_t d = 0; d < t->rank; d++)
            OI_FAIL_IF(d != axis && t->dim[d] != first->dim[d], ONNX_INFER_E_SHAPE_MISMATCH,
                       "input %u has %lld along axis %d, input 0 has %lld", i, (long long)t->dim[d], d,
                       (long long)first->dim[d]);
        total += t->dim[axis];
    }
    dims[axis] = total;
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, first->dtype, first->rank, dims, &out));
    around_axis(out, (int32_t)axis, &outer, &inner);
    for (uint32_t i = 0; i < e->nin; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        int64_t run = t->dim[axis] * inner;
        runs r = {.outer = outer, .run = run, .src_row = run, .dst_row = total * inner, .to = at};
        OI_TRY(copy_runs_tensor(e, &r, t, out));
        at += run;
    }
    return ONNX_INFER_OK;
}

static oi_status run_concat(const oi_run *r, uint32_t task)
{
    const pieces_state *s = r->step->state;
    uint32_t i;
    int64_t first, last;
    const piece *p = find_piece(s, task, &i, &first, &last);
    if (p)
        copy_runs(&p->run, s->size, r->in[i], r->out[0], first, last);
    return ONNX_INFER_OK;
}

static oi_status prepare_concat(oi_prepare *p)
{
    const oi_tensor *out = &p->step->out[0];
    int64_t axis = ((const axis_attr *)p->step->attr)->axis, outer, inner, at = 0;
    axis += axis < 0 ? out->rank : 0;
    pieces_state *s = new_pieces(p, p->step->nin);
    if (!s)
        return ONNX_INFER_OK;
    around_axis(out, (int32_t)axis, &outer, &inner);
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t run = p->step->in[i].dim[axis] * inner;
        s->at[i].run = (runs){.outer = outer, .run = run, .src_row = run, .dst_row = out->dim[axis] * inner, .to = at};
        plan_piece(&s->at[i], s->size);
        at += run;
    }
    finish_pieces(p, s, run_concat, "concat");
    return ONNX_INFER_OK;
}

const oi_op oi_op_Concat = {
    .name = "Concat", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = 1, .attrs = concat_attrs, .attr_size = sizeof(axis_attr),
    .infer = infer_concat, .eval = eval_concat, .prepare = prepare_concat,
};

/* --- Split ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis, num_outputs;
} split_attr;

static const oi_attr_spec split_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(split_attr, axis)},
    {.name = "num_outputs", .type = OI_ATTR_INT, .offset = offsetof(split_attr, num_outputs), .i = OI_UNSET},
    {0},
};

static oi_status import_split(oi_import *im)
{
    return im->opset < 13 ? oi_import_attr_to_input(im, "split", 1, ONNX_INFER_FLOAT) : ONNX_INFER_OK;
}

/* Sizes without the input that gives them: equal, the last one smaller where they do not divide. */
static int64_t equal_part(int64_t total, int64_t n, int64_t i)
{
    int64_t part = (total + n - 1) / n, left = total - i * part;
    return left < 0 ? 0 : left < part ? left : part;
}

static oi_status infer_split(oi_infer *x)
{
    const oi_shape *in = &x->in[0]->shape;
    int32_t axis = 0, n = -1;
    oi_dim sizes[OI_SYM_CONTENT_MAX];
    if (in->rank < 0) {
        for (uint32_t i = 0; i < x->nout; i++)
            oi_infer_set_fresh(x, i, x->in[0]->dtype, -1);
        return ONNX_INFER_OK;
    }
    OI_TRY(oi_infer_axis(x, ((const split_attr *)x->attr)->axis, in->rank, &axis));
    bool given = oi_infer_in(x, 1) != NULL;
    if (given)
        OI_TRY(oi_infer_ints(x, 1, sizes, OI_SYM_CONTENT_MAX, &n));
    OI_FAIL_IF(given && n >= 0 && (uint32_t)n != x->nout, ONNX_INFER_E_INVALID_MODEL, "%d sizes for %u outputs", n, x->nout);
    oi_dim dims[OI_MAX_RANK], total = in->dim[axis];
    memcpy(dims, in->dim, sizeof dims);
    for (uint32_t i = 0; i < x->nout; i++) {
        if (given)
            dims[axis] = n < 0 ? oi_dim_fresh(x->syms) : sizes[i];
        else if (oi_dim_is_number(total))
            dims[axis] = equal_part(total, x->nout, i);
        else
            dims[axis] = x->nout == 1 ? total : oi_dim_fresh(x->syms);
        oi_infer_set(x, i, x->in[0]->dtype, in->rank, dims);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_split(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0), *sizes = oi_eval_in(e, 1);
    int64_t axis = ((const split_attr *)e->attr)->axis, dims[OI_MAX_RANK], outer, inner, at = 0;
    axis += axis < 0 ? in->rank : 0;
    OI_FAIL_IF(axis < 0 || axis >= in->rank, ONNX_INFER_E_INVALID_MODEL, "axis %lld of a tensor of rank %d", (long long)axis,
               in->rank);
    if (sizes && sizes->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(sizes && oi_tensor_count(sizes) != e->nout, ONNX_INFER_E_INVALID_MODEL, "%lld sizes for %u outputs",
               (long long)oi_tensor_count(sizes), e->nout);
    around_axis(in, (int32_t)axis, &outer, &inner);
    memcpy(dims, in->dim, sizeof dims);
    for (uint32_t i = 0; i < e->nout; i++) {
        int64_t size = sizes ? ((const int64_t *)sizes->data)[i] : equal_part(in->dim[axis], e->nout, i);
        OI_FAIL_IF(size < 0 || size > in->dim[axis] - at, ONNX_INFER_E_SHAPE_MISMATCH,
                   "output %u would have %lld of the %lld elements along axis %lld", i, (long long)size,
                   (long long)in->dim[axis], (long long)axis);
        dims[axis] = size;
        if (oi_eval_wants(e, i)) {
            oi_tensor *out;
            OI_TRY(oi_eval_out(e, i, in->dtype, in->rank, dims, &out));
            runs r = {.outer = outer, .run = size * inner, .src_row = in->dim[axis] * inner, .dst_row = size * inner,
                      .from = at * inner};
            OI_TRY(copy_runs_tensor(e, &r, in, out));
        }
        at += size;
    }
    OI_FAIL_IF(at != in->dim[axis], ONNX_INFER_E_SHAPE_MISMATCH, "the sizes add up to %lld, axis %lld has %lld", (long long)at,
               (long long)axis, (long long)in->dim[axis]);
    return ONNX_INFER_OK;
}

static oi_status run_split(const oi_run *r, uint32_t task)
{
    const pieces_state *s = r->step->state;
    uint32_t i;
    int64_t first, last;
    const piece *p = find_piece(s, task, &i, &first, &last);
    if (p && r->out[i])
        copy_runs(&p->run, s->size, r->in[0], r->out[i], first, last);
    return ONNX_INFER_OK;
}

static oi_status prepare_split(oi_prepare *p)
{
    const oi_tensor *in = &p->step->in[0];
    int64_t axis = ((const split_attr *)p->step->attr)->axis, outer, inner, at = 0;
    axis += axis < 0 ? in->rank : 0;
    around_axis(in, (int32_t)axis, &outer, &inner);
    for (uint32_t i = 0; i < p->step->nout; i++) {
        if (!p->step->out[i].dtype)
            return ONNX_INFER_OK;
        at += p->step->out[i].dim[axis];
    }
    OI_FAIL_IF(at != in->dim[axis], ONNX_INFER_E_SHAPE_MISMATCH, "the sizes add up to %lld, axis %lld has %lld", (long long)at,
               (long long)axis, (long long)in->dim[axis]);
    pieces_state *s = new_pieces(p, p->step->nout);
    if (!s)
        return ONNX_INFER_OK;
    at = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t run = p->step->out[i].dim[axis] * inner;
        s->at[i].run = (runs){.outer = outer, .run = run, .src_row = in->dim[axis] * inner, .dst_row = run, .from = at};
        plan_piece(&s->at[i], s->size);
        at += run;
    }
    finish_pieces(p, s, run_split, "split");
    return ONNX_INFER_OK;
}

const oi_op oi_op_Split = {
    .name = "Split", .domain = "", .since = 1, .newest = 18, .flags = OI_OP_MOVES_DATA,
    .min_in = 1, .max_in = 2, .min_out = 1, .max_out = UINT16_MAX, .attrs = split_attrs, .attr_size = sizeof(split_attr),
    .import = import_split, .infer = infer_split, .eval = eval_split, .prepare = prepare_split,
};
