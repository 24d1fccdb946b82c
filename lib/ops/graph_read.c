/* Graphs as bytes: reading, in the order of graph_write.c. Nothing of the bytes is believed: every count, index and text is
 * checked before it is used. */
#include "base/checked.h"
#include "ops/graph_bytes.h"

enum { INLINE_ALIGN = 16, DEEPEST = 64 };

static oi_status damaged(const char *what)
{
    return oi_fail(ONNX_INFER_E_CACHE_STALE, "the saved plan is damaged: %s", what);
}

static oi_status read_strings(oi_cursor *c, const oi_alloc *a, oi_tensor *t)
{
    OI_FAIL_IF((size_t)oi_tensor_count(t) > (c->n - c->at) / sizeof(uint32_t), ONNX_INFER_E_CACHE_STALE,
               "the saved plan is damaged: it has fewer texts than it says");
    oi_tensor described = *t;
    OI_TRY(oi_tensor_create(a, described.dtype, described.rank, described.dim, t));
    for (int64_t i = 0; i < oi_tensor_count(t); i++) {
        uint32_t n = oi_cursor_u32(c);
        const char *text = oi_cursor_take(c, n, 1);
        oi_status st = text ? oi_tensor_set_string(a, t, (size_t)i, text, n) : damaged("it ends within a text");
        if (st != ONNX_INFER_OK) {
            oi_tensor_clear(t);
            return st;
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_tensor_read(oi_cursor *c, const oi_alloc *a, oi_buffer *buf, const oi_const_reader *r, oi_tensor *t)
{
    uint32_t dtype = oi_cursor_u32(c), rank = oi_cursor_u32(c);
    memset(t, 0, sizeof *t);
    if (c->bad || rank > OI_MAX_RANK || dtype >= OI_DTYPE_COUNT)
        return damaged("a constant has no type");
    const int64_t *dim = oi_cursor_take(c, rank * sizeof *dim, sizeof *dim);
    oi_const_ref ref = {.place = oi_cursor_u32(c)};
    if (c->bad || oi_tensor_describe(t, (oi_dtype)dtype, (int32_t)rank, dim))
        return damaged("a constant has no shape");
    if (ref.place != OI_CONST_INLINE) {
        ref.index = oi_cursor_u32(c);
        ref.at = (uint64_t)oi_cursor_i64(c);
        if (c->bad || t->dtype == ONNX_INFER_STRING)
            return damaged("a constant is nowhere");
        return r->get(r->user, &ref, t);
    }
    if (t->dtype == ONNX_INFER_STRING)
        return read_strings(c, a, t);
    const void *data = oi_cursor_take(c, t->bytes, INLINE_ALIGN);
    if (!data)
        return damaged("it ends within a constant");
    t->data = (void *)(uintptr_t)data;
    t->buf = oi_buffer_retain(buf);
    return ONNX_INFER_OK;
}

static oi_status read_fact(oi_cursor *c, oi_arena *arena, const oi_symtab *syms, oi_fact *f, uint32_t depth)
{
    *f = oi_fact_unknown();
    f->kind = (onnx_infer_kind)oi_cursor_u32(c);
    f->dtype = (oi_dtype)oi_cursor_u32(c);
    f->shape.rank = (int32_t)oi_cursor_u32(c);
    f->nsym = oi_cursor_u32(c);
    bool elem = oi_cursor_u32(c) != 0;
    if (c->bad || f->kind < ONNX_INFER_TENSOR || f->kind > ONNX_INFER_MAP || f->dtype < 0 || f->dtype >= OI_DTYPE_COUNT ||
        f->shape.rank < -1 || f->shape.rank > OI_MAX_RANK || f->nsym > OI_SYM_CONTENT_MAX || depth > DEEPEST)
        return damaged("a value has no type");
    size_t dims = f->shape.rank > 0 ? (size_t)f->shape.rank : 0;
    const oi_dim *dim = oi_cursor_take(c, dims * sizeof *dim, sizeof *dim);
    const oi_dim *sym = oi_cursor_take(c, f->nsym * sizeof *sym, sizeof *sym);
    if (c->bad)
        return damaged("a value has no shape");
    for (size_t i = 0; i < dims; i++) {
        if (!oi_symtab_has(syms, dim[i]) || (f->kind == ONNX_INFER_TENSOR && oi_dim_is_number(dim[i]) && dim[i] < 0))
            return damaged("a value has no shape");
        f->shape.dim[i] = dim[i];
    }
    for (uint32_t i = 0; i < f->nsym; i++) {
        if (!oi_symtab_has(syms, sym[i]))
            return damaged("a value has no content");
    }
    f->sym = f->nsym ? sym : NULL;
    if (!elem)
        return ONNX_INFER_OK;
    oi_fact *of = oi_arena_mem(arena, sizeof *of);
    if (!of)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    f->elem = of;
    return read_fact(c, arena, syms, of, depth + 1);
}

oi_status oi_fact_read(oi_cursor *c, oi_arena *arena, const oi_symtab *syms, oi_fact *f)
{
    return read_fact(c, arena, syms, f, 0);
}

/* --- attributes --------------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_cursor *c;
    const oi_alloc *alloc;
    oi_buffer *buf;
    const oi_const_reader *r;
    const oi_op **op;
    uint32_t nop;
    oi_arena *arena;
    oi_symtab *syms;
} reader;

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

static oi_status read_tensor(const reader *x, const oi_tensor **out)
{
    oi_tensor *t = oi_arena_mem(x->arena, sizeof *t);
    *out = t;
    if (!t)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_arena_on_destroy(x->arena, clear_tensor, t));
    return oi_tensor_read(x->c, x->alloc, x->buf, x->r, t);
}

static int64_t count_words(const char *words)
{
    int64_t n = 1;
    for (; *words; words++)
        n += *words == '|';
    return n;
}

static oi_status read_strings_field(const reader *x, oi_strings *v)
{
    v->n = oi_cursor_count(x->c, sizeof(uint32_t));
    const char **at = oi_arena_array(x->arena, (size_t)v->n + 1, sizeof *at);
    uint32_t *len = oi_arena_array(x->arena, (size_t)v->n + 1, sizeof *len);
    if (!at || !len)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    v->at = at;
    v->len = len;
    for (uint32_t i = 0; i < v->n; i++) {
        len[i] = oi_cursor_u32(x->c);
        const char *text = oi_cursor_take(x->c, len[i], 1);
        if (!text)
            return damaged("it ends within a text");
        at[i] = oi_arena_text_n(x->arena, text, len[i]);
        if (!at[i])
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    return ONNX_INFER_OK;
}

static oi_status read_tensors_field(const reader *x, oi_tensors *v)
{
    v->n = oi_cursor_count(x->c, sizeof(uint32_t));
    const oi_tensor **at = oi_arena_array(x->arena, (size_t)v->n + 1, sizeof *at);
    if (!at)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    v->at = at;
    for (uint32_t i = 0; i < v->n; i++)
        OI_TRY(read_tensor(x, &at[i]));
    return ONNX_INFER_OK;
}

static oi_status read_field(const reader *x, const oi_attr_spec *s, void *p)
{
    oi_cursor *c = x->c;
    switch (s->type) {
    case OI_ATTR_INT:
        *(int64_t *)p = oi_cursor_i64(c);
        break;
    case OI_ATTR_ENUM:
        *(int64_t *)p = oi_cursor_i64(c);
        if (*(int64_t *)p < 0 || *(int64_t *)p >= count_words(s->s))
            return damaged("an attribute has no sense");
        break;
    case OI_ATTR_FLOAT: {
        const void *from = oi_cursor_take(c, sizeof(float), sizeof(float));
        if (from)
            memcpy(p, from, sizeof(float));
        break;
    }
    case OI_ATTR_STRING:
        *(const char **)p = oi_cursor_text(c);
        break;
    case OI_ATTR_INTS:
        ((oi_ints *)p)->n = oi_cursor_count(c, sizeof(int64_t));
        ((oi_ints *)p)->at = oi_cursor_take(c, ((oi_ints *)p)->n * sizeof(int64_t), sizeof(int64_t));
        break;
    case OI_ATTR_FLOATS:
        ((oi_floats *)p)->n = oi_cursor_count(c, sizeof(float));
        ((oi_floats *)p)->at = oi_cursor_take(c, ((oi_floats *)p)->n * sizeof(float), sizeof(float));
        break;
    case OI_ATTR_STRINGS:
        OI_TRY(read_strings_field(x, p));
        break;
    case OI_ATTR_TENSOR:
        if (oi_cursor_u32(c))
            OI_TRY(read_tensor(x, p));
        break;
    case OI_ATTR_TENSORS:
        OI_TRY(read_tensors_field(x, p));
        break;
    case OI_ATTR_TYPE: {
        oi_fact *f = oi_cursor_u32(c) ? oi_arena_mem(x->arena, sizeof *f) : NULL;
        *(const oi_fact **)p = f;
        if (f)
            OI_TRY(oi_fact_read(c, x->arena, x->syms, f));
        break;
    }
    case OI_ATTR_REST:
        return damaged("an attribute has no form in files");
    }
    return c->bad ? damaged("it ends within an attribute") : ONNX_INFER_OK;
}

static oi_status read_attr(const reader *x, oi_node *n)
{
    if (!oi_cursor_u32(x->c))
        return n->op->attr_size ? damaged("a node has no attributes") : ONNX_INFER_OK;
    uint64_t given = (uint64_t)oi_cursor_i64(x->c), bit = 1;
    if (!n->op->attr_size)
        return damaged("a node has attributes that it cannot have");
    n->attr = oi_attr_new(x->arena, n->op);
    if (!n->attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (const oi_attr_spec *s = n->op->attrs; s && s->name; s++, bit *= 2) {
        if (given & bit)
            OI_TRY(read_field(x, s, (char *)n->attr + s->offset));
    }
    return ONNX_INFER_OK;
}

/* --- graphs ------------------------------------------------------------------------------------------------------------- */

static oi_status read_graph(const reader *x, oi_graph *g, uint32_t depth);

static oi_status read_list(const reader *x, uint32_t **out, uint32_t *n, uint32_t below, bool may_be_none)
{
    *n = oi_cursor_count(x->c, sizeof **out);
    const uint32_t *from = oi_cursor_take(x->c, *n * sizeof *from, sizeof *from);
    if (!from)
        return damaged("it ends within a list");
    for (uint32_t i = 0; i < *n; i++) {
        if (from[i] >= below && !(may_be_none && from[i] == OI_NONE))
            return damaged("a list has a number that is none");
    }
    *out = oi_arena_copy(x->arena, from, *n * sizeof *from);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

typedef struct {
    oi_tensor *at;
    uint32_t n;
} tensors;

static void clear_tensors(void *arg)
{
    const tensors *t = arg;
    for (uint32_t i = 0; i < t->n; i++)
        oi_tensor_clear(&t->at[i]);
}

static oi_status read_values(const reader *x, oi_graph *g)
{
    enum { VALUE = 7 * sizeof(uint32_t), CONSTANT = 3 * sizeof(uint32_t) };
    uint32_t constants = oi_cursor_count(x->c, CONSTANT), n = oi_cursor_count(x->c, VALUE);
    tensors *t = oi_arena_mem(x->arena, sizeof *t);
    oi_tensor *at = oi_arena_array(x->arena, (size_t)constants + 1, sizeof *at);
    g->value = oi_arena_array(x->arena, (size_t)n + 1, sizeof *g->value);
    if (!t || !at || !g->value)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    t->at = at;
    OI_TRY(oi_arena_on_destroy(x->arena, clear_tensors, t));
    g->value_cap = n + 1;
    for (; g->nvalue < n; g->nvalue++) {
        oi_value *v = &g->value[g->nvalue];
        v->name = oi_cursor_text(x->c);
        v->def = OI_NONE;
        OI_TRY(oi_fact_read(x->c, x->arena, x->syms, &v->fact));
        if (!v->name)
            return damaged("a value has no name");
        if (!oi_cursor_u32(x->c))
            continue;
        if (t->n == constants)
            return damaged("it has more constants than it says");
        OI_TRY(oi_tensor_read(x->c, x->alloc, x->buf, x->r, &at[t->n]));
        v->fact.konst = &at[t->n++];
    }
    return ONNX_INFER_OK;
}

static oi_status read_sub(const reader *x, oi_graph *g, const oi_node *n, oi_sub *s, uint32_t depth)
{
    s->name = oi_cursor_text(x->c);
    if (!s->name || depth == DEEPEST)
        return damaged("a subgraph has no name");
    OI_TRY(read_list(x, &s->capture, &s->ncapture, n->nin, false));
    s->graph = oi_graph_create_sub(g);
    if (!s->graph)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(read_graph(x, s->graph, depth + 1));
    return s->ncapture > s->graph->ninput ? damaged("a subgraph captures more than it takes") : ONNX_INFER_OK;
}

/* Nodes come in order: what a node reads has been defined before it. */
static oi_status read_node(const reader *x, oi_graph *g, oi_node_id id, uint32_t depth)
{
    oi_node *n = &g->node[id];
    uint32_t op = oi_cursor_u32(x->c);
    n->name = oi_cursor_text(x->c);
    if (!n->name || op >= x->nop)
        return damaged("a node has no name");
    n->op = x->op[op];
    OI_TRY(read_list(x, &n->in, &n->nin, g->nvalue, true));
    OI_TRY(read_list(x, &n->out, &n->nout, g->nvalue, true));
    n->use_at = oi_arena_array(x->arena, (size_t)n->nin + 1, sizeof *n->use_at);
    if (!n->use_at)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nin; i++) {
        oi_value *v = n->in[i] == OI_NONE ? NULL : &g->value[n->in[i]];
        if (v && v->def == OI_NONE && !v->is_input && !v->fact.konst)
            return damaged("a node reads what is not there yet");
        if (v)
            v->nuse++;
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] == OI_NONE)
            continue;
        oi_value *v = &g->value[n->out[i]];
        if (v->def != OI_NONE || v->is_input)
            return damaged("a value is defined twice");
        v->def = id;
        v->slot = i;
    }
    OI_TRY(read_attr(x, n));
    n->nsub = oi_cursor_count(x->c, sizeof(uint32_t));
    uint32_t most = n->op->max_in == UINT16_MAX || n->nsub ? UINT32_MAX : n->op->max_in;
    uint32_t most_out = n->op->max_out == UINT16_MAX ? UINT32_MAX : n->op->max_out;
    if (n->nin < n->op->min_in || n->nin > most || n->nout < n->op->min_out || n->nout > most_out)
        return damaged("a node has a number of inputs or outputs that it cannot have");
    if (!n->nsub)
        return ONNX_INFER_OK;
    n->sub = oi_arena_array(x->arena, n->nsub, sizeof *n->sub);
    if (!n->sub)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nsub; i++)
        OI_TRY(read_sub(x, g, n, &n->sub[i], depth));
    return ONNX_INFER_OK;
}

