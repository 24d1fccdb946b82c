/* What a run is given, checked against what the model declares and the options narrow. */
#include "runtime/inputs.h"

#include <stdio.h>
#include <string.h>

static const char *kind_name(onnx_infer_kind kind)
{
    static const char *const names[] = {"a tensor", "a sequence", "an optional", "a map"};
    return kind >= 0 && (size_t)kind < sizeof names / sizeof *names ? names[kind] : "something unknown";
}

/* "1x3x10x10" with the dims that are open taken from what was passed. */
static const char *shape_to_pass(const oi_fact *fact, const oi_tensor *t, const int64_t *bound, const oi_symtab *syms,
                                 char *buf, size_t cap)
{
    int64_t dims[OI_MAX_RANK];
    for (int32_t d = 0; d < fact->shape.rank; d++) {
        int64_t n;
        if (oi_dim_is_number(fact->shape.dim[d]))
            dims[d] = fact->shape.dim[d];
        else if (oi_dim_eval(syms, fact->shape.dim[d], bound, &n))
            dims[d] = n;
        else
            dims[d] = d < t->rank ? t->dim[d] : 1;
    }
    return oi_dims_text(fact->shape.rank, dims, buf, cap);
}

static oi_status wrong_dim(const oi_inputs *x, uint32_t i, int32_t axis, int64_t expected, const char *because)
{
    const oi_onnx_model *f = x->plan->model->file;
    const oi_fact *fact = &x->plan->input[i];
    const oi_tensor *t = x->arg[i].tensor;
    char got[200], pass[200];
    oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input '%s' is %s: axis %d is %lld, expected %lld%s; pass %s, or export the model with "
            "a dynamic axis %d", f->input[i].name, oi_dims_text(t->rank, t->dim, got, sizeof got), (int)axis,
            (long long)t->dim[axis], (long long)expected, because,
            shape_to_pass(fact, t, x->bound, f->graph->syms, pass, sizeof pass), (int)axis);
    oi_error_at_tensor(f->input[i].name);
    return oi_error_at_axis(axis, t->dim[axis], expected);
}

/* The name of the input up to i that has this dim first; NULL: none. */
static const char *first_with_dim(const oi_inputs *x, uint32_t i, oi_dim dim)
{
    for (uint32_t k = 0; k <= i; k++) {
        const oi_fact *fact = &x->plan->input[k];
        for (int32_t d = 0; fact->kind == ONNX_INFER_TENSOR && d < fact->shape.rank; d++) {
            if (fact->shape.dim[d] == dim)
                return x->plan->model->file->input[k].name;
        }
    }
    return NULL;
}

static oi_status check_dim(oi_inputs *x, uint32_t i, int32_t axis)
{
    const oi_onnx_model *f = x->plan->model->file;
    const oi_symtab *syms = f->graph->syms;
    oi_dim declared = x->plan->input[i].shape.dim[axis];
    int64_t got = x->arg[i].tensor->dim[axis], expected = -1;
    char text[128], because[400];
    if (oi_dim_is_number(declared)) {
        if (got == declared)
            return ONNX_INFER_OK;
        oi_dim original = x->plan->model->input[i].fact->shape.rank == x->plan->input[i].shape.rank
                              ? x->plan->model->input[i].fact->shape.dim[axis] : declared;
        snprintf(because, sizeof because, oi_dim_is_number(original) ? "" : " as the options fix it");
        return wrong_dim(x, i, axis, declared, because);
    }
    bool known = oi_dim_eval(syms, declared, x->bound, &expected);
    if ((known && expected == got) || (!known && oi_dim_solve(syms, declared, got, x->bound) >= 0))
        return ONNX_INFER_OK;
    oi_dim_text(syms, declared, text, sizeof text);
    const char *binder = known ? first_with_dim(x, i, declared) : NULL;
    if (binder)
        snprintf(because, sizeof because, " since '%s' is %lld in input '%s'", text, (long long)expected, binder);
    else
        snprintf(because, sizeof because, " for '%s'", text);
    oi_status st = wrong_dim(x, i, axis, expected, because);
    oi_error_at_symbol(text);
    return st;
}

