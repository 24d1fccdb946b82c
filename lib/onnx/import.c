/* Loads a model: bytes, scan, protobuf-c, then the import of what it holds. */
#include "onnx/import.h"

#include "onnx/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MAX_ISSUES = 1000, MAX_WIRE_DEPTH = 16, WIRE_LEVELS_PER_GRAPH = 3, MESSAGES_PER_NODE = 16, NEWER_OPSETS = 4 };

const char *oi_domain_norm(const char *domain)
{
    return !domain || !strcmp(domain, "ai.onnx") ? "" : domain;
}

oi_status oi_importer_issue(oi_importer *im, oi_status status)
{
    if (status == ONNX_INFER_OK || status == ONNX_INFER_E_OUT_OF_MEMORY || status == ONNX_INFER_E_CANCELLED ||
        status == ONNX_INFER_E_LIMIT || status == ONNX_INFER_E_INTERNAL || im->nissue == MAX_ISSUES)
        return status;
    OI_TRY(oi_arena_grow(im->scratch, &im->issue, &im->issue_cap, im->nissue + 1, sizeof *im->issue));
    im->issue[im->nissue++] = *oi_error_current();
    return ONNX_INFER_OK;
}

int64_t oi_importer_opset(const oi_importer *im, const oi_frame *frame, const char *domain)
{
    int64_t version = -1;
    domain = oi_domain_norm(domain);
    if (frame)
        for (size_t i = 0; i < frame->fn->n_opset_import; i++) {
            const OiOnnx__OperatorSetIdProto *o = frame->fn->opset_import[i];
            if (!strcmp(oi_domain_norm(o->domain), domain) && o->version > version)
                version = o->version;
        }
    for (uint32_t i = 0; version < 0 && i < im->model->nopset; i++)
        if (!strcmp(im->model->opset[i].domain, domain))
            version = im->model->opset[i].version;
    return version;
}

/* protobuf-c's memory: an arena that goes when the load ends. Large pieces are on the heap until protobuf-c is done, since it
 * gives most of them back at once: its notes on long lists that are not packed, as attributes' are. */
enum { LARGE_PIECE = 1 << 16, MOST_PIECES = 64 };

typedef struct {
    const oi_alloc *alloc;
    void *p;
} large_piece;

typedef struct {
    const oi_alloc *alloc;
    oi_arena *arena;
    void *piece[MOST_PIECES];
    size_t npiece;
    bool full;
} pb_memory;

static void *pb_alloc(void *user, size_t n)
{
    pb_memory *m = user;
    bool large = n >= LARGE_PIECE && m->npiece < MOST_PIECES;
    void *p = large ? oi_alloc_mem(m->alloc, n) : oi_arena_mem(m->arena, n);
    if (large && p)
        m->piece[m->npiece++] = p;
    m->full |= !p;
    return p;
}

static void pb_free(void *user, void *p)
{
    pb_memory *m = user;
    for (size_t i = m->npiece; p && i-- > 0;) {
        if (m->piece[i] != p)
            continue;
        oi_free_mem(m->alloc, p);
        m->piece[i] = m->piece[--m->npiece];
        return;
    }
}

static void free_large(void *arg)
{
    const large_piece *l = arg;
    oi_free_mem(l->alloc, l->p);
}

/* What is left of the large pieces goes with the arena. */
static oi_status keep_large(pb_memory *m)
{
    oi_status status = ONNX_INFER_OK;
    while (m->npiece) {
        void *p = m->piece[--m->npiece];
        large_piece *l = status ? NULL : oi_arena_mem(m->arena, sizeof *l);
        if (l)
            *l = (large_piece){m->alloc, p};
        if (!status)
            status = l ? oi_arena_on_destroy(m->arena, free_large, l) : ONNX_INFER_E_OUT_OF_MEMORY;
        if (status)
            oi_free_mem(m->alloc, p);
    }
    return status;
}

