/* The fast path of RNN, GRU and LSTM in float32 with constant weights and the usual activations: all steps' input
 * products at once, then step by step the recurrent product with the gates after it. */
#include "base/checked.h"
#include "kernels/gemm.h"
#include "ops/op_rnn.h"
#include "ops/target.h"

#include <string.h>

typedef struct {
    oi_rnn_shape shape;
    const oi_kernels *kernels;
    oi_gemm_plan input, recurrent; /* [seq*batch, input] x W; [batch, hidden] x R (GRU: gates z and r) */
    oi_gemm_plan candidate;        /* GRU: [batch, hidden] x R of the h gate */
    const float *w[2], *r[2], *rh[2], *input_bias[2], *reset_bias[2]; /* packed or summed, of each direction */
    bool linear_before_reset;
    size_t projected;  /* floats of one direction's input products */
    size_t state;      /* floats of one direction's running state */
} rnn_state;

static float *arena_floats(oi_arena *arena, size_t n)
{
    char *p = n < SIZE_MAX / sizeof(float) - OI_ALIGN ? oi_arena_mem(arena, n * sizeof(float) + 2 * OI_ALIGN) : NULL;
    return p ? (float *)(p + (OI_ALIGN - (uintptr_t)p % OI_ALIGN)) : NULL;
}

static oi_status pack(oi_prepare *p, int64_t k, int64_t n, const float *b, const float **out)
{
    const oi_kernels *kernels = p->target->kernels;
    float *packed = arena_floats(p->arena, oi_gemm_packed_size(kernels, (size_t)k, (size_t)n));
    if (!packed)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_gemm_pack_b(kernels, (size_t)k, (size_t)n, b, (size_t)k, true, 1, packed);
    *out = packed;
    return ONNX_INFER_OK;
}

