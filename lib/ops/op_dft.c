/* DFT and STFT: Fourier transforms of the lanes along an axis, and of windows that slide along a signal. */
#include "ops/fft.h"
#include "ops/loop.h"

#include <string.h>

typedef struct {
    int64_t inverse, onesided;
} dft_attr;

enum { MAX_TASKS = 64, ELEMENTS_PER_TASK = 1 << 13 };

/* The axis was an attribute, 1 where absent, until opset 19. */
static oi_status import_dft(oi_import *im)
{
    oi_value_id axis;
    if (im->opset >= 20)
        return ONNX_INFER_OK;
    if (oi_import_find(im, "axis"))
        return oi_import_attr_to_input(im, "axis", 2, ONNX_INFER_FLOAT);
    OI_TRY(oi_import_const_ints(im, &(int64_t){1}, 0, 1, &axis));
    return oi_import_set_input(im, 2, axis);
}

static oi_status infer_dft(oi_infer *x)
{
    const dft_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    oi_shape s = f->shape;
    oi_dim given = -2, n = 0;
    int32_t axis, known_axis = oi_infer_in(x, 2) ? oi_infer_content(x, 2, &given, 1) : 1;
    if (s.rank >= 2) {
        if (known_axis == 1 && oi_dim_is_number(given)) {
            OI_TRY(oi_infer_axis(x, given, s.rank, &axis));
            bool known = oi_infer_in(x, 1) ? oi_infer_content(x, 1, &n, 1) == 1 : true;
            if (known && !oi_infer_in(x, 1)) {
                n = s.dim[axis];
                if (a->inverse && a->onesided)
                    n = oi_dim_mul(x->syms, 2, oi_dim_sub(x->syms, n, 1));
            }
            if (known && a->onesided && !a->inverse)
                n = oi_dim_add(x->syms, oi_dim_floordiv(x->syms, n, 2), 1);
            s.dim[axis] = known ? n : oi_dim_fresh(x->syms);
        } else {
            for (int32_t i = 0; i < s.rank - 1; i++)
                s.dim[i] = oi_dim_fresh(x->syms);
        }
        s.dim[s.rank - 1] = a->inverse && a->onesided ? 1 : 2;
    }
    oi_infer_set(x, 0, f->dtype, s.rank, s.dim);
    return ONNX_INFER_OK;
}

/* Lanes to transform: element i of lane l is at x0(l) + i * in_step, an element being in_parts numbers. */
typedef struct {
    const oi_fft *fft;
    const oi_tensor *x, *window; /* window NULL: none */
    oi_tensor *y;
    int64_t lanes, group;        /* lanes that lie side by side: lane l is l % group of block l / group */
    int64_t in_block, in_lane, in_step;   /* all in elements of the tensors */
    int64_t out_block, out_lane, out_step;
    int64_t used, out;           /* elements read, at most n; elements written */
    int64_t in_parts, out_parts;
    bool inverse, half;          /* half: what is read is the first half of a Hermitian spectrum */
    int64_t lanes_per_task;
    char *room;                  /* of each task: the lane, and what oi_fft_run needs */
    size_t room_size;
} dft_job;

#define T float
#define FN(name) name##_f32
#include "ops/tmpl/dft_lane.inc"
#undef T
#undef FN
#define T double
#define FN(name) name##_f64
#include "ops/tmpl/dft_lane.inc"
#undef T
#undef FN

static oi_status run_task(void *arg, size_t task)
{
    const dft_job *j = arg;
    int64_t first = (int64_t)task * j->lanes_per_task, last = first + j->lanes_per_task;
    void *room = j->room + task * j->room_size;
    for (int64_t lane = first; lane < (last < j->lanes ? last : j->lanes); lane++) {
        if (j->fft->type == ONNX_INFER_DOUBLE)
            lane_f64(j, lane, room);
        else
            lane_f32(j, lane, room);
    }
    return ONNX_INFER_OK;
}

