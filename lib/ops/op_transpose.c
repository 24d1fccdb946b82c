/* Transpose, Expand and Tile: strided views made dense. */
#include "kernels/conv_bytes.h"
#include "ops/strided.h"

#include <string.h>

/* --- Transpose --------------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_ints perm;
} transpose_attr;

static const oi_attr_spec transpose_attrs[] = {
    {.name = "perm", .type = OI_ATTR_INTS, .offset = offsetof(transpose_attr, perm)},
    {0},
};

static oi_status permutation(const transpose_attr *a, int32_t rank, int32_t *perm)
{
    bool seen[OI_MAX_RANK] = {false};
    OI_FAIL_IF(a->perm.at && a->perm.n != (uint32_t)rank, ONNX_INFER_E_SHAPE_MISMATCH,
               "attribute perm has %u elements, input 0 has rank %d", a->perm.n, rank);
    for (int32_t i = 0; i < rank; i++) {
        int64_t axis = a->perm.at ? a->perm.at[i] : rank - 1 - i;
        axis += axis < 0 ? rank : 0;
        OI_FAIL_IF(axis < 0 || axis >= rank || seen[axis], ONNX_INFER_E_INVALID_MODEL,
                   "attribute perm is no permutation: perm[%d] is %lld", i, (long long)axis);
        seen[axis] = true;
        perm[i] = (int32_t)axis;
    }
    return ONNX_INFER_OK;
}

static oi_status infer_transpose(oi_infer *x)
{
    const oi_shape *in = &x->in[0]->shape;
    const transpose_attr *a = x->attr;
    if (in->rank < 0) {
        oi_infer_set_fresh(x, 0, x->in[0]->dtype, a->perm.at && a->perm.n <= OI_MAX_RANK ? (int32_t)a->perm.n : -1);
        return ONNX_INFER_OK;
    }
    int32_t perm[OI_MAX_RANK];
    oi_dim dims[OI_MAX_RANK];
    OI_TRY(permutation(a, in->rank, perm));
    for (int32_t i = 0; i < in->rank; i++)
        dims[i] = in->dim[perm[i]];
    oi_infer_set(x, 0, x->in[0]->dtype, in->rank, dims);
    return ONNX_INFER_OK;
}

static oi_status transposed(const transpose_attr *a, const oi_tensor *in, oi_strided *v)
{
    int32_t perm[OI_MAX_RANK];
    OI_TRY(permutation(a, in->rank, perm));
    oi_strided dense = oi_strided_dense(in->rank, in->dim);
    *v = dense;
    for (int32_t i = 0; i < in->rank; i++) {
        v->dim[i] = dense.dim[perm[i]];
        v->stride[i] = dense.stride[perm[i]];
    }
    return ONNX_INFER_OK;
}

static oi_status eval_transpose(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0);
    oi_strided v;
    oi_tensor *out;
    OI_TRY(transposed(e->attr, in, &v));
    OI_TRY(oi_eval_out(e, 0, in->dtype, v.rank, v.dim, &out));
    return oi_strided_copy_tensor(e, &v, in, out);
}

/* Matrices of bytes. */
typedef struct {
    size_t rows, columns, chunk, chunks; /* of the input; columns of a task, tasks for a matrix */
} matrix_state;

enum { BYTES_PER_TASK = 1 << 16 };

static oi_status run_matrix(const oi_run *r, uint32_t task)
{
    const matrix_state *s = r->step->state;
    const size_t at = task / s->chunks * s->rows * s->columns, first = task % s->chunks * s->chunk, left = s->columns - first;
    oi_bytes_transpose(s->rows, s->columns, first, left < s->chunk ? left : s->chunk, (const uint8_t *)r->in[0] + at, (uint8_t *)r->out[0] + at);
    return ONNX_INFER_OK;
}

/* A stack of matrices of bytes with their last two axes exchanged; *done says whether it is one. */
static oi_status prepare_matrix(oi_prepare *p, const oi_strided *view, bool *done)
{
    oi_strided v = *view;
    oi_strided_simplify(&v);
    const int32_t last = v.rank - 1;
    *done = p->step->in[0].dtype != ONNX_INFER_STRING && oi_dtype_get(p->step->in[0].dtype)->bits == 8 && (v.rank == 2 || v.rank == 3) &&
            oi_dims_count(v.rank, v.dim) > 0 && v.stride[last - 1] == 1 && v.stride[last] == v.dim[last - 1] &&
            (v.rank == 2 || v.stride[0] == v.dim[1] * v.dim[2]);
    if (!*done)
        return ONNX_INFER_OK;
    matrix_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *s = (matrix_state){.rows = (size_t)v.dim[last], .columns = (size_t)v.dim[last - 1]};
    s->chunk = s->rows < BYTES_PER_TASK ? BYTES_PER_TASK / s->rows : 1;
    s->chunk = s->chunk < s->columns ? s->chunk : s->columns;
    s->chunks = (s->columns + s->chunk - 1) / s->chunk;
    const size_t tasks = s->chunks * (v.rank == 3 ? (size_t)v.dim[0] : 1);
    *done = tasks <= INT32_MAX;
    if (!*done)
        return ONNX_INFER_OK;
    p->step->state = s;
    p->step->run = run_matrix;
    p->step->n_tasks = (uint32_t)tasks;
    p->step->kernel = "transpose bytes";
    return ONNX_INFER_OK;
}

