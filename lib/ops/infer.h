/* The driver of shape inference: calls the operators' infer over a graph, forward, once per node. */
#ifndef OI_OPS_INFER_H
#define OI_OPS_INFER_H

#include "base/pool.h"
#include "ops/op.h"
#include "tensor/slab.h"

/* Facts of one node's outputs from those of its inputs; checks arity first. Content: where all inputs are constants, the
 * node is pure and the outputs are small (at most OI_SYM_CONTENT_MAX elements in all) the outputs get konst at once;
 * symbolic content goes through operators that move data. Updates the facts in the graph. */
oi_status oi_infer_node(oi_graph *g, oi_node_id id);

/* The whole graph in topological order (it is compacted: ids change), subgraphs through their nodes. Facts that values
 * already carry from the file (value_info, declared outputs) are hints: of an IMPORTED graph they fill in an element type
 * that inference left unknown. Shapes among them are never believed, since files have wrong ones; where they contradict
 * inference the log says so. Moves the graph from IMPORTED to TYPED, or refreshes a later stage. */
oi_status oi_infer_graph(oi_graph *g);

/* As oi_infer_graph, but goes on after a failing node (its outputs stay unknown) and calls `issue` with the current
 * error record for each. */
oi_status oi_infer_graph_report(oi_graph *g, void (*issue)(void *arg), void *arg);

/* What helps to evaluate ahead of a run; each may be NULL. */
typedef struct {
    oi_pool *pool;
    oi_slab *slab; /* the results' memory */
} oi_fold_means;

/* Evaluates a node whose inputs are all constant by its reference eval: new tensors in out[0..nout-1] (the caller clears
 * them). ONNX_INFER_E_DATA_DEPENDENT where it is not possible (random, control flow, not a tensor). `means` may be NULL. */
oi_status oi_fold_node(const oi_graph *g, oi_node_id id, const oi_fold_means *means, oi_tensor *out);
/* The same with the inputs given (nin of them, captures not counted; NULL: left out). */
oi_status oi_fold_eval(const oi_graph *g, oi_node_id id, const oi_fold_means *means, uint32_t nin, const oi_tensor *const *in,
                       oi_tensor *out);

/* Inputs of a node without those that only feed captures of its subgraphs. */
uint32_t oi_node_formal_inputs(const oi_node *n);

#endif
