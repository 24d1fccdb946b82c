/* Operators of the caller's own: attributes, inference with symbols, kernels, versions, overriding, failures, threads,
 * subgraphs, a library; every allocation failing in turn. */
#include <onnx_infer.h>

#include "support/api_help.h"
#include "support/little_model.h"
#include "support/scarce_memory.h"

#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int infer, create, compute, destroy;
    float add;
    onnx_infer_status fail_compute;
    bool say;
} counts;

/* y = x * scale + bias (of create) + user's add; rows of x are repeated `times` times */
typedef struct {
    counts *n;
    float scale, bias;
    int64_t times;
} kernel;

static onnx_infer_status infer(void *user, onnx_infer_op_context *x)
{
    counts *n = user;
    int64_t dims[2], times = 0;
    const char *exprs[2];
    char rows[200];
    int32_t rank;
    n->infer++;
    onnx_infer_status st = onnx_infer_op_attr_int(x, "times", &times);
    if (st)
        return st;
    st = onnx_infer_op_input_type(x, 0, NULL, NULL, &rank);
    if (st || rank != 2)
        return st ? st : onnx_infer_op_fail(x, ONNX_INFER_E_SHAPE_MISMATCH, "a matrix is needed");
    for (int32_t d = 0; d < 2 && !st; d++)
        st = onnx_infer_op_input_dim(x, 0, d, &dims[d], &exprs[d]);
    if (st)
        return st;
    snprintf(rows, sizeof rows, "(%s) * %d", exprs[0], (int)times);
    if (dims[0] >= 0)
        dims[0] *= times;
    exprs[0] = rows;
    return onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 2, dims, exprs);
}

static onnx_infer_status create(void *user, onnx_infer_op_context *x, void **out)
{
    kernel *k = calloc(1, sizeof *k);
    const char *mode;
    const float *list;
    const int64_t *ints;
    const onnx_infer_value *bias;
    size_t n;
    float absent = 7;
    if (!k)
        return onnx_infer_op_fail(x, ONNX_INFER_E_OUT_OF_MEMORY, "no memory");
    k->n = user;
    onnx_infer_status st = onnx_infer_op_attr_float(x, "scale", &k->scale);
    if (!st)
        st = onnx_infer_op_attr_int(x, "times", &k->times);
    if (!st && !(st = onnx_infer_op_attr_string(x, "mode", &mode, &n)))
        ck_assert(n == 4 && !strcmp(mode, "wide"));
    if (!st && !(st = onnx_infer_op_attr_floats(x, "list", &list, &n)))
        ck_assert(n == 2 && list[0] == 0.5f && list[1] == 1.5f);
    if (!st && !(st = onnx_infer_op_attr_ints(x, "ints", &ints, &n)))
        ck_assert(n == 3 && ints[0] == 1 && ints[1] == -2 && ints[2] == 3);
    if (!st && !(st = onnx_infer_op_attr_tensor(x, "bias", &bias)))
        k->bias = ((const float *)onnx_infer_tensor_data(bias))[1];
    if (st) {
        free(k);
        return st;
    }
    ck_assert_int_eq(onnx_infer_op_attr_float(x, "times", &absent), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_float(x, "nothing", &absent), ONNX_INFER_E_NOT_FOUND);
    ck_assert(absent == 7);
    /* the second input is a constant of the model, the first is not */
    ck_assert_ptr_null(onnx_infer_op_input(x, 0));
    ck_assert_ptr_nonnull(onnx_infer_op_input(x, 1));
    k->n->create++;
    *out = k;
    return ONNX_INFER_OK;
}

typedef struct {
    const kernel *k;
    const float *x, *c;
    float *y;
    size_t row, rows;
} work;

static void one_row(void *arg, size_t i)
{
    const work *w = arg;
    for (size_t j = 0; j < w->row; j++)
        w->y[i * w->row + j] = w->x[i % w->rows * w->row + j] * w->k->scale + w->k->bias + w->k->n->add + w->c[0];
}

