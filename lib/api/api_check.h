/* What every file of the public interface checks with. */
#ifndef OI_API_CHECK_H
#define OI_API_CHECK_H

#include "base/status.h"

/* Fails with ONNX_INFER_E_INVALID_ARGUMENT, naming the function and the argument, if the argument is NULL. */
#define OI_NEED(arg) OI_FAIL_IF(!(arg), ONNX_INFER_E_INVALID_ARGUMENT, "%s: %s is NULL", __func__, #arg)

/* Copies a struct of ours into a caller's that may be of an older or newer header: struct_size, the first field of
 * both, says how large the caller's is and stays as it was. ONNX_INFER_E_INVALID_ARGUMENT if it is less than a size. */
oi_status oi_api_copy_out(void *to, const void *from, size_t bytes);

/* ONNX_INFER_E_INVALID_ARGUMENT unless the struct is whole. */
oi_status oi_api_check_writer(const onnx_infer_writer *w);

#endif
