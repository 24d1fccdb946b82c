/* What the lowered forms of recurrences share: RecurrentPacked (weights of floats) and RecurrentBytes (of bytes), and the operators
 * that pack for them. Both read X, packed weights, initial_h?, initial_c? and write Y?, Y_h?, Y_c?. */
#ifndef OI_OPS_OP_RNN_LOWERED_H
#define OI_OPS_OP_RNN_LOWERED_H

#include "ops/op_rnn.h"
#include "ops/rewrite.h"

typedef struct {
    int64_t isa, kind, direction, input, hidden, linear_before_reset;
} oi_rnn_lowered_attr;
extern const oi_attr_spec oi_rnn_lowered_attrs[];

oi_status oi_rnn_lowered_infer(oi_infer *x);
oi_status oi_rnn_lowered_eval(oi_eval *e);
/* Sizes and strides for this X. */
void oi_rnn_lowered_shape(const oi_rnn_lowered_attr *a, const oi_tensor *x, oi_rnn_shape *s);

/* The inputs of a node as the standard numbers them; from OI_RNN_SCALES on DynamicQuantizeLSTM has the scales and zero points of W and
 * those of R. */
enum { OI_RNN_X, OI_RNN_W, OI_RNN_R, OI_RNN_B, OI_RNN_LENGTHS, OI_RNN_H, OI_RNN_C, OI_RNN_PEEPHOLES, OI_RNN_SCALES, OI_RNN_INPUTS = 12 };

/* Types and shapes of the inputs; in[i] is NULL where input i is left out, else &described[i]. Both have OI_RNN_INPUTS. *ready: sizes are
 * known, weights and what belongs to them are constant, and all are float32 but for those with a bit in `bytes`, of any type. */
oi_status oi_rnn_describe(const oi_graph *g, const oi_node *n, uint32_t bytes, oi_tensor *described, const oi_tensor **in, bool *ready);

/* Whether a node with these inputs (NULL: left out) and sizes has a lowered form. */
bool oi_rnn_lowers(const oi_rnn_attr *a, const oi_rnn_shape *s, const oi_tensor *const *in);
/* Stages the node's replacement by `op`, and `pack` with the inputs given for its weights; both have the attributes
 * oi_rnn_lowered_attrs. */
oi_status oi_rnn_replace(oi_rewrite *rw, oi_node_id id, const oi_target *target, const oi_rnn_shape *s, const oi_op *op, const oi_op *pack,
                         uint32_t nweights, const oi_value_id *weights);

#endif
