/* Models for given sizes: what options fix, copies of graphs for them, and such copies as files. */
#include "runtime/model.h"

#include "onnx/export.h"
#include "optimizer/optimizer.h"
#include "runtime/new_file.h"

#include <stdio.h>
#include <string.h>

static oi_status bad_shape_option(const char *input, const oi_shape_option *s, const char *why)
{
    char text[200];
    oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "the options give input '%s' the shape %s: %s", input,
            oi_dims_text(s->rank, s->dim, text, sizeof text), why);
    return oi_error_at_tensor(input);
}

oi_status oi_model_apply_options(const onnx_infer_model *m, const onnx_infer_options *o, oi_fact *input, int64_t *bound)
{
    const oi_onnx_model *f = m->file;
    const oi_symtab *syms = f->graph->syms;
    for (size_t i = 0; i < o->nsymbol; i++) {
        oi_symbol sym;
        if (oi_dim_find_symbol(syms, o->symbol[i].name, &sym))
            bound[sym] = o->symbol[i].value;
        else
            oi_log_write(&o->log, ONNX_INFER_LOG_INFO, "the model has no symbol '%s'", o->symbol[i].name);
    }
    for (size_t k = 0; k < o->nshape; k++) {
        const oi_shape_option *s = &o->shape[k];
        int64_t i = oi_model_find_port(m->input, f->ninput, s->input);
        OI_FAIL_IF(i < 0, ONNX_INFER_E_NOT_FOUND, "the options give a shape for '%s', which is no input of the model", s->input);
        oi_fact *fact = &input[i];
        if (fact->kind != ONNX_INFER_TENSOR)
            return bad_shape_option(s->input, s, "the input is no tensor");
        if (fact->shape.rank >= 0 && fact->shape.rank != s->rank)
            return bad_shape_option(s->input, s, "the model declares another rank");
        for (int32_t d = 0; d < s->rank; d++) {
            oi_dim declared = fact->shape.rank < 0 ? OI_DIM_LOWEST_NUMBER : fact->shape.dim[d];
            if (fact->shape.rank >= 0 && oi_dim_is_number(declared) && declared != s->dim[d])
                return bad_shape_option(s->input, s, "the model declares another size of a fixed dimension");
            if (fact->shape.rank >= 0 && !oi_dim_is_number(declared) &&
                oi_dim_solve(syms, declared, s->dim[d], bound) < 0)
                return bad_shape_option(s->input, s, "it contradicts the sizes given for symbols or other inputs");
        }
        fact->shape.rank = s->rank;
        for (int32_t d = 0; d < s->rank; d++)
            fact->shape.dim[d] = s->dim[d];
    }
    for (uint32_t i = 0; i < f->ninput; i++) {
        oi_fact *fact = &input[i];
        for (int32_t d = 0; fact->kind == ONNX_INFER_TENSOR && d < fact->shape.rank; d++) {
            int64_t n;
            if (!oi_dim_is_number(fact->shape.dim[d]) && oi_dim_eval(syms, fact->shape.dim[d], bound, &n) && n >= 0)
                fact->shape.dim[d] = n;
        }
    }
    return ONNX_INFER_OK;
}

/* The model's graph for what the options fix, as far as `to`. */
static oi_status make_graph(const onnx_infer_model *m, const onnx_infer_options *o, const oi_alloc *a, oi_stage to, oi_graph **out)
{
    const oi_onnx_model *f = m->file;
    size_t nsym = oi_symtab_count(f->graph->syms);
    int64_t *bound = oi_alloc_array(a, nsym + 1, sizeof *bound);
    oi_fact *fact = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *fact);
    const oi_fact **given = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *given);
    oi_status st = bound && fact && given ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; st == ONNX_INFER_OK && i < nsym; i++)
        bound[i] = -1;
    for (uint32_t i = 0; st == ONNX_INFER_OK && i < f->ninput; i++)
        fact[i] = *m->input[i].fact;
    if (st == ONNX_INFER_OK)
        st = oi_model_apply_options(m, o, fact, bound);
    for (uint32_t i = 0; st == ONNX_INFER_OK && i < f->ninput; i++) {
        if (fact[i].kind == ONNX_INFER_TENSOR && fact[i].shape.rank >= 0 && oi_shape_is_concrete(&fact[i].shape))
            given[i] = &fact[i]; /* the rest follows from `bound`: its dims belong to the other graph */
    }
    if (st == ONNX_INFER_OK)
        st = oi_optimize_for(a, f->graph, bound, given, to, NULL, NULL, NULL, out);
    oi_free_mem(a, bound);
    oi_free_mem(a, fact);
    oi_free_mem(a, given);
    return st;
}

