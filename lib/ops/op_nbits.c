/* MatMulNBits and GatherBlockQuantized of com.microsoft: weights of few bits in blocks that have a scale each. They stay
 * packed: products expand a few columns at a time. */
#include "base/checked.h"
#include "kernels/gemm.h"
#include "ops/op.h"
#include "ops/target.h"

#include <string.h>

/* --- MatMulNBits --- */

typedef struct {
    int64_t k, n, bits, block_size, accuracy_level, prepacked;
} product_attr;

enum { IN_A, IN_B, IN_SCALES, IN_ZEROS, IN_GROUPS, IN_BIAS };

static oi_status check_attr(const product_attr *a)
{
    OI_FAIL_IF(a->k < 1 || a->k > INT32_MAX || a->n < 1 || a->n > INT32_MAX || a->bits < 2 || a->bits > 8 || a->block_size < 16 || a->block_size % 16 || a->block_size > INT32_MAX,
               ONNX_INFER_E_INVALID_MODEL, "MatMulNBits: %lld x %lld numbers of %lld bits in blocks of %lld cannot be", (long long)a->n,
               (long long)a->k, (long long)a->bits, (long long)a->block_size);
    OI_FAIL_IF(a->prepacked, ONNX_INFER_E_UNSUPPORTED_OP, "MatMulNBits: weights packed for a GPU are not in this build");
    return ONNX_INFER_OK;
}

static oi_status infer_product(oi_infer *x)
{
    const product_attr *a = x->attr;
    oi_shape s = x->in[IN_A]->shape;
    OI_TRY(check_attr(a));
    if (s.rank > 0) {
        oi_dim k = s.dim[s.rank - 1];
        OI_FAIL_IF(oi_dim_is_number(k) && k != a->k, ONNX_INFER_E_SHAPE_MISMATCH, "MatMulNBits: the rows of A have %lld elements, K is %lld",
                   (long long)k, (long long)a->k);
        s.dim[s.rank - 1] = a->n;
    }
    oi_infer_set(x, 0, x->in[IN_A]->dtype, s.rank, s.dim);
    return ONNX_INFER_OK;
}

static int64_t blocks_of(const product_attr *a)
{
    return (a->k + a->block_size - 1) / a->block_size;
}

/* Bytes of a row of weights, of a row of packed zero points. */
static int64_t row_bytes(const product_attr *a)
{
    return blocks_of(a) * (a->block_size * a->bits / 8);
}

static int64_t zero_bytes(const product_attr *a)
{
    return (blocks_of(a) * a->bits + 7) / 8;
}

static oi_status check_inputs(const product_attr *a, const oi_tensor *const *in)
{
    int64_t blocks = blocks_of(a), scales, bytes, zeros;
    OI_TRY(check_attr(a));
    OI_FAIL_IF(in[IN_A]->rank < 1 || in[IN_A]->dim[in[IN_A]->rank - 1] != a->k, ONNX_INFER_E_SHAPE_MISMATCH,
               "MatMulNBits: the rows of A do not have K = %lld elements", (long long)a->k);
    bool small = oi_mul_i64(a->n, blocks, &scales) && oi_mul_i64(a->n, row_bytes(a), &bytes) && oi_mul_i64(a->n, zero_bytes(a), &zeros);
    OI_FAIL_IF(!small || in[IN_B]->dtype != ONNX_INFER_UINT8 || oi_tensor_count(in[IN_B]) != bytes || oi_tensor_count(in[IN_SCALES]) != scales,
               ONNX_INFER_E_SHAPE_MISMATCH, "MatMulNBits: B needs %lld bytes for each of %lld columns, and a scale for each block",
               (long long)row_bytes(a), (long long)a->n);
    const oi_tensor *zero = in[IN_ZEROS];
    OI_FAIL_IF(zero && oi_tensor_count(zero) != (zero->dtype == ONNX_INFER_UINT8 ? zeros : scales), ONNX_INFER_E_SHAPE_MISMATCH,
               "MatMulNBits: there are %lld zero points, %lld blocks", (long long)oi_tensor_count(zero), (long long)scales);
    OI_FAIL_IF(in[IN_GROUPS] && (in[IN_GROUPS]->dtype != ONNX_INFER_INT32 || oi_tensor_count(in[IN_GROUPS]) < a->k),
               ONNX_INFER_E_SHAPE_MISMATCH, "MatMulNBits: g_idx needs %lld int32", (long long)a->k);
    OI_FAIL_IF(in[IN_BIAS] && oi_tensor_count(in[IN_BIAS]) != a->n, ONNX_INFER_E_SHAPE_MISMATCH, "MatMulNBits: the bias has %lld elements, N is %lld",
               (long long)oi_tensor_count(in[IN_BIAS]), (long long)a->n);
    return ONNX_INFER_OK;
}

