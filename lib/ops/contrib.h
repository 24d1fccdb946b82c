/* What the files of contributed operators share: definitions of operators that import expands. */
#ifndef OI_OPS_CONTRIB_H
#define OI_OPS_CONTRIB_H

#include "ops/expand.h"

/* The fields of an operator that its import hook always replaces, with from in0 to in1 inputs, out0 to out1 outputs. */
#define OI_EXPANDED(label, dom, in0, in1, out0, out1, hook)                                                       \
    .name = label, .domain = dom, .since = 1, .newest = 1, .min_in = in0, .max_in = in1, .min_out = out0,         \
    .max_out = out1, .import = hook, .infer = oi_expanded_infer, .eval = oi_expanded_eval
#define OI_WITH(specs, record) .attrs = specs, .attr_size = sizeof(record)

/* Entries of tables of attributes. */
#define OI_INT_ATTR(record, label, value) {.name = #label, .type = OI_ATTR_INT, .offset = offsetof(record, label), .i = value}
#define OI_FLOAT_ATTR(record, label, value) {.name = #label, .type = OI_ATTR_FLOAT, .offset = offsetof(record, label), .f = value}
#define OI_INTS_ATTR(record, label) {.name = #label, .type = OI_ATTR_INTS, .offset = offsetof(record, label)}
#define OI_TEXT_ATTR(record, label) {.name = #label, .type = OI_ATTR_STRING, .offset = offsetof(record, label)}
#define OI_NEEDED_INT(record, label) \
    {.name = #label, .type = OI_ATTR_INT, .offset = offsetof(record, label), .flags = OI_ATTR_REQUIRED}

/* For hooks that serve several. */
extern const oi_op oi_op_ms_DecoderMaskedMultiHeadAttention, oi_op_ms_FastGelu, oi_op_ms_FusedConv, oi_op_ms_Irfft,
    oi_op_ms_NhwcConv, oi_op_ms_QEmbedLayerNormalization, oi_op_ms_QuantizeLinear,
    oi_op_ms_SkipSimplifiedLayerNormalization;

/* The node as one of ai.onnx of the given opset with the same inputs, attributes and outputs. */
oi_status oi_import_as(oi_import *im, const char *op, int64_t opset);
/* v after the activation `name` of a fused operator; p: its parameters, n of them (others take their defaults). */
oi_value_id oi_expand_activation(oi_expand *x, const char *name, uint32_t n, const float *p, oi_value_id v);

#endif
