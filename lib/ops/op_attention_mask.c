/* What contributed attention operators need beside the standard's Attention, which they become: one additive mask out of
 * the many forms of theirs, positions of tokens, and keys and values kept from run to run. */
#include "ops/loop.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

/* --- AttentionMask: mask_index and attention_bias as something to add to the scores --- */

typedef struct {
    float filter; /* what a masked score gets */
} mask_attr;

enum { IN_MASK, IN_QUERY, IN_KEY, IN_PAST, IN_BIAS };

/* Length of keys [batch, length, size] or [batch, heads, length, size]. */
static int32_t length_axis(int32_t rank)
{
    return rank == 4 ? 2 : 1;
}

static oi_status infer_mask(oi_infer *x)
{
    const oi_fact *mask = oi_infer_in(x, IN_MASK), *query = x->in[IN_QUERY], *key = x->in[IN_KEY], *past = oi_infer_in(x, IN_PAST),
                  *bias = oi_infer_in(x, IN_BIAS);
    int32_t q = query->shape.rank, k = key->shape.rank;
    oi_infer_set_fresh(x, 0, query->dtype, 4);
    if (!mask || mask->shape.rank < 1 || (q != 3 && q != 4) || (k != 3 && k != 4) || (past && past->shape.rank != 4) ||
        (bias && bias->shape.rank != 4))
        return ONNX_INFER_OK;
    oi_dim total = key->shape.dim[length_axis(k)], rows = bias || mask->shape.rank > 2 ? query->shape.dim[length_axis(q)] : 1;
    if (past)
        total = oi_dim_add(x->syms, past->shape.dim[2], total);
    oi_infer_set(x, 0, query->dtype, 4, (oi_dim[]){query->shape.dim[0], bias ? bias->shape.dim[1] : 1, rows, total});
    return ONNX_INFER_OK;
}

/* Whether key j is hidden from query i of sample b. */
static bool hidden(const oi_tensor *mask, int64_t batch, int64_t past, int64_t total, int64_t b, int64_t i, int64_t j)
{
    const int32_t *m = mask->data;
    const int64_t *d = mask->dim;
    switch (mask->rank) {
    case 1: /* ends; ends and begins */
        return j >= m[b] || (d[0] == 2 * batch && j < m[batch + b]);
    case 2: {
        int64_t at = j - (total - d[1]);
        return at >= 0 && !m[b * d[1] + at];
    }
    case 3:
        return !m[(b * d[1] + i) * d[2] + j];
    default:
        return !m[(b * d[2] + past + i) * d[3] + j];
    }
}

static oi_status check_mask(const oi_tensor *mask, int64_t batch, int64_t rows, int64_t past, int64_t total)
{
    const int64_t *d = mask->dim;
    bool fits = mask->rank == 1   ? d[0] == batch || d[0] == 2 * batch || d[0] == 3 * batch + 2
                : mask->rank == 2 ? d[0] == batch && d[1] <= total
                : mask->rank == 3 ? d[0] == batch && d[1] >= rows && d[2] == total
                                  : mask->rank == 4 && d[0] == batch && d[1] == 1 && d[2] >= past + rows && d[3] >= total;
    OI_FAIL_IF(!fits, ONNX_INFER_E_SHAPE_MISMATCH, "the mask does not fit %lld samples of %lld queries and %lld keys", (long long)batch,
               (long long)rows, (long long)total);
    return ONNX_INFER_OK;
}

