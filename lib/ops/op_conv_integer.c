/* Convolutions of bytes: ConvInteger, QLinearConv. */
#include "base/checked.h"
#include "kernels/bytes.h"
#include "ops/op_conv_bytes.h"
#include "ops/target.h"

#include <string.h>

static const oi_attr_spec attrs[] = {
    {.name = "auto_pad", .type = OI_ATTR_ENUM, .offset = offsetof(oi_conv_attr, window.auto_pad), .s = OI_AUTO_PAD_WORDS},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.dilations)},
    {.name = "group", .type = OI_ATTR_INT, .offset = offsetof(oi_conv_attr, group), .i = 1},
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.kernel_shape)},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.strides)},
    {0},
};

extern const oi_op oi_op_QLinearConv;

/* Places of the inputs that both have. */
typedef struct {
    uint32_t w, x_zero, w_zero;
} conv_inputs;

static conv_inputs inputs_of(const oi_op *op)
{
    return op == &oi_op_QLinearConv ? (conv_inputs){3, 2, 5} : (conv_inputs){1, 2, 3};
}

static oi_status infer(oi_infer *x)
{
    const oi_conv_attr *a = x->attr;
    const oi_fact *in = x->in[0], *w = x->in[inputs_of(x->op).w];
    oi_dtype dtype = x->op == &oi_op_QLinearConv ? x->in[7]->dtype : ONNX_INFER_INT32;
    int32_t rank = in->shape.rank;
    int64_t kernel[OI_WINDOW_MAX];
    oi_window window;
    oi_infer_set_fresh(x, 0, dtype, rank);
    if (rank < 3 || w->shape.rank != rank)
        return ONNX_INFER_OK;
    x->out[0].shape.dim[0] = in->shape.dim[0];
    x->out[0].shape.dim[1] = w->shape.dim[0];
    for (int32_t i = 0; i < rank - 2; i++) {
        if (!oi_dim_is_number(w->shape.dim[2 + i]))
            return ONNX_INFER_OK;
        kernel[i] = w->shape.dim[2 + i];
    }
    OI_TRY(oi_window_init(&a->window, rank - 2, kernel, &window));
    oi_window_infer(x->syms, &a->window, &window, in->shape.dim + 2, x->out[0].shape.dim + 2);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_window window;
    int64_t channels, out_channels, groups; /* channels: of a group */
    const oi_tensor *x, *w, *w_zero;
    int32_t x_zero;
    oi_tensor *y;
    /* of QLinearConv: */
    const oi_tensor *w_scale;
    const int32_t *bias;
    float x_scale, y_scale;
    int32_t y_zero;
} conv_job;