/* Number i of a stream of numbers of `bits` bits, lowest bits first. */
static unsigned number_at(const uint8_t *stream, int64_t bits, int64_t i)
{
    int64_t at = i * bits;
    unsigned v = (unsigned)stream[at / 8] >> at % 8;
    if (at % 8 + bits > 8)
        v |= (unsigned)stream[at / 8 + 1] << (8 - at % 8);
    return v & ((1u << bits) - 1);
}

typedef struct {
    const product_attr *a;
    const oi_tensor *in[6];
    double *column; /* [n][k]: room for each task's weights */
    oi_tensor *y;
} product_job;

static oi_status eval_column(void *arg, size_t index)
{
    const product_job *j = arg;
    const product_attr *a = j->a;
    int64_t n = (int64_t)index, blocks = blocks_of(a), rows = a->k ? oi_tensor_count(j->in[IN_A]) / a->k : 0;
    const uint8_t *q = (const uint8_t *)j->in[IN_B]->data + n * row_bytes(a);
    const oi_tensor *zero = j->in[IN_ZEROS], *scales = j->in[IN_SCALES], *bias = j->in[IN_BIAS], *x = j->in[IN_A];
    double *w = j->column + n * a->k;
    for (int64_t k = 0; k < a->k; k++) {
        int64_t b = j->in[IN_GROUPS] ? ((const int32_t *)j->in[IN_GROUPS]->data)[k] : k / a->block_size;
        OI_FAIL_IF(b < 0 || b >= blocks, ONNX_INFER_E_INVALID_ARGUMENT, "MatMulNBits: g_idx[%lld] is %lld of %lld blocks", (long long)k,
                   (long long)b, (long long)blocks);
        double z = !zero ? (double)(1 << (a->bits - 1))
                   : zero->dtype == ONNX_INFER_UINT8 ? number_at((const uint8_t *)zero->data + n * zero_bytes(a), a->bits, b)
                                                     : oi_elem_get_double(zero->dtype, zero->data, (size_t)(n * blocks + b));
        w[k] = (number_at(q, a->bits, k) - z) * oi_elem_get_double(scales->dtype, scales->data, (size_t)(n * blocks + b));
    }
    for (int64_t i = 0; i < rows; i++) {
        double sum = bias ? oi_elem_get_double(bias->dtype, bias->data, (size_t)n) : 0;
        for (int64_t k = 0; k < a->k; k++)
            sum += w[k] * oi_elem_get_double(x->dtype, x->data, (size_t)(i * a->k + k));
        oi_elem_set_double(j->y->dtype, j->y->data, (size_t)(i * a->n + n), sum);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_product(oi_eval *e)
{
    product_job j = {.a = e->attr};
    for (uint32_t i = 0; i < 6; i++)
        j.in[i] = oi_eval_in(e, i);
    for (uint32_t i = 0; i < 6; i++) {
        bool real = i != IN_B && i != IN_GROUPS && !(i == IN_ZEROS && j.in[i] && j.in[i]->dtype == ONNX_INFER_UINT8);
        if ((i < IN_ZEROS && !j.in[i]) || (j.in[i] && real && !oi_dtype_is_float(j.in[i]->dtype)))
            return oi_eval_bad_type(e, i);
    }
    OI_TRY(check_inputs(j.a, j.in));
    const oi_tensor *x = j.in[IN_A];
    int64_t dims[OI_MAX_RANK];
    memcpy(dims, x->dim, (size_t)x->rank * sizeof *dims);
    dims[x->rank - 1] = j.a->n;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &j.y));
    size_t room;
    OI_FAIL_IF(!oi_mul_size((size_t)j.a->n, (size_t)j.a->k, &room), ONNX_INFER_E_LIMIT, "MatMulNBits: too many weights");
    j.column = oi_eval_scratch_array(e, room, sizeof *j.column);
    if (!j.column)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    return e->host->parallel(e, (size_t)j.a->n, eval_column, &j);
}

