/* A wrong rule for a tool that is to find it: Sigmoid(x) -> HardSigmoid(x), in each list of rules under the list's name, and active in
 * the one that the environment names (PLANTED=declutter, prepare, layout, settled or epilogue). */
#ifndef TESTS_OPTIMIZER_PLANTED_H
#define TESTS_OPTIMIZER_PLANTED_H

#include "ops/rewrite.h"

#include <stdlib.h>

static oi_status planted(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    const char *where = getenv("PLANTED");
    if (!where || strcmp(rw->rule + strlen("planted in "), where) != 0)
        return ONNX_INFER_OK;
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "HardSigmoid", "", 1, n.in));
    return rw->status;
}

#define OI_PLANTED_RULE(list) {"planted in " list, "Sigmoid", planted, OI_ROUNDS},

#endif
