/* Rules of the LOWERED stage over the blocked layout and the epilogues of lowered operators. */
#ifndef OI_OPTIMIZER_LAYOUT_H
#define OI_OPTIMIZER_LAYOUT_H

#include "ops/rewrite.h"

/* Operators lower each by themselves, between a ReorderToBlocked and a ReorderFromBlocked. These rules cancel pairs of
 * reorders, and move what stands between a ReorderFromBlocked and its users in front of it, so that whole networks stay
 * in blocked layout. */
extern const oi_rules oi_layout_rules;
/* Once layouts are settled: a reorder of images of one pixel becomes a Reshape. */
oi_status oi_rule_single_pixel(oi_rewrite *rw, oi_node_id id);

/* These put activations, residual sums and biases into the convolution or product before them. */
extern const oi_rules oi_epilogue_rules;

#endif
