/* DynamicQuantizeLSTM: weights of bytes with scales, X and the states as bytes with a scale chosen when running. Constant weights
 * are packed by an operator of their own, once for all shapes. */
#include "base/checked.h"
#include "kernels/bytes.h"
#include "ops/op_rnn_lowered.h"
#include "ops/target.h"

#include <string.h>

enum { SCALE = OI_RNN_SCALES, ZERO, SCALE_R }; /* inputs: those of W's scales and zero points; R's follow */

/* --- weights as the file has them: [directions, inputs, gates] --- */

oi_tensor oi_rnn_bytes_form(const oi_tensor *weights)
{
    oi_tensor t = *weights;
    if (t.rank == 3) {
        t.dim[1] = weights->dim[2];
        t.dim[2] = weights->dim[1];
    }
    return t;
}

static bool is_byte(oi_dtype t)
{
    return t == ONNX_INFER_INT8 || t == ONNX_INFER_UINT8;
}

/* in[]: all inputs, W and R in the standard's form. Weights `at` 1 (W) or 2 (R). *each: a scale for each gate. */
static oi_status check_weights(const oi_rnn_shape *s, const oi_tensor *const *in, uint32_t at, bool *each)
{
    const oi_tensor *w = in[at], *scale = in[at == 1 ? SCALE : SCALE_R], *zero = in[at == 1 ? ZERO : SCALE_R + 1];
    OI_FAIL_IF(!scale || !zero, ONNX_INFER_E_INVALID_MODEL, "the scales or zero points of input %u are missing", at);
    OI_FAIL_IF(!is_byte(w->dtype) || zero->dtype != w->dtype || scale->dtype != ONNX_INFER_FLOAT, ONNX_INFER_E_UNSUPPORTED_TYPE,
               "input %u is %s with scales of %s and zero points of %s; it must be int8 or uint8, with scales of float32", at,
               oi_dtype_name(w->dtype), oi_dtype_name(scale->dtype), oi_dtype_name(zero->dtype));
    int64_t n = oi_tensor_count(scale), gates = s->gates * s->hidden;
    OI_FAIL_IF((n != s->dirs && n != s->dirs * gates) || oi_tensor_count(zero) != n, ONNX_INFER_E_SHAPE_MISMATCH,
               "input %u has %lld scales and %lld zero points, expected %lld or %lld of both", at, (long long)n,
               (long long)oi_tensor_count(zero), (long long)s->dirs, (long long)(s->dirs * gates));
    *each = n != s->dirs;
    return ONNX_INFER_OK;
}

static int32_t byte_at(const oi_tensor *t, int64_t i)
{
    return t->dtype == ONNX_INFER_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

oi_status oi_rnn_bytes_widen(oi_eval *e, const oi_rnn_shape *s, const oi_tensor *const *in, uint32_t at, const void **out)
{
    const oi_tensor *w = in[at], *scale = in[at == 1 ? SCALE : SCALE_R], *zero = in[at == 1 ? ZERO : SCALE_R + 1];
    int64_t depth = at == 1 ? s->input : s->hidden, gates = s->gates * s->hidden;
    bool each;
    OI_TRY(check_weights(s, in, at, &each));
    float *wide = oi_eval_scratch_array(e, (size_t)oi_tensor_count(w) + 1, sizeof *wide);
    if (!wide)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t i = 0; i < s->dirs * gates; i++) {
        int64_t dir = i / gates, from = each ? i : dir;
        for (int64_t k = 0; k < depth; k++)
            wide[i * depth + k] = (float)(byte_at(w, (dir * depth + k) * gates + i % gates) - byte_at(zero, from)) *
                                  ((const float *)scale->data)[from];
    }
    *out = wide;
    return ONNX_INFER_OK;
}

/* --- packing ------------------------------------------------------------------------------------------------------- */

/* W or R of a direction, in bytes from its beginning. Panels; then for each of their columns a zero point (int32) less what was
 * taken from the numbers, and a scale. */
typedef struct {
    size_t k, panel, zero, scale;
} matrix;

typedef struct {
    size_t dirs, gates, panels, columns;
    matrix w, r;
    size_t bias;      /* [columns] */
    size_t direction; /* bytes of one direction */
} packing;

static size_t whole_lines(size_t bytes)
{
    return (bytes + OI_ALIGN - 1) / OI_ALIGN * OI_ALIGN;
}

