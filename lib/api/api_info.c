/* Version, capabilities and error records. */
#include "api/api_check.h"
#include "runtime/session.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *onnx_infer_version(void)
{
    return TEXT(ONNX_INFER_VERSION_MAJOR) "." TEXT(ONNX_INFER_VERSION_MINOR) "." TEXT(ONNX_INFER_VERSION_PATCH);
}

uint32_t onnx_infer_version_number(void)
{
    return ONNX_INFER_VERSION_MAJOR << 16 | ONNX_INFER_VERSION_MINOR << 8 | ONNX_INFER_VERSION_PATCH;
}

int32_t onnx_infer_max_ir_version(void)
{
    return OI_ONNX_MAX_IR;
}

int32_t onnx_infer_max_opset(const char *domain)
{
    return domain ? oi_op_newest_opset(domain) : 0;
}

size_t onnx_infer_op_count(void)
{
    size_t n;
    oi_op_table(&n);
    return n;
}

const char *onnx_infer_op_name(size_t i)
{
    size_t n;
    const oi_op *const *table = oi_op_table(&n);
    return i < n ? table[i]->name : NULL;
}

const char *onnx_infer_op_domain(size_t i)
{
    size_t n;
    const oi_op *const *table = oi_op_table(&n);
    return i < n ? table[i]->domain : NULL;
}

int32_t onnx_infer_default_threads(void)
{
    return (int32_t)oi_cpu_default_threads();
}

const char *onnx_infer_cpu_isa(void)
{
    return oi_kernels_for(oi_cpu_isa_detect())->name;
}

const char *onnx_infer_status_name(onnx_infer_status status)
{
    return oi_status_name(status);
}

const onnx_infer_error *onnx_infer_last_error(void)
{
    return oi_error_current();
}

onnx_infer_error *onnx_infer_error_clone(const onnx_infer_error *e)
{
    onnx_infer_error *copy = e ? oi_alloc_mem(NULL, sizeof *copy) : NULL;
    if (copy)
        *copy = *e;
    return copy;
}

void onnx_infer_error_free(onnx_infer_error *e)
{
    oi_free_mem(NULL, e);
}

onnx_infer_status onnx_infer_error_code(const onnx_infer_error *e)
{
    return e ? e->status : ONNX_INFER_OK;
}

const char *onnx_infer_error_message(const onnx_infer_error *e)
{
    return e ? e->message : "";
}

const char *onnx_infer_error_node(const onnx_infer_error *e)
{
    return e ? e->node : "";
}

const char *onnx_infer_error_op(const onnx_infer_error *e)
{
    return e ? e->op : "";
}

const char *onnx_infer_error_tensor(const onnx_infer_error *e)
{
    return e ? e->tensor : "";
}

const char *onnx_infer_error_symbol(const onnx_infer_error *e)
{
    return e ? e->symbol : "";
}

int32_t onnx_infer_error_axis(const onnx_infer_error *e)
{
    return e ? e->axis : -1;
}

int64_t onnx_infer_error_got(const onnx_infer_error *e)
{
    return e ? e->got : -1;
}

int64_t onnx_infer_error_expected(const onnx_infer_error *e)
{
    return e ? e->expected : -1;
}
