/* Models and their ports. */
#include "api/api_check.h"
#include "runtime/session.h"

#include <string.h>

onnx_infer_status onnx_infer_model_load_file(const char *path, const onnx_infer_options *o, onnx_infer_model **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(path);
    return oi_model_load(&(oi_model_source){.path = path}, o, false, out);
}

onnx_infer_status onnx_infer_model_load_memory(const void *p, size_t n, onnx_infer_free_fn fn, void *user,
                                               const onnx_infer_options *o, onnx_infer_model **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(p || !n);
    return oi_model_load(&(oi_model_source){.data = p ? p : "", .bytes = n, .free_fn = fn, .user = user}, o, false, out);
}

onnx_infer_status onnx_infer_model_load_reader(const onnx_infer_reader *r, const onnx_infer_options *o, onnx_infer_model **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(r);
    OI_FAIL_IF(r->struct_size < sizeof *r, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", r->struct_size, sizeof *r);
    OI_NEED(r->size);
    OI_NEED(r->read_at);
    return oi_model_load(&(oi_model_source){.reader = r}, o, false, out);
}

onnx_infer_status onnx_infer_model_peek_file(const char *path, const onnx_infer_options *o, onnx_infer_model **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(path);
    return oi_model_load(&(oi_model_source){.path = path}, o, true, out);
}

onnx_infer_status onnx_infer_model_specialize(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_model **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(m);
    return oi_model_specialize(m, o, out);
}

onnx_infer_status onnx_infer_model_save_onnx(const onnx_infer_model *m, const onnx_infer_options *o, const onnx_infer_writer *w,
                                             const onnx_infer_writer *data, const char *location)
{
    OI_NEED(m);
    OI_NEED(w);
    OI_FAIL_IF(!data != !location, ONNX_INFER_E_INVALID_ARGUMENT, "data and location go together; one of them is NULL");
    OI_TRY(oi_api_check_writer(w));
    if (data)
        OI_TRY(oi_api_check_writer(data));
    const oi_writer model = {w->user, w->write}, large = {data ? data->user : NULL, data ? data->write : NULL};
    return oi_model_save(m, o, &model, data ? &large : NULL, location);
}

onnx_infer_status onnx_infer_model_save_onnx_file(const onnx_infer_model *m, const onnx_infer_options *o, const char *path)
{
    OI_NEED(m);
    OI_NEED(path);
    return oi_model_save_file(m, o, path);
}

onnx_infer_model *onnx_infer_model_retain(onnx_infer_model *m)
{
    return oi_model_retain(m);
}

void onnx_infer_model_release(onnx_infer_model *m)
{
    oi_model_release(m);
}

size_t onnx_infer_model_input_count(const onnx_infer_model *m)
{
    return m ? m->file->ninput : 0;
}

size_t onnx_infer_model_output_count(const onnx_infer_model *m)
{
    return m ? m->file->noutput : 0;
}

const onnx_infer_port *onnx_infer_model_input(const onnx_infer_model *m, size_t i)
{
    return m && i < m->file->ninput ? &m->input[i] : NULL;
}

const onnx_infer_port *onnx_infer_model_output(const onnx_infer_model *m, size_t i)
{
    return m && i < m->file->noutput ? &m->output[i] : NULL;
}

int64_t onnx_infer_model_input_index(const onnx_infer_model *m, const char *name)
{
    return m && name ? oi_model_find_port(m->input, m->file->ninput, name) : -1;
}

int64_t onnx_infer_model_output_index(const onnx_infer_model *m, const char *name)
{
    return m && name ? oi_model_find_port(m->output, m->file->noutput, name) : -1;
}

size_t onnx_infer_model_symbol_count(const onnx_infer_model *m)
{
    return m ? m->nsymbol : 0;
}

const char *onnx_infer_model_symbol(const onnx_infer_model *m, size_t i)
{
    return m && i < m->nsymbol ? m->symbol[i] : NULL;
}

const char *onnx_infer_model_property(const onnx_infer_model *m, const char *key)
{
    if (m && key && !strcmp(key, "xxh128"))
        return oi_model_hash((onnx_infer_model *)(uintptr_t)m);
    for (uint32_t i = 0; m && key && i < m->file->nproperty; i++) {
        if (!strcmp(m->file->property[i].key, key))
            return m->file->property[i].value;
    }
    return NULL;
}

size_t onnx_infer_model_opset_count(const onnx_infer_model *m)
{
    return m ? m->file->nopset : 0;
}

onnx_infer_status onnx_infer_model_opset(const onnx_infer_model *m, size_t i, const char **domain, int64_t *version)
{
    OI_NEED(m);
    OI_FAIL_IF(i >= m->file->nopset, ONNX_INFER_E_NOT_FOUND, "opset %zu is asked for; the model has %u", i, m->file->nopset);
    if (domain)
        *domain = m->file->opset[i].domain;
    if (version)
        *version = m->file->opset[i].version;
    return ONNX_INFER_OK;
}

size_t onnx_infer_model_metadata_count(const onnx_infer_model *m)
{
    return m ? m->file->nmetadata : 0;
}

onnx_infer_status onnx_infer_model_metadata(const onnx_infer_model *m, size_t i, const char **key, const char **value)
{
    OI_NEED(m);
    OI_FAIL_IF(i >= m->file->nmetadata, ONNX_INFER_E_NOT_FOUND, "metadata entry %zu is asked for; the model has %u", i,
               m->file->nmetadata);
    if (key)
        *key = m->file->metadata[i].key;
    if (value)
        *value = m->file->metadata[i].value;
    return ONNX_INFER_OK;
}

size_t onnx_infer_model_issue_count(const onnx_infer_model *m)
{
    return m ? m->nissue : 0;
}

const onnx_infer_error *onnx_infer_model_issue(const onnx_infer_model *m, size_t i)
{
    return m && i < m->nissue ? &m->issue[i] : NULL;
}

const char *onnx_infer_port_name(const onnx_infer_port *p)
{
    return p ? p->name : NULL;
}

onnx_infer_kind onnx_infer_port_kind(const onnx_infer_port *p)
{
    return p ? p->fact->kind : ONNX_INFER_TENSOR;
}

onnx_infer_dtype onnx_infer_port_dtype(const onnx_infer_port *p)
{
    const oi_fact *fact = p ? p->fact : NULL;
    while (fact && (fact->kind == ONNX_INFER_SEQUENCE || fact->kind == ONNX_INFER_OPTIONAL))
        fact = fact->elem;
    return fact ? fact->dtype : ONNX_INFER_UNDEFINED;
}

int32_t onnx_infer_port_rank(const onnx_infer_port *p)
{
    return p && p->fact->kind == ONNX_INFER_TENSOR ? p->fact->shape.rank : -1;
}

int64_t onnx_infer_port_dim(const onnx_infer_port *p, int32_t axis)
{
    return axis >= 0 && axis < onnx_infer_port_rank(p) ? p->dim[axis] : -1;
}

const char *onnx_infer_port_dim_expr(const onnx_infer_port *p, int32_t axis)
{
    return axis >= 0 && axis < onnx_infer_port_rank(p) ? p->dim_text[axis] : NULL;
}

int32_t onnx_infer_port_is_optional(const onnx_infer_port *p)
{
    return p && p->optional;
}
