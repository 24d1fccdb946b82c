/* Pools that plans share: of the library's threads and of the application's; forks, unloading. */
#include "support/api_help.h"
#include "support/interpose.h"

#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char products[] = "in x float 96x200\n"
                               "t = Transpose(x) perm=[1,0]\n"
                               "p = MatMul(x, t)\n"
                               "y = Softmax(p) axis=1\n"
                               "out y float 96x96\n";

static onnx_infer_context *open_with(onnx_infer_pool *pool, int level)
{
    onnx_infer_options *o = help_options(level, 1);
    OK(onnx_infer_options_set_pool(o, pool));
    onnx_infer_context *c = help_context(products, o);
    onnx_infer_options_free(o);
    return c;
}

static onnx_infer_value *input(void)
{
    onnx_infer_value *x = help_floats(2, (int64_t[]){96, 200}, 0);
    float *v = onnx_infer_tensor_mutable_data(x);
    for (size_t i = 0; i < onnx_infer_tensor_count(x); i++)
        v[i] = (float)(i % 37) * 0.01f - 0.2f;
    return x;
}

static bool same(const onnx_infer_value *a, const onnx_infer_value *b)
{
    return onnx_infer_tensor_bytes(a) == onnx_infer_tensor_bytes(b) &&
           !memcmp(onnx_infer_tensor_data(a), onnx_infer_tensor_data(b), onnx_infer_tensor_bytes(a));
}

static int threads_of_process(void)
{
    char line[200];
    int n = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, "Threads:", 8))
            n = atoi(line + 8);
    }
    if (f)
        fclose(f);
    return n;
}

