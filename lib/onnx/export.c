/* Writes a graph as an ONNX model: names, ports, constants, subgraphs. */
#include "onnx/export.h"

#include "onnx/export_parts.h"
#include "onnx/value_file.h"

#include <stdio.h>
#include <string.h>

enum { LEAST_OPSET = 21, LEAST_ML_OPSET = 4, SHARED_FROM = 1024 };

uint64_t oi_onnx_constant_bytes(const oi_graph *g)
{
    uint64_t bytes = 0;
    for (uint32_t v = 0; v < g->nvalue; v++) {
        const oi_value *value = &g->value[v];
        if (value->def == OI_NONE && value->fact.konst && (value->nuse || value->is_output))
            bytes += value->fact.konst->bytes;
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        for (uint32_t k = 0; g->node[i].op && k < g->node[i].nsub; k++)
            bytes += oi_onnx_constant_bytes(g->node[i].sub[k].graph);
    }
    return bytes;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

oi_status oi_export_name(oi_exporter *x, oi_names *used, const char *base, const char **out)
{
    bool added = false;
    if (base && base[0]) {
        OI_TRY(oi_names_put(used, base, 0, &added));
        *out = base;
    }
    while (!added) {
        const char *name = oi_arena_format(x->arena, "%.200s_%u", base && base[0] ? base : "v", ++x->counter);
        if (!name)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        OI_TRY(oi_names_put(used, name, 0, &added));
        *out = name;
    }
    return ONNX_INFER_OK;
}

static oi_status fresh_name(oi_exporter *x, const char *base, const char **out)
{
    return oi_export_name(x, &x->used, base, out);
}

static bool is_constant(const oi_value *v)
{
    return v->def == OI_NONE && v->fact.konst && !v->is_input;
}

typedef struct {
    const oi_graph *g;
    const char **name;         /* by value */
    const char **output;       /* by output */
    OiOnnx__GraphProto *proto;
    bool top, loop;            /* the model's graph; the body of a Loop */
    bool typed;               /* the node takes its subgraphs' declared shapes for granted: searches do */
} part;

/* Names of the ports, then of everything else. Inputs from `formal` on are captured: `outer` has their names. */
static oi_status name_values(oi_exporter *x, part *s, uint32_t formal, const char *const *outer)
{
    const oi_graph *g = s->g;
    s->name = oi_arena_array(x->arena, (size_t)g->nvalue + 1, sizeof *s->name);
    s->output = oi_arena_array(x->arena, (size_t)g->noutput + 1, sizeof *s->output);
    if (!s->name || !s->output)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < g->ninput; i++) {
        if (i < formal)
            OI_TRY(fresh_name(x, g->value[g->input[i]].name, &s->name[g->input[i]]));
        else
            s->name[g->input[i]] = outer[i - formal];
    }
    for (uint32_t i = 0; i < g->noutput; i++) {
        oi_value_id v = g->output[i];
        OI_TRY(fresh_name(x, g->output_name && g->output_name[i] ? g->output_name[i] : g->value[v].name, &s->output[i]));
        if (g->value[v].def != OI_NONE && !s->name[v])
            s->name[v] = s->output[i];
    }
    return ONNX_INFER_OK;
}

static oi_status name_of(oi_exporter *x, part *s, oi_value_id v, const char **out)
{
    if (v == OI_NONE) {
        *out = "";
        return ONNX_INFER_OK;
    }
    if (!s->name[v])
        OI_TRY(fresh_name(x, s->g->value[v].name, &s->name[v]));
    *out = s->name[v];
    return ONNX_INFER_OK;
}

/* --- parts of a graph ------------------------------------------------------------------------------------------------ */

static oi_status to_port(oi_exporter *x, const char *name, const oi_symtab *syms, const oi_fact *f, bool shape,
                         OiOnnx__ValueInfoProto **out)
{
    OiOnnx__ValueInfoProto *p = oi_arena_mem(x->arena, sizeof *p);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__value_info_proto__init(p);
    p->name = (char *)(uintptr_t)name;
    *out = p;
    if (f->kind == ONNX_INFER_TENSOR)
        OI_TRY(oi_export_need(x, "", oi_export_dtype_version(f->dtype)));
    return oi_export_type(x, syms, f, shape, &p->type);
}

/* What is said of an output: what inference knows, with the file's own names for sizes that it does not. */
static oi_fact output_fact(const oi_exporter *x, const part *s, uint32_t i, const oi_symtab **syms)
{
    oi_fact f = s->g->value[s->g->output[i]].fact;
    *syms = s->g->syms;
    if (!s->top || i >= x->e->model->noutput)
        return f;
    const oi_fact *declared = &x->e->model->output[i].fact;
    if (f.kind == declared->kind && (f.kind != ONNX_INFER_TENSOR || (f.shape.rank >= 0 && oi_dtype_valid(f.dtype))))
        return f;
    *syms = x->e->model->graph->syms;
    return *declared;
}

