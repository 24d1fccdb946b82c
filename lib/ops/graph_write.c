/* Graphs as bytes: writing. See graph_read.c for the other direction, which goes in the same order. */
#include "ops/graph_bytes.h"

enum { INLINE_BYTES = 1024, INLINE_ALIGN = 16 };

oi_status oi_tensor_write(oi_blob *b, const oi_tensor *t, const oi_const_writer *w)
{
    oi_const_ref ref = {OI_CONST_INLINE, 0, 0};
    if (t->dtype != ONNX_INFER_STRING && t->bytes > INLINE_BYTES)
        OI_TRY(w->put(w->user, t, &ref));
    oi_blob_u32(b, (uint32_t)t->dtype);
    oi_blob_u32(b, (uint32_t)t->rank);
    oi_blob_put(b, t->dim, (size_t)t->rank * sizeof *t->dim, sizeof *t->dim);
    oi_blob_u32(b, ref.place);
    if (ref.place != OI_CONST_INLINE) {
        oi_blob_u32(b, ref.index);
        oi_blob_i64(b, (int64_t)ref.at);
    } else if (t->dtype != ONNX_INFER_STRING) {
        oi_blob_put(b, t->data, t->bytes, INLINE_ALIGN);
    } else {
        const oi_string *s = t->data;
        for (int64_t i = 0; i < oi_tensor_count(t); i++) {
            OI_FAIL_IF(s[i].n >= UINT32_MAX, ONNX_INFER_E_LIMIT, "a text of %zu bytes", s[i].n);
            oi_blob_u32(b, (uint32_t)s[i].n);
            oi_blob_put(b, s[i].text ? s[i].text : "", s[i].n, 1);
        }
    }
    return ONNX_INFER_OK;
}

void oi_fact_write(oi_blob *b, const oi_fact *f)
{
    oi_blob_u32(b, (uint32_t)f->kind);
    oi_blob_u32(b, (uint32_t)f->dtype);
    oi_blob_u32(b, (uint32_t)f->shape.rank);
    oi_blob_u32(b, f->nsym);
    oi_blob_u32(b, f->elem != NULL);
    if (f->shape.rank > 0)
        oi_blob_put(b, f->shape.dim, (size_t)f->shape.rank * sizeof *f->shape.dim, sizeof(oi_dim));
    oi_blob_put(b, f->sym, f->nsym * sizeof *f->sym, sizeof(oi_dim));
    if (f->elem)
        oi_fact_write(b, f->elem);
}

static void write_list(oi_blob *b, const void *at, uint32_t n, size_t each)
{
    oi_blob_u32(b, n);
    oi_blob_put(b, at, n * each, each);
}

static oi_status write_field(oi_blob *b, const oi_op *op, const oi_attr_spec *s, const void *p, const oi_const_writer *w)
{
    switch (s->type) {
    case OI_ATTR_INT:
    case OI_ATTR_ENUM:
        oi_blob_i64(b, *(const int64_t *)p);
        return ONNX_INFER_OK;
    case OI_ATTR_FLOAT:
        oi_blob_put(b, p, sizeof(float), sizeof(float));
        return ONNX_INFER_OK;
    case OI_ATTR_STRING:
        oi_blob_text(b, *(const char *const *)p);
        return ONNX_INFER_OK;
    case OI_ATTR_INTS:
        write_list(b, ((const oi_ints *)p)->at, ((const oi_ints *)p)->n, sizeof(int64_t));
        return ONNX_INFER_OK;
    case OI_ATTR_FLOATS:
        write_list(b, ((const oi_floats *)p)->at, ((const oi_floats *)p)->n, sizeof(float));
        return ONNX_INFER_OK;
    case OI_ATTR_STRINGS: {
        const oi_strings *v = p;
        oi_blob_u32(b, v->n);
        for (uint32_t i = 0; i < v->n; i++) {
            oi_blob_u32(b, v->len[i]);
            oi_blob_put(b, v->at[i], v->len[i], 1);
        }
        return ONNX_INFER_OK;
    }
    case OI_ATTR_TENSOR:
        oi_blob_u32(b, *(const void *const *)p != NULL);
        return *(const void *const *)p ? oi_tensor_write(b, *(const oi_tensor *const *)p, w) : ONNX_INFER_OK;
    case OI_ATTR_TENSORS: {
        const oi_tensors *v = p;
        oi_blob_u32(b, v->n);
        for (uint32_t i = 0; i < v->n; i++)
            OI_TRY(oi_tensor_write(b, v->at[i], w));
        return ONNX_INFER_OK;
    }
    case OI_ATTR_TYPE:
        oi_blob_u32(b, *(const void *const *)p != NULL);
        if (*(const void *const *)p)
            oi_fact_write(b, *(const oi_fact *const *)p);
        return ONNX_INFER_OK;
    case OI_ATTR_REST:
        break;
    }
    return oi_fail(ONNX_INFER_E_UNSUPPORTED_OP, "attribute %s of %s has no form in files", s->name, op->name);
}

