/* Custom operators: lists of definitions, and the engine's hooks that call them. */
#include "ops/custom.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* --- libraries ----------------------------------------------------------------------------------------------------- */

struct oi_op_library {
    atomic_uint refs;
    void *handle;
};

oi_status oi_op_library_open(const char *path, oi_op_library **out)
{
    oi_op_library *l = oi_alloc_mem(NULL, sizeof *l);
    *out = l;
    if (!l)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    atomic_init(&l->refs, 1);
    l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) {
        const char *why = dlerror();
        oi_fail(ONNX_INFER_E_IO, "the operator library '%s' cannot be loaded: %s", path, why ? why : "no reason is given");
        oi_free_mem(NULL, l);
        *out = NULL;
        return ONNX_INFER_E_IO;
    }
    return ONNX_INFER_OK;
}

void (*oi_op_library_find(const oi_op_library *l, const char *name))(void)
{
    void *p = dlsym(l->handle, name);
    void (*fn)(void) = NULL;
    if (p)
        memcpy(&fn, &p, sizeof fn); /* ISO C has no conversion from objects to functions */
    else
        oi_fail(ONNX_INFER_E_NOT_FOUND, "the library has no function %s", name);
    return fn;
}

oi_op_library *oi_op_library_retain(oi_op_library *l)
{
    if (l)
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void oi_op_library_release(oi_op_library *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    dlclose(l->handle);
    oi_free_mem(NULL, l);
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

struct oi_custom_ops {
    atomic_uint refs;
    uint32_t n;
    oi_custom_op *op[];
};

static void release_op(oi_custom_op *op)
{
    if (atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) != 1)
        return;
    oi_op_library *library = op->library;
    oi_free_mem(NULL, (char *)(uintptr_t)op->def.domain);
    oi_free_mem(NULL, (char *)(uintptr_t)op->def.name);
    oi_free_mem(NULL, op);
    oi_op_library_release(library);
}

oi_custom_ops *oi_custom_ops_retain(oi_custom_ops *list)
{
    if (list)
        atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
    return list;
}

void oi_custom_ops_release(oi_custom_ops *list)
{
    if (!list || atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < list->n; i++)
        release_op(list->op[i]);
    oi_free_mem(NULL, list);
}

static int32_t last_version(const onnx_infer_op_def *d)
{
    return d->until ? d->until : INT32_MAX;
}

const oi_op *oi_custom_ops_find(const oi_custom_ops *list, const char *domain, const char *name, int64_t opset)
{
    const oi_custom_op *found = NULL;
    if (!domain[0])
        domain = "ai.onnx";
    for (uint32_t i = 0; list && i < list->n; i++) {
        const oi_custom_op *op = list->op[i];
        if (strcmp(op->def.name, name) || strcmp(op->def.domain, domain))
            continue;
        if (opset >= 0 && (opset < op->def.since || opset > last_version(&op->def)))
            continue;
        if (!found || op->def.since > found->def.since)
            found = op;
    }
    return found ? &found->op : NULL;
}

/* --- the hooks ----------------------------------------------------------------------------------------------------- */

enum { RUNNING = -2 }; /* stands in the thread's record while a callback runs: not yet a failure */

static onnx_infer_op_context context_of(const oi_op *op, const oi_node *n, const void *attr, uint32_t nin, uint32_t nout)
{
    return (onnx_infer_op_context){.op = (const oi_custom_op *)op, .node = n, .attr = attr, .nin = nin, .nout = nout};
}

/* The status of a callback; a record is there for every failure. */
static oi_status settle(onnx_infer_op_context *c, const char *what, oi_status before, oi_status got)
{
    oi_error *e = oi_error_current();
    if (got == ONNX_INFER_OK)
        got = c->status;
    if (got == ONNX_INFER_OK) {
        if (e->status == RUNNING)
            e->status = before;
        return got;
    }
    if (e->status == got)
        return got;
    if (got < 0 || got > ONNX_INFER_E_INTERNAL)
        return oi_fail(ONNX_INFER_E_BACKEND, "%s of the custom operator returned %d", what, (int)got);
    return oi_fail(got, "%s of the custom operator failed with %s", what, oi_status_name(got));
}

static oi_status start_call(void)
{
    oi_error *e = oi_error_current();
    oi_status before = e->status;
    e->status = RUNNING;
    return before;
}

static void end_call(onnx_infer_op_context *c)
{
    oi_arena_destroy(c->own_arena);
}

void *oi_op_context_mem(onnx_infer_op_context *c, size_t bytes)
{
    if (!c->arena)
        c->arena = c->own_arena = oi_arena_create(c->e ? c->e->alloc : oi_arena_alloc_of(c->x ? c->x->arena : c->g->arena));
    return c->arena ? oi_arena_mem(c->arena, bytes) : NULL;
}

const oi_tensor *oi_op_context_tensor(const onnx_infer_op_context *c, size_t i)
{
    if (i >= c->nin)
        return NULL;
    if (c->e)
        return c->e->in[i];
    const oi_fact *f = c->x ? c->x->in[i] : oi_graph_fact(c->g, c->node->in[i]);
    return f ? f->konst : NULL;
}

const oi_fact *oi_op_context_fact(onnx_infer_op_context *c, size_t i, oi_fact *room)
{
    if (i >= c->nin)
        return NULL;
    if (c->x)
        return c->x->in[i];
    if (!c->e)
        return oi_graph_fact(c->g, c->node->in[i]);
    if (c->e->in[i]) {
        const oi_tensor *t = c->e->in[i];
        *room = oi_fact_tensor(t->dtype, t->rank, t->dim);
        return room;
    }
    if (!c->e->in_value || !c->e->in_value[i])
        return NULL;
    *room = oi_fact_unknown();
    room->kind = c->e->in_value[i]->kind;
    return room;
}

onnx_infer_value *oi_op_context_wrap(onnx_infer_op_context *c, size_t at, const oi_tensor *t)
{
    onnx_infer_value *v = &c->value[at];
    atomic_init(&v->refs, 1);
    v->kind = ONNX_INFER_TENSOR;
    v->alloc = oi_alloc_libc;
    v->tensor = *t;
    return v;
}

enum { FEW = 8 }; /* inputs and outputs for which there is room on the stack */

static oi_status make_room(onnx_infer_op_context *c, onnx_infer_value *few)
{
    size_t n = (size_t)c->nin + c->nout;
    if (n > FEW)
        few = oi_op_context_mem(c, n * sizeof *few);
    else
        memset(few, 0, n * sizeof *few);
    c->value = few;
    return few ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static oi_status infer(oi_infer *x)
{
    const oi_custom_op *op = (const oi_custom_op *)x->op;
    onnx_infer_op_context c = context_of(x->op, x->node, x->attr, x->nin, x->nout);
    if (!op->def.infer)
        return ONNX_INFER_OK;
    onnx_infer_value few[FEW];
    c.x = x;
    oi_status st = make_room(&c, few);
    if (st == ONNX_INFER_OK) {
        oi_status before = start_call();
        st = settle(&c, "infer", before, op->def.infer(op->def.user, &c));
    }
    end_call(&c);
    return st;
}

static oi_status make_kernel(const oi_custom_op *op, onnx_infer_op_context *c, void **kernel)
{
    *kernel = NULL;
    if (!op->def.create) {
        *kernel = op->def.user;
        return ONNX_INFER_OK;
    }
    oi_status before = start_call();
    oi_status made = op->def.create(op->def.user, c, kernel), st = settle(c, "create", before, made);
    if (made == ONNX_INFER_OK && st != ONNX_INFER_OK && *kernel && op->def.destroy)
        op->def.destroy(*kernel);
    return st;
}

static oi_status open_kernel(const oi_graph *g, const oi_node *n, void **kernel)
{
    onnx_infer_op_context c = context_of(n->op, n, n->attr, n->nin, n->nout);
    onnx_infer_value few[FEW];
    c.g = g;
    oi_status st = make_room(&c, few);
    if (st == ONNX_INFER_OK)
        st = make_kernel(c.op, &c, kernel);
    end_call(&c);
    return st;
}

static void close_kernel(const oi_op *o, void *kernel)
{
    const oi_custom_op *op = (const oi_custom_op *)o;
    if (kernel && op->def.create && op->def.destroy)
        op->def.destroy(kernel);
}

static oi_status eval(oi_eval *e)
{
    const oi_custom_op *op = (const oi_custom_op *)e->op;
    onnx_infer_op_context c = context_of(e->op, e->node, e->attr, e->nin, e->nout);
    void *kernel = e->kernel;
    onnx_infer_value few[FEW];
    c.e = e;
    oi_status st = make_room(&c, few);
    if (st == ONNX_INFER_OK && !kernel && op->def.create)
        st = make_kernel(op, &c, &kernel);
    if (st == ONNX_INFER_OK) {
        oi_status before = start_call();
        st = settle(&c, "compute", before, op->def.compute(op->def.create ? kernel : op->def.user, &c));
        if (!e->kernel)
            close_kernel(&op->op, kernel);
    }
    end_call(&c);
    return st;
}

/* --- adding -------------------------------------------------------------------------------------------------------- */

static const oi_attr_spec attrs[] = {
    {.name = "*", .type = OI_ATTR_REST, .offset = offsetof(oi_custom_attrs, raw)},
    {0},
};

static oi_status check(const oi_custom_ops *list, const onnx_infer_op_def *d)
{
    OI_FAIL_IF(!d->name || !d->name[0], ONNX_INFER_E_INVALID_ARGUMENT, "the operator has no name");
    OI_FAIL_IF(!d->compute, ONNX_INFER_E_INVALID_ARGUMENT, "operator %s has no function compute", d->name);
    OI_FAIL_IF(d->domain && !strcmp(d->domain, "onnx_infer"), ONNX_INFER_E_INVALID_ARGUMENT,
               "operator %s: the domain onnx_infer is this library's own", d->name);
    OI_FAIL_IF(d->since < 0 || d->until < 0 || (d->until && d->until < d->since), ONNX_INFER_E_INVALID_ARGUMENT,
               "operator %s is for opset versions %d to %d", d->name, (int)d->since, (int)d->until);
    OI_FAIL_IF(d->min_inputs < 0 || d->max_inputs < 0 || d->max_inputs > UINT16_MAX || d->min_outputs < 0 || d->max_outputs < 0 ||
               d->max_outputs > UINT16_MAX || (d->max_inputs && d->min_inputs > d->max_inputs) ||
               (d->max_outputs && d->min_outputs > d->max_outputs) || d->min_inputs > UINT16_MAX || d->min_outputs > UINT16_MAX,
               ONNX_INFER_E_INVALID_ARGUMENT, "operator %s: bad counts of inputs or outputs", d->name);
    OI_FAIL_IF(d->flags & ~(uint64_t)(ONNX_INFER_OP_NONDETERMINISTIC | ONNX_INFER_OP_OVERRIDE), ONNX_INFER_E_INVALID_ARGUMENT,
               "operator %s: flags 0x%llx are not known", d->name, (unsigned long long)d->flags);
    const char *domain = d->domain && d->domain[0] ? d->domain : "ai.onnx";
    OI_FAIL_IF(!(d->flags & ONNX_INFER_OP_OVERRIDE) && oi_op_find(domain, d->name), ONNX_INFER_E_INVALID_ARGUMENT,
               "operator %s of domain %s is in this build; set ONNX_INFER_OP_OVERRIDE to replace it", d->name, domain);
    for (uint32_t i = 0; list && i < list->n; i++) {
        const onnx_infer_op_def *o = &list->op[i]->def;
        OI_FAIL_IF(!strcmp(o->name, d->name) && !strcmp(o->domain, domain) && o->since <= last_version(d) &&
                   d->since <= last_version(o), ONNX_INFER_E_INVALID_ARGUMENT,
                   "operator %s of domain %s is already defined for one of these versions", d->name, domain);
    }
    return ONNX_INFER_OK;
}

static uint16_t most(int32_t n)
{
    return n ? (uint16_t)n : UINT16_MAX;
}

static oi_custom_op *make_op(const onnx_infer_op_def *d, oi_op_library *library)
{
    const char *domain = d->domain && d->domain[0] ? d->domain : "ai.onnx";
    oi_custom_op *op = oi_alloc_mem(NULL, sizeof *op);
    if (!op)
        return NULL;
    atomic_init(&op->refs, 1);
    op->def = *d;
    op->def.domain = oi_alloc_text(NULL, domain, strlen(domain));
    op->def.name = oi_alloc_text(NULL, d->name, strlen(d->name));
    op->op = (oi_op){
        .name = op->def.name, .domain = op->def.domain, .since = 1, .newest = 1,
        .flags = OI_OP_CUSTOM | (d->flags & ONNX_INFER_OP_NONDETERMINISTIC ? OI_OP_RANDOM : 0u),
        .min_in = (uint16_t)d->min_inputs, .max_in = most(d->max_inputs),
        .min_out = (uint16_t)d->min_outputs, .max_out = most(d->max_outputs),
        .attrs = attrs, .attr_size = sizeof(oi_custom_attrs), .infer = infer, .eval = eval, .open = open_kernel,
        .close = close_kernel,
    };
    op->library = oi_op_library_retain(library);
    if (op->def.domain && op->def.name)
        return op;
    release_op(op);
    return NULL;
}

oi_status oi_custom_ops_add(oi_custom_ops **list, const onnx_infer_op_def *def, oi_op_library *library)
{
    oi_custom_ops *old = *list;
    uint32_t n = old ? old->n : 0;
    onnx_infer_op_def whole = {0};
    memcpy(&whole, def, def->struct_size < sizeof whole ? def->struct_size : sizeof whole);
    OI_TRY(check(old, &whole));
    oi_custom_ops *made = oi_alloc_mem(NULL, sizeof *made + (n + 1) * sizeof made->op[0]);
    oi_custom_op *op = made ? make_op(&whole, library) : NULL;
    if (!op) {
        oi_free_mem(NULL, made);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    atomic_init(&made->refs, 1);
    for (uint32_t i = 0; i < n; i++) {
        made->op[i] = old->op[i];
        atomic_fetch_add_explicit(&made->op[i]->refs, 1, memory_order_relaxed);
    }
    made->op[n] = op;
    made->n = n + 1;
    oi_custom_ops_release(old);
    *list = made;
    return ONNX_INFER_OK;
}
