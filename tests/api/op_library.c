/* A library of operators as a user builds one: test.ops::Triple. */
#include <onnx_infer.h>

#include <stdlib.h>

ONNX_INFER_API onnx_infer_status onnx_infer_register_ops(onnx_infer_options *o);

static onnx_infer_status infer(void *user, onnx_infer_op_context *x)
{
    int64_t dims[8];
    const char *exprs[8];
    int32_t rank;
    (void)user;
    onnx_infer_status st = onnx_infer_op_input_type(x, 0, NULL, NULL, &rank);
    for (int32_t d = 0; d < rank && !st; d++)
        st = onnx_infer_op_input_dim(x, 0, d, &dims[d], &exprs[d]);
    return st ? st : onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, rank, dims, exprs);
}

static onnx_infer_status compute(void *kernel, onnx_infer_op_context *x)
{
    const onnx_infer_value *in = onnx_infer_op_input(x, 0);
    onnx_infer_value *out;
    (void)kernel;
    onnx_infer_status st = onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, onnx_infer_tensor_rank(in), onnx_infer_tensor_dims(in), &out);
    const float *from = onnx_infer_tensor_data(in);
    float *to = st ? NULL : onnx_infer_tensor_mutable_data(out);
    for (size_t i = 0; to && i < onnx_infer_tensor_count(in); i++)
        to[i] = from[i] * 3;
    return st;
}

onnx_infer_status onnx_infer_register_ops(onnx_infer_options *o)
{
    const onnx_infer_op_def triple = {.struct_size = sizeof triple, .domain = "test.ops", .name = "Triple", .infer = infer,
                                      .compute = compute, .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 1};
    return getenv("OP_LIBRARY_FAILS") ? 77 : onnx_infer_options_add_op(o, &triple);
}
