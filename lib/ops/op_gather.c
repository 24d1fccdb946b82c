/* Gather, GatherElements and GatherND: elements picked by indices. */
#include "ops/strided.h"

#include <string.h>

typedef struct {
    int64_t axis, batch_dims;
} gather_attr;

static const oi_attr_spec axis_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(gather_attr, axis)},
    {0},
};
static const oi_attr_spec nd_attrs[] = {
    {.name = "batch_dims", .type = OI_ATTR_INT, .offset = offsetof(gather_attr, batch_dims)},
    {0},
};
static const oi_dtype index_types[] = {ONNX_INFER_INT64, ONNX_INFER_INT32};

static oi_status bad_index(int64_t index, int32_t axis, int64_t size)
{
    oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "index %lld is outside axis %d, which has %lld elements", (long long)index, axis,
            (long long)size);
    return oi_error_at_axis(axis, index, size);
}

static oi_status read_index(oi_dtype dtype, const void *indices, int64_t i, int32_t axis, int64_t size, int64_t *out)
{
    int64_t index = dtype == ONNX_INFER_INT32 ? ((const int32_t *)indices)[i] : ((const int64_t *)indices)[i];
    if (index < -size || index >= size)
        return bad_index(index, axis, size);
    *out = index < 0 ? index + size : index;
    return ONNX_INFER_OK;
}

/* --- Gather -------------------------------------------------------------------------------------------------------- */

