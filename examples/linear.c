/* linear: the shortest program: opens a model, runs it on an array and prints what comes out.
 * Usage: linear tests/data/seed-models/dummy_cell/model.onnx   (one linear layer, x[3,4] -> y[3,4]) */
#include <onnx_infer.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    float x[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    onnx_infer_context *net = NULL;
    onnx_infer_value *in = NULL, *out = NULL;
    onnx_infer_status status = onnx_infer_context_open(argc > 1 ? argv[1] : "model.onnx", NULL, &net);
    if (!status)
        status = onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, (const int64_t[]){3, 4}, x, sizeof x, NULL, NULL, &in);
    if (!status)
        status = onnx_infer_run(net, NULL, 1, (const onnx_infer_value *const *)&in, 1, &out);
    for (size_t i = 0; !status && i < onnx_infer_tensor_count(out); i++)
        printf("%9.5f%c", ((const float *)onnx_infer_tensor_data(out))[i], i % 4 == 3 ? '\n' : ' ');
    if (status)
        fprintf(stderr, "linear: %s\n", onnx_infer_error_message(onnx_infer_last_error()));
    onnx_infer_value_release(out);
    onnx_infer_value_release(in);
    onnx_infer_context_free(net);
    return status != ONNX_INFER_OK;
}
