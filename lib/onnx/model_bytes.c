/* Loaded models as bytes: the graph, and what the file says besides. */
#include "onnx/model_bytes.h"

#include <string.h>

static oi_status damaged(const char *what)
{
    return oi_fail(ONNX_INFER_E_CACHE_STALE, "the saved model is damaged: %s", what);
}

static void write_properties(oi_blob *b, const oi_onnx_property *p, uint32_t n)
{
    oi_blob_u32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        oi_blob_text(b, p[i].key);
        oi_blob_text(b, p[i].value);
    }
}

static oi_status write_ports(oi_blob *b, const oi_onnx_port *p, uint32_t n, const oi_const_writer *w)
{
    oi_blob_u32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        oi_blob_text(b, p[i].name);
        oi_fact_write(b, &p[i].fact);
        oi_blob_u32(b, p[i].initial != NULL);
        if (p[i].initial)
            OI_TRY(oi_tensor_write(b, p[i].initial, w));
    }
    return ONNX_INFER_OK;
}

oi_status oi_onnx_model_write(const oi_onnx_model *m, oi_blob *b, const oi_const_writer *w)
{
    OI_TRY(oi_graph_write(m->graph, b, w));
    OI_TRY(write_ports(b, m->input, m->ninput, w));
    OI_TRY(write_ports(b, m->output, m->noutput, w));
    oi_blob_i64(b, m->ir_version);
    oi_blob_i64(b, (int64_t)m->in_place);
    oi_blob_i64(b, (int64_t)m->copied);
    oi_blob_u32(b, m->nopset);
    for (uint32_t i = 0; i < m->nopset; i++) {
        oi_blob_text(b, m->opset[i].domain);
        oi_blob_i64(b, m->opset[i].version);
    }
    write_properties(b, m->metadata, m->nmetadata);
    write_properties(b, m->property, m->nproperty);
    return b->full ? oi_fail_out_of_memory(b->n) : ONNX_INFER_OK;
}

static oi_status read_properties(oi_cursor *c, oi_arena *arena, const oi_onnx_property **out, uint32_t *n)
{
    uint32_t count = oi_cursor_count(c, 2 * sizeof(uint32_t));
    oi_onnx_property *list = oi_arena_array(arena, (size_t)count + 1, sizeof *list);
    if (!list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        list[i].key = oi_cursor_text(c);
        list[i].value = oi_cursor_text(c);
        if (!list[i].key || !list[i].value)
            return damaged("a property has no text");
    }
    *out = list;
    *n = count;
    return ONNX_INFER_OK;
}

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

static oi_status read_ports(oi_cursor *c, const oi_graph *g, oi_buffer *buf, const oi_const_reader *r, const oi_onnx_port **out, uint32_t n)
{
    if (oi_cursor_u32(c) != n)
        return damaged("its graph has other inputs or outputs");
    oi_onnx_port *port = oi_arena_array(g->arena, (size_t)n + 1, sizeof *port);
    if (!port)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        port[i].name = oi_cursor_text(c);
        OI_TRY(oi_fact_read(c, g->arena, g->syms, &port[i].fact));
        if (!port[i].name)
            return damaged("an input or output has no name");
        if (!oi_cursor_u32(c))
            continue;
        oi_tensor *t = oi_arena_mem(g->arena, sizeof *t);
        if (!t)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        OI_TRY(oi_arena_on_destroy(g->arena, clear_tensor, t));
        OI_TRY(oi_tensor_read(c, oi_arena_alloc_of(g->arena), buf, r, t));
        port[i].initial = t;
    }
    *out = port;
    return ONNX_INFER_OK;
}

static void clear_bytes(void *bytes)
{
    oi_bytes_clear(bytes);
}

static oi_status read_rest(oi_cursor *c, oi_buffer *buf, const oi_const_reader *r, const oi_bytes *bytes, oi_onnx_model *m)
{
    const oi_graph *g = m->graph;
    m->ninput = g->ninput;
    m->noutput = g->noutput;
    OI_TRY(read_ports(c, g, buf, r, &m->input, m->ninput));
    OI_TRY(read_ports(c, g, buf, r, &m->output, m->noutput));
    m->ir_version = oi_cursor_i64(c);
    m->in_place = (uint64_t)oi_cursor_i64(c);
    m->copied = (uint64_t)oi_cursor_i64(c);
    m->nopset = oi_cursor_count(c, sizeof(uint32_t) + sizeof(int64_t));
    oi_onnx_opset *opset = oi_arena_array(g->arena, (size_t)m->nopset + 1, sizeof *opset);
    oi_bytes *source = oi_arena_mem(g->arena, sizeof *source);
    if (!opset || !source)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    m->opset = opset;
    for (uint32_t i = 0; i < m->nopset; i++) {
        opset[i].domain = oi_cursor_text(c);
        opset[i].version = oi_cursor_i64(c);
        if (!opset[i].domain)
            return damaged("a domain has no name");
    }
    OI_TRY(read_properties(c, g->arena, &m->metadata, &m->nmetadata));
    OI_TRY(read_properties(c, g->arena, &m->property, &m->nproperty));
    OI_TRY(oi_arena_on_destroy(g->arena, clear_bytes, source));
    *source = *bytes;
    oi_buffer_retain(source->buf);
    m->source = source;
    m->nsource = 1;
    return c->bad ? damaged("it is cut off") : ONNX_INFER_OK;
}

oi_status oi_onnx_model_read(oi_cursor *c, const oi_alloc *a, const oi_log *log, oi_buffer *buf, const oi_const_reader *r,
                             const oi_bytes *bytes, oi_onnx_model **out)
{
    oi_graph *g;
    *out = NULL;
    OI_TRY(oi_graph_read(c, a, log, buf, r, &g));
    oi_onnx_model *m = oi_arena_mem(g->arena, sizeof *m);
    oi_status st = ONNX_INFER_E_OUT_OF_MEMORY;
    if (m) {
        m->graph = g;
        st = read_rest(c, buf, r, bytes, m);
    }
    if (st != ONNX_INFER_OK)
        oi_graph_destroy(g);
    else
        *out = m;
    return st;
}
