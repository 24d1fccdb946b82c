/* The fast path (prepare and run, every instruction set of this machine) against the reference evaluators, on random shapes
 * that broadcast on every side and are cut into one task or many. The seed is printed; OI_TEST_SEED replays it. */
#include "ops/random.h"
#include "support/eval_host.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t seed, counter;

static double uniform(void)
{
    return oi_random_uniform(seed, counter++);
}

static int64_t below(int64_t n)
{
    return (int64_t)(uniform() * (double)n);
}

static void random_tensor(oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor *t)
{
    ck_assert_int_eq(oi_tensor_create(NULL, dtype, rank, dims, t), ONNX_INFER_OK);
    int64_t n = oi_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        if (oi_dtype_is_float(dtype))
            oi_elem_set_double(dtype, t->data, (size_t)i, 4 * uniform() - 2);
        else
            oi_elem_set_int(dtype, t->data, (size_t)i, dtype == ONNX_INFER_BOOL ? below(2) : 1 + below(50));
    }
}

/* A shape of at most `limit` elements; few have many, so that some are cut into tasks. */
static int32_t random_shape(int32_t low, int32_t high, int64_t limit, int64_t *dims)
{
    static const int64_t sizes[] = {0, 1, 1, 2, 3, 5, 7, 8, 16, 17, 33, 64, 130, 1000, 9000, 40000};
    int32_t rank = low + (int32_t)below(high - low + 1);
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        int64_t at = below(100) ? 1 + below((int64_t)(sizeof sizes / sizeof *sizes) - 1) : 0;
        while (n * sizes[at] > limit)
            at--;
        dims[i] = sizes[at];
        n *= dims[i] ? dims[i] : 1;
    }
    return rank;
}

/* The shape with some leading axes gone and some of size 1. */
static int32_t narrowed(int32_t rank, const int64_t *dims, int64_t *out)
{
    int32_t skip = below(3) ? 0 : (int32_t)below(rank + 1);
    for (int32_t i = skip; i < rank; i++)
        out[i - skip] = below(3) ? dims[i] : 1;
    return rank - skip;
}

static void compare(const char *op, const char *attrs, const eval_tensors *in, uint32_t nout, double rel, double abs)
{
    eval_tensors want, got;
    ck_assert_msg(eval_op(op, attrs, in, nout, &want) == ONNX_INFER_OK, "%s: %s", op, oi_error_current()->message);
    memset(&got, 0, sizeof got);
    got.n = nout;
    for (uint32_t i = 0; i < nout; i++)
        ck_assert_int_eq(oi_tensor_clone(NULL, &want.t[i], &got.t[i]), ONNX_INFER_OK);
    for (oi_cpu_isa isa = 0; isa < OI_ISA_COUNT; isa++) {
        char what[128];
        if (!oi_cpu_isa_available(isa) || !eval_prepared(op, attrs, in, &got, isa))
            continue;
        snprintf(what, sizeof what, "%s {%s} %s, seed %llu", op, attrs, oi_cpu_isa_name(isa), (unsigned long long)seed);
        eval_expect(&got, &want, rel, abs, what);
    }
    eval_clear(&want);
    eval_clear(&got);
}

/* The same of what lowering makes of the operator with constants but for the inputs in `open`; it has to make something. */
static void compare_lowered(const char *op, const char *attrs, const eval_tensors *in, uint32_t open, uint32_t nout, double rel, double abs)
{
    eval_tensors want;
    ck_assert_msg(eval_op(op, attrs, in, nout, &want) == ONNX_INFER_OK, "%s: %s", op, oi_error_current()->message);
    for (oi_cpu_isa isa = 0; isa < OI_ISA_COUNT; isa++) {
        char what[128];
        eval_tensors got = {.n = nout};
        if (!oi_cpu_isa_available(isa))
            continue;
        snprintf(what, sizeof what, "%s {%s} %s, seed %llu", op, attrs, oi_cpu_isa_name(isa), (unsigned long long)seed);
        ck_assert_msg(eval_lowered(op, attrs, in, open, &got, isa), "%s: not lowered", what);
        eval_expect(&got, &want, rel, abs, what);
        eval_clear(&got);
    }
    eval_clear(&want);
}

