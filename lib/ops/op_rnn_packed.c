/* RNN, GRU and LSTM in float32 with constant weights and the usual activations: all steps' input products at once, then step by
 * step the recurrent product with the gates after it. The weights are packed by an operator of their own, once for all shapes. */
#include "base/checked.h"
#include "kernels/gemm.h"
#include "ops/op_rnn_lowered.h"
#include "ops/target.h"

#include <string.h>

/* --- packing ------------------------------------------------------------------------------------------------------- */

/* Where things of a direction lie, in floats from its beginning; each at a multiple of 16. */
typedef struct {
    const oi_kernels *kernels;
    size_t dirs, input, hidden;
    size_t rows;         /* of W: all gates */
    size_t coupled;      /* rows of R that are multiplied together: a GRU's h gate comes by itself */
    size_t w, r, h;      /* packed W; packed R; a GRU's R of the h gate */
    size_t bias, reset;  /* [rows] Wb + Rb; a GRU's Rb of the h gate stays with its product: [hidden] */
    size_t direction;    /* floats of one direction */
} packing;

static bool place(size_t *end, size_t floats, size_t *at)
{
    *at = *end;
    return oi_add_size(*end, floats, end) && oi_align_size(*end, 16, end);
}

static bool place_matrix(packing *p, size_t k, size_t n, size_t *at)
{
    size_t floats = n ? oi_gemm_packed_size(p->kernels, k, n) : 0;
    return (floats || !n) && place(&p->direction, floats, at);
}

static oi_status describe(const oi_rnn_lowered_attr *a, packing *p)
{
    static const size_t gates[] = {[OI_RNN_PLAIN] = 1, [OI_RNN_GRU] = 3, [OI_RNN_LSTM] = 4};
    size_t total, bytes;
    *p = (packing){.kernels = oi_kernels_for((oi_cpu_isa)a->isa), .dirs = a->direction == OI_RNN_BIDIRECTIONAL ? 2 : 1};
    OI_FAIL_IF(a->input < 1 || a->hidden < 1, ONNX_INFER_E_INTERNAL, "sizes %lld and %lld", (long long)a->input, (long long)a->hidden);
    p->input = (size_t)a->input, p->hidden = (size_t)a->hidden;
    bool fits = oi_mul_size(p->hidden, gates[a->kind], &p->rows);
    p->coupled = a->kind == OI_RNN_GRU ? 2 * p->hidden : p->rows;
    fits = fits && place_matrix(p, p->input, p->rows, &p->w) && place_matrix(p, p->hidden, p->coupled, &p->r) &&
           place_matrix(p, p->hidden, p->rows - p->coupled, &p->h) && place(&p->direction, p->rows, &p->bias) &&
           place(&p->direction, p->hidden, &p->reset) && oi_mul_size(p->direction, p->dirs, &total) &&
           oi_mul_size(total, sizeof(float), &bytes) && bytes <= INT64_MAX;
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "weights of %lld and %lld states are more than memory can address", (long long)a->input,
               (long long)a->hidden);
    return ONNX_INFER_OK;
}

static oi_status infer_pack(oi_infer *x)
{
    packing p;
    OI_TRY(describe(x->attr, &p));
    oi_dim size = (oi_dim)(p.dirs * p.direction);
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 1, &size);
    return ONNX_INFER_OK;
}

typedef struct {
    packing p;
    const oi_loose_float *w, *r;
    const float *bias; /* NULL: none */
    float *to;
    size_t parts[3]; /* of W, R, and a GRU's h gate */
} pack_job;

static void pack_bias(const packing *p, const float *b, float *to)
{
    memset(to + p->bias, 0, (p->direction - p->bias) * sizeof *to);
    for (size_t i = 0; b && i < p->rows; i++)
        to[p->bias + i] = b[i] + (i < p->coupled ? b[p->rows + i] : 0);
    for (size_t i = p->coupled; b && i < p->rows; i++)
        to[p->reset + i - p->coupled] = b[p->rows + i];
}

