/* What the reference and the fast path of RNN, GRU and LSTM share. */
#ifndef OI_OPS_OP_RNN_H
#define OI_OPS_OP_RNN_H

#include "kernels/kernels.h"
#include "ops/op.h"

typedef enum { OI_RNN_PLAIN, OI_RNN_GRU, OI_RNN_LSTM } oi_rnn_kind;
typedef enum { OI_RNN_FORWARD, OI_RNN_REVERSE, OI_RNN_BIDIRECTIONAL } oi_rnn_direction;

typedef struct {
    oi_floats activation_alpha, activation_beta;
    oi_strings activations;
    float clip; /* 0: none */
    int64_t direction, hidden_size, input_forget, layout, linear_before_reset;
} oi_rnn_attr;

typedef enum {
    OI_RNN_RELU, OI_RNN_TANH, OI_RNN_SIGMOID, OI_RNN_AFFINE, OI_RNN_LEAKY_RELU, OI_RNN_THRESHOLDED_RELU,
    OI_RNN_SCALED_TANH, OI_RNN_HARD_SIGMOID, OI_RNN_ELU, OI_RNN_SOFTSIGN, OI_RNN_SOFTPLUS
} oi_rnn_function;

typedef struct {
    oi_rnn_function f;
    double alpha, beta;
} oi_rnn_activation;

/* Sizes and activations of a node for given inputs. Strides are in elements. */
typedef struct {
    oi_rnn_kind kind;
    int64_t gates, dirs, seq, batch, input, hidden;
    int64_t x_seq, x_batch;          /* of X [seq, batch, input] or with layout 1 [batch, seq, input] */
    int64_t y_seq, y_dir, y_batch;   /* of Y */
    int64_t h_dir, h_batch;          /* of initial and final states */
    oi_rnn_activation act[2][3];     /* f, g, h of each direction */
    bool reverse[2];
    bool coarse;                     /* X and the states that the recurrent product sees are rounded to 8 bits */
} oi_rnn_shape;

/* inputs: X, W, R and the optional others as the standard numbers them; NULL where left out. */
oi_status oi_rnn_resolve(const oi_op *op, const oi_rnn_attr *a, const oi_tensor *const *in, uint32_t nin, oi_rnn_shape *s);
/* Strides from the sizes; batch_first: layout 1. */
void oi_rnn_set_strides(oi_rnn_shape *s, bool batch_first);
/* A step of an LSTM: z has the products of `batch` rows, ldz apart, of gates i, o, f, c; it is used up. h, c: dense. */
void oi_rnn_lstm_gates(const oi_kernels *kernels, size_t batch, size_t hidden, float *z, size_t ldz, float *h, float *c);

oi_status oi_rnn_infer(oi_infer *x);
oi_status oi_rnn_eval(oi_eval *e);
/* With constant weights: RecurrentPacked. */
oi_status oi_rnn_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);

/* Weights of DynamicQuantizeLSTM, described as the standard has W and R; the data stays as it is. */
oi_tensor oi_rnn_bytes_form(const oi_tensor *weights);
/* Weights `at` 1 (W) or 2 (R) of it in float32 and in the standard's order, in scratch memory; in[] has all inputs, W and R in
 * the form above. */
oi_status oi_rnn_bytes_widen(oi_eval *e, const oi_rnn_shape *s, const oi_tensor *const *in, uint32_t at, const void **out);

extern const oi_attr_spec oi_rnn_lstm_attrs[];
extern const oi_op oi_op_oi_PackRecurrent, oi_op_oi_RecurrentPacked, oi_op_oi_PackRecurrentBytes, oi_op_oi_RecurrentBytes;
extern const oi_op oi_op_RNN, oi_op_GRU, oi_op_LSTM, oi_op_ms_DynamicQuantizeLSTM;

#endif
