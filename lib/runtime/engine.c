/* The clock of runs, and what ends them. */
#include "runtime/engine.h"

#include <time.h>

uint64_t oi_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

oi_status oi_run_check(const oi_run_state *r)
{
    OI_FAIL_IF(r->cancel && atomic_load_explicit(&r->cancel->fired, memory_order_relaxed), ONNX_INFER_E_CANCELLED,
               "the run was cancelled");
    if (r->deadline_ns && oi_clock_ns() >= r->deadline_ns)
        return oi_fail(ONNX_INFER_E_DEADLINE, "the run's deadline of %.3f s passed",
                       (double)(r->deadline_ns - r->start_ns) / 1e9);
    return ONNX_INFER_OK;
}
