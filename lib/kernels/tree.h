/* Forests of decision trees: one compact, position-independent form, built from lists and checked while it is built, and its
 * evaluation over rows of numbers. */
#ifndef OI_KERNELS_TREE_H
#define OI_KERNELS_TREE_H

#include "base/arena.h"
#include "tensor/tensor.h"

/* Comparisons of a node, numbered as in TreeEnsemble. */
typedef enum { OI_TREE_LEQ, OI_TREE_LT, OI_TREE_GTE, OI_TREE_GT, OI_TREE_EQ, OI_TREE_NEQ, OI_TREE_MEMBER, OI_TREE_LEAF } oi_tree_mode;

/* Nodes and leaves as lists, untrusted. `yes` and `no` are places in the list of nodes, leaves too; what is outside of it, or
 * reached twice (leaves excepted), makes oi_forest_build fail. */
typedef struct {
    uint8_t mode;            /* oi_tree_mode; anything else is refused */
    bool missing_yes;        /* where a NaN goes */
    int64_t feature;
    double split;
    int64_t yes, no;
    uint32_t first, count;   /* MEMBER: its members; LEAF: its votes */
} oi_tree_node;

typedef struct {
    uint32_t target;
    double weight;
} oi_tree_vote;

typedef struct {
    const oi_tree_node *node;
    const int64_t *root;
    const oi_tree_vote *vote;
    const double *member;
    size_t nnode, nroot, nvote, nmember;
} oi_tree_list;

/* The built form; everything else lies behind it in the same memory. */
typedef struct {
    uint64_t at_node, at_root, at_leaf, at_vote, at_member; /* bytes from the start */
    uint32_t nnode, nroot, nleaf, nvote, nmember;
    uint32_t features;       /* 1 + the highest that is looked at */
    uint32_t targets;        /* 1 + the highest that is voted for */
    uint8_t nan_first;       /* some node sends NaN where its comparison does not */
    uint8_t special;         /* some node asks for more than "at most" */
} oi_forest;

/* The form as a tensor of bytes on the heap, aligned for use. E_INVALID_MODEL says what is wrong with the lists. `scratch`
 * holds temporary memory. */
oi_status oi_forest_build(const oi_alloc *alloc, oi_arena *scratch, const oi_tree_list *list, oi_tensor *out);

/* The built form from a file, untrusted: an aligned copy that is safe to walk, or E_INVALID_MODEL. */
oi_status oi_forest_check(const oi_alloc *alloc, const oi_tensor *bytes, oi_tensor *out);

typedef enum { OI_FOREST_AVERAGE, OI_FOREST_SUM, OI_FOREST_MIN, OI_FOREST_MAX } oi_forest_sum;

/* Lets trees first_tree .. end_tree-1 vote on `rows` rows of `cols` elements, float or double, cols >= f->features. acc and
 * seen (NULL: not asked for, not with MIN and MAX) have rows x targets elements, targets >= f->targets; both start as zeros.
 * acc becomes the sum of the votes, or their extreme; seen where there was one. */
void oi_forest_walk(const oi_forest *f, oi_dtype dtype, const void *x, size_t rows, size_t cols, uint32_t first_tree, uint32_t end_tree,
                    oi_forest_sum how, size_t targets, double *acc, uint8_t *seen);
/* Adds what other trees gave for the same rows. */
void oi_forest_merge(oi_forest_sum how, size_t n, double *acc, uint8_t *seen, const double *more, const uint8_t *more_seen);

#endif