/* --- the fast path: float32, 2, 4 or 8 bits --- */

enum { TILE = 64 /* columns of a task */ };

typedef struct {
    const oi_kernels *kernels;
    oi_gemm_plan plan[2]; /* of a full task, of the last one */
    size_t rows, padded;  /* rows of A; K in whole blocks */
    size_t panel;         /* floats of a packed tile */
} product_state;

static oi_nbits_row row_of(const oi_run *r, int64_t n)
{
    const product_attr *a = r->step->attr;
    const void *zero = r->step->nin > IN_ZEROS ? r->in[IN_ZEROS] : NULL;
    int64_t blocks = blocks_of(a);
    bool packed = zero && r->step->in[IN_ZEROS].dtype == ONNX_INFER_UINT8;
    return (oi_nbits_row){
        .blocks = (size_t)blocks, .block = (size_t)a->block_size, .bits = (unsigned)a->bits,
        .q = (const uint8_t *)r->in[IN_B] + n * row_bytes(a),
        .scale = (const float *)r->in[IN_SCALES] + n * blocks,
        .zero = packed ? (const uint8_t *)zero + n * zero_bytes(a) : NULL,
        .zero_float = zero && !packed ? (const float *)zero + n * blocks : NULL,
    };
}

static const float *bias_of(const oi_run *r)
{
    return r->step->nin > IN_BIAS ? r->in[IN_BIAS] : NULL;
}

/* One row of A: each column's weights are used where they are unpacked. */
static oi_status run_vector(const oi_run *r, uint32_t task)
{
    const product_state *s = r->step->state;
    const product_attr *a = r->step->attr;
    const float *x = r->in[IN_A], *bias = bias_of(r);
    float *y = r->out[0];
    if ((size_t)a->k < s->padded) {
        float *copy = r->thread_workspace;
        memcpy(copy, x, (size_t)a->k * sizeof *copy);
        memset(copy + a->k, 0, (s->padded - (size_t)a->k) * sizeof *copy);
        x = copy;
    }
    int64_t end = (int64_t)(task + 1) * TILE;
    for (int64_t n = (int64_t)task * TILE; n < (end < a->n ? end : a->n); n++) {
        oi_nbits_row row = row_of(r, n);
        y[n] = s->kernels->nbits_dot(&row, x) + (bias ? bias[n] : 0);
    }
    return ONNX_INFER_OK;
}