/* Of each direction the parts of the products, and one more for the rest. */
static oi_status pack_part(void *arg, size_t i)
{
    const pack_job *j = arg;
    const packing *p = &j->p;
    const size_t each = j->parts[0] + j->parts[1] + j->parts[2] + 1, dir = i / each;
    const oi_loose_float *w = j->w + dir * p->rows * p->input, *r = j->r + dir * p->rows * p->hidden;
    float *to = j->to + dir * p->direction;
    i %= each;
    if (i < j->parts[0]) {
        oi_gemm_pack_part(p->kernels, p->input, p->rows, w, p->input, true, 1, i, to + p->w);
        return ONNX_INFER_OK;
    }
    i -= j->parts[0];
    if (i < j->parts[1]) {
        oi_gemm_pack_part(p->kernels, p->hidden, p->coupled, r, p->hidden, true, 1, i, to + p->r);
        return ONNX_INFER_OK;
    }
    i -= j->parts[1];
    if (i < j->parts[2])
        oi_gemm_pack_part(p->kernels, p->hidden, p->rows - p->coupled, r + p->coupled * p->hidden, p->hidden, true, 1, i, to + p->h);
    else
        pack_bias(p, j->bias ? j->bias + dir * 2 * p->rows : NULL, to);
    return ONNX_INFER_OK;
}

static oi_status eval_pack(oi_eval *e)
{
    const oi_tensor *bias = oi_eval_in(e, 2);
    pack_job j = {.w = oi_eval_in(e, 0)->data, .r = oi_eval_in(e, 1)->data, .bias = bias ? bias->data : NULL};
    OI_TRY(describe(e->attr, &j.p));
    int64_t size = (int64_t)(j.p.dirs * j.p.direction);
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, 1, &size, &out));
    j.to = out->data;
    j.parts[0] = oi_gemm_pack_parts(j.p.kernels, j.p.rows);
    j.parts[1] = oi_gemm_pack_parts(j.p.kernels, j.p.coupled);
    j.parts[2] = oi_gemm_pack_parts(j.p.kernels, j.p.rows - j.p.coupled);
    return oi_eval_parts(e, j.p.dirs * (j.parts[0] + j.parts[1] + j.parts[2] + 1), out->bytes, pack_part, &j);
}

const oi_op oi_op_oi_PackRecurrent = {
    .name = "PackRecurrent", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .loose = 3, .attrs = oi_rnn_lowered_attrs, .attr_size = sizeof(oi_rnn_lowered_attr),
    .infer = infer_pack, .eval = eval_pack,
};

/* --- running ------------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_rnn_shape shape;
    packing weights;
    oi_gemm_plan input, recurrent; /* [seq*batch, input] x W; [batch, hidden] x R (GRU: gates z and r) */
    oi_gemm_plan candidate;        /* GRU: [batch, hidden] x R of the h gate */
    bool linear_before_reset;
    size_t projected;  /* floats of one direction's input products */
    size_t state;      /* floats of one direction's running state */
} rnn_state;

static oi_status plan_gemm(const packing *p, oi_gemm_plan *plan, int64_t m, size_t n, size_t k)
{
    oi_gemm_shape shape = {.m = (size_t)m, .n = n, .k = k, .batch = 1, .b_packed = true};
    return oi_gemm_plan_init(plan, p->kernels, &shape);
}

static const float *weights_of(const rnn_state *s, const oi_run *r, int64_t dir)
{
    return (const float *)r->in[1] + (size_t)dir * s->weights.direction;
}

static void multiply(const oi_run *r, const oi_gemm_plan *plan, const float *a, const float *b, const float *bias, const float *residual,
                     size_t ldr, float *c, size_t ldc)
{
    oi_gemm_args args = {.stop = r->stop, .a = a, .b = b, .c = c, .lda = plan->shape.k, .ldc = ldc, .alpha = 1, .ldr = ldr};
    args.epilogue = oi_epilogue_none();
    args.epilogue.bias = bias;
    args.epilogue.residual = residual;
    for (size_t task = 0; task < plan->n_tasks; task++)
        oi_gemm_run(plan, &args, task, r->thread_workspace);
}

static float *projected(const rnn_state *s, const oi_run *r, int64_t dir)
{
    return (float *)r->workspace + (size_t)dir * s->projected;
}

static void step_plain(const rnn_state *s, float *z, float *h)
{
    size_t n = (size_t)(s->shape.batch * s->shape.hidden);
    s->weights.kernels->unary[OI_UNARY_TANH](n, z, h, 0, 0);
}

/* y *= x */
static void multiply_in(const oi_kernels *kernels, size_t n, const float *x, float *y)
{
    kernels->binary[OI_BINARY_MUL](&(oi_binary_args){.rows = 1, .n = n, .a = y, .b = x, .y = y});
}

