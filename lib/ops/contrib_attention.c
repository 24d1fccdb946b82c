/* Contributed attention: all of them become the standard's Attention, with masks, positions and caches made by
 * op_attention_mask.c where theirs have other forms. */
#include "ops/contrib.h"

#include <math.h>

typedef struct {
    oi_value_id q, k, v;             /* [batch, length, size]; k and v also [batch, heads, length, size] */
    oi_value_id mask, bias;          /* mask_index of any form; what is added to scores */
    oi_value_id past_key, past_value;
    int64_t heads, kv_heads, causal;
    float scale, filter, softcap;    /* scale 0: the usual one */
    int mode;                        /* of output 3 */
    bool apart;                      /* k and v are of rank 4 */
} parts;

enum { OUT_Y, OUT_KEY, OUT_VALUE, OUT_SCORES, OUTS };
enum { MODE_BIASED = 2, MODE_PROBABILITIES = 3 };

static oi_value_id reshape(oi_expand *x, oi_value_id v, uint32_t n, const int64_t *dims)
{
    return OI_NODE(x, "Reshape", NULL, v, oi_expand_ints(x, 1, n, dims));
}

/* n outputs of Attention. Queries take the rank of the keys where those are known to have heads apart. */
static void attend(oi_expand *x, const parts *p, uint32_t n, oi_value_id *out)
{
    oi_value_id mask = p->bias, q = p->q;
    if (p->mask != OI_NONE)
        mask = OI_NODE(x, "AttentionMask", oi_expand_float(x, "filter", p->filter), p->mask, p->q, p->k, p->past_key, p->bias);
    if (p->apart)
        q = OI_NODE(x, "Transpose", "perm=[0,2,1,3]", reshape(x, q, 4, (int64_t[]){0, 0, p->heads, -1}));
    const char *scale = p->scale != 0 && !isnan(p->scale) ? oi_expand_float(x, ", scale", p->scale) : "";
    const char *attrs = oi_expand_text(x, "q_num_heads=%lld, kv_num_heads=%lld, is_causal=%lld, qk_matmul_output_mode=%d, %s%s",
                                       (long long)p->heads, (long long)p->kv_heads, (long long)p->causal, p->mode,
                                       oi_expand_float(x, "softcap", p->softcap), scale);
    oi_expand_nodes(x, "Attention", attrs, 6, (oi_value_id[]){q, p->k, p->v, mask, p->past_key, p->past_value}, n, out);
    if (p->apart)
        out[OUT_Y] = reshape(x, OI_NODE(x, "Transpose", "perm=[0,2,1,3]", out[OUT_Y]), 3, (int64_t[]){0, 0, -1});
}

static uint32_t wanted(const oi_expand *x)
{
    uint32_t n = x->im->nout;
    return n < OUTS ? n : OUTS;
}

static oi_status unsupported(const oi_expand *x, const char *what)
{
    return oi_fail(ONNX_INFER_E_UNSUPPORTED_OP, "%s with %s is not in this build", x->im->op->name, what);
}

/* Pieces of v along `axis`: as many of equal size as n, or of the given sizes. */
static void split(oi_expand *x, oi_value_id v, int axis, uint32_t n, const int64_t *size, oi_value_id *out)
{
    const char *attrs = size ? oi_expand_text(x, "axis=%d", axis) : oi_expand_text(x, "axis=%d, num_outputs=%u", axis, n);
    oi_expand_nodes(x, "Split", attrs, size ? 2 : 1, (oi_value_id[]){v, size ? oi_expand_ints(x, 1, n, size) : OI_NONE}, n, out);
}

/* --- Attention and QAttention: projections included --- */

typedef struct {
    int64_t num_heads, unidirectional, do_rotary, past_present_share_buffer, rotary_embedding_dim;
    float mask_filter_value, scale;
    oi_ints qkv_hidden_sizes;
} attention_attr;

static const oi_attr_spec attention_attrs[] = {
    OI_INT_ATTR(attention_attr, do_rotary, 0), OI_FLOAT_ATTR(attention_attr, mask_filter_value, -10000.0f),
    OI_NEEDED_INT(attention_attr, num_heads), OI_INT_ATTR(attention_attr, past_present_share_buffer, 0),
    OI_INTS_ATTR(attention_attr, qkv_hidden_sizes), OI_INT_ATTR(attention_attr, rotary_embedding_dim, 0),
    OI_FLOAT_ATTR(attention_attr, scale, 0.0f), OI_INT_ATTR(attention_attr, unidirectional, 0), {0}};