static onnx_infer_status compute(void *state, onnx_infer_op_context *x)
{
    const kernel *k = state;
    const onnx_infer_value *in = onnx_infer_op_input(x, 0), *c = onnx_infer_op_input(x, 1);
    const int64_t *dims = onnx_infer_tensor_dims(in);
    onnx_infer_value *out;
    __atomic_fetch_add(&k->n->compute, 1, __ATOMIC_RELAXED);
    if (k->n->fail_compute)
        return k->n->say ? onnx_infer_op_fail(x, k->n->fail_compute, "told to fail") : k->n->fail_compute;
    ck_assert_uint_eq(onnx_infer_op_input_count(x), 2);
    ck_assert_uint_eq(onnx_infer_op_output_count(x), 1);
    ck_assert_int_eq(onnx_infer_op_output_wanted(x, 0), 1);
    ck_assert_int_eq(onnx_infer_op_output_wanted(x, 1), 0);
    char *scratch = onnx_infer_op_scratch(x, 1000);
    if (!scratch)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    ck_assert(!scratch[0] && !scratch[999]);
    onnx_infer_status st = onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 2, (int64_t[]){dims[0] * k->times, dims[1]}, &out);
    if (st)
        return st;
    work w = {k, onnx_infer_tensor_data(in), onnx_infer_tensor_data(c), onnx_infer_tensor_mutable_data(out), (size_t)dims[1],
              (size_t)dims[0]};
    onnx_infer_op_parallel_for(x, (size_t)(dims[0] * k->times), one_row, &w);
    return ONNX_INFER_OK;
}

static void destroy(void *state)
{
    kernel *k = state;
    k->n->destroy++;
    free(k);
}

static onnx_infer_op_def definition(counts *n)
{
    return (onnx_infer_op_def){.struct_size = sizeof(onnx_infer_op_def), .domain = "test.ops", .name = "Repeat", .user = n,
                               .infer = infer, .create = create, .compute = compute, .destroy = destroy, .min_inputs = 2,
                               .max_inputs = 2, .min_outputs = 1, .max_outputs = 1};
}

static const char repeat_graph[] =
    "in x float Nx3\nconst c float scalar 100\nr = Relu(x)\n"
    "y = test.ops::Repeat(r, c) times=2 scale=0.5 mode='wide' list=[0.5,1.5] ints=[1,-2,3] bias=<b;float;2;7;10>\n"
    "z = Add(y, c)\nout z float Mx3";

static onnx_infer_status load(const char *text, const onnx_infer_options *o, int64_t version, onnx_infer_model **m)
{
    little_bytes g = little_graph(text, NULL), model = little_model_with(&g, "test.ops", version);
    onnx_infer_status st = onnx_infer_model_load_memory(model.at, model.n, NULL, NULL, o, m);
    little_free(&g);
    little_free(&model);
    return st;
}

static onnx_infer_value *matrix(int64_t rows)
{
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, (int64_t[]){rows, 3}, &v));
    float *x = onnx_infer_tensor_mutable_data(v);
    for (int64_t i = 0; i < rows * 3; i++)
        x[i] = (float)(i - 2);
    return v;
}

static void check_repeat(onnx_infer_context *c, int64_t rows, float add)
{
    onnx_infer_value *x = matrix(rows), *z = NULL;
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &z));
    ck_assert_int_eq(onnx_infer_tensor_dims(z)[0], 2 * rows);
    const float *got = onnx_infer_tensor_data(z);
    for (int64_t i = 0; i < 2 * rows * 3; i++) {
        float in = (float)(i % (rows * 3) - 2);
        ck_assert(got[i] == (in > 0 ? in : 0) * 0.5f + 10 + add + 100 + 100);
    }
    onnx_infer_value_release(x);
    onnx_infer_value_release(z);
}