static bool place(size_t *end, size_t n, size_t size, size_t *at)
{
    size_t bytes;
    *at = *end;
    return oi_mul_size(n, size, &bytes) && oi_add_size(*end, bytes, end) && oi_align_size(*end, OI_ALIGN, end);
}

static bool place_matrix(packing *p, int64_t k, matrix *m)
{
    m->k = (size_t)k;
    return m->k <= INT32_MAX / 64 && place(&p->direction, p->panels, oi_bytes_panel_size(m->k), &m->panel) &&
           place(&p->direction, p->columns, sizeof(int32_t), &m->zero) && place(&p->direction, p->columns, sizeof(float), &m->scale);
}

static oi_status describe(const oi_rnn_lowered_attr *a, packing *p)
{
    size_t total;
    *p = (packing){.dirs = a->direction == OI_RNN_BIDIRECTIONAL ? 2 : 1};
    OI_FAIL_IF(a->input < 1 || a->hidden < 1 || a->hidden > INT32_MAX / 64, ONNX_INFER_E_INTERNAL, "sizes %lld and %lld", (long long)a->input,
               (long long)a->hidden);
    p->gates = 4 * (size_t)a->hidden;
    p->panels = (p->gates + OI_BYTES_COLUMNS - 1) / OI_BYTES_COLUMNS;
    p->columns = p->panels * OI_BYTES_COLUMNS;
    bool fits = place_matrix(p, a->input, &p->w) && place_matrix(p, a->hidden, &p->r) && place(&p->direction, p->columns, sizeof(float), &p->bias) &&
                oi_mul_size(p->dirs, p->direction, &total) && total < PTRDIFF_MAX;
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "the weights of %lld inputs and %lld states overflow", (long long)a->input, (long long)a->hidden);
    return ONNX_INFER_OK;
}

static oi_status infer_pack(oi_infer *x)
{
    packing p;
    OI_TRY(describe(x->attr, &p));
    oi_infer_set(x, 0, ONNX_INFER_UINT8, 1, &(oi_dim){(oi_dim)(p.dirs * p.direction)});
    return ONNX_INFER_OK;
}

typedef struct {
    packing p;
    const oi_tensor *const *in; /* W, R, scale and zero points of W, those of R, bias (may be NULL) */
    uint8_t *to;
} pack_job;

static void pack_matrix(const packing *p, const matrix *m, size_t dir, const oi_tensor *w, const oi_tensor *scale, const oi_tensor *zero,
                        uint8_t *to)
{
    const int32_t middle = w->dtype == ONNX_INFER_UINT8 ? 128 : 0;
    const bool each = (size_t)oi_tensor_count(scale) != p->dirs;
    int32_t *zeros = (int32_t *)(void *)(to + m->zero);
    float *scales = (float *)(void *)(to + m->scale);
    oi_bytes_pack(m->k, p->gates, (const uint8_t *)w->data + dir * m->k * p->gates, p->gates, !middle, to + m->panel);
    for (size_t i = 0; i < p->columns; i++) {
        const size_t at = each ? dir * p->gates + i : dir;
        scales[i] = i < p->gates ? ((const float *)scale->data)[at] : 0;
        zeros[i] = i < p->gates ? byte_at(zero, (int64_t)at) - middle : 0;
    }
}

/* W of each direction, R of each, then the biases. */
static oi_status pack_part(void *arg, size_t i)
{
    const pack_job *j = arg;
    const packing *p = &j->p;
    const size_t dir = i % p->dirs;
    uint8_t *to = j->to + dir * p->direction;
    if (i < p->dirs)
        pack_matrix(p, &p->w, dir, j->in[0], j->in[2], j->in[3], to);
    else if (i < 2 * p->dirs)
        pack_matrix(p, &p->r, dir, j->in[1], j->in[4], j->in[5], to);
    else {
        float *sum = (float *)(void *)(to + p->bias);
        memset(sum, 0, p->columns * sizeof *sum);
        for (size_t k = 0; j->in[6] && k < p->gates; k++) {
            const float *b = (const float *)j->in[6]->data + dir * 2 * p->gates + k;
            sum[k] = b[0] + b[p->gates];
        }
    }
    return ONNX_INFER_OK;
}

static oi_status eval_pack(oi_eval *e)
{
    const oi_tensor *in[7];
    pack_job j = {.in = in};
    oi_tensor *out;
    for (uint32_t i = 0; i < 7; i++)
        in[i] = oi_eval_in(e, i);
    OI_TRY(describe(e->attr, &j.p));
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_UINT8, 1, &(int64_t){(int64_t)(j.p.dirs * j.p.direction)}, &out));
    j.to = out->data;
    return oi_eval_parts(e, 3 * j.p.dirs, out->bytes, pack_part, &j);
}