void oi_rnn_lstm_gates(const oi_kernels *kernels, size_t batch, size_t hidden, float *z, size_t ldz, float *h, float *c)
{
    for (size_t b = 0; b < batch; b++, z += ldz, h += hidden, c += hidden) {
        kernels->unary[OI_UNARY_SIGMOID](3 * hidden, z, z, 0, 0);
        kernels->unary[OI_UNARY_TANH](hidden, z + 3 * hidden, z + 3 * hidden, 0, 0);
        multiply_in(kernels, hidden, z + 2 * hidden, c);
        multiply_in(kernels, hidden, z + 3 * hidden, z);
        kernels->binary[OI_BINARY_ADD](&(oi_binary_args){.rows = 1, .n = hidden, .a = c, .b = z, .y = c});
        kernels->unary[OI_UNARY_TANH](hidden, c, h, 0, 0);
        multiply_in(kernels, hidden, z + hidden, h);
    }
}

static void step_gru(const rnn_state *s, const oi_run *r, int64_t dir, const float *x, float *z, float *h, float *reset,
                     float *inner)
{
    size_t n = (size_t)s->shape.hidden, batch = (size_t)s->shape.batch;
    for (size_t b = 0; b < batch; b++)
        s->weights.kernels->unary[OI_UNARY_SIGMOID](2 * n, z + b * 3 * n, z + b * 3 * n, 0, 0);
    for (size_t b = 0; b < batch && !s->linear_before_reset; b++) {
        for (size_t i = 0; i < n; i++)
            reset[b * n + i] = z[b * 3 * n + n + i] * h[b * n + i];
    }
    multiply(r, &s->candidate, s->linear_before_reset ? h : reset, weights_of(s, r, dir) + s->weights.h, weights_of(s, r, dir) + s->weights.reset,
             NULL, 0, inner, n);
    for (size_t b = 0; b < batch; b++) {
        const float *gate = z + b * 3 * n, *in = x + b * 3 * n + 2 * n;
        float *cell = inner + b * n, *state = h + b * n;
        for (size_t i = 0; i < n; i++)
            cell[i] = in[i] + (s->linear_before_reset ? gate[n + i] * cell[i] : cell[i]);
        s->weights.kernels->unary[OI_UNARY_TANH](n, cell, cell, 0, 0);
        for (size_t i = 0; i < n; i++)
            state[i] = (1 - gate[i]) * cell[i] + gate[i] * state[i];
    }
}

/* Copies batch rows of hidden floats between a dense state and a strided one. */
static void copy_state(const oi_rnn_shape *s, float *dst, int64_t dst_batch, const float *src, int64_t src_batch)
{
    for (int64_t b = 0; b < s->batch; b++)
        memcpy(dst + b * dst_batch, src + b * src_batch, (size_t)s->hidden * sizeof *dst);
}

static void recur(const rnn_state *s, const oi_run *r, int64_t dir)
{
    const oi_rnn_shape *q = &s->shape;
    const uint32_t nin = r->step->nin, nout = r->step->nout;
    const float *h0 = nin > 2 ? r->in[2] : NULL, *c0 = nin > 3 ? r->in[3] : NULL;
    float *y = nout > 0 ? r->out[0] : NULL, *yh = nout > 1 ? r->out[1] : NULL, *yc = nout > 2 ? r->out[2] : NULL;
    size_t cells = (size_t)(q->batch * q->hidden), rows = (size_t)(q->gates * q->hidden), batch = (size_t)q->batch;
    float *x = projected(s, r, dir);
    float *h = (float *)r->workspace + (size_t)q->dirs * s->projected + (size_t)dir * s->state;
    float *c = h + cells, *reset = c + cells, *z = reset + 2 * cells;
    memset(h, 0, 2 * cells * sizeof *h);
    if (h0)
        copy_state(q, h, q->hidden, h0 + dir * q->h_dir, q->h_batch);
    if (c0)
        copy_state(q, c, q->hidden, c0 + dir * q->h_dir, q->h_batch);
    for (int64_t step = 0; step < q->seq && !oi_stopped(r->stop); step++) {
        int64_t t = q->reverse[dir] ? q->seq - 1 - step : step;
        const float *xt = x + (size_t)t * batch * rows;
        multiply(r, &s->recurrent, h, weights_of(s, r, dir) + s->weights.r, NULL, xt, rows, z, rows);
        switch (q->kind) {
        case OI_RNN_PLAIN: step_plain(s, z, h); break;
        case OI_RNN_LSTM: oi_rnn_lstm_gates(s->weights.kernels, batch, (size_t)q->hidden, z, rows, h, c); break;
        case OI_RNN_GRU: step_gru(s, r, dir, xt, z, h, reset, reset + cells); break;
        }
        if (y)
            copy_state(q, y + t * q->y_seq + dir * q->y_dir, q->y_batch, h, q->hidden);
    }
    if (yh)
        copy_state(q, yh + dir * q->h_dir, q->h_batch, h, q->hidden);
    if (yc)
        copy_state(q, yc + dir * q->h_dir, q->h_batch, c, q->hidden);
}

