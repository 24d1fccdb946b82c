/* The C interface on small models: right answers at every level and thread count, errors that say what to do, values
 * that outlive what made them, every allocation failing in turn. */
#include <onnx_infer.h>

#include "support/api_help.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *model_path(const char *name)
{
    static _Thread_local char path[1000];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/tests/data/seed-models/%s/model.onnx", top ? top : ".", name);
    return path;
}

static onnx_infer_context *open_model(const char *name, int level, int threads)
{
    onnx_infer_options *o = help_options(level, threads);
    onnx_infer_context *c;
    OK(onnx_infer_context_open(model_path(name), o, &c));
    onnx_infer_options_free(o);
    return c;
}

static onnx_infer_value *image(int64_t n, int64_t c, int64_t h, int64_t w)
{
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 4, (int64_t[]){n, c, h, w}, &v));
    float *x = onnx_infer_tensor_mutable_data(v);
    for (size_t i = 0; i < onnx_infer_tensor_count(v); i++)
        x[i] = (float)sin((double)i * 0.37) * 2;
    return v;
}

START_TEST(levels_and_threads_agree)
{
    onnx_infer_value *in = image(1, 3, 10, 10), *first[3] = {NULL, NULL, NULL};
    for (int level = 0; level < 3; level++) {
        for (int threads = 1; threads <= 4; threads *= 2) {
            onnx_infer_context *c = open_model("model_dynamic_0", level, threads);
            onnx_infer_value *out = help_run1(c, in);
            if (!first[level])
                first[level] = onnx_infer_value_retain(out);
            size_t bytes = onnx_infer_tensor_bytes(out);
            ck_assert_uint_eq(bytes, onnx_infer_tensor_bytes(first[level]));
            ck_assert(!memcmp(onnx_infer_tensor_data(out), onnx_infer_tensor_data(first[level]), bytes));
            const float *y = onnx_infer_tensor_data(out), *reference = onnx_infer_tensor_data(first[0]);
            for (size_t i = 0; i < onnx_infer_tensor_count(out); i++)
                ck_assert(fabsf(y[i] - reference[i]) < 1e-4f);
            onnx_infer_value_release(out);
            onnx_infer_context_free(c);
        }
    }
    for (int level = 0; level < 3; level++)
        onnx_infer_value_release(first[level]);
    onnx_infer_value_release(in);
}
END_TEST

static onnx_infer_status try_shape(onnx_infer_context *c, int64_t n, int64_t ch, int64_t h, int64_t w)
{
    onnx_infer_value *in = image(n, ch, h, w), *out = NULL;
    onnx_infer_status st = onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out);
    ck_assert((st == ONNX_INFER_OK) == (out != NULL));
    onnx_infer_value_release(in);
    onnx_infer_value_release(out);
    return st;
}

