/* Convolutions of bytes as kernels do them: channels last, weights packed, scales known. */
#ifndef OI_OPS_OP_CONV_BYTES_H
#define OI_OPS_OP_CONV_BYTES_H

#include "ops/op_conv.h"
#include "ops/target.h"

/* How bytes stand for numbers: (code - zero) * scale. */
typedef struct {
    float scale;
    int32_t zero;
    bool is_signed;
} oi_codes;

/* ConvBytes(X [N,H,W,C], packed, w_scale [1 or oc], bias int32 [oc]?, w_zero [1 or oc]?, residual?) -> [N,OH,OW,OC], bytes. The
 * results have codes of y_scale and y_zero between low and high. With a residual these are added, as numbers, to the
 * residual's, and the sum gets codes of sum_scale and sum_zero. */
typedef struct {
    int64_t isa, channels, out_channels, group;
    oi_ints kernel, strides, dilations; /* 2 each */
    oi_ints pads;                       /* top, left, bottom, right */
    oi_ints out;                        /* output height and width */
    int64_t columns, w_signed;          /* columns: the weights were a matrix [C][OC] */
    int64_t x_zero, y_zero, y_signed, low, high;
    float x_scale, y_scale;
    int64_t r_zero, sum_zero, sum_signed, sum_low, sum_high;
    float r_scale, sum_scale;
} oi_conv_bytes_attr;

/* PackConvBytes(W) -> the kernels' form, as uint8. */
typedef struct {
    int64_t isa, channels, out_channels, group;
    oi_ints kernel;
    int64_t columns;
} oi_pack_conv_bytes_attr;

/* BinaryBytes(A, B): the sum or product of two tensors of one shape, as codes between low and high. */
typedef struct {
    int64_t product;
    float a_scale, b_scale, y_scale;
    int64_t a_zero, b_zero, y_zero, y_signed, low, high;
} oi_binary_bytes_attr;

/* PoolBytes(X [N,H,W,C]) -> [N,OH,OW,C]: the largest code, or the average of the whole image as codes of y_scale and y_zero. */
typedef struct {
    int64_t average;
    oi_ints kernel, strides, dilations, pads, out;
    int64_t x_zero, y_zero, y_signed, low, high;
    float x_scale, y_scale;
} oi_pool_bytes_attr;

/* LookupBytes(X, table [256]) -> X's shape: the table's elements at the places that the bits of X's codes name. */

typedef struct {
    oi_value_id x;                  /* plain, [N,C,H,W], or with `last` [N,H,W,C] */
    oi_value_id w, w_scale, w_zero; /* constants; w_zero OI_NONE: 0. w [oc,c/group,kh,kw], or with `columns` [c,oc] */
    oi_value_id bias;               /* int32 [oc], OI_NONE: none */
    oi_codes x_codes, y_codes;
    int32_t low, high;              /* codes of the result */
    bool last, columns;
    const oi_conv_attr *conv;       /* NULL: of one pixel each */
} oi_conv_bytes_spec;

/* Stages PackConvBytes and ConvBytes between the Transposes they need. OI_NONE without rw->status set: there is no kernel for it. */
oi_value_id oi_conv_bytes_build(oi_rewrite *rw, const oi_conv_bytes_spec *spec, const oi_target *target);
/* The lowest and highest code. */
static inline int32_t oi_codes_low(bool is_signed) { return is_signed ? -128 : 0; }
static inline int32_t oi_codes_high(bool is_signed) { return is_signed ? 127 : 255; }
/* Scale and zero point (OI_NONE: 0) of one element each, constants; `type` is that of the codes. False where they are not. */
bool oi_codes_read(const oi_graph *g, oi_value_id scale, oi_value_id zero, oi_dtype type, oi_codes *codes);
oi_value_id oi_bytes_to_last(oi_rewrite *rw, oi_value_id v);   /* [N,C,H,W] -> [N,H,W,C] */
oi_value_id oi_bytes_from_last(oi_rewrite *rw, oi_value_id v); /* and back */

oi_status oi_qlinear_conv_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);
/* MaxPool of bytes. */
oi_status oi_pool_bytes_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);

extern const oi_op oi_op_oi_ConvBytes, oi_op_oi_PackConvBytes, oi_op_oi_BinaryBytes, oi_op_oi_LookupBytes, oi_op_oi_PoolBytes;

#endif
