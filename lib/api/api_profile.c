/* Profiles of runs. */
#include "api/api_check.h"
#include "base/arena.h"
#include "runtime/profile.h"
#include "runtime/session.h"

onnx_infer_status onnx_infer_profile_create(onnx_infer_profile **out)
{
    OI_NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void onnx_infer_profile_free(onnx_infer_profile *p)
{
    if (!p)
        return;
    oi_arena_destroy(p->text);
    oi_free_mem(NULL, p->event);
    oi_free_mem(NULL, p);
}

size_t onnx_infer_profile_count(const onnx_infer_profile *p)
{
    return p ? p->count : 0;
}

onnx_infer_status onnx_infer_profile_get(const onnx_infer_profile *p, size_t i, onnx_infer_event *out)
{
    OI_NEED(p);
    OI_NEED(out);
    OI_FAIL_IF(i >= p->count, ONNX_INFER_E_NOT_FOUND, "step %zu is asked for; the profile has %zu", i, p->count);
    return oi_api_copy_out(out, &p->event[i], sizeof p->event[i]);
}