/* From the projection of all three on; past and present hold keys and values in one tensor. */
static void attend_projected(oi_expand *x, oi_value_id qkv, oi_value_id mask, oi_value_id past, oi_value_id bias)
{
    const attention_attr *a = x->attr;
    parts p = {.mask = mask, .bias = bias, .past_key = OI_NONE, .past_value = OI_NONE, .heads = a->num_heads, .kv_heads = a->num_heads,
               .causal = a->unidirectional, .scale = a->scale, .filter = a->mask_filter_value};
    oi_value_id out[OUTS], three[3];
    split(x, qkv, -1, 3, a->qkv_hidden_sizes.n == 3 ? a->qkv_hidden_sizes.at : NULL, three);
    p.q = three[0], p.k = three[1], p.v = three[2];
    if (past != OI_NONE) {
        p.past_key = OI_NODE(x, "Gather", "axis=0", past, oi_expand_ints(x, 0, 1, (int64_t[]){0}));
        p.past_value = OI_NODE(x, "Gather", "axis=0", past, oi_expand_ints(x, 0, 1, (int64_t[]){1}));
    }
    bool present = oi_expand_wants(x, 1);
    attend(x, &p, present ? 3 : 1, out);
    oi_expand_out(x, 0, out[OUT_Y]);
    if (!present)
        return;
    oi_value_id zero = oi_expand_int(x, 0);
    oi_expand_out(x, 1, OI_NODE(x, "Concat", "axis=0", OI_NODE(x, "Unsqueeze", NULL, out[OUT_KEY], zero),
                                OI_NODE(x, "Unsqueeze", NULL, out[OUT_VALUE], zero)));
}

static oi_status import_attention(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const attention_attr *a = x.attr;
    if (a->do_rotary || a->past_present_share_buffer || oi_expand_in(&x, 6) != OI_NONE)
        return unsupported(&x, "rotary embedding or a shared buffer");
    oi_value_id qkv = oi_expand_add(&x, OI_NODE(&x, "MatMul", NULL, im->in[0], im->in[1]), oi_expand_in(&x, 2));
    attend_projected(&x, qkv, oi_expand_in(&x, 3), oi_expand_in(&x, 4), oi_expand_in(&x, 5));
    return oi_expand_end(&x);
}

/* input, weight, bias, input_scale, weight_scale, mask_index, input_zero_point, weight_zero_point, past */
static oi_status import_quantized(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const attention_attr *a = x.attr;
    if (a->do_rotary || a->past_present_share_buffer)
        return unsupported(&x, "rotary embedding or a shared buffer");
    oi_value_id sum = OI_NODE(&x, "MatMulInteger", NULL, im->in[0], im->in[1], oi_expand_in(&x, 6), oi_expand_in(&x, 7));
    oi_value_id qkv = oi_expand_mul(&x, OI_NODE(&x, "Cast", "to=1", sum), oi_expand_mul(&x, im->in[3], im->in[4]));
    attend_projected(&x, oi_expand_add(&x, qkv, im->in[2]), oi_expand_in(&x, 5), oi_expand_in(&x, 8), OI_NONE);
    return oi_expand_end(&x);
}

/* --- MultiHeadAttention --- */

typedef struct {
    int64_t num_heads, unidirectional, output_qk, past_present_share_buffer;
    float mask_filter_value, scale;
} heads_attr;

static const oi_attr_spec heads_attrs[] = {
    OI_FLOAT_ATTR(heads_attr, mask_filter_value, -10000.0f), OI_NEEDED_INT(heads_attr, num_heads), OI_FLOAT_ATTR(heads_attr, scale, 0.0f),
    OI_INT_ATTR(heads_attr, unidirectional, 0), {0}};
static const oi_attr_spec decoder_attrs[] = {
    OI_FLOAT_ATTR(heads_attr, mask_filter_value, -10000.0f), OI_NEEDED_INT(heads_attr, num_heads), OI_INT_ATTR(heads_attr, output_qk, 0),
    OI_INT_ATTR(heads_attr, past_present_share_buffer, 0), OI_FLOAT_ATTR(heads_attr, scale, 0.0f), {0}};

