/* Structs that cross the interface. */
#include "api/api_check.h"

#include <string.h>

oi_status oi_api_copy_out(void *to, const void *from, size_t bytes)
{
    size_t theirs;
    memcpy(&theirs, to, sizeof theirs);
    OI_FAIL_IF(theirs < sizeof theirs, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu; set it to the size of the struct", theirs);
    memcpy(to, from, theirs < bytes ? theirs : bytes);
    memcpy(to, &theirs, sizeof theirs);
    return ONNX_INFER_OK;
}

oi_status oi_api_check_writer(const onnx_infer_writer *w)
{
    OI_FAIL_IF(w->struct_size < sizeof *w, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", w->struct_size, sizeof *w);
    OI_FAIL_IF(!w->write, ONNX_INFER_E_INVALID_ARGUMENT, "the writer has no function write");
    return ONNX_INFER_OK;
}
