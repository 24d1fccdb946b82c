/* Elementwise functions of two or more tensors with numpy's broadcast: arithmetic, bits, logic, comparisons. */
#include "ops/dtypes.h"
#include "ops/legacy.h"
#include "ops/loop.h"
#include "ops/rewrite.h"
#include "ops/target.h"

#include <math.h>
#include <string.h>

typedef void binary_loop(size_t n, const void *x, bool x_repeats, const void *y, bool y_repeats, void *z, int64_t mode);

#define TMPL "ops/tmpl/binary_float.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/binary_compare.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/binary_int.inc"
#include "ops/tmpl/each_int.inc"
#define TMPL "ops/tmpl/binary_compare.inc"
#include "ops/tmpl/each_int.inc"
#include "ops/tmpl/binary_bool.inc"

static void equal_string(size_t n, const void *x, bool x_repeats, const void *y, bool y_repeats, void *z, int64_t mode)
{
    const oi_string *u = x, *v = y;
    uint8_t *dst = z;
    (void)mode;
    for (size_t i = 0; i < n; i++) {
        const oi_string *a = &u[x_repeats ? 0 : i], *b = &v[y_repeats ? 0 : i];
        dst[i] = a->n == b->n && (a->n == 0 || memcmp(a->text, b->text, a->n) == 0);
    }
}

typedef struct {
    int64_t mode; /* Mod: fmod; BitShift: 1 is left */
} binary_attr;

/* What an integer function makes of symbolic operands; false where it cannot be said. */
typedef bool dim_fn(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out);

typedef struct {
    const oi_op *op;
    binary_loop *loop[OI_DTYPE_COUNT];
    bool has_kernel;
    oi_binary kernel;  /* of float32 */
    oi_dtype result;   /* UNDEFINED: that of the inputs */
    dim_fn *dims;
    bool mean;         /* divide by the number of inputs at last */
    bool any_exponent; /* the second input may be of another type */
} binary_def;

static const binary_def *find(const oi_op *op);
extern const oi_op oi_op_Div, oi_op_Sum;

/* --- infer --- */

static bool dim_add(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    *out = oi_dim_add(s, a, b);
    return true;
}

static bool dim_sub(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    *out = oi_dim_sub(s, a, b);
    return true;
}

static bool dim_mul(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    *out = oi_dim_mul(s, a, b);
    return true;
}

static bool dim_max(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    *out = oi_dim_max(s, a, b);
    return true;
}

static bool dim_min(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    *out = oi_dim_min(s, a, b);
    return true;
}

/* Division towards zero is division towards minus infinity where nothing is negative. */
static bool divisible(const oi_symtab *s, oi_dim a, oi_dim b)
{
    return b != 0 && oi_dim_is_nonnegative(s, a) && oi_dim_is_nonnegative(s, b);
}

static bool dim_div(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    if (!divisible(s, a, b))
        return false;
    *out = oi_dim_floordiv(s, a, b);
    return true;
}

static bool dim_mod(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    if (!divisible(s, a, b))
        return false;
    *out = oi_dim_mod(s, a, b);
    return true;
}

static bool dim_equal(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    oi_dim d = oi_dim_sub(s, a, b);
    *out = d == 0;
    return oi_dim_is_number(d) || oi_dim_is_nonnegative(s, oi_dim_sub(s, d, 1)) ||
           oi_dim_is_nonnegative(s, oi_dim_sub(s, oi_dim_sub(s, b, a), 1));
}

static bool dim_greater(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    *out = oi_dim_is_nonnegative(s, oi_dim_sub(s, oi_dim_sub(s, a, b), 1));
    return *out || oi_dim_is_nonnegative(s, oi_dim_sub(s, b, a));
}

static bool dim_greater_equal(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    if (!dim_greater(s, b, a, out))
        return false;
    *out = !*out;
    return true;
}

static bool dim_less(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    return dim_greater(s, b, a, out);
}

static bool dim_less_equal(oi_symtab *s, oi_dim a, oi_dim b, oi_dim *out)
{
    return dim_greater_equal(s, b, a, out);
}

