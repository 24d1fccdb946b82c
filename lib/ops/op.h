/* What an operator is: one definition with its attributes as data and its functions. Everything that the rest of the
 * engine knows of an operator it knows through this struct. */
#ifndef OI_OPS_OP_H
#define OI_OPS_OP_H

#include "base/stop.h"
#include "graph/graph.h"

typedef struct oi_import oi_import;   /* below */
typedef struct oi_infer oi_infer;
typedef struct oi_eval oi_eval;
typedef struct oi_prepare oi_prepare;
typedef struct oi_rewrite oi_rewrite; /* graph/rewrite.h */
typedef struct oi_target oi_target;   /* ops/target.h: what lowering aims at: ISA, kernels, vector length */

/* --- attributes ------------------------------------------------------------------------------------------------ */

/* Types of the fields of attribute structs. Lists are in the graph's arena; `at` NULL means that the attribute is
 * absent (an empty list has `at` set). */
typedef struct { const int64_t *at; uint32_t n; } oi_ints;
typedef struct { const float *at; uint32_t n; } oi_floats;
typedef struct { const char *const *at; const uint32_t *len; uint32_t n; } oi_strings;
typedef struct { const oi_tensor *const *at; uint32_t n; } oi_tensors;
typedef struct oi_raw_attr oi_raw_attr; /* below */
typedef struct { const oi_raw_attr *at; uint32_t n; } oi_raw_attrs;

typedef enum {
    OI_ATTR_INT,     /* int64_t */
    OI_ATTR_FLOAT,   /* float */
    OI_ATTR_STRING,  /* const char * (NULL: absent) */
    OI_ATTR_ENUM,    /* int64_t: index in the list of words */
    OI_ATTR_INTS,    /* oi_ints */
    OI_ATTR_FLOATS,  /* oi_floats */
    OI_ATTR_STRINGS, /* oi_strings */
    OI_ATTR_TENSOR,  /* const oi_tensor * (NULL: absent) */
    OI_ATTR_TENSORS, /* oi_tensors */
    OI_ATTR_TYPE,    /* const oi_fact * (NULL: absent) */
    OI_ATTR_REST,    /* oi_raw_attrs: all that no other field is for, as the file has them (custom operators) */
} oi_attr_type;

enum { OI_ATTR_REQUIRED = 1, OI_ATTR_INTERNAL = 2 /* not of the standard: set by import or lowering, never saved */ };

typedef struct {
    const char *name;
    oi_attr_type type;
    uint16_t offset; /* in the operator's struct: offsetof */
    uint16_t flags;
    int64_t i;       /* default of INT and ENUM */
    float f;         /* default of FLOAT */
    const char *s;   /* default of STRING; ENUM: the words, separated by '|', index 0 first */
} oi_attr_spec;      /* a list ends with name NULL. GRAPH attributes are not listed: they become node->sub */

#define OI_UNSET INT64_MIN /* a default for INT attributes whose absence means something */

/* A struct with the defaults, in the arena; NULL without memory or where the operator has none (attr_size 0). */
void *oi_attr_new(oi_arena *arena, const oi_op *op);
bool oi_attr_is_default(const oi_attr_spec *s, const void *field);
/* What holds the content of an attribute as the file has it, and its type. */
const void *oi_attr_raw_content(const oi_raw_attr *r, oi_attr_type *type);
bool oi_attr_equal(const oi_op *op, const void *a, const void *b);
/* Appends "{axis=1, mode=linear}", defaults left out, to buf. */
const char *oi_attr_text(const oi_op *op, const void *attr, char *buf, size_t cap);
/* The field of the node's struct that holds this attribute; NULL: its operator has none of that name. */
const void *oi_attr_field(const oi_node *n, const char *name);
/* An INT or ENUM attribute; `absent` where the operator has none of that name. */
int64_t oi_attr_int(const oi_node *n, const char *name, int64_t absent);
/* Copies the struct and what it points to into another arena. */
oi_status oi_attr_clone(oi_arena *to, const oi_op *op, const void *attr, void **out);
/* A struct filled in from a list like "axis=1, mode=linear, perm=[0,2,1], scale=0.5" (INT, FLOAT, STRING, ENUM, INTS,
 * FLOATS; a string may be quoted by '); NULL or "": defaults. *out is NULL where the operator has no attributes. */
