/* What the files of the importer share. One importer lives for one load, on one thread. */
#ifndef OI_ONNX_IMPORT_H
#define OI_ONNX_IMPORT_H

#include "onnx/model_file.h"
#include "onnx/names.h"
#include "onnx/tensor_proto.h"
#include "ops/op.h"

/* A call of a model-local function that is being inlined. */
typedef struct oi_frame {
    const OiOnnx__FunctionProto *fn;
    const OiOnnx__NodeProto *call;
    struct oi_frame *caller; /* NULL: the model's graph */
    uint32_t depth;
} oi_frame;

/* Names of one graph, or of one function inlined into a graph. */
typedef struct oi_scope {
    struct oi_scope *parent; /* of a subgraph: where captured names are looked for; NULL: nowhere */
    struct oi_scope *caller; /* of a function: the scope that calls it, whose graph is the same */
    oi_graph *g;
    oi_frame *frame;
    const char *prefix;      /* of names of nodes and values: "" or "caller/" */
    oi_names names;          /* to value ids of g; OI_NONE: an input that a call leaves out */
    oi_value_id *captured;   /* of a subgraph: values of the parent's graph that feed its extra inputs */
    uint32_t ncaptured, captured_cap;
    uint32_t depth;
    bool unsorted;           /* a node came before one that it needs */
} oi_scope;

typedef struct {
    oi_onnx_options o;       /* with the defaults filled in */
    oi_arena *scratch;       /* until the load ends */
    oi_onnx_model *model;
    const OiOnnx__ModelProto *proto;
    oi_tensor_reader reader;
    oi_names functions;      /* "domain\nname\noverload" to index in proto->functions */
    uint64_t nodes, nodes_total;
    bool *overridden;        /* by override of the options: its constant was met */
    oi_error *issue;         /* in scratch while it grows */
    uint32_t nissue, issue_cap;
} oi_importer;

/* import.c */
/* Files the current error record among the issues and returns OK; hands statuses that end the load (memory, limits,
 * cancellation) on. */
oi_status oi_importer_issue(oi_importer *im, oi_status status);
/* Replaces the content of a constant of the model's graph where the options say so. */
oi_status oi_importer_override(oi_importer *im, const char *name, oi_tensor *t);
/* Version of the domain that the frame (NULL: the model) imports; -1: none. */
int64_t oi_importer_opset(const oi_importer *im, const oi_frame *frame, const char *domain);
static inline const char *oi_text_or_empty(const char *s) { return s ? s : ""; }
const char *oi_domain_norm(const char *domain); /* "" for NULL and "ai.onnx" */

/* Scans and unpacks a message of this type into the arena. */
oi_status oi_onnx_unpack(const oi_alloc *a, oi_arena *arena, const oi_bytes *bytes, const ProtobufCMessageDescriptor *type,
                         uint64_t max_nodes, uint64_t max_depth, ProtobufCMessage **out);

/* import_graph.c */
/* Imports a graph into scope->g: ports, constants, nodes, hints. */
oi_status oi_import_graph(oi_importer *im, oi_scope *s, const OiOnnx__GraphProto *p);
void oi_scope_clear(oi_scope *s);
/* The value of this name as a node in the scope sees it; captures it where it is an outer one. */
oi_status oi_scope_find(oi_importer *im, oi_scope *s, const char *name, oi_value_id *out, bool *found);
/* Makes values for what the nodes define, and constants of Constant nodes. `bound` (may be NULL) names values of s->g
 * that exist already. */
oi_status oi_scope_declare(oi_importer *im, oi_scope *s, size_t n, OiOnnx__NodeProto *const *node, const oi_names *bound);

/* import_node.c */
oi_status oi_import_file_node(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p);
/* The node's name for messages, in scratch: its own, or its first output's. */
const char *oi_import_node_name(oi_importer *im, const oi_scope *s, const OiOnnx__NodeProto *p);
bool oi_import_is_constant(const oi_importer *im, const OiOnnx__NodeProto *p);
/* The content of a Constant node. */
oi_status oi_import_constant(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, oi_tensor *out);

/* import_attr.c */
/* Follows references to a function's attributes: *attr NULL where the call leaves it out and there is no default. */
void oi_import_resolve(const oi_frame *frame, const OiOnnx__AttributeProto **attr, const oi_frame **where);
/* Reads a resolved attribute that is no graph. Tensors live as long as the graph's arena. */
oi_status oi_import_read_attr(oi_importer *im, oi_graph *g, const OiOnnx__AttributeProto *p, oi_raw_attr *out);
oi_status oi_import_read_type(oi_importer *im, oi_graph *g, const OiOnnx__TypeProto *p, oi_fact *out);

/* import_function.c */
/* NULL: no such function. */
const OiOnnx__FunctionProto *oi_import_find_function(const oi_importer *im, const OiOnnx__NodeProto *p);
oi_status oi_import_index_functions(oi_importer *im);
oi_status oi_import_call(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, const OiOnnx__FunctionProto *fn);

#endif
