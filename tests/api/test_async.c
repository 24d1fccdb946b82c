/* Asynchronous runs and contexts of a plan's own: results, callbacks, what a busy context refuses, the child of a fork,
 * many threads at once. */
#include "support/api_help.h"
#include "support/interpose.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char adder[] = "in x float Nx4\nin s float Nx4\nt = Add(x, s)\nout t float Nx4\n";
static const char strict[] = "in x float Nx4\nin i int64 K\ny = Gather(x, i) axis=0\nout y float Kx4\n";

static onnx_infer_context *open_text(const char *text, int threads)
{
    onnx_infer_options *o = help_options(2, threads);
    onnx_infer_context *c = help_context(text, o);
    onnx_infer_options_free(o);
    return c;
}

/* Bound to a function, an output lets a run stop in the middle until the test says so. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside, open;
    float memory[64];
} door;

static void *wait_at_door(void *user, size_t output, onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, size_t bytes,
                          size_t align)
{
    door *d = user;
    (void)output, (void)dtype, (void)rank, (void)dims, (void)bytes, (void)align;
    pthread_mutex_lock(&d->lock);
    d->inside = true;
    pthread_cond_broadcast(&d->changed);
    while (!d->open)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
    return d->memory;
}

static void wait_until_inside(door *d)
{
    pthread_mutex_lock(&d->lock);
    while (!d->inside)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

static void open_door(door *d)
{
    pthread_mutex_lock(&d->lock);
    d->open = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

START_TEST(a_busy_context_refuses)
{
    onnx_infer_context *c = open_text(adder, 1), *clone = NULL;
    onnx_infer_value *x = help_floats(2, (int64_t[]){1, 4}, 1), *in[2] = {x, x}, *out = NULL;
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    door d = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    OK(onnx_infer_wait(c, 0));
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_input(c, 1, x));
    OK(onnx_infer_bind_output_fn(c, 0, wait_at_door, &d));
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    wait_until_inside(&d);
    FAILS(onnx_infer_wait(c, 0), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_wait(c, 1000000), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_run_async(c, NULL, NULL, NULL), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, 1, &out), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_run_named(c, NULL, 2, (const char *const[]){"x", "s"}, (const onnx_infer_value *const *)in, 1,
                               (const char *const[]){"t"}, &out), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_bind_input(c, 0, x), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_bind_output(c, 0, x), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_bind_output_fn(c, 0, NULL, NULL), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_bind_state(c, 0, 1), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_unbind_all(c), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_reset_state(c), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_context_trim(c), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_context_set_arena(c, NULL, 0), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_context_memory(c, &memory), ONNX_INFER_E_BUSY);
    FAILS(onnx_infer_context_clone(c, &clone), ONNX_INFER_E_BUSY);
    ck_assert_ptr_null(clone);
    ck_assert_ptr_null(onnx_infer_output(c, 0));
    open_door(&d);
    OK(onnx_infer_wait(c, UINT64_MAX));
    ck_assert_float_eq(d.memory[3], 8);
    OK(onnx_infer_run_bound(c, NULL));
    onnx_infer_context_free(c);
    onnx_infer_value_release(x);
}
END_TEST

typedef struct {
    onnx_infer_context *c;
    int left, calls;
    onnx_infer_status status;
    char message[200];
    pthread_t thread;
} chain;

static void next_run(void *user, onnx_infer_status st, const onnx_infer_error *error)
{
    chain *x = user;
    x->calls++;
    x->status = st;
    x->thread = pthread_self();
    if (error)
        snprintf(x->message, sizeof x->message, "%s", onnx_infer_error_message(error));
    if (onnx_infer_wait(x->c, UINT64_MAX) != st)
        x->status = ONNX_INFER_E_INTERNAL;
    if (x->left-- > 0 && onnx_infer_run_async(x->c, NULL, next_run, x) != ONNX_INFER_OK)
        x->status = ONNX_INFER_E_INTERNAL;
}

START_TEST(callbacks_start_the_next_run)
{
    onnx_infer_context *c = open_text(adder, _i);
    onnx_infer_value *x = help_floats(2, (int64_t[]){1, 4}, 1);
    chain n = {.c = c, .left = 99};
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_state(c, 0, 1));
    OK(onnx_infer_run_async(c, NULL, next_run, &n));
    OK(onnx_infer_wait(c, UINT64_MAX));
    ck_assert_int_eq(n.calls, 100);
    ck_assert_int_eq(n.status, ONNX_INFER_OK);
    ck_assert(!pthread_equal(n.thread, pthread_self()));
    ck_assert_float_eq(help_float(onnx_infer_output(c, 0), 0), 100);
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    onnx_infer_context_free(c); /* waits */
    onnx_infer_value_release(x);
}
END_TEST

