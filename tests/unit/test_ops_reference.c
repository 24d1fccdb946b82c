/* Reference evaluators on small cases whose answers are known: types, wrapping, NaN, signed zeros, empty tensors. */
#include "ops/random.h"
#include "support/eval_host.h"

#include <check.h>
#include <math.h>
#include <string.h>

typedef struct {
    const char *op, *attrs, *in, *out;
} eval_case;

static const eval_case elementwise[] = {
    {"Abs", "", "int8 3: -128 -1 5", "int8 3: -128 1 5"},
    {"Abs", "", "float16 2: -1.5 -0", "float16 2: 1.5 0"},
    {"Neg", "", "int32 2: -2147483648 7", "int32 2: -2147483648 -7"},
    {"Sign", "", "float32 4: nan -3 0 2", "float32 4: nan -1 0 1"},
    {"Round", "", "float64 5: 0.5 1.5 2.5 -0.5 -1.5", "float64 5: 0 2 2 -0 -2"},
    {"Relu", "", "float32 3: -1 nan 2", "float32 3: 0 nan 2"},
    {"IsNaN", "", "float8_e4m3fn 2: nan 1", "bool 2: 1 0"},
    {"IsInf", "detect_negative=0", "float32 3: inf -inf 1", "bool 3: 1 0 0"},
    {"BitwiseNot", "", "uint16 2: 0 65535", "uint16 2: 65535 0"},
    {"Shrink", "lambd=1.5, bias=0.5", "int32 3: -2 1 2", "int32 3: -1 0 1"},
    {"Clip", "", "float32 4: -3 nan 0.5 9 | float32: -1 | -", "float32 4: -1 nan 0.5 9"},
    {"Clip", "", "int8 3: -100 0 100 | int8: -5 | int8: 5", "int8 3: -5 0 5"},
    {"Clip", "", "float32 2: 1 2 | float32: 5 | float32: 3", "float32 2: 3 3"},
    {"Add", "", "uint8 3: 250 255 1 | uint8: 10", "uint8 3: 4 9 11"},
    {"Mul", "", "int16 2: 300 -300 | int16 2: 300 300", "int16 2: 24464 -24464"},
    {"Mul", "", "uint16 1: 65535 | uint16 1: 65535", "uint16 1: 1"},
    {"Div", "", "int32 4: 7 -7 -2147483648 5 | int32 4: 2 2 -1 0", "int32 4: 3 -3 -2147483648 0"},
    {"Div", "", "float32 3: 1 -1 0 | float32: 0", "float32 3: inf -inf nan"},
    {"Mod", "", "int32 4: 7 -7 7 -7 | int32 4: 3 3 -3 -3", "int32 4: 1 2 -2 -1"},
    {"Mod", "fmod=1", "int64 4: 7 -7 7 -7 | int64 4: 3 3 -3 -3", "int64 4: 1 -1 1 -1"},
    {"Mod", "", "float32 3: -0 5 -5 | float32 3: 3 -inf inf", "float32 3: 0 -inf inf"},
    {"Pow", "", "int64 4: 3 -2 2 0 | int64 4: 4 3 -1 0", "int64 4: 81 -8 0 1"},
    {"Pow", "", "float32 2: 4 2 | int32 2: -1 3", "float32 2: 0.25 8"},
    {"Pow", "", "int32 2: 4 9 | float32: 0.5", "int32 2: 2 3"},
    {"BitShift", "direction=RIGHT", "int8 3: -8 8 -1 | int8 3: 1 9 9", "int8 3: -4 0 -1"},
    {"BitShift", "direction=LEFT", "uint8 3: 255 1 1 | uint8 3: 1 8 7", "uint8 3: 254 0 128"},
    {"Max", "", "float32 2: 1 nan | float32: 2 | float32 2: 3 0", "float32 2: 3 nan"},
    {"Min", "", "uint64 2: 18446744073709551615 3 | uint64: 9223372036854775808", "uint64 2: 9223372036854775808 3"},
    {"Mean", "", "float32 2: 1 2 | float32 2x1: 3 5 | float32: 2", "float32 2x2: 2 2.33333333 2.66666667 3"},
    {"Sum", "", "float16 1: 2048 | float16 1: 1 | float16 1: 1", "float16 1: 2048"},
    {"Equal", "", "string 2: a b | string: b", "bool 2: 0 1"},
    {"Equal", "", "float32 2: nan -0 | float32 2: nan 0", "bool 2: 0 1"},
    {"Less", "", "uint64 1: 18446744073709551615 | uint64 1: 1", "bool 1: 0"},
    {"Xor", "", "bool 2x1: 0 1 | bool 2: 0 1", "bool 2x2: 0 1 1 0"},
    {"PRelu", "", "float32 2x2: -1 2 -3 4 | float32 2: 0.5 0.25", "float32 2x2: -0.5 2 -1.5 4"},
    {"Where", "", "bool 2x1: 1 0 | string 2: a b | string: z", "string 2x2: a b z z"},
    {"Where", "", "bool 2: 1 0 | complex128 2: 1 2 | complex128 2: 3 4", "complex128 2: 1 4"},
    {"Add", "", "float32 0x3: | float32 3: 1 2 3", "float32 0x3:"},
    {"Add", "", "float32 2x1x2: 1 2 3 4 | float32 1x2x1: 10 20", "float32 2x2x2: 11 12 21 22 13 14 23 24"},
};