oi_status oi_attr_parse_text(oi_arena *arena, const oi_op *op, const char *text, void **out);

/* --- import: from any opset's form to the newest ---------------------------------------------------------------- */

/* An attribute as the file has it. */
struct oi_raw_attr {
    const char *name;
    bool by_import; /* set by an import hook, which may use internal attributes; a file may not */
    enum { OI_RAW_INT, OI_RAW_FLOAT, OI_RAW_STRING, OI_RAW_INTS, OI_RAW_FLOATS, OI_RAW_STRINGS, OI_RAW_TENSOR,
           OI_RAW_TENSORS, OI_RAW_GRAPH, OI_RAW_TYPE } type;
    int64_t i;
    float f;
    const char *s;
    uint32_t slen;
    oi_ints ints;
    oi_floats floats;
    oi_strings strings;
    oi_tensor *tensor;
    oi_tensors tensors;
    oi_graph *graph;
    const oi_fact *type_fact;
};

/* The operator's struct, filled in from the file's attributes (GRAPH ones are passed over). Everything is copied into the
 * arena; tensors are shared. Unknown names, wrong types, unknown words and missing required ones are
 * ONNX_INFER_E_INVALID_MODEL. *out is NULL where the operator has no attributes. */
oi_status oi_attr_parse_raw(oi_arena *arena, const oi_op *op, const oi_raw_attr *raw, uint32_t n, void **out);

enum { OI_IMPORT_MAX_IN = 32 };

/* The node being imported. A hook may change all of it: attributes, inputs, operator; or build the node's outputs
 * itself out of other nodes (oi_import_node) and set `done`. */
struct oi_import {
    oi_graph *g;
    const oi_op *op;
    const char *name;       /* of the node */
    int64_t opset;          /* version of the operator's domain that the model (or function) imports */
    oi_raw_attr *attr;
    uint32_t nattr, attr_cap;
    oi_value_id *in, *out;  /* OI_NONE where left out */
    uint32_t nin, in_cap, nout;
    bool done;
    const void *file;       /* the importer's own */
};

oi_raw_attr *oi_import_find(oi_import *im, const char *name); /* NULL: absent */
void oi_import_drop(oi_import *im, const char *name);
oi_status oi_import_set_int(oi_import *im, const char *name, int64_t v);
oi_status oi_import_set_float(oi_import *im, const char *name, float v);
oi_status oi_import_set_string(oi_import *im, const char *name, const char *v);
oi_status oi_import_set_ints(oi_import *im, const char *name, const int64_t *v, uint32_t n);
oi_status oi_import_set_tensor(oi_import *im, const char *name, oi_tensor *t); /* takes over the tensor, also on failure */
oi_status oi_import_set_input(oi_import *im, uint32_t slot, oi_value_id v); /* grows the list with OI_NONE */
/* Moves an old attribute (INT, FLOAT, INTS, FLOATS, TENSOR) into input `slot` as a constant: INT and INTS become int64
 * (INT a scalar, INTS rank 1), FLOAT takes element type `float_as` (FLOAT, or that of the data input where known).
 * Nothing happens where the attribute is absent. */
oi_status oi_import_attr_to_input(oi_import *im, const char *name, uint32_t slot, oi_dtype float_as);
oi_status oi_import_const_ints(oi_import *im, const int64_t *v, int32_t rank /* 0 or 1 */, uint32_t n, oi_value_id *out);
oi_status oi_import_const_float(oi_import *im, float v, oi_value_id *out); /* a float32 scalar */
/* Appends another node with newest-form attributes given as text, e.g. "axis=1, keepdims=0" (INT, FLOAT, STRING, ENUM
 * and INTS as [1,2]); `out` as in oi_graph_add_node. */
oi_status oi_import_node(oi_import *im, const char *op, const char *attrs, uint32_t nin, const oi_value_id *in, uint32_t nout,
                         oi_value_id *out);

/* --- infer: facts in, facts out --------------------------------------------------------------------------------- */

