/* Fused: a chain of elementwise operators as one step. Its subgraph "body" holds them as ordinary nodes; a run goes over
 * the output once, strip by strip, and does every node of the body on a strip while that is in the cache. The reference
 * are the nodes' own evaluators. */
#include "base/checked.h"
#include "ops/eval_prepared.h"
#include "ops/op_fused.h"
#include "ops/target.h"

#include <stdio.h>
#include <string.h>

enum {
    STRIP = 4096,       /* elements, about: a few of them fit into the first cache */
    TASK = 16384,       /* elements of a task, about */
    OUTSIDE = UINT32_MAX /* a source that is no input: a node's strip */
};

static oi_status infer(oi_infer *x)
{
    return x->sub(x, 0, x->in, x->nin, x->out);
}

static oi_status eval(oi_eval *e)
{
    const oi_graph *g = e->node->sub[0].graph;
    int32_t rank;
    int64_t dims[OI_MAX_RANK];
    const oi_fact *f = oi_graph_fact(g, g->output[0]);
    OI_FAIL_IF(!oi_fact_dims(f, &rank, dims), ONNX_INFER_E_INTERNAL, "the shape of a chain is not known");
    return oi_eval_prepared(e, oi_cpu_isa_detect(), f->dtype, rank, dims);
}

/* --- strips ----------------------------------------------------------------------------------------------------------------- */

/* Where a node finds an operand: strips of an input of the step, or what an earlier node made of this strip. */
typedef struct {
    uint32_t input;             /* of the step; OUTSIDE: at `offset` of the thread's workspace */
    size_t offset;
    size_t step[OI_MAX_RANK];   /* bytes from one strip to the next, by axis; 0 where broadcast */
} source;

typedef struct {
    oi_step full, last;         /* on a whole strip, and on the last one along the axis */
    source in[OI_STEP_MAX_IO];
    source out;
} part;

typedef struct {
    part *part;
    uint32_t nparts;
    int32_t axes;               /* strips are counted along axes 0..axes-1 of the collapsed output */
    int64_t strips[OI_MAX_RANK], total, per_task;
} fused_state;

/* Axes of the output after those have been joined that every value of the body runs over, or is broadcast along, alike. */
typedef struct {
    int32_t rank;
    int64_t dim[OI_MAX_RANK];
    int32_t axis;               /* that is cut into strips of `rows`; the axes behind it are whole, those before it single */
    int64_t rows, last_rows;
    uint8_t of[OI_MAX_RANK];    /* the collapsed axis of each axis of the output */
} strip_shape;

static int64_t dim_at(const oi_tensor *t, int32_t rank, int32_t axis)
{
    int32_t own = axis - (rank - t->rank);
    return own < 0 ? 1 : t->dim[own];
}

static bool join(const oi_tensor *value, uint32_t n, const oi_tensor *y, int32_t a, int32_t b)
{
    for (uint32_t v = 0; v < n; v++) {
        if (value[v].dtype == ONNX_INFER_UNDEFINED)
            continue;
        bool full_a = dim_at(&value[v], y->rank, a) == y->dim[a], full_b = dim_at(&value[v], y->rank, b) == y->dim[b];
        if (full_a != full_b)
            return false;
    }
    return true;
}

static void shape_strips(const oi_tensor *value, uint32_t n, const oi_tensor *y, strip_shape *s)
{
    int32_t before = -1; /* the last axis that is not of size 1 */
    memset(s, 0, sizeof *s);
    for (int32_t i = 0; i < y->rank; i++) {
        if (y->dim[i] != 1) {
            if (before >= 0 && join(value, n, y, before, i))
                s->dim[s->rank - 1] *= y->dim[i];
            else
                s->dim[s->rank++] = y->dim[i];
            before = i;
        }
        s->of[i] = (uint8_t)(s->rank ? s->rank - 1 : 0);
    }
    if (!s->rank)
        s->dim[s->rank++] = 1;
    int64_t inner = 1;
    s->axis = s->rank - 1;
    while (s->axis > 0 && inner * s->dim[s->axis] < STRIP)
        inner *= s->dim[s->axis--];
    int64_t most = STRIP / inner > 1 ? STRIP / inner : 1, size = s->dim[s->axis], pieces = (size + most - 1) / most;
    s->rows = (size + pieces - 1) / pieces;
    if (inner == 1 && pieces > 1)
        s->rows = (s->rows + 15) / 16 * 16;
    s->last_rows = size % s->rows ? size % s->rows : s->rows;
}

