/* Small graphs for tests: from text, evaluated, compared. */
#ifndef TESTS_OPTIMIZER_GRAPH_TEXT_H
#define TESTS_OPTIMIZER_GRAPH_TEXT_H

#include "optimizer/optimizer.h"

/* A TYPED graph out of lines like
 *   input x float32 Nx3x8x8          a dim is a number or a name
 *   const w float32 4x3x3x3 random   or: = 1 2 3 (the last number repeats)
 *   y = Conv(x, w) {strides=[2,2]}   "_": left out; several outputs: y, mask = ...
 *   output y
 *   sub body(x, w)                   up to "end": a subgraph that captures x and w by these names; its formal inputs come
 *                                    first ("input i any": of unknown type), and a node takes it: y = If(c) <then_branch=body, ...>
 * Ends the test where the text or the graph is wrong. */
oi_graph *graph_from_text(const char *text);
/* The same; NULL where the text or the graph is wrong (what it had made by then stays allocated). */
oi_graph *graph_try_text(const char *text);

/* The operators of the graph in topological order: "Conv If(Neg Exp | Abs)". The text is the caller's to free. */
char *graph_ops(oi_graph *g);

/* The whole graph as text with ids, types and content, for comparing before and after. The caller frees it. */
char *graph_print(const oi_graph *g);

/* A tensor of this type and shape with numbers drawn from *seed, in -1..1 (integers 0..3). */
oi_tensor tensor_random(uint64_t *seed, oi_dtype dtype, int32_t rank, const int64_t *dims);

/* Evaluates the graph by the reference evaluators on inputs drawn from `seed`; open dims are `open`. out: noutput tensors,
 * which the caller clears. */
oi_status graph_evaluate(oi_graph *g, uint64_t seed, int64_t open, oi_tensor *out);

/* Element by element; NaN equals NaN, and 0 equals -0 and, as plans run with denormals as zeros, what is smaller than FLT_MIN. */
bool tensors_equal(const oi_tensor *a, const oi_tensor *b);

/* The largest difference of elements, relative to the largest magnitude or 1; 1e30 where types or shapes differ. */
double tensors_differ(const oi_tensor *a, const oi_tensor *b);

uint64_t next_random(uint64_t *seed);

#endif