static int32_t byte_at(const oi_tensor *t, int64_t i)
{
    return t->dtype == ONNX_INFER_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

static int64_t pick(const oi_tensor *t, int64_t i)
{
    return oi_tensor_count(t) > 1 ? i : 0;
}

/* The sum at one place of the output; x0, w0: where the group's channels and the channel's weights begin. */
static int32_t sum_at(const conv_job *job, const int64_t *at, int64_t x0, int64_t w0, int32_t w_zero)
{
    const oi_window *w = &job->window;
    int64_t first[OI_WINDOW_MAX], count[OI_WINDOW_MAX], tap[OI_WINDOW_MAX] = {0}, pixels = 1, taps = 1;
    uint32_t sum = 0;
    for (int32_t i = 0; i < w->nd; i++) {
        int64_t last;
        oi_window_taps(w, i, at[i], &first[i], &last);
        count[i] = last - first[i];
        pixels *= w->in[i];
        taps *= w->kernel[i];
        if (count[i] <= 0)
            return 0;
    }
    do {
        int64_t from = 0, with = 0;
        for (int32_t i = 0; i < w->nd; i++) {
            int64_t k = first[i] + tap[i];
            from = from * w->in[i] + at[i] * w->stride[i] - w->begin[i] + k * w->dilation[i];
            with = with * w->kernel[i] + k;
        }
        for (int64_t c = 0; c < job->channels; c++)
            sum += (uint32_t)((byte_at(job->x, x0 + c * pixels + from) - job->x_zero) * (byte_at(job->w, w0 + c * taps + with) - w_zero));
    } while (oi_next_index(w->nd, count, tap));
    return (int32_t)sum;
}

/* One output channel of one sample. */
static oi_status convolve(void *arg, size_t index)
{
    const conv_job *job = arg;
    const oi_window *w = &job->window;
    int64_t oc = (int64_t)index % job->out_channels, n = (int64_t)index / job->out_channels, group = oc / (job->out_channels / job->groups);
    int64_t pixels = oi_dims_count(w->nd, w->in), taps = oi_dims_count(w->nd, w->kernel), outs = oi_dims_count(w->nd, w->out);
    int64_t x0 = (n * job->groups + group) * job->channels * pixels, w0 = oc * job->channels * taps, at[OI_WINDOW_MAX] = {0};
    int32_t w_zero = job->w_zero ? byte_at(job->w_zero, pick(job->w_zero, oc)) : 0;
    float factor = job->w_scale ? job->x_scale * ((const float *)job->w_scale->data)[pick(job->w_scale, oc)] / job->y_scale : 0;
    bool is_signed = job->y->dtype == ONNX_INFER_INT8;
    for (int64_t i = 0; i < outs; i++) {
        int32_t sum = sum_at(job, at, x0, w0, w_zero);
        if (job->w_scale) {
            oi_bytes_requantize(1, &sum, job->bias ? job->bias[oc] : 0, &factor, 0, job->y_zero, is_signed,
                                (uint8_t *)job->y->data + (int64_t)index * outs + i);
        } else {
            ((int32_t *)job->y->data)[(int64_t)index * outs + i] = sum;
        }
        oi_next_index(w->nd, w->out, at);
    }
    return ONNX_INFER_OK;
}

static bool is_byte(const oi_tensor *t)
{
    return t && (t->dtype == ONNX_INFER_INT8 || t->dtype == ONNX_INFER_UINT8);
}

/* What QLinearConv has beside: scales, the output's zero point, a bias. */
static oi_status read_scales(oi_eval *e, conv_job *job, oi_dtype *dtype)
{
    const oi_tensor *bias = oi_eval_in(e, 8);
    float scale[2] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        static const uint32_t places[] = {1, 6, 4};
        const oi_tensor *t = oi_eval_in(e, places[i]);
        if (!t || t->dtype != ONNX_INFER_FLOAT)
            return oi_eval_bad_type(e, places[i]);
        int64_t n = oi_tensor_count(t);
        OI_FAIL_IF(n != 1 && (i < 2 || n != job->out_channels), ONNX_INFER_E_SHAPE_MISMATCH, "QLinearConv: input %u has %lld elements",
                   places[i], (long long)n);
        if (i < 2)
            scale[i] = *(const float *)t->data;
        else
            job->w_scale = t;
    }
    const oi_tensor *zero = oi_eval_in(e, 7);
    if (!is_byte(zero) || oi_tensor_count(zero) != 1)
        return oi_eval_bad_type(e, 7);
    if (bias && (bias->dtype != ONNX_INFER_INT32 || oi_tensor_count(bias) != job->out_channels))
        return oi_eval_bad_type(e, 8);
    job->y_zero = byte_at(zero, 0);
    job->bias = bias ? bias->data : NULL;
    job->x_scale = scale[0];
    job->y_scale = scale[1];
    *dtype = zero->dtype;
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_conv_attr *a = e->attr;
    conv_inputs in = inputs_of(e->op);
    const oi_tensor *x = oi_eval_in(e, 0), *w = oi_eval_in(e, in.w), *x_zero = oi_eval_in(e, in.x_zero), *w_zero = oi_eval_in(e, in.w_zero);
    oi_dtype dtype = ONNX_INFER_INT32;
    if (!is_byte(x) || !is_byte(w))
        return oi_eval_bad_type(e, is_byte(x) ? in.w : 0);
    if (x_zero && (x_zero->dtype != x->dtype || oi_tensor_count(x_zero) != 1))
        return oi_eval_bad_type(e, in.x_zero);
    OI_FAIL_IF(x->rank < 3 || w->rank != x->rank, ONNX_INFER_E_SHAPE_MISMATCH, "%s: the input has rank %d, the weights have rank %d",
               e->op->name, (int)x->rank, (int)w->rank);
    conv_job job = {.x = x, .w = w, .w_zero = w_zero, .groups = a->group, .x_zero = x_zero ? byte_at(x_zero, 0) : 0};
    OI_TRY(oi_window_init(&a->window, x->rank - 2, w->dim + 2, &job.window));
    OI_TRY(oi_conv_check(a, false, x->dim, w->rank, w->dim, &job.out_channels));
    OI_TRY(oi_window_resolve(&a->window, x->dim + 2, &job.window));
    job.channels = w->dim[1];
    if (w_zero && (w_zero->dtype != w->dtype || (oi_tensor_count(w_zero) != 1 && oi_tensor_count(w_zero) != job.out_channels)))
        return oi_eval_bad_type(e, in.w_zero);
    if (e->op == &oi_op_QLinearConv)
        OI_TRY(read_scales(e, &job, &dtype));
    int64_t dims[OI_MAX_RANK] = {x->dim[0], job.out_channels};
    for (int32_t i = 2; i < x->rank; i++)
        dims[i] = job.window.out[i - 2];
    OI_TRY(oi_eval_out(e, 0, dtype, x->rank, dims, &job.y));
    return e->host->parallel(e, (size_t)(dims[0] * dims[1]), convolve, &job);
}

