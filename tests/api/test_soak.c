/* Many contexts, threads, shapes: one copy of the weights, the same bits, memory that does not grow. */
#include "support/api_help.h"

#include <check.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_COUNTS = 0, CHANNELS = 32, RANDOM_RUNS = 150, THREAD_RUNS = 4 };
#else
enum { MEMORY_COUNTS = 1, CHANNELS = 256, RANDOM_RUNS = 10000, THREAD_RUNS = 16 };
#endif

/* A residual net with 22 MB of weights. */
static const char *residual_net(void)
{
    static char text[8000];
    size_t n = (size_t)snprintf(text, sizeof text, "in x float Nx64x14x14\n");
    const char *last = "x";
    static char names[20][8];
    for (int i = 0; i < 11; i++) {
        snprintf(names[i], sizeof names[i], "r%d", i);
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "const s%d int64 4 %d %d 3 3\nw%d = ConstantOfShape(s%d) value=<v;float;1;0.00%d>\n"
                              "c%d = Conv(%s, w%d) pads=[1,1,1,1]\nr%d = Relu(c%d)\n",
                              i, i == 10 ? 64 : CHANNELS, i == 0 ? 64 : CHANNELS, i, i, i + 1, i, last, i, i, i);
        last = names[i];
    }
    snprintf(text + n, sizeof text - n, "sum = Add(%s, x)\ny = GlobalAveragePool(sum)\nout y float Nx64x1x1\n", last);
    return text;
}

static size_t resident(void)
{
    long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static onnx_infer_plan *plan_of(const char *text, int threads)
{
    onnx_infer_options *o = help_options(2, threads);
    onnx_infer_model *m = help_model(text);
    onnx_infer_plan *p;
    OK(onnx_infer_plan_create(m, o, &p));
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    return p;
}

static onnx_infer_value *images(int64_t n)
{
    onnx_infer_value *v = help_floats(4, (int64_t[]){n, 64, 14, 14}, 0);
    float *x = onnx_infer_tensor_mutable_data(v);
    for (size_t i = 0; i < onnx_infer_tensor_count(v); i++)
        x[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.4f;
    return v;
}

START_TEST(contexts_share_the_weights)
{
    enum { CONTEXTS = 64 };
    onnx_infer_plan *p = plan_of(residual_net(), 1);
    onnx_infer_context *c[CONTEXTS];
    onnx_infer_value *x = images(1), *y;
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    size_t after_first = 0;
    for (int i = 0; i < CONTEXTS; i++) {
        OK(onnx_infer_context_create(p, &c[i]));
        y = help_run1(c[i], x);
        onnx_infer_value_release(y);
        if (i == 0)
            after_first = resident();
    }
    size_t all = resident(), arenas;
    OK(onnx_infer_context_memory(c[0], &memory));
    arenas = (CONTEXTS - 1) * ((size_t)memory.arena_now + (256 << 10)); /* and what else a context has */
    printf("one context: %zu KiB resident; %d: %zu KiB; weights %zu KiB, arena %zu KiB each\n", after_first >> 10, CONTEXTS, all >> 10,
           (size_t)(memory.weights + memory.mapped + memory.packed) >> 10, (size_t)memory.arena_now >> 10);
    if (MEMORY_COUNTS) {
        ck_assert_uint_gt(memory.packed + memory.weights + memory.mapped, 20u << 20);
        ck_assert_msg(all <= after_first + arenas, "%zu KiB for %d contexts, %zu KiB for one", all >> 10, CONTEXTS, after_first >> 10);
    }
    for (int i = 0; i < CONTEXTS; i++)
        onnx_infer_context_free(c[i]);
    onnx_infer_value_release(x);
    onnx_infer_plan_release(p);
}
END_TEST

typedef struct {
    onnx_infer_plan *plan;
    const onnx_infer_value *x, *expected;
    bool own; /* a context of its own, and bound runs */
    int wrong;
} job;

static void *run_often(void *arg)
{
    job *j = arg;
    onnx_infer_context *c = NULL;
    if (j->own) {
        OK(onnx_infer_context_create(j->plan, &c));
        OK(onnx_infer_bind_input(c, 0, (onnx_infer_value *)j->x));
    }
    for (int i = 0; i < THREAD_RUNS; i++) {
        onnx_infer_value *y = NULL;
        if (j->own)
            OK(onnx_infer_run_bound(c, NULL));
        else
            OK(onnx_infer_plan_run(j->plan, NULL, 1, &j->x, 1, &y));
        const onnx_infer_value *seen = j->own ? onnx_infer_output(c, 0) : y;
        j->wrong += memcmp(onnx_infer_tensor_data(seen), onnx_infer_tensor_data(j->expected), onnx_infer_tensor_bytes(seen)) != 0;
        onnx_infer_value_release(y);
    }
    onnx_infer_context_free(c);
    return NULL;
}

/* Eight threads on one plan, of shapes that are planned while they run. */
START_TEST(threads_give_the_same_bits)
{
    enum { THREADS = 8 };
    onnx_infer_plan *alone = plan_of(residual_net(), 1), *shared = plan_of(residual_net(), _i);
    onnx_infer_value *x[2], *expected[2] = {NULL, NULL};
    pthread_t thread[THREADS];
    job jobs[THREADS];
    for (int k = 0; k < 2; k++) {
        x[k] = images(k + 1);
        OK(onnx_infer_plan_run(alone, NULL, 1, (const onnx_infer_value *const *)&x[k], 1, &expected[k]));
    }
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){shared, x[i % 2], expected[i % 2], i / 2 % 2, 0};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_often, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_int_eq(jobs[i].wrong, 0);
    }
    for (int k = 0; k < 2; k++) {
        onnx_infer_value_release(x[k]);
        onnx_infer_value_release(expected[k]);
    }
    onnx_infer_plan_release(alone);
    onnx_infer_plan_release(shared);
}
END_TEST