static const eval_case conversions[] = {
    {"Cast", "to=3", "float32 4: 200 -1.9 300 nan", "int8 4: -56 -1 44 0"},
    {"Cast", "to=2", "int64 2: -1 257", "uint8 2: 255 1"},
    {"Cast", "to=9", "float32 3: nan 0 -0.1", "bool 3: 1 0 1"},
    {"Cast", "to=1", "uint64 1: 18446744073709551615", "float32 1: 18446744073709551616"},
    {"Cast", "to=10", "float64 2: 65520 1e-8", "float16 2: inf 0"},
    {"Cast", "to=17", "float32 3: 1000 -inf nan", "float8_e4m3fn 3: 448 -448 nan"},
    {"Cast", "to=17, saturate=0", "float32 2: 1000 2", "float8_e4m3fn 2: nan 2"},
    {"Cast", "to=22", "float32 3: 7 -8 3", "int4 3: 7 -8 3"},
    {"Cast", "to=1", "uint2 5: 0 1 2 3 1", "float32 5: 0 1 2 3 1"},
    {"Cast", "to=23", "float32 4: 100 -0.3 1.25 0.75", "float4_e2m1fn 4: 6 -0.5 1 1"},
    {"Cast", "to=8", "float32 5: 0.1 1e-7 100 inf -2.5e20", "string 5: 0.1 1e-07 100.0 inf -2.5e+20"},
    {"Cast", "to=8", "float64 1: 0.1 ", "string 1: 0.1"},
    {"Cast", "to=8", "uint64 1: 18446744073709551615", "string 1: 18446744073709551615"},
    {"Cast", "to=1", "string 5: 0.5 -INF +inf NaN 1E3", "float32 5: 0.5 -inf inf nan 1000"},
    {"Cast", "to=7", "string 2: 9007199254740993 -5", "int64 2: 9007199254740993 -5"},
    {"CastLike", "", "int32 2: 1 0 | bool: 0", "bool 2: 1 0"},
    {"BitCast", "to=6", "float32 2: 1 -0", "int32 2: 0x3f800000 -2147483648"},
    {"QuantizeLinear", "", "float32 5: -300 0.5 1.5 2.5 nan | float32: 1 | int8: 1", "int8 5: -128 1 3 3 -128"},
    {"QuantizeLinear", "axis=0", "float32 2x2: 1 2 3 4 | float32 2: 1 2 | uint8 2: 0 10", "uint8 2x2: 1 2 12 12"},
    {"QuantizeLinear", "axis=1, block_size=2, output_dtype=22", "float32 1x3: 4 8 9 | float32 1x2: 2 3", "int4 1x3: 2 4 3"},
    {"DequantizeLinear", "", "uint8 2: 0 255 | float32: 0.5 | uint8: 128", "float32 2: -64 63.5"},
    {"DequantizeLinear", "axis=1, block_size=2", "int4 1x3: -8 7 1 | float16 1x2: 2 3", "float16 1x3: -16 14 3"},
};

