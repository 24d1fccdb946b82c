/* Matrix products of bytes: MatMulInteger, QLinearMatMul. */
#include "base/checked.h"
#include "kernels/bytes.h"
#include "ops/loop.h"
#include "ops/op_matmul.h"

#include <math.h>
#include <string.h>

/* How many zero points or scales an operand has: one, or one a row of A (a column of B). */
static bool fits(const oi_tensor *t, int64_t rows)
{
    int64_t n = t ? oi_tensor_count(t) : 1;
    return n == 1 || n == rows;
}

/* --- infer --- */

static oi_status infer_shape(oi_infer *x, uint32_t ia, uint32_t ib, oi_dtype dtype)
{
    oi_shape a = x->in[ia]->shape, b = x->in[ib]->shape;
    if (a.rank < 0 || b.rank < 0) {
        oi_infer_set_fresh(x, 0, dtype, -1);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(a.rank == 0 || b.rank == 0, ONNX_INFER_E_SHAPE_MISMATCH, "%s: scalars cannot be multiplied", x->op->name);
    oi_dim ka = a.dim[a.rank - 1], kb = b.dim[b.rank > 1 ? b.rank - 2 : 0], dims[OI_MAX_RANK];
    OI_FAIL_IF(oi_dim_is_number(ka) && oi_dim_is_number(kb) && ka != kb, ONNX_INFER_E_SHAPE_MISMATCH,
               "%s: the rows of A have %lld elements, the columns of B %lld", x->op->name, (long long)ka, (long long)kb);
    int32_t left = a.rank > 2 ? a.rank - 2 : 0, right = b.rank > 2 ? b.rank - 2 : 0, rank = left > right ? left : right;
    for (int32_t i = 0; i < rank; i++) {
        oi_dim u = i < rank - left ? 1 : a.dim[i - (rank - left)], v = i < rank - right ? 1 : b.dim[i - (rank - right)];
        dims[i] = oi_dim_broadcast(x->syms, u, v);
    }
    if (a.rank > 1)
        dims[rank++] = a.dim[a.rank - 2];
    if (b.rank > 1)
        dims[rank++] = b.dim[b.rank - 1];
    oi_infer_set(x, 0, dtype, rank, dims);
    return ONNX_INFER_OK;
}

static oi_status infer_integer(oi_infer *x)
{
    return infer_shape(x, 0, 1, ONNX_INFER_INT32);
}

static oi_status infer_quantized(oi_infer *x)
{
    return infer_shape(x, 0, 3, x->in[7]->dtype);
}

/* --- products --- */

typedef struct {
    oi_matmul_shape s;
    oi_dtype a_type, b_type;
    bool a_zero_rows, b_zero_columns; /* zero points one a row of A, one a column of B */
    bool requantize;
    /* of QLinearMatMul: */
    oi_dtype scale_type, y_type;
    bool a_scale_rows, b_scale_columns;
} product_state;

enum { RUN = 64 };

/* sum[j] += a * b[j]; runs of a fixed length become vectors. */
static void add_row(int64_t n, int32_t a, const int16_t *restrict b, int32_t *restrict sum)
{
    int64_t j = 0;
    for (; n - j >= RUN; j += RUN) {
        for (int64_t k = 0; k < RUN; k++)
            sum[j + k] += a * b[j + k];
    }
    for (; j < n; j++)
        sum[j] += a * b[j];
}

static int32_t byte_at(oi_dtype t, const void *data, int64_t i)
{
    return t == ONNX_INFER_INT8 ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
}

typedef struct {
    const void *a, *a_zero, *b, *b_zero;
    const void *a_scale, *b_scale, *y_scale, *y_zero;
    void *y;
} product_data;

/* a_scale * b_scale / y_scale of a row and n columns from `from` on. */
static void factors(const product_state *p, const product_data *d, int64_t row, int64_t from, int64_t n, float *factor)
{
    double a_scale = oi_elem_get_double(p->scale_type, d->a_scale, p->a_scale_rows ? (size_t)row : 0);
    double y_scale = oi_elem_get_double(p->scale_type, d->y_scale, 0);
    for (int64_t j = 0; j < n; j++)
        factor[j] = (float)(a_scale * oi_elem_get_double(p->scale_type, d->b_scale, p->b_scale_columns ? (size_t)(from + j) : 0) / y_scale);
}

/* `factor` is read where the result is quantized again. */
static void store_row(const product_state *p, const product_data *d, int64_t n, const int32_t *sum, const float *factor, int64_t to)
{
    if (!p->requantize)
        memcpy((int32_t *)d->y + to, sum, (size_t)n * sizeof *sum);
    else
        oi_bytes_requantize((size_t)n, sum, 0, factor, 1, byte_at(p->y_type, d->y_zero, 0), p->y_type == ONNX_INFER_INT8,
                            (uint8_t *)d->y + to);
}

enum { COLUMNS = 256, DEPTH = 64, ROWS = 16 };

/* Rows [first, end) of one product, block by block: a block of B is widened once for up to ROWS rows of A. */
static void multiply(const product_state *p, const product_data *d, size_t batch, int64_t first, int64_t end)
{
    int16_t wide[DEPTH][COLUMNS];
    int32_t sum[ROWS][COLUMNS];
    const int64_t n = p->s.n, depth = p->s.k;
    const int64_t a0 = (int64_t)p->s.a_offset[batch], b0 = (int64_t)p->s.b_offset[batch];
    for (int64_t i = first; i < end; i += ROWS) {
        int64_t rows = end - i < ROWS ? end - i : ROWS;
        for (int64_t j = 0; j < n; j += COLUMNS) {
            int64_t columns = n - j < COLUMNS ? n - j : COLUMNS;
            memset(sum, 0, sizeof sum);
            for (int64_t k = 0; k < depth; k += DEPTH) {
                int64_t some = depth - k < DEPTH ? depth - k : DEPTH;
                for (int64_t t = 0; t < some; t++) {
                    for (int64_t c = 0; c < columns; c++) {
                        int32_t zero = d->b_zero ? byte_at(p->b_type, d->b_zero, p->b_zero_columns ? j + c : 0) : 0;
                        wide[t][c] = (int16_t)(byte_at(p->b_type, d->b, b0 + (k + t) * n + j + c) - zero);
                    }
                }
                for (int64_t r = 0; r < rows; r++) {
                    int32_t zero = d->a_zero ? byte_at(p->a_type, d->a_zero, p->a_zero_rows ? i + r : 0) : 0;
                    for (int64_t t = 0; t < some; t++)
                        add_row(columns, byte_at(p->a_type, d->a, a0 + (i + r) * depth + k + t) - zero, wide[t], sum[r]);
                }
            }
            for (int64_t r = 0; r < rows; r++) {
                float factor[COLUMNS];
                if (p->requantize)
                    factors(p, d, i + r, j, columns, factor);
                store_row(p, d, columns, sum[r], factor, ((int64_t)batch * p->s.m + i + r) * n + j);
            }
        }
    }
}

/* --- the operators: inputs of QLinearMatMul, and those of MatMulInteger under the same names --- */

extern const oi_op oi_op_QLinearMatMul;

typedef struct {
    uint32_t a, a_zero, b, b_zero;
} product_inputs;

static product_inputs inputs_of(const oi_op *op)
{
    return op == &oi_op_QLinearMatMul ? (product_inputs){0, 2, 3, 5} : (product_inputs){0, 2, 1, 3};
}

static bool is_byte(const oi_tensor *t)
{
    return t->dtype == ONNX_INFER_INT8 || t->dtype == ONNX_INFER_UINT8;
}

/* `in[i]` NULL: left out. */
static oi_status make_state(const oi_op *op, uint32_t nin, const oi_tensor *const *in, void *(*mem)(void *host, size_t bytes), void *host,
                            product_state *p)
{
    product_inputs at = inputs_of(op);
    const oi_tensor *a = in[at.a], *b = in[at.b], *a_zero = at.a_zero < nin ? in[at.a_zero] : NULL, *b_zero = at.b_zero < nin ? in[at.b_zero] : NULL;
    memset(p, 0, sizeof *p);
    OI_FAIL_IF(!a || !b || !is_byte(a) || !is_byte(b) || (a_zero && a_zero->dtype != a->dtype) || (b_zero && b_zero->dtype != b->dtype),
               ONNX_INFER_E_UNSUPPORTED_TYPE, "%s: the matrices and their zero points must be int8 or uint8", op->name);
    OI_TRY(oi_matmul_resolve(a->rank, a->dim, b->rank, b->dim, mem, host, &p->s));
    p->a_type = a->dtype;
    p->b_type = b->dtype;
    bool good = fits(a_zero, p->s.m) && fits(b_zero, p->s.n);
    p->a_zero_rows = a_zero && oi_tensor_count(a_zero) > 1;
    p->b_zero_columns = b_zero && oi_tensor_count(b_zero) > 1;
    if (op == &oi_op_QLinearMatMul) {
        for (uint32_t i = 0; i < 8; i++)
            OI_FAIL_IF(!in[i], ONNX_INFER_E_INVALID_MODEL, "%s: input %u is missing", op->name, i);
        OI_FAIL_IF(!oi_dtype_is_float(in[1]->dtype) || in[4]->dtype != in[1]->dtype || in[6]->dtype != in[1]->dtype || !is_byte(in[7]),
                   ONNX_INFER_E_UNSUPPORTED_TYPE, "%s: scales must be of one floating type and results int8 or uint8", op->name);
        good = good && fits(in[1], p->s.m) && fits(in[4], p->s.n) && oi_tensor_count(in[6]) == 1 && oi_tensor_count(in[7]) == 1;
        p->requantize = true;
        p->scale_type = in[1]->dtype;
        p->y_type = in[7]->dtype;
        p->a_scale_rows = oi_tensor_count(in[1]) > 1;
        p->b_scale_columns = oi_tensor_count(in[4]) > 1;
    }
    OI_FAIL_IF(!good, ONNX_INFER_E_SHAPE_MISMATCH, "%s: scales or zero points do not fit the matrices", op->name);
    return ONNX_INFER_OK;
}

static product_data data_of(const product_state *p, uint32_t nin, const void *const *in, void *y)
{
    if (p->requantize)
        return (product_data){in[0], in[2], in[3], in[5], in[1], in[4], in[6], in[7], y};
    return (product_data){.a = in[0], .b = in[1], .a_zero = nin > 2 ? in[2] : NULL, .b_zero = nin > 3 ? in[3] : NULL, .y = y};
}

static void *scratch(void *host, size_t bytes)
{
    return oi_eval_scratch(host, bytes);
}

/* Float8 matrices, which nothing computes on fast: products of what the elements stand for. */
static bool has_float8(uint32_t nin, const oi_tensor *const *in)
{
    for (uint32_t i = 0; i < nin; i++) {
        if ((i == 0 || i == 3 || i == 7) && in[i] && oi_dtype_is_float(in[i]->dtype) && oi_dtype_get(in[i]->dtype)->bits == 8)
            return true;
    }
    return false;
}

/* Element i of a matrix without its zero point, times its scale; `row` is its row of A or column of B. */
static double real_at(const oi_tensor *t, size_t i, const oi_tensor *scale, const oi_tensor *zero, int64_t row)
{
    double z = oi_elem_get_double(zero->dtype, zero->data, oi_tensor_count(zero) > 1 ? (size_t)row : 0);
    double s = oi_elem_get_double(scale->dtype, scale->data, oi_tensor_count(scale) > 1 ? (size_t)row : 0);
    return (oi_elem_get_double(t->dtype, t->data, i) - z) * s;
}

static oi_status eval_float8(oi_eval *e)
{
    const oi_tensor *const *in = e->in, *a = in[0], *b = in[3], *y_scale = in[6], *y_zero = in[7];
    oi_matmul_shape s;
    oi_tensor *y;
    for (uint32_t i = 0; i < 8; i++) {
        bool scale = i == 1 || i == 4 || i == 6;
        if (!in[i] || (scale ? !oi_dtype_is_float(in[i]->dtype) : !is_byte(in[i]) && !oi_dtype_is_float(in[i]->dtype)))
            return oi_eval_bad_type(e, i);
    }
    OI_TRY(oi_matmul_resolve(a->rank, a->dim, b->rank, b->dim, scratch, e, &s));
    OI_FAIL_IF(!fits(in[1], s.m) || !fits(in[2], s.m) || !fits(in[4], s.n) || !fits(in[5], s.n) || oi_tensor_count(y_scale) != 1 ||
                   oi_tensor_count(y_zero) != 1,
               ONNX_INFER_E_SHAPE_MISMATCH, "%s: scales or zero points do not fit the matrices", e->op->name);
    OI_TRY(oi_eval_out(e, 0, y_zero->dtype, s.rank, s.dim, &y));
    double divisor = oi_elem_get_double(y_scale->dtype, y_scale->data, 0), zero = oi_elem_get_double(y_zero->dtype, y_zero->data, 0);
    double low = y->dtype == ONNX_INFER_INT8 ? -128 : 0, high = y->dtype == ONNX_INFER_INT8 ? 127 : 255;
    for (int64_t i = 0; i < oi_tensor_count(y); i++) {
        int64_t product = i / (s.m * s.n), row = i / s.n % s.m, column = i % s.n;
        double sum = 0;
        for (int64_t k = 0; k < s.k; k++)
            sum += real_at(a, s.a_offset[product] + (size_t)(row * s.k + k), in[1], in[2], row) *
                   real_at(b, s.b_offset[product] + (size_t)(k * s.n + column), in[4], in[5], column);
        double v = sum / divisor + zero;
        if (is_byte(y)) {
            v = rint(sum / divisor) + zero;
            v = v < low ? low : v > high ? high : v;
        }
        oi_elem_set_double(y->dtype, y->data, (size_t)i, v);
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    product_state p;
    const void *data[8] = {NULL};
    for (uint32_t i = 0; i < e->nin && i < 8; i++)
        data[i] = e->in[i] ? e->in[i]->data : NULL;
    if (e->op == &oi_op_QLinearMatMul && has_float8(e->nin, e->in))
        return eval_float8(e);
    OI_TRY(make_state(e->op, e->nin, e->in, scratch, e, &p));
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, p.requantize ? p.y_type : ONNX_INFER_INT32, p.s.rank, p.s.dim, &y));
    product_data d = data_of(&p, e->nin, data, y->data);
    for (size_t b = 0; b < p.s.batch; b++)
        multiply(&p, &d, b, 0, p.s.m);
    return ONNX_INFER_OK;
}