static oi_status prepare_transpose(oi_prepare *p)
{
    oi_strided v;
    bool done;
    OI_TRY(transposed(p->step->attr, &p->step->in[0], &v));
    OI_TRY(prepare_matrix(p, &v, &done));
    if (done)
        return ONNX_INFER_OK;
    return oi_strided_prepare(p, &v, "transpose");
}

const oi_op oi_op_Transpose = {
    .name = "Transpose", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_MOVES_DATA,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = transpose_attrs, .attr_size = sizeof(transpose_attr),
    .infer = infer_transpose, .eval = eval_transpose, .prepare = prepare_transpose,
};

/* --- Expand ------------------------------------------------------------------------------------------------------------ */

static oi_status infer_expand(oi_infer *x)
{
    const oi_fact *in = x->in[0], *by = x->in[1];
    oi_dim want[OI_MAX_RANK], dims[OI_MAX_RANK];
    int32_t n;
    OI_TRY(oi_infer_ints(x, 1, want, OI_MAX_RANK, &n));
    if (n < 0 || in->shape.rank < 0) {
        bool ranked = in->shape.rank >= 0 && by->shape.rank == 1 && oi_dim_is_number(by->shape.dim[0]);
        int64_t rank = ranked ? by->shape.dim[0] : -1;
        OI_FAIL_IF(rank > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported", (long long)rank,
                   OI_MAX_RANK);
        oi_infer_set_fresh(x, 0, in->dtype, !ranked ? -1 : rank > in->shape.rank ? (int32_t)rank : in->shape.rank);
        return ONNX_INFER_OK;
    }
    int32_t rank = n > in->shape.rank ? n : in->shape.rank;
    for (int32_t i = 0; i < rank; i++) {
        oi_dim from = i < rank - in->shape.rank ? 1 : in->shape.dim[i - (rank - in->shape.rank)];
        oi_dim to = i < rank - n ? 1 : want[i - (rank - n)];
        if (oi_dim_is_number(from) && oi_dim_is_number(to) && from != to && from != 1 && to != 1) {
            oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "axis %d: %lld does not expand to %lld", i, (long long)from, (long long)to);
            return oi_error_at_axis(i, from, to);
        }
        dims[i] = oi_dim_broadcast(x->syms, from, to);
    }
    oi_infer_set(x, 0, in->dtype, rank, dims);
    return ONNX_INFER_OK;
}

static oi_strided expanded(const oi_tensor *in, int32_t rank, const int64_t *dims)
{
    oi_strided v = {.rank = rank};
    memcpy(v.dim, dims, (size_t)rank * sizeof *dims);
    oi_dims_broadcast_strides(in->rank, in->dim, rank, dims, v.stride);
    return v;
}

static oi_status eval_expand(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0), *by = oi_eval_in(e, 1);
    int64_t dims[OI_MAX_RANK], n = oi_tensor_count(by);
    int32_t rank;
    char text[96];
    if (by->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(n > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported", (long long)n, OI_MAX_RANK);
    OI_FAIL_IF(!oi_dims_broadcast(in->rank, in->dim, (int32_t)n, by->data, &rank, dims), ONNX_INFER_E_SHAPE_MISMATCH,
               "input 0 does not expand to %s", oi_dims_text((int32_t)n, by->data, text, sizeof text));
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, in->dtype, rank, dims, &out));
    oi_strided v = expanded(in, rank, dims);
    return oi_strided_copy_tensor(e, &v, in, out);
}

static oi_status prepare_expand(oi_prepare *p)
{
    oi_strided v = expanded(&p->step->in[0], p->step->out[0].rank, p->step->out[0].dim);
    return oi_strided_prepare(p, &v, "expand");
}

const oi_op oi_op_Expand = {
    .name = "Expand", .domain = "", .since = 8, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .infer = infer_expand, .eval = eval_expand, .prepare = prepare_expand,
};

/* --- Tile -------------------------------------------------------------------------------------------------------------- */

/* Opset 1 gave a tile count and an axis as inputs: today's repeats are ones, as many as the input has axes, with the count
 * at the axis. */