static oi_status has_issues(const onnx_infer_model *m)
{
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "the model has issues, the first: %.900s", m->issue[0].message);
}

/* --- specialised models --------------------------------------------------------------------------------------------- */

static oi_status take_ports(const oi_onnx_port *from, const oi_value_id *value, uint32_t n, oi_graph *g, const oi_onnx_port **out)
{
    oi_onnx_port *port = oi_arena_array(g->arena, (size_t)n + 1, sizeof *port);
    if (!port)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        port[i] = from[i];
        port[i].fact = g->value[value[i]].fact;
        port[i].fact.konst = NULL;
    }
    *out = port;
    return ONNX_INFER_OK;
}

static oi_status take_file(const onnx_infer_model *from, oi_graph *g, onnx_infer_model *m)
{
    oi_onnx_model *f = oi_arena_copy(g->arena, from->file, sizeof *f);
    if (!f) {
        oi_graph_destroy(g);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    f->graph = g;
    m->file = f; /* which owns the graph from here on */
    OI_TRY(take_ports(from->file->input, g->input, f->ninput, g, &f->input));
    return take_ports(from->file->output, g->output, f->noutput, g, &f->output);
}

oi_status oi_model_specialize(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_model **out)
{
    onnx_infer_options defaults;
    onnx_infer_model *made;
    oi_graph *g = NULL;
    *out = NULL;
    o = oi_options_or(o, &defaults);
    if (m->nissue)
        return has_issues(m);
    OI_TRY(oi_model_create(o, &made));
    made->base = oi_model_retain(m);
    oi_status st = make_graph(m, o, &made->alloc, OI_STAGE_TYPED, &g);
    if (st == ONNX_INFER_OK)
        st = take_file(m, g, made);
    if (st == ONNX_INFER_OK)
        st = oi_model_describe(made);
    if (st != ONNX_INFER_OK) {
        oi_model_release(made);
        return st;
    }
    *out = made;
    return ONNX_INFER_OK;
}

/* --- saving -------------------------------------------------------------------------------------------------------- */

static oi_status save(const onnx_infer_model *m, const onnx_infer_options *o, oi_onnx_export *e)
{
    onnx_infer_options defaults;
    oi_graph *g = NULL;
    o = oi_options_or(o, &defaults);
    if (m->nissue)
        return has_issues(m);
    OI_TRY(make_graph(m, o, &o->alloc, o->level == 0 ? OI_STAGE_TYPED : OI_STAGE_DECLUTTERED, &g));
    e->model = m->file;
    e->graph = g;
    oi_status st = oi_onnx_write_model(&o->alloc, e);
    oi_graph_destroy(g);
    return st;
}

oi_status oi_model_save(const onnx_infer_model *m, const onnx_infer_options *o, const oi_writer *w, const oi_writer *data,
                        const char *location)
{
    return save(m, o, &(oi_onnx_export){.out = w, .data = data, .location = location});
}

oi_status oi_model_save_file(const onnx_infer_model *m, const onnx_infer_options *o, const char *path)
{
    oi_new_file model = {0}, data = {0};
    char *location = NULL;
    bool external = oi_onnx_constant_bytes(m->file->graph) > OI_ONNX_MAX_INLINE;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    oi_status st = oi_new_file_open(&model, path, "");
    if (st == ONNX_INFER_OK && external)
        st = oi_new_file_open(&data, path, ".data");
    if (st == ONNX_INFER_OK && external) {
        location = oi_alloc_mem(NULL, strlen(base) + 6);
        if (location)
            sprintf(location, "%s.data", base);
        else
            st = ONNX_INFER_E_OUT_OF_MEMORY;
    }
    const oi_writer w = oi_new_file_writer(&model), d = oi_new_file_writer(&data);
    if (st == ONNX_INFER_OK)
        st = oi_model_save(m, o, &w, external ? &d : NULL, location);
    st = oi_new_file_finish(&data, st);
    st = oi_new_file_finish(&model, st);
    oi_free_mem(NULL, location);
    return st;
}
