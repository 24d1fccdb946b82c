/* The optimizer with a wrong rule among its own, for a tool that is to find it: Sigmoid(x) -> HardSigmoid(x). */
#include "ops/rewrite.h"

static oi_status planted(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "HardSigmoid", "", 1, n.in));
    return rw->status;
}

#define OI_PLANTED_RULES {"planted", "Sigmoid", planted, OI_ROUNDS},
#include "optimizer/optimizer.c"
