/* What tests of the C interface share: see api_help.h. */
#include "support/api_help.h"

#include "support/little_model.h"

#include <check.h>

void help_ok_at(onnx_infer_status st, const char *file, int line)
{
    if (st != ONNX_INFER_OK) /* checks that hold cost nothing: some tests count and time what is inside */
        ck_abort_msg("%s:%d: %s: %s", file, line, onnx_infer_status_name(st), onnx_infer_error_message(onnx_infer_last_error()));
}

void help_status_at(onnx_infer_status got, onnx_infer_status expected, const char *file, int line)
{
    ck_assert_msg(got == expected, "%s:%d: %s where %s was expected: %s", file, line, onnx_infer_status_name(got),
                  onnx_infer_status_name(expected), onnx_infer_error_message(onnx_infer_last_error()));
    if (got != ONNX_INFER_OK)
        ck_assert_msg(onnx_infer_error_code(onnx_infer_last_error()) == got, "%s:%d: the record has another status", file, line);
}

onnx_infer_options *help_options(int level, int threads)
{
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_set_level(o, level));
    OK(onnx_infer_options_set_threads(o, threads));
    return o;
}

onnx_infer_model *help_model(const char *text)
{
    little_bytes graph = little_graph(text, NULL), file = little_model(&graph);
    onnx_infer_model *m;
    OK(onnx_infer_model_load_memory(file.at, file.n, NULL, NULL, NULL, &m));
    little_free(&graph);
    little_free(&file);
    return m;
}

onnx_infer_context *help_context(const char *text, const onnx_infer_options *o)
{
    onnx_infer_model *m = help_model(text);
    onnx_infer_plan *p;
    onnx_infer_context *c;
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_context_create(p, &c));
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    return c;
}

onnx_infer_value *help_floats(int32_t rank, const int64_t *dims, float start)
{
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, rank, dims, &v));
    float *x = onnx_infer_tensor_mutable_data(v);
    for (size_t i = 0; i < onnx_infer_tensor_count(v); i++)
        x[i] = start + (float)i;
    return v;
}

onnx_infer_value *help_run1(onnx_infer_context *c, const onnx_infer_value *in)
{
    onnx_infer_value *out = NULL;
    OK(onnx_infer_run(c, NULL, 1, &in, 1, &out));
    return out;
}

float help_float(const onnx_infer_value *v, size_t i)
{
    ck_assert_ptr_nonnull(v);
    ck_assert_int_eq(onnx_infer_tensor_dtype(v), ONNX_INFER_FLOAT);
    ck_assert_uint_lt(i, onnx_infer_tensor_count(v));
    return ((const float *)onnx_infer_tensor_data(v))[i];
}
