/* DynamicQuantizeLSTM: weights of bytes with scales, X and the states as bytes with a scale chosen when running. */
#include "base/checked.h"
#include "kernels/bytes.h"
#include "ops/op_rnn.h"
#include "ops/target.h"

#include <string.h>

enum { SCALE = 8, ZERO = 9, SCALE_R = 10, INPUTS = 12 }; /* inputs: those of W's scales and zero points; R's follow */

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

/* --- the fast path: products of bytes --- */

enum { TASK_PRODUCTS = 1 << 20 };

/* W or R of a direction. Arrays have an element for each column of the panels. */
typedef struct {
    const uint8_t *panel;
    const int32_t *zero; /* NULL: zeros */
    const float *scale;
} weights;

typedef struct {
    float scale, zero; /* of X */
} header;

typedef struct {
    oi_rnn_shape shape;
    const oi_kernels *kernels;
    weights w[2], r[2];
    const float *bias[2];          /* of each column; zeros without one */
    size_t panels, columns;        /* of a direction's gates */
    size_t chunk, chunks;          /* panels of a task */
    size_t x_at, sums_at, gates_at, state_at; /* in the workspace: X, its rows' sums, its products, states */
    size_t state;                  /* bytes of a direction's state */
} bytes_state;

/* A direction's state. */
typedef struct {
    float *h, *c, *z;
    uint8_t *seen; /* h as bytes */
    int32_t *sums;
} lane;

static size_t whole_lines(size_t bytes)
{
    return (bytes + OI_ALIGN - 1) / OI_ALIGN * OI_ALIGN;
}

static lane lane_of(const bytes_state *s, const oi_run *r, int64_t dir)
{
    const size_t batch = (size_t)s->shape.batch, hidden = (size_t)s->shape.hidden, cells = whole_lines(batch * hidden * sizeof(float));
    char *at = (char *)r->workspace + s->state_at + (size_t)dir * s->state;
    lane l = {.h = (float *)(void *)at};
    l.c = (float *)(void *)(at += cells);
    l.z = (float *)(void *)(at += cells);
    l.seen = (uint8_t *)(at += batch * s->columns * sizeof(float));
    l.sums = (int32_t *)(void *)(at + whole_lines(batch * oi_bytes_depth(hidden)));
    return l;
}

static float *gates_of(const bytes_state *s, const oi_run *r, int64_t dir)
{
    size_t rows = (size_t)(s->shape.seq * s->shape.batch);
    return (float *)(void *)((char *)r->workspace + s->gates_at) + (size_t)dir * rows * s->columns;
}

static void recur(const bytes_state *s, const oi_run *r, int64_t dir)
{
    const oi_rnn_shape *q = &s->shape;
    const weights *w = &s->r[dir];
    const size_t batch = (size_t)q->batch, hidden = (size_t)q->hidden, cells = batch * hidden;
    const lane l = lane_of(s, r, dir);
    const float *h0 = r->step->nin > 5 ? r->in[5] : NULL, *c0 = r->step->nin > 6 ? r->in[6] : NULL;
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
            .m = batch, .k = hidden, .panels = s->panels, .a = l.seen, .a_sums = l.sums, .a_zero = (int32_t)zero, .panel = w->panel,
            .b_zero = w->zero, .scale = w->scale, .factor = scale, .add = gates + t * batch * s->columns, .ld_add = s->columns,
            .y = l.z, .ldy = s->columns};
        oi_bytes_multiply_floats(s->kernels, &args);
        oi_rnn_lstm_gates(s->kernels, batch, hidden, l.z, s->columns, l.h, l.c);
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
    const size_t dir = (task - 1) / s->chunks, first = (task - 1) % s->chunks * s->chunk, left = s->panels - first;
    const size_t column = first * OI_BYTES_COLUMNS;
    const weights *w = &s->w[dir];
    const oi_bytes_float_args args = {
        .m = rows, .k = (size_t)s->shape.input, .panels = left < s->chunk ? left : s->chunk, .a = x, .a_sums = sums,
        .a_zero = (int32_t)head->zero, .panel = w->panel + first * oi_bytes_panel_size((size_t)s->shape.input),
        .b_zero = w->zero ? w->zero + column : NULL, .scale = w->scale + column, .factor = head->scale, .add = s->bias[dir] + column,
        .y = gates_of(s, r, (int64_t)dir) + column, .ldy = s->columns};
    oi_bytes_multiply_floats(s->kernels, &args);
    return ONNX_INFER_OK;
}