/* PackRecurrentBytes(W, R, scale of W, zero point of W, the same of R, B?): W and R as DynamicQuantizeLSTM has them. */
const oi_op oi_op_oi_PackRecurrentBytes = {
    .name = "PackRecurrentBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 6, .max_in = 7,
    .min_out = 1, .max_out = 1, .attrs = oi_rnn_lowered_attrs, .attr_size = sizeof(oi_rnn_lowered_attr), .loose = 1 << 0 | 1 << 1,
    .infer = infer_pack, .eval = eval_pack,
};

/* --- the recurrence ------------------------------------------------------------------------------------------------ */

enum { TASK_PRODUCTS = 1 << 20 };

typedef struct {
    float scale, zero; /* of X */
} header;

typedef struct {
    oi_rnn_shape shape;
    const oi_kernels *kernels;
    packing weights;
    bool w_zero, r_zero;           /* whether any of the zero points counts */
    size_t chunk, chunks;          /* panels of a task */
    size_t x_at, sums_at, gates_at, state_at; /* in the workspace: X, its rows' sums, its products, states */
    size_t state;                  /* bytes of a direction's state */
} bytes_state;

static const uint8_t *weights_of(const bytes_state *s, const oi_run *r, int64_t dir)
{
    return (const uint8_t *)r->in[1] + (size_t)dir * s->weights.direction;
}

/* A direction's state. */
typedef struct {
    float *h, *c, *z;
    uint8_t *seen; /* h as bytes */
    int32_t *sums;
} lane;

static lane lane_of(const bytes_state *s, const oi_run *r, int64_t dir)
{
    const size_t batch = (size_t)s->shape.batch, hidden = (size_t)s->shape.hidden, cells = whole_lines(batch * hidden * sizeof(float));
    char *at = (char *)r->workspace + s->state_at + (size_t)dir * s->state;
    lane l = {.h = (float *)(void *)at};
    l.c = (float *)(void *)(at += cells);
    l.z = (float *)(void *)(at += cells);
    l.seen = (uint8_t *)(at += batch * s->weights.columns * sizeof(float));
    l.sums = (int32_t *)(void *)(at + whole_lines(batch * oi_bytes_depth(hidden)));
    return l;
}

static float *gates_of(const bytes_state *s, const oi_run *r, int64_t dir)
{
    size_t rows = (size_t)(s->shape.seq * s->shape.batch);
    return (float *)(void *)((char *)r->workspace + s->gates_at) + (size_t)dir * rows * s->weights.columns;
}

static void recur(const bytes_state *s, const oi_run *r, int64_t dir)
{
    const oi_rnn_shape *q = &s->shape;
    const matrix *w = &s->weights.r;
    const uint8_t *weights = weights_of(s, r, dir);
    const size_t batch = (size_t)q->batch, hidden = (size_t)q->hidden, cells = batch * hidden;
    const lane l = lane_of(s, r, dir);
    const float *h0 = r->step->nin > 2 ? r->in[2] : NULL, *c0 = r->step->nin > 3 ? r->in[3] : NULL;
    float *y = r->step->nout > 0 ? r->out[0] : NULL, *yh = r->step->nout > 1 ? r->out[1] : NULL, *yc = r->step->nout > 2 ? r->out[2] : NULL;
    const float *gates = gates_of(s, r, dir);
    memset(l.h, 0, cells * sizeof *l.h);
    memset(l.c, 0, cells * sizeof *l.c);
    if (h0)
        memcpy(l.h, h0 + dir * q->h_dir, cells * sizeof *l.h);
    if (c0)
        memcpy(l.c, c0 + dir * q->h_dir, cells * sizeof *l.c);
    for (int64_t step = 0; step < q->seq && !oi_stopped(r->stop); step++) {
        const size_t t = (size_t)(q->reverse[dir] ? q->seq - 1 - step : step);
        float scale, zero;
        oi_bytes_pack_floats(s->kernels, batch, hidden, l.h, &scale, &zero, l.seen, l.sums);
        const oi_bytes_float_args args = {
            .m = batch, .k = hidden, .panels = s->weights.panels, .a = l.seen, .a_sums = l.sums, .a_zero = (int32_t)zero,
            .panel = weights + w->panel, .b_zero = s->r_zero ? (const int32_t *)(const void *)(weights + w->zero) : NULL,
            .scale = (const float *)(const void *)(weights + w->scale), .factor = scale, .add = gates + t * batch * s->weights.columns,
            .ld_add = s->weights.columns, .y = l.z, .ldy = s->weights.columns};
        oi_bytes_multiply_floats(s->kernels, &args);
        oi_rnn_lstm_gates(s->kernels, batch, hidden, l.z, s->weights.columns, l.h, l.c);
        if (y)
            memcpy(y + (int64_t)t * q->y_seq + dir * q->y_dir, l.h, cells * sizeof *l.h);
    }
    if (yh)
        memcpy(yh + dir * q->h_dir, l.h, cells * sizeof *l.h);
    if (yc)
        memcpy(yc + dir * q->h_dir, l.c, cells * sizeof *l.c);
}