/* The driver (graph/infer) fills this in and calls op->infer, which sets out[] for every output. Outputs start as
 * unknown tensors. What the hook leaves unknown stays so; a fact that contradicts the standard is an error. When an
 * operator has OI_OP_MOVES_DATA and its inputs are known or symbolic, the driver computes the outputs' content itself by
 * running eval over oi_dims; constants need no care either: folding is the driver's. */
struct oi_infer {
    oi_graph *g;
    oi_arena *arena;
    oi_symtab *syms;
    const oi_op *op;
    const oi_node *node; /* for names in messages, and subgraphs; may have fewer inputs than nin */
    const void *attr;
    uint32_t nin, nout;
    const oi_fact *const *in; /* NULL: left out */
    oi_fact *out;
    /* Facts of subgraph i's outputs for the given facts of its formal inputs; outs has graph->noutput elements. */
    oi_status (*sub)(oi_infer *x, uint32_t i, const oi_fact *const *formal, uint32_t n, oi_fact *outs);
    void *host;
};

/* Helpers, in ops/infer_util.c. Each checks what it needs and names the node's input in its message. */
const oi_fact *oi_infer_in(const oi_infer *x, uint32_t i);  /* NULL where left out or i >= nin */
bool oi_infer_wants(const oi_infer *x, uint32_t i);         /* output i exists and is not OI_NONE */
void oi_infer_set(oi_infer *x, uint32_t out, oi_dtype dtype, int32_t rank, const oi_dim *dims);
void oi_infer_set_fresh(oi_infer *x, uint32_t out, oi_dtype dtype, int32_t rank); /* unknown dims; rank -1 allowed */
void oi_infer_set_same(oi_infer *x, uint32_t out, uint32_t in);                   /* type and shape */
oi_status oi_infer_broadcast(oi_infer *x, uint32_t first, uint32_t count, oi_shape *shape); /* of inputs; rank -1 if any is */
/* The axis attribute made non-negative: E_INVALID_MODEL where it is outside -rank..rank-1. */
oi_status oi_infer_axis(const oi_infer *x, int64_t axis, int32_t rank, int32_t *out);
/* Integer content of input i, known or symbolic, at most cap elements: *n elements, or *n = -1 where unknown. */
oi_status oi_infer_ints(const oi_infer *x, uint32_t i, oi_dim *v, int32_t cap, int32_t *n);
/* The same for operators that take tensors of any size: -1 where input i is left out, no integers, or more than cap. */
int32_t oi_infer_content(const oi_infer *x, uint32_t i, oi_dim *v, int32_t cap);
void oi_infer_set_content(oi_infer *x, uint32_t out, const oi_dim *v, uint32_t n); /* symbolic content of an integer output */
oi_status oi_infer_need_dtype(const oi_infer *x, uint32_t in, const oi_dtype *allowed, uint32_t n);

/* --- eval: the plain reference ---------------------------------------------------------------------------------- */

/* Turns of a body one after another, of the same types and shapes. */
typedef struct {
    uint32_t nin, nout;            /* formal inputs, outputs */
    const oi_tensor *in;           /* what a turn reads: described, their memory lent for the turn */
    oi_tensor *out;                /* where it puts its results; apart from what it reads */
    /* After a turn: moves in[].data and out[].data for the next; *again false: that was the last. */
    oi_status (*next)(void *arg, bool *again);
    void *arg;
} oi_turns;

/* Services of whoever evaluates: the constant folder, the executor, a test. */
typedef struct {
    /* Storage for output i of this type and shape. */
    oi_status (*out)(oi_eval *e, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor **t);
    /* Output i shares the storage of `src` under the given shape. */
    oi_status (*out_view)(oi_eval *e, uint32_t i, const oi_tensor *src, int32_t rank, const int64_t *dims);
    /* Output i is this value (any kind; a tensor too). Takes over the reference, also on failure. */
    oi_status (*out_value)(oi_eval *e, uint32_t i, onnx_infer_value *v);
    /* body(arg, 0..n-1), perhaps on several threads; the first failure is returned. */
    oi_status (*parallel)(oi_eval *e, size_t n, oi_status (*body)(void *arg, size_t i), void *arg);
    /* Runs subgraph `sub` with the formal inputs given (captures are added by the host); outputs are new references. */
    oi_status (*sub)(oi_eval *e, uint32_t sub, uint32_t nin, onnx_infer_value *const *in, uint32_t nout, onnx_infer_value **out);
    /* Runs turns of subgraph `sub` without asking for shapes again. May be NULL. *ran false: no turn ran, or not to the
     * end (`next` has counted those that did); the rest is for `sub`. */
    oi_status (*turns)(oi_eval *e, uint32_t sub, const oi_turns *t, bool *ran);
    /* E_CANCELLED or E_DEADLINE when the run should end; for long loops. */
    oi_status (*check)(oi_eval *e);
} oi_eval_host;