static oi_status run_lanes(oi_eval *e, dft_job *j)
{
    size_t size = j->fft->type == ONNX_INFER_DOUBLE ? sizeof(double) : sizeof(float);
    int64_t least = ELEMENTS_PER_TASK / j->fft->n + 1, most = (j->lanes + MAX_TASKS - 1) / MAX_TASKS;
    if (j->lanes == 0)
        return ONNX_INFER_OK;
    j->lanes_per_task = most > least ? most : least;
    size_t tasks = (size_t)((j->lanes + j->lanes_per_task - 1) / j->lanes_per_task);
    j->room_size = (2 * (size_t)j->fft->n + oi_fft_room(j->fft)) * size;
    j->room = oi_eval_scratch_array(e, tasks, j->room_size);
    if (!j->room)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    return e->host->parallel(e, tasks, run_task, j);
}

/* As numpy, whose answers the standard's cases hold: forward transforms are rounded once, from double. */
static oi_dtype computed_in(oi_dtype t, bool inverse)
{
    return inverse && t != ONNX_INFER_DOUBLE ? ONNX_INFER_FLOAT : ONNX_INFER_DOUBLE;
}

static oi_status eval_dft(oi_eval *e)
{
    const dft_attr *a = e->attr;
    oi_fft fft;
    dft_job j = {.fft = &fft, .x = oi_eval_in(e, 0), .inverse = a->inverse, .half = a->inverse && a->onesided};
    int64_t axis = -2, dims[OI_MAX_RANK], outer, have, inner;
    if (!j.x || !oi_dtype_is_float(j.x->dtype))
        return oi_eval_bad_type(e, 0);
    OI_TRY(oi_eval_int(e, 2, &axis));
    axis += axis < 0 ? j.x->rank : 0;
    j.in_parts = j.x->rank ? j.x->dim[j.x->rank - 1] : 0;
    OI_FAIL_IF(j.x->rank < 2 || axis < 0 || axis >= j.x->rank - 1 || (j.in_parts != 1 && j.in_parts != 2), ONNX_INFER_E_SHAPE_MISMATCH,
               "DFT: input 0 must end in a dimension of 1 or 2 behind the axis");
    oi_loop_axis(j.x->rank, j.x->dim, (int32_t)axis, &outer, &have, &inner);
    j.group = inner / j.in_parts;
    int64_t n = j.half ? 2 * (have - 1) : have;
    OI_TRY(oi_eval_int(e, 1, &n));
    OI_TRY(oi_fft_init(e, &fft, computed_in(j.x->dtype, a->inverse), n));
    j.out = a->onesided && !a->inverse ? n / 2 + 1 : n;
    j.used = have < n ? have : n;
    if (j.half && j.used > n / 2 + 1)
        j.used = n / 2 + 1;
    for (int32_t i = 0; i < j.x->rank; i++)
        dims[i] = i == axis ? j.out : j.x->dim[i];
    j.out_parts = dims[j.x->rank - 1] = j.half ? 1 : 2;
    OI_TRY(oi_eval_out(e, 0, j.x->dtype, j.x->rank, dims, &j.y));
    j.lanes = outer * j.group;
    j.in_block = have * inner, j.in_lane = j.in_parts, j.in_step = inner;
    j.out_lane = j.out_parts, j.out_step = j.group * j.out_parts, j.out_block = j.out * j.out_step;
    return run_lanes(e, &j);
}

/* --- STFT --- */

