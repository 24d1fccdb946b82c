/* Records of a run's steps. */
#include "runtime/profile.h"

#include "base/arena.h"

#include <string.h>

void oi_profile_describe(const oi_plan_step *ps, onnx_infer_event *out)
{
    const oi_step *s = &ps->step;
    *out = (onnx_infer_event){.struct_size = sizeof *out, .node = s->node->name, .op = s->op->name,
                              .kernel = s->kernel ? s->kernel : s->op->name, .flops = s->flops, .bytes = ps->bytes,
                              .tasks = (int32_t)s->n_tasks};
}

oi_status oi_profile_add(onnx_infer_profile *p, const oi_plan_step *ps, uint64_t start_ns, uint64_t dur_ns)
{
    onnx_infer_event e;
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        onnx_infer_event *grown = cap <= SIZE_MAX / sizeof e ? oi_realloc_mem(NULL, p->event, cap * sizeof e) : NULL;
        if (!grown)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        p->event = grown;
        p->cap = cap;
    }
    oi_profile_describe(ps, &e);
    e.start_ns = start_ns;
    e.dur_ns = dur_ns;
    e.node = oi_arena_text(p->text, e.node);
    e.kernel = oi_arena_text(p->text, e.kernel);
    if (!e.node || !e.kernel)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    p->event[p->count++] = e;
    return ONNX_INFER_OK;
}

oi_status oi_profile_reset(onnx_infer_profile *p)
{
    oi_arena *fresh = oi_arena_create(NULL);
    if (!fresh)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_arena_destroy(p->text);
    p->text = fresh;
    p->count = 0;
    return ONNX_INFER_OK;
}
