/* RotaryEmbedding: turns pairs of elements of each head by angles that depend on the position. */
#include "ops/loop.h"
#include "ops/op.h"

#include <string.h>

typedef struct {
    int64_t interleaved, num_heads, rotary_dim;
} rotary_attr;

enum { IN_X, IN_COS, IN_SIN, IN_PLACES };

static oi_status infer(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

typedef struct {
    bool flat, interleaved;                /* flat: [batch, length, heads * size], else [batch, heads, length, size] */
    int64_t batch, heads, length, size;
    int64_t half, rows;                    /* pairs that are turned, rows of the caches */
} rotary_shape;

/* places: NULL where left out. */
static oi_status shape_of(const rotary_attr *a, const oi_tensor *x, const oi_tensor *cosines, const oi_tensor *sines, const oi_tensor *places,
                          rotary_shape *s)
{
    bool flat = x->rank == 3;
    int64_t width = cosines->rank ? 2 * cosines->dim[cosines->rank - 1] : 0; /* of a head that is turned as a whole */
    int64_t given = flat && !a->num_heads && width > 0 ? x->dim[2] / width : a->num_heads;
    OI_FAIL_IF((x->rank != 4 && !flat) || (flat && (given < 1 || x->dim[2] % given)), ONNX_INFER_E_SHAPE_MISMATCH,
               "RotaryEmbedding: input 0 needs rank 4, or 3 with a size that num_heads divides");
    int64_t heads = flat ? given : x->dim[1], size = flat ? x->dim[2] / heads : x->dim[3], turned = a->rotary_dim ? a->rotary_dim : size;
    OI_FAIL_IF(turned < 0 || turned > size || turned % 2, ONNX_INFER_E_INVALID_MODEL, "RotaryEmbedding: %lld of %lld elements cannot be turned",
               (long long)turned, (long long)size);
    *s = (rotary_shape){.flat = flat, .interleaved = a->interleaved != 0, .batch = x->dim[0], .heads = heads,
                        .length = flat ? x->dim[1] : x->dim[2], .size = size, .half = turned / 2};
    s->rows = s->half ? oi_tensor_count(cosines) / s->half : 0;
    OI_FAIL_IF(cosines->rank < 2 || sines->rank != cosines->rank || cosines->dim[cosines->rank - 1] != s->half ||
                   oi_tensor_count(sines) != oi_tensor_count(cosines) ||
                   (places ? oi_tensor_count(places) : s->rows) != s->batch * s->length,
               ONNX_INFER_E_SHAPE_MISMATCH, "RotaryEmbedding: the caches or positions do not fit input 0");
    return ONNX_INFER_OK;
}

/* Where head i of all begins in the data, and which row of the caches it takes. */
static oi_status locate(const rotary_shape *s, const int64_t *places, int64_t i, int64_t *at, int64_t *row)
{
    int64_t b = i / (s->length * s->heads), p = i / s->heads % s->length, h = i % s->heads;
    *row = places ? places[b * s->length + p] : b * s->length + p;
    *at = (s->flat ? i : (b * s->heads + h) * s->length + p) * s->size;
    OI_FAIL_IF(*row < 0 || *row >= s->rows, ONNX_INFER_E_INVALID_ARGUMENT, "RotaryEmbedding: position %lld is outside the caches of %lld rows",
               (long long)*row, (long long)s->rows);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, IN_X), *cosines = oi_eval_in(e, IN_COS), *sines = oi_eval_in(e, IN_SIN), *places = oi_eval_in(e, IN_PLACES);
    rotary_shape s;
    for (uint32_t i = 0; i < 3; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (!t || !oi_dtype_is_float(t->dtype))
            return oi_eval_bad_type(e, i);
    }
    if (places && places->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, IN_PLACES);
    OI_TRY(shape_of(e->attr, x, cosines, sines, places, &s));
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    for (int64_t i = 0; i < s.batch * s.length * s.heads; i++) {
        int64_t at, row;
        OI_TRY(locate(&s, places ? places->data : NULL, i, &at, &row));
        for (int64_t k = 0; k < s.half; k++) {
            size_t one = (size_t)(at + (s.interleaved ? 2 * k : k)), other = (size_t)(at + (s.interleaved ? 2 * k + 1 : k + s.half));
            double u = oi_elem_get_double(x->dtype, x->data, one), v = oi_elem_get_double(x->dtype, x->data, other);
            double cosine = oi_elem_get_double(cosines->dtype, cosines->data, (size_t)(row * s.half + k));
            double sine = oi_elem_get_double(sines->dtype, sines->data, (size_t)(row * s.half + k));
            oi_elem_set_double(y->dtype, y->data, one, cosine * u - sine * v);
            oi_elem_set_double(y->dtype, y->data, other, sine * u + cosine * v);
        }
        for (int64_t k = 2 * s.half; k < s.size; k++)
            oi_elem_set_double(y->dtype, y->data, (size_t)(at + k), oi_elem_get_double(x->dtype, x->data, (size_t)(at + k)));
    }
    return ONNX_INFER_OK;
}

