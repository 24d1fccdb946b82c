/* Options that change what is loaded: constants replaced, files in memory, other outputs, sizes fixed; setters by text, logs,
 * queries, traces. What each refuses, and every allocation of loading failing in turn. */
#include <onnx_infer.h>

#include "support/api_help.h"
#include "support/little_model.h"
#include "support/scarce_memory.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static onnx_infer_status load(const char *text, const onnx_infer_options *o, onnx_infer_model **m)
{
    little_bytes g = little_graph(text, NULL), bytes = little_model(&g);
    onnx_infer_status st = onnx_infer_model_load_memory(bytes.at, bytes.n, NULL, NULL, o, m);
    little_free(&g);
    little_free(&bytes);
    return st;
}

static onnx_infer_options *options(void)
{
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    return o;
}

static onnx_infer_value *vector(int64_t n, float first)
{
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, &n, &v));
    for (int64_t i = 0; i < n; i++)
        ((float *)onnx_infer_tensor_mutable_data(v))[i] = first + (float)i;
    return v;
}

/* The first element of output k for x = 1, 2, ... */
static float first_of(onnx_infer_model *m, int64_t n, size_t k)
{
    onnx_infer_plan *p;
    onnx_infer_context *c;
    onnx_infer_value *x = vector(n, 1), *out[4] = {NULL};
    OK(onnx_infer_plan_create(m, NULL, &p));
    OK(onnx_infer_context_create(p, &c));
    size_t nout = onnx_infer_model_output_count(m);
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, nout, out));
    float got = ((const float *)onnx_infer_tensor_data(out[k]))[0];
    for (size_t i = 0; i < nout; i++)
        onnx_infer_value_release(out[i]);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    return got;
}

START_TEST(constants_are_replaced)
{
    static const char text[] = "in x float 2\nin d float 2\nconst w float 2 10 20\nconst d float 2 100 200\nm = Mul(x, w)\n"
                               "y = Add(m, d)\nout y float 2";
    onnx_infer_options *o = options();
    onnx_infer_model *m;
    onnx_infer_value *w = vector(2, 3), *d = vector(2, 0), *three = vector(3, 0), *ints, *seq;
    OK(load(text, NULL, &m));
    ck_assert(first_of(m, 2, 0) == 110);
    onnx_infer_model_release(m);
    OK(onnx_infer_options_set_initializer(o, "w", d));
    OK(onnx_infer_options_set_initializer(o, "w", w)); /* the last counts */
    OK(onnx_infer_options_set_initializer(o, "d", d));
    OK(load(text, o, &m));
    onnx_infer_value_release(w);
    onnx_infer_value_release(d);
    ck_assert(first_of(m, 2, 0) == 3);
    onnx_infer_options_free(o);
    ck_assert(first_of(m, 2, 0) == 3);
    onnx_infer_model_release(m);

    o = options();
    OK(onnx_infer_options_set_initializer(o, "w", three));
    IS(load(text, o, &m), SHAPE_MISMATCH);
    OK(onnx_infer_tensor_create(ONNX_INFER_INT32, 1, (int64_t[]){2}, &ints));
    OK(onnx_infer_options_set_initializer(o, "w", ints));
    IS(load(text, o, &m), TYPE_MISMATCH);
    ck_assert_ptr_null(m);
    onnx_infer_options_free(o);
    o = options();
    OK(onnx_infer_options_set_initializer(o, "m", three)); /* a value, but no constant */
    IS(load(text, o, &m), NOT_FOUND);
    OK(onnx_infer_sequence_create(&seq));
    IS(onnx_infer_options_set_initializer(o, "w", seq), TYPE_MISMATCH);
    IS(onnx_infer_options_set_initializer(NULL, "w", three), INVALID_ARGUMENT);
    IS(onnx_infer_options_set_initializer(o, NULL, three), INVALID_ARGUMENT);
    IS(onnx_infer_options_set_initializer(o, "w", NULL), INVALID_ARGUMENT);
    onnx_infer_value_release(seq);
    onnx_infer_value_release(ints);
    onnx_infer_value_release(three);
    onnx_infer_options_free(o);
}
END_TEST