/* The value's collapsed size along a collapsed axis: all of it, or 1. */
static bool runs_along(const oi_tensor *t, const oi_tensor *y, const strip_shape *s, int32_t axis)
{
    for (int32_t i = 0; i < y->rank; i++) {
        if (s->of[i] == axis && y->dim[i] != 1)
            return dim_at(t, y->rank, i) == y->dim[i];
    }
    return true;
}

/* The value's part of a strip as a tensor without data. */
static oi_status describe(const oi_tensor *t, const oi_tensor *y, const strip_shape *s, bool last, oi_tensor *out)
{
    int64_t dims[OI_MAX_RANK];
    int32_t rank = s->rank - s->axis;
    if (oi_tensor_count(t) == 1)
        return oi_tensor_describe(out, t->dtype, 0, NULL);
    for (int32_t i = s->axis; i < s->rank; i++) {
        int64_t whole = i == s->axis ? (last ? s->last_rows : s->rows) : s->dim[i];
        dims[i - s->axis] = runs_along(t, y, s, i) ? whole : 1;
    }
    return oi_tensor_describe(out, t->dtype, rank, dims);
}

static void find_steps(const oi_tensor *t, const oi_tensor *y, const strip_shape *s, source *out)
{
    size_t bytes = oi_dtype_size(t->dtype);
    if (oi_tensor_count(t) == 1)
        return;
    for (int32_t i = s->rank - 1; i >= 0; i--) {
        if (!runs_along(t, y, s, i))
            continue;
        if (i <= s->axis)
            out->step[i] = i == s->axis ? bytes * (size_t)s->rows : bytes;
        bytes *= (size_t)s->dim[i];
    }
}

/* --- prepare ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_prepare *p;
    const oi_graph *g;
    const oi_tensor *y;
    oi_tensor *value;    /* by value of the body: type and shape; data of constants */
    source *place;       /* by value of the body */
    uint32_t *last_use;  /* by value of the body: the node */
    strip_shape s;
    size_t slot;         /* bytes of a strip of the widest type */
    uint32_t slots;
    bool *taken;
} builder;

static uint32_t take_slot(builder *b)
{
    uint32_t i = 0;
    while (i < b->slots && b->taken[i])
        i++;
    b->slots = i == b->slots ? i + 1 : b->slots;
    b->taken[i] = true;
    return i;
}

/* Prepares the node for whole (or last) strips; *done is false where it has no kernel for them. */
static oi_status prepare_node(const builder *b, const oi_node *n, bool last, oi_step *step, bool *done)
{
    oi_tensor *t = oi_arena_array(b->p->arena, (size_t)n->nin + 1, sizeof *t);
    if (!t)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] == OI_NONE)
            continue;
        const oi_tensor *v = &b->value[n->in[i]];
        OI_TRY(describe(v, b->y, &b->s, last, &t[i]));
        if (oi_tensor_count(v) == 1)
            t[i].data = v->data;
    }
    OI_TRY(describe(&b->value[n->out[0]], b->y, &b->s, last, &t[n->nin]));
    *step = (oi_step){.op = n->op, .node = n, .attr = n->attr, .nin = n->nin, .nout = 1, .in = t, .out = t + n->nin, .n_tasks = 1,
                      .in_place = -1};
    oi_prepare p = {.step = step, .arena = b->p->arena, .target = b->p->target};
    OI_TRY(n->op->prepare(&p));
    *done = step->run && step->phases <= 1 && !step->workspace && !step->thread_workspace;
    return ONNX_INFER_OK;
}

/* Whether the result can take the strip of its operand: nobody reads that afterwards, nor this node a second time. */
static bool works_in_place(const builder *b, oi_node_id id, const part *x)
{
    const oi_node *n = &b->g->node[id];
    const int32_t i = x->full.in_place;
    if (i < 0 || i != x->last.in_place || x->full.in[i].bytes < x->full.out[0].bytes || x->last.in[i].bytes < x->last.out[0].bytes)
        return false;
    for (int32_t k = 0; k < (int32_t)n->nin; k++) {
        if (k != i && n->in[k] == n->in[i])
            return false;
    }
    return b->place[n->in[i]].input == OUTSIDE && b->last_use[n->in[i]] == id;
}

