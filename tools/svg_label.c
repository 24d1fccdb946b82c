/* What stands in the boxes of a picture: operators with what was fused into them, attributes, constants, names. */
#include "svg_label.h"

#include "ops/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const label_family_names[FAMILIES] = {"products and convolutions", "elementwise", "sums, norms, pools", "data movement",
                                                  "quantisation", "recurrent", "control flow", "other"};

/* --- measures --------------------------------------------------------------------------------------------------------- */

static const int32_t font_size[LABEL_KINDS] = {12, 10, 10, 10};

int32_t label_height(label_kind kind)
{
    return font_size[kind] + 3;
}

/* In thousandths of the size, as in DejaVu Sans, which is wider than most. */
static int32_t letter_width(unsigned char c)
{
    if (strchr(" .,:;|!'()[]{}/\\", c) || strchr("ijlIt1fr-", c))
        return strchr("tfr1", c) ? 640 * (c == '1') + 412 * (c != '1') : 400;
    if (strchr("mwMWQO@%", c))
        return 980;
    if (c >= 'A' && c <= 'Z')
        return 760;
    return c == '+' || c == '=' || c == '<' || c == '>' ? 840 : 640;
}

int32_t label_width(label_kind kind, const char *text)
{
    int32_t sum = 0;
    for (const char *p = text; *p; p++) {
        if (((unsigned char)*p & 0xc0) == 0x80)
            continue;
        sum += (unsigned char)*p < 0x80 ? letter_width((unsigned char)*p) : 1000;
    }
    return (int32_t)((int64_t)sum * font_size[kind] * (kind == LABEL_OP ? 112 : 100) / 100000) + 1;
}

static bool starts_letter(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static uint32_t letters_of(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++)
        n += starts_letter(*text);
    return n;
}

void label_shorten(const char *text, uint32_t letters, char *out, size_t cap)
{
    const uint32_t n = letters_of(text), front = (letters - 1) / 3, back = letters - 1 - front;
    const char *a = text, *b = text;
    if (n <= letters) {
        snprintf(out, cap, "%s", text);
        return;
    }
    for (uint32_t k = 0; k < front; k++)
        for (a++; !starts_letter(*a); a++)
            ;
    for (uint32_t k = 0; k < n - back; k++)
        for (b++; *b && !starts_letter(*b); b++)
            ;
    snprintf(out, cap, "%.*s\xe2\x80\xa6%s", (int)(a - text), text, b);
}

const char *label_shape(const oi_graph *g, oi_value_id v, char *buf, size_t cap)
{
    const oi_fact *f = &g->value[v].fact;
    char text[LABEL_CAP];
    buf[0] = '\0';
    if (f->kind == ONNX_INFER_TENSOR && f->dtype == ONNX_INFER_UNDEFINED && f->shape.rank < 0)
        return buf;
    oi_fact_text(g->syms, f, text, sizeof text);
    label_shorten(text, 40, buf, cap);
    return buf;
}

