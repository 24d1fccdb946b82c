/* Every public function: checks arguments and forwards. */
#include <onnx_infer.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *onnx_infer_version(void)
{
    return TEXT(ONNX_INFER_VERSION_MAJOR) "." TEXT(ONNX_INFER_VERSION_MINOR) "." TEXT(ONNX_INFER_VERSION_PATCH);
}