/* --- the fast path: the weights of a group times columns of the input, a panel of places at a time --- */

enum { BLOCK_ROWS = 48, TASK_PRODUCTS = 1 << 20 };

typedef struct {
    oi_window window;
    const oi_kernels *kernels;
    size_t images, channels, out_channels, groups; /* channels: of a group */
    size_t taps, places, k;                        /* k: channels * taps */
    size_t plane;                                  /* bytes of a channel with its pads */
    const int32_t *place, *tap;                    /* where each place and each tap begins in it */
    bool x_signed, w_signed, w_zero_many, w_scale_many;
    const uint8_t *weights;                        /* packed rows of all groups, then their sums; NULL: phase 0 packs */
    size_t depth, sums;                            /* bytes of a packed row; where the sums begin */
    size_t input;                                  /* of the workspace: where the padded input begins */
    size_t panels, chunk, chunks;                  /* of an image's places; panels of a task, tasks along them */
    size_t panel, block;                           /* of the thread's workspace: behind the columns, the panel and the results */
} fast_state;

static void pack_weights(const fast_state *f, const void *w, size_t group, uint8_t *to)
{
    const size_t rows = f->out_channels / f->groups, first = group * rows;
    oi_bytes_pack_a(rows, f->k, (const uint8_t *)w + first * f->k, f->k, f->w_signed, to + first * f->depth,
                    (int32_t *)(void *)(to + f->sums) + first);
}

enum { RUNS = 8, SPARE = 64 };

/* One channel of one image with its pads. */
static void pad_plane(const fast_state *f, const uint8_t *x, uint8_t pad, uint8_t *to)
{
    const oi_window *w = &f->window;
    const int32_t last = w->nd - 1;
    int64_t at[OI_WINDOW_MAX] = {0};
    memset(to, pad, f->plane);
    do {
        int64_t row = 0;
        for (int32_t i = 0; i < w->nd; i++)
            row = row * (w->in[i] + w->begin[i] + w->end[i]) + w->begin[i] + (i < last ? at[i] : 0);
        memcpy(to + row, x, (size_t)w->in[last]);
        x += w->in[last];
    } while (oi_next_index(last, w->in, at));
}

/* The input under each tap for n places from `first` on: k rows of OI_BYTES_COLUMNS bytes. Places that lie one behind the
 * other are copied by whole rows, from left to right: what a copy writes too much is overwritten by the next. */
