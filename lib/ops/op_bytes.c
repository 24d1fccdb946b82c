/* Sums, pools and functions of bytes that stand for numbers; pools with channels last. */
#include "kernels/conv_bytes.h"
#include "ops/eval_prepared.h"
#include "ops/loop.h"
#include "ops/op_conv_bytes.h"
#include "ops/op_pool.h"
#include "ops/rewrite.h"

#include <string.h>

#define INT(owner, field, ...) {.name = #field, .type = OI_ATTR_INT, .offset = offsetof(owner, field), __VA_ARGS__}
#define INTS(owner, field) {.name = #field, .type = OI_ATTR_INTS, .offset = offsetof(owner, field), .flags = OI_ATTR_REQUIRED}
#define FLOAT(owner, field) {.name = #field, .type = OI_ATTR_FLOAT, .offset = offsetof(owner, field)}

/* --- BinaryBytes --- */

#define A oi_binary_bytes_attr
static const oi_attr_spec binary_attrs[] = {
    INT(A, product, 0), FLOAT(A, a_scale), FLOAT(A, b_scale), FLOAT(A, y_scale), INT(A, a_zero, 0), INT(A, b_zero, 0), INT(A, y_zero, 0), INT(A, y_signed, 0),
    INT(A, low, 0), INT(A, high, 0), {0},
};
#undef A

static oi_status infer_binary(oi_infer *x)
{
    const oi_binary_bytes_attr *a = x->attr;
    oi_infer_set(x, 0, a->y_signed ? ONNX_INFER_INT8 : ONNX_INFER_UINT8, x->in[0]->shape.rank, x->in[0]->shape.dim);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_byte_scaling scaling;
    const oi_kernels *kernels;
} binary_state;

static oi_status run_binary(const oi_run *r, uint32_t task)
{
    const binary_state *s = r->step->state;
    int64_t first, n;
    oi_loop_flat(oi_tensor_count(&r->step->out[0]), r->step->n_tasks, task, &first, &n);
    const oi_byte_binary_args args = {.n = (size_t)n, .a = (const uint8_t *)r->in[0] + first, .r = (const uint8_t *)r->in[1] + first,
                                   .y = (uint8_t *)r->out[0] + first, .a_signed = r->step->in[0].dtype == ONNX_INFER_INT8,
                                   .product = ((const oi_binary_bytes_attr *)r->step->attr)->product != 0, .scaling = &s->scaling};
    s->kernels->byte_binary(&args);
    return ONNX_INFER_OK;
}

static oi_status prepare_binary(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_binary_bytes_attr *a = step->attr;
    binary_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_FAIL_IF(!oi_tensor_same_shape(&step->in[0], &step->in[1]), ONNX_INFER_E_INTERNAL, "BinaryBytes: the shapes differ");
    s->kernels = p->target->kernels;
    s->scaling = (oi_byte_scaling){.zero = (int32_t)a->a_zero, .scale = a->a_scale, .r_scale = a->b_scale, .r_zero = (int32_t)a->b_zero,
                                   .r_signed = step->in[1].dtype == ONNX_INFER_INT8, .y_scale = a->y_scale, .y_zero = (int32_t)a->y_zero,
                                   .y_low = (float)(a->low - a->y_zero), .y_high = (float)(a->high - a->y_zero)};
    step->state = s;
    step->run = run_binary;
    step->n_tasks = oi_loop_flat_tasks(oi_tensor_count(&step->out[0]));
    step->kernel = a->product ? "product of bytes" : "sum of bytes";
    for (int32_t i = 1; i >= 0; i--)
        step->in_place = step->in[i].data == NULL && step->in[i].dtype == step->out[0].dtype ? i : step->in_place;
    return ONNX_INFER_OK;
}

static oi_status eval_binary(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0);
    const oi_binary_bytes_attr *a = e->attr;
    return oi_eval_prepared(e, oi_cpu_isa_detect(), a->y_signed ? ONNX_INFER_INT8 : ONNX_INFER_UINT8, x->rank, x->dim);
}

