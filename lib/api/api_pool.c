/* Pools of threads that plans share. */
#include "api/api_check.h"
#include "base/cpu.h"
#include "base/pool.h"

onnx_infer_status onnx_infer_pool_create(int32_t threads, uint64_t spin_ns, onnx_infer_pool **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_FAIL_IF(threads < 0, ONNX_INFER_E_INVALID_ARGUMENT, "%d threads; expected 0 (the default) to 4096", (int)threads);
    return oi_pool_create(NULL, threads ? (size_t)threads : oi_cpu_default_threads(), spin_ns, out);
}

onnx_infer_status onnx_infer_pool_create_external(const onnx_infer_executor *e, onnx_infer_pool **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(e);
    OI_FAIL_IF(e->struct_size < sizeof *e, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", e->struct_size, sizeof *e);
    OI_NEED(e->parallel_for);
    return oi_pool_create_external(NULL, e, out);
}

onnx_infer_pool *onnx_infer_pool_retain(onnx_infer_pool *p)
{
    return oi_pool_retain(p);
}

void onnx_infer_pool_release(onnx_infer_pool *p)
{
    oi_pool_release(p);
}