START_TEST(random_shapes_do_not_grow)
{
    static const char text[] = "in x float NxCxHxW\nconst s int64 4 16 3 3 3\nw = ConstantOfShape(s) value=<v;float;1;0.5>\n"
                               "c = Conv(x, w) pads=[1,1,1,1]\nr = Relu(c)\np = MaxPool(r) kernel_shape=[2,2] strides=[2,2]\n"
                               "f = GlobalAveragePool(p)\nd = Flatten(f)\ny = Softmax(d) axis=1\nh = Shape(r)\nout y float ?x?\nout h int64 4\n";
    onnx_infer_plan *p = plan_of(text, 1);
    onnx_infer_context *c;
    unsigned state = 12345;
    size_t peak = 0, worst = 0;
    OK(onnx_infer_context_create(p, &c));
    for (int run = 0; run < RANDOM_RUNS; run++) {
        int64_t dims[4] = {4, 3, 160, 160};
        if (run != 50) { /* the largest is among the first hundred */
            for (int d = 0; d < 4; d++) {
                state = state * 1664525u + 1013904223u;
                if (d != 1)
                    dims[d] = d ? 2 + (int64_t)(state >> 8) % 158 : 1 + (int64_t)(state >> 8) % 3;
            }
            if (RANDOM_RUNS > 1000 && run > 100 && run % 10) /* most are small, so that all takes a few seconds */
                dims[0] = 1, dims[2] = dims[2] % 40 + 2, dims[3] = dims[3] % 40 + 2;
        }
        onnx_infer_value *x, *out[2] = {NULL, NULL};
        OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 4, dims, &x));
        OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 2, out));
        ck_assert_int_eq(((const int64_t *)onnx_infer_tensor_data(out[1]))[3], dims[3]);
        onnx_infer_value_release(x);
        onnx_infer_value_release(out[0]);
        onnx_infer_value_release(out[1]);
        size_t now = resident();
        if (run < 100)
            peak = now > peak ? now : peak;
        worst = now > worst ? now : worst;
    }
    size_t before = resident();
    OK(onnx_infer_context_trim(c));
    malloc_trim(0);
    size_t after = resident();
    printf("%d runs: %zu KiB at the peak of the first hundred, %zu KiB at most; trim: from %zu to %zu KiB\n", RANDOM_RUNS, peak >> 10,
           worst >> 10, before >> 10, after >> 10);
    if (MEMORY_COUNTS) {
        ck_assert_msg((double)worst <= 1.02 * (double)peak, "%zu KiB grew to %zu KiB", peak >> 10, worst >> 10);
        ck_assert_uint_lt(after, before);
    }
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("soak");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, contexts_share_the_weights);
    tcase_add_loop_test(t, threads_give_the_same_bits, 1, 4);
    tcase_add_test(t, random_shapes_do_not_grow);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
