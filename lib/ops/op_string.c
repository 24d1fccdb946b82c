/* Strings: StringConcat, StringSplit. */
#include "base/checked.h"
#include "ops/op.h"

#include <string.h>

static const oi_dtype text_type = ONNX_INFER_STRING;

/* --- StringConcat --- */

static oi_status infer_concat(oi_infer *x)
{
    oi_shape s;
    OI_TRY(oi_infer_need_dtype(x, 0, &text_type, 1));
    OI_TRY(oi_infer_need_dtype(x, 1, &text_type, 1));
    OI_TRY(oi_infer_broadcast(x, 0, 2, &s));
    oi_infer_set(x, 0, ONNX_INFER_STRING, s.rank, s.dim);
    return ONNX_INFER_OK;
}

/* a followed by b, in scratch memory that grows to the longest. */
static oi_status join(oi_eval *e, const oi_string *a, const oi_string *b, char **buf, size_t *cap, oi_tensor *y, size_t i)
{
    size_t n;
    OI_FAIL_IF(!oi_add_size(a->n, b->n, &n), ONNX_INFER_E_LIMIT, "element %zu would be too long", i);
    if (n > *cap) {
        *buf = oi_eval_scratch(e, n > SIZE_MAX / 2 ? n : 2 * n);
        if (!*buf)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        *cap = n > SIZE_MAX / 2 ? n : 2 * n;
    }
    if (a->n)
        memcpy(*buf, a->text, a->n);
    if (b->n)
        memcpy(*buf + a->n, b->text, b->n);
    return oi_tensor_set_string(e->alloc, y, i, *buf, n);
}

static oi_status eval_concat(oi_eval *e)
{
    const oi_tensor *t[2] = {oi_eval_in(e, 0), oi_eval_in(e, 1)};
    int64_t dims[OI_MAX_RANK], stride[2][OI_MAX_RANK], at[OI_MAX_RANK] = {0}, from[2] = {0};
    int32_t rank;
    oi_tensor *y;
    for (uint32_t k = 0; k < 2; k++)
        if (!t[k] || t[k]->dtype != ONNX_INFER_STRING)
            return oi_eval_bad_type(e, k);
    OI_FAIL_IF(!oi_dims_broadcast(t[0]->rank, t[0]->dim, t[1]->rank, t[1]->dim, &rank, dims), ONNX_INFER_E_SHAPE_MISMATCH,
               "the inputs do not broadcast");
    for (uint32_t k = 0; k < 2; k++)
        oi_dims_broadcast_strides(t[k]->rank, t[k]->dim, rank, dims, stride[k]);
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_STRING, rank, dims, &y));
    size_t n = (size_t)oi_dims_count(rank, dims), cap = 0;
    char *buf = NULL;
    for (size_t i = 0; i < n; i++) {
        OI_TRY(join(e, (const oi_string *)t[0]->data + from[0], (const oi_string *)t[1]->data + from[1], &buf, &cap, y, i));
        for (int32_t d = rank - 1; d >= 0; d--) {
            bool wraps = ++at[d] == dims[d];
            for (uint32_t k = 0; k < 2; k++)
                from[k] += wraps ? -stride[k][d] * (dims[d] - 1) : stride[k][d];
            if (!wraps)
                break;
            at[d] = 0;
        }
    }
    return ONNX_INFER_OK;
}

/* --- StringSplit --- */

typedef struct {
    const char *delimiter;
    int64_t maxsplit;
} split_attr;

static oi_status infer_split(oi_infer *x)
{
    oi_shape s = x->in[0]->shape;
    OI_TRY(oi_infer_need_dtype(x, 0, &text_type, 1));
    OI_FAIL_IF(s.rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "input 0 has rank %d, the result would be above %d", s.rank, OI_MAX_RANK);
    oi_infer_set(x, 1, ONNX_INFER_INT64, s.rank, s.dim);
    if (s.rank >= 0)
        s.dim[s.rank++] = oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, ONNX_INFER_STRING, s.rank, s.dim);
    return ONNX_INFER_OK;
}