static oi_status infer_stft(oi_infer *x)
{
    const dft_attr *a = x->attr;
    const oi_fact *f = x->in[0], *window = oi_infer_in(x, 2);
    oi_dim step, length, dims[4];
    OI_FAIL_IF(f->shape.rank >= 0 && f->shape.rank != 3 && f->shape.rank != 2, ONNX_INFER_E_SHAPE_MISMATCH,
               "STFT: the signal has rank %d, expected 3", (int)f->shape.rank);
    if (f->shape.rank < 2) {
        oi_infer_set_fresh(x, 0, f->dtype, 4);
        return ONNX_INFER_OK;
    }
    bool known = true;
    if (oi_infer_in(x, 3))
        known = oi_infer_content(x, 3, &length, 1) == 1;
    else if (window)
        length = (known = window->shape.rank == 1) ? window->shape.dim[0] : 0;
    else
        length = f->shape.dim[1];
    bool known_step = oi_infer_content(x, 1, &step, 1) == 1;
    dims[0] = f->shape.dim[0];
    dims[1] = !known || !known_step || step == 0 ? oi_dim_fresh(x->syms)
            : oi_dim_add(x->syms, oi_dim_floordiv(x->syms, oi_dim_sub(x->syms, f->shape.dim[1], length), step), 1);
    dims[2] = !known ? oi_dim_fresh(x->syms)
            : a->onesided ? oi_dim_add(x->syms, oi_dim_floordiv(x->syms, length, 2), 1) : length;
    dims[3] = 2;
    oi_infer_set(x, 0, f->dtype, 4, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_stft(oi_eval *e)
{
    const dft_attr *a = e->attr;
    oi_fft fft;
    dft_job j = {.fft = &fft, .x = oi_eval_in(e, 0), .window = oi_eval_in(e, 2)};
    for (uint32_t i = 0; i < 3; i += 2) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (t ? !oi_dtype_is_float(t->dtype) : i == 0)
            return oi_eval_bad_type(e, i);
    }
    OI_FAIL_IF(j.x->rank != 2 && (j.x->rank != 3 || (j.x->dim[2] != 1 && j.x->dim[2] != 2)), ONNX_INFER_E_SHAPE_MISMATCH,
               "STFT: the signal must be batch x length x 1 or 2");
    OI_FAIL_IF(j.window && j.window->rank != 1, ONNX_INFER_E_SHAPE_MISMATCH, "STFT: the window has rank %d, expected 1",
               (int)j.window->rank);
    int64_t step = 0, have = j.x->dim[1], n = j.window ? j.window->dim[0] : have;
    OI_TRY(oi_eval_int(e, 1, &step));
    OI_TRY(oi_eval_int(e, 3, &n));
    OI_FAIL_IF(step < 1, ONNX_INFER_E_INVALID_ARGUMENT, "STFT: frame_step is %lld, at least 1 is needed", (long long)step);
    OI_FAIL_IF(j.window && j.window->dim[0] != n, ONNX_INFER_E_SHAPE_MISMATCH, "STFT: the window has %lld elements, frame_length is %lld",
               (long long)j.window->dim[0], (long long)n);
    OI_FAIL_IF(n > have, ONNX_INFER_E_SHAPE_MISMATCH, "STFT: frame_length is %lld, the signal has %lld elements", (long long)n,
               (long long)have);
    j.in_parts = j.x->rank == 3 ? j.x->dim[2] : 1;
    OI_TRY(oi_fft_init(e, &fft, computed_in(j.x->dtype, false), n));
    int64_t frames = (have - n) / step + 1;
    j.used = n;
    j.out = a->onesided ? n / 2 + 1 : n;
    j.out_parts = 2;
    OI_TRY(oi_eval_out(e, 0, j.x->dtype, 4, (const int64_t[]){j.x->dim[0], frames, j.out, 2}, &j.y));
    j.group = frames;
    j.lanes = j.x->dim[0] * frames;
    j.in_block = have * j.in_parts, j.in_lane = step * j.in_parts, j.in_step = j.in_parts;
    j.out_block = frames * j.out * 2, j.out_lane = j.out * 2, j.out_step = 2;
    return run_lanes(e, &j);
}

#define INT_ATTR(field, value) {.name = #field, .type = OI_ATTR_INT, .offset = offsetof(dft_attr, field), .i = value}
static const oi_attr_spec dft_attrs[] = {INT_ATTR(inverse, 0), INT_ATTR(onesided, 0), {0}};
static const oi_attr_spec stft_attrs[] = {INT_ATTR(onesided, 1), {0}};

const oi_op oi_op_DFT = {
    .name = "DFT", .domain = "", .since = 17, .newest = 20, .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = dft_attrs,
    .attr_size = sizeof(dft_attr), .import = import_dft, .infer = infer_dft, .eval = eval_dft,
};

const oi_op oi_op_STFT = {
    .name = "STFT", .domain = "", .since = 17, .newest = 17, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attrs = stft_attrs,
    .attr_size = sizeof(dft_attr), .infer = infer_stft, .eval = eval_stft,
};