oi_status oi_onnx_unpack(const oi_alloc *a, oi_arena *arena, const oi_bytes *bytes, const ProtobufCMessageDescriptor *type,
                         uint64_t max_nodes, uint64_t max_depth, ProtobufCMessage **out)
{
    uint64_t depth = MAX_WIRE_DEPTH + WIRE_LEVELS_PER_GRAPH * max_depth;
    oi_wire_limits limits = {max_nodes, max_nodes * MESSAGES_PER_NODE, depth < 1000 ? (uint32_t)depth : 1000};
    oi_wire_skeleton skeleton;
    pb_memory memory = {.alloc = oi_arena_alloc_of(arena), .arena = arena};
    ProtobufCAllocator allocator = {pb_alloc, pb_free, &memory};
    OI_TRY(oi_wire_scan(a, bytes->data, bytes->size, type, &limits, &skeleton));
    *out = protobuf_c_message_unpack(type, &allocator, skeleton.size, skeleton.data);
    oi_free_mem(a, skeleton.data);
    OI_TRY(keep_large(&memory));
    OI_FAIL_IF(!*out && memory.full, ONNX_INFER_E_OUT_OF_MEMORY, "out of memory while reading the model");
    OI_FAIL_IF(!*out, ONNX_INFER_E_PARSE, "the bytes are no %s", type->short_name);
    return ONNX_INFER_OK;
}

static oi_status add_property(oi_onnx_model *m, oi_onnx_property *list, const char *key, const char *value)
{
    if (!value)
        return ONNX_INFER_OK;
    char *copy = oi_arena_text(m->graph->arena, value);
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    list[m->nproperty++] = (oi_onnx_property){key, copy};
    return ONNX_INFER_OK;
}

static oi_status read_properties(oi_onnx_model *m, const OiOnnx__ModelProto *p)
{
    oi_arena *arena = m->graph->arena;
    oi_onnx_property *list = oi_arena_array(arena, 8, sizeof *list);
    oi_onnx_property *meta = oi_arena_array(arena, p->n_metadata_props + 1, sizeof *meta);
    char number[24];
    if (!list || !meta)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    m->property = list;
    m->metadata = meta;
    OI_TRY(add_property(m, list, "producer_name", p->producer_name));
    OI_TRY(add_property(m, list, "producer_version", p->producer_version));
    OI_TRY(add_property(m, list, "graph_name", p->graph->name));
    OI_TRY(add_property(m, list, "doc", p->doc_string));
    OI_TRY(add_property(m, list, "domain", p->domain));
    snprintf(number, sizeof number, "%" PRId64, p->model_version);
    OI_TRY(add_property(m, list, "version", p->has_model_version ? number : NULL));
    snprintf(number, sizeof number, "%" PRId64, p->ir_version);
    OI_TRY(add_property(m, list, "ir_version", number));
    for (size_t i = 0; i < p->n_metadata_props; i++) {
        meta[i].key = oi_arena_text(arena, oi_text_or_empty(p->metadata_props[i]->key));
        meta[i].value = oi_arena_text(arena, oi_text_or_empty(p->metadata_props[i]->value));
        if (!meta[i].key || !meta[i].value)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        m->nmetadata++;
    }
    return ONNX_INFER_OK;
}

/* Each domain once, with the highest version that the model names for it. */
static oi_status read_opsets(oi_importer *im, const OiOnnx__ModelProto *p)
{
    oi_onnx_model *m = im->model;
    oi_names seen = {.alloc = im->o.alloc};
    oi_onnx_opset *list = oi_arena_array(m->graph->arena, p->n_opset_import + 1, sizeof *list);
    oi_status status = list ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    m->opset = list;
    for (size_t i = 0; !status && i < p->n_opset_import; i++) {
        const OiOnnx__OperatorSetIdProto *o = p->opset_import[i];
        const char *domain = oi_domain_norm(o->domain);
        bool added;
        const uint32_t *there = oi_names_find(&seen, domain);
        if (there) {
            if (list[*there].version < o->version)
                list[*there].version = o->version;
            continue;
        }
        status = oi_names_put(&seen, domain, m->nopset, &added);
        list[m->nopset] = (oi_onnx_opset){oi_arena_text(m->graph->arena, domain), o->version};
        if (!status && !list[m->nopset++].domain)
            status = ONNX_INFER_E_OUT_OF_MEMORY;
    }
    oi_names_clear(&seen);
    OI_TRY(status);
    if (!m->nopset) /* the first IR versions have no opsets */
        list[m->nopset++] = (oi_onnx_opset){"", 1};
    return ONNX_INFER_OK;
}