static oi_status add_initializer(oi_exporter *x, const oi_tensor *t, const char *name)
{
    OI_TRY(oi_arena_grow(x->arena, &x->initializer, &x->initializer_cap, x->ninitializer + 1, sizeof *x->initializer));
    OI_TRY(oi_export_tensor(x, t, name, &x->initializer[x->ninitializer]));
    x->ninitializer++;
    return ONNX_INFER_OK;
}

/* A large constant of a subgraph goes to the model's graph, once for all who share its storage. */
static oi_status share_constant(oi_exporter *x, const oi_tensor *t, const char *base, const char **name)
{
    char dims[200];
    bool added;
    const char *key = oi_arena_format(x->arena, "%p %d %s", t->data, (int)t->dtype, oi_dims_text(t->rank, t->dim, dims, sizeof dims));
    if (!key)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const uint32_t *there = oi_names_find(&x->shared, key);
    if (there) {
        *name = x->initializer[*there]->name;
        return ONNX_INFER_OK;
    }
    OI_TRY(fresh_name(x, base, name));
    OI_TRY(oi_names_put(&x->shared, key, x->ninitializer, &added));
    return add_initializer(x, t, *name);
}

static oi_status add_constants(oi_exporter *x, part *s)
{
    const oi_graph *g = s->g;
    size_t n = 0;
    for (uint32_t v = 0; v < g->nvalue; v++)
        n += is_constant(&g->value[v]) && (g->value[v].nuse || g->value[v].is_output);
    OiOnnx__TensorProto **list = s->top ? NULL : oi_arena_array(x->arena, n + 1, sizeof *list);
    if (!s->top && !list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->proto->initializer = list;
    for (uint32_t v = 0; v < g->nvalue; v++) {
        const oi_value *value = &g->value[v];
        if (!is_constant(value) || (!value->nuse && !value->is_output))
            continue;
        const oi_tensor *t = value->fact.konst;
        if (!s->top && t->bytes >= SHARED_FROM && t->dtype != ONNX_INFER_STRING) {
            OI_TRY(share_constant(x, t, value->name, &s->name[v]));
            continue;
        }
        OI_TRY(fresh_name(x, value->name, &s->name[v]));
        if (s->top)
            OI_TRY(add_initializer(x, t, s->name[v]));
        else
            OI_TRY(oi_export_tensor(x, t, s->name[v], &list[s->proto->n_initializer++]));
    }
    return ONNX_INFER_OK;
}

static oi_status export_graph(oi_exporter *x, part *s, uint32_t formal, const char *const *outer);

static oi_status add_subgraphs(oi_exporter *x, part *s, const oi_node *n, OiOnnx__NodeProto *p)
{
    for (uint32_t k = 0; k < n->nsub; k++) {
        const oi_sub *sub = &n->sub[k];
        OiOnnx__AttributeProto *a = oi_arena_mem(x->arena, sizeof *a);
        const char **outer = oi_arena_array(x->arena, (size_t)sub->ncapture + 1, sizeof *outer);
        part inner = {.g = sub->graph, .loop = !strcmp(n->op->name, "Loop") && !n->op->domain[0], .typed = n->op->domain[0] != 0};
        if (!a || !outer)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        oi_onnx__attribute_proto__init(a);
        a->name = (char *)(uintptr_t)sub->name;
        a->has_type = 1;
        a->type = 5; /* GRAPH */
        p->attribute[p->n_attribute++] = a;
        for (uint32_t c = 0; c < sub->ncapture; c++)
            OI_TRY(name_of(x, s, n->in[sub->capture[c]], &outer[c]));
        OI_TRY(export_graph(x, &inner, sub->graph->ninput - sub->ncapture, outer));
        a->g = inner.proto;
    }
    return ONNX_INFER_OK;
}

static uint32_t formal_inputs(const oi_node *n)
{
    uint32_t formal = n->nin;
    for (uint32_t k = 0; k < n->nsub; k++) {
        for (uint32_t c = 0; c < n->sub[k].ncapture; c++) {
            if (n->sub[k].capture[c] < formal)
                formal = n->sub[k].capture[c];
        }
    }
    while (formal && n->in[formal - 1] == OI_NONE)
        formal--;
    return formal;
}

static oi_status add_node(oi_exporter *x, part *s, const oi_node *n)
{
    OiOnnx__NodeProto *p;
    uint32_t nin = formal_inputs(n), nout = n->nout;
    while (nout && n->out[nout - 1] == OI_NONE && n->op->max_out != UINT16_MAX)
        nout--;
    OI_TRY(oi_export_node(x, n, n->nsub, &p));
    p->input = oi_arena_array(x->arena, (size_t)nin + 1, sizeof *p->input);
    p->output = oi_arena_array(x->arena, (size_t)nout + 1, sizeof *p->output);
    if (!p->input || !p->output)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < nin; i++)
        OI_TRY(name_of(x, s, n->in[i], (const char **)&p->input[p->n_input++]));
    for (uint32_t i = 0; i < nout; i++)
        OI_TRY(name_of(x, s, n->out[i], (const char **)&p->output[p->n_output++]));
    OI_TRY(add_subgraphs(x, s, n, p));
    s->proto->node[s->proto->n_node++] = p;
    return ONNX_INFER_OK;
}