static oi_status plan_gemm(oi_prepare *p, oi_gemm_plan *plan, int64_t m, int64_t n, int64_t k)
{
    oi_gemm_shape shape = {.m = (size_t)m, .n = (size_t)n, .k = (size_t)k, .batch = 1, .b_packed = true};
    return oi_gemm_plan_init(plan, p->target->kernels, &shape);
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
    s->kernels->unary[OI_UNARY_TANH](n, z, h, 0, 0);
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
        s->kernels->unary[OI_UNARY_SIGMOID](2 * n, z + b * 3 * n, z + b * 3 * n, 0, 0);
    for (size_t b = 0; b < batch && !s->linear_before_reset; b++) {
        for (size_t i = 0; i < n; i++)
            reset[b * n + i] = z[b * 3 * n + n + i] * h[b * n + i];
    }
    multiply(r, &s->candidate, s->linear_before_reset ? h : reset, s->rh[dir], s->reset_bias[dir], NULL, 0, inner, n);
    for (size_t b = 0; b < batch; b++) {
        const float *gate = z + b * 3 * n, *in = x + b * 3 * n + 2 * n;
        float *cell = inner + b * n, *state = h + b * n;
        for (size_t i = 0; i < n; i++)
            cell[i] = in[i] + (s->linear_before_reset ? gate[n + i] * cell[i] : cell[i]);
        s->kernels->unary[OI_UNARY_TANH](n, cell, cell, 0, 0);
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
    const float *h0 = nin > 5 ? r->in[5] : NULL, *c0 = nin > 6 ? r->in[6] : NULL;
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
        multiply(r, &s->recurrent, h, s->r[dir], NULL, xt, rows, z, rows);
        switch (q->kind) {
        case OI_RNN_PLAIN: step_plain(s, z, h); break;
        case OI_RNN_LSTM: oi_rnn_lstm_gates(s->kernels, batch, (size_t)q->hidden, z, rows, h, c); break;
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
    size_t dir = task / s->input.n_tasks, rows = (size_t)(s->shape.gates * s->shape.hidden);
    oi_gemm_args args = {.a = r->in[0], .b = s->w[dir], .c = projected(s, r, (int64_t)dir), .lda = s->input.shape.k,
                         .ldc = rows, .alpha = 1, .stop = r->stop};
    args.epilogue = oi_epilogue_none();
    args.epilogue.bias = s->input_bias[dir];
    oi_gemm_run(&s->input, &args, task % s->input.n_tasks, r->thread_workspace);
    return ONNX_INFER_OK;
}

bool oi_rnn_usual(const oi_rnn_shape *s)
{
    static const oi_rnn_function want[][3] = {
        [OI_RNN_PLAIN] = {OI_RNN_TANH}, [OI_RNN_GRU] = {OI_RNN_SIGMOID, OI_RNN_TANH},
        [OI_RNN_LSTM] = {OI_RNN_SIGMOID, OI_RNN_TANH, OI_RNN_TANH}};
    for (int64_t d = 0; d < s->dirs; d++) {
        for (uint32_t i = 0; i <= (uint32_t)s->kind; i++) {
            if (s->act[d][i].f != want[s->kind][i])
                return false;
        }
    }
    return true;
}

/* Bias of the input product: Wb + Rb, but for a GRU's h gate Rb stays with the recurrent product. */
static oi_status sum_bias(oi_prepare *p, rnn_state *s, const float *bias, int64_t dir)
{
    const oi_rnn_shape *q = &s->shape;
    int64_t rows = q->gates * q->hidden, both = q->kind == OI_RNN_GRU ? 2 * q->hidden : rows;
    float *sum = arena_floats(p->arena, (size_t)rows), *rest = arena_floats(p->arena, (size_t)q->hidden);
    if (!sum || !rest)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const float *b = bias + dir * 2 * rows;
    for (int64_t i = 0; i < rows; i++)
        sum[i] = b[i] + (i < both ? b[rows + i] : 0);
    for (int64_t i = both; i < rows; i++)
        rest[i - both] = b[rows + i];
    s->input_bias[dir] = sum;
    s->reset_bias[dir] = rest;
    return ONNX_INFER_OK;
}

static oi_status prepare_direction(oi_prepare *p, rnn_state *s, int64_t dir)
{
    const oi_rnn_shape *q = &s->shape;
    int64_t rows = q->gates * q->hidden;
    const float *w = p->step->in[1].data, *r = p->step->in[2].data;
    w += dir * rows * q->input;
    r += dir * rows * q->hidden;
    OI_TRY(pack(p, q->input, rows, w, &s->w[dir]));
    if (q->kind == OI_RNN_GRU) {
        OI_TRY(pack(p, q->hidden, 2 * q->hidden, r, &s->r[dir]));
        OI_TRY(pack(p, q->hidden, q->hidden, r + 2 * q->hidden * q->hidden, &s->rh[dir]));
    } else {
        OI_TRY(pack(p, q->hidden, rows, r, &s->r[dir]));
    }
    bool has_bias = p->step->nin > 3 && p->step->in[3].dtype;
    return has_bias ? sum_bias(p, s, p->step->in[3].data, dir) : ONNX_INFER_OK;
}

oi_status oi_rnn_prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_rnn_attr *a = step->attr;
    const oi_tensor *in[8] = {NULL};
    for (uint32_t i = 0; i < step->nin && i < 8; i++)
        in[i] = step->in[i].dtype ? &step->in[i] : NULL;
    bool fits = in[1]->data && in[2]->data && (!in[3] || in[3]->data) && !in[4] && !in[7] &&
                !a->layout && a->clip <= 0 && !a->input_forget;
    for (uint32_t i = 0; i < 8; i++)
        fits = fits && (!in[i] || in[i]->dtype == ONNX_INFER_FLOAT);
    if (!fits)
        return ONNX_INFER_OK;
    rnn_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_rnn_resolve(step->op, a, in, 8, &s->shape));
    const oi_rnn_shape *q = &s->shape;
    if (!oi_rnn_usual(q) || q->seq * q->batch == 0 || q->hidden == 0 || q->input == 0)
        return ONNX_INFER_OK;
    s->kernels = p->target->kernels;
    s->linear_before_reset = a->linear_before_reset != 0;
    int64_t rows = q->gates * q->hidden;
    OI_TRY(plan_gemm(p, &s->input, q->seq * q->batch, rows, q->input));
    OI_TRY(plan_gemm(p, &s->recurrent, q->batch, q->kind == OI_RNN_GRU ? 2 * q->hidden : rows, q->hidden));
    OI_TRY(plan_gemm(p, &s->candidate, q->batch, q->hidden, q->hidden));
    for (int64_t dir = 0; dir < q->dirs; dir++)
        OI_TRY(prepare_direction(p, s, dir));
    size_t thread = s->input.workspace > s->recurrent.workspace ? s->input.workspace : s->recurrent.workspace;
    thread = thread > s->candidate.workspace ? thread : s->candidate.workspace;
    int64_t projected_floats, total;
    bool small = oi_mul_i64(q->seq * q->batch, rows, &projected_floats) &&
                 oi_mul_i64(projected_floats + q->batch * (4 * q->hidden + rows) + 64, q->dirs * 8, &total);
    OI_FAIL_IF(!small, ONNX_INFER_E_LIMIT, "%lld steps of %lld gates", (long long)q->seq, (long long)rows);
    s->projected = ((size_t)projected_floats + 15) & ~(size_t)15;
    s->state = ((size_t)(q->batch * (4 * q->hidden + rows)) + 15) & ~(size_t)15;
    step->state = s;
    step->run = run;
    step->phases = 2;
    step->phase_end[0] = (uint32_t)((size_t)q->dirs * s->input.n_tasks);
    step->phase_end[1] = step->phase_end[0] + (uint32_t)q->dirs;
    step->n_tasks = step->phase_end[1];
    step->workspace = (size_t)q->dirs * (s->projected + s->state) * sizeof(float);
    step->thread_workspace = thread * sizeof(float);
    step->flops = 2 * (uint64_t)(q->dirs * q->seq * q->batch * rows * (q->input + q->hidden));
    step->kernel = oi_arena_format(p->arena, "recurrent %s", s->kernels->name);
    return ONNX_INFER_OK;
}