struct oi_eval {
    const oi_eval_host *host;
    const oi_alloc *alloc; /* for values and temporary memory of the operator (oi_eval_scratch) */
    const oi_op *op;
    const oi_node *node;
    const void *attr;
    uint32_t nin, nout;
    const oi_tensor *const *in;          /* tensors; NULL: left out, or not a tensor */
    const onnx_infer_value *const *in_value; /* sequences, optionals, maps; NULL elements where a tensor is */
    void *kernel;                        /* of op->open; NULL: the host keeps none */
    uint64_t seed;                       /* for random operators without one, different for each node and run */
    void *scratch;                       /* list of oi_eval_scratch; freed by the host by oi_eval_scratch_free */
};

static inline const oi_tensor *oi_eval_in(const oi_eval *e, uint32_t i) /* NULL: left out */
{
    return i < e->nin ? e->in[i] : NULL;
}
static inline bool oi_eval_wants(const oi_eval *e, uint32_t i)
{
    return i < e->nout && (!e->node || e->node->out[i] != OI_NONE);
}
static inline oi_status oi_eval_out(oi_eval *e, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor **t)
{
    return e->host->out(e, i, dtype, rank, dims, t);
}
/* *v = input i, one integer of any type; unchanged where it is left out. */
oi_status oi_eval_int(const oi_eval *e, uint32_t i, int64_t *v);
/* For loops that may take longer than a millisecond: asks host->check once `done` has grown by enough of `work`, in
 * operations or elements. Any thread; `done` starts as 0. */
static inline oi_status oi_eval_check(oi_eval *e, int64_t work, int64_t *done)
{
    *done += work;
    if (*done < 1 << 17)
        return ONNX_INFER_OK;
    *done = 0;
    return e->host->check(e);
}
/* body(arg, 0..n-1), which write `bytes` in all: on several threads where that is worth their waking. */
oi_status oi_eval_parts(oi_eval *e, size_t n, size_t bytes, oi_status (*body)(void *arg, size_t i), void *arg);
/* Input i as a value reference of its own (a tensor is shared into a new value). */
oi_status oi_eval_in_as_value(const oi_eval *e, uint32_t i, onnx_infer_value **out);
/* Zeroed memory until the evaluation ends; NULL (and a record) without memory. */
void *oi_eval_scratch(oi_eval *e, size_t bytes);
void *oi_eval_scratch_array(oi_eval *e, size_t count, size_t size);
void oi_eval_scratch_free(oi_eval *e);
/* Message helpers: "input 1: type string is not supported by Add". */
oi_status oi_eval_bad_type(const oi_eval *e, uint32_t in);

/* --- prepare and run: the fast path ------------------------------------------------------------------------------ */

enum { OI_STEP_MAX_IO = 8 };

typedef struct oi_step oi_step;

typedef struct {
    const oi_step *step;
    const void *const *in;  /* storage of each input; NULL: left out */
    void *const *out;       /* storage of each output */
    void *workspace;        /* step->workspace bytes, one for all tasks, OI_ALIGNed, content undefined at task 0 */
    void *thread_workspace; /* step->thread_workspace bytes of the running thread alone */
    oi_stop *stop;          /* may be NULL. A task that may take more than a millisecond asks it, and returns where it says so */
} oi_run;

typedef oi_status (*oi_run_fn)(const oi_run *r, uint32_t task);