START_TEST(failures_reach_the_callback_and_who_waits)
{
    onnx_infer_context *c = open_text(strict, 1);
    onnx_infer_value *x = help_floats(2, (int64_t[]){2, 4}, 1), *i;
    onnx_infer_cancel *cancel;
    onnx_infer_run_options *ro;
    chain n = {.c = c};
    OK(onnx_infer_tensor_create(ONNX_INFER_INT64, 1, (int64_t[]){1}, &i));
    *(int64_t *)onnx_infer_tensor_mutable_data(i) = 7;
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_input(c, 1, i));
    OK(onnx_infer_run_async(c, NULL, next_run, &n));
    onnx_infer_status st = onnx_infer_wait(c, UINT64_MAX);
    ck_assert_int_ne(st, ONNX_INFER_OK);
    ck_assert_int_eq(n.status, st);
    ck_assert_str_eq(onnx_infer_error_message(onnx_infer_last_error()), n.message);
    ck_assert_str_eq(onnx_infer_error_op(onnx_infer_last_error()), "Gather");
    FAILS(onnx_infer_wait(c, 0), st);
    *(int64_t *)onnx_infer_tensor_mutable_data(i) = 1;
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_run_options_set_cancel(ro, cancel));
    onnx_infer_cancel_fire(cancel);
    OK(onnx_infer_run_async(c, ro, NULL, NULL));
    onnx_infer_run_options_free(ro); /* was copied */
    FAILS(onnx_infer_wait(c, UINT64_MAX), ONNX_INFER_E_CANCELLED);
    OK(onnx_infer_run_async(c, NULL, next_run, &n));
    OK(onnx_infer_wait(c, UINT64_MAX));
    ck_assert_int_eq(n.status, ONNX_INFER_OK);
    FAILS(onnx_infer_run_async(NULL, NULL, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_wait(NULL, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    onnx_infer_cancel_free(cancel);
    onnx_infer_value_release(x);
    onnx_infer_value_release(i);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(without_threads)
{
    onnx_infer_context *c = open_text(adder, 4);
    onnx_infer_value *x = help_floats(2, (int64_t[]){500, 4}, 1);
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_input(c, 1, x));
    interpose_no_threads(1);
    FAILS(onnx_infer_run_async(c, NULL, NULL, NULL), ONNX_INFER_E_OUT_OF_MEMORY);
    OK(onnx_infer_run_bound(c, NULL));
    interpose_no_threads(0);
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    OK(onnx_infer_wait(c, UINT64_MAX));
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(the_child_of_a_fork_has_a_thread_of_its_own)
{
#ifdef __SANITIZE_THREAD__
    return; /* ThreadSanitizer allows no threads in the child of a fork */
#endif
    onnx_infer_context *c = open_text(adder, 3);
    onnx_infer_value *x = help_floats(2, (int64_t[]){500, 4}, 1);
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_input(c, 1, x));
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    OK(onnx_infer_wait(c, UINT64_MAX));
    pid_t child = fork();
    if (!child) {
        bool ok = onnx_infer_run_async(c, NULL, NULL, NULL) == ONNX_INFER_OK && onnx_infer_wait(c, UINT64_MAX) == ONNX_INFER_OK &&
                  onnx_infer_run_bound(c, NULL) == ONNX_INFER_OK && help_float(onnx_infer_output(c, 0), 1999) == 4000;
        onnx_infer_context_free(c);
        _exit(ok ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    OK(onnx_infer_wait(c, UINT64_MAX));
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

/* --- contexts of the plan's own ------------------------------------------------------------------------------------------ */

typedef struct {
    onnx_infer_plan *p;
    int64_t n;
    int failures;
} job;

static void *run_plan(void *arg)
{
    job *j = arg;
    onnx_infer_value *x = help_floats(2, (int64_t[]){j->n, 4}, 1), *in[2] = {x, x};
    for (int run = 0; run < 200; run++) {
        onnx_infer_value *out = NULL;
        if (onnx_infer_plan_run(j->p, NULL, 2, (const onnx_infer_value *const *)in, 1, &out) != ONNX_INFER_OK ||
            help_float(out, (size_t)j->n * 4 - 1) != 2 * (float)(j->n * 4))
            j->failures++;
        onnx_infer_value_release(out);
    }
    onnx_infer_value_release(x);
    return NULL;
}

START_TEST(plans_run_on_many_threads)
{
    onnx_infer_options *o = help_options(2, 2);
    onnx_infer_model *m = help_model(adder);
    onnx_infer_plan *p;
    pthread_t thread[8];
    job jobs[8];
    OK(onnx_infer_plan_create(m, o, &p));
    for (int i = 0; i < 8; i++) {
        jobs[i] = (job){p, 1 + i % 3, 0};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_plan, &jobs[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_int_eq(jobs[i].failures, 0);
    }
    onnx_infer_value *x = help_floats(2, (int64_t[]){2, 3}, 1), *in[2] = {x, x}, *out = NULL;
    FAILS(onnx_infer_plan_run(p, NULL, 2, (const onnx_infer_value *const *)in, 1, &out), ONNX_INFER_E_SHAPE_MISMATCH);
    onnx_infer_value_release(x);
    in[0] = in[1] = x = help_floats(2, (int64_t[]){2, 4}, 1);
    FAILS(onnx_infer_plan_run(p, NULL, 1, (const onnx_infer_value *const *)in, 1, &out), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_run(NULL, NULL, 2, (const onnx_infer_value *const *)in, 1, &out), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_run(p, NULL, 2, NULL, 1, &out), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_run(p, NULL, 2, (const onnx_infer_value *const *)in, 1, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    onnx_infer_value_release(x);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("async");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_busy_context_refuses);
    tcase_add_loop_test(t, callbacks_start_the_next_run, 1, 4);
    tcase_add_test(t, failures_reach_the_callback_and_who_waits);
    tcase_add_test(t, without_threads);
    tcase_add_test(t, the_child_of_a_fork_has_a_thread_of_its_own);
    tcase_add_test(t, plans_run_on_many_threads);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
