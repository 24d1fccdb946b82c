/* Between plain and blocked layout: ReorderToBlocked and ReorderFromBlocked, for elements of four bytes. */
#include "ops/eval_prepared.h"
#include "ops/op_conv_blocked.h"

#include <string.h>

static const oi_attr_spec to_attrs[] = {
    {.name = "block", .type = OI_ATTR_INT, .offset = offsetof(oi_to_blocked_attr, block), .flags = OI_ATTR_REQUIRED},
    {.name = "channels_last", .type = OI_ATTR_INT, .offset = offsetof(oi_to_blocked_attr, channels_last)},
    {0},
};
static const oi_attr_spec from_attrs[] = {
    {.name = "channels", .type = OI_ATTR_INT, .offset = offsetof(oi_from_blocked_attr, channels),
     .flags = OI_ATTR_REQUIRED},
    {.name = "rank", .type = OI_ATTR_INT, .offset = offsetof(oi_from_blocked_attr, rank), .i = 4},
    {.name = "channels_last", .type = OI_ATTR_INT, .offset = offsetof(oi_from_blocked_attr, channels_last)},
    {.name = "space", .type = OI_ATTR_INT, .offset = offsetof(oi_from_blocked_attr, space), .i = 1},
    {.name = "crd", .type = OI_ATTR_INT, .offset = offsetof(oi_from_blocked_attr, crd)},
    {0},
};

/* The axis of a plain tensor's channels, and those of its height and width (one axis stands for both in rank 3). */
typedef struct {
    int32_t channels, height, width;
} plain_axes;

static plain_axes axes_of(int32_t rank, bool channels_last)
{
    return channels_last ? (plain_axes){rank - 1, 1, rank - 2} : (plain_axes){1, rank - 2, rank - 1};
}

static oi_status infer_to(oi_infer *x)
{
    const oi_to_blocked_attr *a = x->attr;
    const oi_shape *in = &x->in[0]->shape;
    OI_FAIL_IF(in->rank != 3 && in->rank != 4, ONNX_INFER_E_INTERNAL, "input 0 has rank %d", in->rank);
    OI_FAIL_IF(a->block < 1, ONNX_INFER_E_INTERNAL, "attribute block is %lld", (long long)a->block);
    const plain_axes at = axes_of(in->rank, a->channels_last != 0);
    oi_dim dims[5] = {in->dim[0], oi_dim_ceildiv(x->syms, in->dim[at.channels], a->block),
                      in->rank == 4 ? in->dim[at.height] : 1, in->dim[at.width], a->block};
    oi_infer_set(x, 0, x->in[0]->dtype, 5, dims);
    return ONNX_INFER_OK;
}

static void plain_dims(const oi_from_blocked_attr *a, const int64_t *blocked, int64_t *dims)
{
    const plain_axes at = axes_of((int32_t)a->rank, a->channels_last != 0);
    dims[0] = blocked[0];
    dims[at.height] = blocked[2];
    dims[at.width] = blocked[3];
    dims[at.channels] = a->channels;
}

static oi_status infer_from(oi_infer *x)
{
    const oi_from_blocked_attr *a = x->attr;
    const oi_shape *in = &x->in[0]->shape;
    OI_FAIL_IF(in->rank != 5 || a->rank < 3 || a->rank > 4, ONNX_INFER_E_INTERNAL, "input 0 has rank %d", in->rank);
    OI_FAIL_IF(a->space < 1 || (a->space > 1 && (a->rank != 4 || a->channels_last)), ONNX_INFER_E_INTERNAL, "attribute space is %lld",
               (long long)a->space);
    oi_dim dims[4];
    plain_dims(a, in->dim, dims);
    for (int32_t i = 2; i < 4 && a->space > 1; i++)
        dims[i] = oi_dim_mul(x->syms, dims[i], a->space);
    oi_infer_set(x, 0, x->in[0]->dtype, (int32_t)a->rank, dims);
    return ONNX_INFER_OK;
}