/* Outputs whose value has another name: constants, inputs, a value that is an output twice. */
static oi_status add_copy(oi_exporter *x, part *s, uint32_t i)
{
    OiOnnx__NodeProto *p = oi_arena_mem(x->arena, sizeof *p);
    char **ends = oi_arena_array(x->arena, 2, sizeof *ends);
    if (!p || !ends)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__node_proto__init(p);
    p->op_type = (char *)(uintptr_t)"Identity";
    OI_TRY(oi_export_name(x, &x->nodes, s->output[i], (const char **)&p->name));
    OI_TRY(name_of(x, s, s->g->output[i], (const char **)&ends[0]));
    ends[1] = (char *)(uintptr_t)s->output[i];
    p->input = &ends[0];
    p->output = &ends[1];
    p->n_input = p->n_output = 1;
    s->proto->node[s->proto->n_node++] = p;
    return oi_export_need(x, "", LEAST_OPSET);
}

static oi_status export_ports(oi_exporter *x, part *s, uint32_t formal)
{
    const oi_graph *g = s->g;
    OiOnnx__GraphProto *p = s->proto;
    p->input = oi_arena_array(x->arena, (size_t)formal + 1, sizeof *p->input);
    p->output = oi_arena_array(x->arena, (size_t)g->noutput + 1, sizeof *p->output);
    if (!p->input || !p->output)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < formal; i++) {
        oi_fact f = g->value[g->input[i]].fact;
        bool scalar = s->loop && i < 2; /* the turn's number and the condition: readers ask for their shapes */
        if (scalar)
            f = oi_fact_tensor(i ? ONNX_INFER_BOOL : ONNX_INFER_INT64, 0, NULL);
        OI_TRY(to_port(x, s->name[g->input[i]], g->syms, &f, s->top || s->typed || scalar, &p->input[p->n_input++]));
    }
    for (uint32_t i = 0; i < g->noutput; i++) {
        const oi_symtab *syms;
        oi_fact f = output_fact(x, s, i, &syms);
        OI_TRY(to_port(x, s->output[i], syms, &f, s->top || s->typed, &p->output[p->n_output++]));
    }
    return ONNX_INFER_OK;
}

static oi_status export_graph(oi_exporter *x, part *s, uint32_t formal, const char *const *outer)
{
    const oi_graph *g = s->g;
    OiOnnx__GraphProto *p = s->proto = oi_arena_mem(x->arena, sizeof *p);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__graph_proto__init(p);
    p->name = (char *)(uintptr_t)(g->name && g->name[0] ? g->name : "graph");
    p->node = oi_arena_array(x->arena, (size_t)g->nnode + g->noutput + 1, sizeof *p->node);
    if (!p->node)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(name_values(x, s, formal, outer));
    OI_TRY(export_ports(x, s, formal));
    OI_TRY(add_constants(x, s));
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (g->node[i].op)
            OI_TRY(add_node(x, s, &g->node[i]));
    }
    for (uint32_t i = 0; i < g->noutput; i++) {
        if (s->name[g->output[i]] != s->output[i])
            OI_TRY(add_copy(x, s, i));
    }
    return ONNX_INFER_OK;
}

/* --- the model ------------------------------------------------------------------------------------------------------- */

static oi_status add_defaults(oi_exporter *x, const part *s)
{
    const oi_onnx_model *m = x->e->model;
    for (uint32_t i = 0; i < m->ninput && i < s->g->ninput; i++) {
        if (m->input[i].initial)
            OI_TRY(add_initializer(x, m->input[i].initial, s->name[s->g->input[i]]));
    }
    return ONNX_INFER_OK;
}

