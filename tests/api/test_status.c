/* Whichever way a model is run, the same trouble gives the same status; and what NULL gives. */
#include "support/api_help.h"
#include "support/interpose.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { STOP_CANCEL = 1, STOP_DEADLINE = 2, FEW_BYTES = 4, WITH_FN = 8, NO_MEMORY = 16 };

/* One trouble: a model with the input x and the output y, what is passed, how it is run. */
static const struct {
    onnx_infer_status status;
    const char *text;
    onnx_infer_dtype dtype;
    int32_t rank;
    int64_t dims[2];
    int how;
} troubles[] = {
    {ONNX_INFER_OK, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_FLOAT, 2, {2, 4}, 0},
    {ONNX_INFER_E_CANCELLED, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_FLOAT, 2, {2, 4}, STOP_CANCEL},
    {ONNX_INFER_E_DEADLINE, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_FLOAT, 2, {2, 4}, STOP_DEADLINE},
    {ONNX_INFER_E_SHAPE_MISMATCH, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_FLOAT, 2, {2, 5}, 0},
    {ONNX_INFER_E_TYPE_MISMATCH, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_DOUBLE, 2, {2, 4}, 0},
    {ONNX_INFER_E_TYPE_MISMATCH, "in x float Nx4\ny = Cast(x) to=8\nout y ? Nx4\n", ONNX_INFER_FLOAT, 2, {2, 4}, WITH_FN},
    {ONNX_INFER_E_LIMIT, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_FLOAT, 2, {3000, 4}, FEW_BYTES},
    {ONNX_INFER_E_INVALID_MODEL, "in x float any\ny = Softmax(x) axis=3\nout y float any\n", ONNX_INFER_FLOAT, 2, {2, 4}, 0},
    {ONNX_INFER_E_UNSUPPORTED_TYPE, "in x ? any\ny = Softmax(x) axis=1\nout y ? any\n", ONNX_INFER_INT64, 2, {2, 4}, 0},
    {ONNX_INFER_E_BUFFER_TOO_SMALL, "in x float Nx4\ny = Exp(x)\nout y float Nx4\n", ONNX_INFER_FLOAT, 2, {2, 4}, WITH_FN | NO_MEMORY},
};

enum { TROUBLES = sizeof troubles / sizeof *troubles };

static float memory[64];

static void *take(void *user, size_t output, onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, size_t bytes, size_t align)
{
    (void)output, (void)dtype, (void)rank, (void)dims, (void)align;
    return *(int *)user & NO_MEMORY || bytes > sizeof memory ? NULL : memory;
}

typedef struct {
    onnx_infer_context *c;
    onnx_infer_plan *p;
    onnx_infer_run_options *ro;
    onnx_infer_value *x;
    int how;
} world;

static onnx_infer_status by_index(world *w)
{
    onnx_infer_value *y = NULL;
    onnx_infer_status st = onnx_infer_run(w->c, w->ro, 1, (const onnx_infer_value *const *)&w->x, 1, &y);
    onnx_infer_value_release(y);
    return st;
}

static onnx_infer_status by_name(world *w)
{
    onnx_infer_value *y = NULL;
    onnx_infer_status st = onnx_infer_run_named(w->c, w->ro, 1, (const char *const[]){"x"}, (const onnx_infer_value *const *)&w->x, 1,
                                                (const char *const[]){"y"}, &y);
    onnx_infer_value_release(y);
    return st;
}

static onnx_infer_status by_plan(world *w)
{
    onnx_infer_value *y = NULL;
    onnx_infer_status st = onnx_infer_plan_run(w->p, w->ro, 1, (const onnx_infer_value *const *)&w->x, 1, &y);
    onnx_infer_value_release(y);
    return st;
}

static onnx_infer_status bound(world *w)
{
    onnx_infer_status st = onnx_infer_bind_input(w->c, 0, w->x);
    if (!st && w->how & WITH_FN)
        st = onnx_infer_bind_output_fn(w->c, 0, take, &w->how);
    return st ? st : onnx_infer_run_bound(w->c, w->ro);
}

static onnx_infer_status later(world *w)
{
    onnx_infer_status st = onnx_infer_bind_input(w->c, 0, w->x);
    if (!st && w->how & WITH_FN)
        st = onnx_infer_bind_output_fn(w->c, 0, take, &w->how);
    if (!st)
        st = onnx_infer_run_async(w->c, w->ro, NULL, NULL);
    return st ? st : onnx_infer_wait(w->c, UINT64_MAX);
}

