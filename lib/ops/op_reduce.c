/* Reductions over axes: sums, means, norms, logarithms of sums, largest and smallest. */
#include "ops/dtypes.h"
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/target.h"

#include <math.h>
#include <string.h>

typedef void reduce_loop(size_t n, const void *x, void *into, bool to_one, const double *shift);

#define TMPL "ops/tmpl/reduce_float.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/reduce_int.inc"
#include "ops/tmpl/each_int.inc"

typedef struct {
    int64_t keepdims, noop_with_empty_axes;
} reduce_attr;

typedef enum { AS_IS, MEAN, ROOT, LOG, LOG_EXP } finish_kind;

typedef struct {
    const oi_op *op;
    reduce_loop *loop[OI_DTYPE_COUNT];
    oi_reduce kernel;
    finish_kind finish;
    oi_dim (*dims)(oi_symtab *s, oi_dim a, oi_dim b);
} reduce_def;

static const reduce_def *find(const oi_op *op);

static reduce_loop *const sum_exp_loops[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(sum_exp), OI_INT_ROWS(sum_exp)};

/* --- import and infer --- */

/* Axes became an input in opset 13 (ReduceSum) and 18. */
static oi_status import(oi_import *im)
{
    return oi_import_attr_to_input(im, "axes", 1, ONNX_INFER_FLOAT);
}

/* Marks the reduced axes. */
static oi_status mark(const oi_op *op, const reduce_attr *a, int32_t rank, bool given, int32_t n, const int64_t *axes, bool *reduced)
{
    for (int32_t i = 0; i < rank; i++)
        reduced[i] = (!given || n == 0) && !a->noop_with_empty_axes;
    for (int32_t i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        OI_FAIL_IF(axis < 0 || axis >= rank, ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d", op->name,
                   (long long)axes[i], (int)rank);
        reduced[axis] = true;
    }
    return ONNX_INFER_OK;
}