/* Adds the three parts of the projections' bias. Keys of rank 4 come from a cache and had theirs. */
static void add_biases(oi_expand *x, parts *p, oi_value_id bias)
{
    const oi_fact *f = bias == OI_NONE ? NULL : &x->im->g->value[bias].fact, *q = &x->im->g->value[p->q].fact;
    oi_value_id three[3];
    int64_t size[3];
    if (!f)
        return;
    bool known = f->shape.rank == 1 && oi_dim_is_number(f->shape.dim[0]) && q->shape.rank == 3 && oi_dim_is_number(q->shape.dim[2]);
    if (known) {
        size[0] = size[1] = q->shape.dim[2];
        size[2] = f->shape.dim[0] - 2 * size[0];
    }
    split(x, bias, 0, 3, known ? size : NULL, three);
    p->q = oi_expand_add(x, p->q, three[0]);
    if (oi_expand_rank(x, p->k) == 4)
        return;
    p->k = oi_expand_add(x, p->k, three[1]);
    p->v = oi_expand_add(x, p->v, three[2]);
}

/* Queries, keys and values, perhaps in one tensor of rank 5, or (decoder) of rank 3. */
static oi_status unpack_heads(oi_expand *x, bool decoder, parts *p)
{
    static const int64_t flat[] = {0, 0, -1};
    oi_value_id three[3];
    if (p->k == OI_NONE && decoder) {
        split(x, p->q, -1, 3, NULL, three);
        p->q = three[0], p->k = three[1], p->v = three[2];
    } else if (p->k == OI_NONE) {
        split(x, p->q, 3, 3, NULL, three);
        p->q = reshape(x, three[0], 3, flat);
        p->k = reshape(x, three[1], 3, flat);
        p->v = reshape(x, three[2], 3, flat);
    } else if (p->v == OI_NONE) {
        split(x, p->k, 3, 2, NULL, three);
        p->k = reshape(x, three[0], 3, flat);
        p->v = reshape(x, three[1], 3, flat);
    }
    return x->status;
}

static oi_status import_heads(oi_import *im)
{
    oi_expand x;
    oi_value_id out[OUTS];
    OI_TRY(oi_expand_begin(&x, im));
    const heads_attr *a = x.attr;
    bool decoder = im->op == &oi_op_ms_DecoderMaskedMultiHeadAttention;
    parts p = {.q = im->in[0], .k = oi_expand_in(&x, 1), .v = oi_expand_in(&x, 2), .mask = oi_expand_in(&x, decoder ? 3 : 4),
               .bias = oi_expand_in(&x, decoder ? 4 : 5), .past_key = oi_expand_in(&x, decoder ? 5 : 6),
               .past_value = oi_expand_in(&x, decoder ? 6 : 7), .heads = a->num_heads, .kv_heads = a->num_heads,
               .causal = a->unidirectional, .scale = a->scale, .filter = a->mask_filter_value, .mode = MODE_PROBABILITIES};
    if (a->past_present_share_buffer || oi_expand_in(&x, decoder ? 7 : 8) != OI_NONE || oi_expand_in(&x, decoder ? 9 : 10) != OI_NONE)
        return unsupported(&x, "a shared buffer");
    OI_TRY(unpack_heads(&x, decoder, &p));
    add_biases(&x, &p, oi_expand_in(&x, decoder ? 10 : 3));
    p.apart = oi_expand_rank(&x, p.k) == 4;
    attend(&x, &p, wanted(&x), out);
    for (uint32_t i = 0; i < wanted(&x); i++)
        oi_expand_out(&x, i, out[i]);
    return oi_expand_end(&x);
}

/* --- GroupQueryAttention --- */

typedef struct {
    int64_t causal, do_rotary, kv_cache_bit_width, kv_num_heads, local_window_size, num_heads, qk_output, rotary_interleaved,
        sliding_window_cache, smooth_softmax;
    float qk_norm_epsilon, scale, softcap;
    const char *k_quant_type, *v_quant_type;
} group_attr;

static const oi_attr_spec group_attrs[] = {
    OI_INT_ATTR(group_attr, causal, 1), OI_INT_ATTR(group_attr, do_rotary, 0), OI_TEXT_ATTR(group_attr, k_quant_type),
    OI_INT_ATTR(group_attr, kv_cache_bit_width, 0), OI_NEEDED_INT(group_attr, kv_num_heads), OI_INT_ATTR(group_attr, local_window_size, -1),
    OI_NEEDED_INT(group_attr, num_heads), OI_FLOAT_ATTR(group_attr, qk_norm_epsilon, 1e-6f), OI_INT_ATTR(group_attr, qk_output, 0),
    OI_INT_ATTR(group_attr, rotary_interleaved, 0), OI_FLOAT_ATTR(group_attr, scale, 0.0f), OI_INT_ATTR(group_attr, sliding_window_cache, 0),
    OI_INT_ATTR(group_attr, smooth_softmax, -1), OI_FLOAT_ATTR(group_attr, softcap, 0.0f), OI_TEXT_ATTR(group_attr, v_quant_type), {0}};