static void gather(const fast_state *f, const uint8_t *x, size_t first, size_t n, uint8_t *columns)
{
    const int32_t *place = f->place + first;
    size_t start[RUNS], runs = 0;
    for (size_t j = 0; j < n && runs <= RUNS; j++) {
        if (j > 0 && place[j] == place[j - 1] + 1)
            continue;
        if (runs < RUNS)
            start[runs] = j;
        runs++;
    }
    if (n < OI_BYTES_COLUMNS)
        memset(columns, 0, f->k * OI_BYTES_COLUMNS);
    for (size_t c = 0; c < f->channels; c++, x += f->plane) {
        for (size_t t = 0; t < f->taps; t++, columns += OI_BYTES_COLUMNS) {
            const uint8_t *from = x + f->tap[t];
            for (size_t i = 0; i < runs && runs <= RUNS; i++)
                memcpy(columns + start[i], from + place[start[i]], OI_BYTES_COLUMNS);
            for (size_t j = 0; j < n && runs > RUNS; j++)
                columns[j] = from[place[j]];
        }
    }
}

typedef struct {
    const uint8_t *x;
    int32_t x_zero;
    const void *w_zero;
    const int32_t *bias;      /* of QLinearConv, as what follows */
    const float *w_scale;
    float x_scale, y_scale;
    int32_t y_zero;
    bool quantized, y_signed;
} conv_data;

static int32_t byte_of(bool is_signed, const void *data, size_t i)
{
    return is_signed ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
}

static void multiply_panel(const fast_state *f, const conv_data *d, const uint8_t *weights, size_t image, size_t group, size_t first, size_t n,
                           const oi_run *r)
{
    uint8_t *columns = r->thread_workspace, *panel = columns + f->panel;
    int32_t *block = (int32_t *)(void *)(columns + f->block), w_zero[BLOCK_ROWS];
    const size_t rows = f->out_channels / f->groups;
    gather(f, d->x + (image * f->groups + group) * f->channels * f->plane, first, n, columns);
    oi_bytes_pack(f->k, OI_BYTES_COLUMNS, columns, OI_BYTES_COLUMNS, f->x_signed, panel);
    for (size_t i = 0; i < rows; i += BLOCK_ROWS) {
        const size_t some = rows - i < BLOCK_ROWS ? rows - i : BLOCK_ROWS, channel = group * rows + i;
        for (size_t t = 0; t < some; t++)
            w_zero[t] = d->w_zero ? byte_of(f->w_signed, d->w_zero, f->w_zero_many ? channel + t : 0) : 0;
        const oi_bytes_args args = {.m = some, .k = f->k, .a = weights + channel * f->depth,
                                    .a_sums = (const int32_t *)(const void *)(weights + f->sums) + channel, .panel = panel,
                                    .a_signed = f->w_signed, .b_signed = f->x_signed, .a_zero = w_zero, .a_zero_step = 1,
                                    .b_zero = &d->x_zero, .c = block, .ldc = OI_BYTES_COLUMNS};
        oi_bytes_multiply(f->kernels, &args);
        for (size_t t = 0; t < some; t++) {
            const size_t to = (image * f->out_channels + channel + t) * f->places + first;
            const int32_t *sum = block + t * OI_BYTES_COLUMNS;
            if (d->quantized) {
                const float factor = d->x_scale * d->w_scale[f->w_scale_many ? channel + t : 0] / d->y_scale;
                oi_bytes_requantize(n, sum, d->bias ? d->bias[channel + t] : 0, &factor, 0, d->y_zero, d->y_signed, (uint8_t *)r->out[0] + to);
            } else {
                memcpy((int32_t *)r->out[0] + to, sum, n * sizeof *sum);
            }
        }
    }
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const fast_state *f = r->step->state;
    const conv_inputs in = inputs_of(r->step->op);
    const size_t planes = f->images * f->groups * f->channels, packing = planes + (f->weights ? 0 : f->groups);
    const void *x_zero = in.x_zero < r->step->nin ? r->in[in.x_zero] : NULL;
    uint8_t *room = r->workspace, *input = room + f->input;
    conv_data d = {.x = input, .x_zero = x_zero ? byte_of(f->x_signed, x_zero, 0) : 0,
                   .w_zero = in.w_zero < r->step->nin ? r->in[in.w_zero] : NULL, .quantized = r->step->op == &oi_op_QLinearConv};
    if (task < planes) {
        pad_plane(f, (const uint8_t *)r->in[0] + task * (size_t)oi_dims_count(f->window.nd, f->window.in), (uint8_t)d.x_zero,
                  input + task * f->plane);
        return ONNX_INFER_OK;
    }
    if (task < packing) {
        pack_weights(f, r->in[in.w], task - planes, room);
        return ONNX_INFER_OK;
    }
    const uint8_t *weights = f->weights ? f->weights : room;
    if (d.quantized) {
        d.y_signed = r->step->out[0].dtype == ONNX_INFER_INT8;
        d.y_zero = byte_of(d.y_signed, r->in[7], 0);
        d.x_scale = *(const float *)r->in[1];
        d.y_scale = *(const float *)r->in[6];
        d.w_scale = r->in[4];
        d.bias = r->step->nin > 8 ? r->in[8] : NULL;
    }
    const size_t work = task - packing, image = work / (f->groups * f->chunks), group = work / f->chunks % f->groups;
    const size_t from = work % f->chunks * f->chunk, end = from + f->chunk < f->panels ? from + f->chunk : f->panels;
    for (size_t i = from; i < end; i++) {
        const size_t first = i * OI_BYTES_COLUMNS, left = f->places - first;
        multiply_panel(f, &d, weights, image, group, first, left < OI_BYTES_COLUMNS ? left : OI_BYTES_COLUMNS, r);
    }
    return ONNX_INFER_OK;
}

