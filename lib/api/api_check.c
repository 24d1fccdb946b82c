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
