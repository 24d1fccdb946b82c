/* Building plans: which values live where, what each step does, when memory can be reused. */
#include "runtime/plan.h"

#include "base/arena.h"
#include "base/checked.h"
#include "ops/parts.h"
#include "runtime/memplan.h"
#include "runtime/program.h"

#include <string.h>

enum { FOREVER = UINT32_MAX };

/* A rough price of a step on one thread; a step below the limit costs less than sharing it. */
enum { FLOPS_PER_NS = 20, BYTES_PER_NS = 10, ALONE_BELOW_NS = 4000 };

/* What the builder knows of a value beyond its slot. Storage is shared along views, parts and in-place steps: `root` is the
 * value that owns it, `offset` where in it this one begins. `planned` is the value's own; the fields after it count for roots
 * only. */
typedef struct {
    uint32_t root;
    size_t offset;
    bool planned;  /* of known size, in the arena or a caller's output */
    uint32_t first, last;
    uint32_t item; /* of the memory plan */
} place_info;

typedef struct {
    oi_plan *plan;
    oi_graph *g;
    place_info *info;
    oi_mem_item *item;
    uint32_t nitem;
} builder;

static oi_status out_of_memory(void)
{
    return ONNX_INFER_E_OUT_OF_MEMORY;
}

/* Afterwards the value's `offset` is from the root on. */
static uint32_t root_of(const builder *b, oi_value_id v)
{
    uint32_t r = v;
    size_t offset = 0;
    for (; b->info[r].root != r; r = b->info[r].root)
        offset += b->info[r].offset;
    while (b->info[v].root != r) {
        place_info *i = &b->info[v];
        size_t own = i->offset;
        v = i->root;
        i->root = r;
        i->offset = offset;
        offset -= own;
    }
    return r;
}

static void put_into(builder *b, oi_value_id v, oi_value_id whole, size_t offset)
{
    b->info[v].root = whole;
    b->info[v].offset = offset;
}

/* Whether somebody reads the elements as such, so that they have to be aligned. */
static bool read_typed(const oi_graph *g, oi_value_id id)
{
    const oi_value *v = &g->value[id];
    for (uint32_t i = 0; i < v->nuse; i++) {
        const oi_node *n = &g->node[v->use[i].node];
        if (!oi_op_takes_loose(n->op, v->use[i].slot))
            return true;
    }
    return v->is_output;
}

static oi_status describe_value(builder *b, oi_value_id id)
{
    const oi_value *v = &b->g->value[id];
    oi_slot *slot = &b->plan->slot[id];
    place_info *info = &b->info[id];
    const oi_limits *limits = &b->plan->engine->limits;
    int32_t rank;
    int64_t dims[OI_MAX_RANK];
    info->root = id;
    info->first = FOREVER;
    info->item = UINT32_MAX;
    if (b->plan->loose && v->def != OI_NONE)
        return ONNX_INFER_OK;
    if (v->fact.konst) {
        if (read_typed(b->g, id)) /* the graph is the plan's own */
            OI_TRY(oi_tensor_align(&b->plan->engine->alloc, (oi_tensor *)v->fact.konst));
        slot->place = OI_AT_CONST;
        slot->desc = *v->fact.konst;
        return ONNX_INFER_OK;
    }
    if (v->fact.kind != ONNX_INFER_TENSOR || !oi_dtype_valid(v->fact.dtype) || !oi_fact_dims(&v->fact, &rank, dims))
        return ONNX_INFER_OK;
    oi_status st = oi_tensor_describe(&slot->desc, v->fact.dtype, rank, dims);
    if (st != ONNX_INFER_OK)
        return oi_error_at_tensor(v->name);
    if (slot->desc.bytes > limits->tensor_bytes) {
        char text[200];
        oi_fail(ONNX_INFER_E_LIMIT, "tensor '%s' of %s %s takes %zu bytes; the limit tensor_bytes is %llu", v->name,
                oi_dims_text(rank, dims, text, sizeof text), oi_dtype_name(v->fact.dtype), slot->desc.bytes,
                (unsigned long long)limits->tensor_bytes);
        return oi_error_at_tensor(v->name);
    }
    info->planned = v->fact.dtype != ONNX_INFER_STRING && !v->is_input;
    return ONNX_INFER_OK;
}