/* --- families --------------------------------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

label_family label_family_of(const oi_node *n)
{
    static const struct {
        const char *begin;
        label_family family;
    } rows[] = {
        {"ConvInteger", FAMILY_QUANTISE}, {"MatMulInteger", FAMILY_QUANTISE}, {"Conv", FAMILY_PRODUCT}, {"Gemm", FAMILY_PRODUCT},
        {"MatMul", FAMILY_PRODUCT}, {"Einsum", FAMILY_PRODUCT}, {"FusedMatMul", FAMILY_PRODUCT}, {"FusedConv", FAMILY_PRODUCT},
        {"Attention", FAMILY_PRODUCT}, {"MultiHeadAttention", FAMILY_PRODUCT}, {"GroupQueryAttention", FAMILY_PRODUCT},
        {"DeformConv", FAMILY_PRODUCT}, {"QLinear", FAMILY_QUANTISE}, {"Quantize", FAMILY_QUANTISE}, {"Dequantize", FAMILY_QUANTISE},
        {"DynamicQuantize", FAMILY_QUANTISE}, {"LSTM", FAMILY_RECURRENT}, {"GRU", FAMILY_RECURRENT}, {"RNN", FAMILY_RECURRENT},
        {"Reduce", FAMILY_REDUCE}, {"Softmax", FAMILY_REDUCE}, {"LogSoftmax", FAMILY_REDUCE}, {"ArgM", FAMILY_REDUCE},
        {"LayerNorm", FAMILY_REDUCE}, {"RMSNorm", FAMILY_REDUCE}, {"GroupNorm", FAMILY_REDUCE}, {"InstanceNorm", FAMILY_REDUCE},
        {"SkipLayerNorm", FAMILY_REDUCE}, {"BatchNorm", FAMILY_REDUCE}, {"LpNorm", FAMILY_REDUCE}, {"MaxPool", FAMILY_REDUCE},
        {"AveragePool", FAMILY_REDUCE}, {"Global", FAMILY_REDUCE}, {"Pool", FAMILY_REDUCE}, {"TopK", FAMILY_REDUCE}, {"CumSum", FAMILY_REDUCE},
        {"Fused", FAMILY_ELEMENTWISE}, {"Rotary", FAMILY_ELEMENTWISE}, {"Concat", FAMILY_MOVE}, {"Split", FAMILY_MOVE}, {"Slice", FAMILY_MOVE},
        {"Gather", FAMILY_MOVE}, {"Scatter", FAMILY_MOVE}, {"Pad", FAMILY_MOVE}, {"Tile", FAMILY_MOVE}, {"Expand", FAMILY_MOVE},
        {"Resize", FAMILY_MOVE}, {"Shape", FAMILY_MOVE}, {"Size", FAMILY_MOVE}, {"Range", FAMILY_MOVE}, {"ConstantOfShape", FAMILY_MOVE},
        {"Reorder", FAMILY_MOVE}, {"Transpose", FAMILY_MOVE}, {"DepthToSpace", FAMILY_MOVE}, {"SpaceToDepth", FAMILY_MOVE},
    };
    if (n->op->flags & OI_OP_CONTROL)
        return FAMILY_CONTROL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (begins(n->op->name, rows[i].begin))
            return rows[i].family;
    if (n->op->flags & OI_OP_ELEMENTWISE)
        return FAMILY_ELEMENTWISE;
    return n->op->flags & (OI_OP_VIEW | OI_OP_MOVES_DATA) ? FAMILY_MOVE : FAMILY_OTHER;
}

/* --- lines ------------------------------------------------------------------------------------------------------------ */

static char *new_line(label *l, label_kind kind)
{
    const uint32_t i = l->n < LABEL_LINES ? l->n++ : LABEL_LINES - 1;
    l->kind[i] = kind;
    l->line[i][0] = '\0';
    return l->line[i];
}

static void append(char *line, const char *between, const char *text)
{
    const size_t used = strlen(line);
    snprintf(line + used, LABEL_CAP - used, "%s%s", used ? between : "", text);
}

/* As many words a line as fit. */
static char *add_word(label *l, label_kind kind, char *line, const char *between, const char *word)
{
    if (line[0] && letters_of(line) + letters_of(word) > LABEL_DETAIL - 6 && l->n < LABEL_LINES - 3)
        line = new_line(l, kind);
    append(line, line[0] ? between : "", word);
    return line;
}

/* "key=value" at p, up to a comma outside of brackets; returns what comes behind it. */
static const char *next_attribute(const char *p, char *key, char *value, size_t cap)
{
    size_t n = 0;
    int depth = 0;
    p += strspn(p, "{, ");
    for (; *p && *p != '=' && *p != '}' && n + 1 < cap; p++)
        key[n++] = *p;
    key[n] = '\0';
    p += *p == '=';
    for (n = 0; *p && *p != '}' && (depth || *p != ','); p++) {
        depth += (*p == '[') - (*p == ']');
        if (n + 1 < cap)
            value[n++] = *p;
    }
    value[n] = '\0';
    return p;
}

