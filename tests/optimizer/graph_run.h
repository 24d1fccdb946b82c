/* Runs a test's graph as the runtime does: through a plan, its arena and its kernels. */
#ifndef TESTS_OPTIMIZER_GRAPH_RUN_H
#define TESTS_OPTIMIZER_GRAPH_RUN_H

#include "graph_text.h"

/* What a plan takes: steps, bytes of its arena and those of the graphs inside, bytes of them in use at once at most. */
typedef struct {
    uint32_t steps;
    uint64_t arena, live;
} graph_cost;

/* Plans the TYPED or DECLUTTERED graph for this instruction set and runs it twice on the inputs that graph_evaluate draws
 * from `seed`. out: noutput tensors of the second run, which the caller clears; *cost: of the plan (may be NULL). */
oi_status graph_run(const oi_graph *g, oi_cpu_isa isa, uint64_t seed, int64_t open, oi_tensor *out, graph_cost *cost);

/* The same as graph_evaluate, also of graphs with subgraphs. */
oi_status graph_compute(oi_graph *g, uint64_t seed, int64_t open, oi_tensor *out);

#endif
