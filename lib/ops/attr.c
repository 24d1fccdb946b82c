/* Attributes: everything that is done with them, driven by the operators' tables. */
#include "base/checked.h"
#include "ops/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field(const oi_attr_spec *s, const void *attr)
{
    return (char *)attr + s->offset;
}

static const oi_attr_spec *find_spec(const oi_op *op, const char *name, size_t n)
{
    for (const oi_attr_spec *s = op->attrs; s && s->name; s++) {
        if (strlen(s->name) == n && memcmp(s->name, name, n) == 0)
            return s;
    }
    return NULL;
}

/* Index of the word in "a|b|c"; -1: not there. */
static int64_t find_word(const char *words, const char *word, size_t n)
{
    for (int64_t i = 0;; i++) {
        size_t len = strcspn(words, "|");
        if (len == n && memcmp(words, word, n) == 0)
            return i;
        if (!words[len])
            return -1;
        words += len + 1;
    }
}

static const char *nth_word(const char *words, int64_t index, size_t *n)
{
    for (; index > 0 && *words; index--) {
        words += strcspn(words, "|");
        words += *words == '|';
    }
    *n = strcspn(words, "|");
    return words;
}

void *oi_attr_new(oi_arena *arena, const oi_op *op)
{
    if (!op->attr_size)
        return NULL;
    void *attr = oi_arena_mem(arena, op->attr_size);
    for (const oi_attr_spec *s = op->attrs; attr && s && s->name; s++) {
        void *p = field(s, attr);
        if (s->type == OI_ATTR_INT || s->type == OI_ATTR_ENUM)
            memcpy(p, &s->i, sizeof s->i);
        else if (s->type == OI_ATTR_FLOAT)
            memcpy(p, &s->f, sizeof s->f);
        else if (s->type == OI_ATTR_STRING)
            memcpy(p, &s->s, sizeof s->s);
    }
    return attr;
}

const void *oi_attr_field(const oi_node *n, const char *name)
{
    const oi_attr_spec *s = find_spec(n->op, name, strlen(name));
    return s && n->attr ? field(s, n->attr) : NULL;
}

int64_t oi_attr_int(const oi_node *n, const char *name, int64_t absent)
{
    const int64_t *p = oi_attr_field(n, name);
    return p ? *p : absent;
}

/* The member that holds the content, and a spec that tells of its type. */
static void *raw_content(const oi_raw_attr *r, oi_attr_spec *as)
{
    static const oi_attr_type types[] = {
        [OI_RAW_INT] = OI_ATTR_INT, [OI_RAW_FLOAT] = OI_ATTR_FLOAT, [OI_RAW_STRING] = OI_ATTR_STRING,
        [OI_RAW_INTS] = OI_ATTR_INTS, [OI_RAW_FLOATS] = OI_ATTR_FLOATS, [OI_RAW_STRINGS] = OI_ATTR_STRINGS,
        [OI_RAW_TENSOR] = OI_ATTR_TENSOR, [OI_RAW_TENSORS] = OI_ATTR_TENSORS, [OI_RAW_TYPE] = OI_ATTR_TYPE,
    };
    const void *const at[] = {
        [OI_RAW_INT] = &r->i, [OI_RAW_FLOAT] = &r->f, [OI_RAW_STRING] = &r->s, [OI_RAW_INTS] = &r->ints,
        [OI_RAW_FLOATS] = &r->floats, [OI_RAW_STRINGS] = &r->strings, [OI_RAW_TENSOR] = &r->tensor,
        [OI_RAW_TENSORS] = &r->tensors, [OI_RAW_TYPE] = &r->type_fact, [OI_RAW_GRAPH] = &r->graph,
    };
    *as = (oi_attr_spec){.name = r->name, .type = types[r->type]};
    return (void *)(uintptr_t)at[r->type];
}

const void *oi_attr_raw_content(const oi_raw_attr *r, oi_attr_type *type)
{
    oi_attr_spec as;
    const void *content = raw_content(r, &as);
    *type = as.type;
    return content;
}