static oi_status eval_mask(oi_eval *e)
{
    const mask_attr *a = e->attr;
    const oi_tensor *mask = oi_eval_in(e, IN_MASK), *query = oi_eval_in(e, IN_QUERY), *key = oi_eval_in(e, IN_KEY),
                    *before = oi_eval_in(e, IN_PAST), *bias = oi_eval_in(e, IN_BIAS);
    if (!mask || mask->dtype != ONNX_INFER_INT32)
        return oi_eval_bad_type(e, IN_MASK);
    for (uint32_t i = IN_QUERY; i <= IN_BIAS; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        bool needs4 = i == IN_PAST || i == IN_BIAS;
        OI_FAIL_IF((t || !needs4) && (!t || (t->rank != 4 && (needs4 || t->rank != 3))), ONNX_INFER_E_SHAPE_MISMATCH,
                   "input %u has rank %d, %s is needed", i, t ? (int)t->rank : -1, needs4 ? "4" : "3 or 4");
    }
    int64_t past = before ? before->dim[2] : 0, batch = query->dim[0], total = past + key->dim[length_axis(key->rank)];
    int64_t queries = query->dim[length_axis(query->rank)], heads = bias ? bias->dim[1] : 1;
    int64_t rows = bias || mask->rank > 2 ? queries : 1;
    OI_TRY(check_mask(mask, batch, rows, past, total));
    OI_FAIL_IF(bias && ((bias->dim[0] != 1 && bias->dim[0] != batch) || bias->dim[2] != rows || bias->dim[3] != total),
               ONNX_INFER_E_SHAPE_MISMATCH, "the attention bias does not fit %lld samples of %lld queries and %lld keys", (long long)batch,
               (long long)rows, (long long)total);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, query->dtype, 4, (const int64_t[]){batch, heads, rows, total}, &y));
    size_t at = 0;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < total; j++, at++) {
                    double v = hidden(mask, batch, past, total, b, i, j) ? (double)a->filter : 0;
                    if (bias)
                        v += oi_elem_get_double(bias->dtype, bias->data,
                                                (size_t)((((bias->dim[0] == 1 ? 0 : b) * heads + h) * rows + i) * total + j));
                    oi_elem_set_double(y->dtype, y->data, at, v);
                }
    return ONNX_INFER_OK;
}

/* --- positions --- */

/* x [batch, length, size] or [batch, heads, length, size], positions: one for each token, or one element: of the first. */
static oi_status infer_places(oi_infer *x)
{
    const oi_shape *s = &x->in[0]->shape;
    oi_infer_set_fresh(x, 0, ONNX_INFER_INT64, 2);
    if (s->rank == 3 || s->rank == 4)
        oi_infer_set(x, 0, ONNX_INFER_INT64, 2, (oi_dim[]){s->dim[0], s->dim[length_axis(s->rank)]});
    return ONNX_INFER_OK;
}

static oi_status eval_places(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *place = oi_eval_in(e, 1);
    OI_FAIL_IF(!x || !place || place->dtype != ONNX_INFER_INT64 || (x->rank != 3 && x->rank != 4), ONNX_INFER_E_SHAPE_MISMATCH,
               "positions need int64 and data of rank 3 or 4");
    int64_t batch = x->dim[0], length = x->dim[length_axis(x->rank)], n = oi_tensor_count(place);
    OI_FAIL_IF(n != 1 && n != batch * length, ONNX_INFER_E_SHAPE_MISMATCH, "there are %lld positions, expected 1 or %lld", (long long)n,
               (long long)(batch * length));
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 2, (const int64_t[]){batch, length}, &y));
    const int64_t *p = place->data;
    for (int64_t i = 0; i < batch * length; i++)
        ((int64_t *)y->data)[i] = n == 1 ? p[0] + i % length : p[i];
    return ONNX_INFER_OK;
}

/* --- what grouped queries keep: each sample has seqlens_k + 1 tokens, the newest `length` of which are in this run; at
 * the first run (length == total) new tokens begin at 0 whatever the sample's length --- */

typedef struct {
    int64_t kv_num_heads, causal, window, sink;
} group_attr;

/* Tokens before this run's, of sample b. */
static oi_status past_of(const oi_tensor *lengths, const oi_tensor *total, int64_t length, int64_t b, int64_t *past)
{
    int64_t all = oi_elem_get_int(lengths->dtype, lengths->data, (size_t)b) + 1;
    *past = oi_elem_get_int(total->dtype, total->data, 0) == length ? 0 : all - length;
    OI_FAIL_IF(*past < 0 || all < 0, ONNX_INFER_E_INVALID_ARGUMENT, "sample %lld has %lld tokens in all, %lld of them new", (long long)b,
               (long long)all, (long long)length);
    return ONNX_INFER_OK;
}