static oi_status infer_unknown_axes(oi_infer *x, const reduce_attr *a)
{
    const oi_fact *f = x->in[0], *axes = x->in[1];
    int32_t rank = f->shape.rank;
    if (!a->keepdims && rank >= 0) {
        oi_dim n = axes->shape.rank == 1 ? axes->shape.dim[0] : -1;
        bool all = n == 0 && !a->noop_with_empty_axes;
        rank = n > 0 && oi_dim_is_number(n) && n <= rank ? rank - (int32_t)n : all ? 0 : n == 0 ? rank : -1;
    }
    oi_infer_set_fresh(x, 0, f->dtype, rank);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const reduce_def *d = find(x->op);
    const reduce_attr *a = x->attr;
    const oi_fact *f = x->in[0], *axes_fact = oi_infer_in(x, 1);
    OI_FAIL_IF(f->dtype && !d->loop[f->dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input 0: %s does not take element type %s", x->op->name,
               oi_dtype_name(f->dtype));
    oi_dim v[OI_SYM_CONTENT_MAX];
    int64_t axes[OI_MAX_RANK];
    int32_t n = 0;
    if (axes_fact)
        OI_TRY(oi_infer_ints(x, 1, v, OI_MAX_RANK, &n));
    for (int32_t i = 0; i < n; i++) {
        if (!oi_dim_is_number(v[i])) {
            n = -1;
            break;
        }
        axes[i] = v[i];
    }
    if (n < 0 || f->shape.rank < 0) {
        if (n >= 0 && !a->keepdims && !a->noop_with_empty_axes && n == 0) {
            oi_infer_set(x, 0, f->dtype, 0, NULL);
            return ONNX_INFER_OK;
        }
        if (n < 0)
            return infer_unknown_axes(x, a);
        oi_infer_set_fresh(x, 0, f->dtype, -1);
        return ONNX_INFER_OK;
    }
    bool reduced[OI_MAX_RANK], all = true;
    OI_TRY(mark(x->op, a, f->shape.rank, axes_fact != NULL, n, axes, reduced));
    oi_dim dims[OI_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < f->shape.rank; i++) {
        all = all && reduced[i];
        if (!reduced[i])
            dims[rank++] = f->shape.dim[i];
        else if (a->keepdims)
            dims[rank++] = 1;
    }
    oi_infer_set(x, 0, f->dtype, rank, dims);
    if (!d->dims || !all || (f->dtype != ONNX_INFER_INT64 && f->dtype != ONNX_INFER_INT32))
        return ONNX_INFER_OK;
    n = oi_infer_content(x, 0, v, OI_SYM_CONTENT_MAX);
    for (int32_t i = 1; i < n; i++)
        v[0] = d->dims(x->syms, v[0], v[i]);
    if (n > 0)
        oi_infer_set_content(x, 0, v, 1);
    return ONNX_INFER_OK;
}

/* --- eval --- */

/* The loop over `t` (operand 0) and the result (operand 1, step 0 along what is reduced); the result's shape, and how
 * many elements go into one of it. */
static void plan(const oi_tensor *t, const bool *reduced, bool keepdims, oi_loop *l, int32_t *rank, int64_t *dims, int64_t *count)
{
    int64_t stride[OI_LOOP_MAX][OI_MAX_RANK], at = 1, out = 1;
    *count = 1;
    for (int32_t i = t->rank; i-- > 0;) {
        stride[0][i] = at;
        stride[1][i] = reduced[i] ? 0 : out;
        at *= t->dim[i];
        if (reduced[i])
            *count *= t->dim[i];
        else
            out *= t->dim[i];
    }
    *rank = 0;
    for (int32_t i = 0; i < t->rank; i++) {
        if (!reduced[i] || keepdims)
            dims[(*rank)++] = reduced[i] ? 1 : t->dim[i];
    }
    oi_loop_init(l, 2, t->rank, t->dim, stride);
}

static void gather(const oi_loop *l, reduce_loop *loop, size_t size, const void *x, void *acc, const double *shift)
{
    oi_loop_cursor c;
    oi_loop_part p;
    oi_loop_all(l, &c);
    while (oi_loop_next(&c, &p)) {
        for (int64_t i = 0; i < p.rows; i++) {
            int64_t to = p.off[1] + i * p.row_stride[1];
            loop((size_t)p.n, (const char *)x + (size_t)(p.off[0] + i * p.row_stride[0]) * size, (char *)acc + (size_t)to * sizeof(uint64_t), p.step[1] == 0,
                 shift ? shift + to : NULL);
        }
    }
}

/* What an accumulator starts from, as the 64 bits that it is kept in. */
static uint64_t start(const reduce_def *d, oi_dtype dtype)
{
    double real = d->kernel == OI_REDUCE_PROD ? 1 : d->kernel == OI_REDUCE_MAX ? -INFINITY : d->kernel == OI_REDUCE_MIN ? INFINITY : 0;
    uint64_t bits;
    if (oi_dtype_is_float(dtype)) {
        memcpy(&bits, &real, sizeof bits);
        return bits;
    }
    unsigned width = dtype == ONNX_INFER_BOOL ? 1 : oi_dtype_get(dtype)->bits;
    uint64_t all = UINT64_MAX >> (64 - width);
    if (d->kernel == OI_REDUCE_MAX)
        return oi_dtype_is_signed(dtype) ? ~(all >> 1) : 0;
    if (d->kernel == OI_REDUCE_MIN)
        return oi_dtype_is_signed(dtype) ? all >> 1 : all;
    return real == 1;
}

/* Accumulators are uint64_t or double, so they are looked at through memcpy. */
static uint64_t bits_of(const void *acc, size_t i)
{
    uint64_t bits;
    memcpy(&bits, (const char *)acc + i * sizeof bits, sizeof bits);
    return bits;
}

static double as_double(oi_dtype dtype, const void *acc, size_t i)
{
    uint64_t bits = bits_of(acc, i);
    double v;
    if (oi_dtype_is_float(dtype)) {
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    return oi_dtype_is_signed(dtype) ? (double)(int64_t)bits : (double)bits;
}

static void finish(const reduce_def *d, const void *acc, const double *shift, int64_t count, oi_tensor *y)
{
    bool real = oi_dtype_is_float(y->dtype) || d->finish != AS_IS;
    size_t n = (size_t)oi_tensor_count(y);
    for (size_t i = 0; i < n; i++) {
        if (!real) {
            oi_elem_set_int(y->dtype, y->data, i, (int64_t)bits_of(acc, i));
            continue;
        }
        double v = as_double(d->finish == LOG_EXP ? ONNX_INFER_DOUBLE : y->dtype, acc, i);
        switch (d->finish) {
        case AS_IS: break;
        case MEAN: v /= (double)count; break;
        case ROOT: v = sqrt(v); break;
        case LOG: v = log(v); break;
        case LOG_EXP: v = log(v) + shift[i]; break;
        }
        oi_elem_set_double(y->dtype, y->data, i, v);
    }
}

static oi_status eval(oi_eval *e)
{
    const reduce_def *d = find(e->op);
    const reduce_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0), *axes = oi_eval_in(e, 1);
    if (!t || !d->loop[t->dtype])
        return oi_eval_bad_type(e, 0);
    if (axes && axes->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    int64_t n = axes ? oi_tensor_count(axes) : 0, dims[OI_MAX_RANK], count;
    bool reduced[OI_MAX_RANK];
    OI_FAIL_IF(n > OI_MAX_RANK, ONNX_INFER_E_INVALID_MODEL, "%s: %lld axes are too many", e->op->name, (long long)n);
    OI_TRY(mark(e->op, a, t->rank, axes != NULL, (int32_t)n, axes ? axes->data : NULL, reduced));
    oi_loop l;
    int32_t rank;
    plan(t, reduced, a->keepdims, &l, &rank, dims, &count);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, rank, dims, &y));
    size_t out = (size_t)oi_tensor_count(y), size = oi_dtype_size(t->dtype);
    char *acc = oi_eval_scratch_array(e, out + 1, sizeof(uint64_t));
    if (!acc)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    uint64_t first = start(d, t->dtype);
    for (size_t i = 0; i < out; i++)
        memcpy(acc + i * sizeof first, &first, sizeof first);
    gather(&l, d->loop[t->dtype], size, t->data, acc, NULL);
    double *shift = NULL;
    if (d->finish == LOG_EXP) {
        shift = oi_eval_scratch_array(e, out + 1, sizeof *shift);
        if (!shift)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (size_t i = 0; i < out; i++) {
            shift[i] = as_double(t->dtype, acc, i);
            shift[i] = count && isfinite(shift[i]) ? shift[i] : 0;
        }
        memset(acc, 0, out * sizeof(uint64_t));
        gather(&l, sum_exp_loops[t->dtype], size, t->data, acc, shift);
    }
    finish(d, acc, shift, count, y);
    return ONNX_INFER_OK;
}

