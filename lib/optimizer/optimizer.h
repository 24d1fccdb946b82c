/* The optimizer: takes a graph from one stage to the next. The lists of passes are in optimizer.c. */
#ifndef OI_OPTIMIZER_OPTIMIZER_H
#define OI_OPTIMIZER_OPTIMIZER_H

#include "ops/infer.h"
#include "ops/rewrite.h"
#include "ops/target.h"

typedef struct {
    uint64_t stop_after;   /* end rewriting after this many commits, to bisect; 0: no bound */
    size_t fold_growth;    /* bytes that folding one node may add to a decluttered graph; 0: 4 MiB */
    bool verify;           /* check the graph after every commit, not only after every pass */
    /* Called between passes; other than ONNX_INFER_OK ends the work with it. May be NULL. */
    oi_status (*check)(void *user);
    void *user;
} oi_optimize_options;     /* all zero: the defaults */

/* TYPED to DECLUTTERED, in place. `o` may be NULL. `commits` (may be NULL): the rewrites made are added to it. After an
 * error the graph is only good for oi_graph_destroy. */
oi_status oi_optimize_declutter(oi_graph *g, const oi_optimize_options *o, uint64_t *commits);

/* DECLUTTERED to LOWERED, in place. Where shapes are open nodes keep their standard form and are evaluated by
 * reference, so specialize first. */
oi_status oi_optimize_lower(oi_graph *g, const oi_target *target, const oi_optimize_options *o, uint64_t *commits);

/* Binds the symbols of input i's declared dims to the given ones: value[] has an element for each symbol of g->syms
 * (oi_symtab_count), negative while open. Rank and dims that contradict the declaration, or a symbol's value so far, are
 * ONNX_INFER_E_SHAPE_MISMATCH with tensor, axis, got, expected and the symbol's name. */
oi_status oi_optimize_bind(const oi_graph *g, uint32_t input, int32_t rank, const int64_t *dims, int64_t *value);

/* A clone of a TYPED or DECLUTTERED graph for the given sizes, inferred, folded and decluttered again. `value` as of
 * oi_optimize_bind (NULL: none bound). `input` (may be NULL): a shape for each graph input that replaces the declared
 * one, where its rank is not negative; its dims are plain numbers. g is not changed and may be in use. */
oi_status oi_optimize_specialize(const oi_alloc *a, const oi_graph *g, const int64_t *value, const oi_shape *input,
                                 const oi_optimize_options *o, oi_graph **out);

#endif
