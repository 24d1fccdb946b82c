/* The rules of the stages, one function each; optimizer.c says when they run. A rule looks at one node and stages a
 * rewrite of it, or stages nothing. */
#ifndef OI_OPTIMIZER_RULES_H
#define OI_OPTIMIZER_RULES_H

#include "ops/rewrite.h"

/* simplify_noop.c */
oi_status oi_rule_idle(oi_rewrite *rw, oi_node_id id);           /* x where an operator leaves its input as it is */
oi_status oi_rule_twice(oi_rewrite *rw, oi_node_id id);          /* Neg(Neg(x)) -> x */
oi_status oi_rule_constant_right(oi_rewrite *rw, oi_node_id id); /* Mul(c, x) -> Mul(x, c) */

/* simplify_move.c */
oi_status oi_rule_transposes(oi_rewrite *rw, oi_node_id id);     /* Transpose(Transpose(x)) -> Transpose(x) */
oi_status oi_rule_flat_transpose(oi_rewrite *rw, oi_node_id id); /* Transpose that moves only axes of size 1 -> Reshape */
oi_status oi_rule_views(oi_rewrite *rw, oi_node_id id);          /* Reshape(Squeeze(x)) -> Reshape(x) */
oi_status oi_rule_views_behind(oi_rewrite *rw, oi_node_id id);   /* Add(Reshape(x), Reshape(y)) -> Reshape(Add(x, y)) */
oi_status oi_rule_casts(oi_rewrite *rw, oi_node_id id);          /* Cast(Cast(x)) -> Cast(x) where the first loses nothing */

/* fuse_affine.c: x * scale + shift by output channel, of BatchNormalization, Neg, Mul, Div, Add and Sub */
oi_status oi_rule_affine(oi_rewrite *rw, oi_node_id id);         /* ... behind Conv, ConvTranspose or Gemm -> into its weights */

oi_status oi_rule_scale_columns(oi_rewrite *rw, oi_node_id id);  /* ... behind MatMul -> into its weights */
oi_status oi_rule_affine_before(oi_rewrite *rw, oi_node_id id);  /* ... in front of Conv without pads -> into its weights */
oi_status oi_rule_affine_conv(oi_rewrite *rw, oi_node_id id);    /* ... by itself -> depthwise Conv of 1x1; for lowering */

/* gather_before.c */
oi_status oi_rule_gather_before(oi_rewrite *rw, oi_node_id id); /* Gather(Mul(Cast(W), s), i) -> Mul(Cast(Gather(W, i)), s) */

/* transposed_weights.c */
oi_status oi_rule_transposed_weights(oi_rewrite *rw, oi_node_id id); /* MatMul(x, Transpose(W)) -> lowered with W as it lies */

/* move_scalar.c: x * c and x / c with a scalar constant travel against the data, to where weights take them in */
oi_status oi_rule_scalar_up(oi_rewrite *rw, oi_node_id id);      /* Mul(Transpose(x), c) -> Transpose(Mul(x, c)), ... */
oi_status oi_rule_two_factors(oi_rewrite *rw, oi_node_id id);    /* MatMul(a c, b d) -> MatMul(a (c d), b) */

/* move_transpose.c */
oi_status oi_rule_transpose_down(oi_rewrite *rw, oi_node_id id);   /* Add(Transpose(x), Transpose(y)) -> Transpose(Add(x, y)) */
oi_status oi_rule_transpose_concat(oi_rewrite *rw, oi_node_id id); /* Concat(Transpose(x), Transpose(y)) -> Transpose(Concat(x, y)) */

/* move_axes.c */
oi_status oi_rule_transpose_sum(oi_rewrite *rw, oi_node_id id);    /* ReduceMean(Transpose(x)) -> Transpose(ReduceMean(x)), ... */
oi_status oi_rule_transpose_choice(oi_rewrite *rw, oi_node_id id); /* Slice(Transpose(x)) -> Transpose(Slice(x)), ... */

/* split_gathers.c */
oi_status oi_rule_split_gathers(oi_rewrite *rw, oi_node_id id); /* Gather(x, 0), Gather(x, 1), ... -> Split(x) */

/* upsample_conv.c */
oi_status oi_rule_upsample_conv(oi_rewrite *rw, oi_node_id id); /* Conv(Resize(x), W) -> DepthToSpace(Conv(x, W')) */
oi_status oi_rule_depth_behind(oi_rewrite *rw, oi_node_id id);  /* Relu(DepthToSpace(x)) -> DepthToSpace(Relu(x)) */

/* move_bias.c */
oi_status oi_rule_bias_up(oi_rewrite *rw, oi_node_id id);        /* Add(Reshape(MatMul(x, w)), c) -> Reshape(Add(MatMul(x, w), c)) */

/* absorb_pad.c */
oi_status oi_rule_absorb_pad(oi_rewrite *rw, oi_node_id id);     /* Conv(Pad(x, 0)) -> Conv(x) {pads}, also through Relu, Transpose, ... */
oi_status oi_rule_pads(oi_rewrite *rw, oi_node_id id);           /* Pad(Pad(x)) -> Pad(x) */