static oi_dtype any_type(void)
{
    static const oi_dtype types[] = {ONNX_INFER_FLOAT, ONNX_INFER_FLOAT, ONNX_INFER_FLOAT, ONNX_INFER_INT64, ONNX_INFER_UINT8,
                                     ONNX_INFER_FLOAT16, ONNX_INFER_DOUBLE};
    return types[below((int64_t)(sizeof types / sizeof *types))];
}

START_TEST(unary)
{
    static const char *const ops[] = {"Abs", "Neg", "Exp", "Tanh", "Sigmoid", "Erf", "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid",
                                      "HardSwish", "Gelu", "Mish", "Swish", "Softplus", "Softsign", "Floor", "Ceil", "Round", "Sign", "Sin",
                                      "Cos", "Reciprocal", "ThresholdedRelu", "Tan", "Asinh", "Shrink", "IsNaN", "IsInf"};
    int64_t dims[OI_MAX_RANK];
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        eval_tensors in = {.n = 1};
        random_tensor(ONNX_INFER_FLOAT, random_shape(0, 3, 60000, dims), dims, &in.t[0]);
        compare(ops[i], i % 2 && strcmp(ops[i], "Gelu") == 0 ? "approximate=tanh" : "", &in, 1, 4e-6, 1e-6);
        eval_clear(&in);
    }
}
END_TEST

START_TEST(binary)
{
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Mod", "Less", "Equal", "GreaterOrEqual", "Pow"};
    for (int round = 0; round < 120; round++) {
        const char *op = ops[round % (int)(sizeof ops / sizeof *ops)];
        int64_t dims[OI_MAX_RANK], part[OI_MAX_RANK];
        int32_t rank = random_shape(0, 4, 60000, dims);
        oi_dtype dtype = strcmp(op, "Pow") ? any_type() : ONNX_INFER_FLOAT;
        eval_tensors in = {.n = 2};
        bool whole = below(2);
        int32_t left = whole ? rank : narrowed(rank, dims, part);
        random_tensor(dtype, left, whole ? dims : part, &in.t[0]);
        left = narrowed(rank, dims, part);
        random_tensor(dtype, left, part, &in.t[1]);
        if (below(2)) {
            oi_tensor swap = in.t[0];
            in.t[0] = in.t[1];
            in.t[1] = swap;
        }
        if (!strcmp(op, "Pow")) {
            float *base = in.t[0].data;
            for (int64_t i = 0; i < oi_tensor_count(&in.t[0]); i++)
                base[i] = fabsf(base[i]);
        }
        compare(op, "", &in, 1, 4e-6, 1e-30);
        eval_clear(&in);
    }
}
END_TEST

START_TEST(choices)
{
    for (int round = 0; round < 40; round++) {
        int64_t dims[OI_MAX_RANK], part[OI_MAX_RANK];
        int32_t rank = random_shape(0, 4, 60000, dims), each;
        oi_dtype dtype = any_type();
        eval_tensors in = {.n = 3};
        for (int k = 0; k < 3; k++) {
            each = below(2) ? narrowed(rank, dims, part) : (memcpy(part, dims, sizeof part), rank);
            random_tensor(k ? dtype : ONNX_INFER_BOOL, each, part, &in.t[k]);
        }
        compare("Where", "", &in, 1, 0, 0);
        eval_clear(&in);
        in.n = 3;
        random_tensor(dtype, rank, dims, &in.t[0]);
        random_tensor(dtype, 0, NULL, &in.t[1]);
        random_tensor(dtype, 0, NULL, &in.t[2]);
        compare("Clip", "", &in, 1, 0, 1e-30);
        eval_clear(&in);
    }
}
END_TEST

