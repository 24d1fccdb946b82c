/* FlexAttention (ai.onnx.preview): attention whose scores and probabilities pass through subgraphs of the model. */
#include "ops/iteration.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t softmax_precision;
    float scale;
} flex_attr;

enum { IN_Q, IN_K, IN_V };

static bool is_float(int64_t t)
{
    return t == ONNX_INFER_FLOAT || t == ONNX_INFER_DOUBLE || t == ONNX_INFER_FLOAT16 || t == ONNX_INFER_BFLOAT16;
}

/* The type of scores and probabilities. */
static oi_dtype inner_type(const flex_attr *a, oi_dtype t)
{
    if (a->softmax_precision != OI_UNSET)
        return (oi_dtype)a->softmax_precision;
    return t == ONNX_INFER_DOUBLE ? t : ONNX_INFER_FLOAT;
}

/* The subgraph of this name, or -1. */
static int32_t modifier(const oi_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->nsub; i++) {
        if (strcmp(n->sub[i].name, name) == 0)
            return (int32_t)i;
    }
    return -1;
}

static oi_status infer_modifier(oi_infer *x, const char *name, const oi_fact *scores)
{
    int32_t i = modifier(x->node, name);
    if (i < 0)
        return ONNX_INFER_OK;
    const oi_graph *g = x->node->sub[i].graph;
    OI_FAIL_IF(g->ninput - x->node->sub[i].ncapture != 1 || g->noutput != 1, ONNX_INFER_E_INVALID_MODEL,
               "FlexAttention: %s must have 1 input and 1 output", name);
    oi_fact out;
    return x->sub(x, (uint32_t)i, &scores, 1, &out);
}

static oi_status infer(oi_infer *x)
{
    const flex_attr *a = x->attr;
    const oi_fact *q = oi_infer_in(x, IN_Q), *k = oi_infer_in(x, IN_K), *v = oi_infer_in(x, IN_V);
    OI_FAIL_IF(a->softmax_precision != OI_UNSET && !is_float(a->softmax_precision), ONNX_INFER_E_INVALID_MODEL,
               "FlexAttention: softmax_precision %lld is no float type of 16 to 64 bits", (long long)a->softmax_precision);
    for (uint32_t i = 0; i < 3; i++) {
        OI_FAIL_IF(!oi_infer_in(x, i), ONNX_INFER_E_INVALID_MODEL, "FlexAttention: input %u is left out", i);
        OI_FAIL_IF(x->in[i]->shape.rank >= 0 && x->in[i]->shape.rank != 4, ONNX_INFER_E_SHAPE_MISMATCH,
                   "FlexAttention: input %u has rank %d, expected 4", i, (int)x->in[i]->shape.rank);
    }
    oi_dim d[4], s[4];
    for (int32_t i = 0; i < 4; i++) {
        const oi_fact *of = i < 3 ? q : v;
        d[i] = of->shape.rank == 4 ? of->shape.dim[i] : oi_dim_fresh(x->syms);
        s[i] = d[i];
    }
    s[3] = k->shape.rank == 4 ? k->shape.dim[2] : oi_dim_fresh(x->syms);
    oi_fact scores = oi_fact_tensor(inner_type(a, q->dtype), 4, s);
    OI_TRY(infer_modifier(x, "score_mod", &scores));
    OI_TRY(infer_modifier(x, "prob_mod", &scores));
    oi_infer_set(x, 0, q->dtype, 4, d);
    return ONNX_INFER_OK;
}

typedef struct {
    const oi_tensor *k, *v;
    const double *q, *key, *value; /* q and key scaled */
    int64_t batch, heads, kv_heads, rows, columns, size, v_size;
    oi_tensor *scores;             /* [batch][heads][rows][columns] */
    oi_tensor *y;
    double *row;                   /* of each head: columns */
} flex_job;

/* The elements of t as double, each times `factor` and rounded to its type. */
static oi_status read_scaled(oi_eval *e, uint32_t in, double factor, const double **out)
{
    const oi_tensor *t = oi_eval_in(e, in);
    size_t n = (size_t)oi_tensor_count(t);
    double *v = oi_eval_scratch_array(e, n + 1, sizeof *v);
    uint64_t rounded;
    if (!v)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        v[i] = oi_elem_get_double(t->dtype, t->data, i);
        if (factor != 1) {
            oi_elem_set_double(t->dtype, &rounded, 0, v[i] * factor);
            v[i] = oi_elem_get_double(t->dtype, &rounded, 0);
        }
    }
    *out = v;
    return ONNX_INFER_OK;
}