static oi_status infer_gather(oi_infer *x)
{
    const oi_shape *data = &x->in[0]->shape, *indices = &x->in[1]->shape;
    OI_TRY(oi_infer_need_dtype(x, 1, index_types, 2));
    if (data->rank < 0 || indices->rank < 0) {
        oi_infer_set_fresh(x, 0, x->in[0]->dtype, -1);
        return ONNX_INFER_OK;
    }
    int32_t axis = 0, rank = 0;
    oi_dim dims[2 * OI_MAX_RANK];
    OI_TRY(oi_infer_axis(x, ((const gather_attr *)x->attr)->axis, data->rank, &axis));
    for (int32_t i = 0; i < axis; i++)
        dims[rank++] = data->dim[i];
    for (int32_t i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dim[i];
    for (int32_t i = axis + 1; i < data->rank; i++)
        dims[rank++] = data->dim[i];
    OI_FAIL_IF(rank > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %d, at most %d is supported", rank, OI_MAX_RANK);
    oi_infer_set(x, 0, x->in[0]->dtype, rank, dims);
    return ONNX_INFER_OK;
}

/* data is [outer][size][inner], indices have n elements: the result is [outer][n][inner]. */
typedef struct {
    int64_t outer, size, inner, n;
    int32_t axis;
    oi_dtype index_dtype;
    size_t elem;
    int64_t rows_per_task, rows; /* rows: outer * n runs of inner elements */
} gather_shape;

static oi_status gather_geometry(const gather_attr *a, const oi_tensor *data, const oi_tensor *indices, gather_shape *g)
{
    int64_t axis = a->axis + (a->axis < 0 ? data->rank : 0);
    OI_FAIL_IF(axis < 0 || axis >= data->rank, ONNX_INFER_E_INVALID_MODEL, "axis %lld of a tensor of rank %d",
               (long long)a->axis, data->rank);
    g->axis = (int32_t)axis;
    g->outer = oi_dims_count(g->axis, data->dim);
    g->size = data->dim[axis];
    g->inner = oi_dims_count(data->rank - g->axis - 1, data->dim + axis + 1);
    g->n = oi_tensor_count(indices);
    g->index_dtype = indices->dtype;
    g->elem = oi_dtype_size(data->dtype);
    g->rows = g->outer * g->n;
    return ONNX_INFER_OK;
}

static oi_status gather_rows(const gather_shape *g, const void *data, const void *indices, void *out, int64_t first,
                             int64_t last)
{
    size_t bytes = (size_t)g->inner * g->elem;
    for (int64_t row = first; row < last; row++) {
        int64_t index = 0;
        OI_TRY(read_index(g->index_dtype, indices, row % g->n, g->axis, g->size, &index));
        const char *from = (const char *)data + (size_t)(row / g->n * g->size + index) * bytes;
        memcpy((char *)out + (size_t)row * bytes, from, bytes);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_gather(oi_eval *e)
{
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1);
    gather_shape g = {0};
    int64_t dims[2 * OI_MAX_RANK];
    OI_TRY(gather_geometry(e->attr, data, indices, &g));
    int32_t rank = data->rank - 1 + indices->rank;
    OI_FAIL_IF(rank > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %d, at most %d is supported", rank, OI_MAX_RANK);
    memcpy(dims, data->dim, (size_t)g.axis * sizeof *dims);
    memcpy(dims + g.axis, indices->dim, (size_t)indices->rank * sizeof *dims);
    memcpy(dims + g.axis + indices->rank, data->dim + g.axis + 1, (size_t)(data->rank - g.axis - 1) * sizeof *dims);
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, data->dtype, rank, dims, &out));
    if (data->dtype != ONNX_INFER_STRING && !oi_dtype_is_packed(data->dtype))
        return gather_rows(&g, data->data, indices->data, out->data, 0, g.rows);
    for (int64_t row = 0; row < g.rows; row++) {
        int64_t index = 0;
        OI_TRY(read_index(g.index_dtype, indices->data, row % g.n, g.axis, g.size, &index));
        for (int64_t i = 0; i < g.inner; i++)
            OI_TRY(oi_copy_element(e->alloc, data, (size_t)((row / g.n * g.size + index) * g.inner + i), out,
                                   (size_t)(row * g.inner + i)));
    }
    return ONNX_INFER_OK;
}

static oi_status run_gather(const oi_run *r, uint32_t task)
{
    const gather_shape *g = r->step->state;
    int64_t first = task * g->rows_per_task, last = first + g->rows_per_task;
    return gather_rows(g, r->in[0], r->in[1], r->out[0], first, last < g->rows ? last : g->rows);
}

enum { BYTES_PER_TASK = 1 << 16 };

static oi_status prepare_gather(oi_prepare *p)
{
    const oi_tensor *data = &p->step->in[0];
    if (data->dtype == ONNX_INFER_STRING || oi_dtype_is_packed(data->dtype))
        return ONNX_INFER_OK;
    gather_shape *g = oi_arena_mem(p->arena, sizeof *g);
    if (!g)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(gather_geometry(p->step->attr, data, &p->step->in[1], g));
    int64_t bytes = g->inner * (int64_t)g->elem;
    g->rows_per_task = bytes > 0 && bytes < BYTES_PER_TASK ? BYTES_PER_TASK / bytes : 1;
    p->step->state = g;
    p->step->run = run_gather;
    p->step->n_tasks = (uint32_t)((g->rows + g->rows_per_task - 1) / g->rows_per_task);
    p->step->kernel = "gather";
    return ONNX_INFER_OK;
}

const oi_op oi_op_Gather = {
    .name = "Gather", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .loose = 1, .attrs = axis_attrs, .attr_size = sizeof(gather_attr),
    .infer = infer_gather, .eval = eval_gather, .prepare = prepare_gather,
};

/* --- GatherElements -------------------------------------------------------------------------------------------------- */

static oi_status infer_gather_elements(oi_infer *x)
{
    const oi_shape *indices = &x->in[1]->shape;
    OI_TRY(oi_infer_need_dtype(x, 1, index_types, 2));
    oi_infer_set(x, 0, x->in[0]->dtype, indices->rank, indices->dim);
    return ONNX_INFER_OK;
}

static oi_status eval_gather_elements(oi_eval *e)
{
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1);
    int64_t axis = ((const gather_attr *)e->attr)->axis, at[OI_MAX_RANK] = {0};
    axis += axis < 0 ? data->rank : 0;
    OI_FAIL_IF(data->rank != indices->rank || axis < 0 || axis >= data->rank, ONNX_INFER_E_SHAPE_MISMATCH,
               "data of rank %d, indices of rank %d, axis %lld", data->rank, indices->rank, (long long)axis);
    for (int32_t d = 0; d < data->rank; d++)
        OI_FAIL_IF(d != axis && indices->dim[d] > data->dim[d], ONNX_INFER_E_SHAPE_MISMATCH,
                   "indices have %lld along axis %d, data has %lld", (long long)indices->dim[d], d, (long long)data->dim[d]);
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, data->dtype, indices->rank, indices->dim, &out));
    oi_strided from = oi_strided_dense(data->rank, data->dim);
    size_t n = (size_t)oi_tensor_count(indices);
    for (size_t i = 0; i < n; i++) {
        int64_t index = 0, source = 0;
        OI_TRY(read_index(indices->dtype, indices->data, (int64_t)i, (int32_t)axis, data->dim[axis], &index));
        for (int32_t d = 0; d < data->rank; d++)
            source += (d == axis ? index : at[d]) * from.stride[d];
        OI_TRY(oi_copy_element(e->alloc, data, (size_t)source, out, i));
        for (int32_t d = data->rank - 1; d >= 0 && ++at[d] == indices->dim[d]; d--)
            at[d] = 0;
    }
    return ONNX_INFER_OK;
}