/* --- the fast path: panels of B packed once, blocks of A's rows packed by the tasks that multiply them --- */

enum { BLOCK_ROWS = 48, TASK_PRODUCTS = 1 << 20 };

typedef struct {
    product_state p;
    const oi_kernels *kernels;
    const uint8_t *packed;    /* of a constant B; NULL: phase 0 packs into the workspace */
    size_t panel_size, panels; /* of one matrix B */
    size_t matrices;          /* different ones in B */
    size_t lefts;             /* different matrices A */
    size_t blocks, chunk, chunks; /* blocks of rows; panels of a task, tasks along them */
    size_t depth, sums, rights; /* of the workspace: bytes of a packed row of A; where A's sums and the panels begin */
} fast_state;

static void pack_panel(const fast_state *f, const void *b, size_t index, uint8_t *to)
{
    const size_t n = (size_t)f->p.s.n, k = (size_t)f->p.s.k, column = index % f->panels * OI_BYTES_COLUMNS, left = n - column;
    oi_bytes_pack(k, left < OI_BYTES_COLUMNS ? left : OI_BYTES_COLUMNS, (const uint8_t *)b + index / f->panels * k * n + column, n,
                        f->p.b_type == ONNX_INFER_INT8, to + index * f->panel_size);
}

static void zeros(oi_dtype t, const void *data, bool many, int64_t from, int64_t n, int32_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = data ? byte_at(t, data, many ? from + i : 0) : 0;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const fast_state *f = r->step->state;
    const product_state *p = &f->p;
    const product_data d = data_of(p, r->step->nin, r->in, r->out[0]);
    const size_t m = (size_t)p->s.m, k = (size_t)p->s.k, left_tasks = f->lefts * f->blocks;
    const size_t packing = left_tasks + (f->packed ? 0 : f->matrices * f->panels);
    uint8_t *room = r->workspace;
    int32_t *left_sums = (int32_t *)(void *)(room + f->sums);
    if (task < left_tasks) {
        const size_t first = task / f->blocks * m + task % f->blocks * BLOCK_ROWS, rest = m - task % f->blocks * BLOCK_ROWS;
        oi_bytes_pack_a(rest < BLOCK_ROWS ? rest : BLOCK_ROWS, k, (const uint8_t *)d.a + first * k, k, p->a_type == ONNX_INFER_INT8,
                        room + first * f->depth, left_sums + first);
        return ONNX_INFER_OK;
    }
    if (task < packing) {
        pack_panel(f, d.b, task - left_tasks, room + f->rights);
        return ONNX_INFER_OK;
    }
    const size_t work = task - packing, batch = work / (f->blocks * f->chunks), first = work / f->chunks % f->blocks * BLOCK_ROWS;
    const size_t rows = m - first < BLOCK_ROWS ? m - first : BLOCK_ROWS, row = p->s.a_offset[batch] / k + first;
    const size_t from = work % f->chunks * f->chunk, end = from + f->chunk < f->panels ? from + f->chunk : f->panels;
    const uint8_t *panels = f->packed ? f->packed : room + f->rights;
    int32_t *block = r->thread_workspace, a_zero[BLOCK_ROWS], b_zero[OI_BYTES_COLUMNS];
    float factor[OI_BYTES_COLUMNS];
    panels += p->s.b_offset[batch] / (k * (size_t)p->s.n) * f->panels * f->panel_size;
    zeros(p->a_type, d.a_zero, p->a_zero_rows, (int64_t)first, (int64_t)rows, a_zero);
    for (size_t i = from; i < end; i++) {
        const int64_t column = (int64_t)i * OI_BYTES_COLUMNS, left = p->s.n - column, n = left < OI_BYTES_COLUMNS ? left : OI_BYTES_COLUMNS;
        memset(b_zero, 0, sizeof b_zero);
        zeros(p->b_type, d.b_zero, p->b_zero_columns, column, n, b_zero);
        const oi_bytes_args args = {.m = rows, .k = k, .a = room + row * f->depth, .a_sums = left_sums + row, .panel = panels + i * f->panel_size,
                                    .a_signed = p->a_type == ONNX_INFER_INT8, .b_signed = p->b_type == ONNX_INFER_INT8, .a_zero = a_zero,
                                    .a_zero_step = 1, .b_zero = b_zero, .b_zero_step = 1, .c = block, .ldc = OI_BYTES_COLUMNS};
        oi_bytes_multiply(f->kernels, &args);
        for (size_t t = 0; t < rows; t++) {
            if (p->requantize && (t == 0 || p->a_scale_rows))
                factors(p, &d, (int64_t)(first + t), column, n, factor);
            store_row(p, &d, n, block + t * OI_BYTES_COLUMNS, factor, ((int64_t)batch * p->s.m + (int64_t)(first + t)) * p->s.n + column);
        }
    }
    return ONNX_INFER_OK;
}