static oi_status score_head(void *arg, size_t head)
{
    const flex_job *j = arg;
    int64_t h = (int64_t)head % j->heads, b = (int64_t)head / j->heads, kv = b * j->kv_heads + h / (j->heads / j->kv_heads);
    const double *q = j->q + (int64_t)head * j->rows * j->size, *key = j->key + kv * j->columns * j->size;
    uint64_t rounded;
    for (int64_t i = 0; i < j->rows * j->columns; i++) {
        const double *a = q + i / j->columns * j->size, *c = key + i % j->columns * j->size;
        double sum = 0;
        for (int64_t d = 0; d < j->size; d++)
            sum += a[d] * c[d];
        oi_elem_set_double(j->k->dtype, &rounded, 0, sum); /* the product has the inputs' type */
        oi_elem_set_double(j->scores->dtype, j->scores->data, (size_t)((int64_t)head * j->rows * j->columns + i),
                           oi_elem_get_double(j->k->dtype, &rounded, 0));
    }
    return ONNX_INFER_OK;
}

static oi_status softmax_head(void *arg, size_t head)
{
    const flex_job *j = arg;
    const oi_tensor *t = j->scores;
    double *row = j->row + (int64_t)head * j->columns;
    for (int64_t i = 0; i < j->rows; i++) {
        size_t at = (size_t)(((int64_t)head * j->rows + i) * j->columns);
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < j->columns; c++) {
            row[c] = oi_elem_get_double(t->dtype, t->data, at + (size_t)c);
            most = row[c] > most || row[c] != row[c] ? row[c] : most;
        }
        for (int64_t c = 0; c < j->columns; c++) {
            row[c] = exp(row[c] - most);
            sum += row[c];
        }
        for (int64_t c = 0; c < j->columns; c++)
            oi_elem_set_double(t->dtype, t->data, at + (size_t)c, row[c] / sum);
    }
    return ONNX_INFER_OK;
}

static oi_status gather_head(void *arg, size_t head)
{
    const flex_job *j = arg;
    int64_t h = (int64_t)head % j->heads, b = (int64_t)head / j->heads, kv = b * j->kv_heads + h / (j->heads / j->kv_heads);
    const double *value = j->value + kv * j->columns * j->v_size;
    for (int64_t i = 0; i < j->rows; i++) {
        int64_t at = (int64_t)head * j->rows + i;
        for (int64_t m = 0; m < j->v_size; m++) {
            double sum = 0;
            for (int64_t c = 0; c < j->columns; c++)
                sum += oi_elem_get_double(j->scores->dtype, j->scores->data, (size_t)(at * j->columns + c)) * value[c * j->v_size + m];
            oi_elem_set_double(j->y->dtype, j->y->data, (size_t)(at * j->v_size + m), sum);
        }
    }
    return ONNX_INFER_OK;
}

/* Releases what the slot holds and puts v there. */
static void put(onnx_infer_value **slot, onnx_infer_value *v)
{
    oi_value_release(*slot);
    *slot = v;
}

/* Puts the value in *held through the subgraph of this name, where there is one. */
static oi_status modify(oi_eval *e, const char *name, onnx_infer_value **held)
{
    int32_t i = modifier(e->node, name);
    onnx_infer_value *in = *held, *out = NULL;
    if (i < 0)
        return ONNX_INFER_OK;
    OI_TRY(e->host->sub(e, (uint32_t)i, 1, &in, 1, &out));
    bool fits = out && out->kind == in->kind && out->tensor.dtype == in->tensor.dtype && oi_tensor_same_shape(&out->tensor, &in->tensor);
    put(held, out);
    OI_FAIL_IF(!fits, ONNX_INFER_E_TYPE_MISMATCH, "FlexAttention: %s does not keep the type and shape of its input", name);
    return ONNX_INFER_OK;
}