static oi_status import_tile(oi_import *im)
{
    if (im->opset >= 6 || im->nin < 3)
        return ONNX_INFER_OK;
    oi_value_id shape = OI_NONE, rank = OI_NONE, one, ones = OI_NONE, flat[2], repeats = OI_NONE;
    OI_TRY(oi_import_node(im, "Shape", "", 1, &im->in[0], 1, &shape));
    OI_TRY(oi_import_node(im, "Shape", "", 1, &shape, 1, &rank));
    OI_TRY(oi_import_const_ints(im, &(int64_t){1}, 1, 1, &one));
    OI_TRY(oi_import_node(im, "Expand", "", 2, (oi_value_id[]){one, rank}, 1, &ones));
    for (uint32_t i = 0; i < 2; i++) { /* one number each, of any rank and type */
        oi_value_id whole = OI_NONE;
        flat[i] = OI_NONE;
        OI_TRY(oi_import_node(im, "Cast", "to=7", 1, &im->in[1 + i], 1, &whole));
        OI_TRY(oi_import_node(im, "Reshape", "", 2, (oi_value_id[]){whole, one}, 1, &flat[i]));
    }
    OI_TRY(oi_import_node(im, "ScatterElements", "axis=0", 3, (oi_value_id[]){ones, flat[1], flat[0]}, 1, &repeats));
    im->in[1] = repeats;
    im->nin = 2;
    return ONNX_INFER_OK;
}

static oi_status infer_tile(oi_infer *x)
{
    const oi_fact *in = x->in[0];
    oi_dim repeats[OI_MAX_RANK], dims[OI_MAX_RANK];
    int32_t n;
    OI_TRY(oi_infer_ints(x, 1, repeats, OI_MAX_RANK, &n));
    if (n < 0 || in->shape.rank < 0) {
        oi_infer_set_fresh(x, 0, in->dtype, in->shape.rank);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(n != in->shape.rank, ONNX_INFER_E_SHAPE_MISMATCH, "input 1 has %d elements, input 0 has rank %d", n,
               in->shape.rank);
    for (int32_t i = 0; i < n; i++)
        dims[i] = oi_dim_mul(x->syms, in->shape.dim[i], repeats[i]);
    oi_infer_set(x, 0, in->dtype, n, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_tile(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0), *by = oi_eval_in(e, 1);
    int64_t dims[OI_MAX_RANK], at[OI_MAX_RANK] = {0};
    if (by->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(oi_tensor_count(by) != in->rank, ONNX_INFER_E_SHAPE_MISMATCH, "input 1 has %lld elements, input 0 has rank %d",
               (long long)oi_tensor_count(by), in->rank);
    const int64_t *repeats = by->data;
    for (int32_t i = 0; i < in->rank; i++)
        OI_FAIL_IF(repeats[i] < 0 || __builtin_mul_overflow(in->dim[i], repeats[i], &dims[i]), ONNX_INFER_E_INVALID_MODEL,
                   "repeats[%d] is %lld", i, (long long)repeats[i]);
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, in->dtype, in->rank, dims, &out));
    oi_strided from = oi_strided_dense(in->rank, in->dim);
    size_t n = (size_t)oi_tensor_count(out);
    /* Each axis as the pair (repeat, element) is the plain view; ranks double, so walk the elements instead. */
    for (size_t i = 0; i < n; i++) {
        int64_t source = 0;
        for (int32_t d = 0; d < in->rank; d++)
            source += at[d] % in->dim[d] * from.stride[d];
        OI_TRY(oi_copy_element(e->alloc, in, (size_t)source, out, i));
        for (int32_t d = in->rank - 1; d >= 0 && ++at[d] == dims[d]; d--)
            at[d] = 0;
    }
    return ONNX_INFER_OK;
}

/* With at most OI_MAX_RANK - rank axes repeated, the result is the view with a 0-strided axis before each of those. */
static oi_status prepare_tile(oi_prepare *p)
{
    const oi_tensor *in = &p->step->in[0], *out = &p->step->out[0];
    oi_strided from = oi_strided_dense(in->rank, in->dim), v = {0};
    for (int32_t i = 0; i < in->rank; i++) {
        if (out->dim[i] != in->dim[i]) {
            if (v.rank >= OI_MAX_RANK - (in->rank - i) || in->dim[i] == 0)
                return ONNX_INFER_OK;
            v.dim[v.rank] = out->dim[i] / in->dim[i];
            v.stride[v.rank++] = 0;
        }
        v.dim[v.rank] = in->dim[i];
        v.stride[v.rank++] = from.stride[i];
    }
    return oi_strided_prepare(p, &v, "tile");
}

const oi_op oi_op_Tile = {
    .name = "Tile", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .import = import_tile,
    .infer = infer_tile, .eval = eval_tile, .prepare = prepare_tile,
};
