/* Operators of the caller's own: definitions of onnx_infer.h as operators of the engine. */
#ifndef OI_OPS_CUSTOM_H
#define OI_OPS_CUSTOM_H

#include "ops/op.h"

#include <stdatomic.h>

/* A loaded library of operators, closed when nothing made from it is left. Any thread. */
typedef struct oi_op_library oi_op_library;
oi_status oi_op_library_open(const char *path, oi_op_library **out);
/* NULL, and a record, where it has no such function. */
void (*oi_op_library_find(const oi_op_library *l, const char *name))(void);
oi_op_library *oi_op_library_retain(oi_op_library *l);
void oi_op_library_release(oi_op_library *l); /* accepts NULL */

/* What nodes of custom operators have as their attributes. */
typedef struct {
    oi_raw_attrs raw;
} oi_custom_attrs;

typedef struct {
    oi_op op; /* first. Its domain is never "": nothing takes it for an operator of the standard */
    onnx_infer_op_def def;
    atomic_uint refs;
    oi_op_library *library; /* may be NULL */
} oi_custom_op;

/* An immutable list; each change makes a new one. Any thread. */
typedef struct oi_custom_ops oi_custom_ops;

/* *list (NULL: none yet) and one definition more. The library (may be NULL) is retained. ONNX_INFER_E_INVALID_ARGUMENT where the
 * definition is not whole, meets another one of the same name in some version, or replaces an operator of this build
 * without saying so. */
oi_status oi_custom_ops_add(oi_custom_ops **list, const onnx_infer_op_def *def, oi_op_library *library);
oi_custom_ops *oi_custom_ops_retain(oi_custom_ops *list); /* accepts NULL */
void oi_custom_ops_release(oi_custom_ops *list);          /* accepts NULL */
/* The operator for this opset version of the domain (negative: not imported, any); NULL: there is none. `list` may be NULL. */
const oi_op *oi_custom_ops_find(const oi_custom_ops *list, const char *domain, const char *name, int64_t opset);

/* What a custom operator's functions see, in one of three ways: while facts are inferred (x), while a kernel is made for a
 * plan (g), while it is evaluated (e). */
struct onnx_infer_op_context {
    const oi_custom_op *op;
    const oi_node *node;
    const oi_custom_attrs *attr;
    uint32_t nin, nout;
    oi_infer *x;
    const oi_graph *g;
    oi_eval *e;
    oi_arena *arena;          /* of what lives until the call returns; NULL: made when first needed */
    oi_arena *own_arena;
    onnx_infer_value *value;  /* by input, then by output: what the callback sees of them */
    oi_status status;         /* of what failed without the callback knowing: a parallel loop that was stopped */
};

/* Memory until the callback returns; NULL and a record without any. */
void *oi_op_context_mem(onnx_infer_op_context *c, size_t bytes);
/* What is known of input i; NULL where it is left out. */
const oi_fact *oi_op_context_fact(onnx_infer_op_context *c, size_t i, oi_fact *room);
/* The content of input i where it is known. */
const oi_tensor *oi_op_context_tensor(const onnx_infer_op_context *c, size_t i);
/* A value around a tensor, for input `at` (outputs behind them), until the callback returns. */
onnx_infer_value *oi_op_context_wrap(onnx_infer_op_context *c, size_t at, const oi_tensor *t);

#endif