/* A task is one run of whole blocks of one image. */
typedef struct {
    const oi_kernels *kernels;
    size_t channels, pixels, block, blocks, per_task, tasks_per_image;
} reorder_state;

enum { BYTES_PER_TASK = 1 << 16 };

static oi_status prepare(oi_prepare *p, size_t channels, const int64_t *blocked, oi_run_fn run, const char *kernel)
{
    oi_step *step = p->step;
    reorder_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->kernels = p->target->kernels;
    if (step->in[0].dtype != ONNX_INFER_FLOAT || (size_t)blocked[4] != s->kernels->vl)
        return ONNX_INFER_OK;
    s->channels = channels;
    s->block = (size_t)blocked[4];
    s->blocks = (size_t)blocked[1];
    s->pixels = (size_t)(blocked[2] * blocked[3]);
    size_t bytes = s->pixels * s->block * sizeof(float);
    s->per_task = bytes && bytes < BYTES_PER_TASK ? BYTES_PER_TASK / bytes : 1;
    s->tasks_per_image = (s->blocks + s->per_task - 1) / s->per_task;
    step->state = s;
    step->run = run;
    step->n_tasks = (uint32_t)((size_t)blocked[0] * s->tasks_per_image);
    step->kernel = kernel;
    return ONNX_INFER_OK;
}

typedef struct {
    size_t channels, plain, blocked; /* channels of the task's blocks; where they begin on each side */
} reorder_part;

static reorder_part part_of(const reorder_state *s, uint32_t task)
{
    size_t image = task / s->tasks_per_image, first = task % s->tasks_per_image * s->per_task;
    size_t last = first + s->per_task < s->blocks ? first + s->per_task : s->blocks;
    size_t end = last * s->block < s->channels ? last * s->block : s->channels;
    return (reorder_part){
        .channels = end - first * s->block,
        .plain = (image * s->channels + first * s->block) * s->pixels,
        .blocked = (image * s->blocks + first) * s->pixels * s->block,
    };
}

/* Blocks of large images are gone through in parts, so that a run can be stopped between them. */
static oi_status run_parts(const oi_run *r, uint32_t task, bool to)
{
    enum { PIXELS = 1 << 14 };
    const reorder_state *s = r->step->state;
    reorder_part part = part_of(s, task);
    size_t step = s->pixels > 2 * PIXELS ? PIXELS : s->pixels ? s->pixels : 1;
    const float *x = (const float *)r->in[0] + (to ? part.plain : part.blocked);
    float *y = (float *)r->out[0] + (to ? part.blocked : part.plain);
    for (size_t at = 0; at < s->pixels && !oi_stopped(r->stop); at += step) {
        size_t n = s->pixels - at < step ? s->pixels - at : step;
        if (to)
            s->kernels->to_blocked(part.channels, s->pixels, n, x + at, y + at * s->block);
        else
            s->kernels->from_blocked(part.channels, s->pixels, n, x + at * s->block, y + at);
    }
    return ONNX_INFER_OK;
}

static oi_status run_to(const oi_run *r, uint32_t task)
{
    return run_parts(r, task, true);
}

static oi_status run_from(const oi_run *r, uint32_t task)
{
    return run_parts(r, task, false);
}

/* --- channels last: a task is a run of pixels of one image --------------------------------------------------------------- */

typedef struct {
    size_t channels, pixels, block, blocks, per_task, tasks_per_image;
} last_state;