static oi_status describe_values(builder *b)
{
    for (uint32_t i = 0; i < b->g->nvalue; i++)
        OI_TRY(describe_value(b, i));
    for (uint32_t i = 0; i < b->g->ninput; i++) {
        oi_slot *slot = &b->plan->slot[b->g->input[i]];
        if (slot->place == OI_AT_CONST)
            continue;
        slot->place = OI_AT_INPUT;
        slot->index = i;
    }
    return ONNX_INFER_OK;
}

/* Storage whose address and size are known when the step begins. */
static bool is_static(const builder *b, oi_value_id v)
{
    const oi_slot *s = &b->plan->slot[v];
    return s->desc.dtype != ONNX_INFER_UNDEFINED && s->desc.dtype != ONNX_INFER_STRING &&
           (b->info[v].planned || s->place == OI_AT_CONST || s->place == OI_AT_INPUT);
}

static bool is_plain_view(const builder *b, const oi_node *n)
{
    if (!(n->op->flags & OI_OP_VIEW) || !n->nin || n->in[0] == OI_NONE || n->out[0] == OI_NONE)
        return false;
    for (uint32_t i = 1; i < n->nout; i++) {
        if (n->out[i] != OI_NONE)
            return false;
    }
    const oi_slot *in = &b->plan->slot[n->in[0]], *out = &b->plan->slot[n->out[0]];
    return is_static(b, n->in[0]) && b->info[n->out[0]].planned && in->desc.bytes == out->desc.bytes &&
           in->desc.dtype == out->desc.dtype;
}

static oi_status describe_node(const builder *b, const oi_node *n, oi_tensor **in, oi_tensor **out)
{
    *in = oi_arena_array(b->plan->arena, (size_t)n->nin + n->nout + 1, sizeof **in);
    if (!*in)
        return out_of_memory();
    *out = *in + n->nin;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE)
            (*in)[i] = b->plan->slot[n->in[i]].desc;
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE)
            (*out)[i] = b->plan->slot[n->out[i]].desc;
    }
    return ONNX_INFER_OK;
}

/* A value that a step makes in storage of its own, all of which is the value. */
static bool owns_storage(const builder *b, oi_value_id v)
{
    uint32_t root = root_of(b, v);
    return b->info[root].planned && b->plan->slot[root].place == OI_AT_HEAP && b->g->value[root].def != OI_NONE &&
           b->plan->slot[root].desc.bytes == b->plan->slot[v].desc.bytes;
}

/* True where all that the node reads and makes has its place and shape ahead of the run. */
static bool is_planned(const builder *b, const oi_node *n)
{
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE && !is_static(b, n->in[i]))
            return false;
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE && !b->info[n->out[i]].planned)
            return false;
    }
    return true;
}

/* Outputs that are parts of the input take its storage; inputs that are parts of the output are made in the output's. */
static oi_status share_parts(builder *b, const oi_node *n, bool *done)
{
    oi_tensor *in, *out;
    size_t offset;
    *done = false;
    if (!n->nin || n->in[0] == OI_NONE || !(n->op->flags & OI_OP_MOVES_DATA))
        return ONNX_INFER_OK;
    if (!is_planned(b, n))
        return ONNX_INFER_OK;
    OI_TRY(describe_node(b, n, &in, &out));
    if (n->nout == 1 && n->out[0] != OI_NONE && oi_inputs_are_parts(n, in, out)) {
        for (uint32_t i = 0; i < n->nin; i++) {
            if (!owns_storage(b, n->in[i]))
                return ONNX_INFER_OK;
            for (uint32_t k = 0; k < i; k++) {
                if (root_of(b, n->in[k]) == root_of(b, n->in[i]))
                    return ONNX_INFER_OK;
            }
        }
        offset = 0;
        for (uint32_t i = 0; i < n->nin; i++) {
            put_into(b, root_of(b, n->in[i]), n->out[0], offset);
            offset += in[i].bytes;
        }
        *done = true;
        return ONNX_INFER_OK;
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE && !oi_output_is_part(n, in, out, i, &offset))
            return ONNX_INFER_OK;
    }
    uint32_t root = root_of(b, n->in[0]);
    size_t begin = b->info[n->in[0]].offset;
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] == OI_NONE)
            continue;
        oi_output_is_part(n, in, out, i, &offset);
        put_into(b, n->out[i], root, begin + offset);
    }
    *done = true;
    return ONNX_INFER_OK;
}

