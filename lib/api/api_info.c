/* Version, capabilities and error records. */
#include "api/api_check.h"
#include "runtime/session.h"

#include <string.h>

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

int32_t onnx_infer_op_supported(const char *domain, const char *op, int32_t opset, const char *backend)
{
    const oi_op *found = op ? oi_op_find(domain ? domain : "", op) : NULL;
    if (!found || (found->flags & OI_OP_LOWERED_ONLY) || opset < found->since || opset > oi_op_newest_opset(found->domain))
        return 0;
    if (found->deprecated && opset >= found->deprecated)
        return 0;
    return !backend || onnx_infer_backend_probe(backend) == ONNX_INFER_OK;
}

size_t onnx_infer_backend_count(void)
{
    return 1;
}

const char *onnx_infer_backend_name(size_t i)
{
    return i == 0 ? "cpu" : NULL;
}

onnx_infer_status onnx_infer_backend_probe(const char *name)
{
    OI_NEED(name);
    OI_FAIL_IF(strcmp(name, "cpu") != 0, ONNX_INFER_E_BACKEND_UNAVAILABLE, "no backend is called '%s' in this build; there is cpu", name);
    return ONNX_INFER_OK;
}

#if defined(__clang__)
#define COMPILER "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__)
#elif defined(__GNUC__)
#define COMPILER "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__)
#else
#define COMPILER "an unknown compiler"
#endif
#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#elif defined(__riscv)
#define MACHINE "riscv"
#elif defined(__arm__)
#define MACHINE "arm"
#else
#define MACHINE "unknown machine"
#endif

const char *onnx_infer_build_info(void)
{
    return MACHINE ", " COMPILER
#if defined(__OPTIMIZE__)
                   ", optimised"
#endif
#if defined(__SANITIZE_ADDRESS__)
                   ", address sanitizer"
#endif
        ;
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