static void *arena_mem(void *host, size_t bytes)
{
    return oi_arena_mem(host, bytes);
}

static oi_status prepare(oi_prepare *q)
{
    oi_step *step = q->step;
    const oi_tensor *in[8] = {NULL};
    fast_state *f = oi_arena_mem(q->arena, sizeof *f);
    if (!f)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < step->nin && i < 8; i++)
        in[i] = step->in[i].dtype ? &step->in[i] : NULL;
    if (step->op == &oi_op_QLinearMatMul && has_float8(step->nin, in))
        return ONNX_INFER_OK;
    OI_TRY(make_state(step->op, step->nin, in, arena_mem, q->arena, &f->p));
    const size_t m = (size_t)f->p.s.m, n = (size_t)f->p.s.n, k = (size_t)f->p.s.k;
    if (oi_tensor_count(&step->out[0]) == 0 || k == 0 || k > INT32_MAX / BLOCK_ROWS)
        return ONNX_INFER_OK;
    const oi_tensor *b = in[inputs_of(step->op).b];
    size_t packed, tasks, products;
    f->kernels = q->target->kernels;
    f->depth = oi_bytes_depth(k);
    f->panel_size = oi_bytes_panel_size(k);
    f->panels = (n + OI_BYTES_COLUMNS - 1) / OI_BYTES_COLUMNS;
    f->matrices = (size_t)oi_tensor_count(b) / (k * n);
    f->blocks = (m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    products = (m < BLOCK_ROWS ? m : BLOCK_ROWS) * k * OI_BYTES_COLUMNS; /* of a panel */
    f->chunk = TASK_PRODUCTS / products < 1 ? 1 : TASK_PRODUCTS / products < f->panels ? TASK_PRODUCTS / products : f->panels;
    f->chunks = (f->panels + f->chunk - 1) / f->chunk;
    bool fits_all = oi_mul_size(f->matrices * f->panels, f->panel_size, &packed) && oi_mul_size(f->p.s.batch * f->blocks, f->chunks, &tasks) &&
                    tasks < INT32_MAX / 2 && f->matrices * f->panels < INT32_MAX / 2;
    if (!fits_all)
        return ONNX_INFER_OK;
    const oi_tensor *a = in[inputs_of(step->op).a];
    f->lefts = (size_t)oi_tensor_count(a) / (m * k);
    f->sums = (f->lefts * m * f->depth + 63) / 64 * 64;
    f->rights = f->sums + (f->lefts * m * sizeof(int32_t) + 63) / 64 * 64;
    size_t packing = f->lefts * f->blocks;
    step->workspace = f->rights;
    if (b->data) {
        uint8_t *to = oi_arena_mem(q->arena, packed);
        if (!to)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (size_t i = 0; i < f->matrices; i++)
            oi_bytes_pack(k, n, (const uint8_t *)b->data + i * k * n, n, f->p.b_type == ONNX_INFER_INT8, to + i * f->panels * f->panel_size);
        f->packed = to;
    } else {
        packing += f->matrices * f->panels;
        step->workspace += packed;
    }
    step->phases = 2;
    step->phase_end[0] = (uint32_t)packing;
    step->phase_end[1] = (uint32_t)(packing + tasks);
    step->thread_workspace = (m < BLOCK_ROWS ? m : BLOCK_ROWS) * OI_BYTES_COLUMNS * sizeof(int32_t);
    step->kernel = "bytes";
    step->state = f;
    step->n_tasks = step->phase_end[1];
    step->flops = 2 * (uint64_t)f->p.s.batch * m * n * k;
    step->run = run;
    return ONNX_INFER_OK;
}

const oi_op oi_op_MatMulInteger = {
    .name = "MatMulInteger", .domain = "", .since = 10, .newest = 10, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
    .infer = infer_integer, .eval = eval, .prepare = prepare,
};
const oi_op oi_op_QLinearMatMul = {
    .name = "QLinearMatMul", .domain = "", .since = 10, .newest = 21, .min_in = 8, .max_in = 8, .min_out = 1, .max_out = 1,
    .infer = infer_quantized, .eval = eval, .prepare = prepare,
};
