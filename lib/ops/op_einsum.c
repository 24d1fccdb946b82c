/* Einsum: sums of products over named axes. */
#include "ops/rewrite.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *equation;
} einsum_attr;

enum { MAX_LABELS = 32, MAX_OPERANDS = 16, ELLIPSIS = 128 /* and up: its axes, counted from the right */ };

/* The equation for operands of given ranks: the labels of every axis, output labels first, then those summed over. */
typedef struct {
    uint32_t operands;
    int32_t labels, outputs;                     /* distinct labels; of the output */
    uint8_t label[MAX_LABELS];
    int32_t axis[MAX_OPERANDS][OI_MAX_RANK];     /* index in label[] of each axis */
    int32_t rank[MAX_OPERANDS];
} einsum_plan;

typedef struct {
    uint8_t label[OI_MAX_RANK];
    int32_t n;
} einsum_term;

static oi_status malformed(const char *equation)
{
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "Einsum: the equation '%.64s' does not fit its inputs", equation ? equation : "");
}

/* One term, up to ',' , '-' or the end; an ellipsis stands for `dots` axes, or with rank >= 0 for what is left of the rank. */
static oi_status parse_term(const char *equation, const char **at, int32_t rank, int32_t *dots, einsum_term *t)
{
    const char *s = *at;
    int32_t letters = 0, place = -1;
    t->n = 0;
    for (; *s && *s != ',' && *s != '-'; s++) {
        if (*s == ' ')
            continue;
        if (strncmp(s, "...", 3) == 0 && place < 0) {
            place = letters;
            s += 2;
            continue;
        }
        if (!isalpha((unsigned char)*s) || letters == OI_MAX_RANK)
            return malformed(equation);
        t->label[letters++] = (uint8_t)*s;
    }
    *at = s;
    int32_t expand = place < 0 ? 0 : rank < 0 ? *dots : rank - letters;
    if (expand < 0 || letters + expand > OI_MAX_RANK || (rank >= 0 && letters + expand != rank))
        return malformed(equation);
    if (place >= 0) {
        memmove(t->label + place + expand, t->label + place, (size_t)(letters - place));
        for (int32_t i = 0; i < expand; i++)
            t->label[place + i] = (uint8_t)(ELLIPSIS + expand - 1 - i);
        *dots = expand > *dots ? expand : *dots;
    }
    t->n = letters + expand;
    return ONNX_INFER_OK;
}

static int32_t find_label(const einsum_plan *p, uint8_t label)
{
    int32_t i = 0;
    while (i < p->labels && p->label[i] != label)
        i++;
    return i;
}

static oi_status add_label(einsum_plan *p, uint8_t label, int32_t *index)
{
    *index = find_label(p, label);
    if (*index == p->labels) {
        OI_FAIL_IF(p->labels == MAX_LABELS, ONNX_INFER_E_LIMIT, "Einsum: more than %d labels", MAX_LABELS);
        p->label[p->labels++] = label;
    }
    return ONNX_INFER_OK;
}

/* The output of an equation without "->": the ellipsis, then the letters that occur once, by their code. */
static void implied_output(const einsum_term *in, uint32_t operands, int32_t dots, einsum_term *out)
{
    out->n = 0;
    for (int32_t i = dots; i-- > 0 && out->n < OI_MAX_RANK;)
        out->label[out->n++] = (uint8_t)(ELLIPSIS + i);
    for (int c = 'A'; c <= 'z'; c++) {
        int found = 0;
        for (uint32_t k = 0; k < operands; k++) {
            for (int32_t i = 0; i < in[k].n; i++)
                found += in[k].label[i] == c;
        }
        if (found == 1 && out->n < OI_MAX_RANK)
            out->label[out->n++] = (uint8_t)c;
    }
}