/* Phase 0: the input products, direction by direction. Phase 1: a task for each direction. */
static oi_status run(const oi_run *r, uint32_t task)
{
    const rnn_state *s = r->step->state;
    if (task >= r->step->phase_end[0]) {
        recur(s, r, task - r->step->phase_end[0]);
        return ONNX_INFER_OK;
    }
    const size_t dir = task / s->input.n_tasks;
    const float *weights = weights_of(s, r, (int64_t)dir);
    oi_gemm_args args = {.a = r->in[0], .b = weights + s->weights.w, .c = projected(s, r, (int64_t)dir), .lda = s->weights.input,
                         .ldc = s->weights.rows, .alpha = 1, .stop = r->stop};
    args.epilogue = oi_epilogue_none();
    args.epilogue.bias = weights + s->weights.bias;
    oi_gemm_run(&s->input, &args, task % s->input.n_tasks, r->thread_workspace);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_rnn_lowered_attr *a = step->attr;
    rnn_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    packing *w = &s->weights;
    OI_TRY(describe(a, w));
    oi_rnn_shape *q = &s->shape;
    oi_rnn_lowered_shape(a, &step->in[0], q);
    s->linear_before_reset = a->linear_before_reset != 0;
    int64_t rows = (int64_t)w->rows, projected_floats, total;
    bool small = oi_mul_i64(q->seq * q->batch, rows, &projected_floats) &&
                 oi_mul_i64(projected_floats + q->batch * (4 * q->hidden + rows) + 64, q->dirs * 8, &total);
    OI_FAIL_IF(!small, ONNX_INFER_E_LIMIT, "%lld steps of %lld gates", (long long)q->seq, (long long)rows);
    OI_TRY(plan_gemm(w, &s->input, q->seq * q->batch, w->rows, w->input));
    OI_TRY(plan_gemm(w, &s->recurrent, q->batch, w->coupled, w->hidden));
    OI_TRY(plan_gemm(w, &s->candidate, q->batch, w->hidden, w->hidden));
    size_t thread = s->input.workspace > s->recurrent.workspace ? s->input.workspace : s->recurrent.workspace;
    thread = thread > s->candidate.workspace ? thread : s->candidate.workspace;
    s->projected = ((size_t)projected_floats + 15) & ~(size_t)15;
    s->state = ((size_t)(q->batch * (4 * q->hidden + rows)) + 15) & ~(size_t)15;
    step->state = s;
    step->run = run;
    step->phases = 2;
    step->phase_end[0] = (uint32_t)(w->dirs * s->input.n_tasks);
    step->phase_end[1] = step->phase_end[0] + (uint32_t)w->dirs;
    step->n_tasks = step->phase_end[1];
    step->workspace = w->dirs * (s->projected + s->state) * sizeof(float);
    step->thread_workspace = thread * sizeof(float);
    step->flops = 2 * (uint64_t)(q->dirs * q->seq * q->batch * rows * (q->input + q->hidden));
    step->kernel = oi_arena_format(p->arena, "recurrent %s", w->kernels->name);
    return ONNX_INFER_OK;
}

const oi_op oi_op_oi_RecurrentPacked = {
    .name = "RecurrentPacked", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 2, .max_in = 4, .min_out = 0, .max_out = 3, .attrs = oi_rnn_lowered_attrs, .attr_size = sizeof(oi_rnn_lowered_attr),
    .infer = oi_rnn_lowered_infer, .eval = oi_rnn_lowered_eval, .prepare = prepare,
};

/* --- lowering ------------------------------------------------------------------------------------------------------ */

oi_status oi_rnn_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    const oi_node n = rw->g->node[id];
    const oi_rnn_attr *a = n.attr;
    oi_tensor described[OI_RNN_INPUTS];
    const oi_tensor *in[OI_RNN_INPUTS];
    bool ready;
    OI_TRY(oi_rnn_describe(rw->g, &n, 0, described, in, &ready));
    if (!ready)
        return ONNX_INFER_OK;
    oi_rnn_shape s;
    OI_TRY(oi_rnn_resolve(n.op, a, in, OI_RNN_SCALES, &s));
    if (!oi_rnn_lowers(a, &s, in))
        return ONNX_INFER_OK;
    return oi_rnn_replace(rw, id, target, &s, &oi_op_oi_RecurrentPacked, &oi_op_oi_PackRecurrent, in[OI_RNN_B] ? 3 : 2, &n.in[OI_RNN_W]);
}