static oi_status prepare_last(oi_prepare *p, size_t channels, const int64_t *blocked, oi_run_fn run, const char *kernel)
{
    oi_step *step = p->step;
    last_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (oi_dtype_size(step->in[0].dtype) != sizeof(float))
        return ONNX_INFER_OK;
    s->channels = channels;
    s->block = (size_t)blocked[4];
    s->blocks = (size_t)blocked[1];
    s->pixels = (size_t)(blocked[2] * blocked[3]);
    size_t bytes = s->blocks * s->block * sizeof(float);
    s->per_task = bytes && bytes < BYTES_PER_TASK ? BYTES_PER_TASK / bytes : 1;
    s->tasks_per_image = (s->pixels + s->per_task - 1) / s->per_task;
    step->state = s;
    step->run = run;
    step->n_tasks = (uint32_t)((size_t)blocked[0] * s->tasks_per_image);
    step->kernel = kernel;
    return ONNX_INFER_OK;
}

static void move_last(const last_state *s, uint32_t task, float *plain, float *blocked, bool to_blocked)
{
    size_t image = task / s->tasks_per_image, first = task % s->tasks_per_image * s->per_task;
    size_t n = first + s->per_task < s->pixels ? s->per_task : s->pixels - first;
    plain += (image * s->pixels + first) * s->channels;
    blocked += (image * s->blocks * s->pixels + first) * s->block;
    for (size_t b = 0; b < s->blocks; b++) {
        size_t lanes = s->channels - b * s->block < s->block ? s->channels - b * s->block : s->block;
        float *x = plain + b * s->block, *y = blocked + b * s->pixels * s->block;
        for (size_t i = 0; i < n; i++, x += s->channels, y += s->block) {
            if (!to_blocked) {
                memcpy(x, y, lanes * sizeof *x);
                continue;
            }
            memcpy(y, x, lanes * sizeof *y);
            for (size_t l = lanes; l < s->block; l++)
                y[l] = 0;
        }
    }
}

static oi_status run_to_last(const oi_run *r, uint32_t task)
{
    move_last(r->step->state, task, (float *)r->in[0], r->out[0], true);
    return ONNX_INFER_OK;
}

static oi_status run_from_last(const oi_run *r, uint32_t task)
{
    move_last(r->step->state, task, r->out[0], (float *)r->in[0], false);
    return ONNX_INFER_OK;
}

/* --- depth to space: a task is one plane of the result -------------------------------------------------------------------- */

typedef struct {
    int64_t channels, height, width, block, blocks, space, crd; /* of the result's channels, the input's image */
} space_state;

static space_state space_of(const oi_from_blocked_attr *a, const int64_t *blocked)
{
    return (space_state){a->channels, blocked[2], blocked[3], blocked[4], blocked[1], a->space, a->crd};
}

static void move_plane(const space_state *s, int64_t plane, const uint32_t *from, uint32_t *to)
{
    const int64_t image = plane / s->channels, c = plane % s->channels, pixels = s->height * s->width, area = s->space * s->space;
    to += plane * pixels * area;
    for (int64_t k = 0; k < area; k++) {
        const int64_t deep = s->crd ? c * area + k : k * s->channels + c;
        const uint32_t *x = from + (image * s->blocks + deep / s->block) * pixels * s->block + deep % s->block;
        for (int64_t i = 0; i < s->height; i++) {
            uint32_t *y = to + (i * s->space + k / s->space) * s->width * s->space + k % s->space;
            for (int64_t j = 0; j < s->width; j++, x += s->block, y += s->space)
                *y = *x;
        }
    }
}

static oi_status run_from_space(const oi_run *r, uint32_t task)
{
    move_plane(r->step->state, task, r->in[0], r->out[0]);
    return ONNX_INFER_OK;
}

static oi_status prepare_space(oi_prepare *p, const oi_from_blocked_attr *a)
{
    oi_step *step = p->step;
    space_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (oi_dtype_size(step->in[0].dtype) != sizeof(uint32_t))
        return ONNX_INFER_OK;
    *s = space_of(a, step->in[0].dim);
    step->state = s;
    step->run = run_from_space;
    step->n_tasks = (uint32_t)(step->in[0].dim[0] * a->channels);
    step->kernel = "reorder from blocked, depth to space";
    return ONNX_INFER_OK;
}

