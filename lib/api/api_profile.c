/* Profiles of runs. */
#include "api/api_check.h"
#include "base/arena.h"
#include "base/writer.h"
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

static oi_status write_events(const onnx_infer_profile *p, const oi_writer *w)
{
    OI_TRY(oi_write_text(w, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":["));
    for (size_t i = 0; i < p->count; i++) {
        const onnx_infer_event *e = &p->event[i];
        OI_TRY(oi_write_text(w, i ? ",\n{\"name\":" : "\n{\"name\":"));
        OI_TRY(oi_write_json_string(w, e->node));
        OI_TRY(oi_write_text(w, ",\"cat\":"));
        OI_TRY(oi_write_json_string(w, e->op));
        OI_TRY(oi_write_format(w, ",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"kernel\":", (int)e->thread,
                               (double)e->start_ns / 1e3, (double)e->dur_ns / 1e3));
        OI_TRY(oi_write_json_string(w, e->kernel));
        OI_TRY(oi_write_format(w, ",\"flops\":%llu,\"bytes\":%llu,\"tasks\":%d}}", (unsigned long long)e->flops,
                               (unsigned long long)e->bytes, (int)e->tasks));
    }
    return oi_write_text(w, "\n]}\n");
}

onnx_infer_status onnx_infer_profile_json(const onnx_infer_profile *p, const onnx_infer_writer *w)
{
    OI_NEED(p);
    OI_NEED(w);
    OI_TRY(oi_api_check_writer(w));
    return write_events(p, &(oi_writer){w->user, w->write});
}
