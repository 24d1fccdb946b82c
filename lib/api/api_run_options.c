/* How a run is done: run options and cancel handles. */
#include "api/api_check.h"
#include "runtime/session.h"

onnx_infer_status onnx_infer_run_options_create(onnx_infer_run_options **out)
{
    OI_NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void onnx_infer_run_options_free(onnx_infer_run_options *ro)
{
    oi_free_mem(NULL, ro);
}

onnx_infer_status onnx_infer_run_options_set_cancel(onnx_infer_run_options *ro, onnx_infer_cancel *c)
{
    OI_NEED(ro);
    ro->cancel = c;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_set_deadline(onnx_infer_run_options *ro, uint64_t ns)
{
    OI_NEED(ro);
    ro->deadline_ns = ns;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_set_profile(onnx_infer_run_options *ro, onnx_infer_profile *p)
{
    OI_NEED(ro);
    ro->profile = p;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_set_seed(onnx_infer_run_options *ro, uint64_t seed)
{
    OI_NEED(ro);
    ro->seed = seed;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_cancel_create(onnx_infer_cancel **out)
{
    OI_NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void onnx_infer_cancel_free(onnx_infer_cancel *c)
{
    oi_free_mem(NULL, c);
}

void onnx_infer_cancel_fire(onnx_infer_cancel *c)
{
    if (c)
        atomic_store(&c->fired, true);
}

void onnx_infer_cancel_reset(onnx_infer_cancel *c)
{
    if (c)
        atomic_store(&c->fired, false);
}