static bool all_are(const char *list, char digit)
{
    for (; *list; list++)
        if (!strchr("[],", *list) && *list != digit)
            return false;
    return true;
}

/* What the operator's line says already, or what goes without saying. */
static bool is_plain(const oi_node *n, const char *key, const char *value)
{
    static const char *const shown[] = {"kernel", "kernel_shape", "activation", "isa", "out", "auto_pad", "residual_after"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!strcmp(key, shown[i]))
            return strcmp(key, "auto_pad") != 0 || !strcmp(value, "NOTSET");
    if (!strcmp(key, "strides") || !strcmp(key, "dilations"))
        return all_are(value, '1');
    if (!strcmp(key, "pads"))
        return all_are(value, '0');
    if ((!strcmp(key, "p0") || !strcmp(key, "p1")) && oi_attr_field(n, "residual_after"))
        return true;
    return !value[0];
}

/* "[3,3]" as "3x3". */
static void as_sizes(const char *list, char *out, size_t cap)
{
    size_t n = 0;
    for (; *list && n + 1 < cap; list++)
        if (*list != '[' && *list != ']')
            out[n++] = *list == ',' ? 'x' : *list;
    out[n] = '\0';
}

/* What a lowered operator does to its result before it is stored. */
static void add_epilogue(const oi_node *n, const char *activation, char *line)
{
    char bounds[48] = "";
    const bool after = oi_attr_int(n, "residual_after", 0) != 0;
    const bool sum = n->nin > 3 && n->in[3] != OI_NONE, bias = n->nin > 2 && n->in[2] != OI_NONE;
    if (bias)
        append(line, " + ", "bias");
    if (sum && !after)
        append(line, " + ", "sum");
    if (activation[0] && strcmp(activation, "none"))
        append(line, " + ", activation);
    const float *p0 = oi_attr_field(n, "p0"), *p1 = oi_attr_field(n, "p1");
    if (p0 && p1 && !strcmp(activation, "clip"))
        snprintf(bounds, sizeof bounds, " %.3g to %.3g", (double)*p0, (double)*p1);
    else if (p0 && (!strcmp(activation, "leaky_relu") || !strcmp(activation, "elu")))
        snprintf(bounds, sizeof bounds, " %.3g", (double)*p0);
    append(line, "", bounds);
    if (sum && after)
        append(line, " + ", "sum");
}

static void add_operator(const oi_node *n, const char *attrs, label *l)
{
    char *line = new_line(l, LABEL_OP), key[64], value[96], kernel[96] = "", activation[96] = "";
    append(line, "", n->op->name);
    for (const char *p = attrs; *p && *p != '}';) {
        p = next_attribute(p, key, value, sizeof key);
        if (!strcmp(key, "kernel") || !strcmp(key, "kernel_shape"))
            as_sizes(value, kernel, sizeof kernel);
        else if (!strcmp(key, "activation"))
            snprintf(activation, sizeof activation, "%s", value);
        if (!key[0])
            break;
    }
    if (kernel[0])
        append(line, " ", kernel);
    if (oi_attr_field(n, "residual_after"))
        add_epilogue(n, activation, line);
    else if (activation[0] && strcmp(activation, "none"))
        append(line, " + ", activation);
}

static void add_fused(const oi_node *n, label *l)
{
    const oi_graph *body = n->sub[0].graph;
    char *line = new_line(l, LABEL_OP);
    for (uint32_t i = 0; i < body->nnode; i++)
        if (body->node[i].op)
            line = add_word(l, LABEL_OP, line, " \xc2\xb7 ", body->node[i].op->name);
}