enum {
    GROUP_KEY = 1, GROUP_VALUE, GROUP_PAST_KEY, GROUP_PAST_VALUE, GROUP_LENGTHS, GROUP_TOTAL, GROUP_COS, GROUP_SIN, GROUP_PLACES,
    GROUP_BIAS, GROUP_SINK, GROUP_KEY_SCALE, GROUP_VALUE_SCALE, GROUP_QUERY_NORM, GROUP_KEY_NORM, GROUP_INPUTS
};

static bool quantized(const char *type)
{
    return type && type[0] != 'N';
}

/* Root mean square normalisation of each head, then rotation. */
static oi_value_id prepare_heads(oi_expand *x, oi_value_id v, int64_t heads, uint32_t norm, oi_value_id places)
{
    const group_attr *a = x->attr;
    if (oi_expand_in(x, norm) != OI_NONE) {
        v = reshape(x, v, 4, (int64_t[]){0, 0, heads, -1});
        v = OI_NODE(x, "RMSNormalization", oi_expand_float(x, "epsilon", a->qk_norm_epsilon), v, oi_expand_in(x, norm));
        v = reshape(x, v, 3, (int64_t[]){0, 0, -1});
    }
    if (!a->do_rotary)
        return v;
    oi_value_id cosines = oi_expand_in(x, GROUP_COS);
    const oi_fact *f = cosines == OI_NONE ? NULL : &x->im->g->value[cosines].fact;
    int64_t turned = f && f->shape.rank == 2 && oi_dim_is_number(f->shape.dim[1]) ? 2 * f->shape.dim[1] : 0;
    const char *attrs = oi_expand_text(x, "interleaved=%lld, num_heads=%lld, rotary_embedding_dim=%lld", (long long)a->rotary_interleaved,
                                       (long long)heads, (long long)turned);
    return OI_NODE(x, "RotaryEmbedding", attrs, v, cosines, oi_expand_in(x, GROUP_SIN), places);
}

static oi_value_id with_sink(oi_expand *x, oi_value_id v)
{
    static const int64_t pads[] = {0, 0, 0, 0, 0, 0, 1, 0};
    return OI_NODE(x, "Pad", NULL, v, oi_expand_ints(x, 1, 8, pads));
}

static oi_status import_group(oi_import *im)
{
    oi_expand x;
    oi_value_id in[GROUP_INPUTS], out[OUTS], places = OI_NONE, three[3];
    OI_TRY(oi_expand_begin(&x, im));
    const group_attr *a = x.attr;
    for (uint32_t i = 0; i < GROUP_INPUTS; i++)
        in[i] = oi_expand_in(&x, i);
    if (quantized(a->k_quant_type) || quantized(a->v_quant_type) || a->sliding_window_cache)
        return unsupported(&x, "a quantised or sliding cache");
    OI_FAIL_IF(a->num_heads < 1 || a->kv_num_heads < 1, ONNX_INFER_E_INVALID_MODEL, "it has %lld and %lld heads", (long long)a->num_heads,
               (long long)a->kv_num_heads);
    parts p = {.q = in[0], .k = in[GROUP_KEY], .v = in[GROUP_VALUE], .past_key = OI_NONE, .past_value = OI_NONE, .mask = OI_NONE,
               .heads = a->num_heads, .kv_heads = a->kv_num_heads, .scale = a->scale, .softcap = a->softcap,
               .mode = a->qk_output == 1 ? MODE_BIASED : MODE_PROBABILITIES, .apart = true};
    if (p.k == OI_NONE) {
        const int64_t heads[3] = {a->num_heads, a->kv_num_heads, a->kv_num_heads};
        split(&x, reshape(&x, p.q, 4, (int64_t[]){0, 0, heads[0] + 2 * heads[1], -1}), 2, 3, heads, three);
        p.q = reshape(&x, three[0], 3, (int64_t[]){0, 0, -1});
        p.k = reshape(&x, three[1], 3, (int64_t[]){0, 0, -1});
        p.v = reshape(&x, three[2], 3, (int64_t[]){0, 0, -1});
    }
    if (a->do_rotary)
        places = OI_NODE(&x, "GroupQueryPlaces", NULL, p.q, in[GROUP_LENGTHS], in[GROUP_TOTAL], in[GROUP_PLACES]);
    p.q = prepare_heads(&x, p.q, a->num_heads, GROUP_QUERY_NORM, places);
    p.k = prepare_heads(&x, p.k, a->kv_num_heads, GROUP_KEY_NORM, places);
    const char *attrs = oi_expand_text(&x, "kv_num_heads=%lld", (long long)a->kv_num_heads);
    p.k = OI_NODE(&x, "GroupQueryCache", attrs, p.k, in[GROUP_LENGTHS], in[GROUP_TOTAL], in[GROUP_PAST_KEY]);
    p.v = OI_NODE(&x, "GroupQueryCache", attrs, p.v, in[GROUP_LENGTHS], in[GROUP_TOTAL], in[GROUP_PAST_VALUE]);
    oi_expand_out(&x, 1, p.k);
    oi_expand_out(&x, 2, p.v);
    bool sink = in[GROUP_SINK] != OI_NONE || a->smooth_softmax == 1;
    attrs = oi_expand_text(&x, "causal=%lld, window=%lld, sink=%d", (long long)a->causal, (long long)a->local_window_size, sink);
    p.bias = OI_NODE(&x, "GroupQueryMask", attrs, p.q, in[GROUP_LENGTHS], in[GROUP_TOTAL], p.k, in[GROUP_BIAS], in[GROUP_SINK]);
    if (sink) {
        p.k = with_sink(&x, p.k);
        p.v = with_sink(&x, p.v);
    }
    bool scores = oi_expand_wants(&x, OUT_SCORES);
    if (scores && sink)
        return unsupported(&x, "a sink and the scores as an output");
    attend(&x, &p, scores ? OUTS : 1, out);
    oi_expand_out(&x, OUT_Y, out[OUT_Y]);
    if (scores)
        oi_expand_out(&x, OUT_SCORES, out[OUT_SCORES]);
    return oi_expand_end(&x);
}