static oi_status make_plan(const char *equation, uint32_t operands, const int32_t *rank, einsum_plan *p)
{
    einsum_term in[MAX_OPERANDS], out;
    int32_t dots = 0, index;
    const char *s = equation;
    memset(p, 0, sizeof *p);
    OI_FAIL_IF(operands > MAX_OPERANDS, ONNX_INFER_E_LIMIT, "Einsum: more than %d operands", MAX_OPERANDS);
    p->operands = operands;
    for (uint32_t k = 0; k < operands; k++) {
        OI_TRY(parse_term(equation, &s, rank[k], &dots, &in[k]));
        p->rank[k] = rank[k];
        if (k + 1 < operands && *s++ != ',')
            return malformed(equation);
    }
    if (*s == '-') {
        if (s[1] != '>')
            return malformed(equation);
        s += 2;
        OI_TRY(parse_term(equation, &s, -1, &dots, &out));
    } else {
        implied_output(in, operands, dots, &out);
    }
    if (*s)
        return malformed(equation);
    for (int32_t i = 0; i < out.n; i++) {
        OI_TRY(add_label(p, out.label[i], &index));
        if (index != i)
            return malformed(equation); /* a label twice */
    }
    p->outputs = p->labels;
    for (uint32_t k = 0; k < operands; k++) {
        for (int32_t i = 0; i < in[k].n; i++)
            OI_TRY(add_label(p, in[k].label[i], &p->axis[k][i]));
    }
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const einsum_attr *a = x->attr;
    int32_t rank[MAX_OPERANDS];
    einsum_plan p;
    oi_dim size[MAX_LABELS];
    for (uint32_t k = 0; k < x->nin && k < MAX_OPERANDS; k++) {
        if (!x->in[k] || x->in[k]->shape.rank < 0) {
            oi_infer_set_fresh(x, 0, x->in[0] ? x->in[0]->dtype : ONNX_INFER_UNDEFINED, -1);
            return ONNX_INFER_OK;
        }
        rank[k] = x->in[k]->shape.rank;
    }
    OI_TRY(make_plan(a->equation, x->nin, rank, &p));
    for (int32_t i = 0; i < p.labels; i++)
        size[i] = 1;
    for (uint32_t k = 0; k < p.operands; k++) {
        for (int32_t i = 0; i < rank[k]; i++) {
            oi_dim d = x->in[k]->shape.dim[i], *s = &size[p.axis[k][i]];
            OI_FAIL_IF(oi_dim_is_number(d) && oi_dim_is_number(*s) && d != *s && d != 1 && *s != 1, ONNX_INFER_E_SHAPE_MISMATCH,
                       "Einsum: input %u has %lld elements along axis %d, other inputs %lld", k, (long long)d, (int)i, (long long)*s);
            *s = oi_dim_broadcast(x->syms, *s, d);
        }
    }
    oi_infer_set(x, 0, x->in[0]->dtype, p.outputs, size);
    return ONNX_INFER_OK;
}

/* Sums over the last `labels - outputs` axes at one place of the output; offsets move along. */
static void sum_at(const oi_eval *e, const einsum_plan *p, const int64_t *size, int64_t stride[][MAX_LABELS], int64_t *offset, double *real,
                   int64_t *whole)
{
    int64_t index[MAX_LABELS] = {0};
    bool is_real = oi_dtype_is_float(e->in[0]->dtype);
    double sum = 0;
    uint64_t total = 0;
    for (;;) {
        double product = 1;
        uint64_t wide = 1;
        for (uint32_t k = 0; k < p->operands; k++) {
            const oi_tensor *t = e->in[k];
            if (is_real)
                product *= t->dtype == ONNX_INFER_FLOAT ? (double)((const float *)t->data)[offset[k]] :
                                                          oi_elem_get_double(t->dtype, t->data, (size_t)offset[k]);
            else
                wide *= (uint64_t)oi_elem_get_int(t->dtype, t->data, (size_t)offset[k]);
        }
        sum += product;
        total += wide;
        int32_t i = p->labels;
        while (i-- > p->outputs) {
            for (uint32_t k = 0; k < p->operands; k++)
                offset[k] += stride[k][i];
            if (++index[i] < size[i])
                break;
            for (uint32_t k = 0; k < p->operands; k++)
                offset[k] -= stride[k][i] * size[i];
            index[i] = 0;
        }
        if (i < p->outputs)
            break;
    }
    *real = sum;
    *whole = (int64_t)total;
}