/* --- comparing --------------------------------------------------------------------------------------------------- */

static bool fact_equal(const oi_fact *a, const oi_fact *b)
{
    if (!a || !b)
        return a == b;
    return a->kind == b->kind && a->dtype == b->dtype && oi_shape_equal(&a->shape, &b->shape) && fact_equal(a->elem, b->elem);
}

static bool lists_equal(const void *a, uint32_t na, const void *b, uint32_t nb, size_t size)
{
    return na == nb && !a == !b && (na == 0 || memcmp(a, b, na * size) == 0);
}

static bool strings_equal(const oi_strings *a, const oi_strings *b)
{
    if (a->n != b->n || !a->at != !b->at)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->len[i] != b->len[i] || memcmp(a->at[i], b->at[i], a->len[i]) != 0)
            return false;
    }
    return true;
}

static bool tensors_equal(const oi_tensors *a, const oi_tensors *b)
{
    if (a->n != b->n || !a->at != !b->at)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        if (!oi_tensor_equal(a->at[i], b->at[i]))
            return false;
    }
    return true;
}

static bool field_equal(const oi_attr_spec *s, const void *a, const void *b);

static bool rest_equal(const oi_raw_attrs *a, const oi_raw_attrs *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        oi_attr_spec as;
        const oi_raw_attr *x = &a->at[i], *y = &b->at[i];
        if (strcmp(x->name, y->name) || x->type != y->type || x->slen != y->slen)
            return false;
        if (x->type == OI_RAW_STRING ? memcmp(x->s, y->s, x->slen) != 0
                                     : !field_equal(&as, raw_content(x, &as), raw_content(y, &as)))
            return false;
    }
    return true;
}

static bool field_equal(const oi_attr_spec *s, const void *a, const void *b)
{
    switch (s->type) {
    case OI_ATTR_INT:
    case OI_ATTR_ENUM:
        return memcmp(a, b, sizeof(int64_t)) == 0;
    case OI_ATTR_FLOAT:
        return memcmp(a, b, sizeof(float)) == 0;
    case OI_ATTR_STRING: {
        const char *x = *(const char *const *)a, *y = *(const char *const *)b;
        return x && y ? strcmp(x, y) == 0 : x == y;
    }
    case OI_ATTR_INTS: {
        const oi_ints *x = a, *y = b;
        return lists_equal(x->at, x->n, y->at, y->n, sizeof *x->at);
    }
    case OI_ATTR_FLOATS: {
        const oi_floats *x = a, *y = b;
        return lists_equal(x->at, x->n, y->at, y->n, sizeof *x->at);
    }
    case OI_ATTR_STRINGS:
        return strings_equal(a, b);
    case OI_ATTR_TENSOR: {
        const oi_tensor *x = *(const oi_tensor *const *)a, *y = *(const oi_tensor *const *)b;
        return x && y ? oi_tensor_equal(x, y) : x == y;
    }
    case OI_ATTR_TENSORS:
        return tensors_equal(a, b);
    case OI_ATTR_TYPE:
        return fact_equal(*(const oi_fact *const *)a, *(const oi_fact *const *)b);
    case OI_ATTR_REST:
        return rest_equal(a, b);
    }
    return false;
}

bool oi_attr_equal(const oi_op *op, const void *a, const void *b)
{
    if (!a || !b)
        return a == b;
    for (const oi_attr_spec *s = op->attrs; s && s->name; s++) {
        if (!field_equal(s, field(s, a), field(s, b)))
            return false;
    }
    return true;
}

/* --- text -------------------------------------------------------------------------------------------------------- */

typedef struct {
    char *buf;
    size_t cap, used;
} text_out;

static void put(text_out *o, const char *text, size_t n)
{
    size_t room = o->cap - o->used - 1;
    if (n > room)
        n = room;
    memcpy(o->buf + o->used, text, n);
    o->used += n;
    o->buf[o->used] = 0;
}

