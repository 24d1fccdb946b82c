/* The thread pool: every task once, failures, nesting, several callers, fork, no CPU time while idle. */
#include "base/fpenv.h"
#include "base/pool.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 10000 };

typedef struct {
    atomic_int *seen;
    atomic_bool *busy; /* by thread */
    atomic_int clashes;
    size_t threads;
    oi_pool *pool;
    size_t fail_at;
} job;

static oi_status count(void *arg, size_t task, size_t thread)
{
    job *j = arg;
    if (thread >= j->threads || atomic_exchange(&j->busy[thread], true))
        atomic_fetch_add(&j->clashes, 1);
    atomic_fetch_add(&j->seen[task], 1);
    atomic_store(&j->busy[thread], false);
    return ONNX_INFER_OK;
}

static void run_many(oi_pool *p, size_t n)
{
    static _Thread_local atomic_int seen[MANY];
    static _Thread_local atomic_bool busy[64];
    memset(seen, 0, sizeof seen);
    memset(busy, 0, sizeof busy);
    job j = {.seen = seen, .busy = busy, .threads = oi_pool_threads(p)};
    ck_assert_int_eq(oi_pool_run(p, n, count, &j), ONNX_INFER_OK);
    ck_assert_int_eq(atomic_load(&j.clashes), 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(atomic_load(&seen[i]), 1);
}

START_TEST(every_task_runs_once)
{
    oi_pool *p;
    ck_assert_int_eq(oi_pool_create(NULL, (size_t)_i, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    for (int round = 0; round < 300; round++) {
        if (round % 3 == 0)
            oi_pool_begin(p);
        run_many(p, (size_t)(round * 7 % 50));
        if (round % 3 == 2)
            oi_pool_end(p);
    }
    run_many(p, MANY);
    oi_pool_release(p);
}
END_TEST

static oi_status fail_some(void *arg, size_t task, size_t thread)
{
    (void)arg, (void)thread;
    if (task % 10 == 7) {
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "task %zu", task);
        return oi_error_at_axis((int32_t)task, 1, 2);
    }
    return ONNX_INFER_OK;
}

START_TEST(failure_reaches_the_caller)
{
    oi_pool *p;
    ck_assert_int_eq(oi_pool_create(NULL, (size_t)_i, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    for (int round = 0; round < 100; round++) {
        memset(oi_error_current(), 0, sizeof(oi_error));
        ck_assert_int_eq(oi_pool_run(p, 1000, fail_some, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
        ck_assert_int_eq(oi_error_current()->axis % 10, 7);
        char text[32];
        snprintf(text, sizeof text, "task %d", (int)oi_error_current()->axis);
        ck_assert_str_eq(oi_error_current()->message, text);
        run_many(p, 20);
    }
    oi_pool_release(p);
}
END_TEST

static oi_status inner(void *arg, size_t task, size_t thread)
{
    (void)task, (void)thread;
    atomic_fetch_add((atomic_int *)arg, 1);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_pool *pool;
    atomic_int *total;
} nest;

static oi_status outer(void *arg, size_t task, size_t thread)
{
    (void)task, (void)thread;
    nest *n = arg;
    return oi_pool_run(n->pool, 10, inner, n->total);
}

START_TEST(loops_nest)
{
    oi_pool *p;
    atomic_int total = 0;
    ck_assert_int_eq(oi_pool_create(NULL, 4, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    ck_assert_int_eq(oi_pool_run(p, 100, outer, &(nest){p, &total}), ONNX_INFER_OK);
    ck_assert_int_eq(atomic_load(&total), 1000);
    oi_pool_release(p);
}
END_TEST

static void *caller(void *arg)
{
    for (int i = 0; i < 200; i++) {
        oi_pool_begin(arg);
        run_many(arg, 30);
        oi_pool_end(arg);
    }
    return NULL;
}

START_TEST(several_callers_share)
{
    oi_pool *p;
    pthread_t t[4];
    ck_assert_int_eq(oi_pool_create(NULL, 3, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    for (int i = 0; i < 4; i++)
        ck_assert(!pthread_create(&t[i], NULL, caller, p));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    oi_pool_release(p);
}
END_TEST

START_TEST(fork_starts_anew)
{
#ifdef __SANITIZE_THREAD__
    return; /* ThreadSanitizer allows no threads in the child of a fork */
#endif
    oi_pool *p;
    ck_assert_int_eq(oi_pool_create(NULL, 3, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    run_many(p, 100);
#ifdef __SANITIZE_ADDRESS__
    /* The sanitizer's runtime does not survive a fork while one of our workers is still inside its start. */
    nanosleep(&(struct timespec){0, 100000000}, NULL);
#endif
    pid_t child = fork();
    if (!child) {
        alarm(20);
        oi_pool_begin(p);
        run_many(p, 100);
        oi_pool_end(p);
        oi_pool_release(p);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    run_many(p, 100);
    oi_pool_release(p);
}
END_TEST

START_TEST(idle_workers_sleep)
{
    oi_pool *p;
    ck_assert_int_eq(oi_pool_create(NULL, 4, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    oi_pool_begin(p);
    run_many(p, 100); /* the run stays open: the spin is bounded */
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
    ck_assert_msg(ms < 20, "%.1f ms of CPU time in 200 ms of rest", ms);
    oi_pool_end(p);
    oi_pool_release(p);
}
END_TEST

static oi_status check_flush(void *arg, size_t task, size_t thread)
{
    (void)task, (void)thread;
    volatile float tiny = 1e-38f;
    tiny = tiny / 100;
    return (tiny == 0) == *(bool *)arg ? ONNX_INFER_OK : oi_fail(ONNX_INFER_E_INTERNAL, "environment of another kind");
}

START_TEST(workers_follow_the_callers_environment)
{
#if defined(__SSE2__) || defined(__aarch64__)
    oi_pool *p;
    ck_assert_int_eq(oi_pool_create(NULL, 3, OI_POOL_SPIN_NS, &p), ONNX_INFER_OK);
    for (int i = 0; i < 50; i++) {
        bool flush = i & 1;
        oi_fpenv old = 0;
        if (flush)
            old = oi_fpenv_enter();
        oi_status st = oi_pool_run(p, 30, check_flush, &flush);
        if (flush)
            oi_fpenv_leave(old);
        ck_assert_int_eq(st, ONNX_INFER_OK);
        ck_assert(!oi_fpenv_is_set());
    }
    oi_pool_release(p);
#endif
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_task_runs_once, 1, 5);
    tcase_add_loop_test(t, failure_reaches_the_caller, 1, 4);
    tcase_add_test(t, loops_nest);
    tcase_add_test(t, several_callers_share);
    tcase_add_test(t, fork_starts_anew);
    tcase_add_test(t, idle_workers_sleep);
    tcase_add_test(t, workers_follow_the_callers_environment);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