START_TEST(each_way_to_run_says_the_same)
{
    static onnx_infer_status (*const ways[])(world *w) = {bound, later, by_index, by_name, by_plan};
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_model *m = help_model(troubles[_i].text);
    onnx_infer_cancel *cancel;
    world w = {.how = troubles[_i].how};
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_run_options_create(&w.ro));
    if (w.how & STOP_CANCEL) {
        onnx_infer_cancel_fire(cancel);
        OK(onnx_infer_run_options_set_cancel(w.ro, cancel));
    }
    if (w.how & STOP_DEADLINE)
        OK(onnx_infer_run_options_set_deadline(w.ro, 1));
    if (w.how & FEW_BYTES)
        OK(onnx_infer_options_set_limit(o, "tensor_bytes", 4000));
    OK(onnx_infer_plan_create(m, o, &w.p));
    OK(onnx_infer_context_create(w.p, &w.c));
    OK(onnx_infer_tensor_create(troubles[_i].dtype, troubles[_i].rank, troubles[_i].dims, &w.x));
    for (size_t i = 0; i < (w.how & WITH_FN ? 2 : sizeof ways / sizeof *ways); i++)
        FAILS(ways[i](&w), troubles[_i].status);
    onnx_infer_value_release(w.x);
    onnx_infer_context_free(w.c);
    onnx_infer_plan_release(w.p);
    onnx_infer_model_release(m);
    onnx_infer_run_options_free(w.ro);
    onnx_infer_cancel_free(cancel);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(null_is_refused)
{
    onnx_infer_context *c = help_context(troubles[0].text, NULL), *none = NULL;
    const onnx_infer_plan *p = onnx_infer_context_plan(c);
    onnx_infer_value *x = help_floats(2, (int64_t[]){1, 4}, 0), *y = NULL;
    const onnx_infer_value *const in[] = {x};
    const char *const names[] = {"x"}, *const outs[] = {"y"};
    onnx_infer_memory m = {.struct_size = sizeof m};
    onnx_infer_run_options *ro;
    onnx_infer_cancel *cancel;
    FAILS(onnx_infer_plan_memory(p, &m), ONNX_INFER_E_DATA_DEPENDENT);
    FAILS(onnx_infer_plan_memory(NULL, &m), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_memory(p, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_memory(c, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    m.struct_size = 1;
    FAILS(onnx_infer_context_memory(c, &m), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_create(NULL, &none), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_create((onnx_infer_plan *)p, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_clone(c, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run(NULL, NULL, 1, in, 1, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run(c, NULL, 1, NULL, 1, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run(c, NULL, 1, in, 1, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run(c, NULL, 2, in, 1, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run(c, NULL, 1, in, 2, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_run(c, NULL, 1, in, 0, NULL));
    FAILS(onnx_infer_run_named(NULL, NULL, 1, names, in, 1, outs, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_named(c, NULL, 1, NULL, in, 1, outs, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_named(c, NULL, 1, names, NULL, 1, outs, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_named(c, NULL, 1, names, in, 1, NULL, &y), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_named(c, NULL, 1, names, in, 1, outs, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(y);
    ck_assert_ptr_null(onnx_infer_context_plan(NULL));
    onnx_infer_context_free(NULL);
    OK(onnx_infer_run_options_create(&ro));
    FAILS(onnx_infer_run_options_create(NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_options_set_cancel(NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_options_set_deadline(NULL, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_options_set_profile(NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_options_set_seed(NULL, 1), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_run_options_set_cancel(ro, NULL));
    OK(onnx_infer_run_options_set_profile(ro, NULL));
    OK(onnx_infer_run_options_set_seed(ro, 7));
    OK(onnx_infer_run(c, ro, 1, in, 1, &y));
    FAILS(onnx_infer_cancel_create(NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    onnx_infer_cancel_fire(NULL);
    onnx_infer_cancel_reset(NULL);
    onnx_infer_cancel_free(NULL);
    onnx_infer_run_options_free(NULL);
    interpose_fail(1);
    FAILS(onnx_infer_cancel_create(&cancel), ONNX_INFER_E_OUT_OF_MEMORY);
    interpose_fail(1);
    onnx_infer_run_options *other;
    FAILS(onnx_infer_run_options_create(&other), ONNX_INFER_E_OUT_OF_MEMORY);
    onnx_infer_run_options_free(ro);
    onnx_infer_value_release(x);
    onnx_infer_value_release(y);
    onnx_infer_context_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("status");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, each_way_to_run_says_the_same, 0, TROUBLES);
    tcase_add_test(t, null_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
