/* Bound runs: inputs and outputs stay with the context, and outputs that feed inputs change places with them. */
#include "runtime/inputs.h"

#include <string.h>

static oi_status check_index(const char *what, size_t i, uint32_t n)
{
    OI_FAIL_IF(i >= n, ONNX_INFER_E_NOT_FOUND, "%s %zu is asked for; the model has %u", what, i, n);
    return ONNX_INFER_OK;
}

static oi_status check_type(const char *what, const char *name, const oi_fact *fact, const onnx_infer_value *v)
{
    if (v->kind == fact->kind && (v->kind != ONNX_INFER_TENSOR || fact->dtype == ONNX_INFER_UNDEFINED ||
                                  fact->dtype == v->tensor.dtype))
        return ONNX_INFER_OK;
    oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "the value to bind to %s '%s' is %s, the model declares %s", what, name,
            v->kind == ONNX_INFER_TENSOR ? oi_dtype_name(v->tensor.dtype) : "no tensor",
            fact->kind == ONNX_INFER_TENSOR ? oi_dtype_name(fact->dtype) : "no tensor");
    return oi_error_at_tensor(name);
}

oi_status oi_context_bind_input(onnx_infer_context *c, size_t i, onnx_infer_value *v)
{
    const onnx_infer_model *m = c->plan->model;
    OI_TRY(check_index("input", i, m->file->ninput));
    if (v)
        OI_TRY(check_type("input", m->input[i].name, &c->plan->input[i], v));
    oi_value_retain(v);
    oi_value_release(c->input[i].given);
    c->input[i].given = v;
    return ONNX_INFER_OK;
}

oi_status oi_context_bind_output(onnx_infer_context *c, size_t i, onnx_infer_value *v, onnx_infer_output_fn fn, void *user)
{
    const onnx_infer_model *m = c->plan->model;
    OI_TRY(check_index("output", i, m->file->noutput));
    oi_bound_output *o = &c->output[i];
    OI_FAIL_IF(o->feeds != OI_NONE && (v || fn), ONNX_INFER_E_INVALID_ARGUMENT,
               "output '%s' feeds input '%s', so the context holds its memory; read it by onnx_infer_output", m->output[i].name,
               m->input[o->feeds].name);
    if (v) {
        OI_FAIL_IF(v->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH, "the value to bind to output '%s' is no tensor",
                   m->output[i].name);
        OI_FAIL_IF(v->read_only, ONNX_INFER_E_INVALID_ARGUMENT, "the memory to bind to output '%s' is read-only", m->output[i].name);
        OI_TRY(check_type("output", m->output[i].name, m->output[i].fact, v));
    }
    oi_value_retain(v);
    oi_value_release(o->given);
    o->given = v;
    o->fn = fn;
    o->user = user;
    c->has_output = false;
    return ONNX_INFER_OK;
}

oi_status oi_context_bind_state(onnx_infer_context *c, size_t output, size_t input)
{
    const onnx_infer_model *m = c->plan->model;
    OI_TRY(check_index("output", output, m->file->noutput));
    OI_TRY(check_index("input", input, m->file->ninput));
    oi_bound_output *o = &c->output[output];
    const char *from = m->output[output].name, *to = m->input[input].name;
    OI_FAIL_IF(o->given || o->fn, ONNX_INFER_E_INVALID_ARGUMENT, "output '%s' is bound to memory of the caller; unbind it first", from);
    OI_FAIL_IF(o->feeds != OI_NONE, ONNX_INFER_E_INVALID_ARGUMENT, "output '%s' feeds input '%s' already", from,
               m->input[o->feeds].name);
    OI_FAIL_IF(c->input[input].from != OI_NONE, ONNX_INFER_E_INVALID_ARGUMENT, "input '%s' is fed by output '%s' already", to,
               m->output[c->input[input].from].name);
    const oi_fact *made = m->output[output].fact, *read = &c->plan->input[input];
    if (made->kind != read->kind || (made->kind == ONNX_INFER_TENSOR && made->dtype != read->dtype &&
                                     made->dtype != ONNX_INFER_UNDEFINED && read->dtype != ONNX_INFER_UNDEFINED)) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "output '%s' cannot feed input '%s': their types differ", from, to);
        return oi_error_at_tensor(to);
    }
    o->feeds = (uint32_t)input;
    c->input[input].from = (uint32_t)output;
    return ONNX_INFER_OK;
}

