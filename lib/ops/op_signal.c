/* DFT, and the windows HannWindow, HammingWindow, BlackmanWindow. */
#include "ops/loop.h"
#include "ops/op.h"

#include <math.h>

#define TWO_PI 6.28318530717958647692

typedef struct {
    int64_t inverse, onesided, periodic, output_datatype;
} signal_attr;

/* --- DFT --- */

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

/* Length of the result along the axis for a signal of `have` and a transform of n elements. */
static int64_t result_length(const signal_attr *a, int64_t n)
{
    return a->onesided && !a->inverse ? n / 2 + 1 : n;
}

static oi_status infer_dft(oi_infer *x)
{
    const signal_attr *a = x->attr;
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

typedef struct {
    const signal_attr *a;
    const oi_tensor *x;
    oi_tensor *y;
    int64_t n, have, out, inner, parts; /* parts: 1 real, 2 complex */
    const double *cosine, *sine;        /* of i / n turns */
} dft_job;

/* One lane: element i of the signal lies at (i * inner) * parts from x0. */
static void transform(const dft_job *j, int64_t x0, int64_t y0)
{
    int64_t used = j->have < j->n ? j->have : j->n, y_parts = j->a->inverse && j->a->onesided ? 1 : 2;
    bool half = j->a->inverse && j->a->onesided;
    if (half && used > j->n / 2 + 1)
        used = j->n / 2 + 1;
    for (int64_t k = 0; k < j->out; k++) {
        double re = 0, im = 0;
        int64_t turn = 0;
        for (int64_t i = 0; i < used; i++) {
            size_t at = (size_t)(x0 + i * j->inner * j->parts);
            double u = oi_elem_get_double(j->x->dtype, j->x->data, at), v = j->parts == 2 ? oi_elem_get_double(j->x->dtype, j->x->data, at + 1) : 0;
            double c = j->cosine[turn], s = j->a->inverse ? j->sine[turn] : -j->sine[turn];
            double weight = half && i > 0 && 2 * i != j->n ? 2 : 1; /* with its mirror image */
            re += weight * (u * c - v * s);
            im += u * s + v * c;
            turn += k;
            turn = turn >= j->n ? turn % j->n : turn;
        }
        double scale = j->a->inverse ? 1 / (double)j->n : 1;
        size_t to = (size_t)(y0 + k * j->inner * y_parts);
        oi_elem_set_double(j->y->dtype, j->y->data, to, re * scale);
        if (y_parts == 2)
            oi_elem_set_double(j->y->dtype, j->y->data, to + 1, im * scale);
    }
}

static oi_status whole(const oi_eval *e, uint32_t in, int64_t *v)
{
    const oi_tensor *t = oi_eval_in(e, in);
    if (!t)
        return ONNX_INFER_OK;
    if (!oi_dtype_is_int(t->dtype) || oi_tensor_count(t) != 1)
        return oi_eval_bad_type(e, in);
    *v = oi_elem_get_int(t->dtype, t->data, 0);
    return ONNX_INFER_OK;
}

static oi_status eval_dft(oi_eval *e)
{
    const signal_attr *a = e->attr;
    dft_job j = {.a = a, .x = oi_eval_in(e, 0)};
    int64_t axis = -2, dims[OI_MAX_RANK], outer, inner;
    if (!j.x || !oi_dtype_is_float(j.x->dtype))
        return oi_eval_bad_type(e, 0);
    OI_TRY(whole(e, 2, &axis));
    axis += axis < 0 ? j.x->rank : 0;
    j.parts = j.x->rank ? j.x->dim[j.x->rank - 1] : 0;
    OI_FAIL_IF(j.x->rank < 2 || axis < 0 || axis >= j.x->rank - 1 || (j.parts != 1 && j.parts != 2), ONNX_INFER_E_SHAPE_MISMATCH,
               "DFT: input 0 must end in a dimension of 1 or 2 behind the axis");
    oi_loop_axis(j.x->rank, j.x->dim, (int32_t)axis, &outer, &j.have, &inner);
    j.inner = inner / j.parts;
    j.n = a->inverse && a->onesided ? 2 * (j.have - 1) : j.have;
    OI_TRY(whole(e, 1, &j.n));
    OI_FAIL_IF(j.n < 1 || j.n > INT32_MAX, ONNX_INFER_E_INVALID_ARGUMENT, "DFT: length %lld", (long long)j.n);
    j.out = result_length(a, j.n);
    for (int32_t i = 0; i < j.x->rank; i++)
        dims[i] = i == axis ? j.out : j.x->dim[i];
    int64_t y_parts = dims[j.x->rank - 1] = a->inverse && a->onesided ? 1 : 2;
    double *table = oi_eval_scratch_array(e, (size_t)j.n, 2 * sizeof *table);
    if (!table)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t i = 0; i < j.n; i++) {
        table[i] = cos(TWO_PI * (double)i / (double)j.n);
        table[j.n + i] = sin(TWO_PI * (double)i / (double)j.n);
    }
    j.cosine = table;
    j.sine = table + j.n;
    OI_TRY(oi_eval_out(e, 0, j.x->dtype, j.x->rank, dims, &j.y));
    for (int64_t i = 0; i < outer * j.inner; i++) {
        OI_TRY(e->host->check(e));
        int64_t o = i / j.inner, k = i % j.inner;
        transform(&j, (o * j.have * j.inner + k) * j.parts, (o * j.out * j.inner + k) * y_parts);
    }
    return ONNX_INFER_OK;
}

