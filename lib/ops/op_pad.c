/* Pad: constant, reflect, edge and wrap. */
#include "ops/strided.h"

#include <string.h>

typedef enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

typedef struct {
    int64_t mode;
} pad_attr;

static const oi_attr_spec attrs[] = {
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(pad_attr, mode), .s = "constant|reflect|edge|wrap"},
    {0},
};

/* Opsets before 11 carry pads ("paddings" in opset 1) and value as attributes. */
static oi_status import_pad(oi_import *im)
{
    if (im->opset >= 11)
        return ONNX_INFER_OK;
    oi_raw_attr *paddings = oi_import_find(im, "paddings");
    if (paddings)
        paddings->name = "pads";
    OI_TRY(oi_import_attr_to_input(im, "pads", 1, ONNX_INFER_FLOAT));
    const oi_fact *data = im->nin ? oi_graph_fact(im->g, im->in[0]) : NULL;
    return oi_import_attr_to_input(im, "value", 2, data && data->dtype ? data->dtype : ONNX_INFER_FLOAT);
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *in = x->in[0];
    int32_t rank = in->shape.rank, n, na = -1;
    oi_dim pads[2 * OI_MAX_RANK], axes[OI_MAX_RANK], dims[OI_MAX_RANK];
    OI_TRY(oi_infer_ints(x, 1, pads, 2 * OI_MAX_RANK, &n));
    bool has_axes = oi_infer_in(x, 3) != NULL;
    if (has_axes)
        OI_TRY(oi_infer_ints(x, 3, axes, OI_MAX_RANK, &na));
    if (rank < 0 || n < 0 || (has_axes && na < 0)) {
        oi_infer_set_fresh(x, 0, in->dtype, rank);
        return ONNX_INFER_OK;
    }
    int32_t count = has_axes ? na : rank;
    OI_FAIL_IF(n != 2 * count, ONNX_INFER_E_INVALID_MODEL, "pads has %d elements, expected %d", n, 2 * count);
    memcpy(dims, in->shape.dim, sizeof dims);
    unsigned seen = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t axis = i;
        if (has_axes && !oi_dim_is_number(axes[i])) {
            oi_infer_set_fresh(x, 0, in->dtype, rank);
            return ONNX_INFER_OK;
        }
        if (has_axes)
            OI_TRY(oi_infer_axis(x, axes[i], rank, &axis));
        OI_FAIL_IF(seen >> axis & 1, ONNX_INFER_E_INVALID_MODEL, "axes[%d] is axis %d again", i, axis);
        seen |= 1u << axis;
        dims[axis] = oi_dim_add(x->syms, dims[axis], oi_dim_add(x->syms, pads[i], pads[count + i]));
        OI_FAIL_IF(oi_dim_is_number(dims[axis]) && dims[axis] < 0, ONNX_INFER_E_SHAPE_MISMATCH,
                   "axis %d would have %lld elements", axis, (long long)dims[axis]);
    }
    oi_infer_set(x, 0, in->dtype, rank, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    int64_t begin[OI_MAX_RANK], end[OI_MAX_RANK];
} pad_sizes;

static oi_status read_pads(const oi_tensor *in, const oi_tensor *pads, const oi_tensor *axes, pad_sizes *p)
{
    int64_t n = oi_tensor_count(pads), count = axes ? oi_tensor_count(axes) : in->rank;
    unsigned seen = 0;
    memset(p, 0, sizeof *p);
    OI_FAIL_IF(pads->dtype != ONNX_INFER_INT64 || n != 2 * count || count > OI_MAX_RANK, ONNX_INFER_E_INVALID_MODEL,
               "pads must be %lld int64", (long long)(2 * count));
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = axes ? oi_elem_get_int(axes->dtype, axes->data, (size_t)i) : i;
        axis += axis < 0 ? in->rank : 0;
        OI_FAIL_IF(axis < 0 || axis >= in->rank, ONNX_INFER_E_INVALID_MODEL, "axes[%lld] is outside rank %d", (long long)i,
                   in->rank);
        OI_FAIL_IF(seen >> axis & 1, ONNX_INFER_E_INVALID_MODEL, "axes[%lld] is axis %lld again", (long long)i, (long long)axis);
        seen |= 1u << axis;
        p->begin[axis] = ((const int64_t *)pads->data)[i];
        p->end[axis] = ((const int64_t *)pads->data)[count + i];
        int64_t b = p->begin[axis], e = p->end[axis];
        OI_FAIL_IF(b < -INT32_MAX || b > INT32_MAX || e < -INT32_MAX || e > INT32_MAX || in->dim[axis] + b + e < 0,
                   ONNX_INFER_E_SHAPE_MISMATCH, "axis %lld: pads %lld and %lld around %lld elements", (long long)axis,
                   (long long)b, (long long)e, (long long)in->dim[axis]);
    }
    return ONNX_INFER_OK;
}

/* The input position that position `at` of the padded axis shows; -1: the constant. */
static int64_t source(pad_mode mode, int64_t at, int64_t begin, int64_t size)
{
    int64_t i = at - begin;
    if (i >= 0 && i < size)
        return i;
    if (mode == PAD_CONSTANT || size == 0)
        return -1;
    if (mode == PAD_EDGE)
        return i < 0 ? 0 : size - 1;
    if (mode == PAD_WRAP)
        return (i % size + size) % size;
    if (size == 1)
        return 0;
    int64_t period = 2 * (size - 1);
    i = (i % period + period) % period;
    return i < size ? i : period - i;
}

/* Works on rows of the innermost axis; elements of up to 16 bytes. */
typedef struct {
    pad_mode mode;
    int32_t rank;
    int64_t in[OI_MAX_RANK], out[OI_MAX_RANK];
    pad_sizes pads;
    size_t size;
    int64_t rows, rows_per_task;
} pad_state;

