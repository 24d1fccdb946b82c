/* The three operators of trees: what their import and their evaluation share. */
#ifndef OI_OPS_ML_TREE_H
#define OI_OPS_ML_TREE_H

#include "kernels/tree.h"
#include "ops/ml_common.h"

extern const oi_op oi_op_ml_TreeEnsemble, oi_op_ml_TreeEnsembleClassifier, oi_op_ml_TreeEnsembleRegressor;

/* The import hook of all three: the trees become attribute "forest", a tensor of bytes with an oi_forest; "base" the base
 * values as doubles; "binary" says that there are two classes and all votes are for one of them, "positive" that no vote is
 * negative; n_targets is set, and words became numbers. */
oi_status oi_ml_tree_import(oi_import *im);

#endif