/* --- prepare and run: float32, one run of axes reduced --- */

typedef struct {
    const oi_kernels *k;
    oi_reduce kind;
    finish_kind finish;
    int64_t outer, n, inner; /* inner 1: rows of n; else n rows of `inner` to each of `outer` */
    int64_t block, blocks;   /* rows of a task; or columns of a task, and tasks to each outer index */
    float count;
} reduce_state;

static oi_status run(const oi_run *r, uint32_t task)
{
    const reduce_state *s = r->step->state;
    const float *x = r->in[0];
    float *y = r->out[0];
    size_t results;
    if (s->inner == 1) {
        int64_t first = (int64_t)task * s->block;
        results = (size_t)(s->outer - first < s->block ? s->outer - first : s->block);
        y += first;
        s->k->reduce_inner[s->kind](results, (size_t)s->n, x + first * s->n, (size_t)s->n, y);
    } else {
        int64_t o = (int64_t)task / s->blocks, first = (int64_t)task % s->blocks * s->block;
        results = (size_t)(s->inner - first < s->block ? s->inner - first : s->block);
        y += o * s->inner + first;
        s->k->reduce_outer[s->kind]((size_t)s->n, results, x + o * s->n * s->inner + first, (size_t)s->inner, y);
    }
    if (s->finish == MEAN) {
        for (size_t i = 0; i < results; i++)
            y[i] /= s->count;
    } else if (s->finish == ROOT) {
        s->k->unary[OI_UNARY_SQRT](results, y, y, 0, 0);
    } else if (s->finish == LOG) {
        s->k->unary[OI_UNARY_LOG](results, y, y, 0, 0);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const reduce_def *d = find(step->op);
    const oi_tensor *t = &step->in[0], *axes = step->nin > 1 && step->in[1].dtype ? &step->in[1] : NULL;
    if (t->dtype != ONNX_INFER_FLOAT || d->finish == LOG_EXP || (axes && (!axes->data || axes->dtype != ONNX_INFER_INT64)))
        return ONNX_INFER_OK;
    bool reduced[OI_MAX_RANK];
    int64_t dims[OI_MAX_RANK], count, n = axes ? oi_tensor_count(axes) : 0;
    int32_t rank;
    oi_loop l;
    if (n > OI_MAX_RANK)
        return ONNX_INFER_OK;
    const reduce_attr *a = step->attr;
    OI_TRY(mark(step->op, a, t->rank, axes != NULL, (int32_t)n, axes ? axes->data : NULL, reduced));
    plan(t, reduced, a->keepdims, &l, &rank, dims, &count);
    bool last = l.stride[1][l.rank - 1] == 0;
    if (l.dim[0] == 0 || l.rank > 3 || (l.rank == 1 && !last) || (l.rank == 3 && last))
        return ONNX_INFER_OK;
    reduce_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->k = p->target->kernels;
    s->kind = d->kernel;
    s->finish = d->finish;
    s->count = (float)count;
    s->inner = last ? 1 : l.dim[l.rank - 1];
    s->n = l.dim[l.rank - (last ? 1 : 2)];
    s->outer = last ? (l.rank == 2 ? l.dim[0] : 1) : (l.rank == 3 ? l.dim[0] : 1);
    s->block = 2 * OI_LOOP_TASK / s->n;
    if (last) {
        s->block = s->block < 1 ? 1 : s->block;
        step->n_tasks = (uint32_t)((s->outer + s->block - 1) / s->block);
    } else {
        s->block = s->block < 64 ? 64 : s->block / 16 * 16;
        s->blocks = (s->inner + s->block - 1) / s->block;
        step->n_tasks = (uint32_t)(s->outer * s->blocks);
    }
    step->kernel = last ? "rows" : "columns";
    step->state = s;
    step->run = run;
    return ONNX_INFER_OK;
}

/* --- definitions --- */

static const oi_attr_spec attrs[] = {
    {.name = "keepdims", .type = OI_ATTR_INT, .offset = offsetof(reduce_attr, keepdims), .i = 1},
    {.name = "noop_with_empty_axes", .type = OI_ATTR_INT, .offset = offsetof(reduce_attr, noop_with_empty_axes)},
    {0},
};

#define REDUCE(id, latest)                                                                                                  \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = 1, .newest = latest, .min_in = 1, .max_in = 2, .min_out = 1, \
                              .max_out = 1, .attrs = attrs, .attr_size = sizeof(reduce_attr), .import = import,             \
                              .infer = infer, .eval = eval, .prepare = prepare}