/* A planned step: made by prepare for given shapes, immutable afterwards, run by many threads. */
struct oi_step {
    const oi_op *op;
    const oi_node *node;
    const void *attr;
    uint32_t nin, nout;
    const oi_tensor *in, *out;  /* described; data only of constant inputs. dtype UNDEFINED: left out */
    oi_run_fn run;              /* writes disjoint parts of the outputs for 0 <= task < n_tasks; allocates nothing */
    const void *state;          /* of prepare, in the plan's arena */
    uint32_t n_tasks;           /* independent of the number of threads */
    size_t workspace, thread_workspace;
    uint32_t phases;            /* > 1: run is called for all tasks of phase 0, then all of phase 1, ...: task index
                                   counts through: phase p has tasks phase_end[p-1] .. phase_end[p]-1 */
    uint32_t phase_end[4];
    int32_t in_place;           /* output 0 may share the storage of this input where that dies here; -1: none */
    const char *kernel;         /* what bench and profiles show */
    uint64_t flops;
};

/* Filled in by the planner; prepare sets step->run and what follows it. Where it leaves run NULL the step is evaluated
 * by the reference eval. Shapes of all inputs and outputs are concrete here. */
struct oi_prepare {
    oi_step *step;
    oi_arena *arena;          /* of the plan; lives as long as the step */
    const oi_target *target;
};

/* --- the definition ----------------------------------------------------------------------------------------------- */

enum {
    OI_OP_MOVES_DATA = 1,    /* outputs are elements of the inputs, unchanged: eval works on any type of the same size */
    OI_OP_VIEW = 2,          /* output 0 is input 0 under another shape */
    OI_OP_RANDOM = 4,        /* never folded, never merged */
    OI_OP_COMMUTATIVE = 8,
    OI_OP_ELEMENTWISE = 16,  /* each output element depends on the inputs' elements at its (broadcast) place */
    OI_OP_LOWERED_ONLY = 32, /* not of the standard: made by the optimizer; domain "onnx_infer" */
    OI_OP_DATA_SHAPES = 64,  /* output shapes depend on input values even where all inputs' shapes are known */
    OI_OP_CONTROL = 128,     /* has subgraphs */
    OI_OP_CUSTOM = 256,      /* an oi_custom_op (ops/custom.h) */
    OI_OP_CHECKS_OWN_FORM = 512, /* import is also called for nodes that our exporter wrote, whose attributes have by_import */
};

struct oi_op {
    const char *name, *domain;            /* domain "" is ai.onnx */
    int16_t since, newest;                /* opset versions of its first definition and of the newest form */
    int16_t deprecated;                   /* opset version from which models must not use it; 0: never */
    uint32_t flags;
    uint16_t min_in, max_in, min_out, max_out; /* max UINT16_MAX: variadic */
    uint8_t loose;                        /* bit i: input i may lie at any address, aligned or not (oi_tensor_is_aligned) */
    const oi_attr_spec *attrs;            /* NULL: none */
    uint16_t attr_size;
    oi_status (*import)(oi_import *im);   /* optional */
    oi_status (*infer)(oi_infer *x);      /* required */
    oi_status (*eval)(oi_eval *e);        /* required: every type of the standard, plain and right */
    oi_status (*declutter)(oi_rewrite *rw, oi_node_id id);                         /* optional: target-free */
    oi_status (*lower)(oi_rewrite *rw, oi_node_id id, const oi_target *target);    /* optional */
    oi_status (*prepare)(oi_prepare *p);  /* optional */
    /* Optional: what eval keeps for a node from run to run, made once for each step of a plan (constant inputs are in g)
     * and used by all threads that run it. eval does without where it is given none. */
    oi_status (*open)(const oi_graph *g, const oi_node *n, void **kernel);
    void (*close)(const oi_op *op, void *kernel);
};

static inline bool oi_op_takes_loose(const oi_op *op, uint32_t input)
{
    return input < 8 && (op->loose >> input & 1);
}

/* The table of all operators, sorted by domain and name. */
const oi_op *const *oi_op_table(size_t *n);
/* NULL: unknown. Domain "" and "ai.onnx" are the same. */
const oi_op *oi_op_find(const char *domain, const char *name);
int32_t oi_op_newest_opset(const char *domain); /* 0: unknown domain */

#endif
