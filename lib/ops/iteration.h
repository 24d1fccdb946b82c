/* What Loop, Scan and If share: facts of repeated bodies, values stacked over iterations, the values of one iteration. */
#ifndef OI_OPS_ITERATION_H
#define OI_OPS_ITERATION_H

#include "ops/op.h"

/* Joins into `a` what two branches or two iterations say of a value: what they agree on stays known. */
void oi_fact_join(oi_infer *x, oi_fact *a, const oi_fact *b);
/* A fact without content: what is known of every iteration's value. */
oi_fact oi_fact_without_content(const oi_fact *f);
/* `n` facts in the inference's arena; NULL: out of memory. */
oi_fact *oi_infer_facts(oi_infer *x, uint32_t n);

/* Inputs of the node's first body but for captures. */
uint32_t oi_body_formals(const oi_node *node);

/* Values of a scan output, in the order of iterations. */
typedef struct {
    onnx_infer_value **item;
    size_t n, cap;
} oi_stack;

oi_status oi_stack_push(oi_eval *e, oi_stack *s, onnx_infer_value *v); /* takes over the reference */
void oi_stack_free(oi_eval *e, oi_stack *s);
/* Output i: the stacked values along a new axis, last first where reversed. With none, the shape comes from the body's
 * own fact: a dim that is not known is 0. */
oi_status oi_stack_output(oi_eval *e, uint32_t i, const oi_stack *s, int64_t axis, bool reversed, const oi_fact *body);

/* The values of one iteration. The caller sets the counts. */
typedef struct {
    uint32_t carried, scans, nin, nout;
    onnx_infer_value **in, **out; /* of the body: in owns its references between iterations */
    oi_stack *scan;
} oi_iteration;

oi_status oi_iteration_create(oi_eval *e, oi_iteration *s);
void oi_iteration_free(oi_eval *e, oi_iteration *s);
/* Releases what the slot holds and puts v there. */
void oi_value_swap(onnx_infer_value **slot, onnx_infer_value *v);

#endif