/* crop_transposed.c */
oi_status oi_rule_crop_transposed(oi_rewrite *rw, oi_node_id id); /* Slice(ConvTranspose(x)) -> ConvTranspose(x) {pads} */

/* concat_chain.c */
oi_status oi_rule_concats(oi_rewrite *rw, oi_node_id id);        /* Concat(Concat(x, y), z) -> Concat(x, y, z) */

/* blocks_conv.c */
oi_status oi_rule_blocks_conv(oi_rewrite *rw, oi_node_id id);    /* Conv(SpaceToDepth(x), W), also as slices -> Conv(x, W') */

/* fuse_space.c */
oi_status oi_rule_space(oi_rewrite *rw, oi_node_id id); /* Reshape(Transpose(Reshape(x))) -> DepthToSpace(x), SpaceToDepth(x) */

/* move_expand.c */
oi_status oi_rule_expanded(oi_rewrite *rw, oi_node_id id);       /* Div(x, Expand(n)) -> Div(x, n) */

/* lower_views.c */
oi_status oi_rule_product_in_views(oi_rewrite *rw, oi_node_id id); /* Reshape(GemmPacked(x)) -> GemmPacked(Reshape(x)) */

/* cut_taps.c; for lowering */
oi_status oi_rule_cut_taps(oi_rewrite *rw, oi_node_id id);      /* Conv(x, W) -> Conv(x, Slice(W)) without taps in padding only */

/* fuse_quantise.c; for lowering */
oi_status oi_rule_quantise_pair(oi_rewrite *rw, oi_node_id id); /* DequantizeLinear(QuantizeLinear(x)) -> QuantizeDequantize(x) */
oi_status oi_rule_quantised(oi_rewrite *rw, oi_node_id id);     /* ... of what is quantised so already -> gone */

/* match_bytes.c: quantised operators on integers; for lowering */
oi_status oi_rule_quantised_operator(oi_rewrite *rw, oi_node_id id); /* QuantizeLinear(Conv(DequantizeLinear(x), ...)) -> ConvBytes(x) */
oi_status oi_rule_quantised_function(oi_rewrite *rw, oi_node_id id); /* QuantizeLinear(Sigmoid(DequantizeLinear(x))) -> LookupBytes(x) */
oi_status oi_rule_bytes_transposed(oi_rewrite *rw, oi_node_id id);   /* Transpose(Transpose(x)) -> x, of bytes */
oi_status oi_rule_bytes_down(oi_rewrite *rw, oi_node_id id);         /* BinaryBytes(Transpose(x), Transpose(y)) -> Transpose(BinaryBytes(x, y)) */
oi_status oi_rule_bytes_views(oi_rewrite *rw, oi_node_id id);        /* Reshape(Reshape(x)) -> Reshape(x), of bytes */
oi_status oi_rule_bytes_residual(oi_rewrite *rw, oi_node_id id);     /* BinaryBytes(ConvBytes(x), y) -> ConvBytes(x, y) */

/* fuse_activation.c */
oi_status oi_rule_hard_sigmoid(oi_rewrite *rw, oi_node_id id);   /* Div(Clip(x + 3, 0, 6), 6) -> HardSigmoid(x) */
oi_status oi_rule_hard_sigmoid_clip(oi_rewrite *rw, oi_node_id id); /* Clip(a x + b, 0, 1) -> HardSigmoid(x) */
oi_status oi_rule_hard_swish(oi_rewrite *rw, oi_node_id id);     /* x * HardSigmoid(x), x * Clip(x + 3, 0, 6) / 6 -> HardSwish */
oi_status oi_rule_sigmoid(oi_rewrite *rw, oi_node_id id);        /* 1 / (1 + Exp(-x)) -> Sigmoid(x), x / (1 + Exp(-x)) -> Swish(x) */
oi_status oi_rule_swish(oi_rewrite *rw, oi_node_id id);          /* x * Sigmoid(x), x * Sigmoid(c x) -> Swish(x) */
oi_status oi_rule_mish(oi_rewrite *rw, oi_node_id id);           /* x * Tanh(Softplus(x)) -> Mish(x) */
oi_status oi_rule_softsign(oi_rewrite *rw, oi_node_id id);       /* x / (1 + Abs(x)) -> Softsign(x) */
oi_status oi_rule_slope_max(oi_rewrite *rw, oi_node_id id);      /* Max(x, c x) -> LeakyRelu(x) */
oi_status oi_rule_slope_where(oi_rewrite *rw, oi_node_id id);    /* Where(x > 0, x, c x) -> LeakyRelu(x), PRelu(x, c) */
oi_status oi_rule_slope_sum(oi_rewrite *rw, oi_node_id id);      /* Relu(x) - c Relu(-x) -> LeakyRelu(x), PRelu(x, c) */

