/* GridSample: an image of any rank read at the places that a grid names, between its pixels. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
enum { AXES = OI_MAX_RANK - 2, TAPS = 4 };

typedef struct {
    int64_t align_corners, mode, padding_mode;
} grid_attr;

/* Until opset 19 the modes were named for two axes. */
static oi_status import(oi_import *im)
{
    const oi_raw_attr *mode = oi_import_find(im, "mode");
    if (!mode || mode->type != OI_RAW_STRING)
        return ONNX_INFER_OK;
    if (mode->slen == 8 && strncmp(mode->s, "bilinear", 8) == 0)
        return oi_import_set_string(im, "mode", "linear");
    if (mode->slen == 7 && strncmp(mode->s, "bicubic", 7) == 0)
        return oi_import_set_string(im, "mode", "cubic");
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *grid = x->in[1];
    int32_t rank = f->shape.rank;
    if (rank < 0 || grid->shape.rank != rank) {
        OI_FAIL_IF(rank >= 0 && grid->shape.rank >= 0, ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: the grid has rank %d, the input %d",
                   (int)grid->shape.rank, (int)rank);
        oi_infer_set_fresh(x, 0, f->dtype, rank < 0 ? grid->shape.rank : rank);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(rank < 3, ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: input 0 has rank %d, at least 3 is needed", (int)rank);
    oi_dim dims[OI_MAX_RANK] = {f->shape.dim[0], f->shape.dim[1]};
    for (int32_t i = 2; i < rank; i++)
        dims[i] = grid->shape.dim[i - 1];
    oi_infer_set(x, 0, f->dtype, rank, dims);
    return ONNX_INFER_OK;
}

/* The pixel that stands for place i of n: -1 for none. */
static int64_t pixel(const grid_attr *a, double i, int64_t n)
{
    double last = (double)(n - 1);
    if (i >= 0 && i <= last)
        return (int64_t)i;
    if (a->padding_mode == ZEROS || i != i)
        return -1;
    if (a->padding_mode == BORDER)
        return i < 0 ? 0 : n - 1;
    double low = a->align_corners ? 0 : -0.5, high = a->align_corners ? last : last + 0.5, range = high - low;
    if (range <= 0 || isinf(i))
        return 0;
    double beyond = i < low ? low - i : i > high ? i - high : 0, turns = floor(beyond / range), rest = beyond - turns * range;
    if (beyond > 0)
        i = (fmod(turns, 2) == 0) == (i < low) ? low + rest : high - rest;
    i = trunc(i);
    return i < 0 ? 0 : i > last ? n - 1 : (int64_t)i;
}

static double cubic(double x) /* Keys's kernel, alpha -0.75, at distance x */
{
    return x <= 1 ? ((1.25 * x - 2.25) * x) * x + 1 : ((-0.75 * x + 3.75) * x - 6) * x + 3;
}

/* The taps of one axis for a normalised place: how many, which pixels, what weights. */
static int32_t taps_of(const grid_attr *a, double place, int64_t n, int64_t *at, double *weight)
{
    double x = (double)(float)(a->align_corners ? (place + 1) / 2 * (double)(n - 1) : ((place + 1) * (double)n - 1) / 2);
    if (a->mode == NEAREST) {
        at[0] = pixel(a, rint(x), n);
        weight[0] = 1;
        return 1;
    }
    int32_t count = a->mode == CUBIC ? 4 : 2;
    double first = floor(x), part = x - first;
    for (int32_t i = 0; i < count; i++) {
        double step = a->mode == CUBIC ? i - 1 : i;
        at[i] = pixel(a, first + step, n);
        weight[i] = a->mode == CUBIC ? cubic(fabs(step - part)) : i ? part : 1 - part;
    }
    return count;
}

/* A pixel and its share in a place. */
typedef struct {
    int64_t from;
    double weight;
} share;

typedef struct {
    const grid_attr *a;
    const oi_tensor *x, *grid;
    oi_tensor *y;
    oi_dtype part;      /* complex pixels are sampled part by part */
    int64_t parts, pixels, places, each; /* each: places of a task */
    int32_t axes, most; /* most shares of a place */
    share *room;        /* `most` for each task */
} grid_job;

/* The pixels that a place is made of. */
static int32_t shares_of(const grid_job *j, int64_t place, share *out)
{
    int64_t at[AXES][TAPS];
    double weight[AXES][TAPS];
    int32_t count[AXES], all = 1, n = 0;
    for (int32_t i = 0; i < j->axes; i++) {
        double coordinate = oi_elem_get_double(j->grid->dtype, j->grid->data, (size_t)(place * j->axes + j->axes - 1 - i));
        count[i] = taps_of(j->a, coordinate, j->x->dim[2 + i], at[i], weight[i]);
        all *= count[i];
    }
    for (int32_t t = 0; t < all; t++) {
        int64_t from = 0, step = 1;
        int32_t rest = t;
        double w = 1;
        for (int32_t i = j->axes; i-- > 0 && from >= 0; rest /= count[i], step *= j->x->dim[2 + i]) {
            int64_t pixel_at = at[i][rest % count[i]];
            w *= weight[i][rest % count[i]];
            from = pixel_at < 0 ? -1 : from + pixel_at * step;
        }
        if (from >= 0)
            out[n++] = (share){from, w};
    }
    return n;
}

static oi_status sample(void *arg, size_t task)
{
    const grid_job *j = arg;
    share *shares = j->room + task * (size_t)j->most;
    int64_t channels = j->x->dim[1], first = (int64_t)task * j->each, all = j->x->dim[0] * j->places, last = first + j->each < all ? first + j->each : all;
    for (int64_t p = first; p < last; p++) {
        int32_t n = shares_of(j, p, shares);
        for (int64_t c = 0; c < channels * j->parts; c++) {
            int64_t plane = p / j->places * channels + c / j->parts;
            size_t to = (size_t)((plane * j->places + p % j->places) * j->parts + c % j->parts);
            double sum = 0;
            if (j->x->dtype == ONNX_INFER_FLOAT) {
                const float *x = (const float *)j->x->data + plane * j->pixels;
                for (int32_t t = 0; t < n; t++)
                    sum += shares[t].weight * (double)x[shares[t].from];
                ((float *)j->y->data)[to] = (float)sum;
                continue;
            }
            for (int32_t t = 0; t < n; t++)
                sum += shares[t].weight *
                       oi_elem_get_double(j->part, j->x->data, (size_t)((plane * j->pixels + shares[t].from) * j->parts + c % j->parts));
            oi_elem_set_double(j->part, j->y->data, to, sum);
        }
    }
    return ONNX_INFER_OK;
}

enum { MAX_TASKS = 64, TASK_PIXELS = 1 << 12 };

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *grid = oi_eval_in(e, 1);
    grid_job j = {.a = e->attr, .x = x, .grid = grid};
    if (!x || x->dtype == ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    if (!grid || !oi_dtype_is_float(grid->dtype))
        return oi_eval_bad_type(e, 1);
    j.part = x->dtype == ONNX_INFER_COMPLEX64 ? ONNX_INFER_FLOAT : x->dtype == ONNX_INFER_COMPLEX128 ? ONNX_INFER_DOUBLE : x->dtype;
    j.parts = j.part == x->dtype ? 1 : 2;
    j.axes = x->rank - 2;
    OI_FAIL_IF(j.axes < 1 || grid->rank != x->rank || grid->dim[0] != x->dim[0] || grid->dim[grid->rank - 1] != j.axes,
               ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: the grid does not fit input 0");
    int64_t dims[OI_MAX_RANK] = {x->dim[0], x->dim[1]};
    j.pixels = oi_dims_count(j.axes, x->dim + 2);
    j.places = j.most = 1;
    for (int32_t i = 0; i < j.axes; i++) {
        dims[2 + i] = grid->dim[1 + i];
        j.places *= dims[2 + i];
        j.most *= j.a->mode == CUBIC ? TAPS : j.a->mode == LINEAR ? 2 : 1;
    }
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &j.y));
    if (oi_tensor_count(j.y) == 0)
        return ONNX_INFER_OK;
    OI_FAIL_IF(j.pixels == 0, ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: input 0 has no pixels");
    int64_t all = dims[0] * j.places, least = TASK_PIXELS / dims[1] + 1, most = (all + MAX_TASKS - 1) / MAX_TASKS;
    j.each = least > most ? least : most;
    size_t tasks = (size_t)((all + j.each - 1) / j.each);
    j.room = oi_eval_scratch_array(e, tasks * (size_t)j.most, sizeof *j.room);
    if (!j.room)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    return e->host->parallel(e, tasks, sample, &j);
}

static const oi_attr_spec attrs[] = {
    {.name = "align_corners", .type = OI_ATTR_INT, .offset = offsetof(grid_attr, align_corners)},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(grid_attr, mode), .s = "linear|nearest|cubic"},
    {.name = "padding_mode", .type = OI_ATTR_ENUM, .offset = offsetof(grid_attr, padding_mode), .s = "zeros|border|reflection"},
    {0},
};

const oi_op oi_op_GridSample = {
    .name = "GridSample", .domain = "", .since = 16, .newest = 22, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(grid_attr), .import = import, .infer = infer, .eval = eval,
};