/* --- windows --- */

extern const oi_op oi_op_HannWindow, oi_op_HammingWindow;

static oi_status window_type(const oi_op *op, const signal_attr *a)
{
    oi_dtype t = a->output_datatype > 0 && a->output_datatype < OI_DTYPE_COUNT ? (oi_dtype)a->output_datatype : ONNX_INFER_UNDEFINED;
    OI_FAIL_IF(!oi_dtype_is_float(t) && !oi_dtype_is_int(t), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not make element type %lld", op->name,
               (long long)a->output_datatype);
    return ONNX_INFER_OK;
}

static oi_status infer_window(oi_infer *x)
{
    const signal_attr *a = x->attr;
    oi_dim n;
    OI_TRY(window_type(x->op, a));
    if (oi_infer_content(x, 0, &n, 1) != 1)
        n = oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, (oi_dtype)a->output_datatype, 1, &n);
    return ONNX_INFER_OK;
}

static oi_status eval_window(oi_eval *e)
{
    const signal_attr *a = e->attr;
    int64_t n = 0;
    OI_TRY(window_type(e->op, a));
    if (!oi_eval_in(e, 0))
        return oi_eval_bad_type(e, 0);
    OI_TRY(whole(e, 0, &n));
    OI_FAIL_IF(n < 0, ONNX_INFER_E_INVALID_ARGUMENT, "%s: size %lld", e->op->name, (long long)n);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, (oi_dtype)a->output_datatype, 1, &n, &y));
    double turns = a->periodic ? (double)n : n > 1 ? (double)(n - 1) : 1;
    bool hann = e->op == &oi_op_HannWindow, hamming = e->op == &oi_op_HammingWindow;
    double mean = hann ? 0.5 : hamming ? 25.0 / 46 : 0.42, first = hann ? 0.5 : hamming ? 21.0 / 46 : 0.5, second = hann || hamming ? 0 : 0.08;
    for (int64_t i = 0; i < n; i++) {
        double angle = TWO_PI * (double)i / turns;
        oi_elem_set_double(y->dtype, y->data, (size_t)i, mean - first * cos(angle) + second * cos(2 * angle));
    }
    return ONNX_INFER_OK;
}

#define INT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(signal_attr, field), .i = value}

static const oi_attr_spec dft_attrs[] = {INT_ATTR("inverse", inverse, 0), INT_ATTR("onesided", onesided, 0), {0}};
static const oi_attr_spec window_attrs[] = {INT_ATTR("output_datatype", output_datatype, 1), INT_ATTR("periodic", periodic, 1), {0}};

const oi_op oi_op_DFT = {
    .name = "DFT", .domain = "", .since = 17, .newest = 20, .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = dft_attrs,
    .attr_size = sizeof(signal_attr), .import = import_dft, .infer = infer_dft, .eval = eval_dft,
};

#define WINDOW(id)                                                                                                         \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = 17, .newest = 17, .flags = OI_OP_DATA_SHAPES, .min_in = 1, \
                              .max_in = 1, .min_out = 1, .max_out = 1, .attrs = window_attrs,                              \
                              .attr_size = sizeof(signal_attr), .infer = infer_window, .eval = eval_window}
WINDOW(BlackmanWindow);
WINDOW(HammingWindow);
WINDOW(HannWindow);
