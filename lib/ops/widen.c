/* 16-bit floats for operators that compute in float32. */
#include "ops/widen.h"

oi_status oi_widen_in(oi_eval *e, uint32_t i, const float **p)
{
    const oi_tensor *t = oi_eval_in(e, i);
    *p = NULL;
    if (!t)
        return ONNX_INFER_OK;
    if (t->dtype == ONNX_INFER_FLOAT) {
        *p = t->data;
        return ONNX_INFER_OK;
    }
    if (t->dtype != ONNX_INFER_FLOAT16 && t->dtype != ONNX_INFER_BFLOAT16)
        return oi_eval_bad_type(e, i);
    size_t n = (size_t)oi_tensor_count(t);
    float *wide = oi_eval_scratch_array(e, n + 1, sizeof *wide);
    if (!wide)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const uint16_t *src = t->data;
    for (size_t k = 0; k < n; k++)
        wide[k] = t->dtype == ONNX_INFER_FLOAT16 ? oi_half_to_float(src[k]) : oi_bfloat16_to_float(src[k]);
    *p = wide;
    return ONNX_INFER_OK;
}

oi_status oi_widen_begin(oi_eval *e, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_widen_out *out)
{
    OI_TRY(oi_eval_out(e, i, dtype, rank, dims, &out->t));
    out->p = out->t->data;
    if (dtype != ONNX_INFER_FLOAT) {
        out->p = oi_eval_scratch_array(e, (size_t)oi_tensor_count(out->t) + 1, sizeof *out->p);
        if (!out->p)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    return ONNX_INFER_OK;
}

void oi_widen_finish(const oi_widen_out *out)
{
    if (out->t->dtype == ONNX_INFER_FLOAT)
        return;
    size_t n = (size_t)oi_tensor_count(out->t);
    uint16_t *dst = out->t->data;
    for (size_t k = 0; k < n; k++)
        dst[k] = out->t->dtype == ONNX_INFER_FLOAT16 ? oi_half_from_float(out->p[k]) : oi_bfloat16_from_float(out->p[k]);
}
