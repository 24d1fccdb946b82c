/* Small floats against a slow reference: every code decoded by definition, every rounding boundary encoded. */
#include "tensor/dtype.h"

#include <check.h>
#include <math.h>
#include <string.h>

typedef struct {
    oi_dtype type;
    int exponent_bits, mantissa_bits, bias;
    enum { IEEE, FN, FNUZ, FINITE } kind;
} format;

static const format formats[] = {
    {ONNX_INFER_FLOAT16, 5, 10, 15, IEEE},       {ONNX_INFER_BFLOAT16, 8, 7, 127, IEEE},
    {ONNX_INFER_FLOAT8E4M3FN, 4, 3, 7, FN},      {ONNX_INFER_FLOAT8E4M3FNUZ, 4, 3, 8, FNUZ},
    {ONNX_INFER_FLOAT8E5M2, 5, 2, 15, IEEE},     {ONNX_INFER_FLOAT8E5M2FNUZ, 5, 2, 16, FNUZ},
    {ONNX_INFER_FLOAT4E2M1, 2, 1, 1, FINITE},    {ONNX_INFER_FLOAT6E2M3, 2, 3, 1, FINITE},
    {ONNX_INFER_FLOAT6E3M2, 3, 2, 3, FINITE},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static uint32_t sign_bit(const format *f)
{
    return 1u << (f->exponent_bits + f->mantissa_bits);
}

static double value_of(const format *f, uint32_t code)
{
    uint32_t sign = code & sign_bit(f), magnitude = code & (sign_bit(f) - 1);
    uint32_t e = magnitude >> f->mantissa_bits, m = magnitude & ((1u << f->mantissa_bits) - 1);
    if (f->kind == IEEE && e == (1u << f->exponent_bits) - 1)
        return m ? NAN : sign ? -INFINITY : INFINITY;
    if (f->kind == FN && magnitude == sign_bit(f) - 1)
        return NAN;
    if (f->kind == FNUZ && code == sign_bit(f))
        return NAN;
    double v = e ? (1 + m * pow(2, -f->mantissa_bits)) * pow(2, (int)e - f->bias)
                 : m * pow(2, 1 - f->bias - f->mantissa_bits);
    return sign ? -v : v;
}

static double decode(const format *f, uint32_t code)
{
    if (f->type == ONNX_INFER_FLOAT16)
        return oi_half_to_float((uint16_t)code);
    if (f->type == ONNX_INFER_BFLOAT16)
        return oi_bfloat16_to_float((uint16_t)code);
    return oi_float8_to_float(f->type, (uint8_t)code);
}

static uint32_t encode(const format *f, float v, bool saturate)
{
    if (f->type == ONNX_INFER_FLOAT16)
        return oi_half_from_float(v);
    if (f->type == ONNX_INFER_BFLOAT16)
        return oi_bfloat16_from_float(v);
    return oi_float8_from_float(f->type, v, saturate);
}

static uint32_t max_code(const format *f)
{
    uint32_t code = sign_bit(f) - 1;
    while (!isfinite(value_of(f, code)))
        code--;
    return code;
}

START_TEST(every_code_decodes)
{
    const format *f = &formats[_i];
    for (uint32_t code = 0; code < 2 * sign_bit(f); code++) {
        double want = value_of(f, code), got = decode(f, code);
        if (isnan(want))
            ck_assert_msg(isnan(got), "type %d code %#x: %g is no NaN", (int)f->type, code, got);
        else
            ck_assert_msg(want == got && !signbit(want) == !signbit(got), "type %d code %#x: %g, expected %g",
                          (int)f->type, code, got, want);
    }
}
END_TEST

START_TEST(every_value_encodes)
{
    const format *f = &formats[_i];
    for (uint32_t code = 0; code < 2 * sign_bit(f); code++) {
        double v = value_of(f, code);
        for (int saturate = 0; saturate < 2; saturate++) {
            if (isfinite(v))
                ck_assert_uint_eq(encode(f, (float)v, saturate), code);
            else if (isnan(v))
                ck_assert(isnan(value_of(f, encode(f, (float)v, saturate))));
        }
    }
}
END_TEST

START_TEST(boundaries_round_to_even)
{
    const format *f = &formats[_i];
    uint32_t top = max_code(f);
    for (uint32_t code = 0; code < top; code++) {
        double low = value_of(f, code), high = value_of(f, code + 1), middle = (low + high) / 2;
        ck_assert((double)(float)middle == middle);
        uint32_t even = code & 1 ? code + 1 : code;
        for (int sign = 0; sign < 2; sign++) {
            uint32_t s = sign ? sign_bit(f) : 0;
            float m = sign ? -(float)middle : (float)middle;
            float below = nextafterf(m, 0), above = nextafterf(m, sign ? -INFINITY : INFINITY);
            uint32_t zero = f->kind == FNUZ ? 0 : s;
            ck_assert_uint_eq(encode(f, m, true), even ? (even | s) : zero);
            ck_assert_uint_eq(encode(f, below, true), code ? (code | s) : zero);
            ck_assert_uint_eq(encode(f, above, true), (code + 1) | s);
            if (f->type == ONNX_INFER_FLOAT16) {
                ck_assert_uint_eq(oi_half_from_double(sign ? -middle : middle), even | s);
                ck_assert_uint_eq(oi_half_from_double(nextafter(middle, 0)), code);
                ck_assert_uint_eq(oi_half_from_double(nextafter(middle, INFINITY)), code + 1);
            }
        }
    }
}
END_TEST

START_TEST(overflow)
{
    const format *f = &formats[_i];
    uint32_t top = max_code(f);
    double step = value_of(f, top) - value_of(f, top - 1), edge = value_of(f, top) + step / 2;
    bool top_is_even = !(top & 1);
    float inputs[] = {(float)edge, nextafterf((float)edge, 0), nextafterf((float)edge, INFINITY), INFINITY};
    for (int i = 0; i < 4; i++) {
        bool over = i >= 2 || (i == 0 && !top_is_even);
        double strict = value_of(f, encode(f, inputs[i], false)), kept = value_of(f, encode(f, -inputs[i], true));
        if (f->type == ONNX_INFER_FLOAT16 || f->type == ONNX_INFER_BFLOAT16)
            ck_assert(kept == (over ? -INFINITY : -value_of(f, top)));
        else
            ck_assert(kept == -value_of(f, top));
        if (!over || f->kind == FINITE)
            ck_assert(strict == value_of(f, top));
        else if (f->kind == IEEE)
            ck_assert(strict == INFINITY);
        else
            ck_assert(isnan(strict));
    }
}
END_TEST

START_TEST(special_codes)
{
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E4M3FN, NAN, true), 0x7F);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E4M3FN, -NAN, true), 0xFF);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E4M3FNUZ, -NAN, true), 0x80);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E5M2, NAN, true), 0x7E);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E5M2, -INFINITY, false), 0xFC);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E5M2FNUZ, -0.0f, false), 0);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT8E5M2FNUZ, -1e-9f, false), 0);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT4E2M1, NAN, true), 8);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT6E3M2, NAN, true), 32);
    ck_assert_uint_eq(oi_float8_from_float(ONNX_INFER_FLOAT6E2M3, -100, false), 63);
    ck_assert_uint_eq(oi_half_from_float(NAN), 0x7E00);
    ck_assert_uint_eq(oi_half_from_double(-NAN), 0xFE00);
    ck_assert_uint_eq(oi_half_from_double(1.0 + 0x1p-11 + 0x1p-40), 0x3C01); /* by way of float: 0x3C00 */
    ck_assert_uint_eq(oi_bfloat16_from_float(-NAN), 0xFFC0);
    ck_assert_uint_eq(oi_half_from_double(5e-324), 0);
}
END_TEST