START_TEST(reductions)
{
    static const char *const ops[] = {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
                                      "ReduceLogSum", "ReduceProd"};
    for (int round = 0; round < 90; round++) {
        int64_t dims[OI_MAX_RANK], axes[OI_MAX_RANK], n = 0;
        int32_t rank = random_shape(1, 4, 30000, dims);
        for (int32_t i = 0; i < rank; i++) {
            dims[i] += dims[i] == 0;
            if (below(2))
                axes[n++] = below(2) ? i : i - rank;
        }
        eval_tensors in = {.n = 2};
        random_tensor(ONNX_INFER_FLOAT, rank, dims, &in.t[0]);
        const char *op = ops[round % (int)(sizeof ops / sizeof *ops)];
        float *x = in.t[0].data;
        for (int64_t i = 0; strcmp(op, "ReduceProd") == 0 && i < oi_tensor_count(&in.t[0]); i++)
            x[i] = 1 + x[i] * 1e-4f;
        for (int64_t i = 0; strcmp(op, "ReduceLogSum") == 0 && i < oi_tensor_count(&in.t[0]); i++)
            x[i] = fabsf(x[i]) + 1;
        ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_INT64, 1, &n, &in.t[1]), ONNX_INFER_OK);
        if (n)
            memcpy(in.t[1].data, axes, (size_t)n * sizeof *axes);
        compare(op, below(2) ? "keepdims=0" : "", &in, 1, 3e-5, 3e-4);
        eval_clear(&in);
    }
}
END_TEST

START_TEST(lanes)
{
    static const char *const ops[] = {"Softmax", "LogSoftmax", "ArgMax", "ArgMin"};
    for (int round = 0; round < 60; round++) {
        int64_t dims[OI_MAX_RANK];
        int32_t rank = random_shape(1, 4, 40000, dims), axis = (int32_t)below(rank);
        char attrs[32];
        eval_tensors in = {.n = 1};
        dims[axis] += dims[axis] == 0;
        snprintf(attrs, sizeof attrs, "axis=%d", below(2) ? (int)axis : (int)(axis - rank));
        random_tensor(ONNX_INFER_FLOAT, rank, dims, &in.t[0]);
        compare(ops[round % 4], attrs, &in, 1, 1e-5, 1e-5);
        eval_clear(&in);
    }
}
END_TEST

START_TEST(normalisations)
{
    for (int round = 0; round < 60; round++) {
        int64_t dims[OI_MAX_RANK] = {1 + below(3), 4 * (1 + below(9)), 1 + below(40), 1 + below(20)};
        int32_t rank = 2 + (int32_t)below(3), axis = 1 + (int32_t)below(rank - 1);
        char attrs[64];
        eval_tensors in = {.n = 3};
        random_tensor(ONNX_INFER_FLOAT, rank, dims, &in.t[0]);
        random_tensor(ONNX_INFER_FLOAT, rank - axis, dims + axis, &in.t[1]);
        random_tensor(ONNX_INFER_FLOAT, rank - axis, dims + axis, &in.t[2]);
        snprintf(attrs, sizeof attrs, "axis=%d, epsilon=0.01", (int)axis);
        compare("LayerNormalization", attrs, &in, 3, 1e-5, 1e-5);
        in.n = 2;
        compare("RMSNormalization", attrs, &in, 1, 1e-5, 1e-5);
        in.n = 3;
        oi_tensor_clear(&in.t[1]);
        oi_tensor_clear(&in.t[2]);
        random_tensor(ONNX_INFER_FLOAT, 1, dims + 1, &in.t[1]);
        random_tensor(ONNX_INFER_FLOAT, 1, dims + 1, &in.t[2]);
        compare("InstanceNormalization", "epsilon=0.01", &in, 1, 1e-5, 1e-5);
        compare("GroupNormalization", "num_groups=2, epsilon=0.01", &in, 1, 1e-5, 1e-5);
        in.n = 5;
        random_tensor(ONNX_INFER_FLOAT, 1, dims + 1, &in.t[3]);
        random_tensor(ONNX_INFER_FLOAT, 1, dims + 1, &in.t[4]);
        float *var = in.t[4].data;
        for (int64_t i = 0; i < dims[1]; i++)
            var[i] = fabsf(var[i]) + 0.1f;
        compare("BatchNormalization", "", &in, 1, 1e-5, 1e-5);
        eval_clear(&in);
        in.n = 1;
        random_tensor(ONNX_INFER_FLOAT, rank, dims, &in.t[0]);
        compare("LRN", "size=5, alpha=0.01", &in, 1, 1e-5, 1e-6);
        eval_clear(&in);
    }
}
END_TEST