/* Each value's users, whose numbers are known now. */
static oi_status list_uses(oi_graph *g)
{
    size_t total = 0;
    for (uint32_t i = 0; i < g->nvalue; i++)
        total += g->value[i].nuse;
    oi_use *use = oi_arena_array(g->arena, total + 1, sizeof *use);
    if (!use)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < g->nvalue; i++) {
        oi_value *v = &g->value[i];
        v->use = use;
        v->use_cap = v->nuse;
        use += v->nuse;
        v->nuse = 0;
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        oi_node *n = &g->node[i];
        for (uint32_t k = 0; k < n->nin; k++) {
            oi_value *v = n->in[k] == OI_NONE ? NULL : &g->value[n->in[k]];
            if (!v)
                continue;
            n->use_at[k] = v->nuse;
            v->use[v->nuse++] = (oi_use){i, k};
        }
    }
    return ONNX_INFER_OK;
}

static oi_status read_graph(const reader *x, oi_graph *g, uint32_t depth)
{
    enum { NODE = 7 * sizeof(uint32_t) };
    uint32_t stage = oi_cursor_u32(x->c);
    g->name = oi_cursor_text(x->c);
    if (!g->name || stage < OI_STAGE_TYPED || stage > OI_STAGE_LOWERED)
        return damaged("a graph is of no stage");
    g->stage = (oi_stage)stage;
    OI_TRY(read_values(x, g));
    OI_TRY(read_list(x, &g->input, &g->ninput, g->nvalue, false));
    OI_TRY(read_list(x, &g->output, &g->noutput, g->nvalue, false));
    g->input_cap = g->ninput;
    g->output_cap = g->noutput;
    g->output_name = oi_arena_array(x->arena, (size_t)g->noutput + 1, sizeof *g->output_name);
    if (!g->output_name)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < g->ninput; i++) {
        if (g->value[g->input[i]].is_input)
            return damaged("an input is there twice");
        g->value[g->input[i]].is_input = true;
    }
    for (uint32_t i = 0; i < g->noutput; i++) {
        g->value[g->output[i]].is_output = true;
        g->output_name[i] = oi_cursor_text(x->c);
        if (!g->output_name[i])
            return damaged("an output has no name");
    }
    uint32_t n = oi_cursor_count(x->c, NODE);
    g->node = oi_arena_array(x->arena, (size_t)n + 1, sizeof *g->node);
    if (!g->node)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    g->node_cap = n + 1;
    for (; g->nnode < n; g->nnode++)
        OI_TRY(read_node(x, g, g->nnode, depth));
    return x->c->bad ? damaged("it is cut off") : list_uses(g);
}