void oi_context_reset_state(onnx_infer_context *c)
{
    for (uint32_t i = 0; i < c->plan->model->file->noutput; i++) {
        oi_bound_output *o = &c->output[i];
        if (o->feeds == OI_NONE || !o->now)
            continue;
        oi_value_release(o->next);
        o->next = o->now;
        o->now = NULL;
        c->has_output = false;
    }
}

void oi_context_unbind_all(onnx_infer_context *c)
{
    const oi_onnx_model *f = c->plan->model->file;
    for (uint32_t i = 0; i < f->ninput; i++) {
        oi_value_release(c->input[i].given);
        oi_value_release(c->input[i].zero);
        c->input[i] = (oi_bound_input){.from = OI_NONE};
    }
    for (uint32_t i = 0; i < f->noutput; i++) {
        oi_bound_output *o = &c->output[i];
        oi_value_release(o->given);
        oi_value_release(o->now);
        oi_value_release(o->next);
        memset(o, 0, sizeof *o);
        o->feeds = OI_NONE;
    }
    c->has_output = false;
}

/* State is shared: a run never writes into values that somebody else holds. */
void oi_context_copy_bindings(const onnx_infer_context *from, onnx_infer_context *to)
{
    const oi_onnx_model *f = from->plan->model->file;
    for (uint32_t i = 0; i < f->ninput; i++)
        to->input[i] = (oi_bound_input){oi_value_retain(from->input[i].given), oi_value_retain(from->input[i].zero),
                                        from->input[i].from};
    for (uint32_t i = 0; i < f->noutput; i++) {
        to->output[i].feeds = from->output[i].feeds;
        if (from->output[i].feeds != OI_NONE)
            to->output[i].now = oi_value_retain(from->output[i].now);
    }
}

/* --- a run ------------------------------------------------------------------------------------------------------------- */

/* Sets the state to begin with, where the input's shape is known, by itself or by the other inputs. */
static oi_status make_zero(onnx_infer_context *c, uint32_t i)
{
    const onnx_infer_model *m = c->plan->model;
    const oi_alloc *a = &c->plan->engine.alloc;
    const oi_fact *fact = &c->plan->input[i];
    oi_inputs *x = &c->inputs;
    int64_t dims[OI_MAX_RANK];
    bool known = fact->kind == ONNX_INFER_TENSOR && fact->shape.rank >= 0 && oi_dtype_valid(fact->dtype);
    for (size_t s = 0; s < x->nsymbol; s++)
        x->bound[s] = -1;
    for (uint32_t k = 0; k < m->file->ninput; k++) {
        const oi_shape *shape = &c->plan->input[k].shape;
        const onnx_infer_value *v = c->in[k];
        if (!v || v->kind != ONNX_INFER_TENSOR || c->plan->input[k].kind != ONNX_INFER_TENSOR || shape->rank != v->tensor.rank)
            continue;
        for (int32_t d = 0; d < shape->rank; d++) {
            if (!oi_dim_is_number(shape->dim[d]))
                oi_dim_solve(m->file->graph->syms, shape->dim[d], v->tensor.dim[d], x->bound);
        }
    }
    for (int32_t d = 0; known && d < fact->shape.rank; d++) {
        dims[d] = fact->shape.dim[d];
        known = oi_dim_is_number(dims[d]) || oi_dim_eval(m->file->graph->syms, fact->shape.dim[d], x->bound, &dims[d]);
    }
    if (!known) {
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "the first state of input '%s' has no fixed shape; bind a value to it", m->input[i].name);
        return oi_error_at_tensor(m->input[i].name);
    }
    oi_tensor t;
    onnx_infer_value **zero = &c->input[i].zero;
    if (*zero && !memcmp((*zero)->tensor.dim, dims, (size_t)fact->shape.rank * sizeof *dims))
        return ONNX_INFER_OK;
    oi_value_release(*zero);
    *zero = NULL;
    OI_TRY(oi_tensor_create(a, fact->dtype, fact->shape.rank, dims, &t));
    if (t.dtype != ONNX_INFER_STRING)
        memset(t.data, 0, t.bytes);
    oi_status st = oi_value_from_tensor(a, &t, zero);
    if (st != ONNX_INFER_OK)
        oi_tensor_clear(&t);
    return st;
}

