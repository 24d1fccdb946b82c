/* The lowered operator that does a chain of elementwise operators in one pass. */
#ifndef OI_OPS_OP_FUSED_H
#define OI_OPS_OP_FUSED_H

#include "ops/op.h"

/* One subgraph, "body", without captures: its inputs are the node's. Its nodes are elementwise operators with one output
 * each that broadcasts to the body's only output, and all of them have a `prepare` that needs no workspace. Shapes are
 * concrete. */
extern const oi_op oi_op_oi_Fused;

#endif
