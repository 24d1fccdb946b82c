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

/* --- as other operators: Transpose, Mul, MatMul --- */

/* The equation's labels in an order: of an operand's axes, of a product's. */
typedef struct {
    int32_t label[MAX_LABELS], n;
} label_list;

static bool has(const label_list *l, int32_t label)
{
    int32_t i = 0;
    while (i < l->n && l->label[i] != label)
        i++;
    return i < l->n;
}

static void append(label_list *l, int32_t label)
{
    l->label[l->n++] = label;
}

static void append_all(label_list *l, const label_list *more)
{
    for (int32_t i = 0; i < more->n; i++)
        append(l, more->label[i]);
}

static label_list labels_of(const einsum_plan *p, uint32_t k)
{
    label_list l = {.n = 0};
    for (int32_t i = 0; i < p->rank[k]; i++)
        append(&l, p->axis[k][i]);
    return l;
}

/* v, whose axes are `from`, with its axes in the order `to`. */
static oi_value_id reordered(oi_rewrite *rw, oi_value_id v, const label_list *from, const label_list *to)
{
    char text[16 + 4 * OI_MAX_RANK] = "perm=[";
    bool same = true;
    for (int32_t i = 0; i < to->n; i++) {
        int32_t at = 0;
        while (from->label[at] != to->label[i])
            at++;
        same = same && at == i;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%d", i ? "," : "", (int)at);
    }
    strcat(text, "]");
    return same ? v : oi_rewrite_op(rw, "", "Transpose", text, 1, &v);
}

/* v with axes of size 1 at `first` .. `first + n - 1` of the result. */
static oi_value_id with_ones(oi_rewrite *rw, oi_value_id v, int32_t first, int32_t n)
{
    int64_t axes[OI_MAX_RANK];
    for (int32_t i = 0; i < n; i++)
        axes[i] = first + i;
    oi_value_id in[2] = {v, OI_NONE};
    if (n)
        in[1] = oi_rewrite_const_ints(rw, axes, (uint32_t)n);
    return n ? oi_rewrite_op(rw, "", "Unsqueeze", "", 2, in) : v;
}

/* Groups of axes, one behind the other, become one axis each (or one becomes its axes): the shape for Reshape. False where
 * more is unknown than Reshape can make out for any sizes. */
typedef struct {
    int64_t dim[MAX_LABELS];
    uint32_t n;
    bool unknown; /* a dim is -1 */
} shape_text;

static bool add_dims(shape_text *t, const oi_dim *size, const label_list *l, bool joined)
{
    int64_t product = 1;
    for (int32_t i = 0; i < l->n; i++) {
        oi_dim d = size[l->label[i]];
        bool number = oi_dim_is_number(d);
        if ((number && d < 1) || (!number && t->unknown))
            return false;
        t->unknown = t->unknown || !number;
        product = product < 0 || !number ? -1 : product > INT32_MAX ? 0 : product * d;
        if (!joined)
            t->dim[t->n++] = number ? d : -1;
    }
    if (joined)
        t->dim[t->n++] = product;
    return product != 0;
}

static oi_value_id reshaped(oi_rewrite *rw, oi_value_id v, const shape_text *t)
{
    oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, t->dim, t->n)};
    return oi_rewrite_op(rw, "", "Reshape", "", 2, in);
}

typedef struct {
    label_list both, left, right, summed; /* of the output and both operands, one of them; of both but not the output */
} einsum_groups;

/* False where an operand has a label twice or one of its own that is summed, or sizes may be broadcast. */
static bool group_labels(const oi_rewrite *rw, const oi_node *n, const einsum_plan *p, oi_dim *size, einsum_groups *g)
{
    label_list l = labels_of(p, 0), r = labels_of(p, 1);
    *g = (einsum_groups){0};
    for (int32_t i = 0; i < p->labels; i++)
        size[i] = OI_DIM_LOWEST_NUMBER;
    for (uint32_t k = 0; k < 2; k++) {
        for (int32_t i = 0; i < p->rank[k]; i++) {
            oi_dim d = oi_graph_fact(rw->g, n->in[k])->shape.dim[i], *known = &size[p->axis[k][i]];
            if (*known != OI_DIM_LOWEST_NUMBER && *known != d)
                return false;
            *known = d;
            for (int32_t j = 0; j < i; j++) {
                if (p->axis[k][j] == p->axis[k][i])
                    return false;
            }
        }
    }
    for (int32_t i = 0; i < p->labels; i++) {
        bool in_left = has(&l, i), in_right = has(&r, i), out = i < p->outputs;
        if (!out && !(in_left && in_right))
            return false;
        append(!out ? &g->summed : in_left && in_right ? &g->both : in_left ? &g->left : &g->right, i);
    }
    return true;
}