static oi_status prepare_to(oi_prepare *p)
{
    const oi_to_blocked_attr *a = p->step->attr;
    const oi_tensor *in = &p->step->in[0];
    if (a->channels_last)
        return prepare_last(p, (size_t)in->dim[in->rank - 1], p->step->out[0].dim, run_to_last, "reorder channels to blocked");
    return prepare(p, (size_t)p->step->in[0].dim[1], p->step->out[0].dim, run_to, "reorder to blocked");
}

static oi_status prepare_from(oi_prepare *p)
{
    const oi_from_blocked_attr *a = p->step->attr;
    if (a->space > 1)
        return prepare_space(p, a);
    if (a->channels_last)
        return prepare_last(p, (size_t)a->channels, p->step->in[0].dim, run_from_last, "reorder channels from blocked");
    return prepare(p, (size_t)p->step->out[0].dim[1], p->step->in[0].dim, run_from, "reorder from blocked");
}

/* Element by element, so that any block and any element of four bytes will do. */
static void move(const uint32_t *from, uint32_t *to, const int64_t *blocked, int64_t channels, bool last, bool to_blocked)
{
    int64_t pixels = blocked[2] * blocked[3], block = blocked[4];
    for (int64_t n = 0; n < blocked[0]; n++) {
        for (int64_t c = 0; c < blocked[1] * block; c++) {
            for (int64_t i = 0; i < pixels; i++) {
                int64_t plain = last ? (n * pixels + i) * channels + c : (n * channels + c) * pixels + i;
                int64_t there = ((n * blocked[1] + c / block) * pixels + i) * block + c % block;
                if (to_blocked)
                    to[there] = c < channels ? from[plain] : 0;
                else if (c < channels)
                    to[plain] = from[there];
            }
        }
    }
}

static oi_status eval_to(oi_eval *e)
{
    const oi_to_blocked_attr *a = e->attr;
    const oi_tensor *in = oi_eval_in(e, 0);
    if (oi_dtype_size(in->dtype) != sizeof(uint32_t))
        return oi_eval_bad_type(e, 0);
    const plain_axes at = axes_of(in->rank, a->channels_last != 0);
    int64_t dims[5] = {in->dim[0], (in->dim[at.channels] + a->block - 1) / a->block, in->rank == 4 ? in->dim[at.height] : 1,
                       in->dim[at.width], a->block};
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, in->dtype, 5, dims, &out));
    move(in->data, out->data, dims, in->dim[at.channels], a->channels_last != 0, true);
    return ONNX_INFER_OK;
}

static oi_status eval_from(oi_eval *e)
{
    const oi_from_blocked_attr *a = e->attr;
    const oi_tensor *in = oi_eval_in(e, 0);
    if (oi_dtype_size(in->dtype) != sizeof(uint32_t))
        return oi_eval_bad_type(e, 0);
    int64_t dims[4];
    plain_dims(a, in->dim, dims);
    for (int32_t i = 2; i < 4 && a->space > 1; i++)
        dims[i] *= a->space;
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, in->dtype, (int32_t)a->rank, dims, &out));
    if (a->space > 1) {
        const space_state s = space_of(a, in->dim);
        for (int64_t plane = 0; plane < in->dim[0] * a->channels; plane++)
            move_plane(&s, plane, in->data, out->data);
        return ONNX_INFER_OK;
    }
    move(in->data, out->data, in->dim, a->channels, a->channels_last != 0, false);
    return ONNX_INFER_OK;
}

const oi_op oi_op_oi_ReorderToBlocked = {
    .name = "ReorderToBlocked", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = to_attrs, .attr_size = sizeof(oi_to_blocked_attr),
    .infer = infer_to, .eval = eval_to, .prepare = prepare_to,
};

const oi_op oi_op_oi_ReorderFromBlocked = {
    .name = "ReorderFromBlocked", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = from_attrs, .attr_size = sizeof(oi_from_blocked_attr),
    .infer = infer_from, .eval = eval_from, .prepare = prepare_from,
};
