/* MatMul(x, Transpose(W)), Gemm(x, Transpose(W), c) -> the lowered product with W packed as it lies.
 *
 * Lowering evaluates constants before it looks at what takes them: a transposed copy of a large embedding would be made only to
 * be packed again. (Small ones are folded before.) */
#include "ops/op_matmul.h"
#include "optimizer/rules.h"

oi_status oi_rule_transposed_weights(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    return n->op->lower && oi_matmul_takes_transposed(rw->g, n) ? n->op->lower(rw, id, rw->target) : ONNX_INFER_OK;
}