START_TEST(conversions)
{
    static const oi_dtype types[] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE, ONNX_INFER_FLOAT16, ONNX_INFER_BFLOAT16, ONNX_INFER_INT64,
                                     ONNX_INFER_UINT8, ONNX_INFER_INT4, ONNX_INFER_UINT2, ONNX_INFER_BOOL, ONNX_INFER_FLOAT8E5M2};
    enum { N = sizeof types / sizeof *types };
    for (int round = 0; round < 100; round++) {
        int64_t dims[OI_MAX_RANK];
        char attrs[64];
        eval_tensors in = {.n = 1};
        random_tensor(types[round % N], random_shape(0, 3, 60000, dims), dims, &in.t[0]);
        snprintf(attrs, sizeof attrs, "to=%d", (int)types[round / N]);
        if (types[round / N] != types[round % N])
            compare("Cast", attrs, &in, 1, 0, 0);
        eval_clear(&in);
        int64_t shape[3] = {1 + below(4), 1 + below(70), 1 + below(90)}, axis = below(3), block = 1 + below(20), scales[3];
        bool blocked = below(2), by_axis = below(2);
        memcpy(scales, shape, sizeof scales);
        scales[axis] = (shape[axis] + block - 1) / block;
        in.n = 2;
        random_tensor(ONNX_INFER_FLOAT, 3, shape, &in.t[0]);
        random_tensor(ONNX_INFER_FLOAT, blocked ? 3 : by_axis, blocked ? scales : shape + axis, &in.t[1]);
        float *s = in.t[1].data;
        for (int64_t i = 0; i < oi_tensor_count(&in.t[1]); i++)
            s[i] = fabsf(s[i]) * 0.1f + 0.01f;
        snprintf(attrs, sizeof attrs, "axis=%d, block_size=%d, output_dtype=%d", (int)axis, blocked ? (int)block : 0,
                 (int)(below(2) ? ONNX_INFER_INT4 : ONNX_INFER_INT8));
        compare("QuantizeLinear", attrs, &in, 1, 0, 0);
        eval_clear(&in);
    }
}
END_TEST

/* Random numbers of a magnitude. */
static void random_floats(float most, int32_t rank, const int64_t *dims, oi_tensor *t)
{
    random_tensor(ONNX_INFER_FLOAT, rank, dims, t);
    for (int64_t i = 0; i < oi_tensor_count(t); i++)
        ((float *)t->data)[i] *= most / 2;
}

static void random_bytes(oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor *t)
{
    ck_assert_int_eq(oi_tensor_create(NULL, dtype, rank, dims, t), ONNX_INFER_OK);
    for (int64_t i = 0; i < oi_tensor_count(t); i++)
        ((uint8_t *)t->data)[i] = (uint8_t)below(256);
}