/* Two operands without a sum between them: one times the other. */
static oi_value_id multiplied(oi_rewrite *rw, const einsum_groups *g, const oi_value_id *side)
{
    oi_value_id in[2] = {with_ones(rw, side[0], g->both.n + g->left.n, g->right.n), with_ones(rw, side[1], g->both.n, g->left.n)};
    return oi_rewrite_op(rw, "", "Mul", "", 2, in);
}

/* As stacks of matrices, one for each place of the labels that both have. */
static oi_status as_product(oi_rewrite *rw, const oi_node *n, const einsum_plan *p)
{
    oi_dim size[MAX_LABELS];
    einsum_groups g;
    if (!group_labels(rw, n, p, size, &g) || g.both.n + 2 > OI_MAX_RANK)
        return ONNX_INFER_OK;
    const bool turned = g.left.n > 0 && g.right.n > 0 && g.right.label[0] < g.left.label[0]; /* columns come last in a product */
    if (turned) {
        label_list left = g.left;
        g.left = g.right;
        g.right = left;
    }
    const oi_value_id operand[2] = {n->in[turned], n->in[!turned]};
    label_list from[2] = {labels_of(p, turned), labels_of(p, !turned)}, to[2] = {g.both, g.both}, result = g.both, wanted = {.n = 0};
    append_all(&to[0], &g.left);
    append_all(&to[0], &g.summed);
    append_all(&to[1], &g.summed);
    append_all(&to[1], &g.right);
    append_all(&result, &g.left);
    append_all(&result, &g.right);
    for (int32_t i = 0; i < p->outputs; i++)
        append(&wanted, i);
    shape_text shape[3] = {{.n = 0}};
    const label_list *rows[2] = {&g.left, &g.summed}, *columns[2] = {&g.summed, &g.right};
    const bool stay = g.both.n == 0 && g.left.n > 1; /* rows of any number of axes by one matrix */
    bool whole[2] = {(g.left.n == 1 || stay) && g.summed.n == 1, g.summed.n == 1 && g.right.n == 1};
    bool plain = (g.left.n == 1 || stay) && g.right.n == 1;
    for (int32_t k = 0; k < 2 && g.summed.n; k++) {
        if (!whole[k] && !(add_dims(&shape[k], size, &g.both, false) && add_dims(&shape[k], size, rows[k], k || !stay) &&
                           add_dims(&shape[k], size, columns[k], true)))
            return ONNX_INFER_OK;
    }
    if (g.summed.n && !plain && !(add_dims(&shape[2], size, &g.both, false) && add_dims(&shape[2], size, &g.left, false) &&
                                  add_dims(&shape[2], size, &g.right, false)))
        return ONNX_INFER_OK;
    oi_value_id side[2], y;
    for (int32_t k = 0; k < 2; k++)
        side[k] = reordered(rw, operand[k], &from[k], &to[k]);
    if (g.summed.n) {
        for (int32_t k = 0; k < 2; k++)
            side[k] = whole[k] ? side[k] : reshaped(rw, side[k], &shape[k]);
        y = oi_rewrite_op(rw, "", "MatMul", "", 2, side);
        y = plain ? y : reshaped(rw, y, &shape[2]);
    } else {
        y = multiplied(rw, &g, side);
    }
    oi_rewrite_replace(rw, n->out[0], reordered(rw, y, &result, &wanted));
    return rw->status;
}

