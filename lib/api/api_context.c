/* Contexts and runs. */
#include "api/api_check.h"
#include "runtime/session.h"

onnx_infer_status onnx_infer_context_create(onnx_infer_plan *p, onnx_infer_context **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(p);
    return oi_context_create(p, false, out);
}

void onnx_infer_context_free(onnx_infer_context *c)
{
    oi_context_free(c);
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
        st = oi_context_create(p, false, out);
    oi_session_release(p);
    oi_model_release(m);
    return st;
}

const onnx_infer_plan *onnx_infer_context_plan(const onnx_infer_context *c)
{
    return c ? c->plan : NULL;
}

onnx_infer_status onnx_infer_context_clone(const onnx_infer_context *c, onnx_infer_context **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(c);
    onnx_infer_context *from = (onnx_infer_context *)c, *to; /* taken: a flag is set for the time being */
    OI_TRY(oi_context_take(from));
    oi_status st = oi_context_create(c->plan, false, &to);
    if (st == ONNX_INFER_OK) {
        oi_context_copy_bindings(from, to);
        *out = to;
    }
    oi_context_give(from);
    return st;
}

onnx_infer_status onnx_infer_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                 const onnx_infer_value *const *in, size_t no, onnx_infer_value **out)
{
    OI_NEED(c);
    OI_NEED(in || !ni);
    OI_NEED(out || !no);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_run(c, ro, ni, in, NULL, no, out);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                       const char *const *in_names, const onnx_infer_value *const *in, size_t no,
                                       const char *const *out_names, onnx_infer_value **out)
{
    OI_NEED(c);
    OI_NEED((in_names && in) || !ni);
    OI_NEED((out_names && out) || !no);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_run_named(c, ro, ni, in_names, in, no, out_names, out);
    oi_context_give(c);
    return st;
}

onnx_infer_status onnx_infer_context_memory(const onnx_infer_context *c, onnx_infer_memory *out)
{
    onnx_infer_memory memory;
    OI_NEED(c);
    OI_NEED(out);
    OI_TRY(oi_context_take((onnx_infer_context *)c));
    oi_status st = oi_context_memory(c, &memory);
    oi_context_give((onnx_infer_context *)c);
    OI_TRY(st);
    return oi_api_copy_out(out, &memory, sizeof memory);
}

onnx_infer_status onnx_infer_context_trim(onnx_infer_context *c)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_context_trim(c);
    oi_context_give(c);
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_context_set_arena(onnx_infer_context *c, void *mem, size_t bytes)
{
    OI_NEED(c);
    OI_TRY(oi_context_take(c));
    oi_status st = oi_context_set_arena(c, mem, bytes);
    oi_context_give(c);
    return st;
}