START_TEST(recurrences)
{
    static const char *const ops[] = {"RNN", "GRU", "LSTM"}, *const ways[] = {"forward", "reverse", "bidirectional"};
    static const int64_t gates[] = {1, 3, 4};
    for (int round = 0; round < 60; round++) {
        int64_t kind = below(3), way = below(3), dirs = way == 2 ? 2 : 1, hidden = 1 + below(40), wide = gates[kind] * hidden;
        int64_t x[] = {below(7), 1 + below(4), 1 + below(50)}, w[] = {dirs, wide, x[2]}, r[] = {dirs, wide, hidden};
        int64_t bias[] = {dirs, 2 * wide}, state[] = {dirs, x[1], hidden};
        char attrs[80];
        eval_tensors in = {.n = 7};
        snprintf(attrs, sizeof attrs, "direction=%s, hidden_size=%d%s", ways[way], (int)hidden,
                 kind == 1 && below(2) ? ", linear_before_reset=1" : "");
        random_floats(1, 3, x, &in.t[0]);
        random_floats(0.5f, 3, w, &in.t[1]);
        random_floats(0.5f, 3, r, &in.t[2]);
        if (below(2))
            random_floats(1, 2, bias, &in.t[3]);
        if (below(2))
            random_floats(1, 3, state, &in.t[5]);
        if (kind == 2 && below(2))
            random_floats(1, 3, state, &in.t[6]);
        in.n = kind == 2 ? 7 : 6;
        compare_lowered(ops[kind], attrs, &in, 1 << 0 | 1 << 5 | 1 << 6, kind == 2 ? 3 : 2, 1e-5, 2e-5);
        eval_clear(&in);
    }
}
END_TEST

/* A state at the edge between two bytes may become either. */
START_TEST(recurrences_of_bytes)
{
    static const char *const ways[] = {"forward", "reverse", "bidirectional"};
    for (int round = 0; round < 60; round++) {
        int64_t way = below(3), dirs = way == 2 ? 2 : 1, hidden = 1 + below(40), wide = 4 * hidden;
        int64_t x[] = {below(7), 1 + below(4), 1 + below(50)}, w[] = {dirs, x[2], wide}, r[] = {dirs, hidden, wide};
        int64_t bias[] = {dirs, 2 * wide}, state[] = {dirs, x[1], hidden}, scales[] = {dirs, wide};
        const oi_dtype type = below(2) ? ONNX_INFER_INT8 : ONNX_INFER_UINT8;
        const int32_t rank = 1 + (int32_t)below(2);
        char attrs[64];
        eval_tensors in = {.n = 12};
        snprintf(attrs, sizeof attrs, "direction=%s, hidden_size=%d", ways[way], (int)hidden);
        random_floats(1, 3, x, &in.t[0]);
        random_bytes(type, 3, w, &in.t[1]);
        random_bytes(type, 3, r, &in.t[2]);
        if (below(2))
            random_floats(1, 2, bias, &in.t[3]);
        if (below(2)) {
            random_floats(1, 3, state, &in.t[5]);
            random_floats(1, 3, state, &in.t[6]);
        }
        for (uint32_t i = 8; i < 12; i += 2) {
            random_floats(0.002f, rank, scales, &in.t[i]);
            random_bytes(type, rank, scales, &in.t[i + 1]);
            if (type == ONNX_INFER_INT8 && below(2))
                memset(in.t[i + 1].data, 0, in.t[i + 1].bytes);
        }
        compare_lowered("DynamicQuantizeLSTM", attrs, &in, 1 << 0 | 1 << 5 | 1 << 6, 3, 1e-4, 4e-3);
        eval_clear(&in);
        int64_t dims[OI_MAX_RANK];
        in.n = 1;
        random_tensor(ONNX_INFER_FLOAT, random_shape(0, 3, 100000, dims), dims, &in.t[0]);
        if (oi_tensor_count(&in.t[0]) && below(4) == 0)
            ((float *)in.t[0].data)[below(oi_tensor_count(&in.t[0]))] = NAN;
        compare("DynamicQuantizeLinear", "", &in, 3, 0, 0);
        eval_clear(&in);
    }
}
END_TEST

int main(void)
{
    const char *given = getenv("OI_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    Suite *s = suite_create("ops_prepared");
    TCase *c = tcase_create("ops_prepared");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, unary);
    tcase_add_test(c, binary);
    tcase_add_test(c, choices);
    tcase_add_test(c, reductions);
    tcase_add_test(c, lanes);
    tcase_add_test(c, normalisations);
    tcase_add_test(c, conversions);
    tcase_add_test(c, recurrences);
    tcase_add_test(c, recurrences_of_bytes);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
