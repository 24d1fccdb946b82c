/* Every allocation fails in turn, in everything that a plan and a context do: a clean status, the handle usable, nothing
 * left over. */
#include "support/api_help.h"
#include "support/interpose.h"

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char model[] = "in x float Nx4\n"
                            "in s float Nx4\n"
                            "const w float 4x4 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7\n"
                            "p = MatMul(x, w)\n"
                            "t = Add(p, s)\n"
                            "y = Softmax(t) axis=1\n"
                            "found = NonZero(x)\n"
                            "text = Cast(x) to=8\n"
                            "list = SequenceConstruct(x, t)\n"
                            "out y float Nx4\n"
                            "out t float Nx4\n"
                            "out found int64 2xK\n"
                            "out text ? ?x?\n"
                            "out list ? ?\n";

typedef struct {
    pthread_mutex_t lock;
    long count, fail_at;
    long long held;
} failing;

static void *failing_alloc(void *user, size_t bytes, size_t align)
{
    failing *f = user;
    size_t unit = align < 16 ? 16 : align;
    pthread_mutex_lock(&f->lock);
    bool refuse = ++f->count == f->fail_at;
    f->held += refuse ? 0 : (long long)bytes;
    pthread_mutex_unlock(&f->lock);
    return refuse ? NULL : aligned_alloc(unit, (bytes + unit) / unit * unit);
}

static void failing_free(void *user, void *p, size_t bytes, size_t align)
{
    failing *f = user;
    (void)align;
    pthread_mutex_lock(&f->lock);
    f->held -= (long long)bytes;
    pthread_mutex_unlock(&f->lock);
    free(p);
}

typedef struct {
    onnx_infer_plan *plan;
    onnx_infer_context *c;
    onnx_infer_value *x, *s;
} world;

static float memory[64];

static void *take(void *user, size_t output, onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, size_t bytes, size_t align)
{
    (void)user, (void)output, (void)dtype, (void)rank, (void)dims, (void)align;
    return bytes <= sizeof memory ? memory : NULL;
}

static onnx_infer_status bind_all(world *w)
{
    onnx_infer_status st = onnx_infer_bind_input(w->c, 0, w->x);
    if (!st)
        st = onnx_infer_bind_input(w->c, 1, w->s);
    if (!st)
        st = onnx_infer_bind_output_fn(w->c, 0, take, NULL);
    if (!st)
        st = onnx_infer_unbind_all(w->c);
    if (!st)
        st = onnx_infer_bind_input(w->c, 0, w->x);
    return st ? st : onnx_infer_bind_state(w->c, 1, 1);
}

static onnx_infer_status do_create(world *w)
{
    onnx_infer_context *c;
    onnx_infer_status st = onnx_infer_context_create(w->plan, &c);
    ck_assert((st == ONNX_INFER_OK) == (c != NULL));
    onnx_infer_context_free(c);
    return st;
}

static onnx_infer_status do_run(world *w)
{
    onnx_infer_value *in[2] = {w->x, w->s}, *out[5] = {NULL, NULL, NULL, NULL, NULL};
    onnx_infer_status st = onnx_infer_run(w->c, NULL, 2, (const onnx_infer_value *const *)in, 5, out);
    for (int i = 0; i < 5; i++) {
        ck_assert((st == ONNX_INFER_OK) == (out[i] != NULL));
        onnx_infer_value_release(out[i]);
    }
    return st;
}

static onnx_infer_status do_plan_run(world *w)
{
    onnx_infer_value *in[2] = {w->x, w->s}, *out[5] = {NULL, NULL, NULL, NULL, NULL};
    onnx_infer_status st = onnx_infer_plan_run(w->plan, NULL, 2, (const onnx_infer_value *const *)in, 5, out);
    for (int i = 0; i < 5; i++) {
        ck_assert((st == ONNX_INFER_OK) == (out[i] != NULL));
        onnx_infer_value_release(out[i]);
    }
    return st;
}

static onnx_infer_status do_run_named(world *w)
{
    onnx_infer_value *in[2] = {w->s, w->x}, *out = NULL;
    onnx_infer_status st = onnx_infer_run_named(w->c, NULL, 2, (const char *const[]){"s", "x"}, (const onnx_infer_value *const *)in, 1,
                                                (const char *const[]){"t"}, &out);
    ck_assert((st == ONNX_INFER_OK) == (out != NULL));
    onnx_infer_value_release(out);
    return st;
}

static onnx_infer_status do_bound(world *w)
{
    onnx_infer_status st = bind_all(w);
    return st ? st : onnx_infer_run_bound(w->c, NULL);
}