static const eval_case reductions[] = {
    {"ReduceSum", "", "int32 3: 2147483647 1 1", "int32 1: -2147483647"},
    {"ReduceSum", "keepdims=0", "float32 2x2: 1 2 3 4 | int64 1: -1", "float32 2: 3 7"},
    {"ReduceSum", "noop_with_empty_axes=1", "float32 2: 1 2 | int64 0:", "float32 2: 1 2"},
    {"ReduceSum", "keepdims=0", "float32 2x0: | int64 1: 1", "float32 2: 0 0"},
    {"ReduceMax", "keepdims=0", "float32 2x0: | int64 1: 1", "float32 2: -inf -inf"},
    {"ReduceMin", "keepdims=0", "int8 0:", "int8: 127"},
    {"ReduceMax", "", "bool 3: 0 1 0", "bool 1: 1"},
    {"ReduceMax", "", "float32 3: 1 nan 2", "float32 1: nan"},
    {"ReduceMean", "keepdims=0", "int32 2x2: 1 2 -1 -2 | int64 1: 1", "int32 2: 1 -1"},
    {"ReduceProd", "", "uint8 2: 16 17", "uint8 1: 16"},
    {"ReduceL2", "", "float32 2: 3 4", "float32 1: 5"},
    {"ReduceLogSumExp", "", "float32 2: 1000 1000", "float32 1: 1000.69314718"},
    {"ReduceLogSumExp", "", "float32 2: -inf -inf", "float32 1: -inf"},
    {"ArgMax", "axis=1, keepdims=0", "float32 2x3: 1 3 3 nan 2 nan", "int64 2: 1 0"},
    {"ArgMax", "axis=1, keepdims=0, select_last_index=1", "float32 2x3: 1 3 3 nan 2 nan", "int64 2: 2 2"},
    {"ArgMin", "axis=0, keepdims=0", "uint8 2x2: 3 4 2 4", "int64 2: 1 0"},
    {"CumSum", "exclusive=1, reverse=1", "float32 3: 1 2 3 | int32: 0", "float32 3: 5 3 0"},
    {"CumSum", "", "int32 2x2: 1 2 3 4 | int64: -2", "int32 2x2: 1 2 4 6"},
    {"CumProd", "", "int64 3: 2 3 4 | int64: 0", "int64 3: 2 6 24"},
    {"Hardmax", "", "float32 2x2: 1 1 0 3", "float32 2x2: 1 0 0 1"},
    {"Softmax", "axis=0", "float64 2: 0 1e4", "float64 2: 0 1"},
    {"LpNormalization", "p=1", "float32 2x2: 1 -3 0 0", "float32 2x2: 0.25 -0.75 0 0"},
    {"NonZero", "", "int8 2x2: 1 0 0 5", "int64 2x2: 0 1 0 1"},
    {"NonZero", "", "float32: 0", "int64 0x0:"},
    {"Det", "", "float32 2x2x2: 1 2 3 4 0 1 1 0", "float32 2: -2 -1"},
    {"ConstantOfShape", "", "int64 2: 0 3", "float32 0x3:"},
    {"Range", "", "int32: 5 | int32: -1 | int32: -3", "int32 2: 5 2"},
    {"Range", "", "float32: 0 | float32: 1 | float32: 0.4", "float32 3: 0 0.4 0.8"},
    {"Range", "", "int64: 3 | int64: 3 | int64: 1", "int64 0:"},
    {"EyeLike", "k=-1", "int32 2x3: 0 0 0 0 0 0", "int32 2x3: 0 0 0 1 0 0"},
    {"OneHot", "axis=0", "int64 2: -1 5 | int64: 3 | string 2: no yes", "string 3x2: no no no no yes no"},
    {"Trilu", "", "int8 2x3: 1 2 3 4 5 6 | int64: 1", "int8 2x3: 0 2 3 0 0 6"},
    {"Trilu", "upper=0", "int8 2x3: 1 2 3 4 5 6 | int64: -9", "int8 2x3: 0 0 0 0 0 0"},
};

