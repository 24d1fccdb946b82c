/* A pool of threads for data-parallel loops. The caller takes part as thread 0; workers start at the first loop that can
 * use them, spin for a moment between the loops of an open run, and sleep otherwise. */
#ifndef OI_BASE_POOL_H
#define OI_BASE_POOL_H

#include "base/alloc.h"

typedef struct onnx_infer_pool oi_pool;

enum { OI_POOL_SPIN_NS = 50000 }; /* the default: less than a wake-up costs */

/* One task; `thread` < oi_pool_threads() is the same number for no two tasks that run at once in one loop. */
typedef oi_status (*oi_pool_body)(void *arg, size_t task, size_t thread);

/* `threads` counts the caller; at least 1. Idle workers of an open run spin for `spin_ns`. Reference counted; the last
 * release ends the workers. */
oi_status oi_pool_create(const oi_alloc *a, size_t threads, uint64_t spin_ns, oi_pool **out);
/* The tasks are done by whom the application chooses; `e` is copied. */
oi_status oi_pool_create_external(const oi_alloc *a, const onnx_infer_executor *e, oi_pool **out);
oi_pool *oi_pool_retain(oi_pool *p);
void oi_pool_release(oi_pool *p); /* accepts NULL; not from inside a task */
size_t oi_pool_threads(const oi_pool *p);

/* Around the loops of one run: idle workers spin for the next loop while any run is open. May nest and
 * overlap. In the child of a fork the first begin forgets the parent's workers; new ones start when needed. */
void oi_pool_begin(oi_pool *p);
void oi_pool_end(oi_pool *p);

/* Calls body(arg, 0 .. n_tasks-1, thread), each task once, in no order, and returns when all are done. Any thread may
 * call, also at once and from inside a task: while the pool is taken the caller does all tasks itself as thread 0.
 * After a failure no new tasks start; the status and error record of the lowest failed task become the caller's.
 * Tasks see subnormal numbers as zero (base/fpenv.h) if the caller does. Nothing is allocated once the workers run. */
oi_status oi_pool_run(oi_pool *p, size_t n_tasks, oi_pool_body body, void *arg);

#endif