static oi_status prepare_step(builder *b, oi_plan_step *ps)
{
    oi_step *s = &ps->step;
    const oi_node *n = s->node;
    if (!is_planned(b, n))
        return ONNX_INFER_OK;
    oi_prepare p = {.step = s, .arena = b->plan->arena, .target = &b->plan->engine->target};
    OI_TRY(s->op->prepare(&p));
    if (s->run && s->phases <= 1) {
        s->phases = 1;
        s->phase_end[0] = s->n_tasks;
    }
    if (!s->run)
        s->workspace = s->thread_workspace = 0;
    return ONNX_INFER_OK;
}

static oi_status make_subprograms(builder *b, oi_plan_step *ps)
{
    const oi_node *n = ps->step.node;
    ps->sub = oi_arena_array(b->plan->arena, n->nsub, sizeof *ps->sub);
    if (!ps->sub)
        return out_of_memory();
    for (uint32_t j = 0; j < n->nsub; j++) {
        const oi_sub *sub = &n->sub[j];
        uint32_t formal = sub->graph->ninput - sub->ncapture;
        const oi_tensor **fixed = oi_arena_array(b->plan->arena, sub->graph->ninput + 1, sizeof *fixed);
        if (!fixed)
            return out_of_memory();
        for (uint32_t c = 0; c < sub->ncapture; c++) {
            oi_value_id outer = n->in[sub->capture[c]];
            if (outer != OI_NONE && b->plan->slot[outer].place == OI_AT_CONST)
                fixed[formal + c] = b->g->value[outer].fact.konst;
        }
        OI_TRY(oi_program_create(b->plan->engine, sub->graph, sub->graph, fixed, NULL, &ps->sub[j]));
        const uint64_t place[2] = {(uint64_t)(n - b->g->node), j};
        if (b->plan->has_id)
            oi_program_identify(ps->sub[j], oi_hash_mix(b->plan->id, place, sizeof place));
    }
    return ONNX_INFER_OK;
}

static oi_status make_step(builder *b, const oi_node *n)
{
    oi_plan *p = b->plan;
    oi_plan_step *ps = &p->step[p->nstep++];
    oi_step *s = &ps->step;
    oi_tensor *in, *out;
    OI_TRY(describe_node(b, n, &in, &out));
    *s = (oi_step){.op = n->op, .node = n, .attr = n->attr, .nin = n->nin, .nout = n->nout, .in = in, .out = out,
                   .n_tasks = 1, .in_place = -1};
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE)
            ps->bytes += in[i].bytes;
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE)
            ps->bytes += out[i].bytes;
    }
    if (n->nin > p->max_in)
        p->max_in = n->nin;
    if (n->nout > p->max_out)
        p->max_out = n->nout;
    if (n->nsub && !(n->op->flags & OI_OP_LOWERED_ONLY))
        OI_TRY(make_subprograms(b, ps));
    else if (p->engine->stage == OI_STAGE_LOWERED && n->op->prepare && !p->loose)
        OI_TRY(prepare_step(b, ps));
    if (!s->run)
        s->kernel = n->op->flags & OI_OP_CUSTOM ? "custom" : "reference";
    if (n->op->open)
        OI_TRY(n->op->open(b->g, n, &ps->kernel));
    ps->alone = s->flops / FLOPS_PER_NS + ps->bytes / BYTES_PER_NS < ALONE_BELOW_NS;
    return ONNX_INFER_OK;
}