START_TEST(plans_share_a_pool)
{
    onnx_infer_pool *pool;
    onnx_infer_context *c[3];
    onnx_infer_value *x = input(), *expected, *y;
    int before = threads_of_process();
    c[0] = open_with(NULL, 2);
    expected = help_run1(c[0], x);
    onnx_infer_context_free(c[0]);
    OK(onnx_infer_pool_create(3, _i ? 0 : 20000, &pool));
    for (int i = 0; i < 3; i++)
        c[i] = open_with(pool, 2);
    ck_assert_ptr_eq(onnx_infer_pool_retain(pool), pool);
    onnx_infer_pool_release(pool);
    onnx_infer_pool_release(pool); /* the plans have theirs */
    for (int i = 0; i < 12; i++) {
        y = help_run1(c[i % 3], x);
        ck_assert(same(y, expected));
        onnx_infer_value_release(y);
    }
    ck_assert_int_le(threads_of_process(), before + 2);
    pid_t child = fork();
    if (!child) {
        bool ok = true;
        for (int i = 0; i < 3; i++) {
            y = help_run1(c[i], x);
            ok = ok && same(y, expected);
            onnx_infer_value_release(y);
            onnx_infer_context_free(c[i]);
        }
        _exit(ok ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    for (int i = 0; i < 3; i++)
        onnx_infer_context_free(c[i]);
    ck_assert_int_eq(threads_of_process(), before);
    onnx_infer_value_release(expected);
    onnx_infer_value_release(x);
}
END_TEST

/* An executor as an application may have one: threads for each loop, or none at all. */
typedef struct {
    atomic_int loops, lanes, inside;
    bool alone;
} application;

typedef struct {
    void (*body)(void *arg, size_t i);
    void *arg;
    size_t i;
} lane;

static void *run_lane(void *arg)
{
    lane *l = arg;
    l->body(l->arg, l->i);
    return NULL;
}

static void parallel_for(void *user, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    application *a = user;
    pthread_t thread[8];
    lane lanes[8];
    if (atomic_fetch_add(&a->inside, 1))
        abort(); /* one run at a time */
    atomic_fetch_add(&a->loops, 1);
    atomic_fetch_add(&a->lanes, (int)n);
    for (size_t i = n; i-- > 0;) {
        lanes[i] = (lane){body, arg, i};
        if (a->alone || pthread_create(&thread[i], NULL, run_lane, &lanes[i]))
            run_lane(&lanes[i]);
    }
    for (size_t i = 0; i < n && !a->alone; i++)
        pthread_join(thread[i], NULL);
    atomic_fetch_sub(&a->inside, 1);
}

typedef struct {
    onnx_infer_plan *plan;
    const onnx_infer_value *x, *expected;
    int wrong;
} job;

static void *run_often(void *arg)
{
    job *j = arg;
    for (int i = 0; i < 20; i++) {
        onnx_infer_value *y = NULL;
        if (onnx_infer_plan_run(j->plan, NULL, 1, &j->x, 1, &y) != ONNX_INFER_OK || !same(y, j->expected))
            j->wrong++;
        onnx_infer_value_release(y);
    }
    return NULL;
}

START_TEST(threads_of_the_application)
{
    application app = {.alone = _i % 2};
    onnx_infer_executor e = {sizeof e, &app, 4, parallel_for};
    onnx_infer_pool *pool;
    onnx_infer_value *x = input(), *expected;
    onnx_infer_context *c = open_with(NULL, _i / 2);
    expected = help_run1(c, x);
    onnx_infer_context_free(c);
    OK(onnx_infer_pool_create_external(&e, &pool));
    c = open_with(pool, _i / 2);
    onnx_infer_pool_release(pool);
    onnx_infer_value *y = help_run1(c, x);
    ck_assert(same(y, expected));
    onnx_infer_value_release(y);
    ck_assert_int_gt(atomic_load(&app.loops), 0);
    ck_assert_int_le(atomic_load(&app.lanes), 4 * atomic_load(&app.loops));
    pthread_t thread[3];
    job jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = (job){(onnx_infer_plan *)onnx_infer_context_plan(c), x, expected, 0};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_often, &jobs[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_int_eq(jobs[i].wrong, 0);
    }
    onnx_infer_context_free(c);
    onnx_infer_value_release(expected);
    onnx_infer_value_release(x);
}
END_TEST

START_TEST(wrong_pools_are_refused)
{
    onnx_infer_pool *pool;
    onnx_infer_executor e = {sizeof e, NULL, 4, parallel_for};
    FAILS(onnx_infer_pool_create(-1, 0, &pool), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(pool);
    FAILS(onnx_infer_pool_create(5000, 0, &pool), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_pool_create(1, 0, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_pool_create_external(NULL, &pool), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_pool_create_external(&e, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    e.threads = 0;
    FAILS(onnx_infer_pool_create_external(&e, &pool), ONNX_INFER_E_INVALID_ARGUMENT);
    e = (onnx_infer_executor){8, NULL, 4, parallel_for};
    FAILS(onnx_infer_pool_create_external(&e, &pool), ONNX_INFER_E_INVALID_ARGUMENT);
    e = (onnx_infer_executor){sizeof e, NULL, 4, NULL};
    FAILS(onnx_infer_pool_create_external(&e, &pool), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_options_set_pool(NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_pool_create(0, UINT64_MAX, &pool));
    ck_assert_ptr_null(onnx_infer_pool_retain(NULL));
    onnx_infer_pool_release(NULL);
    onnx_infer_options *o = help_options(2, 0);
    OK(onnx_infer_options_set_pool(o, pool));
    OK(onnx_infer_options_set_pool(o, pool));
    OK(onnx_infer_options_set_pool(o, NULL));
    OK(onnx_infer_options_set_pool(o, pool));
    onnx_infer_pool_release(pool);
    onnx_infer_options_free(o); /* the last to hold it */
    e = (onnx_infer_executor){sizeof e, NULL, 4, parallel_for};
    for (long n = 1;; n++) {
        interpose_start();
        interpose_fail(n);
        onnx_infer_status st = n % 2 ? onnx_infer_pool_create(2, 0, &pool) : onnx_infer_pool_create_external(&e, &pool);
        int failed = interpose_failed();
        interpose_fail(0);
        if (st == ONNX_INFER_OK)
            onnx_infer_pool_release(pool);
        interposed seen = interpose_stop();
        ck_assert_int_eq(st, failed ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_OK);
        ck_assert_int_eq(seen.allocations - failed, seen.frees);
        if (!failed)
            break;
    }
}
END_TEST

/* The library comes and goes with everything that it has made; nothing of it is left, threads included. */
START_TEST(the_library_can_be_unloaded)
{
    char path[1000];
    const char *top = getenv("top_builddir");
    snprintf(path, sizeof path, "%s/.libs/libonnx_infer.so", top ? top : ".");
    if (access(path, R_OK))
        return; /* static builds have none */
    int before = threads_of_process();
    for (int round = 0; round < 5; round++) {
        void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        ck_assert_msg(lib != NULL, "%s", dlerror());
        onnx_infer_status (*pool_create)(int32_t, uint64_t, onnx_infer_pool **);
        onnx_infer_status (*tensor_create)(onnx_infer_dtype, int32_t, const int64_t *, onnx_infer_value **);
        void (*pool_release)(onnx_infer_pool *);
        const onnx_infer_error *(*last_error)(void);
        onnx_infer_status (*options_create)(onnx_infer_options **), (*set_pool)(onnx_infer_options *, onnx_infer_pool *);
        void (*options_free)(onnx_infer_options *), (*context_free)(onnx_infer_context *), (*value_release)(onnx_infer_value *);
        onnx_infer_status (*open)(const char *, const onnx_infer_options *, onnx_infer_context **);
        onnx_infer_status (*bind_input)(onnx_infer_context *, size_t, onnx_infer_value *);
        onnx_infer_status (*run_async)(onnx_infer_context *, const onnx_infer_run_options *, onnx_infer_done_fn, void *);
        onnx_infer_status (*wait_run)(onnx_infer_context *, uint64_t);
        *(void **)&pool_create = dlsym(lib, "onnx_infer_pool_create");
        *(void **)&tensor_create = dlsym(lib, "onnx_infer_tensor_create");
        *(void **)&pool_release = dlsym(lib, "onnx_infer_pool_release");
        *(void **)&last_error = dlsym(lib, "onnx_infer_last_error");
        *(void **)&options_create = dlsym(lib, "onnx_infer_options_create");
        *(void **)&set_pool = dlsym(lib, "onnx_infer_options_set_pool");
        *(void **)&options_free = dlsym(lib, "onnx_infer_options_free");
        *(void **)&context_free = dlsym(lib, "onnx_infer_context_free");
        *(void **)&value_release = dlsym(lib, "onnx_infer_value_release");
        *(void **)&open = dlsym(lib, "onnx_infer_context_open");
        *(void **)&bind_input = dlsym(lib, "onnx_infer_bind_input");
        *(void **)&run_async = dlsym(lib, "onnx_infer_run_async");
        *(void **)&wait_run = dlsym(lib, "onnx_infer_wait");
        const char *source = getenv("top_srcdir");
        onnx_infer_pool *pool;
        onnx_infer_options *o;
        onnx_infer_context *c;
        onnx_infer_value *x;
        ck_assert_int_eq(pool_create(3, 1000, &pool), ONNX_INFER_OK);
        ck_assert_int_eq(options_create(&o), ONNX_INFER_OK);
        ck_assert_int_eq(set_pool(o, pool), ONNX_INFER_OK);
        snprintf(path, sizeof path, "%s/tests/data/seed-models/model_dynamic_0/model.onnx", source ? source : ".");
        ck_assert_int_eq(open("nowhere", o, &c), ONNX_INFER_E_IO);
        ck_assert_int_eq(open(path, o, &c), ONNX_INFER_OK);
        ck_assert_int_eq(tensor_create(ONNX_INFER_FLOAT, 4, (int64_t[]){50, 3, 10, 10}, &x), ONNX_INFER_OK);
        ck_assert_int_eq(bind_input(c, 0, x), ONNX_INFER_OK);
        ck_assert_int_eq(run_async(c, NULL, NULL, NULL), ONNX_INFER_OK);
        ck_assert_int_eq(wait_run(c, UINT64_MAX), ONNX_INFER_OK);
        ck_assert_ptr_nonnull(last_error());
        context_free(c);
        value_release(x);
        options_free(o);
        pool_release(pool);
        ck_assert_int_eq(dlclose(lib), 0);
        ck_assert_int_eq(threads_of_process(), before);
        snprintf(path, sizeof path, "%s/.libs/libonnx_infer.so", top ? top : ".");
        void *again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
        ck_assert_ptr_null(again); /* it is really gone */
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool hooks");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, plans_share_a_pool, 0, 2);
    tcase_add_loop_test(t, threads_of_the_application, 0, 6);
    tcase_add_test(t, wrong_pools_are_refused);
    tcase_add_test(t, the_library_can_be_unloaded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
