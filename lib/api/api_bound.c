/* Bound and asynchronous runs. */
#include "api/api_check.h"
#include "runtime/session.h"

onnx_infer_status onnx_infer_bind_input(onnx_infer_context *c, size_t i, onnx_infer_value *v)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_bind_input(c, i, v);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_bind_output(onnx_infer_context *c, size_t i, onnx_infer_value *v)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_bind_output(c, i, v, NULL, NULL);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_bind_output_fn(onnx_infer_context *c, size_t i, onnx_infer_output_fn fn, void *user)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_bind_output(c, i, NULL, fn, user);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_bind_state(onnx_infer_context *c, size_t output, size_t input)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_bind_state(c, output, input);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_unbind_all(onnx_infer_context *c)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_context_unbind_all(c);
    oi_context_give(c);
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_reset_state(onnx_infer_context *c)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_context_reset_state(c);
    oi_context_give(c);
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_bound(onnx_infer_context *c, const onnx_infer_run_options *ro)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_run_bound(c, ro);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_run_async(onnx_infer_context *c, const onnx_infer_run_options *ro, onnx_infer_done_fn fn, void *user)
{
    OI_NEED(c);
    return oi_async_run(c, ro, fn, user);
}

onnx_infer_status onnx_infer_wait(onnx_infer_context *c, uint64_t timeout_ns)
{
    OI_NEED(c);
    return oi_async_wait(c, timeout_ns);
}

const onnx_infer_value *onnx_infer_output(const onnx_infer_context *c, size_t i)
{
    return c && !atomic_load_explicit((atomic_bool *)&c->busy, memory_order_acquire) ? oi_context_output(c, i) : NULL;
}