/* Inputs that eval would refuse are left to it. */
static bool acceptable(const oi_step *step, const conv_inputs *in, size_t out_channels)
{
    const oi_tensor *x = &step->in[0], *w = &step->in[in->w];
    for (uint32_t i = 0; i < step->nin; i++) {
        const oi_tensor *t = &step->in[i];
        const size_t n = t->dtype ? (size_t)oi_tensor_count(t) : 0;
        const bool left_out = !t->dtype, scale = step->op == &oi_op_QLinearConv && (i == 1 || i == 4 || i == 6);
        if (left_out || i == 0 || i == in->w)
            continue;
        if (scale ? t->dtype != ONNX_INFER_FLOAT || (n != 1 && (i != 4 || n != out_channels))
            : i == 8 ? t->dtype != ONNX_INFER_INT32 || n != out_channels
            : i == in->x_zero ? t->dtype != x->dtype || n != 1
            : i == in->w_zero ? t->dtype != w->dtype || (n != 1 && n != out_channels)
                              : !is_byte(t) || n != 1)
            return false;
    }
    for (uint32_t i = 0; step->op == &oi_op_QLinearConv && i < 8; i++) {
        if (!step->in[i].dtype && i != in->x_zero && i != in->w_zero)
            return false;
    }
    return is_byte(x) && is_byte(w) && x->rank >= 3 && w->rank == x->rank;
}