/* fuse_bounds.c */
oi_status oi_rule_bounds(oi_rewrite *rw, oi_node_id id);         /* Min(Max(x, a), b) -> Clip(x, a, b), Max(x, 0) -> Relu(x), ... */

/* fuse_gelu.c */
oi_status oi_rule_gelu_erf(oi_rewrite *rw, oi_node_id id);       /* x * (1 + Erf(x / sqrt 2)) / 2 -> Gelu(x) */
oi_status oi_rule_gelu_tanh(oi_rewrite *rw, oi_node_id id);      /* x * (1 + Tanh(c (x + 0.044715 x^3))) / 2 -> Gelu(x), and by Sigmoid */

/* fuse_attention.c: while lowering, as it needs sizes */
oi_status oi_rule_attention_pieces(oi_rewrite *rw, oi_node_id id);   /* MatMul(Softmax(MatMul(q, k) ...), v) -> AttentionStrided */
oi_status oi_rule_attention_operator(oi_rewrite *rw, oi_node_id id); /* Attention -> AttentionStrided */

/* fuse_qkv.c */
oi_status oi_rule_projections(oi_rewrite *rw, oi_node_id id);    /* AttentionStrided(x Wq, x Wk, x Wv) -> ... (x [Wq Wk Wv]) */

/* fuse_rotary.c */
oi_status oi_rule_rotary(oi_rewrite *rw, oi_node_id id);          /* x cos + Concat(-x2, x1) sin -> RotaryStrided */
oi_status oi_rule_rotary_parts(oi_rewrite *rw, oi_node_id id);    /* Concat(x1 cos - x2 sin, x2 cos + x1 sin) -> RotaryStrided */
oi_status oi_rule_rotary_rest(oi_rewrite *rw, oi_node_id id);    /* Concat(RotaryStrided(x), rest of x) -> RotaryStrided */
oi_status oi_rule_rotary_operator(oi_rewrite *rw, oi_node_id id); /* RotaryEmbedding -> RotaryStrided */

/* fuse_layernorm.c */
oi_status oi_rule_layer_norm(oi_rewrite *rw, oi_node_id id);     /* (x - mean) / sqrt(var + eps) -> LayerNormalization(x, 1) */
oi_status oi_rule_layer_norm_channels(oi_rewrite *rw, oi_node_id id); /* the same over axis 1 -> Transpose(LayerNormalization(Transpose(x), 1)) */
oi_status oi_rule_rms_norm(oi_rewrite *rw, oi_node_id id);       /* x / sqrt(mean(x^2) + eps) -> RMSNormalization(x, 1) */
oi_status oi_rule_norm_scale(oi_rewrite *rw, oi_node_id id);     /* LayerNormalization(x, 1) * c -> LayerNormalization(x, c) */
oi_status oi_rule_norm_bias(oi_rewrite *rw, oi_node_id id);      /* LayerNormalization(x, c) + d -> LayerNormalization(x, c, d) */
oi_status oi_rule_norm_split(oi_rewrite *rw, oi_node_id id);     /* x k - mean k (+ d), k = c / sqrt(var + eps) -> LayerNormalization */

/* fuse_norm_sum.c; behind the epilogues */
oi_status oi_rule_norm_of_sum(oi_rewrite *rw, oi_node_id id);    /* LayerNormalization(Add(x, y)) -> NormOfSum(x, y), also RMSNormalization */

/* fuse_l2.c; for lowering */
oi_status oi_rule_l2(oi_rewrite *rw, oi_node_id id);             /* x / Max(ReduceL2(x), e), ... -> NormalizeL2(x) */

/* fuse_scale.c; behind the epilogues */
oi_status oi_rule_scaled_channels(oi_rewrite *rw, oi_node_id id); /* ConvBlocked(Mul(x, s), W) -> ConvBlocked(x, W, s) */

/* fuse_mean.c */
oi_status oi_rule_mean(oi_rewrite *rw, oi_node_id id);           /* ReduceSum(x) / n -> ReduceMean(x) */

/* fuse_groupnorm.c */
oi_status oi_rule_group_norm(oi_rewrite *rw, oi_node_id id);     /* Reshape(InstanceNormalization(Reshape(x))) -> GroupNormalization */
oi_status oi_rule_channel_norm(oi_rewrite *rw, oi_node_id id);   /* InstanceNormalization(x, s, b) * c -> ... (x, s c, b c), ... */

/* fuse_cell.c */
oi_status oi_rule_cell(oi_rewrite *rw, oi_node_id id);           /* Scan, Loop over a cell -> LSTM, GRU, RNN */

/* fuse_softmax.c */
oi_status oi_rule_log_softmax(oi_rewrite *rw, oi_node_id id);    /* d - Log(ReduceSum(Exp(d))), d = x - ReduceMax(x) -> LogSoftmax(x) */
oi_status oi_rule_softmax(oi_rewrite *rw, oi_node_id id);        /* e / ReduceSum(e), e = Exp(x - ReduceMax(x)) -> Softmax(x) */

#endif