static oi_status make_steps(builder *b)
{
    oi_graph *g = b->g;
    oi_plan *p = b->plan;
    p->step = oi_arena_array(p->arena, (size_t)g->nnode + 1, sizeof *p->step);
    if (!p->step)
        return out_of_memory();
    for (uint32_t i = 0; i < g->nnode; i++) {
        const oi_node *n = &g->node[i];
        if (!n->op)
            continue;
        if (is_plain_view(b, n)) {
            uint32_t root = root_of(b, n->in[0]);
            put_into(b, n->out[0], root, b->info[n->in[0]].offset);
            continue;
        }
        bool shared;
        oi_status st = share_parts(b, n, &shared);
        if (shared)
            continue;
        if (st == ONNX_INFER_OK)
            st = make_step(b, n);
        if (st != ONNX_INFER_OK) {
            oi_error_at_node(n->name, n->op->name);
            return oi_error_prefix("node '%s' (%s): ", n->name, n->op->name);
        }
    }
    return ONNX_INFER_OK;
}

static void find_lifetimes(builder *b)
{
    const oi_plan *p = b->plan;
    for (uint32_t s = 0; s < p->nstep; s++) {
        const oi_node *n = p->step[s].step.node;
        for (uint32_t i = 0; i < n->nout; i++) {
            if (n->out[i] == OI_NONE)
                continue;
            place_info *info = &b->info[root_of(b, n->out[i])];
            info->first = info->first < s ? info->first : s;
            info->last = info->last > s ? info->last : s;
        }
    }
    for (uint32_t s = 0; s < p->nstep; s++) {
        const oi_node *n = p->step[s].step.node;
        for (uint32_t i = 0; i < n->nin; i++) {
            if (n->in[i] != OI_NONE && b->info[root_of(b, n->in[i])].last < s)
                b->info[root_of(b, n->in[i])].last = s;
        }
    }
    for (uint32_t i = 0; i < b->g->noutput; i++)
        b->info[root_of(b, b->g->output[i])].last = FOREVER;
}

/* Lets outputs take over the storage of an input that nobody reads afterwards, where the step can work so. */
static void share_in_place(builder *b)
{
    const oi_plan *p = b->plan;
    for (uint32_t s = 0; s < p->nstep; s++) {
        const oi_step *step = &p->step[s].step;
        const oi_node *n = step->node;
        if (!step->run || step->in_place < 0 || (uint32_t)step->in_place >= n->nin || n->out[0] == OI_NONE)
            continue;
        oi_value_id in = n->in[step->in_place];
        if (in == OI_NONE)
            continue;
        uint32_t from = root_of(b, in), to = root_of(b, n->out[0]);
        bool only = true;
        for (uint32_t i = 0; i < n->nin; i++)
            only = only && (i == (uint32_t)step->in_place || n->in[i] == OI_NONE || root_of(b, n->in[i]) != from);
        if (!only || to != n->out[0] || !b->info[from].planned || !b->info[to].planned || b->info[from].last != s ||
            p->slot[from].place != OI_AT_HEAP || p->slot[n->out[0]].desc.bytes > p->slot[in].desc.bytes)
            continue;
        put_into(b, to, from, b->info[in].offset);
        b->info[from].last = b->info[to].last;
    }
}

/* Outputs of the graph whose storage is theirs alone are made in the caller's memory. */
static void place_outputs(builder *b)
{
    oi_plan *p = b->plan;
    for (uint32_t i = 0; i < b->g->noutput; i++) {
        oi_value_id v = b->g->output[i];
        uint32_t root = root_of(b, v);
        oi_slot *slot = &p->slot[root];
        if (!b->info[root].planned || slot->place != OI_AT_HEAP || slot->desc.bytes != p->slot[v].desc.bytes)
            continue;
        slot->place = OI_AT_OUTPUT;
        slot->index = i;
    }
}

static oi_status add_item(builder *b, size_t bytes, uint32_t first, uint32_t last, uint32_t *index)
{
    b->item[b->nitem] = (oi_mem_item){.bytes = bytes, .first = first, .last = last};
    *index = b->nitem++;
    return ONNX_INFER_OK;
}

