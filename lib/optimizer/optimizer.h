/* The optimizer as the runtime sees it: brings graphs from stage to stage and makes copies for given input shapes. */
#ifndef OI_OPTIMIZER_OPTIMIZER_H
#define OI_OPTIMIZER_OPTIMIZER_H

#include "ops/rewrite.h"
#include "ops/target.h"

/* For tools and tests; all zero: the defaults. */
typedef struct {
    uint64_t stop_after; /* change nothing more after this many changes, to bisect; 0: no bound */
    size_t fold_budget;  /* bytes that constant folding may add to a decluttered graph; 0: 4 MiB */
    bool strict;         /* check the graph after every change, and fail where a rewrite fails or does not come to an end */
    oi_status (*check)(void *user); /* called between nodes; other than ONNX_INFER_OK ends the work. May be NULL */
    void *user;
    uint64_t commits;    /* out: changes made; counts on */
    oi_watch watch;
} oi_optimize_options;

/* The passes in the order of the stages, for tests. */
typedef struct {
    oi_stage stage;        /* that it leads to */
    const char *name;
    oi_rounding rounding;
    const oi_rules *rules; /* NULL: it has none */
} oi_pass_info;

/* false: there is no pass i. */
bool oi_optimize_pass(size_t i, oi_pass_info *out);

/* Runs the stages that lead from g's stage to `to` in place; ends with oi_graph_compact and oi_graph_verify. `target` is
 * needed for OI_STAGE_LOWERED. On failure the graph is only good for being destroyed.
 * Subgraphs are decluttered with their graph; lowering leaves them as they are, since the runtime specialises them by
 * themselves once the shapes of their inputs are known. */
oi_status oi_optimize(oi_graph *g, oi_stage to, const oi_target *target);
oi_status oi_optimize_with(oi_graph *g, oi_stage to, const oi_target *target, oi_optimize_options *o);

/* A copy of g (TYPED or DECLUTTERED; a subgraph too) for given inputs, brought to stage `to`:
 *   bound     a value for each symbol of g->syms, negative where open (may be NULL)
 *   input[i]  what is known of input i, NULL: nothing more than the graph says. Type and shape replace the input's; with
 *             konst set the content is used as a constant (shared, retained), and the input stays, without uses.
 *   want[i]   false: output i is left out, with what only it needs (NULL: all are wanted)
 *   o         may be NULL
 * Shapes are inferred anew before anything else is done. With `to` == OI_STAGE_TYPED nothing but that happens. */
oi_status oi_optimize_for(const oi_alloc *a, const oi_graph *g, const int64_t *bound, const oi_fact *const *input, oi_stage to,
                          const oi_target *target, const bool *want, oi_optimize_options *o, oi_graph **out);

#endif