/* The next `bytes` of zeroed memory; with *room NULL they are only counted. */
static void *take(char **room, size_t *taken, size_t bytes)
{
    void *at = *room ? *room + *taken : NULL;
    *taken += whole_lines(bytes);
    return at;
}

static void pack(const bytes_state *s, const oi_tensor *const *in, uint32_t at, int64_t dir, char **room, size_t *taken, weights *out)
{
    const oi_tensor *w = in[at], *scale = in[at == 1 ? SCALE : SCALE_R], *zero = in[at == 1 ? ZERO : SCALE_R + 1];
    const size_t k = (size_t)(at == 1 ? s->shape.input : s->shape.hidden), gates = (size_t)(s->shape.gates * s->shape.hidden);
    const int32_t middle = w->dtype == ONNX_INFER_UINT8 ? 128 : 0;
    const uint8_t *from = (const uint8_t *)w->data + (size_t)dir * k * gates;
    uint8_t *panel = take(room, taken, s->panels * oi_bytes_panel_size(k));
    int32_t *zeros = take(room, taken, s->columns * sizeof *zeros);
    float *scales = take(room, taken, s->columns * sizeof *scales);
    bool each = oi_tensor_count(scale) != s->shape.dirs, any = false;
    if (!*room)
        return;
    oi_bytes_pack(k, gates, from, gates, !middle, panel);
    for (size_t i = 0; i < gates; i++) {
        const int64_t n = each ? dir * (int64_t)gates + (int64_t)i : dir;
        scales[i] = ((const float *)scale->data)[n];
        zeros[i] = byte_at(zero, n) - middle;
        any = any || zeros[i];
    }
    *out = (weights){panel, any ? zeros : NULL, scales};
}

static void sum_bias(const bytes_state *s, const oi_tensor *bias, int64_t dir, char **room, size_t *taken, const float **out)
{
    int64_t gates = s->shape.gates * s->shape.hidden;
    float *sum = take(room, taken, s->columns * sizeof *sum);
    for (int64_t i = 0; sum && bias && i < gates; i++) {
        const float *b = (const float *)bias->data + dir * 2 * gates + i;
        sum[i] = b[0] + b[gates];
    }
    *out = sum;
}

/* All that runs read beside their inputs. Memory for it is asked for once, so that much of it comes in big pages. */
static oi_status pack_all(oi_prepare *p, bytes_state *s, const oi_tensor *const *in)
{
    char *room = NULL;
    size_t taken = 0;
    bool each;
    OI_TRY(check_weights(&s->shape, in, 1, &each));
    OI_TRY(check_weights(&s->shape, in, 2, &each));
    for (int turn = 0; turn < 2; turn++) {
        for (int64_t dir = 0; dir < s->shape.dirs; dir++) {
            pack(s, in, 1, dir, &room, &taken, &s->w[dir]);
            pack(s, in, 2, dir, &room, &taken, &s->r[dir]);
            sum_bias(s, in[3], dir, &room, &taken, &s->bias[dir]);
        }
        if (turn == 0 && !(room = oi_arena_mem(p->arena, taken + OI_ALIGN)))
            return ONNX_INFER_E_OUT_OF_MEMORY;
        room += turn == 0 ? (OI_ALIGN - (uintptr_t)room % OI_ALIGN) % OI_ALIGN : 0;
        taken = 0;
    }
    return ONNX_INFER_OK;
}