static oi_status check_total(const builder *b)
{
    const oi_plan *p = b->plan;
    uint64_t limit = p->engine->limits.total_bytes, total = p->arena_bytes;
    for (uint32_t v = 0; v < b->g->nvalue; v++) {
        if (b->info[v].root == v && p->slot[v].place == OI_AT_OUTPUT && total <= limit)
            total += p->slot[v].desc.bytes;
    }
    OI_FAIL_IF(total > limit, ONNX_INFER_E_LIMIT, "a run needs %llu bytes for its tensors; the limit total_bytes is %llu",
               (unsigned long long)total, (unsigned long long)limit);
    return ONNX_INFER_OK;
}

/* What steps with subgraphs add theirs to. */
static oi_status note_live(const builder *b)
{
    oi_plan *p = b->plan;
    bool any = false;
    for (uint32_t s = 0; s < p->nstep; s++)
        any = any || p->step[s].sub;
    if (!any)
        return ONNX_INFER_OK;
    size_t *live = oi_alloc_array(&p->engine->alloc, p->nstep, sizeof *live);
    if (!live)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_memplan_live(b->item, b->nitem, p->nstep, live);
    for (uint32_t s = 0; s < p->nstep; s++)
        p->step[s].live = p->step[s].sub ? live[s] : 0;
    oi_free_mem(&p->engine->alloc, live);
    return ONNX_INFER_OK;
}

static oi_status plan_memory(builder *b)
{
    oi_plan *p = b->plan;
    const oi_alloc *a = &p->engine->alloc;
    size_t threads = oi_pool_threads(p->engine->pool);
    uint32_t *work = oi_alloc_array(a, 2 * (size_t)p->nstep + 1, sizeof *work);
    b->item = oi_alloc_array(a, (size_t)b->g->nvalue + 2 * (size_t)p->nstep + 1, sizeof *b->item);
    oi_status st = work && b->item ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t v = 0; st == ONNX_INFER_OK && v < b->g->nvalue; v++) {
        place_info *info = &b->info[v];
        if (info->planned && info->root == v && p->slot[v].place == OI_AT_HEAP)
            st = add_item(b, p->slot[v].desc.bytes, info->first, info->last, &info->item);
    }
    for (uint32_t s = 0; st == ONNX_INFER_OK && s < p->nstep; s++) {
        oi_plan_step *ps = &p->step[s];
        size_t each = 0;
        if (ps->step.workspace)
            st = add_item(b, ps->step.workspace, s, s, &work[2 * s]);
        if (st == ONNX_INFER_OK && ps->step.thread_workspace) {
            size_t all;
            if (!oi_align_size(ps->step.thread_workspace, OI_ALIGN, &each) || !oi_add_size(each, OI_ALIGN, &each) ||
                !oi_mul_size(each, threads, &all))
                st = oi_fail(ONNX_INFER_E_LIMIT, "the workspace of node '%s' overflows", ps->step.node->name);
            else
                st = add_item(b, all, s, s, &work[2 * s + 1]);
        }
        ps->thread_stride = each;
    }
    oi_mem_need need = {0, 0};
    if (st == ONNX_INFER_OK)
        st = oi_memplan(a, b->item, b->nitem, &need);
    p->arena_bytes = need.total;
    p->live_bytes = need.live;
    if (st == ONNX_INFER_OK)
        st = check_total(b);
    for (uint32_t s = 0; st == ONNX_INFER_OK && s < p->nstep; s++) {
        oi_plan_step *ps = &p->step[s];
        if (ps->step.workspace)
            ps->workspace_at = b->item[work[2 * s]].offset;
        if (ps->step.thread_workspace)
            ps->thread_workspace_at = b->item[work[2 * s + 1]].offset;
    }
    oi_free_mem(a, work);
    return st == ONNX_INFER_OK ? note_live(b) : st;
}

static void place_values(builder *b)
{
    oi_plan *p = b->plan;
    for (uint32_t v = 0; v < b->g->nvalue; v++) {
        uint32_t root = root_of(b, v);
        if (!b->info[v].planned)
            continue;
        if (b->info[root].item != UINT32_MAX) {
            p->slot[v].place = OI_AT_ARENA;
            p->slot[v].offset = b->item[b->info[root].item].offset + b->info[v].offset;
        } else if (v != root) { /* a constant's, an input's or an output's storage */
            p->slot[v].place = p->slot[root].place;
            p->slot[v].index = p->slot[root].index;
            p->slot[v].offset = b->info[v].offset;
            if (p->slot[root].desc.data)
                p->slot[v].desc.data = (char *)p->slot[root].desc.data + b->info[v].offset;
            p->slot[v].desc.buf = p->slot[root].desc.buf;
        }
    }
}