static int freed;

static void count_free(void *user, void *data)
{
    freed += user == &freed && data != NULL;
}

START_TEST(external_data_in_memory)
{
    static const char text[] = "in x float 2\nhole w float 2 some/w.bin\ny = Mul(x, w)\nout y float 2";
    static float w[2] = {7, 8};
    onnx_infer_options *o = options();
    onnx_infer_model *m;
    freed = 0;
    IS(load(text, NULL, &m), IO); /* a model in memory has no folder */
    OK(onnx_infer_options_add_external(o, "some/w.bin", w, sizeof w, count_free, &freed));
    IS(onnx_infer_options_add_external(o, "some/w.bin", w, sizeof w, count_free, &freed), INVALID_ARGUMENT);
    OK(load(text, o, &m));
    onnx_infer_options_free(o);
    ck_assert(first_of(m, 2, 0) == 7);
    onnx_infer_model_release(m);
    ck_assert_int_eq(freed, 1);
    o = options();
    OK(onnx_infer_options_add_external(o, "some/w.bin", w, 4, NULL, NULL)); /* too short */
    ck_assert_int_ne(load(text, o, &m), ONNX_INFER_OK);
    onnx_infer_options_free(o);
    o = options();
    float *copied = malloc(sizeof w);
    memcpy(copied, w, sizeof w);
    OK(onnx_infer_options_add_external(o, "some/w.bin", copied, sizeof w, NULL, NULL));
    free(copied);
    OK(load(text, o, &m));
    ck_assert(first_of(m, 2, 0) == 7);
    onnx_infer_model_release(m);
    OK(onnx_infer_options_add_external(o, "empty", NULL, 0, NULL, NULL));
    IS(onnx_infer_options_add_external(NULL, "a", w, 4, NULL, NULL), INVALID_ARGUMENT);
    IS(onnx_infer_options_add_external(o, NULL, w, 4, NULL, NULL), INVALID_ARGUMENT);
    IS(onnx_infer_options_add_external(o, "a", NULL, 4, NULL, NULL), INVALID_ARGUMENT);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(other_outputs)
{
    static const char text[] = "in x float N\nconst w float 1 10\na = Add(x, w)\nb = Mul(a, a)\nbad = Nothing(b)\ny = Add(bad, b)\n"
                               "out y float N";
    static const char *const names[] = {"b", "a"}, *const missing[] = {"b", "nothing"}, *const twice[] = {"b", "b"},
                                    *const null[] = {NULL}, *const unknown[] = {"y"}, *const constant[] = {"w"};
    onnx_infer_options *o = options();
    onnx_infer_model *m;
    IS(load(text, NULL, &m), UNSUPPORTED_OP);
    OK(onnx_infer_options_set_outputs(o, 2, names));
    OK(load(text, o, &m));
    ck_assert_uint_eq(onnx_infer_model_output_count(m), 2);
    ck_assert_str_eq(onnx_infer_port_name(onnx_infer_model_output(m, 0)), "b");
    ck_assert_int_eq(onnx_infer_port_dtype(onnx_infer_model_output(m, 1)), ONNX_INFER_FLOAT);
    ck_assert_str_eq(onnx_infer_port_dim_expr(onnx_infer_model_output(m, 1), 0), "N");
    ck_assert(first_of(m, 3, 0) == 121);
    ck_assert(first_of(m, 3, 1) == 11);
    onnx_infer_model_release(m);
    OK(onnx_infer_options_set_outputs(o, 1, constant));
    OK(load(text, o, &m));
    ck_assert(first_of(m, 3, 0) == 10);
    onnx_infer_model_release(m);
    OK(onnx_infer_options_set_outputs(o, 1, unknown));
    IS(load(text, o, &m), UNSUPPORTED_OP);
    OK(onnx_infer_options_set_outputs(o, 2, missing));
    IS(load(text, o, &m), NOT_FOUND);
    IS(onnx_infer_options_set_outputs(o, 2, twice), INVALID_ARGUMENT);
    IS(onnx_infer_options_set_outputs(o, 1, null), INVALID_ARGUMENT);
    IS(onnx_infer_options_set_outputs(o, 1, NULL), INVALID_ARGUMENT);
    IS(onnx_infer_options_set_outputs(NULL, 0, NULL), INVALID_ARGUMENT);
    OK(onnx_infer_options_set_outputs(o, 0, NULL));
    OK(load("in x float 2\ny = Relu(x)\nout y float 2", o, &m));
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(specialised_models)
{
    static const char text[] = "in x float N\nc = Concat(x, x) axis=0\ny = Relu(c)\nout y float out_size";
    onnx_infer_options *o = options();
    onnx_infer_model *m, *fixed;
    OK(load(text, NULL, &m));
    ck_assert_str_eq(onnx_infer_port_dim_expr(onnx_infer_model_output(m, 0), 0), "2*N");
    OK(onnx_infer_options_set_symbol(o, "N", 5));
    OK(onnx_infer_model_specialize(m, o, &fixed));
    ck_assert_int_eq(onnx_infer_port_dim(onnx_infer_model_input(fixed, 0), 0), 5);
    ck_assert_int_eq(onnx_infer_port_dim(onnx_infer_model_output(fixed, 0), 0), 10);
    ck_assert_uint_eq(onnx_infer_model_symbol_count(fixed), 0);
    ck_assert_str_eq(onnx_infer_model_property(fixed, "xxh128"), onnx_infer_model_property(m, "xxh128"));
    ck_assert_uint_eq(strlen(onnx_infer_model_property(m, "xxh128")), 32);
    onnx_infer_model_release(m);
    ck_assert(first_of(fixed, 5, 0) == 1);
    onnx_infer_model *again;
    OK(onnx_infer_model_specialize(fixed, NULL, &again));
    ck_assert(first_of(again, 5, 0) == 1);
    onnx_infer_model_release(again);
    OK(onnx_infer_options_set_input_shape(o, "x", 2, (int64_t[]){5, 1}));
    IS(onnx_infer_model_specialize(fixed, o, &again), SHAPE_MISMATCH);
    OK(onnx_infer_options_set_input_shape(o, "x", 1, (int64_t[]){5}));
    OK(onnx_infer_options_set_input_shape(o, "nothing", 1, (int64_t[]){5}));
    IS(onnx_infer_model_specialize(fixed, o, &again), NOT_FOUND);
    ck_assert_ptr_null(again);
    IS(onnx_infer_model_specialize(NULL, o, &again), INVALID_ARGUMENT);
    IS(onnx_infer_model_specialize(fixed, o, NULL), INVALID_ARGUMENT);
    onnx_infer_model_release(fixed);

    char path[] = "/tmp/onnx_infer_options_XXXXXX";
    little_bytes g = little_graph("in x float 3\ny = Nothing(x)\nout y float 3", NULL), bytes = little_model(&g);
    int fd = mkstemp(path);
    ck_assert(fd >= 0 && write(fd, bytes.at, bytes.n) == (ssize_t)bytes.n && !close(fd));
    OK(onnx_infer_model_peek_file(path, NULL, &m));
    IS(onnx_infer_model_specialize(m, NULL, &again), INVALID_MODEL);
    onnx_infer_model_release(m);
    remove(path);
    little_free(&g);
    little_free(&bytes);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(hashes_tell_models_apart)
{
    onnx_infer_model *a, *b, *c;
    OK(load("in x float 2\nconst w float 2 1 2\ny = Add(x, w)\nout y float 2", NULL, &a));
    OK(load("in x float 2\nconst w float 2 1 2\ny = Add(x, w)\nout y float 2", NULL, &b));
    OK(load("in x float 2\nconst w float 2 1 3\ny = Add(x, w)\nout y float 2", NULL, &c));
    ck_assert_str_eq(onnx_infer_model_property(a, "xxh128"), onnx_infer_model_property(b, "xxh128"));
    ck_assert_str_ne(onnx_infer_model_property(a, "xxh128"), onnx_infer_model_property(c, "xxh128"));
    ck_assert_ptr_null(onnx_infer_model_property(a, "nothing"));
    onnx_infer_model_release(a);
    onnx_infer_model_release(b);
    onnx_infer_model_release(c);
}
END_TEST

START_TEST(setters_by_text)
{
    static const struct { const char *key, *value; onnx_infer_status want; } rows[] = {
        {"level", "1", 0}, {"threads", "2", 0}, {"deterministic", "2", 0}, {"backend", "cpu", 0}, {"cpu_isa", "generic", 0},
        {"limit.nodes", "1000", 0}, {"limit.plans", "3", 0}, {"symbol.N", "7", 0}, {"symbol.a.b", "7", 0},
        {"level", "9", ONNX_INFER_E_INVALID_ARGUMENT}, {"level", "1x", ONNX_INFER_E_INVALID_ARGUMENT},
        {"level", "", ONNX_INFER_E_INVALID_ARGUMENT}, {"threads", "99999999999", ONNX_INFER_E_INVALID_ARGUMENT},
        {"limit.nodes", "-1", ONNX_INFER_E_INVALID_ARGUMENT}, {"symbol.N", "-7", ONNX_INFER_E_INVALID_ARGUMENT},
        {"symbol.N", "99999999999999999999", ONNX_INFER_E_INVALID_ARGUMENT},
        {"limit.nothing", "1", ONNX_INFER_E_NOT_FOUND}, {"kOrtAllowSpinning", "1", ONNX_INFER_E_NOT_FOUND},
        {"", "1", ONNX_INFER_E_NOT_FOUND}, {"cpu_isa", "abacus", ONNX_INFER_E_NOT_FOUND},
        {"backend", "abacus", ONNX_INFER_E_BACKEND_UNAVAILABLE}, {"op_library", "/nothing.so", ONNX_INFER_E_IO},
    };
    onnx_infer_options *o = options();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(onnx_infer_options_set(o, rows[i].key, rows[i].value) == rows[i].want, "%s = %s", rows[i].key, rows[i].value);
    IS(onnx_infer_options_set(NULL, "level", "1"), INVALID_ARGUMENT);
    IS(onnx_infer_options_set(o, NULL, "1"), INVALID_ARGUMENT);
    IS(onnx_infer_options_set(o, "level", NULL), INVALID_ARGUMENT);
    onnx_infer_options_free(o);
}
END_TEST

static int heard;

static void hear(void *user, onnx_infer_log_level level, const char *message)
{
    heard += user == &heard && level <= ONNX_INFER_LOG_DEBUG && message[0] != 0;
}

START_TEST(the_log_of_the_process)
{
    onnx_infer_options *before = options(), *after;
    onnx_infer_model *m;
    onnx_infer_plan *p;
    OK(onnx_infer_set_log(hear, &heard, ONNX_INFER_LOG_DEBUG));
    after = options();
    OK(onnx_infer_options_set_symbol(before, "nothing", 1));
    OK(onnx_infer_options_set_symbol(after, "nothing", 1));
    heard = 0;
    OK(load("in x float N\ny = Relu(x)\nout y float N", before, &m));
    OK(onnx_infer_plan_create(m, before, &p));
    onnx_infer_plan_release(p);
    ck_assert_int_eq(heard, 0);
    OK(onnx_infer_plan_create(m, after, &p));
    onnx_infer_plan_release(p);
    ck_assert_int_gt(heard, 0);
    OK(onnx_infer_set_log(NULL, NULL, ONNX_INFER_LOG_ERROR));
    IS(onnx_infer_set_log(hear, &heard, 4), INVALID_ARGUMENT);
    IS(onnx_infer_set_log(hear, &heard, -1), INVALID_ARGUMENT);
    onnx_infer_model_release(m);
    onnx_infer_options_free(before);
    onnx_infer_options_free(after);

    /* and the environment's */
    char path[] = "/tmp/onnx_infer_log_XXXXXX", line[200] = "";
    int fd = mkstemp(path), old = dup(STDERR_FILENO);
    ck_assert(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    setenv("ONNX_INFER_LOG", "info", 1);
    onnx_infer_options *o = options();
    OK(onnx_infer_options_set_symbol(o, "nothing", 1));
    OK(load("in x float N\ny = Relu(x)\nout y float N", o, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    unsetenv("ONNX_INFER_LOG");
    ck_assert(dup2(old, STDERR_FILENO) >= 0);
    ck_assert(pread(fd, line, sizeof line - 1, 0) > 0);
    ck_assert_ptr_nonnull(strstr(line, "onnx_infer: info: the model has no symbol 'nothing'"));
    close(fd);
    close(old);
    remove(path);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(queries)
{
    ck_assert_int_eq(onnx_infer_op_supported("", "Conv", 11, NULL), 1);
    ck_assert_int_eq(onnx_infer_op_supported("ai.onnx", "Conv", 11, "cpu"), 1);
    ck_assert_int_eq(onnx_infer_op_supported(NULL, "Conv", 11, "cpu"), 1);
    ck_assert_int_eq(onnx_infer_op_supported("", "Conv", 11, "abacus"), 0);
    ck_assert_int_eq(onnx_infer_op_supported("", "Conv", 1000, NULL), 0);
    ck_assert_int_eq(onnx_infer_op_supported("", "Gelu", 19, NULL), 0); /* came with 20 */
    ck_assert_int_eq(onnx_infer_op_supported("", "Gelu", 20, NULL), 1);
    ck_assert_int_eq(onnx_infer_op_supported("", "Upsample", 10, NULL), 0); /* deprecated then */
    ck_assert_int_eq(onnx_infer_op_supported("", "Nothing", 20, NULL), 0);
    ck_assert_int_eq(onnx_infer_op_supported("", NULL, 20, NULL), 0);
    ck_assert_int_eq(onnx_infer_op_supported("onnx_infer", "GemmPacked", 1, NULL), 0);
    ck_assert_uint_eq(onnx_infer_backend_count(), 1);
    ck_assert_str_eq(onnx_infer_backend_name(0), "cpu");
    ck_assert_ptr_null(onnx_infer_backend_name(1));
    OK(onnx_infer_backend_probe("cpu"));
    IS(onnx_infer_backend_probe("cuda:0"), BACKEND_UNAVAILABLE);
    IS(onnx_infer_backend_probe(NULL), INVALID_ARGUMENT);
    ck_assert_uint_gt(strlen(onnx_infer_build_info()), 5);
    ck_assert_uint_gt(onnx_infer_op_count(), 200);
    ck_assert_ptr_nonnull(onnx_infer_op_name(0));
    ck_assert_ptr_nonnull(onnx_infer_op_domain(0));
    ck_assert_ptr_null(onnx_infer_op_name(onnx_infer_op_count()));
    ck_assert_ptr_null(onnx_infer_op_domain(onnx_infer_op_count()));
}
END_TEST

typedef struct {
    char text[20000];
    size_t n;
} sink;

static int append(void *user, const void *p, size_t n)
{
    sink *s = user;
    if (s->n + n >= sizeof s->text)
        return -1;
    memcpy(s->text + s->n, p, n);
    s->n += n;
    s->text[s->n] = 0;
    return 0;
}

START_TEST(traces)
{
    static sink s;
    onnx_infer_writer w = {sizeof w, &s, append}, small = {4, &s, append}, empty = {sizeof w, &s, NULL};
    onnx_infer_model *m;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    onnx_infer_profile *profile;
    onnx_infer_run_options *ro;
    onnx_infer_value *x = vector(4, 1), *y = NULL;
    OK(load("in x float N\nt = Tanh(x)\ny = CumSum(t, a)\nconst a int64 scalar 0\nout y float N", NULL, &m));
    OK(onnx_infer_plan_create(m, NULL, &p));
    OK(onnx_infer_context_create(p, &c));
    OK(onnx_infer_profile_create(&profile));
    OK(onnx_infer_profile_json(profile, &w)); /* of no run: no events */
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_run_options_set_profile(ro, profile));
    OK(onnx_infer_run(c, ro, 1, (const onnx_infer_value *const *)&x, 1, &y));
    s.n = 0;
    OK(onnx_infer_profile_json(profile, &w));
    ck_assert_ptr_nonnull(strstr(s.text, "\"traceEvents\":["));
    ck_assert_ptr_nonnull(strstr(s.text, "\"cat\":\"CumSum\""));
    onnx_infer_event e = {.struct_size = sizeof e};
    ck_assert_uint_gt(onnx_infer_profile_count(profile), 0);
    OK(onnx_infer_profile_get(profile, 0, &e));
    ck_assert(e.bytes > 0 && e.dur_ns > 0 && e.thread == 0);
    s.n = sizeof s.text - 10;
    IS(onnx_infer_profile_json(profile, &w), IO);
    IS(onnx_infer_profile_json(profile, &small), INVALID_ARGUMENT);
    IS(onnx_infer_profile_json(profile, &empty), INVALID_ARGUMENT);
    IS(onnx_infer_profile_json(NULL, &w), INVALID_ARGUMENT);
    IS(onnx_infer_profile_json(profile, NULL), INVALID_ARGUMENT);
    onnx_infer_value_release(x);
    onnx_infer_value_release(y);
    onnx_infer_run_options_free(ro);
    onnx_infer_profile_free(profile);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    static const char text[] = "in x float N\nin d float 1\nconst d float 1 5\nhole w float 1 w.bin\nconst v float 1 3\n"
                               "a = Mul(x, w)\nb = Add(a, v)\nc = Add(b, d)\ny = Tanh(c)\nout y float N";
    static const char *const names[] = {"c", "b"};
    const onnx_infer_allocator a = scarce_allocator();
    onnx_infer_options *o = options();
    onnx_infer_value *v = vector(1, 4);
    float w = 2;
    OK(onnx_infer_options_set_allocator(o, &a));
    OK(onnx_infer_options_set_initializer(o, "v", v));
    OK(onnx_infer_options_set_initializer(o, "d", v));
    OK(onnx_infer_options_add_external(o, "w.bin", &w, sizeof w, NULL, NULL));
    OK(onnx_infer_options_set_outputs(o, 2, names));
    OK(onnx_infer_options_set_symbol(o, "N", 3));
    bool done = false;
    for (long fail = 0; !done; fail++) {
        onnx_infer_model *m = NULL, *fixed = NULL;
        scarce_left = fail;
        onnx_infer_status st = load(text, o, &m);
        if (!st)
            st = onnx_infer_model_specialize(m, o, &fixed);
        done = scarce_left >= 0;
        scarce_left = -1;
        ck_assert_msg(st == (done ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY) || st == ONNX_INFER_OK, "allocation %ld: %s: %s", fail,
                      onnx_infer_status_name(st), onnx_infer_error_message(onnx_infer_last_error()));
        if (m)
            ck_assert(first_of(m, 3, 0) == 10 && first_of(m, 3, 1) == 6);
        if (fixed)
            ck_assert(first_of(fixed, 3, 0) == 10);
        onnx_infer_model_release(m);
        onnx_infer_model_release(fixed);
        ck_assert_uint_eq(scarce_held, 0);
    }
    onnx_infer_value_release(v);
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("options");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, constants_are_replaced);
    tcase_add_test(t, external_data_in_memory);
    tcase_add_test(t, other_outputs);
    tcase_add_test(t, specialised_models);
    tcase_add_test(t, hashes_tell_models_apart);
    tcase_add_test(t, setters_by_text);
    tcase_add_test(t, the_log_of_the_process);
    tcase_add_test(t, queries);
    tcase_add_test(t, traces);
    tcase_add_test(t, every_allocation_may_fail);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