START_TEST(runs_with_all_it_needs)
{
    counts n = {.add = 3};
    onnx_infer_op_def def = definition(&n);
    onnx_infer_options *o;
    onnx_infer_model *m;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_set_level(o, _i % 3));
    OK(onnx_infer_options_set_threads(o, 1 + _i / 3));
    OK(onnx_infer_options_add_op(o, &def));
    OK(load(repeat_graph, o, 1, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_context_create(p, &c));
    onnx_infer_options_free(o);
    onnx_infer_model_release(m);
    onnx_infer_plan_release(p);
    check_repeat(c, 1, 3);
    check_repeat(c, 40, 3);
    check_repeat(c, 1, 3);
    ck_assert_int_eq(n.create, 2); /* once for each set of shapes */
    ck_assert_int_eq(n.compute, 3);
    ck_assert_int_ge(n.infer, 2);
    onnx_infer_context_free(c);
    ck_assert_int_eq(n.destroy, 2);
}
END_TEST

START_TEST(output_shapes_follow_symbols)
{
    counts n = {0};
    onnx_infer_op_def def = definition(&n);
    onnx_infer_options *o;
    onnx_infer_model *m;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    OK(load("in x float Nx3\nconst c float scalar 1\ny = test.ops::Repeat(x, c) times=2\n"
            "s = Shape(y)\nout s int64 2\nout y float ?x?", o, 1, &m));
    const onnx_infer_port *p = onnx_infer_model_output(m, 1);
    ck_assert_int_eq(onnx_infer_port_rank(p), 2);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(failures_name_the_node)
{
    static const onnx_infer_status codes[] = {ONNX_INFER_E_NOT_FOUND, ONNX_INFER_E_BACKEND, 77, ONNX_INFER_E_INVALID_ARGUMENT};
    counts n = {.fail_compute = codes[_i / 2], .say = _i % 2};
    onnx_infer_op_def def = definition(&n);
    onnx_infer_options *o;
    onnx_infer_model *m;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    OK(load(repeat_graph, o, 1, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_context_create(p, &c));
    onnx_infer_value *x = matrix(2), *z = NULL;
    onnx_infer_status st = onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &z);
    ck_assert_int_eq(st, n.fail_compute == 77 ? ONNX_INFER_E_BACKEND : n.fail_compute);
    ck_assert_ptr_null(z);
    const onnx_infer_error *e = onnx_infer_last_error();
    ck_assert_int_eq(onnx_infer_error_code(e), st);
    ck_assert_str_eq(onnx_infer_error_op(e), "Repeat");
    if (n.say)
        ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(e), "told to fail"));
    n.fail_compute = 0;
    check_repeat(c, 2, 0);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    ck_assert_int_eq(n.create, n.destroy);
}
END_TEST

START_TEST(infer_can_refuse)
{
    counts n = {0};
    onnx_infer_op_def def = definition(&n);
    onnx_infer_options *o;
    onnx_infer_model *m;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    ck_assert_int_eq(load("in x float 4\nconst c float scalar 1\ny = test.ops::Repeat(x, c) times=2\nout y float 4", o, 1, &m),
                     ONNX_INFER_E_SHAPE_MISMATCH);
    ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(onnx_infer_last_error()), "a matrix is needed"));
    ck_assert_int_eq(load("in x float 4x4\ny = test.ops::Repeat(x) times=2\nout y float 4x4", o, 1, &m), ONNX_INFER_E_INVALID_MODEL);
    ck_assert_int_eq(load("in x float 4x4\ny = test.ops::Other(x)\nout y float 4x4", o, 1, &m), ONNX_INFER_E_UNSUPPORTED_OP);
    ck_assert_ptr_null(m);
    onnx_infer_options_free(o);
}
END_TEST

static onnx_infer_status set_number(void *user, onnx_infer_op_context *x)
{
    const onnx_infer_value *in = onnx_infer_op_input(x, 0);
    onnx_infer_value *out;
    onnx_infer_status st = onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, onnx_infer_tensor_rank(in), onnx_infer_tensor_dims(in), &out);
    float *y = st ? NULL : onnx_infer_tensor_mutable_data(out);
    for (size_t i = 0; y && i < onnx_infer_tensor_count(out); i++)
        y[i] = *(const float *)user;
    return st;
}

