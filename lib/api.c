/* Every public function: checks arguments and forwards. */
#include "base/arena.h"
#include "runtime/profile.h"
#include "runtime/session.h"
#include "tensor/value.h"

#include <string.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define NEED(arg) \
    OI_FAIL_IF(!(arg), ONNX_INFER_E_INVALID_ARGUMENT, "%s: %s is NULL", __func__, #arg)

/* Copies a struct of ours into a caller's that may be of an older or newer header: struct_size says. */
static oi_status copy_out(void *to, const void *from, size_t bytes)
{
    size_t theirs;
    memcpy(&theirs, to, sizeof theirs);
    OI_FAIL_IF(theirs < sizeof theirs, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu; set it to the size of the struct", theirs);
    memcpy(to, from, theirs < bytes ? theirs : bytes);
    memcpy(to, &theirs, sizeof theirs);
    return ONNX_INFER_OK;
}

/* --- version and capability --------------------------------------------------------------------------------------- */

const char *onnx_infer_version(void)
{
    return TEXT(ONNX_INFER_VERSION_MAJOR) "." TEXT(ONNX_INFER_VERSION_MINOR) "." TEXT(ONNX_INFER_VERSION_PATCH);
}

uint32_t onnx_infer_version_number(void)
{
    return ONNX_INFER_VERSION_MAJOR << 16 | ONNX_INFER_VERSION_MINOR << 8 | ONNX_INFER_VERSION_PATCH;
}

int32_t onnx_infer_max_ir_version(void)
{
    return OI_ONNX_MAX_IR;
}

int32_t onnx_infer_max_opset(const char *domain)
{
    return domain ? oi_op_newest_opset(domain) : 0;
}

size_t onnx_infer_op_count(void)
{
    size_t n;
    oi_op_table(&n);
    return n;
}

const char *onnx_infer_op_name(size_t i)
{
    size_t n;
    const oi_op *const *table = oi_op_table(&n);
    return i < n ? table[i]->name : NULL;
}

const char *onnx_infer_op_domain(size_t i)
{
    size_t n;
    const oi_op *const *table = oi_op_table(&n);
    return i < n ? table[i]->domain : NULL;
}

int32_t onnx_infer_default_threads(void)
{
    return (int32_t)oi_cpu_default_threads();
}

const char *onnx_infer_cpu_isa(void)
{
    return oi_kernels_for(oi_cpu_isa_detect())->name;
}

/* --- errors ---------------------------------------------------------------------------------------------------------- */

const char *onnx_infer_status_name(onnx_infer_status status)
{
    return oi_status_name(status);
}

const onnx_infer_error *onnx_infer_last_error(void)
{
    return oi_error_current();
}

onnx_infer_error *onnx_infer_error_clone(const onnx_infer_error *e)
{
    onnx_infer_error *copy = e ? oi_alloc_mem(NULL, sizeof *copy) : NULL;
    if (copy)
        *copy = *e;
    return copy;
}

void onnx_infer_error_free(onnx_infer_error *e)
{
    oi_free_mem(NULL, e);
}

onnx_infer_status onnx_infer_error_code(const onnx_infer_error *e)
{
    return e ? e->status : ONNX_INFER_OK;
}

const char *onnx_infer_error_message(const onnx_infer_error *e)
{
    return e ? e->message : "";
}

const char *onnx_infer_error_node(const onnx_infer_error *e)
{
    return e ? e->node : "";
}

const char *onnx_infer_error_op(const onnx_infer_error *e)
{
    return e ? e->op : "";
}

const char *onnx_infer_error_tensor(const onnx_infer_error *e)
{
    return e ? e->tensor : "";
}

const char *onnx_infer_error_symbol(const onnx_infer_error *e)
{
    return e ? e->symbol : "";
}

int32_t onnx_infer_error_axis(const onnx_infer_error *e)
{
    return e ? e->axis : -1;
}

int64_t onnx_infer_error_got(const onnx_infer_error *e)
{
    return e ? e->got : -1;
}

int64_t onnx_infer_error_expected(const onnx_infer_error *e)
{
    return e ? e->expected : -1;
}

/* --- options --------------------------------------------------------------------------------------------------------- */

onnx_infer_status onnx_infer_options_create(onnx_infer_options **out)
{
    NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    if (!*out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_options_init(*out);
    return ONNX_INFER_OK;
}

void onnx_infer_options_free(onnx_infer_options *o)
{
    if (!o)
        return;
    oi_options_clear(o);
    oi_free_mem(NULL, o);
}

onnx_infer_status onnx_infer_options_set_symbol(onnx_infer_options *o, const char *symbol, int64_t value)
{
    NEED(o);
    NEED(symbol);
    return oi_options_set_symbol(o, symbol, value);
}

onnx_infer_status onnx_infer_options_set_input_shape(onnx_infer_options *o, const char *input, int32_t rank, const int64_t *dims)
{
    NEED(o);
    NEED(input);
    NEED(dims || rank <= 0);
    return oi_options_set_input_shape(o, input, rank, dims);
}

onnx_infer_status onnx_infer_options_set_level(onnx_infer_options *o, int32_t level)
{
    NEED(o);
    OI_FAIL_IF(level < 0 || level > 2, ONNX_INFER_E_INVALID_ARGUMENT, "optimisation level %d; expected 0, 1 or 2", (int)level);
    o->level = level;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_backend(onnx_infer_options *o, const char *name)
{
    NEED(o);
    NEED(name);
    OI_FAIL_IF(strcmp(name, "cpu") != 0, ONNX_INFER_E_BACKEND_UNAVAILABLE, "no backend is called '%s' in this build; there is cpu",
               name);
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_cpu_isa(onnx_infer_options *o, const char *isa)
{
    NEED(o);
    NEED(isa);
    oi_cpu_isa level = oi_cpu_isa_from_name(isa);
    OI_FAIL_IF(level == OI_ISA_COUNT, ONNX_INFER_E_NOT_FOUND,
               "no instruction set is called '%s'; there are generic, sse2, avx2, avx512, neon", isa);
    OI_FAIL_IF(!oi_cpu_isa_available(level), ONNX_INFER_E_BACKEND_UNAVAILABLE, "this CPU does not have '%s'; its best is '%s'", isa,
               onnx_infer_cpu_isa());
    o->isa = level;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_threads(onnx_infer_options *o, int32_t n)
{
    NEED(o);
    OI_FAIL_IF(n < 0 || n > 4096, ONNX_INFER_E_INVALID_ARGUMENT, "%d threads; expected 0 (the default) to 4096", (int)n);
    o->threads = n;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_allocator(onnx_infer_options *o, const onnx_infer_allocator *a)
{
    NEED(o);
    NEED(a);
    OI_FAIL_IF(a->struct_size < sizeof *a, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", a->struct_size, sizeof *a);
    NEED(a->alloc);
    NEED(a->free);
    o->alloc = *a;
    o->alloc.struct_size = sizeof *a;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_limit(onnx_infer_options *o, const char *what, uint64_t max)
{
    NEED(o);
    NEED(what);
    return oi_options_set_limit(o, what, max);
}

onnx_infer_status onnx_infer_options_set_progress(onnx_infer_options *o, onnx_infer_progress_fn fn, void *user)
{
    NEED(o);
    o->progress = fn;
    o->progress_user = user;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_log(onnx_infer_options *o, onnx_infer_log_fn fn, void *user, onnx_infer_log_level level)
{
    NEED(o);
    o->log = (oi_log){fn, user, level};
    return ONNX_INFER_OK;
}

/* --- model ----------------------------------------------------------------------------------------------------------- */

onnx_infer_status onnx_infer_model_load_file(const char *path, const onnx_infer_options *o, onnx_infer_model **out)
{
    NEED(out);
    *out = NULL;
    NEED(path);
    return oi_model_load(&(oi_model_source){.path = path}, o, false, out);
}

onnx_infer_status onnx_infer_model_load_memory(const void *p, size_t n, onnx_infer_free_fn fn, void *user,
                                               const onnx_infer_options *o, onnx_infer_model **out)
{
    NEED(out);
    *out = NULL;
    NEED(p || !n);
    return oi_model_load(&(oi_model_source){.data = p ? p : "", .bytes = n, .free_fn = fn, .user = user}, o, false, out);
}

onnx_infer_status onnx_infer_model_load_reader(const onnx_infer_reader *r, const onnx_infer_options *o, onnx_infer_model **out)
{
    NEED(out);
    *out = NULL;
    NEED(r);
    OI_FAIL_IF(r->struct_size < sizeof *r, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", r->struct_size, sizeof *r);
    NEED(r->size);
    NEED(r->read_at);
    return oi_model_load(&(oi_model_source){.reader = r}, o, false, out);
}

onnx_infer_status onnx_infer_model_peek_file(const char *path, const onnx_infer_options *o, onnx_infer_model **out)
{
    NEED(out);
    *out = NULL;
    NEED(path);
    return oi_model_load(&(oi_model_source){.path = path}, o, true, out);
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
    NEED(m);
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
    NEED(m);
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

/* --- plan ------------------------------------------------------------------------------------------------------------ */

onnx_infer_status onnx_infer_plan_create(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_plan **out)
{
    NEED(out);
    *out = NULL;
    NEED(m);
    return oi_session_plan(m, o, out);
}

onnx_infer_plan *onnx_infer_plan_retain(onnx_infer_plan *p)
{
    return oi_session_retain(p);
}

void onnx_infer_plan_release(onnx_infer_plan *p)
{
    oi_session_release(p);
}

const onnx_infer_model *onnx_infer_plan_model(const onnx_infer_plan *p)
{
    return p ? p->model : NULL;
}

onnx_infer_status onnx_infer_plan_memory(const onnx_infer_plan *p, onnx_infer_memory *out)
{
    onnx_infer_memory memory;
    NEED(p);
    NEED(out);
    OI_TRY(oi_session_memory(p, &memory));
    return copy_out(out, &memory, sizeof memory);
}

size_t onnx_infer_plan_step_count(const onnx_infer_plan *p)
{
    return p ? oi_session_step_count(p) : 0;
}

onnx_infer_status onnx_infer_plan_step(const onnx_infer_plan *p, size_t i, onnx_infer_event *out)
{
    onnx_infer_event event;
    NEED(p);
    NEED(out);
    OI_TRY(oi_session_step(p, i, &event));
    return copy_out(out, &event, sizeof event);
}

/* --- context --------------------------------------------------------------------------------------------------------- */

onnx_infer_status onnx_infer_context_create(onnx_infer_plan *p, onnx_infer_context **out)
{
    NEED(out);
    *out = NULL;
    NEED(p);
    return oi_session_context(p, out);
}

void onnx_infer_context_free(onnx_infer_context *c)
{
    oi_session_context_free(c);
}

onnx_infer_status onnx_infer_context_open(const char *path, const onnx_infer_options *o, onnx_infer_context **out)
{
    onnx_infer_model *m;
    onnx_infer_plan *p = NULL;
    NEED(out);
    *out = NULL;
    OI_TRY(onnx_infer_model_load_file(path, o, &m));
    oi_status st = oi_session_plan(m, o, &p);
    if (st == ONNX_INFER_OK)
        st = oi_session_context(p, out);
    oi_session_release(p);
    oi_model_release(m);
    return st;
}

const onnx_infer_plan *onnx_infer_context_plan(const onnx_infer_context *c)
{
    return c ? c->plan : NULL;
}

onnx_infer_status onnx_infer_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                 const onnx_infer_value *const *in, size_t no, onnx_infer_value **out)
{
    NEED(c);
    NEED(in || !ni);
    NEED(out || !no);
    return oi_session_run(c, ro, ni, in, no, out);
}

onnx_infer_status onnx_infer_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                       const char *const *in_names, const onnx_infer_value *const *in, size_t no,
                                       const char *const *out_names, onnx_infer_value **out)
{
    NEED(c);
    NEED((in_names && in) || !ni);
    NEED((out_names && out) || !no);
    return oi_session_run_named(c, ro, ni, in_names, in, no, out_names, out);
}

onnx_infer_status onnx_infer_context_memory(const onnx_infer_context *c, onnx_infer_memory *out)
{
    onnx_infer_memory memory;
    NEED(c);
    NEED(out);
    OI_TRY(oi_session_memory(c->plan, &memory));
    memory.arena_now = memory.arena_peak = 0;
    oi_frame_memory(c->frame, &memory.arena_now, &memory.arena_peak);
    return copy_out(out, &memory, sizeof memory);
}

onnx_infer_status onnx_infer_context_trim(onnx_infer_context *c)
{
    NEED(c);
    oi_frame_trim(c->frame);
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_create(onnx_infer_run_options **out)
{
    NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void onnx_infer_run_options_free(onnx_infer_run_options *ro)
{
    oi_free_mem(NULL, ro);
}

onnx_infer_status onnx_infer_run_options_set_cancel(onnx_infer_run_options *ro, onnx_infer_cancel *c)
{
    NEED(ro);
    ro->cancel = c;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_set_deadline(onnx_infer_run_options *ro, uint64_t ns)
{
    NEED(ro);
    ro->deadline_ns = ns;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_set_profile(onnx_infer_run_options *ro, onnx_infer_profile *p)
{
    NEED(ro);
    ro->profile = p;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_run_options_set_seed(onnx_infer_run_options *ro, uint64_t seed)
{
    NEED(ro);
    ro->seed = seed;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_cancel_create(onnx_infer_cancel **out)
{
    NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void onnx_infer_cancel_free(onnx_infer_cancel *c)
{
    oi_free_mem(NULL, c);
}

void onnx_infer_cancel_fire(onnx_infer_cancel *c)
{
    if (c)
        atomic_store(&c->fired, true);
}

void onnx_infer_cancel_reset(onnx_infer_cancel *c)
{
    if (c)
        atomic_store(&c->fired, false);
}

onnx_infer_status onnx_infer_profile_create(onnx_infer_profile **out)
{
    NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    return *out ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void onnx_infer_profile_free(onnx_infer_profile *p)
{
    if (!p)
        return;
    oi_arena_destroy(p->text);
    oi_free_mem(NULL, p->event);
    oi_free_mem(NULL, p);
}

size_t onnx_infer_profile_count(const onnx_infer_profile *p)
{
    return p ? p->count : 0;
}

onnx_infer_status onnx_infer_profile_get(const onnx_infer_profile *p, size_t i, onnx_infer_event *out)
{
    NEED(p);
    NEED(out);
    OI_FAIL_IF(i >= p->count, ONNX_INFER_E_NOT_FOUND, "step %zu is asked for; the profile has %zu", i, p->count);
    return copy_out(out, &p->event[i], sizeof p->event[i]);
}

/* --- values ---------------------------------------------------------------------------------------------------------- */

static oi_status tensor_to_value(oi_tensor *t, onnx_infer_value **out)
{
    oi_status st = oi_value_from_tensor(NULL, t, out);
    if (st != ONNX_INFER_OK)
        oi_tensor_clear(t);
    return st;
}

onnx_infer_status onnx_infer_tensor_create(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, onnx_infer_value **out)
{
    oi_tensor t;
    NEED(out);
    *out = NULL;
    NEED(dims || rank <= 0);
    OI_TRY(oi_tensor_create(NULL, dtype, rank, dims, &t));
    if (dtype != ONNX_INFER_STRING)
        memset(t.data, 0, t.bytes);
    return tensor_to_value(&t, out);
}

onnx_infer_status onnx_infer_tensor_wrap(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, void *data, size_t bytes,
                                         onnx_infer_free_fn fn, void *user, onnx_infer_value **out)
{
    oi_tensor t;
    NEED(out);
    *out = NULL;
    NEED(dims || rank <= 0);
    OI_TRY(oi_tensor_describe(&t, dtype, rank, dims));
    OI_FAIL_IF(dtype == ONNX_INFER_STRING, ONNX_INFER_E_UNSUPPORTED_TYPE,
               "strings cannot be wrapped; use onnx_infer_tensor_create and onnx_infer_tensor_set_string");
    NEED(data || !t.bytes);
    OI_FAIL_IF(bytes < t.bytes, ONNX_INFER_E_BUFFER_TOO_SMALL, "the tensor takes %zu bytes, the memory given has %zu", t.bytes, bytes);
    size_t align = oi_dtype_is_complex(dtype) ? oi_dtype_size(dtype) / 2 : oi_dtype_size(dtype);
    OI_FAIL_IF((uintptr_t)data % align, ONNX_INFER_E_INVALID_ARGUMENT, "memory of %s must be aligned to %zu bytes",
               oi_dtype_name(dtype), align);
    OI_TRY(oi_buffer_wrap(NULL, data, t.bytes, NULL, NULL, &t.buf));
    t.data = data;
    OI_TRY(tensor_to_value(&t, out));
    oi_buffer_on_free((*out)->tensor.buf, fn, user); /* only now: a failed call consumes nothing */
    return ONNX_INFER_OK;
}

onnx_infer_value *onnx_infer_value_retain(onnx_infer_value *v)
{
    return oi_value_retain(v);
}

void onnx_infer_value_release(onnx_infer_value *v)
{
    oi_value_release(v);
}

onnx_infer_kind onnx_infer_value_kind(const onnx_infer_value *v)
{
    return v ? v->kind : ONNX_INFER_TENSOR;
}

static const oi_tensor *tensor_of(const onnx_infer_value *v)
{
    return v && v->kind == ONNX_INFER_TENSOR ? &v->tensor : NULL;
}

onnx_infer_dtype onnx_infer_tensor_dtype(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.dtype : ONNX_INFER_UNDEFINED;
}

int32_t onnx_infer_tensor_rank(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.rank : -1;
}

const int64_t *onnx_infer_tensor_dims(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.dim : NULL;
}

size_t onnx_infer_tensor_count(const onnx_infer_value *v)
{
    return tensor_of(v) ? (size_t)oi_tensor_count(&v->tensor) : 0;
}

size_t onnx_infer_tensor_bytes(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.bytes : 0;
}

const void *onnx_infer_tensor_data(const onnx_infer_value *v)
{
    return tensor_of(v) && v->tensor.dtype != ONNX_INFER_STRING ? v->tensor.data : NULL;
}

void *onnx_infer_tensor_mutable_data(onnx_infer_value *v)
{
    return tensor_of(v) && v->tensor.dtype != ONNX_INFER_STRING ? v->tensor.data : NULL;
}

static bool is_string_at(const onnx_infer_value *v, size_t i)
{
    return tensor_of(v) && v->tensor.dtype == ONNX_INFER_STRING && i < (size_t)oi_tensor_count(&v->tensor);
}

onnx_infer_status onnx_infer_tensor_set_string(onnx_infer_value *v, size_t i, const char *s, size_t n)
{
    NEED(v);
    NEED(s || !n);
    OI_FAIL_IF(!is_string_at(v, i), ONNX_INFER_E_INVALID_ARGUMENT, "the value has no string %zu", i);
    return oi_tensor_set_string(&v->alloc, &v->tensor, i, s, n);
}

const char *onnx_infer_tensor_string(const onnx_infer_value *v, size_t i, size_t *n)
{
    if (n)
        *n = 0;
    if (!is_string_at(v, i))
        return NULL;
    const oi_string *s = (const oi_string *)v->tensor.data + i;
    if (n)
        *n = s->n;
    return s->text ? s->text : "";
}

onnx_infer_status onnx_infer_sequence_create(onnx_infer_value **out)
{
    NEED(out);
    return oi_value_create(NULL, ONNX_INFER_SEQUENCE, out);
}

onnx_infer_status onnx_infer_optional_create(onnx_infer_value **out)
{
    NEED(out);
    return oi_value_create(NULL, ONNX_INFER_OPTIONAL, out);
}

onnx_infer_status onnx_infer_value_push(onnx_infer_value *container, onnx_infer_value *item)
{
    NEED(container);
    NEED(item);
    OI_FAIL_IF(container->kind == ONNX_INFER_MAP, ONNX_INFER_E_TYPE_MISMATCH, "a map takes no items");
    OI_FAIL_IF(container == item, ONNX_INFER_E_INVALID_ARGUMENT, "a value cannot hold itself");
    return oi_value_push(container, item);
}

size_t onnx_infer_value_count(const onnx_infer_value *container)
{
    return container && container->kind != ONNX_INFER_MAP ? container->count : 0;
}

onnx_infer_value *onnx_infer_value_item(const onnx_infer_value *container, size_t i)
{
    return i < onnx_infer_value_count(container) ? container->item[i] : NULL;
}

onnx_infer_status onnx_infer_map_create(onnx_infer_value *keys, onnx_infer_value *values, onnx_infer_value **out)
{
    NEED(out);
    *out = NULL;
    NEED(keys);
    NEED(values);
    const oi_tensor *k = tensor_of(keys);
    OI_FAIL_IF(!k || k->rank != 1 || !(k->dtype == ONNX_INFER_STRING || oi_dtype_is_int(k->dtype)), ONNX_INFER_E_TYPE_MISMATCH,
               "the keys of a map are a rank-1 tensor of strings or integers");
    size_t n = tensor_of(values) ? onnx_infer_tensor_count(values) : onnx_infer_value_count(values);
    OI_FAIL_IF(n != (size_t)k->dim[0], ONNX_INFER_E_SHAPE_MISMATCH, "a map of %lld keys is given %zu values", (long long)k->dim[0], n);
    OI_TRY(oi_value_create(NULL, ONNX_INFER_MAP, out));
    oi_status st = oi_value_push(*out, keys);
    if (st == ONNX_INFER_OK)
        st = oi_value_push(*out, values);
    if (st != ONNX_INFER_OK) {
        oi_value_release(*out);
        *out = NULL;
    }
    return st;
}

onnx_infer_value *onnx_infer_map_keys(const onnx_infer_value *map)
{
    return map && map->kind == ONNX_INFER_MAP ? map->item[0] : NULL;
}

onnx_infer_value *onnx_infer_map_values(const onnx_infer_value *map)
{
    return map && map->kind == ONNX_INFER_MAP ? map->item[1] : NULL;
}