static oi_status infer_content(oi_infer *x, const binary_def *d)
{
    oi_dim v[OI_SYM_CONTENT_MAX], w[OI_SYM_CONTENT_MAX];
    int32_t m;
    int32_t n = oi_infer_content(x, 0, v, OI_SYM_CONTENT_MAX);
    for (uint32_t i = 1; i < x->nin && n > 0; i++) {
        m = oi_infer_content(x, i, w, OI_SYM_CONTENT_MAX);
        bool same = n == m && oi_shape_equal(&x->in[i]->shape, &x->in[0]->shape);
        if (m < 1 || (n != 1 && m != 1 && !same))
            return ONNX_INFER_OK;
        int32_t count = n > m ? n : m;
        for (int32_t k = count; k-- > 0;) {
            if (!d->dims(x->syms, v[n == 1 ? 0 : k], w[m == 1 ? 0 : k], &v[k]))
                return ONNX_INFER_OK;
        }
        n = count;
    }
    if (n > 0)
        oi_infer_set_content(x, 0, v, (uint32_t)n);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const binary_def *d = find(x->op);
    oi_dtype dtype = ONNX_INFER_UNDEFINED;
    for (uint32_t i = 0; i < x->nin; i++) {
        const oi_fact *f = x->in[i];
        OI_FAIL_IF(!f, ONNX_INFER_E_INVALID_MODEL, "input %u of %s is missing", i, x->op->name);
        if (!f->dtype || (d->any_exponent && i))
            continue;
        OI_FAIL_IF(!d->loop[f->dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input %u: %s does not take element type %s", i,
                   x->op->name, oi_dtype_name(f->dtype));
        OI_FAIL_IF(dtype && f->dtype != dtype, ONNX_INFER_E_TYPE_MISMATCH,
                   "%s: input 0 has element type %s but input %u has %s; they must be the same (insert a Cast)", x->op->name,
                   oi_dtype_name(dtype), i, oi_dtype_name(f->dtype));
        dtype = f->dtype;
    }
    oi_shape shape;
    OI_TRY(oi_infer_broadcast(x, 0, x->nin, &shape));
    oi_infer_set(x, 0, d->result ? d->result : dtype, shape.rank, shape.dim);
    return d->dims && (dtype == ONNX_INFER_INT64 || dtype == ONNX_INFER_INT32) ? infer_content(x, d) : ONNX_INFER_OK;
}

/* --- eval --- */

static void fold(oi_loop_cursor *c, binary_loop *loop, size_t size, size_t size_out, const void *a, const void *b, void *y,
                 int64_t mode)
{
    oi_loop_part p;
    while (oi_loop_next(c, &p)) {
        for (int64_t i = 0; i < p.rows; i++) {
            const char *x = (const char *)a + (size_t)(p.off[0] + i * p.row_stride[0]) * size;
            const char *w = (const char *)b + (size_t)(p.off[1] + i * p.row_stride[1]) * size;
            loop((size_t)p.n, x, p.step[0] == 0, w, p.step[1] == 0,
                 (char *)y + (size_t)(p.off[2] + i * p.row_stride[2]) * size_out, mode);
        }
    }
}

/* An exponent of another type: both in double, or in int64 where both are integers. */
static void mixed_power(const oi_loop *l, const oi_tensor *a, const oi_tensor *b, oi_tensor *y)
{
    bool ints = oi_dtype_is_int(a->dtype) && oi_dtype_is_int(b->dtype);
    oi_loop_cursor c;
    oi_loop_part p;
    oi_loop_all(l, &c);
    while (oi_loop_next(&c, &p)) {
        for (int64_t i = 0; i < p.rows * p.n; i++) {
            int64_t r = i / p.n, k = i % p.n;
            size_t at = (size_t)(p.off[0] + r * p.row_stride[0] + k * p.step[0]);
            size_t bt = (size_t)(p.off[1] + r * p.row_stride[1] + k * p.step[1]);
            size_t yt = (size_t)(p.off[2] + r * p.row_stride[2] + k * p.step[2]);
            if (ints) {
                int64_t u = oi_elem_get_int(a->dtype, a->data, at), v = oi_elem_get_int(b->dtype, b->data, bt);
                oi_elem_set_int(y->dtype, y->data, yt, power_of_i64(u, v));
            } else {
                double u = oi_elem_get_double(a->dtype, a->data, at), v = oi_elem_get_double(b->dtype, b->data, bt);
                oi_elem_set_double(y->dtype, y->data, yt, pow(u, v));
            }
        }
    }
}

static oi_status eval(oi_eval *e)
{
    const binary_def *d = find(e->op);
    int64_t mode = e->attr ? ((const binary_attr *)e->attr)->mode : 0;
    int32_t rank = 0;
    int64_t dims[OI_MAX_RANK];
    for (uint32_t i = 0; i < e->nin; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (!t || !(d->any_exponent && i ? oi_dtype_is_float(t->dtype) || oi_dtype_is_int(t->dtype) : d->loop[t->dtype] != NULL))
            return oi_eval_bad_type(e, i);
        OI_FAIL_IF(t->dtype != e->in[0]->dtype && !d->any_exponent, ONNX_INFER_E_TYPE_MISMATCH, "%s: inputs are %s and %s", e->op->name,
                   oi_dtype_name(e->in[0]->dtype), oi_dtype_name(t->dtype));
        OI_FAIL_IF(!oi_dims_broadcast(rank, dims, t->rank, t->dim, &rank, dims), ONNX_INFER_E_SHAPE_MISMATCH,
                   "%s: the shape of input %u does not broadcast with those before it", e->op->name, i);
    }
    const oi_tensor *a = e->in[0];
    binary_loop *loop = d->loop[a->dtype];
    size_t size = oi_dtype_size(a->dtype);
    oi_tensor *y;
    if (e->nin == 1)
        return e->host->out_view(e, 0, a, a->rank, a->dim);
    OI_TRY(oi_eval_out(e, 0, d->result ? d->result : a->dtype, rank, dims, &y));
    for (uint32_t i = 1; i < e->nin; i++) {
        oi_loop l;
        oi_loop_cursor c;
        oi_loop_broadcast(&l, rank, dims, 3, (const oi_tensor *[]){a, e->in[i], y});
        if (e->in[i]->dtype != a->dtype) {
            mixed_power(&l, a, e->in[i], y);
            break;
        }
        oi_loop_all(&l, &c);
        fold(&c, loop, size, oi_dtype_size(y->dtype), a->data, e->in[i]->data, y->data, mode);
        a = y;
    }
    if (d->mean) {
        size_t n = (size_t)oi_tensor_count(y);
        uint8_t count[8];
        oi_elem_set_double(y->dtype, count, 0, e->nin);
        find(&oi_op_Div)->loop[y->dtype](n, y->data, false, count, true, y->data, 0);
    }
    return ONNX_INFER_OK;
}

/* --- prepare and run: two inputs of one type --- */

typedef struct {
    oi_loop l;
    binary_loop *loop;
    oi_binary_fn *kernel; /* NULL: loop */
    size_t size, size_out;
    int64_t mode;
} binary_state;

static oi_status run(const oi_run *r, uint32_t task)
{
    const binary_state *s = r->step->state;
    oi_loop_cursor c;
    oi_loop_part p;
    oi_loop_task(&s->l, task, &c);
    if (!s->kernel) {
        fold(&c, s->loop, s->size, s->size_out, r->in[0], r->in[1], r->out[0], s->mode);
        return ONNX_INFER_OK;
    }
    while (oi_loop_next(&c, &p)) {
        oi_binary_args args = {
            .rows = (size_t)p.rows, .n = (size_t)p.n,
            .a = (const float *)r->in[0] + p.off[0], .b = (const float *)r->in[1] + p.off[1], .y = (float *)r->out[0] + p.off[2],
            .as = (size_t)p.row_stride[0], .bs = (size_t)p.row_stride[1], .ys = (size_t)p.row_stride[2],
            .a_scalar = p.step[0] == 0, .b_scalar = p.step[1] == 0,
        };
        s->kernel(&args);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const binary_def *d = find(step->op);
    const oi_tensor *a = &step->in[0], *b = &step->in[1], *y = &step->out[0];
    if (step->nin != 2 || a->dtype != b->dtype || !d->loop[a->dtype] || d->mean)
        return ONNX_INFER_OK;
    binary_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_loop_broadcast(&s->l, y->rank, y->dim, 3, (const oi_tensor *[]){a, b, y});
    s->loop = d->loop[a->dtype];
    s->size = oi_dtype_size(a->dtype);
    s->size_out = oi_dtype_size(y->dtype);
    s->mode = step->attr ? ((const binary_attr *)step->attr)->mode : 0;
    bool both_repeat = s->l.stride[0][s->l.rank - 1] == 0 && s->l.stride[1][s->l.rank - 1] == 0;
    if (a->dtype == ONNX_INFER_FLOAT && d->has_kernel && !both_repeat)
        s->kernel = p->target->kernels->binary[d->kernel];
    step->kernel = s->kernel ? "vector" : "loop";
    step->state = s;
    step->n_tasks = s->l.tasks;
    if (s->size == s->size_out)
        step->in_place = oi_tensor_same_shape(a, y) ? 0 : oi_tensor_same_shape(b, y) ? 1 : -1;
    step->run = run;
    return ONNX_INFER_OK;
}

/* --- lower: many inputs become a chain of two --- */

static oi_status lower_chain(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    const oi_node *node = &rw->g->node[id];
    const oi_op *op = node->op;
    bool mean = find(op)->mean;
    uint32_t n = node->nin;
    (void)target;
    if (n == 1 || (n == 2 && !mean) || (mean && oi_graph_fact(rw->g, node->in[0])->dtype != ONNX_INFER_FLOAT))
        return ONNX_INFER_OK;
    oi_value_id out = node->out[0], sum = node->in[0];
    for (uint32_t i = 1; i < n; i++) {
        oi_value_id pair[2] = {sum, rw->g->node[id].in[i]};
        sum = oi_rewrite_node(rw, mean ? &oi_op_Sum : op, NULL, 2, pair);
    }
    if (mean) {
        oi_value_id pair[2] = {sum, oi_rewrite_const_float(rw, (float)n)};
        sum = oi_rewrite_node(rw, &oi_op_Div, NULL, 2, pair);
    }
    oi_rewrite_replace(rw, out, sum);
    return rw->status;
}

/* --- definitions --- */

/* The slopes of opsets below 7 belong to axis 1. */
static oi_status import_prelu(oi_import *im)
{
    oi_import_drop(im, "consumed_inputs");
    return im->opset < 7 && im->nin == 2 ? oi_import_align(im, 1) : ONNX_INFER_OK;
}

static const oi_attr_spec mod_attrs[] = {{.name = "fmod", .type = OI_ATTR_INT, .offset = offsetof(binary_attr, mode)}, {0}};
static const oi_attr_spec shift_attrs[] = {
    {.name = "direction", .type = OI_ATTR_ENUM, .offset = offsetof(binary_attr, mode), .flags = OI_ATTR_REQUIRED, .s = "RIGHT|LEFT"},
    {0}};

#define COMMON(id, first, latest) \
    .name = #id, .domain = "", .since = first, .newest = latest, .min_out = 1, .max_out = 1, .infer = infer, .eval = eval, \
    .prepare = prepare
#define BINARY(id, first, latest, extra)                                                                             \
    const oi_op oi_op_##id = {COMMON(id, first, latest), .flags = OI_OP_ELEMENTWISE | (extra), .min_in = 2, .max_in = 2, \
                              .import = oi_import_binary}
#define VARIADIC(id, first, latest)                                                                   \
    const oi_op oi_op_##id = {COMMON(id, first, latest), .flags = OI_OP_ELEMENTWISE | OI_OP_COMMUTATIVE, \
                              .min_in = 1, .max_in = UINT16_MAX, .import = oi_import_unary, .lower = lower_chain}
