/* Draws inputs from a seed. */
#include "tool.h"

#include <math.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In (0, 1). */
static double uniform(uint64_t *state)
{
    return ((double)(splitmix(state) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

oi_status tool_draw(const onnx_infer_port *port, int32_t rank, const int64_t *dims, uint64_t seed,
                    size_t index, onnx_infer_value **out)
{
    onnx_infer_kind kind = onnx_infer_port_kind(port);
    if (kind == ONNX_INFER_SEQUENCE)
        return onnx_infer_sequence_create(out);
    if (kind == ONNX_INFER_OPTIONAL)
        return onnx_infer_optional_create(out);
    OI_FAIL_IF(kind != ONNX_INFER_TENSOR, ONNX_INFER_E_INVALID_ARGUMENT,
               "input '%s' is a map, which cannot be drawn: give it by --input", onnx_infer_port_name(port));
    onnx_infer_dtype dtype = onnx_infer_port_dtype(port);
    OI_TRY(onnx_infer_tensor_create(dtype, rank, dims, out));
    size_t count = onnx_infer_tensor_count(*out);
    void *data = onnx_infer_tensor_mutable_data(*out);
    uint64_t state = seed ^ (index * 0xd1342543de82ef95u);
    if (dtype == ONNX_INFER_STRING)
        return ONNX_INFER_OK;
    for (size_t i = 0; i < count; i++) {
        if (oi_dtype_is_complex(dtype)) {
            double re = normal(&state), im = normal(&state);
            if (dtype == ONNX_INFER_COMPLEX64)
                ((float *)data)[2 * i] = (float)re, ((float *)data)[2 * i + 1] = (float)im;
            else
                ((double *)data)[2 * i] = re, ((double *)data)[2 * i + 1] = im;
        } else if (oi_dtype_is_float(dtype)) {
            oi_elem_set_double(dtype, data, i, normal(&state));
        } else {
            oi_elem_set_int(dtype, data, i, 1);
        }
    }
    return ONNX_INFER_OK;
}
