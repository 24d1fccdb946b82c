/* Strings by the module "text": StringNormalizer (ASCII without it), RegexFullMatch. */
#include "ops/ml_common.h"
#include "ops/text_regex.h"

#include <stdio.h>
#include <string.h>

static const oi_dtype text_type = ONNX_INFER_STRING;

/* --- StringNormalizer ---------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_strings stopwords;
    const char *locale;
    int64_t sensitive, change;
} normalizer_attr;

enum { CHANGE_NONE, CHANGE_LOWER, CHANGE_UPPER };

/* Changes case; opens the module when text needs it. What it makes lives as long as the evaluation. */
typedef struct {
    oi_eval *e;
    oi_module module;
    char language[4];
} changer;

static void start(changer *c, oi_eval *e, const char *locale)
{
    *c = (changer){.e = e};
    size_t n = locale ? strcspn(locale, "_-.@") : 0;
    if (n == 2 || n == 3)
        memcpy(c->language, locale, n);
}

/* ASCII letters change in the same way in all languages but these. */
static bool plain(const changer *c, const char *text, size_t n)
{
    static const char *const own_rules[] = {"tr", "az", "lt"};
    for (size_t i = 0; i < sizeof own_rules / sizeof *own_rules; i++)
        if (!strcmp(c->language, own_rules[i]))
            return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static oi_status keep(changer *c, const char *text, size_t n, oi_string *out)
{
    out->text = oi_eval_scratch(c->e, n + 1);
    out->n = n;
    if (!out->text)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (n)
        memcpy(out->text, text, n);
    return ONNX_INFER_OK;
}

static oi_status change_case(changer *c, oi_text_case to, const char *text, size_t n, oi_string *out)
{
    text = text ? text : "";
    if (plain(c, text, n)) {
        OI_TRY(keep(c, text, n, out));
        char first = to == OI_TEXT_UPPER ? 'a' : 'A';
        for (size_t i = 0; i < n; i++)
            if (out->text[i] >= first && out->text[i] <= first + 25)
                out->text[i] ^= 0x20;
        return ONNX_INFER_OK;
    }
    if (!c->module.table)
        OI_TRY(oi_text_open(c->e->op, &c->module));
    const oi_text_module *m = c->module.table;
    char why[160] = "", *changed;
    size_t changed_n;
    oi_text_status failed = m->change_case(to, c->language, text, n, &changed, &changed_n, why, sizeof why);
    if (failed)
        return oi_text_failed(failed, ONNX_INFER_E_INVALID_ARGUMENT, "a string of input 0", why);
    oi_status status = keep(c, changed, changed_n, out);
    m->free_text(changed);
    return status;
}

static oi_status infer_normalizer(oi_infer *x)
{
    const oi_shape *s = &x->in[0]->shape;
    const normalizer_attr *a = x->attr;
    OI_TRY(oi_infer_need_dtype(x, 0, &text_type, 1));
    OI_FAIL_IF(s->rank == 0 || s->rank > 2 || (s->rank == 2 && oi_dim_is_number(s->dim[0]) && s->dim[0] != 1), ONNX_INFER_E_SHAPE_MISMATCH,
               "input 0 must be [C] or [1, C]");
    oi_dim dims[2] = {1, 1};
    if (s->rank > 0)
        dims[s->rank - 1] = a->stopwords.n || !oi_dim_is_number(s->dim[s->rank - 1]) || !s->dim[s->rank - 1] ? oi_dim_fresh(x->syms)
                                                                                                         : s->dim[s->rank - 1];
    oi_infer_set(x, 0, ONNX_INFER_STRING, s->rank, dims);
    return ONNX_INFER_OK;
}

/* Places of the strings that are no stop words. */
static oi_status filter(changer *c, const normalizer_attr *a, const oi_tensor *t, size_t *kept, size_t *n)
{
    size_t count = (size_t)oi_tensor_count(t), place;
    oi_key_table *stop;
    oi_string folded;
    *n = 0;
    OI_TRY(oi_key_table_create(c->e, a->stopwords.n, &stop));
    for (uint32_t i = 0; i < a->stopwords.n; i++) {
        folded = (oi_string){(char *)(uintptr_t)a->stopwords.at[i], a->stopwords.len[i]};
        if (!a->sensitive)
            OI_TRY(change_case(c, OI_TEXT_FOLD, a->stopwords.at[i], a->stopwords.len[i], &folded));
        oi_key_table_add(stop, oi_key_text(folded.text, folded.n), i, true);
    }
    for (size_t i = 0; i < count; i++) {
        folded = ((const oi_string *)t->data)[i];
        if (!a->sensitive && a->stopwords.n)
            OI_TRY(change_case(c, OI_TEXT_FOLD, folded.text, folded.n, &folded));
        if (!a->stopwords.n || !oi_key_table_find(stop, oi_key_text(folded.text, folded.n), &place))
            kept[(*n)++] = i;
    }
    return ONNX_INFER_OK;
}

static oi_status normalize(changer *c, const normalizer_attr *a, const oi_tensor *t)
{
    size_t *kept = oi_eval_scratch_array(c->e, (size_t)oi_tensor_count(t) + 1, sizeof *kept), n;
    oi_tensor *y;
    if (!kept)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(filter(c, a, t, kept, &n));
    int64_t dims[2] = {1, 1};
    dims[t->rank - 1] = n ? (int64_t)n : 1;
    OI_TRY(oi_eval_out(c->e, 0, ONNX_INFER_STRING, t->rank, dims, &y));
    for (size_t i = 0; i < n; i++) {
        oi_string s = ((const oi_string *)t->data)[kept[i]];
        if (a->change != CHANGE_NONE)
            OI_TRY(change_case(c, a->change == CHANGE_LOWER ? OI_TEXT_LOWER : OI_TEXT_UPPER, s.text, s.n, &s));
        OI_TRY(oi_tensor_set_string(c->e->alloc, y, i, s.text, s.n));
    }
    return ONNX_INFER_OK;
}

static oi_status eval_normalizer(oi_eval *e)
{
    const normalizer_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    changer c;
    if (!t || t->dtype != ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank < 1 || t->rank > 2 || (t->rank == 2 && t->dim[0] != 1), ONNX_INFER_E_SHAPE_MISMATCH, "input 0 must be [C] or [1, C]");
    start(&c, e, a->locale);
    oi_status status = normalize(&c, a, t);
    oi_module_close(&c.module);
    return status;
}

/* --- RegexFullMatch -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *pattern;
} regex_attr;

static oi_status compile(const oi_op *op, const char *pattern, oi_module *m, void **regex)
{
    char why[200] = "";
    OI_TRY(oi_text_open(op, m));
    oi_text_status failed = ((const oi_text_module *)m->table)->regex_compile(pattern, strlen(pattern), true, regex, why, sizeof why);
    if (!failed)
        return ONNX_INFER_OK;
    oi_module_close(m);
    return oi_text_failed(failed, ONNX_INFER_E_INVALID_MODEL, "attribute 'pattern'", why);
}

static oi_status import_regex(oi_import *im)
{
    const oi_raw_attr *a = oi_import_find(im, "pattern");
    oi_module m;
    void *regex;
    OI_FAIL_IF(a && (a->type != OI_RAW_STRING || strlen(a->s) != a->slen), ONNX_INFER_E_INVALID_MODEL, "attribute 'pattern' is no text");
    OI_TRY(oi_module_hold(im, "text", OI_TEXT_MODULE_VERSION, sizeof(oi_text_module)));
    OI_TRY(compile(im->op, a ? a->s : "", &m, &regex));
    ((const oi_text_module *)m.table)->regex_free(regex);
    oi_module_close(&m);
    return ONNX_INFER_OK;
}

static oi_status infer_regex(oi_infer *x)
{
    OI_TRY(oi_infer_need_dtype(x, 0, &text_type, 1));
    oi_infer_set(x, 0, ONNX_INFER_BOOL, x->in[0]->shape.rank, x->in[0]->shape.dim);
    return ONNX_INFER_OK;
}

enum { STRINGS_PER_TASK = 64 };

typedef struct {
    const oi_text_module *m;
    const void *regex;
    const oi_tensor *t;
    uint8_t *y;
} matching;

static oi_status match_some(void *arg, size_t task)
{
    const matching *g = arg;
    size_t n = (size_t)oi_tensor_count(g->t), first = task * STRINGS_PER_TASK, end = first + STRINGS_PER_TASK < n ? first + STRINGS_PER_TASK : n;
    for (size_t i = first; i < end; i++) {
        const oi_string *s = (const oi_string *)g->t->data + i;
        char why[160] = "", what[64];
        bool matches;
        oi_text_status failed = g->m->regex_match(g->regex, s->text ? s->text : "", s->n, &matches, why, sizeof why);
        snprintf(what, sizeof what, "element %zu of input 0", i);
        if (failed)
            return oi_text_failed(failed, ONNX_INFER_E_INVALID_ARGUMENT, what, why);
        g->y[i] = matches;
    }
    return ONNX_INFER_OK;
}

static oi_status eval_regex(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    oi_module m;
    void *regex;
    oi_tensor *y;
    if (!t || t->dtype != ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_BOOL, t->rank, t->dim, &y));
    OI_TRY(compile(e->op, ((const regex_attr *)e->attr)->pattern, &m, &regex));
    matching g = {m.table, regex, t, y->data};
    oi_status status = e->host->parallel(e, ((size_t)oi_tensor_count(t) + STRINGS_PER_TASK - 1) / STRINGS_PER_TASK, match_some, &g);
    g.m->regex_free(regex);
    oi_module_close(&m);
    return status;
}

/* --- definitions --- */

static const oi_attr_spec normalizer_attrs[] = {
    {.name = "case_change_action", .type = OI_ATTR_ENUM, .offset = offsetof(normalizer_attr, change), .s = "NONE|LOWER|UPPER"},
    {.name = "is_case_sensitive", .type = OI_ATTR_INT, .offset = offsetof(normalizer_attr, sensitive)},
    {.name = "locale", .type = OI_ATTR_STRING, .offset = offsetof(normalizer_attr, locale)},
    {.name = "stopwords", .type = OI_ATTR_STRINGS, .offset = offsetof(normalizer_attr, stopwords)},
    {0},
};
static const oi_attr_spec regex_attrs[] = {
    {.name = "pattern", .type = OI_ATTR_STRING, .offset = offsetof(regex_attr, pattern), .s = ""},
    {0},
};

const oi_op oi_op_StringNormalizer = {
    .name = "StringNormalizer", .domain = "", .since = 10, .newest = 10, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .attrs = normalizer_attrs, .attr_size = sizeof(normalizer_attr), .infer = infer_normalizer, .eval = eval_normalizer,
};
const oi_op oi_op_RegexFullMatch = {
    .name = "RegexFullMatch", .domain = "", .since = 20, .newest = 20, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = regex_attrs, .attr_size = sizeof(regex_attr), .import = import_regex, .infer = infer_regex, .eval = eval_regex,
};
