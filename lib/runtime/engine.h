/* What everything of one onnx_infer_plan shares: allocator, log, threads, target, limits; and the state of one run. */
#ifndef OI_RUNTIME_ENGINE_H
#define OI_RUNTIME_ENGINE_H

#include "base/log.h"
#include "base/pool.h"
#include "kernels/hash.h"
#include "ops/op.h"
#include "ops/target.h"

#include <stdatomic.h>

typedef struct {
    uint64_t nodes, depth, tensor_bytes, total_bytes, plans;
} oi_limits;

typedef struct {
    oi_alloc alloc;
    oi_log log;
    oi_pool *pool;
    oi_stage stage; /* that graphs are brought to before they run */
    uint64_t stop_after;           /* most changes of the optimizer; 0: no bound */
    bool exact;                    /* only changes that keep every bit */
    atomic_uint_fast64_t *changes; /* made so far, by all plans, those of bodies too; NULL: nobody counts */
    oi_target target;
    oi_limits limits;
    struct oi_graph_cache *graphs; /* runtime/graph_cache.h; NULL: none is kept in files */
} oi_engine;

struct onnx_infer_cancel {
    atomic_bool fired;
};

/* One run, from the first input check to the last output. */
typedef struct {
    const oi_engine *engine;
    const onnx_infer_cancel *cancel; /* may be NULL */
    uint64_t start_ns, deadline_ns;  /* of the monotonic clock; deadline 0: none */
    onnx_infer_profile *profile;     /* may be NULL */
    uint64_t seed, random_count;
    uint64_t heap_bytes, heap_peak;  /* held by tensors outside of arenas: now, at most */
    uint32_t depth;                  /* of nested graphs */
    bool distrust;                   /* a step's output was not of the shape that the plan took for granted */
} oi_run_state;

uint64_t oi_clock_ns(void); /* monotonic */

/* E_CANCELLED or E_DEADLINE when the run should end. */
oi_status oi_run_check(const oi_run_state *r);

#endif