/* The first two of several operands, then their product with the others. Labels become letters: there are at most 32. */
static oi_status split(oi_rewrite *rw, const oi_node *n, const einsum_plan *p)
{
    char first[16 + 4 * OI_MAX_RANK + MAX_LABELS], rest[MAX_OPERANDS * (OI_MAX_RANK + 1) + 2 * MAX_LABELS + 32];
    char *u = first, *v = rest;
    oi_value_id in[MAX_OPERANDS];
    label_list used = {.n = 0};
    int32_t kept = 0;
    u += sprintf(u, "equation='");
    v += sprintf(v, "equation='");
    for (uint32_t k = 0; k < 2; k++) {
        for (int32_t i = 0; i < p->rank[k]; i++) {
            *u++ = (char)("aA"[p->axis[k][i] > 25] + p->axis[k][i] % 26);
            if (!has(&used, p->axis[k][i]))
                append(&used, p->axis[k][i]);
        }
        u += sprintf(u, "%s", k ? "->" : ",");
    }
    for (int32_t i = 0; i < used.n; i++) {
        bool needed = used.label[i] < p->outputs;
        for (uint32_t k = 2; k < p->operands && !needed; k++) {
            label_list l = labels_of(p, k);
            needed = has(&l, used.label[i]);
        }
        if (!needed)
            continue;
        if (++kept > OI_MAX_RANK)
            return ONNX_INFER_OK;
        *u++ = *v++ = (char)("aA"[used.label[i] > 25] + used.label[i] % 26);
    }
    for (uint32_t k = 2; k < p->operands; k++) {
        *v++ = ',';
        for (int32_t i = 0; i < p->rank[k]; i++)
            *v++ = (char)("aA"[p->axis[k][i] > 25] + p->axis[k][i] % 26);
    }
    v += sprintf(v, "->");
    for (int32_t i = 0; i < p->outputs; i++)
        *v++ = (char)("aA"[i > 25] + i % 26);
    strcpy(u, "'");
    strcpy(v, "'");
    in[0] = oi_rewrite_op(rw, "", "Einsum", first, 2, n->in);
    for (uint32_t k = 2; k < p->operands; k++)
        in[k - 1] = n->in[k];
    oi_rewrite_replace(rw, n->out[0], oi_rewrite_op(rw, "", "Einsum", rest, p->operands - 1, in));
    return rw->status;
}

static oi_status declutter(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id], *n = &node; /* a copy: new nodes move the array */
    const einsum_attr *a = n->attr;
    einsum_plan p;
    int32_t rank[MAX_OPERANDS] = {0};
    for (uint32_t k = 0; k < n->nin; k++) {
        const oi_fact *f = k < MAX_OPERANDS ? oi_graph_fact(rw->g, n->in[k]) : NULL;
        if (!f || f->shape.rank < 0)
            return ONNX_INFER_OK;
        rank[k] = f->shape.rank;
    }
    OI_TRY(make_plan(a->equation, n->nin, rank, &p));
    if (n->nin == 1) { /* Transpose, where axes only change places */
        label_list from = labels_of(&p, 0), to = {.n = 0};
        for (int32_t i = 0; i < p.outputs; i++)
            append(&to, i);
        if (p.labels == p.outputs && p.outputs == from.n && from.n > 0)
            oi_rewrite_replace(rw, n->out[0], reordered(rw, n->in[0], &from, &to));
        return rw->status;
    }
    oi_dtype dtype = oi_graph_fact(rw->g, n->in[0])->dtype;
    if (dtype != ONNX_INFER_FLOAT && dtype != ONNX_INFER_DOUBLE && dtype != ONNX_INFER_FLOAT16 && dtype != ONNX_INFER_BFLOAT16)
        return ONNX_INFER_OK;
    return n->nin == 2 ? as_product(rw, n, &p) : split(rw, n, &p);
}

static const oi_attr_spec attrs[] = {
    {.name = "equation", .type = OI_ATTR_STRING, .offset = offsetof(einsum_attr, equation), .flags = OI_ATTR_REQUIRED}, {0}};

const oi_op oi_op_Einsum = {
    .name = "Einsum", .domain = "", .since = 12, .newest = 28, .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(einsum_attr), .infer = infer, .eval = eval, .declutter = declutter,
};
