/* What passes share: the state of one optimization, and the passes themselves. */
#ifndef OI_OPTIMIZER_PASS_H
#define OI_OPTIMIZER_PASS_H

#include "ops/infer.h"
#include "optimizer/optimizer.h"

typedef struct {
    oi_rewriter rewriter;  /* commits, bounds, target, check */
    size_t fold_each;      /* bytes that folding one node may add */
    oi_slab *scratch;      /* for results of folding that are to be folded again, as in lowering; may be NULL */
    size_t fold_budget;    /* bytes that folding may still add to the graph in all; small results do not count */
} oi_pass;

static inline bool oi_pass_stopped(const oi_pass *p)
{
    return p->rewriter.stop_after && p->rewriter.commits >= p->rewriter.stop_after;
}

/* To be called between nodes: the status with which the work is to end. */
static inline oi_status oi_pass_check(const oi_pass *p)
{
    return p->rewriter.check ? p->rewriter.check(p->rewriter.user) : ONNX_INFER_OK;
}

/* A pass changes the graph and its subgraphs, and counts each change in p->rewriter.commits. */

/* Evaluates nodes whose inputs are constant, within the budget; nodes whose outputs inference knows become constants. */
oi_status oi_pass_fold(oi_graph *g, oi_pass *p);
/* The same for one node and what feeds it, without regard to the budget. */
oi_status oi_pass_fold_into(oi_graph *g, oi_node_id id, oi_pass *p);
/* Constants that a subgraph captures move into it; captures that it does not use go. */
oi_status oi_pass_captures(oi_graph *g, oi_pass *p);
/* If with a known condition becomes its branch. */
oi_status oi_pass_branches(oi_graph *g, oi_pass *p);
/* Loop with a small known number of turns becomes the nodes of its turns. */
oi_status oi_pass_unroll(oi_graph *g, oi_pass *p);
/* Appends the nodes of subgraph s of node id to g; result[i] is its output i. input: what its formal inputs are, by which the
 * facts are inferred anew; NULL: it has none, and its facts hold. */
oi_status oi_pass_inline(oi_graph *g, oi_node_id id, const oi_sub *s, const oi_value_id *input, oi_value_id *result);
/* Node id computes elsewhere what these nodes of its subgraph k compute (order: all of the subgraph's, in topological order;
 * gone: of each node; outside: values of g that its values equal, OI_NONE where none). They go, and what still uses their
 * results captures the values outside. */
oi_status oi_pass_take_out(oi_graph *g, oi_node_id id, uint32_t k, const oi_node_id *order, uint32_t n, const bool *gone,
                           const oi_value_id *outside);
/* For each value of subgraph k of node id the value of g that it is: those that it captures. OI_NONE for the others. NULL
 * without memory. */
oi_value_id *oi_pass_outside(oi_graph *g, oi_node_id id, uint32_t k);
/* A copy of a node of a subgraph, without subgraphs of its own, with these inputs; outside: its outputs are entered there. */
oi_status oi_pass_copy_out(oi_graph *g, const oi_graph *body, const oi_node *n, const oi_value_id *in, oi_value_id *outside);
/* The same constant as value v of another graph. */
oi_status oi_pass_same_const(oi_graph *g, const oi_graph *other, oi_value_id v, oi_value_id *out);
/* What a Loop or Scan computes in each turn from captured values only moves in front of it. */
oi_status oi_pass_hoist(oi_graph *g, oi_pass *p);
/* One node for several that compute the same, also where one is in a subgraph, or one in each branch of an If; one constant for small equal ones. */
oi_status oi_pass_common(oi_graph *g, oi_pass *p);
/* Nodes and outputs that nothing uses go. */
oi_status oi_pass_dead(oi_graph *g, oi_pass *p);
/* Chains of elementwise operators become one step each; of a lowered graph. */
oi_status oi_pass_fuse_elementwise(oi_graph *g, oi_pass *p);
/* Node by node: fold what feeds it, call its operator's lower, fold what that made. Leaves subgraphs alone. */
oi_status oi_pass_lower(oi_graph *g, oi_pass *p);

#endif
