/* OpenBLAS as an oracle for our float32 products, and its float64 ones against plain loops. */
#include "kernels/blas.h"
#include "kernels/gemm.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CASES = 60 };

static double draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 23) - 1;
}

static size_t draw_size(uint32_t *state, size_t most)
{
    return 1 + (size_t)((draw(state) + 1) / 2 * (double)most);
}

static bool skipped(void)
{
    if (oi_blas_available())
        return false;
    printf("test_blas: skipped, this build has no OpenBLAS (configure --with-openblas)\n");
    return true;
}

START_TEST(ours_equals_openblas)
{
    uint32_t seed = 20261121;
    for (int i = 0; i < CASES && !skipped(); i++) {
        oi_gemm_shape shape = {.m = draw_size(&seed, 70), .n = draw_size(&seed, 90), .k = draw_size(&seed, 300), .batch = 1};
        oi_gemm_plan plan;
        ck_assert_int_eq(oi_gemm_plan_init(&plan, oi_kernels_for(OI_ISA_COUNT), &shape), ONNX_INFER_OK);
        float *a = malloc(shape.m * shape.k * sizeof *a), *b = malloc(shape.k * shape.n * sizeof *b);
        float *c = malloc(shape.m * shape.n * sizeof *c), *want = calloc(shape.m * shape.n, sizeof *want);
        float *workspace = aligned_alloc(64, (plan.workspace * sizeof(float) + 127) / 64 * 64);
        for (size_t j = 0; j < shape.m * shape.k; j++)
            a[j] = (float)draw(&seed);
        for (size_t j = 0; j < shape.k * shape.n; j++)
            b[j] = (float)draw(&seed);
        oi_gemm_args args = {.a = a, .b = b, .c = c, .lda = shape.k, .ldb = shape.n, .ldc = shape.n, .alpha = 1,
                             .epilogue = oi_epilogue_none()};
        for (size_t task = 0; task < plan.n_tasks; task++)
            oi_gemm_run(&plan, &args, task, workspace);
        oi_blas_shape blas = {.m = shape.m, .n = shape.n, .k = shape.k, .lda = shape.k, .ldb = shape.n, .ldc = shape.n, .alpha = 1};
        oi_blas_gemm_f32(&blas, a, b, want);
        for (size_t j = 0; j < shape.m * shape.n; j++)
            ck_assert_msg(fabsf(c[j] - want[j]) <= 1e-6f * (float)shape.k, "case %d, element %zu: %g, OpenBLAS has %g", i, j,
                          (double)c[j], (double)want[j]);
        free(a), free(b), free(c), free(want), free(workspace);
    }
}
END_TEST

START_TEST(float64_equals_loops)
{
    uint32_t seed = 7;
    for (int i = 0; i < CASES && !skipped(); i++) {
        size_t m = draw_size(&seed, 20), n = draw_size(&seed, 20), k = draw_size(&seed, 40);
        bool ta = i & 1, tb = i & 2;
        double *a = malloc(m * k * sizeof *a), *b = malloc(k * n * sizeof *b), *c = calloc(m * n, sizeof *c);
        for (size_t j = 0; j < m * k; j++)
            a[j] = draw(&seed);
        for (size_t j = 0; j < k * n; j++)
            b[j] = draw(&seed);
        oi_blas_shape s = {.trans_a = ta, .trans_b = tb, .m = m, .n = n, .k = k, .lda = ta ? m : k, .ldb = tb ? k : n, .ldc = n,
                           .alpha = 2};
        oi_blas_gemm_f64(&s, a, b, c);
        for (size_t r = 0; r < m; r++) {
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t x = 0; x < k; x++)
                    sum += a[ta ? x * m + r : r * k + x] * b[tb ? j * k + x : x * n + j];
                ck_assert_double_eq_tol(c[r * n + j], 2 * sum, 1e-12 * (double)k);
            }
        }
        free(a), free(b), free(c);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blas");
    TCase *products = tcase_create("products");
    tcase_add_test(products, ours_equals_openblas);
    tcase_add_test(products, float64_equals_loops);
    suite_add_tcase(suite, products);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
