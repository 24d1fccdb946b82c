/* Contributed embeddings and transforms: EmbedLayerNormalization, plain and quantised, Rfft and Irfft. */
#include "ops/contrib.h"

typedef struct {
    float epsilon;
    int64_t mask_index_type;
} embed_attr;

static const oi_attr_spec embed_attrs[] = {OI_FLOAT_ATTR(embed_attr, epsilon, 1e-12f), OI_INT_ATTR(embed_attr, mask_index_type, 0), {0}};
static const oi_attr_spec quantized_attrs[] = {OI_FLOAT_ATTR(embed_attr, epsilon, 1e-12f), {0}};

/* Input `at`, or what it stands for by the scale and zero point at input `scale`. */
static oi_value_id wide(oi_expand *x, oi_value_id v, uint32_t scale)
{
    return scale ? OI_NODE(x, "DequantizeLinear", NULL, v, oi_expand_in(x, scale), oi_expand_in(x, scale + 5)) : v;
}

static oi_value_id rows(oi_expand *x, uint32_t table, oi_value_id ids, uint32_t scale)
{
    return wide(x, OI_NODE(x, "Gather", "axis=0", oi_expand_in(x, table), ids), scale);
}

/* 0, 1, ... for each token of a sample. */
static oi_value_id places(oi_expand *x, oi_value_id ids)
{
    static const int64_t numbers[] = {0, 1};
    oi_value_id zero = oi_expand_ints(x, 0, 1, numbers), one = oi_expand_ints(x, 0, 1, numbers + 1);
    oi_value_id length = OI_NODE(x, "Gather", "axis=0", OI_NODE(x, "Shape", NULL, ids), one);
    return OI_NODE(x, "Range", NULL, zero, length, one);
}

/* How many tokens of each sample the mask shows; without a mask zeros. */
static oi_value_id mask_index(oi_expand *x, oi_value_id ids, oi_value_id mask)
{
    oi_value_id counted = mask == OI_NONE ? OI_NODE(x, "Sub", NULL, ids, ids) : mask;
    return OI_NODE(x, "ReduceSum", "keepdims=0", counted, oi_expand_int(x, 1));
}

/* input_ids, segment_ids, the tables of words, positions and segments, gamma, beta, mask; then position_ids, or of the
 * quantised form five scales and five zero points. */
static oi_status import_embed(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const embed_attr *a = x.attr;
    bool quantized = im->op == &oi_op_ms_QEmbedLayerNormalization;
    oi_value_id ids = im->in[0], given = quantized ? OI_NONE : oi_expand_in(&x, 8);
    oi_value_id sum = oi_expand_add(&x, rows(&x, 2, ids, quantized ? 8 : 0),
                                    rows(&x, 3, given == OI_NONE ? places(&x, ids) : given, quantized ? 9 : 0));
    if (oi_expand_in(&x, 1) != OI_NONE)
        sum = oi_expand_add(&x, sum, rows(&x, 4, oi_expand_in(&x, 1), quantized ? 10 : 0));
    oi_value_id gamma = wide(&x, im->in[5], quantized ? 11 : 0), beta = wide(&x, im->in[6], quantized ? 12 : 0);
    oi_expand_out(&x, 0, OI_NODE(&x, "LayerNormalization", oi_expand_float(&x, "epsilon", a->epsilon), sum, gamma, beta));
    if (oi_expand_wants(&x, 1))
        oi_expand_out(&x, 1, mask_index(&x, ids, oi_expand_in(&x, 7)));
    oi_expand_out(&x, 2, sum);
    return oi_expand_end(&x);
}

/* --- Fourier transforms of real signals --- */

typedef struct {
    int64_t normalized, onesided, signal_ndim;
} fft_attr;

static const oi_attr_spec fft_attrs[] = {
    OI_INT_ATTR(fft_attr, normalized, 0), OI_INT_ATTR(fft_attr, onesided, 1), OI_INT_ATTR(fft_attr, signal_ndim, 1), {0}};

static oi_value_id transform(oi_expand *x, oi_value_id v, int64_t axis, bool half, bool inverse)
{
    const char *attrs = oi_expand_text(x, "onesided=%d, inverse=%d", half, inverse);
    return OI_NODE(x, "DFT", attrs, v, OI_NONE, oi_expand_ints(x, 0, 1, &axis));
}

/* The last axis of a signal is the one whose spectrum is stored by half. */
static oi_status import_fft(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const fft_attr *a = x.attr;
    bool inverse = im->op == &oi_op_ms_Irfft;
    oi_value_id v = im->in[0], last = oi_expand_int(&x, -1);
    OI_FAIL_IF(a->normalized || !a->onesided || a->signal_ndim < 1 || a->signal_ndim > 3, ONNX_INFER_E_UNSUPPORTED_OP,
               "%s that is normalised, of whole spectra or of %lld axes is not in this build", im->op->name, (long long)a->signal_ndim);
    if (!inverse)
        v = transform(&x, OI_NODE(&x, "Unsqueeze", NULL, v, last), -2, true, false);
    for (int64_t i = 1; i < a->signal_ndim; i++)
        v = transform(&x, v, -2 - i, false, inverse);
    if (inverse)
        v = OI_NODE(&x, "Squeeze", NULL, transform(&x, v, -2, true, true), last);
    oi_expand_out(&x, 0, v);
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_ms_EmbedLayerNormalization = {
    OI_EXPANDED("EmbedLayerNormalization", MS, 7, 9, 1, 3, import_embed), OI_WITH(embed_attrs, embed_attr)};
const oi_op oi_op_ms_QEmbedLayerNormalization = {
    OI_EXPANDED("QEmbedLayerNormalization", MS, 18, 18, 1, 2, import_embed), OI_WITH(quantized_attrs, embed_attr)};
const oi_op oi_op_ms_Rfft = {OI_EXPANDED("Rfft", MS, 1, 1, 1, 1, import_fft), OI_WITH(fft_attrs, fft_attr)};
const oi_op oi_op_ms_Irfft = {OI_EXPANDED("Irfft", MS, 1, 1, 1, 1, import_fft), OI_WITH(fft_attrs, fft_attr)};