static bool can_take(const onnx_infer_value *v, const oi_tensor *desc)
{
    return v && v->kind == ONNX_INFER_TENSOR && v->tensor.dtype == desc->dtype && oi_tensor_same_shape(&v->tensor, desc) &&
           atomic_load_explicit((atomic_uint *)&v->refs, memory_order_acquire) == 1 && v->tensor.buf &&
           oi_buffer_is_heap(v->tensor.buf) && oi_buffer_is_unique(v->tensor.buf);
}

static oi_status ask(void *user, uint32_t i, const oi_tensor *desc, bool computed, onnx_infer_value **value)
{
    onnx_infer_context *c = user;
    oi_bound_output *o = &c->output[i];
    const char *name = c->plan->model->output[i].name;
    if (!o->fn) {
        onnx_infer_value *own = o->feeds == OI_NONE ? o->now : o->next;
        if (!computed && can_take(own, desc))
            *value = own;
        return ONNX_INFER_OK;
    }
    if (desc->dtype == ONNX_INFER_STRING) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "output '%s' is of strings, which no function can take; leave it unbound", name);
        return oi_error_at_tensor(name);
    }
    void *data = o->fn(o->user, i, desc->dtype, desc->rank, desc->dim, desc->bytes, OI_ALIGN);
    if (!data) {
        oi_fail(ONNX_INFER_E_BUFFER_TOO_SMALL, "the function bound to output '%s' gave no memory for %zu bytes", name, desc->bytes);
        return oi_error_at_tensor(name);
    }
    memset(&o->face, 0, sizeof o->face);
    o->face.kind = ONNX_INFER_TENSOR;
    o->face.tensor = *desc;
    o->face.tensor.data = data;
    o->face.tensor.buf = NULL;
    *value = &o->face;
    return ONNX_INFER_OK;
}

/* After a run that succeeded. */
static oi_status keep_output(onnx_infer_context *c, uint32_t i)
{
    oi_bound_output *o = &c->output[i];
    onnx_infer_value *v = c->out[i];
    if (o->given || v == &o->face)
        return ONNX_INFER_OK;
    if (o->fn) { /* no tensor: nobody was asked */
        oi_value_release(v);
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "output '%s' is no tensor, so no function can take it; leave it unbound",
                c->plan->model->output[i].name);
        return oi_error_at_tensor(c->plan->model->output[i].name);
    }
    if (o->feeds == OI_NONE) {
        if (v != o->now)
            oi_value_release(o->now);
    } else {
        if (v != o->next)
            oi_value_release(o->next);
        o->next = o->now;
    }
    o->now = v;
    return ONNX_INFER_OK;
}

oi_status oi_context_run_bound(onnx_infer_context *c, const onnx_infer_run_options *ro)
{
    const oi_onnx_model *f = c->plan->model->file;
    const oi_sink sink = {ask, c};
    c->has_output = false;
    for (uint32_t i = 0; i < f->ninput; i++) {
        const oi_bound_input *b = &c->input[i];
        const onnx_infer_value *state = b->from == OI_NONE ? NULL : c->output[b->from].now;
        c->in[i] = state ? state : b->given;
    }
    for (uint32_t i = 0; i < f->ninput; i++) {
        if (c->in[i] || c->input[i].from == OI_NONE)
            continue;
        OI_TRY(make_zero(c, i));
        c->in[i] = c->input[i].zero;
    }
    for (uint32_t i = 0; i < f->noutput; i++)
        c->out[i] = c->output[i].given;
    OI_TRY(oi_context_run(c, ro, f->ninput, c->in, &sink, f->noutput, c->out));
    oi_status st = ONNX_INFER_OK;
    for (uint32_t i = 0; i < f->noutput; i++) {
        oi_status kept = keep_output(c, i);
        if (st == ONNX_INFER_OK)
            st = kept;
    }
    c->has_output = st == ONNX_INFER_OK;
    return st;
}

const onnx_infer_value *oi_context_output(const onnx_infer_context *c, size_t i)
{
    if (!c->has_output || i >= c->plan->model->file->noutput)
        return NULL;
    const oi_bound_output *o = &c->output[i];
    return o->given ? o->given : o->now;
}
