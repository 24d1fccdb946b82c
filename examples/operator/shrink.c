/* An operator of one's own in a shared library: Shrink(x) of the domain "example" draws x towards zero by `by` and stops there.
 * The engine finds it through onnx_infer_register_ops. Build: cc -shared -fPIC shrink.c -o shrink.so (onnx_infer's flags) */
#include <onnx_infer.h>

/* The output is of the input's type and shape, whatever is known of them: also "batch" stays "batch". */
static onnx_infer_status infer(void *user, onnx_infer_op_context *x)
{
    enum { MOST = 8 };
    onnx_infer_dtype dtype;
    int32_t rank;
    int64_t dims[MOST];
    const char *exprs[MOST];
    onnx_infer_status status = onnx_infer_op_input_type(x, 0, NULL, &dtype, &rank);
    (void)user;
    if (!status && (dtype != ONNX_INFER_FLOAT || rank > MOST))
        return onnx_infer_op_fail(x, ONNX_INFER_E_UNSUPPORTED_TYPE, "Shrink takes floats of at most 8 dimensions");
    for (int32_t axis = 0; !status && axis < rank; axis++)
        status = onnx_infer_op_input_dim(x, 0, axis, &dims[axis], &exprs[axis]);
    return status ? status : onnx_infer_op_set_output_type(x, 0, dtype, rank, dims, exprs);
}

typedef struct {
    const float *from;
    float *to;
    size_t count;
    float by;
} work;

enum { PART = 4096 };

static void shrink_part(void *arg, size_t part)
{
    const work *w = arg;
    size_t end = (part + 1) * PART < w->count ? (part + 1) * PART : w->count;
    for (size_t i = part * PART; i < end; i++) {
        float x = w->from[i];
        w->to[i] = x > w->by ? x - w->by : x < -w->by ? x + w->by : 0;
    }
}

static onnx_infer_status compute(void *kernel, onnx_infer_op_context *x)
{
    const onnx_infer_value *in = onnx_infer_op_input(x, 0);
    onnx_infer_value *out;
    work w = {.from = onnx_infer_tensor_data(in), .count = onnx_infer_tensor_count(in), .by = 0.5f};
    onnx_infer_status status = onnx_infer_op_attr_float(x, "by", &w.by);
    (void)kernel;
    if (status && status != ONNX_INFER_E_NOT_FOUND) /* without the attribute: 0.5 */
        return status;
    status = onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, onnx_infer_tensor_rank(in), onnx_infer_tensor_dims(in), &out);
    if (status)
        return status;
    w.to = onnx_infer_tensor_mutable_data(out);
    onnx_infer_op_parallel_for(x, (w.count + PART - 1) / PART, shrink_part, &w);
    return ONNX_INFER_OK;
}

ONNX_INFER_API onnx_infer_status onnx_infer_register_ops(onnx_infer_options *o);

onnx_infer_status onnx_infer_register_ops(onnx_infer_options *o)
{
    const onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "example", .name = "Shrink", .since = 1,
                                   .infer = infer, .compute = compute, .min_inputs = 1, .max_inputs = 1,
                                   .min_outputs = 1, .max_outputs = 1};
    return onnx_infer_options_add_op(o, &def);
}
