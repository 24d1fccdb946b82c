/* Conversions of 16-, 8-, 6- and 4-bit floats, to and from float and double. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

/* A small format by the magnitude codes of its values: counting up from 0 they are the values in rising order. */
typedef struct {
    int mantissa;      /* bits of it */
    int min_exponent;  /* of the smallest normal number */
    uint32_t max_code; /* largest finite magnitude */
    uint32_t over_code; /* what a larger one becomes without saturation; infinity or NaN */
    uint32_t sign;     /* bit of the sign */
    uint32_t nan_code; /* with the sign added unless `unsigned_zero` */
    bool unsigned_zero; /* the code of -0 is the NaN */
} small_format;

static const small_format half_format = {10, -14, 0x7BFF, 0x7C00, 0x8000, 0x7E00, false};
static const small_format e4m3fn = {3, -6, 0x7E, 0x7F, 0x80, 0x7F, false};
static const small_format e4m3fnuz = {3, -7, 0x7F, 0x80, 0x80, 0x80, true};
static const small_format e5m2 = {2, -14, 0x7B, 0x7C, 0x80, 0x7E, false};
static const small_format e5m2fnuz = {2, -15, 0x7F, 0x80, 0x80, 0x80, true};
static const small_format e2m1 = {1, 0, 7, 7, 8, 8, false};
static const small_format e2m3 = {3, 0, 31, 31, 32, 32, false};
static const small_format e3m2 = {2, -2, 31, 31, 32, 32, false};

static const small_format *format_of(oi_dtype t)
{
    switch (t) {
    case ONNX_INFER_FLOAT8E4M3FN: return &e4m3fn;
    case ONNX_INFER_FLOAT8E4M3FNUZ: return &e4m3fnuz;
    case ONNX_INFER_FLOAT8E5M2: return &e5m2;
    case ONNX_INFER_FLOAT8E5M2FNUZ: return &e5m2fnuz;
    case ONNX_INFER_FLOAT4E2M1: return &e2m1;
    case ONNX_INFER_FLOAT6E2M3: return &e2m3;
    case ONNX_INFER_FLOAT6E3M2: return &e3m2;
    default: return NULL;
    }
}

/* All codes are numbers: there is neither infinity nor NaN. */
static bool is_finite(const small_format *f)
{
    return f->max_code + 1 == f->sign && f->over_code == f->max_code;
}

/* Rounds |d| (finite or infinite) to the nearest code, ties to even; may pass max_code. */
static uint32_t round_to_code(const small_format *f, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7FF) - 1023;
    if (exponent < f->min_exponent - f->mantissa - 2)
        return 0; /* below half of the smallest; doubles' own subnormals among them */
    if (exponent > 1000)
        return UINT32_MAX;
    uint64_t m = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
    int shift = 52 - f->mantissa;
    uint32_t base = 0;
    if (exponent < f->min_exponent)
        shift += f->min_exponent - exponent;
    else
        base = (uint32_t)(exponent - f->min_exponent) << f->mantissa;
    uint64_t kept = m >> shift, rest = m & (((uint64_t)1 << shift) - 1), tie = (uint64_t)1 << (shift - 1);
    if (rest > tie || (rest == tie && (kept & 1)))
        kept++;
    return base + (uint32_t)kept;
}

static uint32_t encode(const small_format *f, double d, bool saturate)
{
    uint32_t sign = signbit(d) ? f->sign : 0;
    if (isnan(d))
        return f->unsigned_zero ? f->nan_code : f->nan_code ^ sign;
    uint32_t code = round_to_code(f, d);
    if (code > f->max_code) {
        if (!saturate)
            return f->unsigned_zero ? f->over_code : f->over_code | sign;
        code = f->max_code;
    }
    return f->unsigned_zero && !code ? 0 : code | sign;
}

float oi_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7FFF, bits;
    float f;
    if (rest >= 0x7C00) {
        bits = 0x7F800000u | (rest & 0x3FF) << 13;
    } else if (rest >= 0x400) {
        bits = (rest << 13) + ((127 - 15) << 23);
    } else {
        f = (float)rest * 0x1p-24f;
        memcpy(&bits, &f, sizeof bits);
    }
    bits |= sign;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t oi_half_from_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
    if (rest > 0x7F800000)
        return (uint16_t)(sign | 0x7E00 | (rest >> 13 & 0x3FF));
    if (rest >= 0x477FF000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00);
    if (rest >= 0x38800000) {
        rest -= (127 - 15) << 23;
        return (uint16_t)(sign | (rest + 0xFFF + (rest >> 13 & 1)) >> 13);
    }
    if (rest < 0x33000000)
        return (uint16_t)sign;
    uint32_t m = (rest & 0x7FFFFF) | 0x800000, shift = 126 - (rest >> 23);
    uint32_t kept = m >> shift, lost = m & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return (uint16_t)(sign | (kept + (lost > tie || (lost == tie && (kept & 1)))));
}

uint16_t oi_half_from_double(double d)
{
    return (uint16_t)encode(&half_format, d, false);
}

float oi_bfloat16_to_float(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t oi_bfloat16_from_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 & 0x8000) | 0x7FC0;
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float oi_float8_to_float(oi_dtype t, uint8_t code)
{
    if (t == ONNX_INFER_FLOAT8E8M0)
        return code == 0xFF ? NAN : ldexpf(1.0f, (int)code - 127);
    const small_format *f = format_of(t);
    if (!f)
        return 0;
    uint32_t magnitude = code & (f->sign - 1), sign = code & f->sign;
    float v;
    if (f->unsigned_zero && code == f->nan_code)
        return NAN;
    if (!f->unsigned_zero && !is_finite(f) && magnitude > f->max_code) {
        v = magnitude == f->over_code && f->over_code != f->nan_code ? INFINITY : NAN;
    } else {
        uint32_t exponent = magnitude >> f->mantissa, m = magnitude & ((1u << f->mantissa) - 1);
        if (exponent)
            m |= 1u << f->mantissa, exponent--;
        v = ldexpf((float)m, f->min_exponent - f->mantissa + (int)exponent);
    }
    return sign ? -v : v;
}

uint8_t oi_float8_from_float(oi_dtype t, float v, bool saturate)
{
    if (t == ONNX_INFER_FLOAT8E8M0)
        return oi_float8e8m0_from_float(v, OI_E8M0_UP, saturate);
    const small_format *f = format_of(t);
    return f ? (uint8_t)encode(f, v, saturate || is_finite(f)) : 0;
}

uint8_t oi_float8e8m0_from_float(float f, oi_e8m0_rounding mode, bool saturate)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t exponent = bits >> 23 & 0xFF, fraction = bits & 0x7FFFFF;
    if (exponent == 0xFF)
        return 0xFF;
    bool up = false;
    if (mode == OI_E8M0_UP)
        up = fraction != 0;
    else if (mode == OI_E8M0_NEAREST) /* ties go up, except from 2^-127 */
        up = fraction > 0x400000 || (fraction == 0x400000 && exponent > 0);
    if (up && exponent == 0xFE && saturate)
        up = false;
    return (uint8_t)(exponent + up);
}