static void add_attributes(const oi_node *n, const char *attrs, label *l)
{
    char *line = NULL, key[64], value[96], word[LABEL_CAP], brief[LABEL_CAP];
    for (const char *p = attrs; *p && *p != '}';) {
        p = next_attribute(p, key, value, sizeof key);
        if (!key[0])
            break;
        if (is_plain(n, key, value))
            continue;
        snprintf(word, sizeof word, "%s=%s", key, value);
        label_shorten(word, LABEL_DETAIL / 2, brief, sizeof brief);
        line = line ? line : new_line(l, LABEL_DETAILS);
        line = add_word(l, LABEL_DETAILS, line, ", ", brief);
    }
}

/* "to the end" and "as many as there are" are written as the largest numbers. */
static size_t put_integer(int64_t v, char *out, size_t cap)
{
    if (v >= INT32_MAX || v <= INT32_MIN)
        return (size_t)snprintf(out, cap, v > 0 ? "max" : "min");
    return (size_t)snprintf(out, cap, "%" PRId64, v);
}

/* "3", "[1, -1]", or the shape. */
static void constant_text(const oi_graph *g, oi_value_id v, char *out, size_t cap)
{
    enum { MOST_NUMBERS = 6, MOST_FRACTIONS = 3 };
    const oi_tensor *t = g->value[v].fact.konst;
    const int64_t count = oi_tensor_count(t);
    const bool numbers = t->dtype != ONNX_INFER_STRING && !oi_dtype_is_complex(t->dtype) && oi_tensor_is_aligned(t);
    if (!numbers || count < 1 || count > MOST_NUMBERS || (oi_dtype_is_float(t->dtype) && count > 1 && (count > MOST_FRACTIONS || t->rank != 1))) {
        char text[LABEL_CAP];
        oi_fact_text(g->syms, &g->value[v].fact, text, sizeof text);
        snprintf(out, cap, "%s", begins(text, "float32 ") ? text + 8 : text);
        return;
    }
    size_t used = (size_t)snprintf(out, cap, t->rank ? "[" : "");
    for (int64_t i = 0; i < count && used + 4 < cap; i++) {
        used += (size_t)snprintf(out + used, cap - used, i ? ", " : "");
        if (oi_dtype_is_float(t->dtype))
            used += (size_t)snprintf(out + used, cap - used, "%.4g", oi_elem_get_double(t->dtype, t->data, (size_t)i));
        else
            used += put_integer(oi_elem_get_int(t->dtype, t->data, (size_t)i), out + used, cap - used);
    }
    if (t->rank && used < cap)
        snprintf(out + used, cap - used, "]");
}

/* "with 64x32x3x3, 64": what it takes beside what the edges bring. */
static void add_constants(const oi_graph *g, const oi_node *n, label *l)
{
    char *line = NULL, text[LABEL_CAP], brief[LABEL_CAP], word[LABEL_CAP + 8];
    for (uint32_t k = 0; k < n->nin; k++) {
        if (n->in[k] == OI_NONE || !g->value[n->in[k]].fact.konst || g->value[n->in[k]].def != OI_NONE)
            continue;
        constant_text(g, n->in[k], text, sizeof text);
        label_shorten(text, LABEL_DETAIL / 2, brief, sizeof brief);
        snprintf(word, sizeof word, "%s%s", line ? "" : "with ", brief);
        line = line ? line : new_line(l, LABEL_DETAILS);
        line = add_word(l, LABEL_DETAILS, line, ", ", word);
    }
}

void label_node(const oi_graph *g, const oi_node *n, label *l)
{
    char attrs[2048];
    l->n = 0;
    oi_attr_text(n->op, n->attr, attrs, sizeof attrs);
    if (!strcmp(n->op->name, "Fused") && n->nsub == 1) {
        add_fused(n, l);
    } else {
        add_operator(n, attrs, l);
        add_attributes(n, attrs, l);
    }
    add_constants(g, n, l);
    if (n->name[0])
        label_shorten(n->name, LABEL_NAME, new_line(l, LABEL_NODE_NAME), LABEL_CAP);
}