/* A tile of columns is expanded, packed and multiplied by all rows of A. */
static oi_status run_matrix(const oi_run *r, uint32_t task)
{
    const product_state *s = r->step->state;
    const product_attr *a = r->step->attr;
    int64_t first = (int64_t)task * TILE, n = a->n - first < TILE ? a->n - first : TILE;
    const float *bias = bias_of(r);
    float *panel = r->thread_workspace, *wide = panel + s->panel, *room = wide + TILE * s->padded;
    for (int64_t i = 0; i < n; i++) {
        oi_nbits_row row = row_of(r, first + i);
        s->kernels->nbits_expand(&row, wide + (size_t)i * s->padded);
    }
    oi_gemm_pack_b(s->kernels, (size_t)a->k, (size_t)n, wide, s->padded, true, 1, panel);
    oi_gemm_args args = {.a = r->in[IN_A], .b = panel, .c = (float *)r->out[0] + first, .lda = (size_t)a->k, .ldc = (size_t)a->n, .alpha = 1};
    args.epilogue = oi_epilogue_none();
    args.epilogue.bias = bias ? bias + first : NULL;
    const oi_gemm_plan *plan = &s->plan[n < TILE];
    for (size_t t = 0; t < plan->n_tasks; t++)
        oi_gemm_run(plan, &args, t, room);
    return ONNX_INFER_OK;
}

static size_t whole_lines(size_t floats)
{
    return (floats + 15) & ~(size_t)15;
}

static oi_status prepare_product(oi_prepare *p)
{
    oi_step *step = p->step;
    const product_attr *a = step->attr;
    const oi_tensor *in[6] = {NULL};
    for (uint32_t i = 0; i < step->nin && i < 6; i++)
        in[i] = step->in[i].dtype ? &step->in[i] : NULL;
    bool fits = in[IN_A]->dtype == ONNX_INFER_FLOAT && in[IN_SCALES]->dtype == ONNX_INFER_FLOAT && !in[IN_GROUPS] &&
                (!in[IN_ZEROS] || in[IN_ZEROS]->dtype == ONNX_INFER_FLOAT || in[IN_ZEROS]->dtype == ONNX_INFER_UINT8) &&
                (!in[IN_BIAS] || in[IN_BIAS]->dtype == ONNX_INFER_FLOAT) && (a->bits == 2 || a->bits == 4 || a->bits == 8);
    OI_TRY(check_inputs(a, in));
    product_state *s = fits ? oi_arena_mem(p->arena, sizeof *s) : NULL;
    if (!s)
        return fits ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_OK;
    s->kernels = p->target->kernels;
    s->padded = (size_t)(blocks_of(a) * a->block_size);
    s->rows = (size_t)(oi_tensor_count(in[IN_A]) / a->k);
    if (s->rows == 0)
        return ONNX_INFER_OK;
    step->state = s;
    step->n_tasks = (uint32_t)((a->n + TILE - 1) / TILE);
    step->flops = 2 * (uint64_t)s->rows * (uint64_t)a->n * (uint64_t)a->k;
    if (s->rows == 1) {
        step->run = run_vector;
        step->thread_workspace = s->padded * sizeof(float);
    } else {
        oi_gemm_shape shape = {.m = s->rows, .n = TILE, .k = (size_t)a->k, .batch = 1, .b_packed = true};
        OI_TRY(oi_gemm_plan_init(&s->plan[0], s->kernels, &shape));
        shape.n = (size_t)(a->n % TILE ? a->n % TILE : TILE);
        OI_TRY(oi_gemm_plan_init(&s->plan[1], s->kernels, &shape));
        size_t room = s->plan[0].workspace > s->plan[1].workspace ? s->plan[0].workspace : s->plan[1].workspace;
        s->panel = whole_lines(oi_gemm_packed_size(s->kernels, (size_t)a->k, TILE));
        step->run = run_matrix;
        step->thread_workspace = (s->panel + TILE * s->padded + room) * sizeof(float);
    }
    step->kernel = oi_arena_format(p->arena, "%lld bits %zux%lldx%lld %s", (long long)a->bits, s->rows, (long long)a->n, (long long)a->k,
                                   s->kernels->name);
    return ONNX_INFER_OK;
}

/* --- GatherBlockQuantized --- */

typedef struct {
    int64_t bits, block_size, gather_axis, quantize_axis;
} gather_attr;

/* Numbers of a byte of data. */
static int64_t packing(const gather_attr *a, oi_dtype data)
{
    return data == ONNX_INFER_UINT8 && a->bits > 0 && a->bits < 8 ? 8 / a->bits : 1;
}