/* For each step the heap values to drop after it: those read or made there and never after. */
static oi_status list_drops(builder *b)
{
    oi_plan *p = b->plan;
    const oi_alloc *a = &p->engine->alloc;
    uint32_t *count = oi_alloc_array(a, (size_t)p->nstep + 1, sizeof *count);
    if (!count)
        return out_of_memory();
    oi_status st = ONNX_INFER_OK;
    for (int fill = 0; st == ONNX_INFER_OK && fill < 2; fill++) {
        for (uint32_t s = 0; fill && s < p->nstep; s++) {
            oi_value_id *drop = oi_arena_array(p->arena, count[s] + 1, sizeof *drop);
            if (!drop)
                st = ONNX_INFER_E_OUT_OF_MEMORY;
            p->step[s].drop = drop;
        }
        for (uint32_t v = 0; st == ONNX_INFER_OK && v < b->g->nvalue; v++) {
            uint32_t last = b->info[v].last;
            if (p->slot[v].place != OI_AT_HEAP || last >= p->nstep || b->g->value[v].def == OI_NONE)
                continue;
            if (fill)
                ((oi_value_id *)p->step[last].drop)[p->step[last].ndrop++] = v;
            else
                count[last]++;
        }
    }
    oi_free_mem(a, count);
    return st;
}

static oi_status build(builder *b)
{
    oi_plan *p = b->plan;
    OI_TRY(describe_values(b));
    OI_TRY(make_steps(b));
    find_lifetimes(b);
    share_in_place(b);
    place_outputs(b);
    OI_TRY(plan_memory(b));
    place_values(b);
    OI_TRY(list_drops(b));
    for (uint32_t v = 0; v < b->g->nvalue; v++) {
        const oi_tensor *c = b->g->value[v].fact.konst;
        if (c && c->buf && oi_buffer_is_heap(c->buf))
            p->const_bytes += c->bytes;
    }
    return ONNX_INFER_OK;
}

oi_status oi_plan_create(const oi_engine *engine, oi_graph *graph, bool loose, const oi_hash *id, oi_plan **out)
{
    const oi_alloc *a = &engine->alloc;
    oi_plan *p = oi_alloc_mem(a, sizeof *p);
    builder b = {.plan = p, .g = graph};
    oi_status st = ONNX_INFER_E_OUT_OF_MEMORY;
    *out = NULL;
    if (!p) {
        oi_graph_destroy(graph);
        return st;
    }
    atomic_init(&p->refs, 1);
    p->engine = engine;
    p->graph = graph;
    p->loose = loose;
    p->has_id = id != NULL;
    if (id)
        p->id = *id;
    p->arena = oi_arena_create(a);
    if (p->arena)
        p->slot = oi_arena_array(p->arena, (size_t)graph->nvalue + 1, sizeof *p->slot);
    b.info = oi_alloc_array(a, (size_t)graph->nvalue + 1, sizeof *b.info);
    if (p->slot && b.info)
        st = build(&b);
    oi_free_mem(a, b.info);
    oi_free_mem(a, b.item);
    if (st != ONNX_INFER_OK) {
        oi_plan_release(p);
        return st;
    }
    *out = p;
    return ONNX_INFER_OK;
}

oi_plan *oi_plan_retain(oi_plan *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void oi_plan_release(oi_plan *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t s = 0; s < p->nstep; s++) {
        const oi_plan_step *ps = &p->step[s];
        for (uint32_t j = 0; ps->sub && j < ps->step.node->nsub; j++)
            oi_program_destroy(ps->sub[j]);
        if (ps->kernel && ps->step.op->close)
            ps->step.op->close(ps->step.op, ps->kernel);
    }
    const oi_alloc *a = &p->engine->alloc;
    oi_free_mem(a, p->key);
    oi_arena_destroy(p->arena);
    oi_graph_destroy(p->graph);
    oi_free_mem(a, p);
}