static void release(void *buf)
{
    oi_buffer_release(buf);
}

static oi_status read_top(reader *x, oi_graph *g)
{
    if (!oi_symtab_read(x->syms, x->c))
        return oi_symtab_status(x->syms) ? ONNX_INFER_E_OUT_OF_MEMORY : damaged("it has no symbols");
    x->nop = oi_cursor_count(x->c, 2 * sizeof(uint32_t));
    x->op = oi_arena_array(x->arena, (size_t)x->nop + 1, sizeof *x->op);
    if (!x->op)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < x->nop; i++) {
        const char *domain = oi_cursor_text(x->c), *name = oi_cursor_text(x->c);
        x->op[i] = domain && name ? oi_op_find(domain, name) : NULL;
        if (!x->op[i])
            return damaged("it has an operator that is none");
    }
    OI_TRY(read_graph(x, g, 0));
    oi_status st = oi_graph_verify(g);
    return st == ONNX_INFER_E_INTERNAL ? damaged("its graph has no sense") : st;
}

oi_status oi_graph_read(oi_cursor *c, const oi_alloc *a, const oi_log *log, oi_buffer *buf, const oi_const_reader *r, oi_graph **out)
{
    oi_graph *g = oi_graph_create(a, log);
    *out = NULL;
    if (!g)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    reader x = {.c = c, .alloc = a, .buf = buf, .r = r, .arena = g->arena, .syms = g->syms};
    oi_status st = oi_arena_on_destroy(g->arena, release, buf);
    if (st == ONNX_INFER_OK) {
        oi_buffer_retain(buf);
        st = read_top(&x, g);
    }
    if (st != ONNX_INFER_OK) {
        oi_graph_destroy(g);
        return st;
    }
    *out = g;
    return ONNX_INFER_OK;
}
