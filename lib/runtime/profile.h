/* Records of a run's steps. */
#ifndef OI_RUNTIME_PROFILE_H
#define OI_RUNTIME_PROFILE_H

#include "runtime/plan.h"

struct onnx_infer_profile {
    onnx_infer_event *event; /* texts are in `text` */
    size_t count, cap;
    oi_arena *text;
};

/* What is known of a step without running it. The texts are the plan's. */
void oi_profile_describe(const oi_plan_step *ps, onnx_infer_event *out);
/* Copies the texts: plans may go before the profile does. */
oi_status oi_profile_add(onnx_infer_profile *p, const oi_plan_step *ps, uint64_t start_ns, uint64_t dur_ns);
oi_status oi_profile_reset(onnx_infer_profile *p); /* forgets the last run */

#endif