static void pad_rows(const pad_state *s, const void *data, const void *value, void *out, int64_t first, int64_t last)
{
    int32_t inner = s->rank - 1;
    int64_t width = s->out[inner], size = s->in[inner], begin = s->pads.begin[inner];
    for (int64_t row = first; row < last; row++) {
        int64_t at = row, offset = 0, stride = 1;
        bool outside = false;
        for (int32_t d = inner - 1; d >= 0; d--) {
            int64_t from = source(s->mode, at % s->out[d], s->pads.begin[d], s->in[d]);
            outside = outside || from < 0;
            offset += from * stride;
            stride *= s->in[d];
            at /= s->out[d];
        }
        char *dst = (char *)out + (size_t)(row * width) * s->size;
        if (outside) {
            oi_elem_fill(dst, (size_t)width, s->size, value);
            continue;
        }
        const char *src = (const char *)data + (size_t)(offset * size) * s->size;
        int64_t left = begin < 0 ? 0 : begin < width ? begin : width, from = begin < 0 ? -begin : 0;
        int64_t middle = size - from < width - left ? size - from : width - left;
        if (middle > 0)
            memcpy(dst + (size_t)left * s->size, src + (size_t)from * s->size, (size_t)middle * s->size);
        else
            middle = 0;
        for (int64_t i = 0; i < width; i++) {
            if (i == left)
                i += middle;
            if (i >= width)
                break;
            int64_t k = source(s->mode, i, begin, size);
            memcpy(dst + (size_t)i * s->size, k < 0 ? value : src + (size_t)k * s->size, s->size);
        }
    }
}

static void setup(const pad_attr *a, const oi_tensor *in, const pad_sizes *pads, pad_state *s)
{
    *s = (pad_state){.mode = (pad_mode)a->mode, .rank = in->rank, .pads = *pads, .size = oi_dtype_size(in->dtype)};
    s->rows = 1;
    for (int32_t d = 0; d < in->rank; d++) {
        s->in[d] = in->dim[d];
        s->out[d] = in->dim[d] + pads->begin[d] + pads->end[d];
        if (d < in->rank - 1)
            s->rows *= s->out[d];
    }
    if (in->rank == 0) { /* nothing to pad: one row of one element */
        s->rank = 1;
        s->in[0] = s->out[0] = 1;
    }
}

static const uint64_t zero[2];

static oi_status eval(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0), *value = oi_eval_in(e, 2);
    pad_sizes pads;
    pad_state s;
    oi_tensor *out;
    OI_TRY(read_pads(in, oi_eval_in(e, 1), oi_eval_in(e, 3), &pads));
    setup(e->attr, in, &pads, &s);
    OI_TRY(oi_eval_out(e, 0, in->dtype, in->rank, s.out, &out));
    if (value && (value->dtype != in->dtype || oi_tensor_count(value) != 1))
        return oi_eval_bad_type(e, 2);
    if (oi_tensor_count(out) == 0)
        return ONNX_INFER_OK;
    if (in->dtype != ONNX_INFER_STRING && !oi_dtype_is_packed(in->dtype)) {
        pad_rows(&s, in->data, value ? value->data : zero, out->data, 0, s.rows);
        return ONNX_INFER_OK;
    }
    size_t n = (size_t)oi_tensor_count(out);
    for (size_t i = 0; i < n; i++) {
        int64_t at = (int64_t)i, offset = 0, stride = 1;
        bool outside = false;
        for (int32_t d = s.rank - 1; d >= 0; d--) {
            int64_t from = source(s.mode, at % s.out[d], s.pads.begin[d], s.in[d]);
            outside = outside || from < 0;
            offset += from * stride;
            stride *= s.in[d];
            at /= s.out[d];
        }
        if (!outside || value)
            OI_TRY(oi_copy_element(e->alloc, outside ? value : in, outside ? 0 : (size_t)offset, out, i));
    }
    return ONNX_INFER_OK;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const pad_state *s = r->step->state;
    const void *value = r->step->nin > 2 && r->in[2] ? r->in[2] : zero;
    int64_t first = task * s->rows_per_task, last = first + s->rows_per_task;
    pad_rows(s, r->in[0], value, r->out[0], first, last < s->rows ? last : s->rows);
    return ONNX_INFER_OK;
}

enum { BYTES_PER_TASK = 1 << 15 };

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *in = &step->in[0], *pads = &step->in[1];
    const oi_tensor *axes = step->nin > 3 && step->in[3].dtype ? &step->in[3] : NULL;
    bool simple = in->dtype != ONNX_INFER_STRING && !oi_dtype_is_packed(in->dtype);
    if (!simple || !pads->data || (axes && !axes->data) || oi_tensor_count(&step->out[0]) == 0)
        return ONNX_INFER_OK;
    pad_sizes sizes;
    OI_TRY(read_pads(in, pads, axes, &sizes));
    pad_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    setup(step->attr, in, &sizes, s);
    int64_t bytes = s->out[s->rank - 1] * (int64_t)s->size;
    s->rows_per_task = bytes < BYTES_PER_TASK ? BYTES_PER_TASK / bytes : 1;
    step->state = s;
    step->run = run;
    step->n_tasks = (uint32_t)((s->rows + s->rows_per_task - 1) / s->rows_per_task);
    step->kernel = "pad";
    return ONNX_INFER_OK;
}

const oi_op oi_op_Pad = {
    .name = "Pad", .domain = "", .since = 1, .newest = 25, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(pad_attr), .import = import_pad, .infer = infer, .eval = eval, .prepare = prepare,
};