/* --- RotaryEmbedding --- */

typedef struct {
    int64_t interleaved, is_packed_batching, num_heads, rotary_embedding_dim;
    float scale;
} rotary_attr;

static const oi_attr_spec rotary_attrs[] = {
    OI_INT_ATTR(rotary_attr, interleaved, 0), OI_INT_ATTR(rotary_attr, is_packed_batching, 0), OI_INT_ATTR(rotary_attr, num_heads, 0),
    OI_INT_ATTR(rotary_attr, rotary_embedding_dim, 0), OI_FLOAT_ATTR(rotary_attr, scale, 1.0f), {0}};

/* input, position_ids, cos_cache, sin_cache */
static oi_status import_rotary(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const rotary_attr *a = x.attr;
    if (a->is_packed_batching)
        return unsupported(&x, "packed batches");
    oi_value_id places = OI_NODE(&x, "TokenPlaces", NULL, im->in[0], im->in[1]);
    const char *attrs = oi_expand_text(&x, "interleaved=%lld, num_heads=%lld, rotary_embedding_dim=%lld", (long long)a->interleaved,
                                       (long long)a->num_heads, (long long)a->rotary_embedding_dim);
    oi_expand_out(&x, 0, OI_NODE(&x, "RotaryEmbedding", attrs, im->in[0], im->in[2], im->in[3], places));
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_ms_Attention = {OI_EXPANDED("Attention", MS, 2, 7, 1, 2, import_attention), OI_WITH(attention_attrs, attention_attr)};
const oi_op oi_op_ms_QAttention = {OI_EXPANDED("QAttention", MS, 5, 9, 1, 2, import_quantized), OI_WITH(attention_attrs, attention_attr)};
const oi_op oi_op_ms_MultiHeadAttention = {
    OI_EXPANDED("MultiHeadAttention", MS, 1, 10, 1, 4, import_heads), OI_WITH(heads_attrs, heads_attr)};
const oi_op oi_op_ms_DecoderMaskedMultiHeadAttention = {
    OI_EXPANDED("DecoderMaskedMultiHeadAttention", MS, 1, 11, 1, 4, import_heads), OI_WITH(decoder_attrs, heads_attr)};
const oi_op oi_op_ms_GroupQueryAttention = {
    OI_EXPANDED("GroupQueryAttention", MS, 7, 16, 1, 4, import_group), OI_WITH(group_attrs, group_attr)};
const oi_op oi_op_ms_RotaryEmbedding = {OI_EXPANDED("RotaryEmbedding", MS, 4, 4, 1, 1, import_rotary), OI_WITH(rotary_attrs, rotary_attr)};
