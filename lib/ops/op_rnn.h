/* What the reference and the fast path of RNN, GRU and LSTM share. */
#ifndef OI_OPS_OP_RNN_H
#define OI_OPS_OP_RNN_H

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
    bool coarse;                     /* the recurrent product sees states rounded to 8 bits */
} oi_rnn_shape;

/* inputs: X, W, R and the optional others as the standard numbers them; NULL where left out. */
oi_status oi_rnn_resolve(const oi_op *op, const oi_rnn_attr *a, const oi_tensor *const *in, uint32_t nin, oi_rnn_shape *s);
oi_status oi_rnn_prepare(oi_prepare *p);
/* Rows of n numbers as 8 bits and one scale hold them. */
void oi_rnn_coarsen(int64_t rows, int64_t n, const float *v, float *out);

extern const oi_op oi_op_RNN, oi_op_GRU, oi_op_LSTM, oi_op_oi_LSTMCoarse;

#endif