/* The versions that the model itself had are kept where they are newer: what was added since is known to be there. */
static oi_status settle_versions(oi_exporter *x, OiOnnx__ModelProto *p)
{
    const oi_onnx_model *m = x->e->model;
    static const struct { int64_t opset, ir; } files[] = {{21, 10}, {22, 10}, {23, 11}, {24, 12}, {25, 13}, {27, 13}, {28, 14}};
    int64_t opset = LEAST_OPSET;
    OI_TRY(oi_export_need(x, "", LEAST_OPSET));
    p->opset_import = oi_arena_array(x->arena, (size_t)x->ndomain + 1, sizeof *p->opset_import);
    if (!p->opset_import)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < x->ndomain; i++) {
        OiOnnx__OperatorSetIdProto *o = oi_arena_mem(x->arena, sizeof *o);
        const char *domain = x->domain[i].domain;
        int64_t version = x->domain[i].version, newest = oi_op_newest_opset(domain);
        if (!o)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (uint32_t k = 0; k < m->nopset; k++) {
            if (!strcmp(m->opset[k].domain, domain) && m->opset[k].version > version)
                version = newest && m->opset[k].version > newest ? newest : m->opset[k].version;
        }
        if (!strcmp(domain, "ai.onnx.ml") && version < LEAST_ML_OPSET)
            version = LEAST_ML_OPSET;
        if (!domain[0])
            opset = version;
        oi_onnx__operator_set_id_proto__init(o);
        o->domain = (char *)(uintptr_t)domain;
        o->has_version = 1;
        o->version = version;
        p->opset_import[p->n_opset_import++] = o;
    }
    p->has_ir_version = 1;
    for (size_t i = 0; i < sizeof files / sizeof *files && (i == 0 || files[i - 1].opset < opset); i++)
        p->ir_version = files[i].ir;
    return ONNX_INFER_OK;
}

static const char *property(const oi_onnx_model *m, const char *key)
{
    for (uint32_t i = 0; i < m->nproperty; i++) {
        if (!strcmp(m->property[i].key, key))
            return m->property[i].value;
    }
    return NULL;
}

static oi_status add_properties(oi_exporter *x, OiOnnx__ModelProto *p)
{
    const oi_onnx_model *m = x->e->model;
    const char *version = property(m, "version");
    long long number;
    p->producer_name = (char *)(uintptr_t)"onnx_infer";
    p->producer_version = (char *)(uintptr_t)onnx_infer_version();
    p->doc_string = (char *)(uintptr_t)property(m, "doc");
    p->domain = (char *)(uintptr_t)property(m, "domain");
    if (version && sscanf(version, "%lld", &number) == 1) {
        p->has_model_version = 1;
        p->model_version = number;
    }
    p->metadata_props = oi_arena_array(x->arena, (size_t)m->nmetadata + 1, sizeof *p->metadata_props);
    if (!p->metadata_props)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < m->nmetadata; i++) {
        OiOnnx__StringStringEntryProto *entry = oi_arena_mem(x->arena, sizeof *entry);
        if (!entry)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        oi_onnx__string_string_entry_proto__init(entry);
        entry->key = (char *)(uintptr_t)m->metadata[i].key;
        entry->value = (char *)(uintptr_t)m->metadata[i].value;
        p->metadata_props[p->n_metadata_props++] = entry;
    }
    return ONNX_INFER_OK;
}

static oi_status write_model(oi_exporter *x)
{
    OiOnnx__ModelProto *p = oi_arena_mem(x->arena, sizeof *p);
    part top = {.g = x->e->graph, .top = true};
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__model_proto__init(p);
    OI_TRY(export_graph(x, &top, x->e->graph->ninput, NULL));
    OI_TRY(add_defaults(x, &top));
    top.proto->initializer = x->initializer;
    top.proto->n_initializer = x->ninitializer;
    p->graph = top.proto;
    OI_TRY(settle_versions(x, p));
    OI_TRY(add_properties(x, p));
    size_t bytes = protobuf_c_message_get_packed_size(&p->base);
    OI_FAIL_IF(bytes > INT32_MAX, ONNX_INFER_E_LIMIT,
               "the model takes %zu bytes; from 2 GiB on its weights must go to a file of external data", bytes);
    return oi_onnx_pack(&p->base, x->e->out);
}

oi_status oi_onnx_write_model(const oi_alloc *a, const oi_onnx_export *e)
{
    oi_exporter x = {.e = e, .used.alloc = a, .nodes.alloc = a, .shared.alloc = a};
    OI_FAIL_IF(e->graph->stage != OI_STAGE_TYPED && e->graph->stage != OI_STAGE_DECLUTTERED, ONNX_INFER_E_INTERNAL,
               "only typed and decluttered graphs are written");
    OI_FAIL_IF(!e->data && oi_onnx_constant_bytes(e->graph) > OI_ONNX_MAX_INLINE, ONNX_INFER_E_LIMIT,
               "the model has 2 GiB of weights or more: they must go to a file of external data");
    x.arena = oi_arena_create(a);
    oi_status status = x.arena ? write_model(&x) : ONNX_INFER_E_OUT_OF_MEMORY;
    oi_names_clear(&x.used);
    oi_names_clear(&x.nodes);
    oi_names_clear(&x.shared);
    oi_arena_destroy(x.arena);
    return status;
}
