/* Rewriting: the only way that passes change a graph. A rewrite is staged and then committed or undone as a whole.
 *
 *   oi_rewrite_node(rw, ...)        appends a node and infers its outputs at once
 *   oi_rewrite_replace(rw, a, b)    stages: uses of a become uses of b; refuses b whose fact contradicts a's
 *   return ONNX_INFER_OK            and the driver commits: replaces, removes what died, logs
 *                                   "declutter: Conv + BatchNormalization -> Conv at 'conv_3'", re-queues the neighbours
 *
 * A hook that stages nothing has declined; a hook that fails with OI_DECLINED (after staging) is undone without an error.
 * Any other failure is undone and reported. */
#ifndef OI_OPS_REWRITE_H
#define OI_OPS_REWRITE_H

#include "ops/op.h"

#include <string.h>

#define OI_DECLINED (-1) /* internal: never crosses the C interface */

struct oi_rewrite {
    oi_graph *g;
    oi_node_id at;         /* the node that the hook was called for */
    const char *rule;      /* for the log */
    const oi_target *target; /* NULL before lowering */
    oi_status status;      /* sticky: first failure of a builder call; the driver looks at it too */
    /* the driver's own: */
    uint32_t mark_node, mark_value;
    oi_value_id *from, *to;
    uint32_t nreplace, from_cap, to_cap;
};

/* Builders. On failure they set rw->status and return OI_NONE, and accept OI_NONE values made by a failed call, so a
 * hook may build first and check once at the end (return rw->status). */
oi_value_id oi_rewrite_node(oi_rewrite *rw, const oi_op *op, void *attr, uint32_t nin, const oi_value_id *in);
/* The same with several outputs, stored in out[]. */
void oi_rewrite_node_multi(oi_rewrite *rw, const oi_op *op, void *attr, uint32_t nin, const oi_value_id *in, uint32_t nout,
                           oi_value_id *out);
/* By name, with attributes as text ("axis=1, perm=[0,2,1]"). */
oi_value_id oi_rewrite_op(oi_rewrite *rw, const char *domain, const char *name, const char *attrs, uint32_t nin,
                          const oi_value_id *in);
oi_value_id oi_rewrite_const(oi_rewrite *rw, oi_tensor *t); /* takes over the reference */
oi_value_id oi_rewrite_const_ints(oi_rewrite *rw, const int64_t *v, uint32_t n); /* int64, rank 1 */
oi_value_id oi_rewrite_const_float(oi_rewrite *rw, float v);                     /* float32 scalar */
/* Transpose(x) by these `rank` axes. */
oi_value_id oi_rewrite_transpose(oi_rewrite *rw, oi_value_id x, int32_t rank, const int64_t *perm);
void oi_rewrite_replace(oi_rewrite *rw, oi_value_id from, oi_value_id to);
/* A list for an attribute, in the graph's arena; an empty one is there, too. Without memory `at` is NULL. */
oi_ints oi_rewrite_ints(oi_rewrite *rw, const int64_t *v, uint32_t n);

/* Reading, for patterns. */
/* The node that defines v if it is the operator `name` of domain "" (or "onnx_infer" for lowered ones); else NULL. */
const oi_node *oi_match_def(const oi_graph *g, oi_value_id v, const char *name);
/* v has exactly one use and is no graph output. */
bool oi_match_single_use(const oi_graph *g, oi_value_id v);
/* The content of a constant, aligned for reading; NULL where v is none. To know whether v is constant look at its fact. */
const oi_tensor *oi_match_const(const oi_graph *g, oi_value_id v);
/* A constant with one element (any rank), as double. */
bool oi_match_scalar(const oi_graph *g, oi_value_id v, double *out);

/* --- the driver ------------------------------------------------------------------------------------------------- */

/* What a rewrite does to results; tests hold it to that. */
typedef enum {
    OI_EXACT,  /* every bit stays (0 and -0 count as equal) */
    OI_ROUNDS, /* numbers are added, multiplied or approximated in another way: the last bits may differ */
} oi_rounding;

typedef struct {
    const char *name; /* for the log */
    const char *op;   /* tried on nodes of this operator, of ai.onnx or our own; NULL: on all */
    oi_status (*fn)(oi_rewrite *rw, oi_node_id id);
    oi_rounding rounding;
} oi_rule;

typedef struct {
    const oi_rule *rule;
    size_t n;
} oi_rules;

/* For tests: which changes are made, and who is told of them. */
typedef struct {
    const char *only; /* rules and passes of other names are left out; NULL: none is */
    bool exact;       /* those that round are left out */
    void (*changed)(void *user, const char *pass, const oi_rule *rule); /* after each change by a rule, and with rule NULL
                                                                          after each pass that has changed something */
    void *user;
} oi_watch;

static inline bool oi_watch_skips(const oi_watch *w, const char *name, oi_rounding rounding)
{
    return (w->exact && rounding == OI_ROUNDS) || (w->only && strcmp(w->only, name) != 0);
}

typedef struct {
    const char *stage;       /* for the log: "declutter" */
    const char *pass;        /* for the watch */
    const oi_target *target; /* handed to the rules */
    uint64_t commits;        /* made so far: counts on */
    uint64_t stop_after;     /* no rewrite more once commits has reached this; 0: no bound */
    oi_status (*check)(void *user); /* called between nodes; other than ONNX_INFER_OK ends the work. May be NULL */
    void *user;
    bool strict;             /* check the graph after each commit, and fail where a rule fails; else undo, log, go on */
    oi_watch watch;
    bool exhausted;          /* set where the rules did not come to an end by themselves */
} oi_rewriter;

/* Tries the rules, in order, on every node of g and its subgraphs, and again around each change, until none applies.
 * Nodes that nothing uses any more are removed. The graph is left uncompacted. */
oi_status oi_rewrite_run(oi_graph *g, const oi_rule *rule, size_t nrule, oi_rewriter *r);
/* One rule on one node, once. */
oi_status oi_rewrite_one(oi_graph *g, const oi_rule *rule, oi_node_id id, oi_rewriter *r);
/* Removes the node and every node that nothing uses then. Nothing happens where one of its outputs is used. */
oi_status oi_rewrite_remove_dead(oi_graph *g, oi_node_id id);

#endif