START_TEST(powers_of_two)
{
    static const struct {
        float v;
        uint8_t up, down, nearest;
    } cases[] = {{1, 127, 127, 127},       {1.5f, 128, 127, 128}, {1.25f, 128, 127, 127}, {1.75f, 128, 127, 128},
                 {-2, 128, 128, 128},      {0, 0, 0, 0},          {0x1p-127f, 1, 0, 0},   {0x1.8p-127f, 1, 0, 1},
                 {INFINITY, 255, 255, 255}, {NAN, 255, 255, 255}, {0x1.8p127f, 254, 254, 254}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_uint_eq(oi_float8e8m0_from_float(cases[i].v, OI_E8M0_UP, true), cases[i].up);
        ck_assert_uint_eq(oi_float8e8m0_from_float(cases[i].v, OI_E8M0_DOWN, true), cases[i].down);
        ck_assert_uint_eq(oi_float8e8m0_from_float(cases[i].v, OI_E8M0_NEAREST, true), cases[i].nearest);
    }
    ck_assert_uint_eq(oi_float8e8m0_from_float(0x1.8p127f, OI_E8M0_UP, false), 255);
    for (int code = 0; code < 255; code++)
        ck_assert(oi_float8_to_float(ONNX_INFER_FLOAT8E8M0, (uint8_t)code) == ldexp(1, code - 127));
    ck_assert(isnan(oi_float8_to_float(ONNX_INFER_FLOAT8E8M0, 255)));
}
END_TEST