/* Bytes of the blank at p, 0 where there is none: Unicode's White_Space in UTF-8. */
static size_t blank(const unsigned char *p, const unsigned char *end)
{
    static const unsigned char wide[][3] = {{0xE1, 0x9A, 0x80}, {0xE2, 0x80, 0xA8}, {0xE2, 0x80, 0xA9}, {0xE2, 0x80, 0xAF},
                                            {0xE2, 0x81, 0x9F}, {0xE3, 0x80, 0x80}};
    if (*p < 0x80)
        return *p == ' ' || (*p >= '\t' && *p <= '\r') || (*p >= 0x1C && *p <= 0x1F);
    if (end - p >= 2 && p[0] == 0xC2 && (p[1] == 0x85 || p[1] == 0xA0))
        return 2;
    if (end - p < 3)
        return 0;
    if (p[0] == 0xE2 && p[1] == 0x80 && p[2] >= 0x80 && p[2] <= 0x8A)
        return 3;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (memcmp(p, wide[i], 3) == 0)
            return 3;
    return 0;
}

typedef struct {
    const char *at, *end;      /* what is left; at NULL: nothing */
    const char *delimiter;
    size_t delimiter_n;        /* 0: blanks */
    uint64_t splits;           /* that may still be made */
} splitter;

static void skip_blanks(splitter *s)
{
    for (size_t n; s->at < s->end && (n = blank((const unsigned char *)s->at, (const unsigned char *)s->end)) != 0;)
        s->at += n;
}

static splitter start(const split_attr *a, const oi_string *text)
{
    const char *from = text->text ? text->text : "";
    splitter s = {.at = from, .end = from + text->n, .delimiter = a->delimiter, .splits = a->maxsplit < 0 ? UINT64_MAX : (uint64_t)a->maxsplit};
    s.delimiter_n = a->delimiter ? strlen(a->delimiter) : 0;
    if (!s.delimiter_n) {
        skip_blanks(&s);
        if (s.at == s.end)
            s.at = NULL;
    }
    return s;
}

/* The next part; false where there is none. */
static bool next(splitter *s, const char **part, size_t *n)
{
    const char *cut = NULL;
    if (!s->at)
        return false;
    *part = s->at;
    if (s->splits && s->delimiter_n) {
        cut = memmem(s->at, (size_t)(s->end - s->at), s->delimiter, s->delimiter_n);
    } else if (s->splits) {
        for (cut = s->at; cut < s->end && !blank((const unsigned char *)cut, (const unsigned char *)s->end);)
            cut++;
    }
    if (!cut) {
        *n = (size_t)(s->end - s->at);
        s->at = NULL;
        return true;
    }
    s->splits--;
    *n = (size_t)(cut - s->at);
    s->at = cut + s->delimiter_n;
    if (!s->delimiter_n) {
        skip_blanks(s);
        if (s->at == s->end)
            s->at = NULL;
    }
    return true;
}

static oi_status eval_split(oi_eval *e)
{
    const split_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    oi_tensor *y, *counts;
    int64_t dims[OI_MAX_RANK], most = 0;
    const char *part;
    size_t n;
    if (!t || t->dtype != ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "input 0 has rank %d, the result would be above %d", t->rank, OI_MAX_RANK);
    OI_TRY(oi_eval_out(e, 1, ONNX_INFER_INT64, t->rank, t->dim, &counts));
    size_t count = (size_t)oi_tensor_count(t);
    for (size_t i = 0; i < count; i++) {
        splitter s = start(a, (const oi_string *)t->data + i);
        int64_t parts = 0;
        while (next(&s, &part, &n))
            parts++;
        ((int64_t *)counts->data)[i] = parts;
        most = parts > most ? parts : most;
    }
    memcpy(dims, t->dim, sizeof dims);
    dims[t->rank] = most;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_STRING, t->rank + 1, dims, &y));
    for (size_t i = 0; i < count; i++) {
        splitter s = start(a, (const oi_string *)t->data + i);
        for (size_t k = 0; next(&s, &part, &n); k++)
            OI_TRY(oi_tensor_set_string(e->alloc, y, i * (size_t)most + k, part, n));
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec split_attrs[] = {
    {.name = "delimiter", .type = OI_ATTR_STRING, .offset = offsetof(split_attr, delimiter)},
    {.name = "maxsplit", .type = OI_ATTR_INT, .offset = offsetof(split_attr, maxsplit), .i = -1},
    {0},
};

const oi_op oi_op_StringConcat = {
    .name = "StringConcat", .domain = "", .since = 20, .newest = 20, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .infer = infer_concat, .eval = eval_concat,
};
const oi_op oi_op_StringSplit = {
    .name = "StringSplit", .domain = "", .since = 20, .newest = 20, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 2, .attrs = split_attrs, .attr_size = sizeof(split_attr), .infer = infer_split, .eval = eval_split,
};