static oi_status check_tensor(oi_inputs *x, uint32_t i, const oi_tensor *t)
{
    const oi_onnx_model *f = x->plan->model->file;
    const oi_fact *fact = &x->plan->input[i];
    const char *name = f->input[i].name;
    if (fact->dtype != ONNX_INFER_UNDEFINED && fact->dtype != t->dtype) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "input '%s' is given element type %s; the model declares %s: convert the data", name,
                oi_dtype_name(t->dtype), oi_dtype_name(fact->dtype));
        return oi_error_at_tensor(name);
    }
    if (fact->shape.rank < 0)
        return ONNX_INFER_OK;
    if (fact->shape.rank != t->rank) {
        char got[200], declared[400];
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input '%s' is given rank %d (%s), expected rank %d: the model declares %s", name,
                (int)t->rank, oi_dims_text(t->rank, t->dim, got, sizeof got), (int)fact->shape.rank,
                oi_fact_text(f->graph->syms, fact, declared, sizeof declared));
        oi_error_at_tensor(name);
        return oi_error_at_axis(-1, t->rank, fact->shape.rank);
    }
    for (int32_t d = 0; d < t->rank; d++)
        OI_TRY(check_dim(x, i, d));
    return ONNX_INFER_OK;
}

static oi_status check_ranges(const oi_inputs *x)
{
    const onnx_infer_plan *p = x->plan;
    for (size_t i = 0; i < p->nrange; i++) {
        const oi_symbol_range *r = &p->range[i];
        int64_t got = x->bound[r->symbol];
        if (got < 0 || (got >= r->min && got <= r->max))
            continue;
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "the inputs make '%s' %lld; the options allow %lld to %lld",
                oi_symtab_name(p->model->file->graph->syms, r->symbol), (long long)got, (long long)r->min, (long long)r->max);
        oi_error_at_axis(-1, got, got < r->min ? r->min : r->max);
        return oi_error_at_symbol(oi_symtab_name(p->model->file->graph->syms, r->symbol));
    }
    return ONNX_INFER_OK;
}

oi_status oi_inputs_create(const onnx_infer_plan *p, oi_inputs *x)
{
    const oi_alloc *a = &p->engine.alloc;
    *x = (oi_inputs){.plan = p, .nsymbol = oi_symtab_count(p->model->file->graph->syms)};
    x->arg = oi_alloc_array(a, (size_t)p->model->file->ninput + 1, sizeof *x->arg);
    x->bound = oi_alloc_array(a, x->nsymbol + 1, sizeof *x->bound);
    if (x->arg && x->bound)
        return ONNX_INFER_OK;
    oi_inputs_destroy(x);
    return ONNX_INFER_E_OUT_OF_MEMORY;
}

void oi_inputs_destroy(oi_inputs *x)
{
    const oi_alloc *a = &x->plan->engine.alloc;
    oi_free_mem(a, x->arg);
    oi_free_mem(a, x->bound);
    x->arg = NULL;
    x->bound = NULL;
}

oi_status oi_inputs_take(oi_inputs *x, size_t n, const onnx_infer_value *const *v)
{
    const oi_onnx_model *f = x->plan->model->file;
    OI_FAIL_IF(n > f->ninput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu inputs are given; the model has %u", n, f->ninput);
    for (uint32_t i = 0; i < f->ninput; i++) {
        const onnx_infer_kind kind = x->plan->input[i].kind;
        x->arg[i] = (oi_arg){NULL, NULL};
        if (i >= n || !v[i])
            continue;
        if (v[i]->kind != kind) {
            oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "input '%s' is given %s; the model declares %s", f->input[i].name,
                    kind_name(v[i]->kind), kind_name(kind));
            return oi_error_at_tensor(f->input[i].name);
        }
        if (kind == ONNX_INFER_TENSOR)
            x->arg[i].tensor = &v[i]->tensor;
        else
            x->arg[i].value = v[i];
    }
    return ONNX_INFER_OK;
}

oi_status oi_inputs_check(oi_inputs *x)
{
    const oi_onnx_model *f = x->plan->model->file;
    for (size_t i = 0; i < x->nsymbol; i++)
        x->bound[i] = -1;
    for (uint32_t i = 0; i < f->ninput; i++) {
        if (x->arg[i].tensor) {
            OI_TRY(check_tensor(x, i, x->arg[i].tensor));
        } else if (!x->arg[i].value && !f->input[i].initial) {
            oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "input '%s' is missing; it has no default", f->input[i].name);
            return oi_error_at_tensor(f->input[i].name);
        }
    }
    return check_ranges(x);
}