BINARY(Add, 1, 14, OI_OP_COMMUTATIVE);
BINARY(Sub, 1, 14, 0);
BINARY(Mul, 1, 14, OI_OP_COMMUTATIVE);
BINARY(Div, 1, 14, 0);
const oi_op oi_op_Mod = {COMMON(Mod, 10, 28), .flags = OI_OP_ELEMENTWISE, .min_in = 2, .max_in = 2,
                          .attrs = mod_attrs, .attr_size = sizeof(binary_attr)};
BINARY(Pow, 1, 15, 0);
const oi_op oi_op_PRelu = {COMMON(PRelu, 1, 16), .flags = OI_OP_ELEMENTWISE, .min_in = 2, .max_in = 2,
                            .import = import_prelu};
const oi_op oi_op_BitShift = {COMMON(BitShift, 11, 28), .flags = OI_OP_ELEMENTWISE, .min_in = 2, .max_in = 2,
                               .attrs = shift_attrs, .attr_size = sizeof(binary_attr)};
BINARY(BitwiseAnd, 18, 18, OI_OP_COMMUTATIVE);
BINARY(BitwiseOr, 18, 18, OI_OP_COMMUTATIVE);
BINARY(BitwiseXor, 18, 18, OI_OP_COMMUTATIVE);
BINARY(And, 1, 7, OI_OP_COMMUTATIVE);
BINARY(Or, 1, 7, OI_OP_COMMUTATIVE);
BINARY(Xor, 1, 7, OI_OP_COMMUTATIVE);
BINARY(Equal, 1, 19, OI_OP_COMMUTATIVE);
BINARY(Greater, 1, 13, 0);
BINARY(GreaterOrEqual, 12, 16, 0);
BINARY(Less, 1, 13, 0);
BINARY(LessOrEqual, 12, 16, 0);
VARIADIC(Max, 1, 13);
VARIADIC(Min, 1, 13);
VARIADIC(Mean, 1, 13);
VARIADIC(Sum, 1, 13);