static float run_number(const onnx_infer_options *o, const char *text, int64_t version, const little_bytes *sub)
{
    little_bytes g = little_graph(text, sub), bytes = little_model_with(&g, "test.ops", version);
    onnx_infer_model *m;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    OK(onnx_infer_model_load_memory(bytes.at, bytes.n, NULL, NULL, o, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_context_create(p, &c));
    onnx_infer_value *x = matrix(1), *y = NULL;
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &y));
    float got = *(const float *)onnx_infer_tensor_data(y);
    onnx_infer_value_release(x);
    onnx_infer_value_release(y);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    little_free(&g);
    little_free(&bytes);
    return got;
}

START_TEST(versions_and_overrides)
{
    static float one = 1, two = 2, three = 3;
    onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "test.ops", .name = "Number", .since = 1, .until = 3,
                             .compute = set_number, .user = &one};
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    ck_assert_int_eq(onnx_infer_options_add_op(o, &def), ONNX_INFER_E_INVALID_ARGUMENT); /* twice */
    def.since = 4;
    def.until = 0;
    def.user = &two;
    OK(onnx_infer_options_add_op(o, &def));
    static const char text[] = "in x float 1x3\ny = test.ops::Number(x)\nout y float 1x3";
    ck_assert(run_number(o, text, 2, NULL) == 1);
    ck_assert(run_number(o, text, 3, NULL) == 1);
    ck_assert(run_number(o, text, 4, NULL) == 2);
    ck_assert(run_number(o, text, 400, NULL) == 2);

    /* inside a branch, without infer: types come from the run */
    little_bytes sub[2] = {little_graph("y = test.ops::Number(x)\nout y float 1x3", NULL), little_graph("y = Neg(x)\nout y float 1x3", NULL)};
    ck_assert(run_number(o, "in x float 1x3\nm = ReduceMax(x) keepdims=0\nz = Sub(m, m)\nb = Greater(m, m)\nn = Not(b)\n"
                            "y = If(n) then_branch=@0 else_branch=@1\nout y float 1x3", 1, sub) == 1);
    little_free(&sub[0]);
    little_free(&sub[1]);

    /* operators of the standard are replaced only where that is said */
    def = (onnx_infer_op_def){.struct_size = sizeof def, .name = "Relu", .compute = set_number, .user = &three};
    ck_assert_int_eq(onnx_infer_options_add_op(o, &def), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert(run_number(o, "in x float 1x3\nr = Neg(x)\ny = Relu(r)\nout y float 1x3", 1, NULL) == 2);
    def.flags = ONNX_INFER_OP_OVERRIDE;
    OK(onnx_infer_options_add_op(o, &def));
    ck_assert(run_number(o, "in x float 1x3\nr = Neg(x)\ny = Relu(r)\nout y float 1x3", 1, NULL) == 3);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(bad_definitions)
{
    counts n = {0};
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    onnx_infer_op_def def = definition(&n), good = def;
    ck_assert_int_eq(onnx_infer_options_add_op(NULL, &def), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_options_add_op(o, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
#define REFUSED(field, value)                                                                \
    def = good;                                                                              \
    def.field = value;                                                                       \
    ck_assert_int_eq(onnx_infer_options_add_op(o, &def), ONNX_INFER_E_INVALID_ARGUMENT)
    REFUSED(struct_size, 8);
    REFUSED(name, NULL);
    REFUSED(name, "");
    REFUSED(compute, NULL);
    REFUSED(domain, "onnx_infer");
    REFUSED(since, -1);
    REFUSED(until, -1);
    REFUSED(flags, 1u << 20);
    REFUSED(min_inputs, -1);
    REFUSED(max_inputs, 1); /* below the least */
    REFUSED(max_outputs, 100000);
    def = good;
    def.since = 5;
    def.until = 4;
    ck_assert_int_eq(onnx_infer_options_add_op(o, &def), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_options_add_op(o, &good));
    onnx_infer_options_free(o);
}
END_TEST

/* Calls everything with what it must refuse, and with what it must take. */
static onnx_infer_status probe_infer(void *user, onnx_infer_op_context *x)
{
    int64_t dims[9] = {3, 3, 3, 3, 3, 3, 3, 3, 3}, size;
    const char *expr, *bad[1] = {"3 +"}, *good[2] = {"N", NULL};
    onnx_infer_kind kind;
    onnx_infer_dtype dtype;
    int32_t rank;
    onnx_infer_value *v;
    counts *n = user;
    n->infer++;
    ck_assert_str_eq(onnx_infer_op_node_name(x), "y");
    ck_assert_int_eq(onnx_infer_op_input_type(x, 1, &kind, &dtype, &rank), ONNX_INFER_E_NOT_FOUND);
    OK(onnx_infer_op_input_type(x, 0, &kind, &dtype, &rank));
    ck_assert(kind == ONNX_INFER_TENSOR && dtype == ONNX_INFER_FLOAT && rank == 2);
    OK(onnx_infer_op_input_type(x, 0, NULL, NULL, NULL));
    ck_assert_int_eq(onnx_infer_op_input_dim(x, 0, 0, NULL, &expr), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_input_dim(x, 0, 2, &size, &expr), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_input_dim(x, 1, 0, &size, &expr), ONNX_INFER_E_NOT_FOUND);
    OK(onnx_infer_op_input_dim(x, 0, 1, &size, NULL));
    ck_assert_int_eq(size, 3);
    OK(onnx_infer_op_input_dim(x, 0, 0, &size, &expr));
    ck_assert(size == -1 ? !strcmp(expr, "N") : size == atoi(expr));
    ck_assert_int_eq(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 1, dims, &v), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 2, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 1, NULL, bad), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_set_output_type(x, 1, ONNX_INFER_FLOAT, 2, dims, NULL), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_set_output_type(x, 0, 99, 2, dims, NULL), ONNX_INFER_E_UNSUPPORTED_TYPE);
    ck_assert_int_eq(onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 9, dims, NULL), ONNX_INFER_E_LIMIT);
    OK(onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, -1, NULL, NULL));
    OK(onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 2, NULL, good));
    ck_assert_ptr_null(onnx_infer_op_input(x, 0));
    return ONNX_INFER_OK;
}

