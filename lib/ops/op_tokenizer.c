/* Tokenizer (com.microsoft): texts cut into words by a regular expression, by separators, or into characters. */
#include "ops/text_regex.h"

#include <string.h>

typedef struct {
    oi_strings separators;
    const char *expression, *pad;
    int64_t mark, fewest;
} tokenizer_attr;

typedef struct {
    size_t first, n; /* bytes of the text */
} token;

typedef struct {
    oi_eval *e;
    const tokenizer_attr *a;
    const oi_text_module *m; /* NULL: characters */
    void **regex;
    uint32_t nregex;
    token *list, *spare;     /* of the text at hand */
    size_t count, cap;
} cutter;

static bool by_characters(const tokenizer_attr *a)
{
    return a->separators.n == 1 && a->separators.len[0] == 0;
}

static const char *pattern_of(const tokenizer_attr *a, uint32_t i, size_t *n)
{
    *n = a->separators.n ? a->separators.len[i] : strlen(a->expression);
    return a->separators.n ? a->separators.at[i] : a->expression;
}

static size_t characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* A text of n bytes has at most n + 1 tokens. */
static oi_status make_room(cutter *c, size_t n)
{
    if (n + 1 <= c->cap)
        return ONNX_INFER_OK;
    c->cap = 2 * n + 16;
    c->list = oi_eval_scratch_array(c->e, c->cap, sizeof *c->list);
    c->spare = oi_eval_scratch_array(c->e, c->cap, sizeof *c->spare);
    return c->list && c->spare ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static void push(cutter *c, const char *text, size_t first, size_t n)
{
    if (n && characters(text + first, n) >= (size_t)c->a->fewest)
        c->list[c->count++] = (token){first, n};
}

/* Matches of a pattern in text[first, first + n): the tokens, or what lies between them. Empty matches do not count. */
static oi_status cut_range(cutter *c, const void *regex, const char *text, token range, bool between)
{
    size_t from = 0, kept = 0, begin, end;
    char why[160] = "";
    bool found;
    for (;;) {
        oi_text_status failed = c->m->regex_find(regex, text + range.first, range.n, from, &found, &begin, &end, why, sizeof why);
        if (failed)
            return oi_text_failed(failed, ONNX_INFER_E_INVALID_ARGUMENT, "a string of input 0", why);
        if (!found)
            break;
        if (begin == end) { /* look again behind the next character */
            from = begin + 1;
            while (from < range.n && ((unsigned char)text[range.first + from] & 0xC0) == 0x80)
                from++;
            if (from > range.n)
                break;
            continue;
        }
        push(c, text, range.first + (between ? kept : begin), between ? begin - kept : end - begin);
        kept = from = end;
    }
    if (between)
        push(c, text, range.first + kept, range.n - kept);
    return ONNX_INFER_OK;
}

static oi_status cut(cutter *c, const oi_string *s)
{
    const char *text = s->text ? s->text : "";
    OI_TRY(make_room(c, s->n));
    c->count = 0;
    if (!c->m) {
        for (size_t i = 0, next; i < s->n; i = next) {
            for (next = i + 1; next < s->n && ((unsigned char)text[next] & 0xC0) == 0x80;)
                next++;
            push(c, text, i, next - i);
        }
        return ONNX_INFER_OK;
    }
    if (!c->a->separators.n)
        return cut_range(c, c->regex[0], text, (token){0, s->n}, false);
    c->list[0] = (token){0, s->n};
    c->count = 1;
    for (uint32_t k = 0; k < c->nregex; k++) {
        token *was = c->list;
        size_t n = c->count;
        c->list = c->spare;
        c->spare = was;
        c->count = 0;
        for (size_t i = 0; i < n; i++)
            OI_TRY(cut_range(c, c->regex[k], text, was[i], true));
    }
    return ONNX_INFER_OK;
}

static oi_status write_row(const cutter *c, const oi_string *s, oi_tensor *y, size_t at, size_t width)
{
    const oi_alloc *alloc = c->e->alloc;
    size_t end = at + width, pad = strlen(c->a->pad);
    if (c->a->mark)
        OI_TRY(oi_tensor_set_string(alloc, y, at++, "\x02", 1));
    for (size_t i = 0; i < c->count; i++)
        OI_TRY(oi_tensor_set_string(alloc, y, at++, s->text + c->list[i].first, c->list[i].n));
    if (c->a->mark)
        OI_TRY(oi_tensor_set_string(alloc, y, at++, "\x03", 1));
    while (at < end)
        OI_TRY(oi_tensor_set_string(alloc, y, at++, c->a->pad, pad));
    return ONNX_INFER_OK;
}

/* Twice over the texts: the longest first says how wide the output is. */
static oi_status cut_all(cutter *c, const oi_tensor *t)
{
    const oi_string *s = t->data;
    size_t n = (size_t)oi_tensor_count(t), most = 0;
    int64_t dims[OI_MAX_RANK];
    oi_tensor *y;
    for (size_t i = 0; i < n; i++) {
        OI_TRY(cut(c, &s[i]));
        most = c->count > most ? c->count : most;
    }
    most += most && c->a->mark ? 2 : 0;
    memcpy(dims, t->dim, sizeof dims);
    dims[t->rank] = (int64_t)most;
    OI_TRY(oi_eval_out(c->e, 0, ONNX_INFER_STRING, t->rank + 1, dims, &y));
    for (size_t i = 0; i < n && most; i++) {
        OI_TRY(cut(c, &s[i]));
        OI_TRY(write_row(c, &s[i], y, i * most, most));
    }
    return ONNX_INFER_OK;
}

static oi_status compile_all(cutter *c)
{
    char why[200] = "";
    uint32_t n = c->a->separators.n ? c->a->separators.n : 1;
    c->regex = oi_eval_scratch_array(c->e, n, sizeof *c->regex);
    if (!c->regex)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (; c->nregex < n; c->nregex++) {
        size_t length;
        const char *pattern = pattern_of(c->a, c->nregex, &length);
        oi_text_status failed = c->m->regex_compile(pattern, length, false, &c->regex[c->nregex], why, sizeof why);
        if (failed)
            return oi_text_failed(failed, ONNX_INFER_E_INVALID_MODEL, c->a->separators.n ? "a separator" : "attribute 'tokenexp'", why);
    }
    return ONNX_INFER_OK;
}

static oi_status check(const tokenizer_attr *a)
{
    OI_FAIL_IF((a->separators.n != 0) == (a->expression != NULL && a->expression[0]), ONNX_INFER_E_INVALID_MODEL,
               "one of the attributes separators and tokenexp must be set");
    OI_FAIL_IF(a->fewest < 1, ONNX_INFER_E_INVALID_MODEL, "mincharnum is %lld", (long long)a->fewest);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    cutter c = {.e = e, .a = e->attr};
    oi_module m = {0};
    oi_status status = ONNX_INFER_OK;
    OI_TRY(check(c.a));
    if (!t || t->dtype != ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank < 1 || t->rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", t->rank);
    if (!by_characters(c.a)) {
        OI_TRY(oi_text_open(e->op, &m));
        c.m = m.table;
        status = compile_all(&c);
    }
    if (!status)
        status = cut_all(&c, t);
    for (uint32_t i = 0; i < c.nregex; i++)
        c.m->regex_free(c.regex[i]);
    oi_module_close(&m);
    return status;
}

static oi_status import(oi_import *im)
{
    const oi_raw_attr *s = oi_import_find(im, "separators");
    if (s && s->type == OI_RAW_STRINGS && s->strings.n == 1 && !s->strings.len[0])
        return ONNX_INFER_OK;
    return oi_module_hold(im, "text", OI_TEXT_MODULE_VERSION, sizeof(oi_text_module));
}

static oi_status infer(oi_infer *x)
{
    static const oi_dtype text = ONNX_INFER_STRING;
    oi_shape s = x->in[0]->shape;
    OI_TRY(oi_infer_need_dtype(x, 0, &text, 1));
    OI_TRY(check(x->attr));
    OI_FAIL_IF(s.rank == 0 || s.rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", s.rank);
    if (s.rank > 0)
        s.dim[s.rank++] = oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, ONNX_INFER_STRING, s.rank, s.dim);
    return ONNX_INFER_OK;
}

#define OFFSET(field) ((uint16_t)offsetof(tokenizer_attr, field))

static const oi_attr_spec attrs[] = {
    {.name = "mark", .type = OI_ATTR_INT, .offset = OFFSET(mark), .flags = OI_ATTR_REQUIRED},
    {.name = "mincharnum", .type = OI_ATTR_INT, .offset = OFFSET(fewest), .flags = OI_ATTR_REQUIRED},
    {.name = "pad_value", .type = OI_ATTR_STRING, .offset = OFFSET(pad), .flags = OI_ATTR_REQUIRED},
    {.name = "separators", .type = OI_ATTR_STRINGS, .offset = OFFSET(separators)},
    {.name = "tokenexp", .type = OI_ATTR_STRING, .offset = OFFSET(expression)},
    {0},
};

const oi_op oi_op_ms_Tokenizer = {
    .name = "Tokenizer", .domain = "com.microsoft", .since = 1, .newest = 1, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1,
    .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(tokenizer_attr), .import = import, .infer = infer, .eval = eval,
};