static bool uses_domain(size_t n, OiOnnx__NodeProto *const *node, const char *domain)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(oi_domain_norm(node[i]->domain), domain))
            return true;
        for (size_t k = 0; k < node[i]->n_attribute; k++) {
            const OiOnnx__GraphProto *g = node[i]->attribute[k]->g;
            if (g && uses_domain(g->n_node, g->node, domain))
                return true;
        }
    }
    return false;
}

/* What is a little newer than this build is read as far as its operators are known; what is far beyond it is refused
 * where there are nodes of it. */
static oi_status check_versions(const oi_importer *im)
{
    const oi_onnx_model *m = im->model;
    if (m->ir_version > OI_ONNX_MAX_IR)
        oi_log_write(im->o.log, ONNX_INFER_LOG_WARNING, "the model has IR version %" PRId64 ", this build knows %d: what is newer in it is ignored",
                     m->ir_version, OI_ONNX_MAX_IR);
    for (uint32_t i = 0; i < m->nopset; i++) {
        int32_t newest = oi_op_newest_opset(m->opset[i].domain);
        if (!newest || m->opset[i].version <= newest)
            continue;
        bool used = uses_domain(im->proto->graph->n_node, im->proto->graph->node, m->opset[i].domain);
        for (size_t k = 0; k < im->proto->n_functions && !used; k++)
            used = uses_domain(im->proto->functions[k]->n_node, im->proto->functions[k]->node, m->opset[i].domain);
        OI_FAIL_IF(used && m->opset[i].version > newest + NEWER_OPSETS, ONNX_INFER_E_UNSUPPORTED_VERSION,
                   "the model has opset %" PRId64 " of domain '%s', this build knows %d; export it for an older opset", m->opset[i].version,
                   m->opset[i].domain[0] ? m->opset[i].domain : "ai.onnx", newest);
        if (used)
            oi_log_write(im->o.log, ONNX_INFER_LOG_WARNING,
                         "the model has opset %" PRId64 " of '%s', this build knows %d: its operators are taken as in %d",
                         m->opset[i].version, m->opset[i].domain[0] ? m->opset[i].domain : "ai.onnx", newest, newest);
    }
    return ONNX_INFER_OK;
}

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

oi_status oi_importer_override(oi_importer *im, const char *name, oi_tensor *t)
{
    for (size_t i = 0; i < im->o.noverride; i++) {
        const oi_tensor *by = &im->o.override[i].tensor;
        char have[200], want[200];
        if (strcmp(im->o.override[i].name, name))
            continue;
        im->overridden[i] = true;
        if (by->dtype != t->dtype || !oi_tensor_same_shape(by, t)) {
            oi_fail(by->dtype != t->dtype ? ONNX_INFER_E_TYPE_MISMATCH : ONNX_INFER_E_SHAPE_MISMATCH,
                    "initializer '%s' is %s %s, the options replace it by %s %s", name, oi_dtype_name(t->dtype),
                    oi_dims_text(t->rank, t->dim, want, sizeof want), oi_dtype_name(by->dtype),
                    oi_dims_text(by->rank, by->dim, have, sizeof have));
            return oi_error_at_tensor(name);
        }
        oi_tensor_clear(t);
        oi_tensor_share(t, by);
    }
    return ONNX_INFER_OK;
}

static oi_status check_overrides(const oi_importer *im)
{
    for (size_t i = 0; i < im->o.noverride; i++)
        OI_FAIL_IF(!im->overridden[i], ONNX_INFER_E_NOT_FOUND, "the options replace initializer '%s', which the model does not have",
                   im->o.override[i].name);
    return ONNX_INFER_OK;
}