/* Inputs lengths_at and the one behind it: seqlens_k, total_sequence_length. */
static oi_status check_lengths(const oi_eval *e, uint32_t lengths_at, int64_t batch)
{
    const oi_tensor *lengths = oi_eval_in(e, lengths_at), *total = oi_eval_in(e, lengths_at + 1);
    OI_FAIL_IF(!lengths || lengths->dtype != ONNX_INFER_INT32 || oi_tensor_count(lengths) != batch || !total ||
                   total->dtype != ONNX_INFER_INT32 || oi_tensor_count(total) != 1,
               ONNX_INFER_E_SHAPE_MISMATCH, "seqlens_k needs one int32 for each of %lld samples, total_sequence_length one in all",
               (long long)batch);
    return ONNX_INFER_OK;
}

/* query, seqlens_k, total, position_ids (may be left out): at the first run only its first element counts. */
static oi_status eval_group_places(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *given = oi_eval_in(e, 3);
    OI_FAIL_IF(!x || x->rank != 3 || (given && given->dtype != ONNX_INFER_INT64), ONNX_INFER_E_SHAPE_MISMATCH,
               "queries need rank 3, positions int64");
    int64_t batch = x->dim[0], length = x->dim[1], past;
    OI_TRY(check_lengths(e, 1, batch));
    bool first = oi_elem_get_int(ONNX_INFER_INT32, e->in[2]->data, 0) == length;
    OI_FAIL_IF(given && oi_tensor_count(given) < (first ? 1 : batch * length) && batch * length > 0, ONNX_INFER_E_SHAPE_MISMATCH,
               "there are %lld positions, expected %lld", (long long)oi_tensor_count(given), (long long)(batch * length));
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 2, (const int64_t[]){batch, length}, &y));
    int64_t *to = y->data;
    for (int64_t b = 0; b < batch; b++) {
        OI_TRY(past_of(e->in[1], e->in[2], length, b, &past));
        for (int64_t i = 0; i < length; i++) {
            int64_t *p = to + b * length + i;
            *p = !given ? past + i : first ? ((const int64_t *)given->data)[0] + i : ((const int64_t *)given->data)[b * length + i];
        }
    }
    return ONNX_INFER_OK;
}

/* new [batch, length, heads * size], seqlens_k, total, past [batch, heads, capacity, size] (may be left out). */
static oi_status infer_cache(oi_infer *x)
{
    const group_attr *a = x->attr;
    const oi_fact *now = x->in[0], *past = oi_infer_in(x, 3);
    oi_dim total[1], capacity = past && past->shape.rank == 4 ? past->shape.dim[2] : 0;
    oi_infer_set_fresh(x, 0, now->dtype, 4);
    if (now->shape.rank != 3 || (past && past->shape.rank != 4) || a->kv_num_heads < 1)
        return ONNX_INFER_OK;
    oi_dim size = oi_dim_floordiv(x->syms, now->shape.dim[2], a->kv_num_heads), rows = oi_dim_fresh(x->syms);
    if (oi_infer_content(x, 2, total, 1) == 1)
        rows = oi_dim_max(x->syms, capacity, total[0]);
    oi_infer_set(x, 0, now->dtype, 4, (oi_dim[]){now->shape.dim[0], a->kv_num_heads, rows, size});
    return ONNX_INFER_OK;
}

