/* Contexts and runs. */
#include "api/api_check.h"
#include "runtime/session.h"

onnx_infer_status onnx_infer_context_create(onnx_infer_plan *p, onnx_infer_context **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(p);
    return oi_session_context(p, out);
}

void onnx_infer_context_free(onnx_infer_context *c)
{
    oi_session_context_free(c);
}

onnx_infer_status onnx_infer_context_open(const char *path, const onnx_infer_options *o, onnx_infer_context **out)
{
    onnx_infer_model *m;
    onnx_infer_plan *p = NULL;
    OI_NEED(out);
    *out = NULL;
    OI_TRY(onnx_infer_model_load_file(path, o, &m));
    oi_status st = oi_session_plan(m, o, &p);
    if (st == ONNX_INFER_OK)
        st = oi_session_context(p, out);
    oi_session_release(p);
    oi_model_release(m);
    return st;
}

const onnx_infer_plan *onnx_infer_context_plan(const onnx_infer_context *c)
{
    return c ? c->plan : NULL;
}

onnx_infer_status onnx_infer_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                 const onnx_infer_value *const *in, size_t no, onnx_infer_value **out)
{
    OI_NEED(c);
    OI_NEED(in || !ni);
    OI_NEED(out || !no);
    return oi_session_run(c, ro, ni, in, no, out);
}

onnx_infer_status onnx_infer_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                       const char *const *in_names, const onnx_infer_value *const *in, size_t no,
                                       const char *const *out_names, onnx_infer_value **out)
{
    OI_NEED(c);
    OI_NEED((in_names && in) || !ni);
    OI_NEED((out_names && out) || !no);
    return oi_session_run_named(c, ro, ni, in_names, in, no, out_names, out);
}

onnx_infer_status onnx_infer_context_memory(const onnx_infer_context *c, onnx_infer_memory *out)
{
    onnx_infer_memory memory;
    OI_NEED(c);
    OI_NEED(out);
    OI_TRY(oi_session_memory(c->plan, &memory));
    memory.arena_now = memory.arena_peak = 0;
    oi_frame_memory(c->frame, &memory.arena_now, &memory.arena_peak);
    return oi_api_copy_out(out, &memory, sizeof memory);
}

onnx_infer_status onnx_infer_context_trim(onnx_infer_context *c)
{
    OI_NEED(c);
    oi_frame_trim(c->frame);
    return ONNX_INFER_OK;
}
