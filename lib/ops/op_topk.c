/* TopK: the k largest or smallest elements along an axis, and their places. */
#include "ops/dtypes.h"
#include "ops/loop.h"
#include "ops/op.h"

typedef void topk_fn(int64_t n, int64_t step, const void *x, int64_t k, bool largest, void *room, void *values, int64_t *places);

#define TMPL "ops/tmpl/topk_lane.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/topk_lane.inc"
#include "ops/tmpl/each_int.inc"

static topk_fn *const fns[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(topk), OI_INT_ROWS(topk)};

typedef struct {
    int64_t axis, largest, sorted;
} topk_attr;

/* k was an attribute in opset 1. */
static oi_status import(oi_import *im)
{
    if (im->opset >= 10)
        return ONNX_INFER_OK;
    const oi_raw_attr *k = oi_import_find(im, "k");
    OI_FAIL_IF(!k, ONNX_INFER_E_INVALID_MODEL, "TopK: attribute k is missing");
    oi_value_id v;
    OI_TRY(oi_import_const_ints(im, &k->i, 1, 1, &v));
    oi_import_drop(im, "k");
    return oi_import_set_input(im, 1, v);
}

static oi_status infer(oi_infer *x)
{
    const topk_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    OI_FAIL_IF(f->dtype && !fns[f->dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input 0: TopK does not take element type %s",
               oi_dtype_name(f->dtype));
    oi_shape s = f->shape;
    if (s.rank > 0) {
        int32_t axis, n;
        oi_dim k;
        OI_TRY(oi_infer_axis(x, a->axis, s.rank, &axis));
        OI_TRY(oi_infer_ints(x, 1, &k, 1, &n));
        s.dim[axis] = n == 1 ? k : oi_dim_fresh(x->syms);
    }
    oi_infer_set(x, 0, f->dtype, s.rank, s.dim);
    if (x->nout > 1)
        oi_infer_set(x, 1, ONNX_INFER_INT64, s.rank, s.dim);
    return ONNX_INFER_OK;
}

enum { MAX_TASKS = 64, TASK_ELEMENTS = 1 << 14 };

typedef struct {
    const oi_tensor *t;
    oi_tensor *values, *places;    /* NULL: not wanted */
    int64_t n, inner, k, lanes, each; /* each: lanes of a task */
    bool largest;
    char *room;                    /* k entries for each task */
} topk_job;

static oi_status pick_lanes(void *arg, size_t task)
{
    const topk_job *j = arg;
    size_t size = oi_dtype_size(j->t->dtype);
    int64_t first = (int64_t)task * j->each, last = first + j->each < j->lanes ? first + j->each : j->lanes;
    for (int64_t i = first; i < last; i++) {
        int64_t from = i / j->inner * j->n * j->inner + i % j->inner, to = i / j->inner * j->k * j->inner + i % j->inner;
        fns[j->t->dtype](j->n, j->inner, (const char *)j->t->data + (size_t)from * size, j->k, j->largest,
                         j->room + task * (size_t)j->k * sizeof(entry_f64), j->values ? (char *)j->values->data + (size_t)to * size : NULL,
                         j->places ? (int64_t *)j->places->data + to : NULL);
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const topk_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0), *k_in = oi_eval_in(e, 1);
    if (!t || !fns[t->dtype])
        return oi_eval_bad_type(e, 0);
    if (!k_in || !oi_dtype_is_int(k_in->dtype) || oi_tensor_count(k_in) != 1)
        return oi_eval_bad_type(e, 1);
    int64_t k = oi_elem_get_int(k_in->dtype, k_in->data, 0), axis = a->axis < 0 ? a->axis + t->rank : a->axis;
    OI_FAIL_IF(axis < 0 || axis >= t->rank, ONNX_INFER_E_INVALID_MODEL, "TopK: axis %lld is out of range for rank %d", (long long)a->axis,
               (int)t->rank);
    int64_t outer, n, inner, dims[OI_MAX_RANK];
    oi_loop_axis(t->rank, t->dim, (int32_t)axis, &outer, &n, &inner);
    OI_FAIL_IF(k < 0 || k > n, ONNX_INFER_E_SHAPE_MISMATCH, "TopK: k is %lld but axis %lld has %lld elements", (long long)k,
               (long long)axis, (long long)n);
    for (int32_t i = 0; i < t->rank; i++)
        dims[i] = i == axis ? k : t->dim[i];
    oi_tensor *values = NULL, *places = NULL;
    if (oi_eval_wants(e, 0))
        OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, dims, &values));
    if (oi_eval_wants(e, 1))
        OI_TRY(oi_eval_out(e, 1, ONNX_INFER_INT64, t->rank, dims, &places));
    if (k == 0 || outer * inner == 0)
        return ONNX_INFER_OK;
    topk_job j = {.t = t, .values = values, .places = places, .n = n, .inner = inner, .k = k, .lanes = outer * inner, .largest = a->largest != 0};
    int64_t least = TASK_ELEMENTS / n + 1, most = (j.lanes + MAX_TASKS - 1) / MAX_TASKS;
    j.each = least > most ? least : most;
    size_t tasks = (size_t)((j.lanes + j.each - 1) / j.each);
    j.room = oi_eval_scratch_array(e, tasks * (size_t)k, sizeof(entry_f64));
    if (!j.room)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    return e->host->parallel(e, tasks, pick_lanes, &j);
}

static const oi_attr_spec attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(topk_attr, axis), .i = -1},
    {.name = "largest", .type = OI_ATTR_INT, .offset = offsetof(topk_attr, largest), .i = 1},
    {.name = "sorted", .type = OI_ATTR_INT, .offset = offsetof(topk_attr, sorted), .i = 1},
    {0},
};

const oi_op oi_op_TopK = {
    .name = "TopK", .domain = "", .since = 1, .newest = 24, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 2, .attrs = attrs,
    .attr_size = sizeof(topk_attr), .import = import, .infer = infer, .eval = eval,
};
