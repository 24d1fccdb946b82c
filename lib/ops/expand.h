/* Expanding a node into several while it is imported: for operators that are a combination of others. A hook calls
 * oi_expand_begin, builds, gives each output its value and returns oi_expand_end. Builder calls keep the first failure and
 * do nothing after it, so a hook need not check in between. Facts are known of inputs and constants only: what an
 * expansion makes must be right for any rank and element type. */
#ifndef OI_OPS_EXPAND_H
#define OI_OPS_EXPAND_H

#include "ops/op.h"

#include <stdarg.h>

typedef struct {
    oi_import *im;
    const void *attr;  /* the operator's struct, parsed from the file's attributes; NULL where it has none */
    oi_status status;
} oi_expand;

/* Checks the node's numbers of inputs and outputs, reads its attributes. */
oi_status oi_expand_begin(oi_expand *x, oi_import *im);
/* The first failure; all outputs that the node has were given. */
oi_status oi_expand_end(oi_expand *x);
void oi_expand_fail(oi_expand *x, oi_status status);

oi_value_id oi_expand_in(const oi_expand *x, uint32_t i); /* OI_NONE: left out */
bool oi_expand_wants(const oi_expand *x, uint32_t i);     /* output i is there */
/* Output i of the node is v. Nothing happens where the node does not have it. */
void oi_expand_out(oi_expand *x, uint32_t i, oi_value_id v);
/* What is known of a value: -1 and ONNX_INFER_UNDEFINED where nothing is. */
int32_t oi_expand_rank(const oi_expand *x, oi_value_id v);
oi_dtype oi_expand_dtype(const oi_expand *x, oi_value_id v);

/* Appends a node with one output; `op` is an operator of ai.onnx, com.microsoft or onnx_infer, attrs its newest form as
 * text (may be NULL). */
oi_value_id oi_expand_node(oi_expand *x, const char *op, const char *attrs, uint32_t nin, const oi_value_id *in);
/* The same with n outputs. */
void oi_expand_nodes(oi_expand *x, const char *op, const char *attrs, uint32_t nin, const oi_value_id *in, uint32_t n,
                     oi_value_id *out);
#define OI_NODE(x, op, attrs, ...)                                                                                   \
    oi_expand_node(x, op, attrs, sizeof((oi_value_id[]){__VA_ARGS__}) / sizeof(oi_value_id), (oi_value_id[]){__VA_ARGS__})
/* Appends a node that has the attributes of the one being imported as they stand in the file (hooks may drop and set some
 * before), for operators that these go on to. */
oi_value_id oi_expand_same(oi_expand *x, const char *op, uint32_t nin, const oi_value_id *in);
void oi_expand_same_nodes(oi_expand *x, const char *op, uint32_t nin, const oi_value_id *in, uint32_t n, oi_value_id *out);
/* Text in the graph's arena; "" after a failure. */
const char *oi_expand_text(oi_expand *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "name=" and a float that reads back as the same, for oi_expand_text's %s. */
const char *oi_expand_float(oi_expand *x, const char *name, float v);

oi_value_id oi_expand_ints(oi_expand *x, int32_t rank /* 0 or 1 */, uint32_t n, const int64_t *v);
oi_value_id oi_expand_int(oi_expand *x, int64_t v); /* rank 1, one element */
/* A scalar of the element type of `like`. */
oi_value_id oi_expand_scalar(oi_expand *x, float v, oi_value_id like);

/* Combinations that many expansions need. An OI_NONE operand leaves the other as it is. */
oi_value_id oi_expand_add(oi_expand *x, oi_value_id a, oi_value_id b);
oi_value_id oi_expand_mul(oi_expand *x, oi_value_id a, oi_value_id b);
/* v with its last two axes exchanged; vectors stay where their rank is known. */
oi_value_id oi_expand_swap(oi_expand *x, oi_value_id v);
/* Channels moved from the last axis to the second, and back. */
oi_value_id oi_expand_channels_first(oi_expand *x, oi_value_id v);
oi_value_id oi_expand_channels_last(oi_expand *x, oi_value_id v);

/* infer and eval of operators that import always replaces. */
oi_status oi_expanded_infer(oi_infer *x);
oi_status oi_expanded_eval(oi_eval *e);

#endif