static void run_cases(const eval_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        eval_tensors in, want, got;
        eval_parse(c[i].in, &in);
        eval_parse(c[i].out, &want);
        oi_status status = eval_op(c[i].op, c[i].attrs, &in, want.n, &got);
        ck_assert_msg(status == ONNX_INFER_OK, "%s(%s): %s", c[i].op, c[i].in, oi_error_current()->message);
        eval_expect(&got, &want, 2e-7, 0, c[i].op);
        eval_clear(&in);
        eval_clear(&want);
        eval_clear(&got);
    }
}

#define CASES(name)                                   \
    START_TEST(name##_cases)                          \
    {                                                 \
        run_cases(name, sizeof name / sizeof *name);  \
    }                                                 \
    END_TEST
CASES(elementwise)
CASES(conversions)
CASES(reductions)

START_TEST(several_outputs)
{
    static const struct { const char *op, *attrs, *in, *out; } cases[] = {
        {"TopK", "", "float32 5: 1 nan 3 3 2 | int64 1: 3", "float32 3: nan 3 3 | int64 3: 1 2 3"},
        {"TopK", "largest=0, axis=0", "uint64 3x1: 9 18446744073709551615 2 | int64 1: 2", "uint64 2x1: 2 9 | int64 2x1: 2 0"},
        {"Unique", "", "string 4: b a b c", "string 3: a b c | int64 3: 1 0 3 | int64 4: 1 0 1 2 | int64 3: 1 2 1"},
        {"Unique", "sorted=0", "int8 4: 3 1 3 2", "int8 3: 3 1 2 | int64 3: 0 1 3 | int64 4: 0 1 0 2 | int64 3: 2 1 1"},
        {"Unique", "axis=1", "float32 1x3: 2 1 2", "float32 1x2: 1 2 | int64 2: 1 0 | int64 3: 1 0 1 | int64 2: 1 2"},
        {"DynamicQuantizeLinear", "", "float32 3: 0 2 -3", "uint8 3: 153 255 0 | float32: 0.0196078438 | uint8: 153"},
        {"LayerNormalization", "epsilon=0.0", "float32 1x2: 1 3 | float32 2: 1 2 | float32 2: 0 1",
         "float32 1x2: -1 3 | float32 1x1: 2 | float32 1x1: 1"},
        {"BatchNormalization", "training_mode=1, epsilon=0.0, momentum=0.5", "float32 2x1: 1 3 | float32 1: 1 | float32 1: 0 | float32 1: 0 | float32 1: 0",
         "float32 2x1: -1 1 | float32 1: 1 | float32 1: 0.5"},
        {"SoftmaxCrossEntropyLoss", "reduction=sum, ignore_index=1", "float32 2x2: 0 0 5 5 | int64 2: 0 1",
         "float32: 0.693147181 | float32 2x2: -0.693147181 -0.693147181 -0.693147181 -0.693147181"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eval_case one = {cases[i].op, cases[i].attrs, cases[i].in, cases[i].out};
        run_cases(&one, 1);
    }
}
END_TEST

START_TEST(wrong_inputs_are_named)
{
    static const struct { const char *op, *attrs, *in; oi_status status; } cases[] = {
        {"Add", "", "float32 2: 1 2 | int32 2: 1 2", ONNX_INFER_E_TYPE_MISMATCH},
        {"Add", "", "float32 2: 1 2 | float32 3: 1 2 3", ONNX_INFER_E_SHAPE_MISMATCH},
        {"Abs", "", "string 1: a", ONNX_INFER_E_UNSUPPORTED_TYPE},
        {"Softmax", "axis=2", "float32 2: 1 2", ONNX_INFER_E_INVALID_MODEL},
        {"ReduceSum", "", "float32 2: 1 2 | int64 1: 3", ONNX_INFER_E_INVALID_MODEL},
        {"TopK", "", "float32 2: 1 2 | int64 1: 3", ONNX_INFER_E_SHAPE_MISMATCH},
        {"Cast", "to=99", "float32: 1", ONNX_INFER_E_INVALID_MODEL},
        {"Cast", "to=1", "string 1: x1", ONNX_INFER_E_INVALID_ARGUMENT},
        {"BitCast", "to=7", "float32 1: 1", ONNX_INFER_E_INVALID_MODEL},
        {"Range", "", "int32: 1 | int32: 2 | int32: 0", ONNX_INFER_E_INVALID_ARGUMENT},
        {"ConstantOfShape", "", "int64 1: -2", ONNX_INFER_E_INVALID_MODEL},
        {"Slice", "", "float32 2x2: 1 2 3 4 | int64 2: 0 0 | int64 2: 1 2 | int64 2: 1 -1", ONNX_INFER_E_INVALID_MODEL},
        {"Pad", "", "float32 2x2: 1 2 3 4 | int64 4: 0 1 2 0 | - | int64 2: 1 -1", ONNX_INFER_E_INVALID_MODEL},
        {"QuantizeLinear", "axis=0", "float32 2: 1 2 | float32 3: 1 1 1", ONNX_INFER_E_SHAPE_MISMATCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eval_tensors in, got;
        eval_parse(cases[i].in, &in);
        oi_status status = eval_op(cases[i].op, cases[i].attrs, &in, 1, &got);
        ck_assert_msg(status == cases[i].status, "%s(%s): %s", cases[i].op, cases[i].in, oi_status_name(status));
        ck_assert_uint_gt(strlen(oi_error_current()->message), 10);
        eval_clear(&in);
        eval_clear(&got);
    }
}
END_TEST

START_TEST(random_numbers_have_their_distribution)
{
    enum { N = 100000 };
    double sum = 0, square = 0, uniform = 0, uniform_square = 0;
    for (uint64_t i = 0; i < N; i++) {
        double v = oi_random_normal(7, i), u = oi_random_uniform(7, i);
        ck_assert(u >= 0 && u < 1);
        sum += v;
        square += v * v;
        uniform += u;
        uniform_square += u * u;
    }
    ck_assert_double_lt(fabs(sum / N), 0.015);
    ck_assert_double_lt(fabs(square / N - 1), 0.03);
    ck_assert_double_lt(fabs(uniform / N - 0.5), 0.005);
    ck_assert_double_lt(fabs(uniform_square / N - 1.0 / 3), 0.005);
    uint32_t bits[4];
    oi_random_bits(0, 0, 0, bits); /* Philox's published answer for zeros */
    ck_assert_uint_eq(bits[0], 0x6627e8d5u);
    ck_assert_uint_eq(bits[3], 0x9b00dbd8u);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ops_reference");
    TCase *c = tcase_create("ops_reference");
    tcase_add_test(c, elementwise_cases);
    tcase_add_test(c, conversions_cases);
    tcase_add_test(c, reductions_cases);
    tcase_add_test(c, several_outputs);
    tcase_add_test(c, wrong_inputs_are_named);
    tcase_add_test(c, random_numbers_have_their_distribution);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