const oi_op oi_op_oi_BinaryBytes = {
    .name = "BinaryBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_ELEMENTWISE | OI_OP_LOWERED_ONLY, .min_in = 2,
    .max_in = 2, .min_out = 1, .max_out = 1, .attrs = binary_attrs, .attr_size = sizeof(oi_binary_bytes_attr), .infer = infer_binary,
    .eval = eval_binary, .prepare = prepare_binary,
};

/* --- LookupBytes --- */

static oi_status infer_lookup(oi_infer *x)
{
    oi_infer_set(x, 0, x->in[1]->dtype, x->in[0]->shape.rank, x->in[0]->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status run_lookup(const oi_run *r, uint32_t task)
{
    const uint8_t *x = r->in[0], *table = r->in[1];
    uint8_t *y = r->out[0];
    int64_t first, n;
    oi_loop_flat(oi_tensor_count(&r->step->out[0]), r->step->n_tasks, task, &first, &n);
    for (int64_t i = first; i < first + n; i++)
        y[i] = table[x[i]];
    return ONNX_INFER_OK;
}

static oi_status prepare_lookup(oi_prepare *p)
{
    oi_step *step = p->step;
    OI_FAIL_IF(oi_tensor_count(&step->in[1]) != 256 || step->in[1].bytes != 256, ONNX_INFER_E_INTERNAL, "LookupBytes: the table has %lld elements",
               (long long)oi_tensor_count(&step->in[1]));
    step->run = run_lookup;
    step->n_tasks = oi_loop_flat_tasks(oi_tensor_count(&step->out[0]));
    step->in_place = step->in[0].dtype == step->out[0].dtype ? 0 : -1;
    step->kernel = "table of bytes";
    return ONNX_INFER_OK;
}

static oi_status eval_lookup(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0);
    return oi_eval_prepared(e, oi_cpu_isa_detect(), oi_eval_in(e, 1)->dtype, x->rank, x->dim);
}

const oi_op oi_op_oi_LookupBytes = {
    .name = "LookupBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 2, .max_in = 2,
    .min_out = 1, .max_out = 1, .infer = infer_lookup, .eval = eval_lookup, .prepare = prepare_lookup,
};

/* --- PoolBytes --- */

#define A oi_pool_bytes_attr
static const oi_attr_spec pool_attrs[] = {
    INT(A, average, 0), INTS(A, kernel), INTS(A, strides), INTS(A, dilations), INTS(A, pads), INTS(A, out), INT(A, x_zero, 0),
    INT(A, y_zero, 0), INT(A, y_signed, 0), INT(A, low, 0), INT(A, high, 0), FLOAT(A, x_scale), FLOAT(A, y_scale), {0},
};
#undef A

static oi_status check_pool(const oi_pool_bytes_attr *a)
{
    OI_FAIL_IF(a->kernel.n != 2 || a->strides.n != 2 || a->dilations.n != 2 || a->pads.n != 4 || a->out.n != 2, ONNX_INFER_E_INTERNAL,
               "PoolBytes: lists of wrong lengths");
    return ONNX_INFER_OK;
}

static oi_dtype pool_type(const oi_pool_bytes_attr *a, oi_dtype x)
{
    return !a->average ? x : a->y_signed ? ONNX_INFER_INT8 : ONNX_INFER_UINT8;
}

static oi_status infer_pool(oi_infer *x)
{
    const oi_pool_bytes_attr *a = x->attr;
    const oi_fact *in = x->in[0];
    OI_TRY(check_pool(a));
    OI_FAIL_IF(in->shape.rank != 4, ONNX_INFER_E_INTERNAL, "input 0 has rank %d", in->shape.rank);
    const oi_dim dims[4] = {in->shape.dim[0], a->out.at[0], a->out.at[1], in->shape.dim[3]};
    oi_infer_set(x, 0, pool_type(a, in->dtype), 4, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    size_t h, w, c, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl;
    uint8_t flip;
    size_t blocks;     /* of channels; of averages */
    oi_byte_scaling scaling;
    float factor;
    int32_t offset;    /* of a sum: x_zero for each pixel */
} pool_state;

enum { LANES = 64, CHANNELS = 256 };

/* y = the larger of both, as codes xored with flip; loops of a fixed length become vectors. */
static void largest(size_t n, const uint8_t *restrict x, uint8_t flip, uint8_t *restrict y)
{
    size_t i = 0;
    for (; n - i >= LANES; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            const uint8_t v = x[i + k] ^ flip;
            y[i + k] = y[i + k] > v ? y[i + k] : v;
        }
    }
    for (; i < n; i++) {
        const uint8_t v = x[i] ^ flip;
        y[i] = y[i] > v ? y[i] : v;
    }
}

/* One row of the output. */
static oi_status run_max(const oi_run *r, uint32_t task)
{
    const pool_state *s = r->step->state;
    const size_t n = task / s->oh, oy = task % s->oh;
    const uint8_t *image = (const uint8_t *)r->in[0] + n * s->h * s->w * s->c;
    uint8_t *row = (uint8_t *)r->out[0] + (n * s->oh + oy) * s->ow * s->c;
    memset(row, 0, s->ow * s->c);
    for (size_t ky = 0; ky < s->kh; ky++) {
        const ptrdiff_t iy = (ptrdiff_t)(oy * s->sh + ky * s->dh) - (ptrdiff_t)s->pt;
        if (iy < 0 || iy >= (ptrdiff_t)s->h)
            continue;
        for (size_t ox = 0; ox < s->ow; ox++) {
            for (size_t kx = 0; kx < s->kw; kx++) {
                const ptrdiff_t ix = (ptrdiff_t)(ox * s->sw + kx * s->dw) - (ptrdiff_t)s->pl;
                if (ix >= 0 && ix < (ptrdiff_t)s->w)
                    largest(s->c, image + ((size_t)iy * s->w + (size_t)ix) * s->c, s->flip, row + ox * s->c);
            }
        }
    }
    for (size_t i = 0; s->flip && i < s->ow * s->c; i++)
        row[i] ^= s->flip;
    return ONNX_INFER_OK;
}

/* The averages of a block of channels of one image. */
static oi_status run_average(const oi_run *r, uint32_t task)
{
    const pool_state *s = r->step->state;
    const size_t n = task / s->blocks, first = task % s->blocks * CHANNELS, some = s->c - first < CHANNELS ? s->c - first : CHANNELS;
    const uint8_t *x = (const uint8_t *)r->in[0] + n * s->h * s->w * s->c + first;
    uint8_t *y = (uint8_t *)r->out[0] + n * s->c + first;
    uint32_t sum[CHANNELS] = {0};
    for (size_t i = 0; i < s->h * s->w; i++, x += s->c) {
        size_t k = 0;
        for (; some - k >= LANES; k += LANES) {
            for (size_t j = 0; j < LANES; j++)
                sum[k + j] += (uint8_t)(x[k + j] ^ s->flip);
        }
        for (; k < some; k++)
            sum[k] += (uint8_t)(x[k] ^ s->flip);
    }
    for (size_t k = 0; k < some; k++) {
        float v = (float)((int32_t)sum[k] - s->offset) * s->factor;
        v = v > s->scaling.low ? v : s->scaling.low; /* NaN too */
        v = v < s->scaling.high ? v : s->scaling.high;
        y[k] = (uint8_t)((int32_t)((v + 0x1.8p23f) - 0x1.8p23f) + s->scaling.zero);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare_pool(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_pool_bytes_attr *a = step->attr;
    const int64_t *in = step->in[0].dim;
    pool_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(check_pool(a));
    *s = (pool_state){.h = (size_t)in[1], .w = (size_t)in[2], .c = (size_t)in[3], .oh = (size_t)a->out.at[0], .ow = (size_t)a->out.at[1],
                      .kh = (size_t)a->kernel.at[0], .kw = (size_t)a->kernel.at[1], .sh = (size_t)a->strides.at[0], .sw = (size_t)a->strides.at[1],
                      .dh = (size_t)a->dilations.at[0], .dw = (size_t)a->dilations.at[1], .pt = (size_t)a->pads.at[0], .pl = (size_t)a->pads.at[1],
                      .flip = step->in[0].dtype == ONNX_INFER_INT8 ? 0x80 : 0};
    OI_FAIL_IF(a->average && s->h * s->w > INT32_MAX / 512, ONNX_INFER_E_LIMIT, "PoolBytes: an image of %zu pixels", s->h * s->w);
    s->blocks = (s->c + CHANNELS - 1) / CHANNELS;
    s->factor = (float)((double)a->x_scale / ((double)a->y_scale * (double)(s->h * s->w)));
    s->offset = (int32_t)(s->h * s->w) * (int32_t)(a->x_zero + s->flip);
    s->scaling = (oi_byte_scaling){.zero = (int32_t)a->y_zero, .low = (float)(a->low - a->y_zero), .high = (float)(a->high - a->y_zero)};
    step->state = s;
    step->run = a->average ? run_average : run_max;
    step->n_tasks = (uint32_t)((size_t)in[0] * (a->average ? s->blocks : s->oh));
    step->kernel = a->average ? "average of bytes" : "pool of bytes";
    return ONNX_INFER_OK;
}

static oi_status eval_pool(oi_eval *e)
{
    const oi_pool_bytes_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    OI_TRY(check_pool(a));
    const int64_t dims[4] = {x->dim[0], a->out.at[0], a->out.at[1], x->dim[3]};
    return oi_eval_prepared(e, oi_cpu_isa_detect(), pool_type(a, x->dtype), 4, dims);
}

const oi_op oi_op_oi_PoolBytes = {
    .name = "PoolBytes", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 1, .max_in = 1,
    .min_out = 1, .max_out = 1, .attrs = pool_attrs, .attr_size = sizeof(oi_pool_bytes_attr), .infer = infer_pool, .eval = eval_pool,
    .prepare = prepare_pool,
};

oi_status oi_pool_bytes_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    const oi_pool_attr *a = node.attr;
    const oi_fact *x = oi_graph_fact(g, node.in[0]);
    int32_t rank;
    int64_t in[OI_MAX_RANK];
    oi_window w;
    (void)target;
    if ((x->dtype != ONNX_INFER_UINT8 && x->dtype != ONNX_INFER_INT8) || !oi_fact_dims(x, &rank, in) || rank != 4 || oi_dims_count(rank, in) == 0 ||
        (node.nout > 1 && node.out[1] != OI_NONE))
        return ONNX_INFER_OK;
    OI_TRY(oi_window_init(&a->window, 2, NULL, &w));
    OI_TRY(oi_window_resolve(&a->window, in + 2, &w));
    if (oi_dims_count(2, w.out) == 0)
        return ONNX_INFER_OK;
    oi_pool_bytes_attr *pool = oi_attr_new(g->arena, &oi_op_oi_PoolBytes);
    if (!pool)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const int64_t pads[4] = {w.begin[0], w.begin[1], w.end[0], w.end[1]};
    pool->kernel = oi_rewrite_ints(rw, w.kernel, 2);
    pool->strides = oi_rewrite_ints(rw, w.stride, 2);
    pool->dilations = oi_rewrite_ints(rw, w.dilation, 2);
    pool->pads = oi_rewrite_ints(rw, pads, 4);
    pool->out = oi_rewrite_ints(rw, w.out, 2);
    OI_TRY(rw->status);
    const oi_value_id last = oi_bytes_to_last(rw, node.in[0]);
    oi_rewrite_replace(rw, node.out[0], oi_bytes_from_last(rw, oi_rewrite_node(rw, &oi_op_oi_PoolBytes, pool, 1, &last)));
    return rw->status;
}