/* Phase 0: X becomes bytes. Phase 1: its products, by direction and some of the gates. Phase 2: a task for each direction. */
static oi_status run(const oi_run *r, uint32_t task)
{
    const bytes_state *s = r->step->state;
    const size_t rows = (size_t)(s->shape.seq * s->shape.batch);
    header *head = r->workspace;
    uint8_t *x = (uint8_t *)r->workspace + s->x_at;
    int32_t *sums = (int32_t *)(void *)((char *)r->workspace + s->sums_at);
    if (task == 0) {
        oi_bytes_pack_floats(s->kernels, rows, (size_t)s->shape.input, r->in[0], &head->scale, &head->zero, x, sums);
        return ONNX_INFER_OK;
    }
    if (task >= r->step->phase_end[1]) {
        recur(s, r, task - r->step->phase_end[1]);
        return ONNX_INFER_OK;
    }
    const size_t dir = (task - 1) / s->chunks, first = (task - 1) % s->chunks * s->chunk, left = s->weights.panels - first;
    const size_t column = first * OI_BYTES_COLUMNS;
    const matrix *w = &s->weights.w;
    const uint8_t *weights = weights_of(s, r, (int64_t)dir);
    const oi_bytes_float_args args = {
        .m = rows, .k = w->k, .panels = left < s->chunk ? left : s->chunk, .a = x, .a_sums = sums, .a_zero = (int32_t)head->zero,
        .panel = weights + w->panel + first * oi_bytes_panel_size(w->k),
        .b_zero = s->w_zero ? (const int32_t *)(const void *)(weights + w->zero) + column : NULL,
        .scale = (const float *)(const void *)(weights + w->scale) + column, .factor = head->scale,
        .add = (const float *)(const void *)(weights + s->weights.bias) + column,
        .y = gates_of(s, r, (int64_t)dir) + column, .ldy = s->weights.columns};
    oi_bytes_multiply_floats(s->kernels, &args);
    return ONNX_INFER_OK;
}

static oi_status lay_out(oi_step *step, bytes_state *s)
{
    const oi_rnn_shape *q = &s->shape;
    const packing *w = &s->weights;
    const size_t batch = (size_t)q->batch, hidden = (size_t)q->hidden, input = (size_t)q->input;
    size_t rows, x, gates, states, all;
    const bool fits = oi_mul_size((size_t)q->seq, batch, &rows) && rows < SIZE_MAX / 64 && oi_mul_size(rows, oi_bytes_depth(input), &x) &&
                      oi_mul_size(rows * sizeof(float), w->columns, &gates) && oi_mul_size(gates, 2, &all) && all < SIZE_MAX / 4 &&
                      oi_mul_size(batch, w->columns * 8 + 1, &states) && states < SIZE_MAX / 64 && x < SIZE_MAX / 64;
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "%lld steps of %lld samples", (long long)q->seq, (long long)q->batch);
    s->x_at = whole_lines(sizeof(header));
    s->sums_at = s->x_at + whole_lines(x);
    s->gates_at = s->sums_at + whole_lines(rows * sizeof(int32_t));
    s->state_at = s->gates_at + w->dirs * gates;
    s->state = 2 * whole_lines(batch * hidden * sizeof(float)) + batch * w->columns * sizeof(float) +
               whole_lines(batch * oi_bytes_depth(hidden)) + whole_lines(batch * sizeof(int32_t));
    step->workspace = s->state_at + w->dirs * s->state;
    const double products = ((double)rows + 1) * (double)input * OI_BYTES_COLUMNS; /* of a panel */
    s->chunk = products < TASK_PRODUCTS ? (size_t)(TASK_PRODUCTS / products) : 1;
    s->chunk = s->chunk < w->panels ? s->chunk : w->panels;
    s->chunks = (w->panels + s->chunk - 1) / s->chunk;
    step->phases = 3;
    step->phase_end[0] = 1;
    step->phase_end[1] = 1 + (uint32_t)(w->dirs * s->chunks);
    step->phase_end[2] = step->phase_end[1] + (uint32_t)w->dirs;
    step->n_tasks = step->phase_end[2];
    return ONNX_INFER_OK;
}