static oi_status read_default(oi_importer *im, const OiOnnx__TensorProto *dense, const OiOnnx__SparseTensorProto *sparse,
                              oi_onnx_port *port)
{
    oi_arena *arena = im->model->graph->arena;
    oi_tensor *t = oi_arena_mem(arena, sizeof *t);
    if (!t)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    im->reader.unaligned = true;
    oi_status read = dense ? oi_onnx_read_tensor(&im->reader, dense, t) : oi_onnx_read_sparse(&im->reader, sparse, t);
    im->reader.unaligned = false;
    OI_TRY(oi_importer_issue(im, read));
    if (!t->buf)
        return ONNX_INFER_OK; /* an issue */
    oi_status replaced = oi_importer_override(im, port->name, t);
    if (replaced) {
        oi_tensor_clear(t);
        return oi_importer_issue(im, replaced);
    }
    oi_status status = oi_arena_on_destroy(arena, clear_tensor, t);
    if (status)
        oi_tensor_clear(t);
    else
        port->initial = t;
    return status;
}

/* Initializers of the names of inputs. */
static oi_status read_defaults(oi_importer *im, const OiOnnx__GraphProto *p, const oi_names *inputs, oi_onnx_port *port)
{
    for (size_t i = 0; i < p->n_initializer; i++) {
        const uint32_t *at = oi_names_find(inputs, oi_text_or_empty(p->initializer[i]->name));
        if (at && !port[*at].initial)
            OI_TRY(read_default(im, p->initializer[i], NULL, &port[*at]));
    }
    for (size_t i = 0; i < p->n_sparse_initializer; i++) {
        const OiOnnx__SparseTensorProto *s = p->sparse_initializer[i];
        const uint32_t *at = s->values ? oi_names_find(inputs, oi_text_or_empty(s->values->name)) : NULL;
        if (at && !port[*at].initial)
            OI_TRY(read_default(im, NULL, s, &port[*at]));
    }
    return ONNX_INFER_OK;
}

static oi_status read_ports(oi_importer *im, const OiOnnx__GraphProto *p)
{
    oi_onnx_model *m = im->model;
    oi_graph *g = m->graph;
    oi_onnx_port *in = oi_arena_array(g->arena, g->ninput + 1, sizeof *in);
    oi_onnx_port *out = oi_arena_array(g->arena, g->noutput + 1, sizeof *out);
    oi_names inputs = {.alloc = im->o.alloc};
    oi_status status = in && out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    m->input = in;
    m->output = out;
    for (uint32_t i = 0; !status && i < g->ninput; i++, m->ninput++) {
        bool added;
        in[i] = (oi_onnx_port){.name = g->value[g->input[i]].name, .fact = g->value[g->input[i]].fact};
        status = oi_names_put(&inputs, in[i].name, i, &added);
    }
    if (!status)
        status = read_defaults(im, p, &inputs, in);
    oi_names_clear(&inputs);
    OI_TRY(status);
    for (uint32_t i = 0; i < g->noutput; i++, m->noutput++) {
        const OiOnnx__ValueInfoProto *info = NULL;
        const char *name = im->o.output ? im->o.output[i] : oi_text_or_empty(p->output[i]->name);
        for (size_t k = 0; k < p->n_output && !info; k++)
            info = strcmp(oi_text_or_empty(p->output[k]->name), name) ? NULL : p->output[k];
        out[i].name = oi_arena_text(g->arena, name);
        if (!out[i].name)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        if (!info || oi_import_read_type(im, g, info->type, &out[i].fact))
            out[i].fact = oi_fact_unknown();
    }
    return ONNX_INFER_OK;
}

/* The failure of a model with issues: the first one's record, with a message about all. */
static oi_status fail_with_issues(const oi_importer *im)
{
    oi_error e = im->issue[0];
    if (im->nissue > 1) {
        size_t n = (size_t)snprintf(e.message, sizeof e.message, "%u problems: ", im->nissue);
        for (uint32_t i = 0; i < im->nissue && n < sizeof e.message; i++)
            n += (size_t)snprintf(e.message + n, sizeof e.message - n, "%s%s", i ? "; " : "", im->issue[i].message);
    }
    *oi_error_current() = e;
    return e.status;
}