/* Where places and taps begin in a padded channel; false where that is too large for this path. */
static bool lay_out(fast_state *f, oi_arena *arena, oi_status *status)
{
    const oi_window *w = &f->window;
    int64_t size[OI_WINDOW_MAX], at[OI_WINDOW_MAX] = {0}, plane = 1;
    for (int32_t i = 0; i < w->nd; i++) {
        size[i] = w->in[i] + w->begin[i] + w->end[i];
        if (!oi_mul_i64(plane, size[i], &plane) || plane > INT32_MAX)
            return false;
    }
    int32_t *place = oi_arena_array(arena, f->places, sizeof *place), *tap = oi_arena_array(arena, f->taps, sizeof *tap);
    *status = place && tap ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    if (*status)
        return false;
    for (size_t n = 0; n < f->places; n++, oi_next_index(w->nd, w->out, at)) {
        int64_t to = 0;
        for (int32_t i = 0; i < w->nd; i++)
            to = to * size[i] + at[i] * w->stride[i];
        place[n] = (int32_t)to;
    }
    memset(at, 0, sizeof at);
    for (size_t n = 0; n < f->taps; n++, oi_next_index(w->nd, w->kernel, at)) {
        int64_t to = 0;
        for (int32_t i = 0; i < w->nd; i++)
            to = to * size[i] + at[i] * w->dilation[i];
        tap[n] = (int32_t)to;
    }
    f->plane = (size_t)plane;
    f->place = place;
    f->tap = tap;
    return true;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_conv_attr *a = step->attr;
    const conv_inputs in = inputs_of(step->op);
    const oi_tensor *x = &step->in[0], *w = &step->in[in.w];
    oi_status status = ONNX_INFER_OK;
    int64_t oc;
    if (!acceptable(step, &in, (size_t)w->dim[0]) || oi_tensor_count(&step->out[0]) == 0 || oi_tensor_count(w) == 0)
        return ONNX_INFER_OK;
    fast_state *f = oi_arena_mem(p->arena, sizeof *f);
    if (!f)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_window_init(&a->window, x->rank - 2, w->dim + 2, &f->window));
    OI_TRY(oi_conv_check(a, false, x->dim, w->rank, w->dim, &oc));
    OI_TRY(oi_window_resolve(&a->window, x->dim + 2, &f->window));
    const int32_t nd = f->window.nd;
    f->kernels = p->target->kernels;
    f->images = (size_t)x->dim[0], f->channels = (size_t)w->dim[1], f->out_channels = (size_t)oc, f->groups = (size_t)a->group;
    f->taps = (size_t)oi_dims_count(nd, f->window.kernel), f->places = (size_t)oi_dims_count(nd, f->window.out);
    f->k = f->channels * f->taps;
    f->x_signed = x->dtype == ONNX_INFER_INT8, f->w_signed = w->dtype == ONNX_INFER_INT8;
    f->w_zero_many = in.w_zero < step->nin && step->in[in.w_zero].dtype && oi_tensor_count(&step->in[in.w_zero]) > 1;
    f->w_scale_many = step->op == &oi_op_QLinearConv && oi_tensor_count(&step->in[4]) > 1;
    if (f->k > INT32_MAX / 64 || !lay_out(f, p->arena, &status))
        return status;
    f->depth = oi_bytes_depth(f->k);
    f->sums = (f->out_channels * f->depth + 63) / 64 * 64;
    f->panels = (f->places + OI_BYTES_COLUMNS - 1) / OI_BYTES_COLUMNS;
    const size_t products = f->out_channels / f->groups * f->k * OI_BYTES_COLUMNS, most = TASK_PRODUCTS / (products ? products : 1);
    f->chunk = most < 1 ? 1 : most < f->panels ? most : f->panels;
    f->chunks = (f->panels + f->chunk - 1) / f->chunk;
    const size_t planes = f->images * f->groups * f->channels, packed = f->sums + f->out_channels * sizeof(int32_t);
    size_t tasks, bytes, packing = planes;
    if (!oi_mul_size(f->images * f->groups, f->chunks, &tasks) || tasks > INT32_MAX / 4 || planes > INT32_MAX / 4 ||
        !oi_mul_size(planes, f->plane, &bytes) || !oi_add_size(bytes, SPARE, &bytes))
        return ONNX_INFER_OK;
    if (w->data) {
        uint8_t *to = oi_arena_mem(p->arena, packed);
        if (!to)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (size_t g = 0; g < f->groups; g++)
            pack_weights(f, w->data, g, to);
        f->weights = to;
    } else {
        f->input = (packed + 63) / 64 * 64;
        packing += f->groups;
    }
    step->workspace = f->input + bytes;
    step->phases = 2;
    step->phase_end[0] = (uint32_t)packing;
    step->phase_end[1] = step->n_tasks = (uint32_t)(packing + tasks);
    f->panel = (f->k * OI_BYTES_COLUMNS + SPARE + 63) / 64 * 64;
    f->block = f->panel + (oi_bytes_panel_size(f->k) + 63) / 64 * 64;
    step->thread_workspace = f->block + BLOCK_ROWS * OI_BYTES_COLUMNS * sizeof(int32_t);
    step->kernel = "bytes";
    step->state = f;
    step->flops = 2 * (uint64_t)f->images * f->out_channels * f->places * f->k;
    step->run = run;
    return ONNX_INFER_OK;
}

const oi_op oi_op_ConvInteger = {
    .name = "ConvInteger", .domain = "", .since = 10, .newest = 10, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(oi_conv_attr), .infer = infer, .eval = eval, .prepare = prepare,
};
const oi_op oi_op_QLinearConv = {
    .name = "QLinearConv", .domain = "", .since = 10, .newest = 10, .min_in = 8, .max_in = 9, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(oi_conv_attr), .infer = infer, .eval = eval, .prepare = prepare, .lower = oi_qlinear_conv_lower,
};