static void count_one(void *arg, size_t i)
{
    (void)i;
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

static onnx_infer_status probe_compute(void *user, onnx_infer_op_context *x)
{
    int64_t i;
    float f;
    size_t n;
    int done = 0;
    const char *s;
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    const uint32_t *len;
    const onnx_infer_value *t;
    onnx_infer_value *v;
    counts *c = user;
    c->compute++;
    /* each kind of attribute asked for as each other kind, by a name that is not there, and without a place */
    ck_assert_int_eq(onnx_infer_op_attr_int(x, "f", &i), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_float(x, "i", &f), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_string(x, "i", &s, &n), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_ints(x, "i", &ints, &n), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_floats(x, "i", &floats, &n), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_strings(x, "i", &strings, &len, &n), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_tensor(x, "i", &t), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_op_attr_int(x, "no", &i), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_float(x, "no", &f), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_string(x, "no", &s, &n), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_ints(x, "no", &ints, &n), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_floats(x, "no", &floats, &n), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_strings(x, "no", &strings, &len, &n), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_tensor(x, "no", &t), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_attr_int(x, NULL, &i), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_int(x, "i", NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_float(x, NULL, &f), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_float(x, "f", NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_string(x, NULL, &s, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_string(x, "s", NULL, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_ints(x, NULL, &ints, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_ints(x, "l", NULL, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_ints(x, "l", &ints, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_floats(x, NULL, &floats, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_floats(x, "l", NULL, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_floats(x, "l", &floats, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_strings(x, NULL, &strings, &len, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_strings(x, "w", NULL, &len, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_strings(x, "w", &strings, &len, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_tensor(x, NULL, &t), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_tensor(x, "t", NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_op_attr_string(x, "s", &s, NULL));
    ck_assert_str_eq(s, "text");
    OK(onnx_infer_op_attr_strings(x, "w", &strings, &len, &n));
    ck_assert(n == 2 && len[1] == 3 && !strcmp(strings[0], "a") && !strcmp(strings[1], "bcd"));
    OK(onnx_infer_op_attr_strings(x, "w", &strings, NULL, &n));
    ck_assert_int_eq(onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 0, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    const onnx_infer_value *in = onnx_infer_op_input(x, 0);
    const int64_t *dims = onnx_infer_tensor_dims(in), negative[2] = {-1, 3}, huge[2] = {INT64_MAX / 8, 3};
    ck_assert_ptr_null(onnx_infer_op_input(x, 1));
    ck_assert_int_eq(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 2, dims, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 2, NULL, &v), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 2, negative, &v), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_output(x, 1, ONNX_INFER_FLOAT, 2, dims, &v), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 2, huge, &v), ONNX_INFER_E_LIMIT);
    onnx_infer_op_parallel_for(x, 5, NULL, NULL);
    onnx_infer_op_parallel_for(x, 5, count_one, &done);
    ck_assert_int_eq(done, 5);
    for (int code = 1; code < ONNX_INFER_E_INTERNAL; code++)
        ck_assert_int_eq(onnx_infer_op_fail(x, code, "tried"), code);
    ck_assert_int_eq(onnx_infer_op_fail(x, -1, NULL), ONNX_INFER_E_BACKEND);
    ck_assert_int_eq(onnx_infer_op_fail(x, 99, "unknown"), ONNX_INFER_E_BACKEND);
    OK(onnx_infer_op_fail(x, ONNX_INFER_OK, "nothing"));
    OK(onnx_infer_op_fail(x, ONNX_INFER_OK, NULL));
    OK(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 2, dims, &v));
    memcpy(onnx_infer_tensor_mutable_data(v), onnx_infer_tensor_data(in), onnx_infer_tensor_bytes(in));
    return ONNX_INFER_OK;
}

START_TEST(every_function_refuses_what_it_must)
{
    counts n = {0};
    onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "test.ops", .name = "Probe", .user = &n, .infer = probe_infer,
                             .compute = probe_compute, .min_inputs = 1};
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    ck_assert(run_number(o, "in x float Nx3\ny = test.ops::Probe(x) i=1 f=0.5 s='text' l=[1] w=['a','bcd'] t=<t;float;scalar;1>\n"
                            "out y float Nx3", 1, NULL) == -2);
    onnx_infer_options_free(o);
    ck_assert(n.infer > 0 && n.compute == 1);
}
END_TEST

START_TEST(null_contexts)
{
    int64_t i;
    float f;
    size_t n;
    const char *s;
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    const onnx_infer_value *v;
    onnx_infer_value *out;
    ck_assert_uint_eq(onnx_infer_op_input_count(NULL), 0);
    ck_assert_uint_eq(onnx_infer_op_output_count(NULL), 0);
    ck_assert_str_eq(onnx_infer_op_node_name(NULL), "");
    ck_assert_int_eq(onnx_infer_op_output_wanted(NULL, 0), 0);
    ck_assert_ptr_null(onnx_infer_op_input(NULL, 0));
    ck_assert_int_eq(onnx_infer_op_input_type(NULL, 0, NULL, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_input_dim(NULL, 0, 0, &i, &s), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_set_output_type(NULL, 0, 1, 0, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_output(NULL, 0, 1, 0, NULL, &out), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_int(NULL, "a", &i), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_float(NULL, "a", &f), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_string(NULL, "a", &s, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_ints(NULL, "a", &ints, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_floats(NULL, "a", &floats, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_strings(NULL, "a", &strings, NULL, &n), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_op_attr_tensor(NULL, "a", &v), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(onnx_infer_op_scratch(NULL, 1));
    onnx_infer_op_parallel_for(NULL, 3, one_row, NULL);
    ck_assert_int_eq(onnx_infer_op_fail(NULL, ONNX_INFER_E_BACKEND, "x"), ONNX_INFER_E_INVALID_ARGUMENT);
}
END_TEST

typedef struct {
    onnx_infer_plan *plan;
    bool good;
} worker;

static void *serve(void *arg)
{
    worker *w = arg;
    onnx_infer_context *c;
    OK(onnx_infer_context_create(w->plan, &c));
    for (int i = 0; i < 50; i++)
        check_repeat(c, 4, 1);
    onnx_infer_context_free(c);
    w->good = true;
    return NULL;
}

START_TEST(one_plan_many_threads)
{
    counts n = {.add = 1};
    onnx_infer_op_def def = definition(&n);
    onnx_infer_options *o;
    onnx_infer_model *m;
    pthread_t id[4];
    worker w[4] = {{0}};
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    OK(onnx_infer_options_set_threads(o, 2));
    OK(onnx_infer_options_set_symbol(o, "N", 4));
    OK(load(repeat_graph, o, 1, &m));
    OK(onnx_infer_plan_create(m, o, &w[0].plan));
    for (int i = 0; i < 4; i++) {
        w[i].plan = w[0].plan;
        ck_assert(!pthread_create(&id[i], NULL, serve, &w[i]));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(id[i], NULL);
        ck_assert(w[i].good);
    }
    ck_assert_int_eq(n.create, 1);
    onnx_infer_plan_release(w[0].plan);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    ck_assert_int_eq(n.destroy, 1);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    counts n = {.add = 1};
    onnx_infer_op_def def = definition(&n);
    const onnx_infer_allocator a = scarce_allocator();
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    OK(onnx_infer_options_set_threads(o, 1));
    OK(onnx_infer_options_set_allocator(o, &a));
    bool done = false;
    for (long fail = 0; !done; fail++) {
        onnx_infer_model *m = NULL;
        onnx_infer_plan *p = NULL;
        onnx_infer_context *c = NULL;
        onnx_infer_value *x = matrix(2), *z = NULL;
        scarce_left = fail;
        onnx_infer_status st = load(repeat_graph, o, 1, &m);
        if (!st)
            st = onnx_infer_plan_create(m, o, &p);
        if (!st)
            st = onnx_infer_context_create(p, &c);
        if (!st)
            st = onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &z);
        done = scarce_left >= 0;
        ck_assert_msg(done ? st == ONNX_INFER_OK : st == ONNX_INFER_E_OUT_OF_MEMORY || st == ONNX_INFER_OK, "allocation %ld: %s: %s", fail,
                      onnx_infer_status_name(st), onnx_infer_error_message(onnx_infer_last_error()));
        scarce_left = -1;
        if (c)
            check_repeat(c, 2, 1);
        onnx_infer_value_release(z);
        onnx_infer_value_release(x);
        onnx_infer_context_free(c);
        onnx_infer_plan_release(p);
        onnx_infer_model_release(m);
        ck_assert_uint_eq(scarce_held, 0);
        ck_assert_int_eq(n.create, n.destroy);
    }
    onnx_infer_options_free(o);
}
END_TEST

/* Runs out of memory inside the callbacks. */
static onnx_infer_status starve_infer(void *user, onnx_infer_op_context *x)
{
    onnx_infer_status st = ONNX_INFER_OK;
    char name[20];
    const char *expr = name;
    (void)user;
    scarce_left = 0;
    for (int i = 0; i < 100000 && !st; i++) {
        snprintf(name, sizeof name, "s%d * 3", i);
        st = onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, 1, NULL, &expr);
    }
    ck_assert_int_eq(st, ONNX_INFER_E_OUT_OF_MEMORY);
    scarce_left = -1;
    return st;
}

static onnx_infer_status starve_compute(void *user, onnx_infer_op_context *x)
{
    onnx_infer_value *v;
    (void)user;
    scarce_left = 0;
    onnx_infer_status st = onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 1, (int64_t[]){100000}, &v);
    ck_assert_int_eq(st, ONNX_INFER_E_OUT_OF_MEMORY);
    ck_assert_ptr_null(v);
    scarce_left = -1;
    return st;
}

START_TEST(no_memory_in_callbacks)
{
    onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "test.ops", .name = "Starve", .compute = starve_compute};
    const onnx_infer_allocator a = scarce_allocator();
    onnx_infer_options *o;
    onnx_infer_model *m;
    scarce_left = -1;
    for (int in_infer = 0; in_infer < 2; in_infer++) {
        OK(onnx_infer_options_create(&o));
        OK(onnx_infer_options_set_allocator(o, &a));
        def.infer = in_infer ? starve_infer : NULL;
        OK(onnx_infer_options_add_op(o, &def));
        onnx_infer_status st = load("in x float 3\ny = test.ops::Starve(x)\nout y float ?", o, 1, &m);
        ck_assert_int_eq(st, in_infer ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_OK);
        if (!st) {
            onnx_infer_plan *p;
            onnx_infer_context *c;
            onnx_infer_value *x = NULL, *y = NULL;
            OK(onnx_infer_plan_create(m, o, &p));
            OK(onnx_infer_context_create(p, &c));
            OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, (int64_t[]){3}, &x));
            ck_assert_int_eq(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &y), ONNX_INFER_E_OUT_OF_MEMORY);
            onnx_infer_value_release(x);
            onnx_infer_context_free(c);
            onnx_infer_plan_release(p);
            onnx_infer_model_release(m);
        }
        onnx_infer_options_free(o);
    }
    ck_assert_uint_eq(scarce_held, 0);
}
END_TEST

START_TEST(from_a_library)
{
    const char *path = getenv("OP_LIBRARY");
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    ck_assert_int_eq(onnx_infer_options_add_op_library(NULL, "x"), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_options_add_op_library(o, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_options_add_op_library(o, "/nothing/here.so"), ONNX_INFER_E_IO);
    /* libraries without the function, and with one that fails without a word */
    if (!dlopen("libm.so.6", RTLD_NOW))
        path = NULL;
    if (path) {
        ck_assert_int_eq(onnx_infer_options_add_op_library(o, "libm.so.6"), ONNX_INFER_E_NOT_FOUND);
        setenv("OP_LIBRARY_FAILS", "1", 1);
        ck_assert_int_eq(onnx_infer_options_add_op_library(o, path), ONNX_INFER_E_BACKEND);
        ck_assert_int_eq(onnx_infer_options_set(o, "op_library", path), ONNX_INFER_E_BACKEND);
        unsetenv("OP_LIBRARY_FAILS");
        OK(onnx_infer_options_add_op_library(o, path));
        ck_assert_int_eq(onnx_infer_options_add_op_library(o, path), ONNX_INFER_E_INVALID_ARGUMENT); /* its operators again */
        ck_assert(run_number(o, "in x float 1x3\ny = test.ops::Triple(x)\nout y float 1x3", 1, NULL) == -6);
    }
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("custom operators");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, runs_with_all_it_needs, 0, 6);
    tcase_add_test(t, output_shapes_follow_symbols);
    tcase_add_loop_test(t, failures_name_the_node, 0, 8);
    tcase_add_test(t, infer_can_refuse);
    tcase_add_test(t, versions_and_overrides);
    tcase_add_test(t, bad_definitions);
    tcase_add_test(t, every_function_refuses_what_it_must);
    tcase_add_test(t, null_contexts);
    tcase_add_test(t, one_plan_many_threads);
    tcase_add_test(t, every_allocation_may_fail);
    tcase_add_test(t, no_memory_in_callbacks);
    tcase_add_test(t, from_a_library);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