static oi_status eval_cache(oi_eval *e)
{
    const group_attr *a = e->attr;
    const oi_tensor *now = oi_eval_in(e, 0), *before = oi_eval_in(e, 3);
    int64_t heads = a->kv_num_heads;
    OI_FAIL_IF(!now || now->rank != 3 || heads < 1 || now->dim[2] % heads || (before && (before->rank != 4 || before->dtype != now->dtype)),
               ONNX_INFER_E_SHAPE_MISMATCH, "keys and values need rank 3 and a size that kv_num_heads divides, past ones rank 4");
    int64_t batch = now->dim[0], length = now->dim[1], size = now->dim[2] / heads, capacity = before ? before->dim[2] : 0, past;
    OI_FAIL_IF(before && (before->dim[0] != batch || before->dim[1] != heads || before->dim[3] != size), ONNX_INFER_E_SHAPE_MISMATCH,
               "past keys or values do not fit the new ones");
    OI_TRY(check_lengths(e, 1, batch));
    int64_t total = oi_elem_get_int(ONNX_INFER_INT32, e->in[2]->data, 0), rows = capacity > total ? capacity : total;
    OI_FAIL_IF(rows < length, ONNX_INFER_E_INVALID_ARGUMENT, "total_sequence_length is %lld, there are %lld new tokens", (long long)total,
               (long long)length);
    size_t unit = oi_dtype_size(now->dtype), row = (size_t)size * unit;
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, now->dtype, 4, (const int64_t[]){batch, heads, rows, size}, &y));
    for (int64_t b = 0; b < batch; b++) {
        OI_TRY(past_of(e->in[1], e->in[2], length, b, &past));
        OI_FAIL_IF(past > capacity || past + length > rows, ONNX_INFER_E_INVALID_ARGUMENT,
                   "sample %lld: %lld tokens before %lld new ones do not fit a cache of %lld", (long long)b, (long long)past,
                   (long long)length, (long long)rows);
        for (int64_t h = 0; h < heads; h++) {
            char *to = (char *)y->data + (size_t)((b * heads + h) * rows) * row;
            if (past)
                memcpy(to, (const char *)before->data + (size_t)((b * heads + h) * capacity) * row, (size_t)past * row);
            for (int64_t i = 0; i < length; i++)
                memcpy(to + (size_t)(past + i) * row, (const char *)now->data + (size_t)(((b * length + i) * heads + h) * size) * unit, row);
            memset(to + (size_t)(past + length) * row, 0, (size_t)(rows - past - length) * row);
        }
    }
    return ONNX_INFER_OK;
}

/* query, seqlens_k, total, cache, attention_bias, head_sink (both may be left out). With sink 1 the last column is that of
 * a key whose score is the head's sink (0 where there is none). */
static oi_status infer_group_mask(oi_infer *x)
{
    const group_attr *a = x->attr;
    const oi_fact *query = x->in[0], *cache = x->in[3], *bias = oi_infer_in(x, 4), *sink = oi_infer_in(x, 5);
    oi_infer_set_fresh(x, 0, query->dtype, 4);
    if (query->shape.rank != 3 || cache->shape.rank != 4 || (bias && bias->shape.rank != 4) || (sink && sink->shape.rank != 1))
        return ONNX_INFER_OK;
    oi_dim heads = sink ? sink->shape.dim[0] : bias ? bias->shape.dim[1] : 1, keys = cache->shape.dim[2];
    oi_infer_set(x, 0, query->dtype, 4,
                 (oi_dim[]){query->shape.dim[0], heads, query->shape.dim[1], a->sink ? oi_dim_add(x->syms, keys, 1) : keys});
    return ONNX_INFER_OK;
}