static const binary_def defs[] = {
    {.op = &oi_op_Add, .loop = {OI_FLOAT_ROWS(add), OI_INT_ROWS(add)}, .has_kernel = true, .kernel = OI_BINARY_ADD, .dims = dim_add},
    {.op = &oi_op_Sub, .loop = {OI_FLOAT_ROWS(sub), OI_INT_ROWS(sub)}, .has_kernel = true, .kernel = OI_BINARY_SUB, .dims = dim_sub},
    {.op = &oi_op_Mul, .loop = {OI_FLOAT_ROWS(mul), OI_INT_ROWS(mul)}, .has_kernel = true, .kernel = OI_BINARY_MUL, .dims = dim_mul},
    {.op = &oi_op_Div, .loop = {OI_FLOAT_ROWS(div), OI_INT_ROWS(div)}, .has_kernel = true, .kernel = OI_BINARY_DIV, .dims = dim_div},
    {.op = &oi_op_Mod, .loop = {OI_FLOAT_ROWS(mod), OI_INT_ROWS(mod)}, .dims = dim_mod},
    {.op = &oi_op_Pow, .loop = {OI_FLOAT_ROWS(pow), OI_INT_ROWS(pow)}, .has_kernel = true, .kernel = OI_BINARY_POW,
     .any_exponent = true},
    {.op = &oi_op_PRelu, .loop = {OI_FLOAT_ROWS(prelu), OI_INT_ROWS(prelu)}, .has_kernel = true, .kernel = OI_BINARY_PRELU},
    {.op = &oi_op_BitShift, .loop = {OI_INT_ROWS(shift)}},
    {.op = &oi_op_BitwiseAnd, .loop = {OI_INT_ROWS(bit_and)}},
    {.op = &oi_op_BitwiseOr, .loop = {OI_INT_ROWS(bit_or)}},
    {.op = &oi_op_BitwiseXor, .loop = {OI_INT_ROWS(bit_xor)}},
    {.op = &oi_op_And, .loop = {[ONNX_INFER_BOOL] = bool_and}},
    {.op = &oi_op_Or, .loop = {[ONNX_INFER_BOOL] = bool_or}},
    {.op = &oi_op_Xor, .loop = {[ONNX_INFER_BOOL] = bool_xor}},
    {.op = &oi_op_Equal, .loop = {OI_FLOAT_ROWS(equal), OI_INT_ROWS(equal), [ONNX_INFER_BOOL] = equal_u8, [ONNX_INFER_STRING] = equal_string},
     .result = ONNX_INFER_BOOL, .dims = dim_equal},
    {.op = &oi_op_Greater, .loop = {OI_FLOAT_ROWS(greater), OI_INT_ROWS(greater)},
     .result = ONNX_INFER_BOOL, .dims = dim_greater},
    {.op = &oi_op_GreaterOrEqual, .loop = {OI_FLOAT_ROWS(greater_equal), OI_INT_ROWS(greater_equal)},
     .result = ONNX_INFER_BOOL, .dims = dim_greater_equal},
    {.op = &oi_op_Less, .loop = {OI_FLOAT_ROWS(less), OI_INT_ROWS(less)},
     .result = ONNX_INFER_BOOL, .dims = dim_less},
    {.op = &oi_op_LessOrEqual, .loop = {OI_FLOAT_ROWS(less_equal), OI_INT_ROWS(less_equal)},
     .result = ONNX_INFER_BOOL, .dims = dim_less_equal},
    {.op = &oi_op_Max, .loop = {OI_FLOAT_ROWS(max), OI_INT_ROWS(max)}, .has_kernel = true, .kernel = OI_BINARY_MAX, .dims = dim_max},
    {.op = &oi_op_Min, .loop = {OI_FLOAT_ROWS(min), OI_INT_ROWS(min)}, .has_kernel = true, .kernel = OI_BINARY_MIN, .dims = dim_min},
    {.op = &oi_op_Mean, .loop = {OI_FLOAT_ROWS(add), OI_INT_ROWS(add)}, .has_kernel = true, .kernel = OI_BINARY_ADD, .mean = true},
    {.op = &oi_op_Sum, .loop = {OI_FLOAT_ROWS(add), OI_INT_ROWS(add)}, .has_kernel = true, .kernel = OI_BINARY_ADD, .dims = dim_add},
};

static const binary_def *find(const oi_op *op)
{
    const binary_def *d = defs;
    while (d->op != op)
        d++;
    return d;
}