static oi_status eval(oi_eval *e)
{
    const einsum_attr *a = e->attr;
    einsum_plan p;
    int32_t rank[MAX_OPERANDS];
    int64_t size[MAX_LABELS], stride[MAX_OPERANDS][MAX_LABELS] = {{0}}, index[MAX_LABELS] = {0}, offset[MAX_OPERANDS] = {0};
    for (uint32_t k = 0; k < e->nin; k++) {
        const oi_tensor *t = oi_eval_in(e, k);
        if (!t || t->dtype != e->in[0]->dtype || !(oi_dtype_is_float(t->dtype) || oi_dtype_is_int(t->dtype)))
            return oi_eval_bad_type(e, k);
        if (k < MAX_OPERANDS)
            rank[k] = t->rank;
    }
    OI_TRY(make_plan(a->equation, e->nin, rank, &p));
    for (int32_t i = 0; i < p.labels; i++)
        size[i] = 1;
    for (uint32_t k = 0; k < p.operands; k++) {
        int64_t at = 1;
        for (int32_t i = rank[k]; i-- > 0;) {
            int64_t d = e->in[k]->dim[i], *s = &size[p.axis[k][i]];
            OI_FAIL_IF(d != *s && d != 1 && *s != 1, ONNX_INFER_E_SHAPE_MISMATCH,
                       "Einsum: input %u has %lld elements along axis %d, other inputs %lld", k, (long long)d, (int)i, (long long)*s);
            *s = *s == 1 ? d : *s;
            stride[k][p.axis[k][i]] += d == 1 ? 0 : at;
            at *= d;
        }
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, e->in[0]->dtype, p.outputs, size, &y));
    size_t count = (size_t)oi_tensor_count(y);
    bool nothing = false;
    for (int32_t i = p.outputs; i < p.labels; i++)
        nothing = nothing || size[i] == 0;
    if (nothing) {
        if (y->bytes)
            memset(y->data, 0, y->bytes);
        return ONNX_INFER_OK;
    }
    for (size_t n = 0; n < count; n++) {
        double real;
        int64_t whole;
        if (n % 4096 == 0)
            OI_TRY(e->host->check(e));
        sum_at(e, &p, size, stride, offset, &real, &whole);
        if (oi_dtype_is_float(y->dtype))
            oi_elem_set_double(y->dtype, y->data, n, real);
        else
            oi_elem_set_int(y->dtype, y->data, n, whole);
        for (int32_t i = p.outputs; i-- > 0;) {
            for (uint32_t k = 0; k < p.operands; k++)
                offset[k] += stride[k][i];
            if (++index[i] < size[i])
                break;
            for (uint32_t k = 0; k < p.operands; k++)
                offset[k] -= stride[k][i] * size[i];
            index[i] = 0;
        }
    }
    return ONNX_INFER_OK;
}

/* One operand whose axes only change places: Transpose. */
static oi_status declutter(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    const einsum_attr *a = n->attr;
    const oi_fact *f = oi_graph_fact(rw->g, n->in[0]);
    char text[16 + 4 * OI_MAX_RANK] = "perm=[";
    einsum_plan p;
    if (n->nin != 1 || f->shape.rank < 1)
        return ONNX_INFER_OK;
    OI_TRY(make_plan(a->equation, 1, &f->shape.rank, &p));
    if (p.labels != p.outputs || p.outputs != f->shape.rank)
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < p.outputs; i++) {
        int32_t from = 0;
        while (p.axis[0][from] != i)
            from++;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%d", i ? "," : "", (int)from);
    }
    strcat(text, "]");
    oi_rewrite_replace(rw, n->out[0], oi_rewrite_op(rw, "", "Transpose", text, 1, n->in));
    return rw->status;
}

static const oi_attr_spec attrs[] = {
    {.name = "equation", .type = OI_ATTR_STRING, .offset = offsetof(einsum_attr, equation), .flags = OI_ATTR_REQUIRED}, {0}};

const oi_op oi_op_Einsum = {
    .name = "Einsum", .domain = "", .since = 12, .newest = 28, .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(einsum_attr), .infer = infer, .eval = eval, .declutter = declutter,
};