static oi_status infer_gather(oi_infer *x)
{
    const gather_attr *a = x->attr;
    const oi_shape *d = &x->in[0]->shape, *i = &x->in[1]->shape;
    oi_dim dims[2 * OI_MAX_RANK];
    int32_t axis, n = 0;
    oi_infer_set_fresh(x, 0, x->in[2]->dtype, -1);
    if (d->rank < 1 || i->rank < 0)
        return ONNX_INFER_OK;
    OI_TRY(oi_infer_axis(x, a->gather_axis, d->rank, &axis));
    OI_FAIL_IF(d->rank + i->rank - 1 > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "the result has rank %d", d->rank + i->rank - 1);
    for (int32_t k = 0; k < d->rank; k++) {
        for (int32_t m = 0; k == axis && m < i->rank; m++)
            dims[n++] = i->dim[m];
        if (k != axis)
            dims[n++] = k == d->rank - 1 ? oi_dim_mul(x->syms, d->dim[k], packing(a, x->in[0]->dtype)) : d->dim[k];
    }
    oi_infer_set(x, 0, x->in[2]->dtype, n, dims);
    return ONNX_INFER_OK;
}

static double number_of(const oi_tensor *t, int64_t bits, int64_t per_byte, int64_t at)
{
    return per_byte > 1 ? number_at(t->data, bits, at) : oi_elem_get_double(t->dtype, t->data, (size_t)at);
}

static oi_status eval_gather(oi_eval *e)
{
    const gather_attr *a = e->attr;
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1), *scales = oi_eval_in(e, 2), *zeros = oi_eval_in(e, 3);
    if (!data || !indices || !scales || !(indices->dtype == ONNX_INFER_INT32 || indices->dtype == ONNX_INFER_INT64) ||
        !oi_dtype_is_float(scales->dtype))
        return oi_eval_bad_type(e, !data ? 0 : !scales || oi_dtype_is_float(scales->dtype) ? 1 : 2);
    int64_t axis = a->gather_axis < 0 ? a->gather_axis + data->rank : a->gather_axis, per_byte = packing(a, data->dtype);
    int64_t along = a->quantize_axis < 0 ? a->quantize_axis + data->rank : a->quantize_axis;
    bool real = oi_dtype_is_float(data->dtype);
    OI_FAIL_IF(axis < 0 || axis >= data->rank || along < 0 || along >= data->rank || scales->rank != data->rank ||
                   data->rank + indices->rank - 1 > OI_MAX_RANK || a->block_size < (real ? 0 : 1) || a->block_size > INT32_MAX ||
                   (data->dtype == ONNX_INFER_UINT8 && a->bits != 2 && a->bits != 4 && a->bits != 8),
               ONNX_INFER_E_INVALID_MODEL, "GatherBlockQuantized: axes %lld and %lld, %lld bits in blocks of %lld do not fit the data",
               (long long)a->gather_axis, (long long)a->quantize_axis, (long long)a->bits, (long long)a->block_size);
    int64_t dim[OI_MAX_RANK], out[OI_MAX_RANK], block = a->block_size;
    int32_t rank = 0;
    memcpy(dim, data->dim, (size_t)data->rank * sizeof *dim);
    dim[data->rank - 1] *= per_byte;
    block = block ? block : dim[along];
    for (int32_t i = 0; i < data->rank; i++) {
        for (int32_t m = 0; i == axis && m < indices->rank; m++)
            out[rank++] = indices->dim[m];
        if (i != axis)
            out[rank++] = dim[i];
        int64_t want = i == along ? (dim[i] + block - 1) / (block ? block : 1) : dim[i];
        OI_FAIL_IF(scales->dim[i] != want && scales->dim[i] != 1, ONNX_INFER_E_SHAPE_MISMATCH,
                   "GatherBlockQuantized: there are %lld scales along axis %d, %lld are needed", (long long)scales->dim[i], (int)i,
                   (long long)want);
    }
    OI_FAIL_IF(zeros && (zeros->dtype != data->dtype || zeros->rank != data->rank), ONNX_INFER_E_TYPE_MISMATCH,
               "GatherBlockQuantized: zero points are not as the data");
    double usual = data->dtype == ONNX_INFER_UINT8 ? (double)(1 << (a->bits - 1)) : 0;
    int64_t outer = oi_dims_count((int32_t)axis, dim), inner = oi_dims_count(data->rank - (int32_t)axis - 1, dim + axis + 1);
    int64_t picks = oi_tensor_count(indices), zero_row = zeros ? zeros->dim[zeros->rank - 1] * per_byte : 0;
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, scales->dtype, rank, out, &y));
    size_t to = 0;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t p = 0; p < picks; p++) {
            int64_t pick = oi_elem_get_int(indices->dtype, indices->data, (size_t)p);
            pick += pick < 0 ? dim[axis] : 0;
            for (int64_t i = 0; i < inner; i++, to++) {
                if (pick < 0 || pick >= dim[axis]) {
                    oi_elem_set_double(y->dtype, y->data, to, 0);
                    continue;
                }
                int64_t at = (o * dim[axis] + pick) * inner + i, rest = at, s = 0, z = 0, step = 1, zero_step = 1;
                for (int32_t d = data->rank; d-- > 0;) {
                    int64_t place = rest % dim[d];
                    rest /= dim[d];
                    place = d == along ? place / block : place;
                    s += (scales->dim[d] == 1 ? 0 : place) * step;
                    step *= scales->dim[d];
                    z += place * zero_step;
                    zero_step *= zeros ? (d == zeros->rank - 1 ? zero_row : zeros->dim[d]) : 1;
                }
                OI_FAIL_IF(zeros && z >= oi_tensor_count(zeros) * per_byte, ONNX_INFER_E_SHAPE_MISMATCH,
                           "GatherBlockQuantized: there are too few zero points");
                double v = number_of(data, a->bits, per_byte, at) - (zeros ? number_of(zeros, a->bits, per_byte, z) : usual);
                oi_elem_set_double(y->dtype, y->data, to, v * oi_elem_get_double(scales->dtype, scales->data, (size_t)s));
            }
        }
    }
    return ONNX_INFER_OK;
}