START_TEST(declared_inputs_are_law)
{
    static const struct {
        const char *model;
        onnx_infer_status batch, size;
    } cases[] = {
        {"model_static", ONNX_INFER_E_SHAPE_MISMATCH, ONNX_INFER_E_SHAPE_MISMATCH},
        {"model_dynamic_0", ONNX_INFER_OK, ONNX_INFER_E_SHAPE_MISMATCH},
        {"model_dynamic_23", ONNX_INFER_E_SHAPE_MISMATCH, ONNX_INFER_OK},
    };
    onnx_infer_context *c = open_model(cases[_i].model, 2, 2);
    OK(try_shape(c, 1, 3, 10, 10));
    ck_assert_int_eq(try_shape(c, 2, 3, 10, 10), cases[_i].batch);
    if (cases[_i].batch != ONNX_INFER_OK) {
        const onnx_infer_error *e = onnx_infer_last_error();
        ck_assert_int_eq(onnx_infer_error_axis(e), 0);
        ck_assert_int_eq(onnx_infer_error_got(e), 2);
        ck_assert_int_eq(onnx_infer_error_expected(e), 1);
        ck_assert(strlen(onnx_infer_error_tensor(e)) > 0);
        ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(e), "1x3x10x10"));
        ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(e), "dynamic axis"));
    }
    ck_assert_int_eq(try_shape(c, 1, 3, 20, 20), cases[_i].size);
    ck_assert_int_eq(try_shape(c, 1, 4, 10, 10), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(try_shape(c, 1, 3, 10, 10));
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(wrong_inputs_are_named)
{
    onnx_infer_context *c = open_model("model_dynamic_0", 2, 1);
    const char *name = onnx_infer_port_name(onnx_infer_model_input(onnx_infer_plan_model(onnx_infer_context_plan(c)), 0));
    onnx_infer_value *in, *out = NULL, *none = NULL;
    ck_assert_int_eq(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&none, 1, &out), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(onnx_infer_last_error()), name));
    ck_assert_int_eq(onnx_infer_run(c, NULL, 0, NULL, 1, &out), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 4, (int64_t[]){1, 3, 10, 10}, &in));
    ck_assert_int_eq(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_str_eq(onnx_infer_error_tensor(onnx_infer_last_error()), name);
    onnx_infer_value_release(in);
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, (int64_t[]){1, 3}, &in));
    ck_assert_int_eq(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out), ONNX_INFER_E_SHAPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_error_got(onnx_infer_last_error()), 2);
    onnx_infer_value_release(in);
    OK(onnx_infer_sequence_create(&in));
    ck_assert_int_eq(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out), ONNX_INFER_E_TYPE_MISMATCH);
    onnx_infer_value_release(in);
    ck_assert_ptr_null(out);
    ck_assert_int_eq(onnx_infer_run_named(c, NULL, 1, (const char *const[]){"nobody"}, (const onnx_infer_value *const *)&in, 0,
                                          NULL, NULL), ONNX_INFER_E_NOT_FOUND);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(outputs_go_where_asked)
{
    onnx_infer_context *c = open_model("model_dynamic_0", 2, 1);
    const onnx_infer_model *m = onnx_infer_plan_model(onnx_infer_context_plan(c));
    onnx_infer_value *in = image(2, 3, 10, 10), *made = help_run1(c, in), *mine, *wrong, *named = NULL;
    const int64_t *dims = onnx_infer_tensor_dims(made);
    size_t bytes = onnx_infer_tensor_bytes(made);
    float *memory = malloc(bytes);
    memset(memory, 0xFF, bytes);
    OK(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 4, dims, memory, bytes, NULL, NULL, &mine));
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &mine));
    ck_assert_ptr_eq(onnx_infer_tensor_data(mine), memory);
    ck_assert(!memcmp(memory, onnx_infer_tensor_data(made), bytes));
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, (int64_t[]){7}, &wrong));
    ck_assert_int_eq(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &wrong), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(onnx_infer_run_named(c, NULL, 1, (const char *const[]){onnx_infer_port_name(onnx_infer_model_input(m, 0))},
                            (const onnx_infer_value *const *)&in, 1,
                            (const char *const[]){onnx_infer_port_name(onnx_infer_model_output(m, 0))}, &named));
    ck_assert(!memcmp(onnx_infer_tensor_data(named), memory, bytes));
    onnx_infer_context_free(c); /* values live on */
    ck_assert(!memcmp(onnx_infer_tensor_data(made), memory, bytes));
    onnx_infer_value_release(in);
    onnx_infer_value_release(made);
    onnx_infer_value_release(mine);
    onnx_infer_value_release(wrong);
    onnx_infer_value_release(named);
    free(memory);
}
END_TEST

typedef struct {
    onnx_infer_plan *plan;
    int64_t batch;
    bool same;
} job;

static void *run_often(void *arg)
{
    job *j = arg;
    onnx_infer_context *c;
    onnx_infer_value *in = image(j->batch, 3, 10, 10), *first, *out;
    OK(onnx_infer_context_create(j->plan, &c));
    first = help_run1(c, in);
    for (int i = 0; i < 50; i++) {
        out = help_run1(c, in);
        j->same = j->same && !memcmp(onnx_infer_tensor_data(out), onnx_infer_tensor_data(first), onnx_infer_tensor_bytes(out));
        onnx_infer_value_release(out);
    }
    onnx_infer_value_release(first);
    onnx_infer_value_release(in);
    onnx_infer_context_free(c);
    return NULL;
}