/* The attributes that are not as by default: a bit for each, then their content. */
static oi_status write_attr(oi_blob *b, const oi_node *n, const oi_const_writer *w)
{
    uint64_t given = 0, bit = 1;
    if (!n->attr)
        return ONNX_INFER_OK;
    for (const oi_attr_spec *s = n->op->attrs; s && s->name; s++, bit *= 2) {
        OI_FAIL_IF(!bit, ONNX_INFER_E_UNSUPPORTED_OP, "%s has too many attributes", n->op->name);
        if (!oi_attr_is_default(s, (const char *)n->attr + s->offset))
            given |= bit;
    }
    oi_blob_i64(b, (int64_t)given);
    bit = 1;
    for (const oi_attr_spec *s = n->op->attrs; s && s->name; s++, bit *= 2) {
        if (given & bit)
            OI_TRY(write_field(b, n->op, s, (const char *)n->attr + s->offset, w));
    }
    return ONNX_INFER_OK;
}

/* --- operators: each once --------------------------------------------------------------------------------------------- */

typedef struct {
    const oi_op *op[512];
    uint32_t n;
    oi_blob *b;
    const oi_const_writer *w;
} writer;

static uint32_t find_op(const writer *x, const oi_op *op)
{
    uint32_t i = 0;
    while (i < x->n && x->op[i] != op)
        i++;
    return i;
}

static oi_status list_ops(writer *x, const oi_graph *g)
{
    for (uint32_t i = 0; i < g->nnode; i++) {
        const oi_node *n = &g->node[i];
        OI_FAIL_IF(!n->op || n->op->flags & OI_OP_CUSTOM, ONNX_INFER_E_UNSUPPORTED_OP, "node %u of a graph has no form in files", i);
        if (find_op(x, n->op) == x->n) {
            OI_FAIL_IF(x->n == sizeof x->op / sizeof *x->op, ONNX_INFER_E_UNSUPPORTED_OP, "a graph has too many operators");
            x->op[x->n++] = n->op;
        }
        for (uint32_t k = 0; k < n->nsub; k++)
            OI_TRY(list_ops(x, n->sub[k].graph));
    }
    return ONNX_INFER_OK;
}

/* --- graphs ------------------------------------------------------------------------------------------------------------- */

static oi_status write_graph(writer *x, const oi_graph *g);

static oi_status write_node(writer *x, const oi_node *n)
{
    oi_blob *b = x->b;
    oi_blob_u32(b, find_op(x, n->op));
    oi_blob_text(b, n->name);
    write_list(b, n->in, n->nin, sizeof *n->in);
    write_list(b, n->out, n->nout, sizeof *n->out);
    oi_blob_u32(b, n->attr != NULL);
    OI_TRY(write_attr(b, n, x->w));
    oi_blob_u32(b, n->nsub);
    for (uint32_t i = 0; i < n->nsub; i++) {
        oi_blob_text(b, n->sub[i].name);
        write_list(b, n->sub[i].capture, n->sub[i].ncapture, sizeof *n->sub[i].capture);
        OI_TRY(write_graph(x, n->sub[i].graph));
    }
    return ONNX_INFER_OK;
}

static oi_status write_graph(writer *x, const oi_graph *g)
{
    oi_blob *b = x->b;
    uint32_t constants = 0;
    for (uint32_t i = 0; i < g->nvalue; i++)
        constants += g->value[i].fact.konst != NULL;
    oi_blob_u32(b, (uint32_t)g->stage);
    oi_blob_text(b, g->name ? g->name : "");
    oi_blob_u32(b, constants);
    oi_blob_u32(b, g->nvalue);
    for (uint32_t i = 0; i < g->nvalue; i++) {
        const oi_value *v = &g->value[i];
        oi_blob_text(b, v->name);
        oi_fact_write(b, &v->fact);
        oi_blob_u32(b, v->fact.konst != NULL);
        if (v->fact.konst)
            OI_TRY(oi_tensor_write(b, v->fact.konst, x->w));
    }
    write_list(b, g->input, g->ninput, sizeof *g->input);
    write_list(b, g->output, g->noutput, sizeof *g->output);
    for (uint32_t i = 0; i < g->noutput; i++)
        oi_blob_text(b, g->output_name[i]);
    oi_blob_u32(b, g->nnode);
    for (uint32_t i = 0; i < g->nnode; i++)
        OI_TRY(write_node(x, &g->node[i]));
    return ONNX_INFER_OK;
}

oi_status oi_graph_write(const oi_graph *g, oi_blob *b, const oi_const_writer *w)
{
    writer x = {.b = b, .w = w};
    OI_TRY(list_ops(&x, g));
    oi_symtab_write(g->syms, b);
    oi_blob_u32(b, x.n);
    for (uint32_t i = 0; i < x.n; i++) {
        oi_blob_text(b, x.op[i]->domain);
        oi_blob_text(b, x.op[i]->name);
    }
    OI_TRY(write_graph(&x, g));
    return b->full ? oi_fail_out_of_memory(b->n) : ONNX_INFER_OK;
}