#define PRODUCT(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(product_attr, field), .i = value}
#define NEEDED(label, field) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(product_attr, field), .flags = OI_ATTR_REQUIRED}
#define GATHER(label, value) {.name = #label, .type = OI_ATTR_INT, .offset = offsetof(gather_attr, label), .i = value}

static const oi_attr_spec product_attrs[] = {
    NEEDED("K", k), NEEDED("N", n), PRODUCT("accuracy_level", accuracy_level, 0), PRODUCT("bits", bits, 4),
    NEEDED("block_size", block_size), PRODUCT("weight_prepacked", prepacked, 0), {0}};
static const oi_attr_spec gather_attrs[] = {GATHER(bits, 4), GATHER(block_size, 128), GATHER(gather_axis, 0), GATHER(quantize_axis, 1), {0}};

const oi_op oi_op_ms_MatMulNBits = {
    .name = "MatMulNBits", .domain = "com.microsoft", .since = 1, .newest = 1, .min_in = 3, .max_in = 6, .min_out = 1, .max_out = 1,
    .attrs = product_attrs, .attr_size = sizeof(product_attr), .infer = infer_product, .eval = eval_product, .prepare = prepare_product,
};
const oi_op oi_op_ms_GatherBlockQuantized = {
    .name = "GatherBlockQuantized", .domain = "com.microsoft", .since = 1, .newest = 1, .min_in = 3, .max_in = 4, .min_out = 1, .max_out = 1,
    .attrs = gather_attrs, .attr_size = sizeof(gather_attr), .infer = infer_gather, .eval = eval_gather,
};