/* --- the fast path: float32 --- */

enum { RUN = 16 };

/* Runs of a fixed length become vectors. */
static void turn_halves(int64_t half, const float *restrict x, const float *restrict c, const float *restrict s, float *restrict y)
{
    int64_t k = 0;
    for (; half - k >= RUN; k += RUN) {
        for (int64_t i = k; i < k + RUN; i++) {
            y[i] = c[i] * x[i] - s[i] * x[i + half];
            y[i + half] = s[i] * x[i] + c[i] * x[i + half];
        }
    }
    for (; k < half; k++) {
        y[k] = c[k] * x[k] - s[k] * x[k + half];
        y[k + half] = s[k] * x[k] + c[k] * x[k + half];
    }
}

static void turn_pairs(int64_t half, const float *restrict x, const float *restrict c, const float *restrict s, float *restrict y)
{
    for (int64_t k = 0; k < half; k++) {
        y[2 * k] = c[k] * x[2 * k] - s[k] * x[2 * k + 1];
        y[2 * k + 1] = s[k] * x[2 * k] + c[k] * x[2 * k + 1];
    }
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const rotary_shape *s = r->step->state;
    const float *x = r->in[IN_X], *cosines = r->in[IN_COS], *sines = r->in[IN_SIN];
    const int64_t *places = r->step->nin > IN_PLACES ? r->in[IN_PLACES] : NULL;
    float *y = r->out[0];
    int64_t first, n;
    oi_loop_flat(s->batch * s->length * s->heads, r->step->n_tasks, task, &first, &n);
    for (int64_t i = first; i < first + n; i++) {
        int64_t at, row;
        OI_TRY(locate(s, places, i, &at, &row));
        (s->interleaved ? turn_pairs : turn_halves)(s->half, x + at, cosines + row * s->half, sines + row * s->half, y + at);
        if (2 * s->half < s->size)
            memcpy(y + at + 2 * s->half, x + at + 2 * s->half, (size_t)(s->size - 2 * s->half) * sizeof *y);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *places = step->nin > IN_PLACES && step->in[IN_PLACES].dtype ? &step->in[IN_PLACES] : NULL;
    for (uint32_t i = 0; i < 3; i++) {
        if (step->in[i].dtype != ONNX_INFER_FLOAT)
            return ONNX_INFER_OK;
    }
    rotary_shape *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(shape_of(step->attr, &step->in[IN_X], &step->in[IN_COS], &step->in[IN_SIN], places, s));
    step->state = s;
    step->n_tasks = oi_loop_flat_tasks(oi_tensor_count(&step->out[0]));
    step->run = run;
    step->kernel = "loop";
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "interleaved", .type = OI_ATTR_INT, .offset = offsetof(rotary_attr, interleaved)},
    {.name = "num_heads", .type = OI_ATTR_INT, .offset = offsetof(rotary_attr, num_heads)},
    {.name = "rotary_embedding_dim", .type = OI_ATTR_INT, .offset = offsetof(rotary_attr, rotary_dim)},
    {0},
};

const oi_op oi_op_RotaryEmbedding = {
    .name = "RotaryEmbedding", .domain = "", .since = 23, .newest = 23, .min_in = 3, .max_in = 4, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(rotary_attr), .infer = infer, .eval = eval, .prepare = prepare,
};
