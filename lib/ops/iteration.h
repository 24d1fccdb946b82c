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

/* Values of a scan output, a row each, in the order of iterations. */
typedef struct {
    oi_tensor rows;   /* dim[0] is how many there is room for; type UNDEFINED before the first */
    int64_t n;
    bool into_output; /* the rows are the node's output itself: all turns will run, and rows lie as stacked */
} oi_stack;

void oi_stack_free(oi_stack *s);
/* Output i: the stacked values along a new axis, last first where reversed. With none, the shape comes from the body's
 * own fact: a dim that is not known is 0. */
oi_status oi_stack_output(oi_eval *e, uint32_t i, const oi_stack *s, int64_t axis, bool reversed, const oi_fact *body);

/* A body that is run again and again: what one turn makes of carried values goes into the next. The operator sets what
 * stands above the line and calls oi_iteration_create; the rest is the iteration's own. */
typedef struct oi_iteration oi_iteration;
struct oi_iteration {
    uint32_t nin, nout;                /* the body's formal inputs and its outputs */
    uint32_t carried, scans;           /* carried values, and outputs that are stacked */
    uint32_t carried_in, carried_out;  /* the first carried input and output; stacked outputs follow the carried ones */
    int64_t turns;                     /* at most */
    bool go;                           /* another turn is wanted */
    /* Before a turn: sets the inputs that are not carried, by oi_iteration_own and writing into that; where `lent`, it may
     * point view[i].data to memory that outlives the turn instead. */
    oi_status (*feed)(oi_eval *e, oi_iteration *s, bool lent);
    oi_status (*took)(oi_eval *e, oi_iteration *s, const oi_tensor *first); /* after it: looks at output 0; may be NULL */
    const void *arg;                   /* of the operator */
    oi_stack *scan;                    /* made by oi_iteration_create; then the operator may set into_output */
    /* ---- */
    int64_t turn;                      /* that runs next, from 0 */
    onnx_infer_value **in, **out;      /* references; in[carried_in ..] is set by the operator before the first turn */
    onnx_infer_value **spare;          /* by carried value: memory for the next result */
    oi_tensor *view, *result;          /* inputs and outputs of turns in a row; they hold nothing */
    bool steady, tried;                /* the last turn kept all shapes; turns in a row were refused for them */
};

oi_status oi_iteration_create(oi_eval *e, oi_iteration *s);
void oi_iteration_free(oi_iteration *s);
/* All turns. As soon as shapes stay as they are, the host runs the turns in a row, in the same memory. */
oi_status oi_iterate(oi_eval *e, oi_iteration *s);
/* Makes in[i] a tensor of this type and shape that nobody else holds; view[i] points to it. */
oi_status oi_iteration_own(oi_eval *e, oi_iteration *s, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims);
/* Releases what the slot holds and puts v there. */
void oi_value_swap(onnx_infer_value **slot, onnx_infer_value *v);

#endif
