/* The one graph of the engine. It passes through stages, each with invariants that oi_graph_verify knows:
 *
 *   IMPORTED     nodes in newest opset form with parsed attributes; facts only on inputs and constants
 *   TYPED        nodes in topological order, every value has a fact made by the operators' infer
 *   DECLUTTERED  the same, simplified, independent of the machine
 *   LOWERED      kernel-level operators too, with explicit layouts and packed constants; shapes concrete where inputs are
 *
 * Values are first class. Ids are stable; dead nodes are tombstones (op NULL) until oi_graph_compact between stages.
 * Constants are values without a defining node whose fact has konst. A subgraph is closed: what it captures from
 * outside enters by extra inputs behind its formal ones, fed from extra inputs of the node (see oi_sub).
 *
 * A graph is built and rewritten by one thread; a finished one is read by many. */
#ifndef OI_GRAPH_GRAPH_H
#define OI_GRAPH_GRAPH_H

#include "base/log.h"
#include "base/writer.h"
#include "graph/fact.h"

typedef uint32_t oi_node_id;
typedef uint32_t oi_value_id;
#define OI_NONE UINT32_MAX /* no node, no value: an input left out, an output not wanted */

typedef struct oi_op oi_op; /* ops/op.h */
typedef struct oi_graph oi_graph;

typedef enum { OI_STAGE_IMPORTED, OI_STAGE_TYPED, OI_STAGE_DECLUTTERED, OI_STAGE_LOWERED } oi_stage;

typedef struct {
    oi_node_id node;
    uint32_t slot; /* index in the node's inputs */
} oi_use;

typedef struct {
    const char *name; /* "" where the model gives none; unique within the graph where given */
    oi_node_id def;   /* OI_NONE: graph input or constant */
    uint32_t slot;    /* index in def's outputs */
    oi_fact fact;
    oi_use *use;      /* in no order; a node that takes a value twice is there twice */
    uint32_t nuse, use_cap;
    bool is_input, is_output;
} oi_value;

/* One subgraph of a node. graph->input[i] is formal for i < ninput - ncapture; the rest are fed from
 * node->in[capture[j]]. */
typedef struct {
    const char *name; /* of the attribute that it is: "body", "then_branch" */
    oi_graph *graph;
    uint32_t *capture;
    uint32_t ncapture;
} oi_sub;

typedef struct {
    const oi_op *op;  /* NULL: a tombstone */
    void *attr;       /* the operator's struct; NULL where it has none */
    oi_value_id *in, *out;
    uint32_t nin, nout; /* captures included in nin */
    uint32_t *use_at;   /* of each input: its place in the value's list of uses */
    oi_sub *sub;
    uint32_t nsub;
    const char *name; /* never NULL; unique for messages, made up where the model has none */
} oi_node;

struct oi_graph {
    oi_stage stage;
    oi_arena *arena;  /* owns everything below, subgraphs too (they share their parent's arena and symbols) */
    oi_symtab *syms;
    const oi_log *log; /* may be NULL */
    const char *name;
    oi_node *node;
    oi_value *value;
    uint32_t nnode, node_cap, nvalue, value_cap;
    oi_value_id *input, *output;
    const char **output_name; /* as declared: rewriting may put another value in the output's place */
    uint32_t ninput, input_cap, noutput, output_cap;
    oi_graph *outer;  /* of a subgraph */
};

/* An empty graph with an arena and symbols of its own. NULL without memory. */
oi_graph *oi_graph_create(const oi_alloc *a, const oi_log *log);
/* An empty graph inside `outer`'s arena. */
oi_graph *oi_graph_create_sub(oi_graph *outer);
void oi_graph_destroy(oi_graph *g); /* of a top graph; subgraphs go with it */
/* A deep copy with an arena of its own; constants' storage is shared. `bound` (may be NULL): a value for each symbol,
 * negative where open: replaced in every shape and content. */
oi_status oi_graph_clone(const oi_alloc *a, const oi_graph *g, const int64_t *bound, oi_graph **out);

/* Building. Names are copied. Each fails only for want of memory or on the stated misuse. */
oi_status oi_graph_add_input(oi_graph *g, const char *name, const oi_fact *fact, oi_value_id *out);
/* The tensor's reference moves into the graph. */
oi_status oi_graph_add_const(oi_graph *g, const char *name, oi_tensor *t, oi_value_id *out);
oi_status oi_graph_add_value(oi_graph *g, const char *name, oi_value_id *out); /* not yet defined */
/* Appends; a value may be several outputs. The output's name is the value's. */
oi_status oi_graph_mark_output(oi_graph *g, oi_value_id v);
/* Appends a node. `in` may hold OI_NONE. Outputs: existing undefined values, or with out[i] == OI_NONE and i < nout new
 * ones made and stored in out[i]. attr is in the arena already (NULL: the
 * operator has none; oi_attr_new makes defaults). The array of subgraphs (may be NULL), their names'
 * pointers and the lists of captures are copied. */
oi_status oi_graph_add_node(oi_graph *g, const oi_op *op, const char *name, void *attr, uint32_t nin, const oi_value_id *in,
                            uint32_t nout, oi_value_id *out, uint32_t nsub, const oi_sub *sub, oi_node_id *id);
oi_status oi_graph_set_node_inputs(oi_graph *g, oi_node_id id, uint32_t nin, const oi_value_id *in);
/* Every use of `from` (graph outputs too) becomes a use of `to`. A `to` without a name takes that of `from`. */
oi_status oi_graph_replace_uses(oi_graph *g, oi_value_id from, oi_value_id to);
void oi_graph_remove_node(oi_graph *g, oi_node_id id); /* leaves a tombstone; its outputs become undefined */

/* Stores a copy of the fact, with a reference of its own to the constant, and lists in g's arena. */
oi_status oi_graph_set_fact(oi_graph *g, oi_value_id v, const oi_fact *fact);
/* Gives up the memory of a constant that nothing uses: no node, no graph output. Does nothing otherwise. */
void oi_graph_release_const(oi_graph *g, oi_value_id v);

/* Reading. */
static inline const oi_fact *oi_graph_fact(const oi_graph *g, oi_value_id v)
{
    return v == OI_NONE ? NULL : &g->value[v].fact;
}
oi_value_id oi_graph_find_value(const oi_graph *g, const char *name); /* linear; for tools and tests */
uint32_t oi_graph_live_nodes(const oi_graph *g, bool with_subgraphs);

/* Clone, verify and dumps look into operators: they are in ops/graph_*.c. */

/* Puts nodes into topological order (stable where it can be) and removes tombstones and unused values; ids change.
 * A cycle is ONNX_INFER_E_INVALID_MODEL and names the nodes on it. */
oi_status oi_graph_compact(oi_graph *g);
/* The node ids in topological order, without changing the graph; *order is in the arena. */
oi_status oi_graph_order(oi_graph *g, oi_node_id **order, uint32_t *n);
/* Checks the invariants of the graph's stage; ONNX_INFER_E_INTERNAL names the first that fails. */
oi_status oi_graph_verify(const oi_graph *g);

/* Dumps, for people and tests. Text is one line a node: `%out:float32 1x3 = Conv(%in, %w) {strides=[2,2]} # name`. */
oi_status oi_graph_dump_text(const oi_graph *g, const oi_writer *w);
oi_status oi_graph_dump_dot(const oi_graph *g, const oi_writer *w);
oi_status oi_graph_dump_json(const oi_graph *g, const oi_writer *w);

#endif