static onnx_infer_status do_grow(world *w)
{
    onnx_infer_status st = bind_all(w);
    if (!st)
        st = onnx_infer_run_bound(w->c, NULL);
    if (!st)
        st = onnx_infer_reset_state(w->c);
    onnx_infer_value *more = NULL;
    if (!st)
        st = onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, (int64_t[]){3, 4}, &more);
    if (!st)
        st = onnx_infer_bind_input(w->c, 0, more);
    if (!st)
        st = onnx_infer_run_bound(w->c, NULL);
    onnx_infer_value_release(more);
    return st;
}

static onnx_infer_status do_async(world *w)
{
    onnx_infer_status st = bind_all(w);
    if (!st)
        st = onnx_infer_run_async(w->c, NULL, NULL, NULL);
    return st ? st : onnx_infer_wait(w->c, UINT64_MAX);
}

static onnx_infer_status do_clone(world *w)
{
    onnx_infer_context *c = NULL;
    onnx_infer_status st = bind_all(w);
    if (!st)
        st = onnx_infer_run_bound(w->c, NULL);
    if (!st)
        st = onnx_infer_context_clone(w->c, &c);
    if (!st)
        st = onnx_infer_run_bound(c, NULL);
    onnx_infer_context_free(c);
    return st;
}

static onnx_infer_status do_shape(world *w)
{
    int32_t rank;
    int64_t dims[4];
    onnx_infer_status st = onnx_infer_plan_output_shape(w->plan, 2, (int32_t[]){2, 2}, (const int64_t *const[]){(int64_t[]){2, 4}, (int64_t[]){2, 4}},
                                                        1, &rank, dims, 4);
    ck_assert(st != ONNX_INFER_OK || (rank == 2 && dims[0] == 2));
    return st;
}

static const struct {
    const char *name;
    onnx_infer_status (*run)(world *w);
} acts[] = {{"create", do_create}, {"run", do_run},     {"plan_run", do_plan_run}, {"run_named", do_run_named}, {"bound", do_bound},
            {"grow", do_grow},     {"async", do_async}, {"clone", do_clone},       {"output_shape", do_shape}};

enum { ACTS = sizeof acts / sizeof *acts };

static void make(world *w, failing *f, int level)
{
    onnx_infer_allocator a = {sizeof a, f, failing_alloc, failing_free};
    onnx_infer_options *o = help_options(level, 2);
    onnx_infer_model *m = help_model(model);
    OK(onnx_infer_options_set_allocator(o, &a));
    OK(onnx_infer_plan_create(m, o, &w->plan));
    OK(onnx_infer_context_create(w->plan, &w->c));
    w->x = help_floats(2, (int64_t[]){2, 4}, 1);
    w->s = help_floats(2, (int64_t[]){2, 4}, 1);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
}

START_TEST(allocations_fail_in_turn)
{
    const int act = _i % ACTS, level = _i / ACTS * 2;
    long at = 1;
    for (;; at++) {
        failing f = {.lock = PTHREAD_MUTEX_INITIALIZER};
        world w;
        make(&w, &f, level);
        f.count = 0;
        f.fail_at = at;
        onnx_infer_status st = acts[act].run(&w);
        bool failed = f.count >= at;
        ck_assert_msg(st == (failed ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_OK), "%s: allocation %ld of %ld: %s: %s", acts[act].name, at,
                      f.count, onnx_infer_status_name(st), onnx_infer_error_message(onnx_infer_last_error()));
        f.fail_at = 0;
        OK(acts[act].run(&w));
        OK(do_run(&w));
        onnx_infer_context_free(w.c);
        onnx_infer_plan_release(w.plan);
        onnx_infer_value_release(w.x);
        onnx_infer_value_release(w.s);
        ck_assert_msg(f.held == 0, "%s: %lld bytes are held after allocation %ld failed", acts[act].name, f.held, at);
        if (!failed)
            break;
    }
    ck_assert_int_gt(at, 3);
}
END_TEST

/* What takes its memory from the C library. */
START_TEST(options_survive_too)
{
    for (long n = 1;; n++) {
        onnx_infer_options *o = NULL;
        interpose_start();
        interpose_fail(n);
        onnx_infer_status st = onnx_infer_options_create(&o);
        if (!st)
            st = onnx_infer_options_set_symbol_range(o, "N", 1, 2, 3);
        if (!st)
            st = onnx_infer_options_set_symbol_range(o, "M", 1, 2, 3);
        if (!st)
            st = onnx_infer_options_set_symbol_range(o, "N", 2, 3, 4);
        int failed = interpose_failed();
        interpose_fail(0);
        if (o && onnx_infer_options_set_symbol_range(o, "K", 1, 2, 3) != ONNX_INFER_OK)
            failed = -1;
        onnx_infer_options_free(o);
        interposed seen = interpose_stop();
        ck_assert_int_eq(st, failed ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_OK);
        ck_assert_int_eq(seen.allocations - failed, seen.frees);
        if (!failed)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, allocations_fail_in_turn, 0, 2 * ACTS);
    tcase_add_test(t, options_survive_too);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
