/* CumSum, CumProd: running sums and products along an axis. */
#include "ops/dtypes.h"
#include "ops/loop.h"
#include "ops/op.h"

typedef void cumulative_fn(int64_t n, int64_t lanes, int64_t stride, const void *x, void *y, bool product, bool exclusive);

#define TMPL "ops/tmpl/cumulative_lane.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/cumulative_lane.inc"
#include "ops/tmpl/each_int.inc"

static cumulative_fn *const fns[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(cumulative), OI_INT_ROWS(cumulative)};

typedef struct {
    int64_t exclusive, reverse;
} cumulative_attr;

extern const oi_op oi_op_CumProd;

static oi_status infer(oi_infer *x)
{
    oi_dtype dtype = x->in[0]->dtype;
    OI_FAIL_IF(dtype && !fns[dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input 0: %s does not take element type %s", x->op->name,
               oi_dtype_name(dtype));
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

enum { BLOCK = 16, TASK_ELEMENTS = 1 << 13 }; /* BLOCK: lanes side by side that are taken together */

typedef struct {
    const oi_tensor *t;
    oi_tensor *y;
    cumulative_fn *fn;
    int64_t n, inner, blocks, units, each; /* units: blocks of all outer places; each: of a task */
    bool product, exclusive, reverse;
} cumulative_job;

static oi_status run_lanes(void *arg, size_t task)
{
    const cumulative_job *j = arg;
    int64_t size = (int64_t)oi_dtype_size(j->t->dtype), end = ((int64_t)task + 1) * j->each;
    for (int64_t unit = (int64_t)task * j->each; unit < (end < j->units ? end : j->units); unit++) {
        int64_t lane = unit % j->blocks * BLOCK, left = j->inner - lane;
        int64_t first = ((unit / j->blocks * j->n + (j->reverse ? j->n - 1 : 0)) * j->inner + lane) * size;
        j->fn(j->n, left < BLOCK ? left : BLOCK, j->reverse ? -j->inner : j->inner, (const char *)j->t->data + first,
              (char *)j->y->data + first, j->product, j->exclusive);
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const cumulative_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0), *at = oi_eval_in(e, 1);
    if (!t || !fns[t->dtype])
        return oi_eval_bad_type(e, 0);
    if (!at || !oi_dtype_is_int(at->dtype) || oi_tensor_count(at) != 1)
        return oi_eval_bad_type(e, 1);
    int64_t given = oi_elem_get_int(at->dtype, at->data, 0), axis = given < 0 ? given + t->rank : given;
    OI_FAIL_IF(axis < 0 || axis >= t->rank, ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d", e->op->name,
               (long long)given, (int)t->rank);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, t->dim, &y));
    int64_t outer;
    cumulative_job j = {.t = t, .y = y, .fn = fns[t->dtype], .product = e->op == &oi_op_CumProd, .exclusive = a->exclusive != 0,
                        .reverse = a->reverse != 0};
    oi_loop_axis(t->rank, t->dim, (int32_t)axis, &outer, &j.n, &j.inner);
    if (j.n == 0 || outer * j.inner == 0)
        return ONNX_INFER_OK;
    j.blocks = (j.inner + BLOCK - 1) / BLOCK;
    j.units = outer * j.blocks;
    j.each = TASK_ELEMENTS / (j.n * (j.inner < BLOCK ? j.inner : BLOCK)) + 1;
    return e->host->parallel(e, (size_t)((j.units + j.each - 1) / j.each), run_lanes, &j);
}

static const oi_attr_spec attrs[] = {
    {.name = "exclusive", .type = OI_ATTR_INT, .offset = offsetof(cumulative_attr, exclusive)},
    {.name = "reverse", .type = OI_ATTR_INT, .offset = offsetof(cumulative_attr, reverse)},
    {0},
};

#define CUMULATIVE(id, first, latest)                                                                                   \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = first, .newest = latest, .min_in = 2, .max_in = 2,    \
                              .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(cumulative_attr),         \
                              .infer = infer, .eval = eval}
CUMULATIVE(CumProd, 26, 26);
CUMULATIVE(CumSum, 11, 14);