const oi_op oi_op_GatherElements = {
    .name = "GatherElements", .domain = "", .since = 11, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = axis_attrs, .attr_size = sizeof(gather_attr),
    .infer = infer_gather_elements, .eval = eval_gather_elements,
};

/* --- GatherND ---------------------------------------------------------------------------------------------------------- */

static oi_status nd_ranks(int64_t batch, int32_t data_rank, int32_t index_rank, int64_t width, int32_t *rank)
{
    OI_FAIL_IF(data_rank < 1 || index_rank < 1 || batch < 0 || batch >= index_rank || batch + width > data_rank || width < 1,
               ONNX_INFER_E_INVALID_MODEL, "data of rank %d, indices of rank %d and width %lld, batch_dims %lld", data_rank,
               index_rank, (long long)width, (long long)batch);
    int64_t r = index_rank - 1 + data_rank - batch - width;
    OI_FAIL_IF(r > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported", (long long)r, OI_MAX_RANK);
    *rank = (int32_t)r;
    return ONNX_INFER_OK;
}

static oi_status infer_gather_nd(oi_infer *x)
{
    const oi_shape *data = &x->in[0]->shape, *indices = &x->in[1]->shape;
    int64_t batch = ((const gather_attr *)x->attr)->batch_dims;
    int32_t rank = -1, at = 0;
    oi_dim dims[OI_MAX_RANK];
    if (data->rank < 0 || indices->rank < 1 || !oi_dim_is_number(indices->dim[indices->rank - 1])) {
        oi_infer_set_fresh(x, 0, x->in[0]->dtype, -1);
        return ONNX_INFER_OK;
    }
    int64_t width = indices->dim[indices->rank - 1];
    OI_TRY(nd_ranks(batch, data->rank, indices->rank, width, &rank));
    for (int32_t i = 0; i < indices->rank - 1; i++)
        dims[at++] = indices->dim[i];
    for (int32_t i = (int32_t)(batch + width); i < data->rank; i++)
        dims[at++] = data->dim[i];
    oi_infer_set(x, 0, x->in[0]->dtype, rank, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_gather_nd(oi_eval *e)
{
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1);
    int64_t batch = ((const gather_attr *)e->attr)->batch_dims, dims[OI_MAX_RANK];
    int32_t rank = 0, at = 0;
    OI_FAIL_IF(indices->rank < 1 || indices->dtype != ONNX_INFER_INT64, ONNX_INFER_E_TYPE_MISMATCH, "bad indices");
    int64_t width = indices->dim[indices->rank - 1];
    OI_TRY(nd_ranks(batch, data->rank, indices->rank, width, &rank));
    for (int32_t i = 0; i < indices->rank - 1; i++)
        dims[at++] = indices->dim[i];
    for (int32_t i = (int32_t)(batch + width); i < data->rank; i++)
        dims[at++] = data->dim[i];
    for (int32_t i = 0; i < batch; i++)
        OI_FAIL_IF(data->dim[i] != indices->dim[i], ONNX_INFER_E_SHAPE_MISMATCH, "batch axis %d: data %lld, indices %lld", i,
                   (long long)data->dim[i], (long long)indices->dim[i]);
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, data->dtype, rank, dims, &out));
    int64_t inner = oi_dims_count(data->rank - (int32_t)(batch + width), data->dim + batch + width);
    int64_t tuples = oi_dims_count(indices->rank - 1, indices->dim), batches = oi_dims_count((int32_t)batch, data->dim);
    int64_t per_batch = batches ? tuples / batches : 0;
    for (int64_t t = 0; t < tuples; t++) {
        int64_t source = t / per_batch;
        for (int32_t d = 0; d < width; d++) {
            int64_t index = 0, size = data->dim[batch + d];
            OI_TRY(read_index(indices->dtype, indices->data, t * width + d, (int32_t)batch + d, size, &index));
            source = source * size + index;
        }
        for (int64_t i = 0; i < inner; i++)
            OI_TRY(oi_copy_element(e->alloc, data, (size_t)(source * inner + i), out, (size_t)(t * inner + i)));
    }
    return ONNX_INFER_OK;
}

const oi_op oi_op_GatherND = {
    .name = "GatherND", .domain = "", .since = 11, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = nd_attrs, .attr_size = sizeof(gather_attr),
    .infer = infer_gather_nd, .eval = eval_gather_nd,
};