static oi_status lay_out(oi_step *step, bytes_state *s)
{
    const oi_rnn_shape *q = &s->shape;
    const size_t batch = (size_t)q->batch, hidden = (size_t)q->hidden, input = (size_t)q->input;
    size_t rows, x, gates, states, all;
    s->panels = ((size_t)q->gates * hidden + OI_BYTES_COLUMNS - 1) / OI_BYTES_COLUMNS;
    s->columns = s->panels * OI_BYTES_COLUMNS;
    const bool fits = oi_mul_size((size_t)q->seq, batch, &rows) && oi_mul_size(rows, oi_bytes_depth(input), &x) &&
                      oi_mul_size(rows * sizeof(float), s->columns, &gates) && oi_mul_size(gates, 2, &all) && all < SIZE_MAX / 4 &&
                      oi_mul_size(batch, s->columns * 8 + 1, &states) && states < SIZE_MAX / 64 && x < SIZE_MAX / 64;
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "%lld steps of %lld samples", (long long)q->seq, (long long)q->batch);
    s->x_at = whole_lines(sizeof(header));
    s->sums_at = s->x_at + whole_lines(x);
    s->gates_at = s->sums_at + whole_lines(rows * sizeof(int32_t));
    s->state_at = s->gates_at + (size_t)q->dirs * gates;
    s->state = 2 * whole_lines(batch * hidden * sizeof(float)) + batch * s->columns * sizeof(float) +
               whole_lines(batch * oi_bytes_depth(hidden)) + whole_lines(batch * sizeof(int32_t));
    step->workspace = s->state_at + (size_t)q->dirs * s->state;
    const size_t products = rows * (input > 0 ? input : 1) * OI_BYTES_COLUMNS;
    s->chunk = products < TASK_PRODUCTS ? TASK_PRODUCTS / products : 1;
    s->chunk = s->chunk < s->panels ? s->chunk : s->panels;
    s->chunks = (s->panels + s->chunk - 1) / s->chunk;
    step->phases = 3;
    step->phase_end[0] = 1;
    step->phase_end[1] = 1 + (uint32_t)((size_t)q->dirs * s->chunks);
    step->phase_end[2] = step->phase_end[1] + (uint32_t)q->dirs;
    step->n_tasks = step->phase_end[2];
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_rnn_attr *a = step->attr;
    const oi_tensor *in[INPUTS] = {NULL};
    for (uint32_t i = 0; i < step->nin && i < INPUTS; i++)
        in[i] = step->in[i].dtype ? &step->in[i] : NULL;
    for (uint32_t i = 0; i < INPUTS; i++) {
        const bool fixed = i == 1 || i == 2 || i >= SCALE;
        const bool bytes = i == 1 || i == 2 || i == ZERO || i == SCALE_R + 1;
        if (fixed ? !in[i] || !in[i]->data : i == 3 && in[i] && !in[i]->data)
            return ONNX_INFER_OK;
        if (in[i] && !bytes && in[i]->dtype != ONNX_INFER_FLOAT)
            return ONNX_INFER_OK;
    }
    if (in[4] || in[7] || a->clip > 0 || a->input_forget)
        return ONNX_INFER_OK;
    bytes_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const oi_tensor w = oi_rnn_bytes_form(in[1]), r = oi_rnn_bytes_form(in[2]);
    in[1] = &w;
    in[2] = &r;
    OI_TRY(oi_rnn_resolve(step->op, a, in, 8, &s->shape));
    const oi_rnn_shape *q = &s->shape;
    if (!oi_rnn_usual(q) || q->seq * q->batch == 0 || q->hidden == 0 || q->input == 0 || q->input > INT32_MAX / 4 || q->hidden > INT32_MAX / 64)
        return ONNX_INFER_OK;
    s->kernels = p->target->kernels;
    OI_TRY(lay_out(step, s));
    OI_TRY(pack_all(p, s, in));
    step->state = s;
    step->run = run;
    step->flops = 2 * (uint64_t)(q->dirs * q->seq * q->batch * q->gates * q->hidden * (q->input + q->hidden));
    step->kernel = oi_arena_format(p->arena, "recurrent bytes %s", s->kernels->name);
    return ONNX_INFER_OK;
}

const oi_op oi_op_ms_DynamicQuantizeLSTM = {
    .name = "DynamicQuantizeLSTM", .domain = "com.microsoft", .since = 1, .newest = 1, .min_in = 3, .max_in = INPUTS, .min_out = 0,
    .max_out = 3, .attrs = oi_rnn_lstm_attrs, .attr_size = sizeof(oi_rnn_attr), .infer = oi_rnn_infer, .eval = oi_rnn_eval,
    .prepare = prepare,
};