static void put_format(text_out *o, const char *fmt, ...) OI_PRINTF(2, 3);
static void put_format(text_out *o, const char *fmt, ...)
{
    char text[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n > 0)
        put(o, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

/* The shortest decimal that reads back as v. */
static void put_float(text_out *o, float v)
{
    char text[40];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    put(o, text, strlen(text));
}

static void put_tensor(text_out *o, const oi_tensor *t)
{
    char dims[160];
    if (t->rank <= 1 && t->dtype != ONNX_INFER_STRING && oi_tensor_count(t) <= 4 && !oi_dtype_is_complex(t->dtype)) {
        if (t->rank)
            put(o, "[", 1);
        for (int64_t i = 0; i < oi_tensor_count(t); i++) {
            if (i)
                put(o, ",", 1);
            if (oi_dtype_is_float(t->dtype))
                put_float(o, (float)oi_elem_get_double(t->dtype, t->data, (size_t)i));
            else
                put_format(o, "%lld", (long long)oi_elem_get_int(t->dtype, t->data, (size_t)i));
        }
        if (t->rank)
            put(o, "]", 1);
        return;
    }
    put_format(o, "%s ", oi_dtype_name(t->dtype));
    oi_dims_text(t->rank, t->dim, dims, sizeof dims);
    put(o, dims, strlen(dims));
}

static void put_field(text_out *o, const oi_attr_spec *s, const void *p)
{
    switch (s->type) {
    case OI_ATTR_INT:
        put_format(o, "%lld", (long long)*(const int64_t *)p);
        return;
    case OI_ATTR_ENUM: {
        size_t n;
        const char *word = nth_word(s->s, *(const int64_t *)p, &n);
        put(o, word, n);
        return;
    }
    case OI_ATTR_FLOAT:
        put_float(o, *(const float *)p);
        return;
    case OI_ATTR_STRING: {
        const char *text = *(const char *const *)p;
        if (text)
            put_format(o, "'%.48s'", text);
        return;
    }
    case OI_ATTR_INTS: {
        const oi_ints *v = p;
        for (uint32_t i = 0; i < v->n; i++)
            put_format(o, i ? ",%lld" : "[%lld", (long long)v->at[i]);
        put(o, v->n ? "]" : "[]", v->n ? 1 : 2);
        return;
    }
    case OI_ATTR_FLOATS: {
        const oi_floats *v = p;
        for (uint32_t i = 0; i < v->n; i++) {
            put(o, i ? "," : "[", 1);
            put_float(o, v->at[i]);
        }
        put(o, v->n ? "]" : "[]", v->n ? 1 : 2);
        return;
    }
    case OI_ATTR_STRINGS: {
        const oi_strings *v = p;
        for (uint32_t i = 0; i < v->n; i++)
            put_format(o, i ? ",'%.24s'" : "['%.24s'", v->at[i]);
        put(o, v->n ? "]" : "[]", v->n ? 1 : 2);
        return;
    }
    case OI_ATTR_TENSOR:
        if (*(const oi_tensor *const *)p)
            put_tensor(o, *(const oi_tensor *const *)p);
        return;
    case OI_ATTR_TENSORS:
        put_format(o, "%u tensors", ((const oi_tensors *)p)->n);
        return;
    case OI_ATTR_TYPE:
        put_format(o, "type");
        return;
    case OI_ATTR_REST: {
        const oi_raw_attrs *v = p;
        for (uint32_t i = 0; i < v->n; i++) {
            oi_attr_spec as;
            const void *content = raw_content(&v->at[i], &as);
            put_format(o, i ? ", %.48s=" : "%.48s=", v->at[i].name);
            put_field(o, &as, content);
        }
        return;
    }
    }
}

bool oi_attr_is_default(const oi_attr_spec *s, const void *p)
{
    switch (s->type) {
    case OI_ATTR_INT:
    case OI_ATTR_ENUM:
        return *(const int64_t *)p == s->i;
    case OI_ATTR_FLOAT:
        return memcmp(p, &s->f, sizeof s->f) == 0;
    case OI_ATTR_STRING: {
        const char *text = *(const char *const *)p;
        return text && s->s ? strcmp(text, s->s) == 0 : text == s->s;
    }
    case OI_ATTR_INTS:
        return !((const oi_ints *)p)->at;
    case OI_ATTR_FLOATS:
        return !((const oi_floats *)p)->at;
    case OI_ATTR_STRINGS:
        return !((const oi_strings *)p)->at;
    case OI_ATTR_TENSORS:
        return !((const oi_tensors *)p)->at;
    case OI_ATTR_TENSOR:
    case OI_ATTR_TYPE:
        return !*(const void *const *)p;
    case OI_ATTR_REST:
        return !((const oi_raw_attrs *)p)->n;
    }
    return false;
}

const char *oi_attr_text(const oi_op *op, const void *attr, char *buf, size_t cap)
{
    text_out o = {buf, cap, 0};
    bool any = false;
    if (!cap)
        return "";
    buf[0] = 0;
    o.used = 0;
    for (const oi_attr_spec *s = op->attrs; attr && s && s->name; s++) {
        const void *p = field(s, attr);
        if (oi_attr_is_default(s, p))
            continue;
        put_format(&o, "%s", any ? ", " : "{");
        if (s->type != OI_ATTR_REST)
            put_format(&o, "%s=", s->name);
        put_field(&o, s, p);
        any = true;
    }
    if (any)
        put(&o, "}", 1);
    return buf;
}

/* --- copying ----------------------------------------------------------------------------------------------------- */

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

static const oi_tensor *copy_tensor(oi_arena *to, const oi_tensor *from)
{
    oi_tensor *t = oi_arena_mem(to, sizeof *t);
    if (!t || oi_arena_on_destroy(to, clear_tensor, t) != ONNX_INFER_OK)
        return NULL;
    oi_tensor_share(t, from);
    return t;
}

static const oi_fact *copy_type(oi_arena *to, const oi_fact *from)
{
    oi_fact *f = oi_arena_copy(to, from, sizeof *from);
    if (!f)
        return NULL;
    f->konst = NULL;
    f->sym = NULL;
    f->nsym = 0;
    if (from->elem) {
        f->elem = copy_type(to, from->elem);
        if (!f->elem)
            return NULL;
    }
    return f;
}

static oi_status copy_strings(oi_arena *to, const oi_strings *from, oi_strings *out)
{
    const char **at = oi_arena_array(to, from->n, sizeof *at);
    uint32_t *len = oi_arena_array(to, from->n, sizeof *len);
    if (!at || !len)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < from->n; i++) {
        at[i] = oi_arena_text_n(to, from->at[i], from->len[i]);
        len[i] = from->len[i];
        if (!at[i])
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *out = (oi_strings){at, len, from->n};
    return ONNX_INFER_OK;
}

static oi_status copy_tensors(oi_arena *to, const oi_tensors *from, oi_tensors *out)
{
    const oi_tensor **at = oi_arena_array(to, from->n, sizeof *at);
    if (!at)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < from->n; i++) {
        at[i] = copy_tensor(to, from->at[i]);
        if (!at[i])
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *out = (oi_tensors){at, from->n};
    return ONNX_INFER_OK;
}

static oi_status own_field(oi_arena *to, const oi_attr_spec *s, void *p);

static oi_status own_rest(oi_arena *to, oi_raw_attrs *list)
{
    oi_raw_attr *at = oi_arena_copy(to, list->at, list->n * sizeof *at);
    if (!at)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < list->n; i++) {
        oi_attr_spec as;
        at[i].name = oi_arena_text(to, at[i].name);
        if (!at[i].name)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        void *content = raw_content(&at[i], &as);
        if (at[i].type == OI_RAW_STRING) {
            at[i].s = oi_arena_text_n(to, at[i].s ? at[i].s : "", at[i].slen);
            if (!at[i].s)
                return ONNX_INFER_E_OUT_OF_MEMORY;
        } else {
            OI_TRY(own_field(to, &as, content));
        }
    }
    list->at = at;
    return ONNX_INFER_OK;
}

/* Makes what the field at p points to the arena's own. Absent ones stay so. */
static oi_status own_field(oi_arena *to, const oi_attr_spec *s, void *p)
{
    const void *copy = p;
    switch (s->type) {
    case OI_ATTR_INT:
    case OI_ATTR_ENUM:
    case OI_ATTR_FLOAT:
        break;
    case OI_ATTR_STRING:
        if (*(const char **)p)
            copy = *(const char **)p = oi_arena_text(to, *(const char **)p);
        break;
    case OI_ATTR_INTS:
        if (((oi_ints *)p)->at)
            copy = ((oi_ints *)p)->at = oi_arena_copy(to, ((oi_ints *)p)->at, ((oi_ints *)p)->n * sizeof(int64_t));
        break;
    case OI_ATTR_FLOATS:
        if (((oi_floats *)p)->at)
            copy = ((oi_floats *)p)->at = oi_arena_copy(to, ((oi_floats *)p)->at, ((oi_floats *)p)->n * sizeof(float));
        break;
    case OI_ATTR_STRINGS:
        return ((oi_strings *)p)->at ? copy_strings(to, p, p) : ONNX_INFER_OK;
    case OI_ATTR_TENSORS:
        return ((oi_tensors *)p)->at ? copy_tensors(to, p, p) : ONNX_INFER_OK;
    case OI_ATTR_TENSOR:
        if (*(const oi_tensor **)p)
            copy = *(const oi_tensor **)p = copy_tensor(to, *(const oi_tensor **)p);
        break;
    case OI_ATTR_TYPE:
        if (*(const oi_fact **)p)
            copy = *(const oi_fact **)p = copy_type(to, *(const oi_fact **)p);
        break;
    case OI_ATTR_REST:
        return ((oi_raw_attrs *)p)->n ? own_rest(to, p) : ONNX_INFER_OK;
    }
    return copy ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

oi_status oi_attr_clone(oi_arena *to, const oi_op *op, const void *attr, void **out)
{
    *out = NULL;
    if (!attr)
        return ONNX_INFER_OK;
    void *copy = oi_arena_copy(to, attr, op->attr_size);
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (const oi_attr_spec *s = op->attrs; s && s->name; s++)
        OI_TRY(own_field(to, s, field(s, copy)));
    *out = copy;
    return ONNX_INFER_OK;
}

/* --- from a file ------------------------------------------------------------------------------------------------- */

static oi_status set_word(const oi_op *op, const oi_attr_spec *s, void *p, const char *word, size_t n)
{
    int64_t index = find_word(s->s, word, n);
    OI_FAIL_IF(index < 0, ONNX_INFER_E_INVALID_MODEL, "attribute %s of %s is '%.*s'; expected one of %s", s->name, op->name,
               (int)(n < 60 ? n : 60), word, s->s);
    memcpy(p, &index, sizeof index);
    return ONNX_INFER_OK;
}

/* Writers of lists may leave out the list itself where it is empty; the attribute is there nonetheless. */
static const char empty_list[sizeof(int64_t)];

static oi_status set_raw(oi_arena *arena, const oi_op *op, const oi_attr_spec *s, void *p, const oi_raw_attr *raw)
{
    static const struct { oi_attr_type want; int raw; } fits[] = {
        {OI_ATTR_INT, OI_RAW_INT}, {OI_ATTR_FLOAT, OI_RAW_FLOAT}, {OI_ATTR_STRING, OI_RAW_STRING},
        {OI_ATTR_ENUM, OI_RAW_STRING}, {OI_ATTR_INTS, OI_RAW_INTS}, {OI_ATTR_FLOATS, OI_RAW_FLOATS},
        {OI_ATTR_STRINGS, OI_RAW_STRINGS}, {OI_ATTR_TENSOR, OI_RAW_TENSOR}, {OI_ATTR_TENSORS, OI_RAW_TENSORS},
        {OI_ATTR_TYPE, OI_RAW_TYPE}, {OI_ATTR_ENUM, OI_RAW_INT},
    };
    static const char *const type_name[] = {"an int", "a float", "a string", "ints", "floats", "strings", "a tensor",
                                            "tensors", "a graph", "a type"};
    bool fit = false;
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        fit = fit || (fits[i].want == s->type && fits[i].raw == (int)raw->type);
    OI_FAIL_IF(!fit, ONNX_INFER_E_INVALID_MODEL, "attribute %s of %s is %s, which it cannot be", s->name, op->name,
               type_name[raw->type]);
    switch (raw->type) {
    case OI_RAW_INT:
        memcpy(p, &raw->i, sizeof raw->i);
        if (s->type == OI_ATTR_ENUM) {
            size_t n;
            OI_FAIL_IF(raw->i < 0 || !*nth_word(s->s, raw->i, &n), ONNX_INFER_E_INVALID_MODEL,
                       "attribute %s of %s is %lld; expected one of %s", s->name, op->name, (long long)raw->i, s->s);
        }
        return ONNX_INFER_OK;
    case OI_RAW_FLOAT:
        memcpy(p, &raw->f, sizeof raw->f);
        return ONNX_INFER_OK;
    case OI_RAW_STRING:
        if (s->type == OI_ATTR_ENUM)
            return set_word(op, s, p, raw->s ? raw->s : "", raw->slen);
        *(const char **)p = oi_arena_text_n(arena, raw->s, raw->slen);
        return *(const char **)p ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    case OI_RAW_INTS:
        *(oi_ints *)p = raw->ints;
        if (!raw->ints.at)
            *(oi_ints *)p = (oi_ints){(const void *)empty_list, 0};
        break;
    case OI_RAW_FLOATS:
        *(oi_floats *)p = raw->floats;
        if (!raw->floats.at)
            *(oi_floats *)p = (oi_floats){(const void *)empty_list, 0};
        break;
    case OI_RAW_STRINGS:
        *(oi_strings *)p = raw->strings;
        if (!raw->strings.at)
            *(oi_strings *)p = (oi_strings){(const void *)empty_list, (const void *)empty_list, 0};
        break;
    case OI_RAW_TENSOR:
        *(const oi_tensor **)p = raw->tensor;
        break;
    case OI_RAW_TENSORS:
        *(oi_tensors *)p = raw->tensors;
        break;
    case OI_RAW_TYPE:
        *(const oi_fact **)p = raw->type_fact;
        break;
    case OI_RAW_GRAPH:
        return ONNX_INFER_OK;
    }
    return own_field(arena, s, p);
}

oi_status oi_attr_parse_raw(oi_arena *arena, const oi_op *op, const oi_raw_attr *raw, uint32_t n, void **out)
{
    void *attr = oi_attr_new(arena, op);
    *out = attr;
    if (!attr && op->attr_size)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const oi_attr_spec *rest = op->attrs;
    while (rest && rest->name && rest->type != OI_ATTR_REST)
        rest++;
    if (rest && !rest->name)
        rest = NULL;
    if (rest && !(((oi_raw_attrs *)field(rest, attr))->at = oi_arena_array(arena, (size_t)n + 1, sizeof *raw)))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        if (raw[i].type == OI_RAW_GRAPH)
            continue;
        const oi_attr_spec *s = find_spec(op, raw[i].name, strlen(raw[i].name));
        if (!s && rest) {
            oi_raw_attrs *list = field(rest, attr);
            ((oi_raw_attr *)list->at)[list->n++] = raw[i];
            continue;
        }
        OI_FAIL_IF(!s || ((s->flags & OI_ATTR_INTERNAL) && !raw[i].by_import), ONNX_INFER_E_INVALID_MODEL,
                   "%s has no attribute '%.80s' in the opset that the model imports", op->name, raw[i].name);
        OI_TRY(set_raw(arena, op, s, field(s, attr), &raw[i]));
    }
    for (const oi_attr_spec *s = op->attrs; s && s->name; s++) {
        bool found = !(s->flags & OI_ATTR_REQUIRED) || (s->flags & OI_ATTR_INTERNAL);
        for (uint32_t i = 0; i < n && !found; i++)
            found = strcmp(raw[i].name, s->name) == 0;
        OI_FAIL_IF(!found, ONNX_INFER_E_INVALID_MODEL, "%s needs attribute '%s', which is missing", op->name, s->name);
    }
    return rest ? own_field(arena, rest, field(rest, attr)) : ONNX_INFER_OK;
}

/* --- from text --------------------------------------------------------------------------------------------------- */

static oi_status bad_text(const oi_op *op, const char *text)
{
    return oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "cannot read attributes of %s at '%.60s'", op->name, text);
}