REDUCE(ReduceL1, 18);
REDUCE(ReduceL2, 18);
REDUCE(ReduceLogSum, 28);
REDUCE(ReduceLogSumExp, 28);
REDUCE(ReduceMax, 20);
REDUCE(ReduceMean, 18);
REDUCE(ReduceMin, 20);
REDUCE(ReduceProd, 18);
REDUCE(ReduceSum, 13);
REDUCE(ReduceSumSquare, 18);

#define NUMBERS(name) OI_FLOAT_ROWS(name), OI_INT_ROWS(name)

static const reduce_def defs[] = {
    {&oi_op_ReduceL1, {NUMBERS(sum_abs)}, OI_REDUCE_SUM_ABS, AS_IS, NULL},
    {&oi_op_ReduceL2, {NUMBERS(sum_square)}, OI_REDUCE_SUM_SQUARE, ROOT, NULL},
    {&oi_op_ReduceLogSum, {NUMBERS(sum)}, OI_REDUCE_SUM, LOG, NULL},
    {&oi_op_ReduceLogSumExp, {NUMBERS(maximum)}, OI_REDUCE_MAX, LOG_EXP, NULL},
    {&oi_op_ReduceMax, {NUMBERS(maximum), [ONNX_INFER_BOOL] = maximum_u8}, OI_REDUCE_MAX, AS_IS, oi_dim_max},
    {&oi_op_ReduceMean, {NUMBERS(sum)}, OI_REDUCE_SUM, MEAN, NULL},
    {&oi_op_ReduceMin, {NUMBERS(minimum), [ONNX_INFER_BOOL] = minimum_u8}, OI_REDUCE_MIN, AS_IS, oi_dim_min},
    {&oi_op_ReduceProd, {NUMBERS(product)}, OI_REDUCE_PROD, AS_IS, oi_dim_mul},
    {&oi_op_ReduceSum, {NUMBERS(sum)}, OI_REDUCE_SUM, AS_IS, oi_dim_add},
    {&oi_op_ReduceSumSquare, {NUMBERS(sum_square)}, OI_REDUCE_SUM_SQUARE, AS_IS, NULL},
};

static const reduce_def *find(const oi_op *op)
{
    const reduce_def *d = defs;
    while (d->op != op)
        d++;
    return d;
}
