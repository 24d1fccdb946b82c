/* RotaryEmbedding: turns pairs of elements of each head by angles that depend on the position. */
#include "ops/op.h"

typedef struct {
    int64_t interleaved, num_heads, rotary_dim;
} rotary_attr;

static oi_status infer(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const rotary_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *cosines = oi_eval_in(e, 1), *sines = oi_eval_in(e, 2), *places = oi_eval_in(e, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (!t || !oi_dtype_is_float(t->dtype))
            return oi_eval_bad_type(e, i);
    }
    if (places && places->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 3);
    bool flat = x->rank == 3;
    int64_t width = cosines->rank ? 2 * cosines->dim[cosines->rank - 1] : 0; /* of a head that is turned as a whole */
    int64_t given = flat && !a->num_heads && width > 0 ? x->dim[2] / width : a->num_heads;
    OI_FAIL_IF((x->rank != 4 && !flat) || (flat && (given < 1 || x->dim[2] % given)), ONNX_INFER_E_SHAPE_MISMATCH,
               "RotaryEmbedding: input 0 needs rank 4, or 3 with a size that num_heads divides");
    int64_t batch = x->dim[0], heads = flat ? given : x->dim[1], length = flat ? x->dim[1] : x->dim[2];
    int64_t size = flat ? x->dim[2] / heads : x->dim[3], turned = a->rotary_dim ? a->rotary_dim : size, half = turned / 2;
    OI_FAIL_IF(turned < 0 || turned > size || turned % 2, ONNX_INFER_E_INVALID_MODEL, "RotaryEmbedding: %lld of %lld elements cannot be turned",
               (long long)turned, (long long)size);
    int64_t rows = half ? oi_tensor_count(cosines) / half : 0;
    OI_FAIL_IF(cosines->rank < 2 || sines->rank != cosines->rank || cosines->dim[cosines->rank - 1] != half ||
                   oi_tensor_count(sines) != oi_tensor_count(cosines) || (places ? oi_tensor_count(places) : rows) != batch * length,
               ONNX_INFER_E_SHAPE_MISMATCH, "RotaryEmbedding: the caches or positions do not fit input 0");
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    for (int64_t i = 0; i < batch * length * heads; i++) {
        int64_t b = i / (length * heads), p = i / heads % length, h = i % heads;
        int64_t row = places ? ((const int64_t *)places->data)[b * length + p] : b * length + p;
        int64_t at = (flat ? i : (b * heads + h) * length + p) * size;
        OI_FAIL_IF(row < 0 || row >= rows, ONNX_INFER_E_INVALID_ARGUMENT, "RotaryEmbedding: position %lld is outside the caches of %lld rows",
                   (long long)row, (long long)rows);
        for (int64_t k = 0; k < half; k++) {
            size_t one = (size_t)(at + (a->interleaved ? 2 * k : k)), other = (size_t)(at + (a->interleaved ? 2 * k + 1 : k + half));
            double u = oi_elem_get_double(x->dtype, x->data, one), v = oi_elem_get_double(x->dtype, x->data, other);
            double c = oi_elem_get_double(cosines->dtype, cosines->data, (size_t)(row * half + k));
            double s = oi_elem_get_double(sines->dtype, sines->data, (size_t)(row * half + k));
            oi_elem_set_double(y->dtype, y->data, one, c * u - s * v);
            oi_elem_set_double(y->dtype, y->data, other, s * u + c * v);
        }
        for (int64_t k = turned; k < size; k++)
            oi_elem_set_double(y->dtype, y->data, (size_t)(at + k), oi_elem_get_double(x->dtype, x->data, (size_t)(at + k)));
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "interleaved", .type = OI_ATTR_INT, .offset = offsetof(rotary_attr, interleaved)},
    {.name = "num_heads", .type = OI_ATTR_INT, .offset = offsetof(rotary_attr, num_heads)},
    {.name = "rotary_embedding_dim", .type = OI_ATTR_INT, .offset = offsetof(rotary_attr, rotary_dim)},
    {0},
};

const oi_op oi_op_RotaryEmbedding = {
    .name = "RotaryEmbedding", .domain = "", .since = 23, .newest = 23, .min_in = 3, .max_in = 4, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(rotary_attr), .infer = infer, .eval = eval,
};