static oi_status eval_group_mask(oi_eval *e)
{
    const group_attr *a = e->attr;
    const oi_tensor *query = oi_eval_in(e, 0), *cache = oi_eval_in(e, 3), *bias = oi_eval_in(e, 4), *sink = oi_eval_in(e, 5);
    OI_FAIL_IF(!query || query->rank != 3 || !cache || cache->rank != 4 || (bias && bias->rank != 4) || (sink && sink->rank != 1),
               ONNX_INFER_E_SHAPE_MISMATCH, "queries need rank 3, keys rank 4");
    int64_t batch = query->dim[0], length = query->dim[1], keys = cache->dim[2], columns = keys + (a->sink != 0), past;
    int64_t heads = sink ? sink->dim[0] : bias ? bias->dim[1] : 1;
    OI_TRY(check_lengths(e, 1, batch));
    OI_FAIL_IF(bias && ((bias->dim[0] != 1 && bias->dim[0] != batch) || (bias->dim[1] != 1 && bias->dim[1] != heads) ||
                        bias->dim[2] != length || bias->dim[3] > keys),
               ONNX_INFER_E_SHAPE_MISMATCH, "the attention bias does not fit %lld queries and %lld keys", (long long)length, (long long)keys);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, query->dtype, 4, (const int64_t[]){batch, heads, length, columns}, &y));
    size_t at = 0;
    for (int64_t b = 0; b < batch; b++) {
        OI_TRY(past_of(e->in[1], e->in[2], length, b, &past));
        int64_t all = oi_elem_get_int(ONNX_INFER_INT32, e->in[1]->data, (size_t)b) + 1;
        for (int64_t h = 0; h < heads; h++) {
            for (int64_t i = 0; i < length; i++) {
                int64_t next = a->causal ? past + i + 1 : all, end = next < all ? next : all;
                int64_t begin = a->window >= 0 && next > a->window ? next - a->window : 0;
                if (y->dtype == ONNX_INFER_FLOAT && !bias && !a->sink) {
                    float *row = (float *)y->data + at;
                    for (int64_t j = 0; j < columns; j++)
                        row[j] = j < begin || j >= end ? -INFINITY : 0;
                    at += (size_t)columns;
                    continue;
                }
                for (int64_t j = 0; j < columns; j++, at++) {
                    double v = j < begin || j >= end ? -INFINITY : 0;
                    if (j == keys)
                        v = sink ? oi_elem_get_double(sink->dtype, sink->data, (size_t)h) : 0;
                    else if (bias && v == 0 && j < bias->dim[3])
                        v = oi_elem_get_double(bias->dtype, bias->data,
                                               (size_t)((((bias->dim[0] == 1 ? 0 : b) * bias->dim[1] + (bias->dim[1] == 1 ? 0 : h)) * length + i) *
                                                            bias->dim[3] + j));
                    oi_elem_set_double(y->dtype, y->data, at, v);
                }
            }
        }
    }
    return ONNX_INFER_OK;
}

#define INT(label, value) {.name = #label, .type = OI_ATTR_INT, .offset = offsetof(group_attr, label), .i = value}
#define OURS(label, in0, in1) .name = label, .domain = "onnx_infer", .since = 1, .newest = 1, .min_in = in0, .max_in = in1, .min_out = 1, .max_out = 1

static const oi_attr_spec mask_attrs[] = {
    {.name = "filter", .type = OI_ATTR_FLOAT, .offset = offsetof(mask_attr, filter), .f = -10000.0f}, {0}};
static const oi_attr_spec group_attrs[] = {INT(causal, 1), INT(kv_num_heads, 1), INT(sink, 0), INT(window, -1), {0}};

const oi_op oi_op_oi_AttentionMask = {
    OURS("AttentionMask", 3, 5), .attrs = mask_attrs, .attr_size = sizeof(mask_attr), .infer = infer_mask, .eval = eval_mask};
const oi_op oi_op_oi_TokenPlaces = {OURS("TokenPlaces", 2, 2), .infer = infer_places, .eval = eval_places};
const oi_op oi_op_oi_GroupQueryPlaces = {OURS("GroupQueryPlaces", 3, 4), .infer = infer_places, .eval = eval_group_places};
const oi_op oi_op_oi_GroupQueryCache = {
    OURS("GroupQueryCache", 3, 4), .attrs = group_attrs, .attr_size = sizeof(group_attr), .infer = infer_cache, .eval = eval_cache};
const oi_op oi_op_oi_GroupQueryMask = {
    OURS("GroupQueryMask", 4, 6), .attrs = group_attrs, .attr_size = sizeof(group_attr), .infer = infer_group_mask, .eval = eval_group_mask};