static oi_status attend(oi_eval *e, flex_job *j, onnx_infer_value **held)
{
    size_t heads = (size_t)(j->batch * j->heads);
    oi_tensor own;
    j->scores = &(*held)->tensor;
    OI_TRY(e->host->parallel(e, heads, score_head, j));
    OI_TRY(modify(e, "score_mod", held));
    /* What the subgraph gives back may be shared with others: softmax works on a copy. */
    OI_TRY(oi_tensor_clone(e->alloc, &(*held)->tensor, &own));
    onnx_infer_value *copy = NULL;
    oi_status status = oi_value_from_tensor(e->alloc, &own, &copy);
    if (status) {
        oi_tensor_clear(&own);
        return status;
    }
    put(held, copy);
    j->scores = &copy->tensor;
    OI_TRY(e->host->parallel(e, heads, softmax_head, j));
    OI_TRY(modify(e, "prob_mod", held));
    j->scores = &(*held)->tensor;
    return e->host->parallel(e, heads, gather_head, j);
}

static oi_status eval(oi_eval *e)
{
    const flex_attr *a = e->attr;
    const oi_tensor *q = oi_eval_in(e, IN_Q), *k = oi_eval_in(e, IN_K), *v = oi_eval_in(e, IN_V);
    for (uint32_t i = 0; i < 3; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (!t || !is_float(t->dtype) || t->dtype != q->dtype)
            return oi_eval_bad_type(e, i);
    }
    bool ranks = q->rank == 4 && k->rank == 4 && v->rank == 4;
    OI_FAIL_IF(!ranks || k->dim[0] != q->dim[0] || v->dim[0] != q->dim[0] || k->dim[1] != v->dim[1] || k->dim[2] != v->dim[2] ||
                   k->dim[3] != q->dim[3] || k->dim[1] < 1 || q->dim[1] % k->dim[1],
               ONNX_INFER_E_SHAPE_MISMATCH, "FlexAttention: queries, keys and values do not fit each other");
    flex_job j = {.k = k, .v = v, .batch = q->dim[0], .heads = q->dim[1], .kv_heads = k->dim[1], .rows = q->dim[2], .columns = k->dim[2],
                  .size = q->dim[3], .v_size = v->dim[3]};
    uint64_t rounded;
    float scale = isnan(a->scale) ? (float)(1 / sqrt((double)j.size)) : a->scale;
    oi_elem_set_double(q->dtype, &rounded, 0, sqrt((double)scale));
    double root = oi_elem_get_double(q->dtype, &rounded, 0);
    OI_TRY(read_scaled(e, IN_Q, root, &j.q));
    OI_TRY(read_scaled(e, IN_K, root, &j.key));
    OI_TRY(read_scaled(e, IN_V, 1, &j.value));
    j.row = oi_eval_scratch_array(e, (size_t)(j.batch * j.heads) + 1, ((size_t)j.columns + 1) * sizeof *j.row);
    if (!j.row)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_eval_out(e, 0, q->dtype, 4, (const int64_t[]){j.batch, j.heads, j.rows, j.v_size}, &j.y));
    oi_tensor scores;
    onnx_infer_value *held = NULL;
    OI_TRY(oi_tensor_create(e->alloc, inner_type(a, q->dtype), 4, (const int64_t[]){j.batch, j.heads, j.rows, j.columns}, &scores));
    oi_status status = oi_value_from_tensor(e->alloc, &scores, &held);
    if (status)
        oi_tensor_clear(&scores);
    else
        status = attend(e, &j, &held);
    oi_value_release(held);
    return status;
}

static const oi_attr_spec attrs[] = {
    {.name = "scale", .type = OI_ATTR_FLOAT, .offset = offsetof(flex_attr, scale), .f = NAN},
    {.name = "softmax_precision", .type = OI_ATTR_INT, .offset = offsetof(flex_attr, softmax_precision), .i = OI_UNSET},
    {0},
};

const oi_op oi_op_preview_FlexAttention = {
    .name = "FlexAttention", .domain = "ai.onnx.preview", .since = 1, .newest = 1, .flags = OI_OP_CONTROL, .min_in = 3,
    .max_in = UINT16_MAX, .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(flex_attr), .infer = infer, .eval = eval,
};