START_TEST(contexts_share_a_plan)
{
    onnx_infer_options *o = help_options(2, 2);
    onnx_infer_model *m;
    onnx_infer_plan *p;
    pthread_t t[4];
    job jobs[4];
    OK(onnx_infer_options_set_limit(o, "plans", 2)); /* fewer than shapes: plans come and go */
    OK(onnx_infer_model_load_file(model_path("model_dynamic_0"), o, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    onnx_infer_options_free(o);
    onnx_infer_model_release(m);
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){p, i + 1, true};
        ck_assert(!pthread_create(&t[i], NULL, run_often, &jobs[i]));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        ck_assert(jobs[i].same);
    }
    onnx_infer_plan_release(p);
}
END_TEST

START_TEST(runs_can_be_stopped)
{
    onnx_infer_context *c = open_model("model_static", 2, 1);
    onnx_infer_value *in = image(1, 3, 10, 10), *out = NULL;
    onnx_infer_run_options *ro;
    onnx_infer_cancel *cancel;
    onnx_infer_profile *profile;
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_profile_create(&profile));
    OK(onnx_infer_run_options_set_cancel(ro, cancel));
    OK(onnx_infer_run_options_set_profile(ro, profile));
    onnx_infer_cancel_fire(cancel);
    ck_assert_int_eq(onnx_infer_run(c, ro, 1, (const onnx_infer_value *const *)&in, 1, &out), ONNX_INFER_E_CANCELLED);
    ck_assert_ptr_null(out);
    onnx_infer_cancel_reset(cancel);
    OK(onnx_infer_run(c, ro, 1, (const onnx_infer_value *const *)&in, 1, &out));
    onnx_infer_value_release(out);
    out = NULL;
    onnx_infer_event e = {.struct_size = sizeof e};
    size_t steps = onnx_infer_profile_count(profile);
    ck_assert_uint_gt(steps, 0);
    ck_assert_uint_eq(steps, onnx_infer_plan_step_count(onnx_infer_context_plan(c)));
    OK(onnx_infer_profile_get(profile, steps - 1, &e));
    ck_assert(e.node && e.op && e.kernel && e.struct_size == sizeof e);
    OK(onnx_infer_run_options_set_deadline(ro, 1));
    ck_assert_int_eq(onnx_infer_run(c, ro, 1, (const onnx_infer_value *const *)&in, 1, &out), ONNX_INFER_E_DEADLINE);
    onnx_infer_profile_free(profile);
    onnx_infer_cancel_free(cancel);
    onnx_infer_run_options_free(ro);
    onnx_infer_value_release(in);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(limits_hold)
{
    onnx_infer_options *o = help_options(_i, 1);
    onnx_infer_context *c = NULL;
    onnx_infer_model *m;
    OK(onnx_infer_options_set_limit(o, "tensor_bytes", 1000));
    ck_assert_int_eq(onnx_infer_context_open(model_path("model_static"), o, &c), ONNX_INFER_E_LIMIT);
    OK(onnx_infer_options_set_limit(o, "tensor_bytes", 1 << 20));
    OK(onnx_infer_options_set_limit(o, "nodes", 1));
    ck_assert_int_eq(onnx_infer_model_load_file(model_path("simple_cnn"), o, &m), ONNX_INFER_E_LIMIT);
    ck_assert_int_eq(onnx_infer_options_set_limit(o, "nothing", 1), ONNX_INFER_E_NOT_FOUND);
    onnx_infer_options_free(o);
    /* A dynamic model asked for more than the machine has: an answer, not an attempt. */
    o = help_options(_i, 1);
    OK(onnx_infer_options_set_limit(o, "total_bytes", 1 << 20));
    OK(onnx_infer_context_open(model_path("model_dynamic_0"), o, &c));
    ck_assert_int_eq(try_shape(c, 2000, 3, 10, 10), ONNX_INFER_E_LIMIT);
    OK(try_shape(c, 2, 3, 10, 10));
    onnx_infer_context_free(c);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(options_fix_shapes)
{
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_context *c;
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    onnx_infer_model *m;
    OK(onnx_infer_model_load_file(model_path("model_dynamic_0"), NULL, &m));
    ck_assert_uint_eq(onnx_infer_model_symbol_count(m), 1);
    const char *input = onnx_infer_port_name(onnx_infer_model_input(m, 0));
    OK(onnx_infer_options_set_input_shape(o, input, 4, (int64_t[]){2, 3, 10, 10}));
    OK(onnx_infer_context_open(model_path("model_dynamic_0"), o, &c));
    OK(onnx_infer_plan_memory(onnx_infer_context_plan(c), &memory));
    ck_assert_int_eq(try_shape(c, 1, 3, 10, 10), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(try_shape(c, 2, 3, 10, 10));
    onnx_infer_context_free(c);
    OK(onnx_infer_options_set_input_shape(o, input, 4, (int64_t[]){2, 3, 11, 10}));
    ck_assert_int_eq(onnx_infer_context_open(model_path("model_dynamic_0"), o, &c), ONNX_INFER_E_SHAPE_MISMATCH);
    onnx_infer_options_free(o);
    o = help_options(2, 1);
    OK(onnx_infer_options_set_symbol(o, onnx_infer_model_symbol(m, 0), 3));
    OK(onnx_infer_options_set_symbol(o, "no such symbol", 3));
    OK(onnx_infer_context_open(model_path("model_dynamic_0"), o, &c));
    ck_assert_int_eq(try_shape(c, 1, 3, 10, 10), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(try_shape(c, 3, 3, 10, 10));
    onnx_infer_context_free(c);
    onnx_infer_options_free(o);
    onnx_infer_model_release(m);
}
END_TEST

/* --- every allocation fails in turn ---------------------------------------------------------------------------------- */

typedef struct {
    long count, fail_at;
    long long held;
} failing;

static void *failing_alloc(void *user, size_t size, size_t align)
{
    failing *f = user;
    if (++f->count == f->fail_at)
        return NULL;
    void *p = aligned_alloc(align < 16 ? 16 : align, (size + align + 15) / (align < 16 ? 16 : align) * (align < 16 ? 16 : align));
    if (p)
        f->held += (long long)size;
    return p;
}

static void failing_free(void *user, void *p, size_t size, size_t align)
{
    failing *f = user;
    (void)align;
    f->held -= (long long)size;
    free(p);
}

static onnx_infer_status whole_life(const char *name, int level, failing *f, onnx_infer_value *in)
{
    onnx_infer_allocator a = {sizeof a, f, failing_alloc, failing_free};
    onnx_infer_options *o = help_options(level, 1);
    onnx_infer_context *c;
    onnx_infer_value *out = NULL;
    OK(onnx_infer_options_set_allocator(o, &a));
    onnx_infer_status st = onnx_infer_context_open(model_path(name), o, &c);
    onnx_infer_options_free(o);
    if (st != ONNX_INFER_OK)
        return st;
    st = onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out);
    ck_assert((st == ONNX_INFER_OK) == (out != NULL));
    onnx_infer_value_release(out);
    onnx_infer_context_free(c);
    return st;
}

START_TEST(every_allocation_fails_in_turn)
{
    static const char *const models[] = {"model_dynamic_0", "clip_export"};
    const char *name = models[_i % 2];
    int level = _i / 2;
    onnx_infer_value *in = image(1, 3, 10, 10);
    long at = 1;
    for (;; at++) {
        failing f = {.fail_at = at};
        onnx_infer_status st = whole_life(name, level, &f, in);
        ck_assert_msg(f.held == 0, "%s level %d: %lld bytes are held after allocation %ld failed", name, level, f.held, at);
        if (f.count < at) {
            ck_assert_int_eq(st, ONNX_INFER_OK);
            break;
        }
        ck_assert_msg(st == ONNX_INFER_E_OUT_OF_MEMORY, "%s level %d: allocation %ld of %ld failed with %s: %s", name, level, at,
                      f.count, onnx_infer_status_name(st), onnx_infer_error_message(onnx_infer_last_error()));
    }
    ck_assert_int_gt(at, 20);
    onnx_infer_value_release(in);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("run");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, levels_and_threads_agree);
    tcase_add_loop_test(t, declared_inputs_are_law, 0, 3);
    tcase_add_test(t, wrong_inputs_are_named);
    tcase_add_test(t, outputs_go_where_asked);
    tcase_add_test(t, contexts_share_a_plan);
    tcase_add_test(t, runs_can_be_stopped);
    tcase_add_loop_test(t, limits_hold, 0, 3);
    tcase_add_test(t, options_fix_shapes);
    tcase_add_loop_test(t, every_allocation_fails_in_turn, 0, 6);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