/* Whether a zero point of the matrix is not 0, which costs; so do weights that are not there yet. */
static bool any_zero(const packing *p, const matrix *m, const uint8_t *weights)
{
    for (size_t dir = 0; weights && dir < p->dirs; dir++) {
        const int32_t *zero = (const int32_t *)(const void *)(weights + dir * p->direction + m->zero);
        for (size_t i = 0; i < p->columns; i++) {
            if (zero[i])
                return true;
        }
    }
    return !weights;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_rnn_lowered_attr *a = step->attr;
    bytes_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(describe(a, &s->weights));
    oi_rnn_shape *q = &s->shape;
    oi_rnn_lowered_shape(a, &step->in[0], q);
    q->coarse = true;
    s->kernels = oi_kernels_for((oi_cpu_isa)a->isa);
    s->w_zero = any_zero(&s->weights, &s->weights.w, step->in[1].data);
    s->r_zero = any_zero(&s->weights, &s->weights.r, step->in[1].data);
    OI_TRY(lay_out(step, s));
    step->state = s;
    step->run = run;
    step->flops = 2 * (uint64_t)(q->dirs * q->seq * q->batch * q->gates * q->hidden * (q->input + q->hidden));
    step->kernel = oi_arena_format(p->arena, "recurrent bytes %s", s->kernels->name);
    return ONNX_INFER_OK;
}

const oi_op oi_op_oi_RecurrentBytes = {
    .name = "RecurrentBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 2, .max_in = 4,
    .min_out = 0, .max_out = 3, .attrs = oi_rnn_lowered_attrs, .attr_size = sizeof(oi_rnn_lowered_attr), .infer = oi_rnn_lowered_infer, .eval = oi_rnn_lowered_eval,
    .prepare = prepare,
};

/* --- lowering ------------------------------------------------------------------------------------------------------ */

static oi_status lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    const oi_node n = rw->g->node[id];
    const oi_rnn_attr *a = n.attr;
    oi_tensor described[OI_RNN_INPUTS];
    const oi_tensor *in[OI_RNN_INPUTS];
    bool ready;
    OI_TRY(oi_rnn_describe(rw->g, &n, 1u << OI_RNN_W | 1u << OI_RNN_R | 1u << ZERO | 1u << (SCALE_R + 1), described, in, &ready));
    if (!ready)
        return ONNX_INFER_OK;
    described[OI_RNN_W] = oi_rnn_bytes_form(&described[OI_RNN_W]);
    described[OI_RNN_R] = oi_rnn_bytes_form(&described[OI_RNN_R]);
    oi_rnn_shape s;
    bool each;
    if (!in[SCALE] || !in[SCALE_R + 1])
        return ONNX_INFER_OK;
    OI_TRY(oi_rnn_resolve(n.op, a, in, OI_RNN_SCALES, &s));
    OI_TRY(check_weights(&s, in, OI_RNN_W, &each));
    OI_TRY(check_weights(&s, in, OI_RNN_R, &each));
    if (!oi_rnn_lowers(a, &s, in))
        return ONNX_INFER_OK;
    const oi_value_id weights[7] = {n.in[OI_RNN_W], n.in[OI_RNN_R], n.in[SCALE], n.in[ZERO], n.in[SCALE_R], n.in[SCALE_R + 1], n.in[OI_RNN_B]};
    return oi_rnn_replace(rw, id, target, &s, &oi_op_oi_RecurrentBytes, &oi_op_oi_PackRecurrentBytes, in[OI_RNN_B] ? 7 : 6, weights);
}

const oi_op oi_op_ms_DynamicQuantizeLSTM = {
    .name = "DynamicQuantizeLSTM", .domain = "com.microsoft", .since = 1, .newest = 1, .min_in = 3, .max_in = OI_RNN_INPUTS, .min_out = 0,
    .max_out = 3, .attrs = oi_rnn_lstm_attrs, .attr_size = sizeof(oi_rnn_attr), .infer = oi_rnn_infer, .eval = oi_rnn_eval,
    .lower = lower,
};