START_TEST(elements_round_trip)
{
    uint8_t data[72];
    for (oi_dtype t = 1; t < OI_DTYPE_COUNT; t++) {
        if (t == ONNX_INFER_STRING || t == ONNX_INFER_FLOAT8E8M0)
            continue;
        memset(data, 0xFF, sizeof data);
        for (size_t i = 0; i < 4; i++) {
            int64_t v = t == ONNX_INFER_BOOL ? (int64_t)i & 1 : (int64_t)i & (t == ONNX_INFER_INT2 ? 1 : 3);
            oi_elem_set_int(t, data, i, v);
            ck_assert_int_eq(oi_elem_get_int(t, data, i), v);
            ck_assert(oi_elem_get_double(t, data, i) == (double)v);
            oi_elem_set_double(t, data, i, (double)v);
            ck_assert_int_eq(oi_elem_get_int(t, data, i), v);
        }
        size_t bytes;
        ck_assert(oi_dtype_bytes(t, 4, &bytes));
        ck_assert_uint_eq(data[bytes], 0xFF);
    }
    oi_elem_set_int(ONNX_INFER_INT4, data, 0, -3);
    oi_elem_set_int(ONNX_INFER_INT4, data, 1, 7);
    ck_assert_uint_eq(data[0], 0x7D);
    ck_assert_int_eq(oi_elem_get_int(ONNX_INFER_INT4, data, 0), -3);
    oi_elem_set_double(ONNX_INFER_UINT8, data, 0, -1.9);
    ck_assert_uint_eq(data[0], 255);
    oi_elem_set_double(ONNX_INFER_UINT64, data, 0, 0x1p63);
    ck_assert(oi_elem_get_double(ONNX_INFER_UINT64, data, 0) == 0x1p63);
    oi_elem_set_double(ONNX_INFER_INT32, data, 0, 3e9);
    ck_assert_int_eq(oi_elem_get_int(ONNX_INFER_INT32, data, 0), INT32_MIN);
    oi_elem_set_double(ONNX_INFER_INT8, data, 0, NAN);
    ck_assert_int_eq(oi_elem_get_int(ONNX_INFER_INT8, data, 0), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("half");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, every_code_decodes, 0, FORMATS);
    tcase_add_loop_test(t, every_value_encodes, 0, FORMATS);
    tcase_add_loop_test(t, boundaries_round_to_even, 0, FORMATS);
    tcase_add_loop_test(t, overflow, 0, FORMATS);
    tcase_add_test(t, special_codes);
    tcase_add_test(t, powers_of_two);
    tcase_add_test(t, elements_round_trip);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
