/* What tests of the C interface share: checked calls, models from text, tensors. */
#ifndef TESTS_SUPPORT_API_HELP_H
#define TESTS_SUPPORT_API_HELP_H

#include <onnx_infer.h>

#include <check.h>

/* Ends the test where the status is not ONNX_INFER_OK, with the record's message. */
void help_ok_at(onnx_infer_status st, const char *file, int line);
#define OK(call) help_ok_at((call), __FILE__, __LINE__)
/* Ends the test where the status is another; after failures the record has it too. */
void help_status_at(onnx_infer_status got, onnx_infer_status expected, const char *file, int line);
#define FAILS(call, expected) help_status_at((call), (expected), __FILE__, __LINE__)

/* Ends the test where a call does not return ONNX_INFER_E_<code>. */
#define IS(call, code) ck_assert_int_eq((call), ONNX_INFER_E_##code)

/* Optimisation level and threads set. */
onnx_infer_options *help_options(int level, int threads);
/* A model, or a context, from lines as little_model.h has them. */
onnx_infer_model *help_model(const char *text);
onnx_infer_context *help_context(const char *text, const onnx_infer_options *o);
/* A float32 tensor with start, start + 1, ... */
onnx_infer_value *help_floats(int32_t rank, const int64_t *dims, float start);
/* The single output of a run with the single input. */
onnx_infer_value *help_run1(onnx_infer_context *c, const onnx_infer_value *in);
float help_float(const onnx_infer_value *v, size_t i);

#endif