static oi_status import_all(oi_importer *im)
{
    oi_onnx_model *m = im->model;
    const OiOnnx__ModelProto *p = im->proto;
    OI_FAIL_IF(!im->reader.bytes->size, ONNX_INFER_E_PARSE, "the file is empty");
    OI_FAIL_IF(!p->graph, ONNX_INFER_E_PARSE, "the file has no graph; is it an ONNX model?");
    m->ir_version = p->ir_version;
    im->nodes_total = p->graph->n_node;
    im->overridden = oi_arena_array(im->scratch, im->o.noverride + 1, sizeof *im->overridden);
    if (!im->overridden)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(read_properties(m, p));
    OI_TRY(read_opsets(im, p));
    OI_TRY(oi_importer_issue(im, check_versions(im)));
    OI_TRY(oi_import_index_functions(im));
    oi_scope top = {.g = m->graph, .prefix = "", .names.alloc = im->o.alloc};
    oi_status status = oi_import_graph(im, &top, p->graph);
    oi_scope_clear(&top);
    OI_TRY(status);
    OI_TRY(read_ports(im, p->graph));
    OI_TRY(check_overrides(im));
    m->in_place = im->reader.in_place;
    m->copied = im->reader.copied;
    if (im->nissue && !im->o.keep_issues)
        return fail_with_issues(im);
    if (!im->nissue)
        return ONNX_INFER_OK;
    m->issue = oi_arena_copy(m->graph->arena, im->issue, im->nissue * sizeof *im->issue);
    m->nissue = m->issue ? im->nissue : 0;
    return m->issue ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static void clear_bytes(void *bytes)
{
    oi_bytes_clear(bytes);
}

static oi_status keep_bytes(oi_onnx_model *m, oi_bytes *to, const oi_bytes *from)
{
    *to = *from;
    OI_TRY(oi_arena_on_destroy(m->graph->arena, clear_bytes, to));
    oi_buffer_retain(to->buf);
    m->nsource++;
    return ONNX_INFER_OK;
}

/* The bytes live as long as the model: its hash is asked for later, if at all. */
static oi_status keep_source(oi_onnx_model *m, const oi_bytes *bytes, const oi_source *source)
{
    const struct oi_external *at = NULL;
    const oi_bytes *external;
    size_t n = 1;
    for (oi_source_next(source, &at, &external); external; oi_source_next(source, &at, &external))
        n++;
    oi_bytes *list = oi_arena_array(m->graph->arena, n, sizeof *list);
    if (!list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    m->source = list;
    OI_TRY(keep_bytes(m, list, bytes));
    at = NULL;
    for (oi_source_next(source, &at, &external); external; oi_source_next(source, &at, &external))
        OI_TRY(keep_bytes(m, &list[m->nsource], external));
    return ONNX_INFER_OK;
}

static oi_status load(const oi_bytes *bytes, oi_source *source, const oi_onnx_options *o, oi_onnx_model **out)
{
    oi_importer im = {.o = *o};
    im.o.max_nodes = o->max_nodes ? o->max_nodes : 1000000;
    im.o.max_depth = o->max_depth ? o->max_depth : 64;
    im.o.max_tensor_bytes = o->max_tensor_bytes ? o->max_tensor_bytes : (uint64_t)64 << 30;
    im.functions.alloc = o->alloc;
    im.reader = (oi_tensor_reader){.alloc = o->alloc, .bytes = bytes, .source = source, .max_tensor_bytes = im.o.max_tensor_bytes};
    im.scratch = oi_arena_create(o->alloc);
    oi_graph *g = im.scratch ? oi_graph_create(o->alloc, o->log) : NULL;
    ProtobufCMessage *proto = NULL;
    oi_status status = ONNX_INFER_E_OUT_OF_MEMORY;
    im.model = g ? oi_arena_mem(g->arena, sizeof *im.model) : NULL;
    if (im.model) {
        im.model->graph = g;
        status = oi_onnx_unpack(o->alloc, im.scratch, bytes, &oi_onnx__model_proto__descriptor, im.o.max_nodes, im.o.max_depth,
                                &proto);
        im.proto = (const OiOnnx__ModelProto *)proto;
    }
    if (!status)
        status = import_all(&im);
    if (!status)
        status = keep_source(im.model, bytes, source);
    oi_names_clear(&im.functions);
    oi_arena_destroy(im.scratch);
    if (status)
        oi_graph_destroy(g);
    else
        *out = im.model;
    return status;
}

void oi_onnx_hash(const oi_onnx_model *m, char text[33])
{
    XXH128_hash_t sum = {0, 0};
    for (uint32_t i = 0; i < m->nsource; i++) {
        XXH128_hash_t part = XXH3_128bits_withSeed(m->source[i].data, m->source[i].size, sum.low64 ^ sum.high64);
        sum = part;
        oi_buffer_drop_pages(m->source[i].buf, m->source[i].data, m->source[i].size);
    }
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)sum.high64, (unsigned long long)sum.low64);
}

