/* What operators of the first opsets have in common, for import hooks. */
#ifndef OI_OPS_LEGACY_H
#define OI_OPS_LEGACY_H

#include "ops/op.h"

/* Drops `consumed_inputs` of opset 1. */
oi_status oi_import_unary(oi_import *im);
/* The same, and of opsets below 7 `broadcast` and `axis`: the second input gets the dims of size 1 that make numpy's
 * broadcast mean the same. */
oi_status oi_import_binary(oi_import *im);
/* Reshapes input 1 so that its dims meet those of input 0 from `axis` on (negative: from the end). */
oi_status oi_import_align(oi_import *im, int64_t axis);

#endif