static oi_status prepare_part(builder *b, oi_node_id id, part *x, bool *done)
{
    const oi_node *n = &b->g->node[id];
    bool result = n->out[0] == b->g->output[0];
    *done = n->nin <= OI_STEP_MAX_IO && n->nout == 1 && n->op->prepare;
    if (*done)
        OI_TRY(prepare_node(b, n, false, &x->full, done));
    if (*done)
        OI_TRY(prepare_node(b, n, true, &x->last, done));
    if (!*done)
        return ONNX_INFER_OK;
    source *out = &b->place[n->out[0]];
    if (result) {
        *out = (source){.input = 0};
        find_steps(b->y, b->y, &b->s, out);
    } else if (works_in_place(b, id, x)) {
        *out = b->place[n->in[x->full.in_place]];
    } else {
        *out = (source){.input = OUTSIDE, .offset = take_slot(b) * b->slot};
    }
    x->out = *out;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] == OI_NONE)
            continue;
        x->in[i] = b->place[n->in[i]];
        if (x->in[i].input == OUTSIDE && b->last_use[n->in[i]] == id && (result || x->in[i].offset != out->offset))
            b->taken[x->in[i].offset / b->slot] = false;
    }
    return ONNX_INFER_OK;
}

static oi_status look(builder *b)
{
    const oi_step *step = b->p->step;
    const oi_graph *g = b->g;
    for (uint32_t i = 0; i < g->ninput; i++) {
        b->value[g->input[i]] = step->in[i];
        b->place[g->input[i]].input = i;
    }
    for (oi_node_id id = 0; id < g->nnode; id++) {
        const oi_node *n = &g->node[id];
        int32_t rank;
        int64_t dims[OI_MAX_RANK];
        if (!n->op)
            continue;
        const oi_fact *f = &g->value[n->out[0]].fact;
        OI_FAIL_IF(!oi_fact_dims(f, &rank, dims), ONNX_INFER_E_INTERNAL, "a shape inside of a chain is not known");
        OI_TRY(oi_tensor_describe(&b->value[n->out[0]], f->dtype, rank, dims));
        for (uint32_t i = 0; i < n->nin; i++) {
            if (n->in[i] != OI_NONE)
                b->last_use[n->in[i]] = id;
        }
    }
    shape_strips(b->value, g->nvalue, b->y, &b->s);
    int64_t elements = b->s.rows;
    for (int32_t i = b->s.axis + 1; i < b->s.rank; i++)
        elements *= b->s.dim[i];
    size_t widest = 1;
    for (oi_node_id id = 0; id < g->nnode; id++) {
        const oi_node *n = &g->node[id];
        const size_t size = n->op ? oi_dtype_size(b->value[n->out[0]].dtype) : 0;
        widest = size > widest ? size : widest;
    }
    OI_FAIL_IF(!oi_align_size((size_t)elements * widest, OI_ALIGN, &b->slot), ONNX_INFER_E_LIMIT, "a strip is too large");
    for (uint32_t i = 0; i < g->ninput; i++)
        find_steps(&b->value[g->input[i]], b->y, &b->s, &b->place[g->input[i]]);
    return ONNX_INFER_OK;
}

static oi_status prepare_parts(builder *b, fused_state *s, bool *done)
{
    for (oi_node_id id = 0; id < b->g->nnode && *done; id++) {
        if (b->g->node[id].op)
            OI_TRY(prepare_part(b, id, &s->part[s->nparts++], done));
    }
    return ONNX_INFER_OK;
}

static size_t offset_of(const source *s, const int64_t *at, int32_t axes)
{
    size_t offset = s->offset;
    for (int32_t i = 0; i < axes; i++)
        offset += s->step[i] * (size_t)at[i];
    return offset;
}

static oi_status run_part(const oi_run *r, const part *x, bool last, const int64_t *at, int32_t axes)
{
    const oi_step *step = last ? &x->last : &x->full;
    const void *in[OI_STEP_MAX_IO];
    for (uint32_t i = 0; i < step->nin; i++) {
        const source *s = &x->in[i];
        const char *base = s->input == OUTSIDE ? r->thread_workspace : r->in[s->input];
        in[i] = step->in[i].dtype == ONNX_INFER_UNDEFINED ? NULL : base + offset_of(s, at, axes);
    }
    void *out[] = {(char *)(x->out.input == OUTSIDE ? r->thread_workspace : r->out[0]) + offset_of(&x->out, at, axes)};
    const oi_run inner = {.step = step, .in = in, .out = out};
    for (uint32_t task = 0; task < step->n_tasks; task++)
        OI_TRY(step->run(&inner, task));
    return ONNX_INFER_OK;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const fused_state *s = r->step->state;
    int64_t first = (int64_t)task * s->per_task, end = first + s->per_task < s->total ? first + s->per_task : s->total;
    for (int64_t strip = first; strip < end; strip++) {
        int64_t at[OI_MAX_RANK], rest = strip;
        for (int32_t i = s->axes - 1; i >= 0; i--) {
            at[i] = rest % s->strips[i];
            rest /= s->strips[i];
        }
        bool last = at[s->axes - 1] == s->strips[s->axes - 1] - 1;
        for (uint32_t i = 0; i < s->nparts; i++)
            OI_TRY(run_part(r, &s->part[i], last, at, s->axes));
    }
    return ONNX_INFER_OK;
}

