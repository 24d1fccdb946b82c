/* The reference of every normalisation. */
#include "ops/normalize.h"

#include "ops/dtypes.h"
#include "ops/loop.h"

#include <math.h>
#include <string.h>

typedef void sum_fn(int64_t n, const void *x, double *sum, int64_t step, const double *mean);
typedef void apply_fn(int64_t n, const void *x, void *y, const double *mean, const double *inv, int64_t stat_step, const double *scale,
                      int64_t scale_step, const double *bias, int64_t bias_step);

#define TMPL "ops/tmpl/normalize.inc"
#include "ops/tmpl/each_float.inc"

static sum_fn *const sums[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(add_sum)};
static apply_fn *const applies[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(apply)};

oi_status oi_normalize_view(oi_eval *e, oi_normalize *m, int32_t rank, const int64_t *dims, const bool *reduced)
{
    memset(m, 0, sizeof *m);
    m->rank = rank;
    m->stats = m->count = 1;
    for (int32_t i = rank; i-- > 0;) {
        m->dim[i] = dims[i];
        if (reduced[i]) {
            m->count *= dims[i];
        } else {
            m->stat_stride[i] = m->stats;
            m->stats *= dims[i];
        }
    }
    m->mean = oi_eval_scratch_array(e, (size_t)m->stats + 1, sizeof *m->mean);
    m->inv = oi_eval_scratch_array(e, (size_t)m->stats + 1, sizeof *m->inv);
    return m->mean && m->inv ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

/* Operand 0 is x, then stats, scale and bias. */
static void walk_init(const oi_normalize *m, oi_loop *l)
{
    int64_t stride[OI_LOOP_MAX][OI_MAX_RANK], at = 1;
    for (int32_t i = m->rank; i-- > 0;) {
        stride[0][i] = at;
        at *= m->dim[i];
        stride[1][i] = m->stat_stride[i];
        stride[2][i] = m->scale_stride[i];
        stride[3][i] = m->bias_stride[i];
    }
    oi_loop_init(l, 4, m->rank, m->dim, stride);
}

oi_status oi_normalize_stats(const oi_normalize *m, const oi_tensor *x, bool rms)
{
    sum_fn *sum = sums[x->dtype];
    OI_FAIL_IF(!sum, ONNX_INFER_E_UNSUPPORTED_TYPE, "element type %s cannot be normalised", oi_dtype_name(x->dtype));
    size_t size = oi_dtype_size(x->dtype);
    oi_loop l;
    walk_init(m, &l);
    for (int pass = rms ? 1 : 0; pass < 2; pass++) {
        double *into = pass ? m->inv : m->mean;
        oi_loop_cursor c;
        oi_loop_part p;
        oi_loop_all(&l, &c);
        while (oi_loop_next(&c, &p)) {
            for (int64_t i = 0; i < p.rows; i++) {
                int64_t s = p.off[1] + i * p.row_stride[1];
                sum(p.n, (const char *)x->data + (size_t)(p.off[0] + i * p.row_stride[0]) * size, into + s, p.step[1],
                    pass ? m->mean + s : NULL);
            }
        }
        for (int64_t s = 0; s < m->stats; s++)
            into[s] /= (double)m->count;
    }
    return ONNX_INFER_OK;
}

void oi_normalize_invert(const oi_normalize *m, double epsilon)
{
    for (int64_t s = 0; s < m->stats; s++)
        m->inv[s] = 1 / sqrt(m->inv[s] + epsilon);
}

oi_status oi_normalize_values(oi_eval *e, const oi_tensor *t, double **out)
{
    size_t n = (size_t)oi_tensor_count(t);
    *out = oi_eval_scratch_array(e, n + 1, sizeof **out);
    if (!*out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_FAIL_IF(!oi_dtype_is_float(t->dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not take element type %s", e->op->name,
               oi_dtype_name(t->dtype));
    for (size_t i = 0; i < n; i++)
        (*out)[i] = oi_elem_get_double(t->dtype, t->data, i);
    return ONNX_INFER_OK;
}

oi_status oi_normalize_apply(const oi_normalize *m, const oi_tensor *x, oi_tensor *y)
{
    apply_fn *apply = applies[x->dtype];
    OI_FAIL_IF(!apply, ONNX_INFER_E_UNSUPPORTED_TYPE, "element type %s cannot be normalised", oi_dtype_name(x->dtype));
    size_t size = oi_dtype_size(x->dtype);
    oi_loop l;
    oi_loop_cursor c;
    oi_loop_part p;
    walk_init(m, &l);
    oi_loop_all(&l, &c);
    while (oi_loop_next(&c, &p)) {
        for (int64_t i = 0; i < p.rows; i++) {
            size_t at = (size_t)(p.off[0] + i * p.row_stride[0]) * size;
            int64_t s = p.off[1] + i * p.row_stride[1];
            apply(p.n, (const char *)x->data + at, (char *)y->data + at, m->mean + s, m->inv + s, p.step[1],
                  m->scale ? m->scale + p.off[2] + i * p.row_stride[2] : NULL, p.step[2],
                  m->bias ? m->bias + p.off[3] + i * p.row_stride[3] : NULL, p.step[3]);
        }
    }
    return ONNX_INFER_OK;
}