/* "[1,2]" into a list of int64_t or float; *text ends behind it. */
static oi_status parse_list(oi_arena *arena, const oi_op *op, const char **text, bool floats, void **at, uint32_t *n)
{
    const char *p = *text;
    uint32_t count = 0;
    if (*p != '[')
        return bad_text(op, p);
    for (const char *q = p; *q && *q != ']'; q++)
        count += *q == ',';
    void *list = oi_arena_array(arena, count + 1, sizeof(int64_t));
    if (!list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *n = 0;
    p++;
    while (*p && *p != ']') {
        char *end;
        if (floats)
            ((float *)list)[*n] = strtof(p, &end);
        else
            ((int64_t *)list)[*n] = strtoll(p, &end, 10);
        if (end == p)
            return bad_text(op, p);
        (*n)++;
        p = end + strspn(end, " ");
        if (*p == ',')
            p++;
        else if (*p != ']')
            return bad_text(op, p);
    }
    if (*p != ']')
        return bad_text(op, p);
    *text = p + 1;
    *at = list;
    return ONNX_INFER_OK;
}

static oi_status parse_field(oi_arena *arena, const oi_op *op, const oi_attr_spec *s, void *field_at, const char **text)
{
    const char *p = *text;
    char *end = NULL;
    void *at;
    uint32_t n;
    switch (s->type) {
    case OI_ATTR_INT:
        *(int64_t *)field_at = strtoll(p, &end, 10);
        break;
    case OI_ATTR_FLOAT:
        *(float *)field_at = strtof(p, &end);
        break;
    case OI_ATTR_ENUM:
        n = (uint32_t)strcspn(p, ", }");
        OI_TRY(set_word(op, s, field_at, p, n));
        end = (char *)p + n;
        break;
    case OI_ATTR_STRING: {
        bool quoted = *p == '\'';
        p += quoted;
        n = (uint32_t)strcspn(p, quoted ? "'" : ", }");
        *(const char **)field_at = oi_arena_text_n(arena, p, n);
        if (!*(const char **)field_at)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        if (quoted && p[n] != '\'')
            return bad_text(op, p);
        *text = p + n + quoted;
        return ONNX_INFER_OK;
    }
    case OI_ATTR_INTS:
        OI_TRY(parse_list(arena, op, text, false, &at, &n));
        *(oi_ints *)field_at = (oi_ints){at, n};
        return ONNX_INFER_OK;
    case OI_ATTR_FLOATS:
        OI_TRY(parse_list(arena, op, text, true, &at, &n));
        *(oi_floats *)field_at = (oi_floats){at, n};
        return ONNX_INFER_OK;
    default:
        return bad_text(op, p);
    }
    if (end == p)
        return bad_text(op, p);
    *text = end;
    return ONNX_INFER_OK;
}

oi_status oi_attr_parse_text(oi_arena *arena, const oi_op *op, const char *text, void **out)
{
    void *attr = oi_attr_new(arena, op);
    *out = attr;
    if (!attr && op->attr_size)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const char *p = text ? text : "";
    p += strspn(p, "{ ");
    while (*p && *p != '}') {
        size_t n = strcspn(p, "=");
        const oi_attr_spec *s = find_spec(op, p, n);
        if (!s || p[n] != '=')
            return bad_text(op, p);
        p += n + 1;
        OI_TRY(parse_field(arena, op, s, field(s, attr), &p));
        p += strspn(p, ", ");
    }
    return ONNX_INFER_OK;
}