/* An input that the output can take the place of: read by nodes before the last one only, or by the last one in place. */
static int32_t find_in_place(const builder *b, const fused_state *s)
{
    const oi_step *step = b->p->step;
    const part *end = &s->part[s->nparts - 1];
    for (uint32_t i = 0; i < step->nin; i++) {
        const oi_tensor *t = &step->in[i];
        if (t->dtype != b->y->dtype || t->data || !oi_tensor_same_shape(t, b->y))
            continue;
        bool good = true;
        for (uint32_t k = 0; k < end->full.nin && good; k++)
            good = end->in[k].input != i || end->full.in[k].dtype == ONNX_INFER_UNDEFINED ||
                   (end->full.in_place == (int32_t)k && end->last.in_place == (int32_t)k);
        if (good)
            return (int32_t)i;
    }
    return -1;
}

static oi_status name_kernel(oi_prepare *p, const oi_graph *g)
{
    char text[128] = "";
    size_t used = 0;
    for (oi_node_id id = 0; id < g->nnode; id++) {
        const oi_node *n = &g->node[id];
        if (!n->op)
            continue;
        int wrote = snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "", n->op->name);
        if (wrote < 0 || (size_t)wrote >= sizeof text - used)
            break;
        used += (size_t)wrote;
    }
    p->step->kernel = oi_arena_text(p->arena, text);
    return p->step->kernel ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_graph *g = step->node->sub[0].graph;
    const size_t values = (size_t)g->nvalue + 1;
    fused_state *s = oi_arena_mem(p->arena, sizeof *s);
    builder b = {.p = p, .g = g, .y = &step->out[0]};
    b.value = oi_arena_array(p->arena, values, sizeof *b.value);
    b.place = oi_arena_array(p->arena, values, sizeof *b.place);
    b.last_use = oi_arena_array(p->arena, values, sizeof *b.last_use);
    b.taken = oi_arena_array(p->arena, (size_t)g->nnode + 1, sizeof *b.taken);
    if (!s || !b.value || !b.place || !b.last_use || !b.taken ||
        !(s->part = oi_arena_array(p->arena, (size_t)g->nnode + 1, sizeof *s->part)))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    bool done = true;
    OI_TRY(look(&b));
    OI_TRY(prepare_parts(&b, s, &done));
    if (!done || !s->nparts)
        return ONNX_INFER_OK;
    OI_TRY(name_kernel(p, g));
    int64_t elements = b.s.rows;
    s->axes = b.s.axis + 1;
    s->total = 1;
    for (int32_t i = 0; i < s->axes; i++) {
        s->strips[i] = i == b.s.axis ? (b.s.dim[i] + b.s.rows - 1) / b.s.rows : b.s.dim[i];
        s->total *= s->strips[i];
    }
    for (int32_t i = b.s.axis + 1; i < b.s.rank; i++)
        elements *= b.s.dim[i];
    s->per_task = elements < TASK ? TASK / elements : 1;
    int64_t tasks = (s->total + s->per_task - 1) / s->per_task;
    if (tasks > UINT32_MAX / 2)
        return ONNX_INFER_OK;
    step->n_tasks = (uint32_t)tasks;
    step->thread_workspace = b.slots * b.slot;
    step->in_place = find_in_place(&b, s);
    step->state = s;
    step->flops = (uint64_t)oi_tensor_count(&step->out[0]) * s->nparts;
    step->run = run;
    return ONNX_INFER_OK;
}

const oi_op oi_op_oi_Fused = {
    .name = "Fused", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 1,
    .max_in = UINT16_MAX, .min_out = 1, .max_out = 1, .infer = infer, .eval = eval, .prepare = prepare,
};
