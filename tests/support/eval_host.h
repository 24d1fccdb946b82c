/* Operators on their own, for tests: tensors written as text, the reference evaluator, and prepare + run. */
#ifndef EVAL_HOST_H
#define EVAL_HOST_H

#include "ops/op.h"
#include "ops/target.h"

enum { EVAL_MAX = 12 };

typedef struct {
    oi_tensor t[EVAL_MAX];
    uint32_t n;
} eval_tensors;

/* "float32 2x3: 1 2 3 4 5 6 | int64: 7 | -": type, shape (none: a scalar), elements; "-" leaves a tensor out. Text elements
 * are words. Stops the test on anything else. */
void eval_parse(const char *text, eval_tensors *out);
void eval_clear(eval_tensors *t);

/* Infers and evaluates the operator (of the standard, else of com.microsoft) by its reference on constants; fails the test where the inferred type or shape is not
 * what comes out. Attributes as oi_attr_parse_text takes them. */
oi_status eval_op(const char *op, const char *attrs, const eval_tensors *in, uint32_t nout, eval_tensors *out);
/* The same by prepare and run, the tasks of a phase in falling order, for the shapes of `out` (made by eval_op before, and overwritten);
 * false where the operator prepares nothing for them. */
bool eval_prepared(const char *op, const char *attrs, const eval_tensors *in, eval_tensors *out, oi_cpu_isa isa);

/* The same lowered: inputs with a bit in `open` are those of a graph, others its constants. False where lowering leaves the operator
 * as it is. */
bool eval_lowered(const char *op, const char *attrs, const eval_tensors *in, uint32_t open, eval_tensors *out, oi_cpu_isa isa);

/* Fails the test unless types and shapes are equal and elements differ by at most rel * |expected| + abs; NaN equals NaN,
 * and where both are 0 the signs are the same. */
void eval_expect(const eval_tensors *got, const eval_tensors *expected, double rel, double abs, const char *what);

#endif
