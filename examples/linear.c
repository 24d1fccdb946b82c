/* linear: a network of one linear layer, x[3,4] -> y[3,4], run from C.
 * Usage: linear tests/data/seed-models/dummy_cell/model.onnx */
#include <stdio.h>

#include <onnx_infer.h>

int main(int argc, char **argv)
{
    float x[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, y[12];
    const int64_t dims[2] = {3, 4};
    onnx_infer_context *context = NULL;
    onnx_infer_value *in = NULL, *out = NULL;
    onnx_infer_status status =
        argc == 2 ? onnx_infer_context_open(argv[1], NULL, &context) : ONNX_INFER_E_INVALID_ARGUMENT;
    if (!status)
        status = onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, x, sizeof x, NULL, NULL, &in);
    if (!status)
        status = onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, y, sizeof y, NULL, NULL, &out);
    if (!status)
        status = onnx_infer_run(context, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out);
    if (status)
        fprintf(stderr, "linear: %s\n",
                argc == 2 ? onnx_infer_error_message(onnx_infer_last_error()) : "give it a model file");
    else
        for (int i = 0; i < 12; i++)
            printf("%9.5f%c", y[i], i % 4 == 3 ? '\n' : ' ');
    onnx_infer_value_release(in);
    onnx_infer_value_release(out);
    onnx_infer_context_free(context);
    return status != ONNX_INFER_OK;
}
