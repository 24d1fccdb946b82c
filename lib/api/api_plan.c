/* Plans. */
#include "api/api_check.h"
#include "runtime/plan_file.h"

onnx_infer_status onnx_infer_plan_create(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_plan **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(m);
    return oi_session_plan(m, o, out);
}

onnx_infer_status onnx_infer_plan_save(const onnx_infer_plan *p, const onnx_infer_writer *w)
{
    OI_NEED(p);
    OI_NEED(w);
    OI_TRY(oi_api_check_writer(w));
    return oi_plan_file_save(p, &(oi_writer){w->user, w->write});
}

onnx_infer_status onnx_infer_plan_load(const onnx_infer_reader *r, const onnx_infer_options *o, onnx_infer_plan **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(r);
    OI_FAIL_IF(r->struct_size < sizeof *r, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", r->struct_size, sizeof *r);
    OI_NEED(r->size);
    OI_NEED(r->read_at);
    return oi_plan_file_load(r, o, out);
}

onnx_infer_plan *onnx_infer_plan_retain(onnx_infer_plan *p)
{
    return oi_session_retain(p);
}

void onnx_infer_plan_release(onnx_infer_plan *p)
{
    oi_session_release(p);
}

const onnx_infer_model *onnx_infer_plan_model(const onnx_infer_plan *p)
{
    return p ? p->model : NULL;
}

onnx_infer_status onnx_infer_plan_memory(const onnx_infer_plan *p, onnx_infer_memory *out)
{
    onnx_infer_memory memory;
    OI_NEED(p);
    OI_NEED(out);
    OI_TRY(oi_session_memory(p, &memory));
    return oi_api_copy_out(out, &memory, sizeof memory);
}

onnx_infer_status onnx_infer_plan_output_shape(const onnx_infer_plan *p, size_t n, const int32_t *ranks,
                                               const int64_t *const *dims, size_t output, int32_t *rank, int64_t *out_dims,
                                               int32_t cap)
{
    OI_NEED(p);
    OI_NEED((ranks && dims) || !n);
    OI_NEED(rank);
    OI_NEED(out_dims || cap <= 0);
    for (size_t i = 0; i < n; i++)
        OI_FAIL_IF(ranks[i] > 0 && !dims[i], ONNX_INFER_E_INVALID_ARGUMENT, "%s: dims[%zu] is NULL", __func__, i);
    return oi_session_output_shape(p, n, ranks, dims, output, rank, out_dims, cap);
}

onnx_infer_status onnx_infer_plan_run(onnx_infer_plan *p, const onnx_infer_run_options *ro, size_t ni,
                                      const onnx_infer_value *const *in, size_t no, onnx_infer_value **out)
{
    OI_NEED(p);
    OI_NEED(in || !ni);
    OI_NEED(out || !no);
    return oi_session_run(p, ro, ni, in, no, out);
}

size_t onnx_infer_plan_step_count(const onnx_infer_plan *p)
{
    return p ? oi_session_step_count(p) : 0;
}

onnx_infer_status onnx_infer_plan_step(const onnx_infer_plan *p, size_t i, onnx_infer_event *out)
{
    onnx_infer_event event;
    OI_NEED(p);
    OI_NEED(out);
    OI_TRY(oi_session_step(p, i, &event));
    return oi_api_copy_out(out, &event, sizeof event);
}