static oi_status finish(oi_status status, oi_bytes *bytes, oi_source *source, const oi_onnx_options *o, oi_onnx_model **out)
{
    static const oi_onnx_options defaults;
    source->options = o;
    if (!status)
        status = load(bytes, source, o ? o : &defaults, out);
    oi_bytes_clear(bytes);
    oi_source_close(source);
    return status;
}

oi_status oi_onnx_load_opened(oi_bytes *bytes, oi_source *source, const oi_onnx_options *o, oi_onnx_model **out)
{
    *out = NULL;
    return finish(ONNX_INFER_OK, bytes, source, o, out);
}

oi_status oi_onnx_load_file(const char *path, const oi_onnx_options *o, oi_onnx_model **out)
{
    oi_source source;
    oi_bytes bytes;
    *out = NULL;
    oi_status status = oi_source_file(o ? o->alloc : NULL, path, &source, &bytes);
    status = finish(status, &bytes, &source, o, out);
    if (status && status != ONNX_INFER_E_IO)
        oi_error_prefix("%s: ", path);
    return status;
}

/* The caller's free function, called only once the load has succeeded. */
typedef struct {
    oi_alloc alloc;
    onnx_infer_free_fn fn;
    void *user;
    bool armed;
} borrowed;

static void give_back(void *user, void *data)
{
    borrowed *b = user;
    oi_alloc alloc = b->alloc;
    if (b->armed)
        b->fn(b->user, data);
    oi_free_mem(&alloc, b);
}

oi_status oi_onnx_load_memory(const void *p, size_t n, onnx_infer_free_fn fn, void *user, const oi_onnx_options *o,
                              oi_onnx_model **out)
{
    const oi_alloc *a = o ? o->alloc : NULL;
    oi_source source;
    oi_bytes bytes, hold = {0};
    borrowed *b = NULL;
    *out = NULL;
    if (fn) {
        b = oi_alloc_mem(a, sizeof *b);
        if (!b)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        *b = (borrowed){a ? *a : oi_alloc_libc, fn, user, false};
    }
    oi_status status = oi_source_memory(a, p, n, b ? give_back : NULL, b, &source, &bytes);
    if (status) {
        oi_free_mem(a, b);
        return status;
    }
    hold.buf = oi_buffer_retain(bytes.buf); /* so that b is there when the answer is known */
    status = finish(ONNX_INFER_OK, &bytes, &source, o, out);
    if (b)
        b->armed = !status;
    oi_bytes_clear(&hold);
    return status;
}

oi_status oi_onnx_load_reader(const onnx_infer_reader *r, const oi_onnx_options *o, oi_onnx_model **out)
{
    oi_source source;
    oi_bytes bytes;
    *out = NULL;
    oi_status status = oi_source_reader(o ? o->alloc : NULL, r, &source, &bytes);
    return finish(status, &bytes, &source, o, out);
}

void oi_onnx_free(oi_onnx_model *m)
{
    if (m)
        oi_graph_destroy(m->graph);
}
