/* The activation that lowered operators apply to their result. */
#ifndef OI_OPS_ACTIVATION_H
#define OI_OPS_ACTIVATION_H

#include "kernels/kernels.h"
#include "ops/op.h"

/* In the order of oi_unary, for ENUM attributes. */
#define OI_ACTIVATION_WORDS                                                                                              \
    "none|relu|clip|leaky_relu|thresholded_relu|hard_sigmoid|hard_swish|sigmoid|swish|tanh|gelu_erf|gelu_tanh|mish|elu|" \
    "selu|celu|softplus|softsign|exp|log|erf|sqrt|rsqrt|reciprocal|abs|neg|floor|ceil|round|sign|square|affine|sin|cos|" \
    "quantise_u8|quantise_s8"

typedef struct {
    int64_t kind; /* oi_unary */
    float p0, p1;
    int64_t residual_after; /* the residual is added to the activation's result, not before it */
} oi_activation;

/* Rows of an attribute table for an oi_activation at `field` of struct `type`. */
#define OI_ACTIVATION_ATTRS(owner, field)                                                                                \
    {.name = "activation", .type = OI_ATTR_ENUM, .offset = offsetof(owner, field.kind), .s = OI_ACTIVATION_WORDS},        \
    {.name = "p0", .type = OI_ATTR_FLOAT, .offset = offsetof(owner, field.p0)},                                           \
    {.name = "p1", .type = OI_ATTR_FLOAT, .offset = offsetof(owner, field.p1)},                                           \
    {.name = "residual_after", .type = OI_ATTR_INT, .offset = offsetof(owner, field.residual_after)}

static inline oi_epilogue oi_activation_epilogue(const oi_activation *a, const void *bias, const void *residual)
{
    oi_epilogue e = oi_epilogue_none();
    e.bias = bias;
    e.residual = residual;
    e.residual_after = a->residual_after != 0;
    e.act = (oi_unary)a->kind;
    e.p0 = a->p0;
    e.p1 = a->p1;
    return e;
}

#endif
