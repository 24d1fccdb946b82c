/* gemm.c - plans and runs matrix products: packs operands into panels, cuts the result into tasks and tiles.
 */
#include "kernels/gemm.h"

#include <string.h>

#include "base/checked.h"
#include "kernels/panel.h"

enum {
    TASK_MACS = 1 << 19, /* a task shorter than this costs more to hand out than it is worth */
    MAX_TASKS = 64,      /* tasks that a large product is cut into, for each member of a batch */
    MAX_DEPTH = 1024,    /* k of one pass: a panel of B stays in the second level cache */
    MAX_ROWS = 168,      /* rows of a task, so that its part of A stays there too */
    STOP_MACS = 1 << 18, /* of memory-bound work, between two questions whether to stop */
    PART_PANELS = 8, PART_ROWS = 32, /* packed together: as many rows are read a piece at a time, by whole lines of the cache */
    FEW_ROWS = 16, /* up to here B is read where it lies: packing it would cost as much as the product */
};

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }
static size_t div_up(size_t a, size_t b) { return a / b + (a % b != 0); }

/* Floats of a workspace that a panel of B takes. */
static size_t b_room(const oi_gemm_plan *p)
{
    return p->shape.b_packed ? 0 : p->kc * 3 * p->kern->vl;
}

oi_status oi_gemm_plan_init(oi_gemm_plan *p, const oi_kernels *kern, const oi_gemm_shape *shape)
{
    *p = (oi_gemm_plan){.kern = kern, .shape = *shape};
    const oi_gemm_shape *s = &p->shape;
    const size_t vl = kern->vl;
    size_t a, b, c, t;
    const bool fits = oi_mul_size(s->m, s->k, &a) && oi_mul_size(s->k, s->n, &b) &&
                      oi_mul_size(s->m, s->n, &c) && oi_mul_size(max_size(a, c), sizeof(float), &t) &&
                      oi_mul_size(max_size(s->k, 1), s->n + 64, &t) && oi_mul_size(t, sizeof(float), &t) &&
                      oi_mul_size(s->batch, max_size(c, 1), &t);
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "matrix product: sizes overflow (%zu x %zu by %zu x %zu)", s->m,
               s->k, s->k, s->n);
    if (s->m == 0 || s->n == 0 || s->batch == 0)
        return ONNX_INFER_OK;
    const size_t panels = oi_panel_count(div_up(s->n, vl));
    p->kc = max_size(div_up(s->k, max_size(div_up(s->k, MAX_DEPTH), 1)), 1);
    /* Few rows are bound by the reading of B. */
    const double macs = (double)max_size(s->m, 8) * (double)s->n * (double)max_size(s->k, 1);
    double want = macs / TASK_MACS;
    want = want < 1 ? 1 : want > MAX_TASKS ? MAX_TASKS : want;
    /* Rows of a task share what it packs of B, so that a B still to be packed asks for many rows. */
    const size_t most = s->b_packed ? MAX_ROWS : 4 * MAX_ROWS;
    p->m_tasks = div_up(s->m, most);
    p->mc = div_up(s->m, p->m_tasks);
    p->m_tasks = div_up(s->m, p->mc);
    size_t chunks = (size_t)(want / (double)p->m_tasks + 0.5);
    chunks = min_size(max_size(chunks, 1), panels);
    p->chunk = div_up(panels, chunks);
    p->n_chunks = div_up(panels, p->chunk);
    p->group = macs >= TASK_MACS ? 1 : min_size((size_t)(TASK_MACS / macs), s->batch);
    p->n_tasks = div_up(s->batch, p->group) * p->m_tasks * p->n_chunks;
    /* An odd number of cache lines from row to row spreads the rows over the sets of the cache. */
    p->a_stride = (p->kc + 15) / 16 * 16 + 16;
    if (p->a_stride / 16 % 2 == 0)
        p->a_stride += 16;
    p->workspace = b_room(p) + (s->trans_a || s->m > FEW_ROWS ? p->mc * p->a_stride : 0);
    return ONNX_INFER_OK;
}

size_t oi_gemm_packed_size(const oi_kernels *kern, size_t k, size_t n)
{
    size_t size;
    if (!oi_add_size(n, kern->vl - 1, &size) || !oi_mul_size(size / kern->vl * kern->vl, k, &size) ||
        size > PTRDIFF_MAX / sizeof(float))
        return 0;
    return size;
}

static void copy_floats(float *dst, const oi_loose_float *src, size_t n)
{
    for (; n >= 16; n -= 16, dst += 16, src += 16)
        memcpy(dst, src, 16 * sizeof *dst);
    for (; n > 0; n--)
        *dst++ = *src++;
}

/* Columns [n0, n0 + cols) and depth [k0, k0 + kc) of B into a panel of `width` >= cols columns. */
static void pack_panel(const oi_kernels *kern, const oi_loose_float *b, size_t ldb, bool trans, size_t k0, size_t kc,
                       size_t n0, size_t cols, size_t width, float *dst)
{
    if (trans) {
        kern->transpose(cols, kc, b + n0 * ldb + k0, ldb, dst, width);
    } else {
        for (size_t k = 0; k < kc; k++)
            copy_floats(dst + k * width, b + (k0 + k) * ldb + n0, cols);
    }
    for (size_t k = 0; cols < width && k < kc; k++)
        memset(dst + k * width + cols, 0, (width - cols) * sizeof *dst);
}

/* Packed form: for each panel, [k][panel width]. */
void oi_gemm_pack_part(const oi_kernels *kern, size_t k, size_t n, const oi_loose_float *b, size_t ldb, bool trans_b,
                       float alpha, size_t i, float *dst)
{
    const size_t vl = kern->vl, vectors = div_up(n, vl), panels = oi_panel_count(vectors);
    const size_t panel1 = min_size((i + 1) * PART_PANELS, panels), deep = trans_b ? k : PART_ROWS;
    for (size_t k0 = 0; k0 < k; k0 += deep) {
        const size_t kc = min_size(deep, k - k0);
        for (size_t j = i * PART_PANELS; j < panel1; j++) {
            size_t first;
            const size_t width = oi_panel_vectors(vectors, j, &first) * vl;
            float *panel = dst + first * vl * k + k0 * width;
            pack_panel(kern, b, ldb, trans_b, k0, kc, first * vl, min_size(n - first * vl, width), width, panel);
            if (alpha != 1.0f)
                kern->unary[OI_UNARY_AFFINE](kc * width, panel, panel, alpha, 0.0f);
        }
    }
}

size_t oi_gemm_pack_parts(const oi_kernels *kern, size_t n)
{
    return div_up(oi_panel_count(div_up(n, kern->vl)), PART_PANELS);
}

void oi_gemm_pack_b(const oi_kernels *kern, size_t k, size_t n, const oi_loose_float *b, size_t ldb, bool trans_b,
                    float alpha, float *dst)
{
    for (size_t i = 0; i < oi_gemm_pack_parts(kern, n); i++)
        oi_gemm_pack_part(kern, k, n, b, ldb, trans_b, alpha, i, dst);
}

static size_t start_of(const size_t *offsets, size_t stride, size_t i)
{
    return offsets ? offsets[i] : stride * i;
}

/* A transposed B and few rows of A: dot products, then the epilogue by tiles without a reduction. */
static void run_dots(const oi_gemm_plan *p, const oi_gemm_args *args, const float *a, const oi_loose_float *b, float *c, size_t rows,
                     size_t n0, size_t n1)
{
    const size_t k = p->shape.k, lda = args->lda, ldb = args->ldb, ldc = args->ldc;
    const size_t step = max_size(STOP_MACS / max_size(k, 1), 1);
    for (size_t r = 0; r < rows; r++)
        for (size_t n = n0; n < n1 && !oi_stopped(args->stop); n += step)
            p->kern->dot_rows(min_size(step, n1 - n), k, a + r * lda, b + n * ldb, ldb, c + r * ldc + n);
}

/* The part of a packed B that is needed after panel j at depth k0, or NULL; its length goes to *floats. */
static const float *following(const oi_gemm_plan *p, const float *b, size_t panel0, size_t panel1, size_t j,
                              size_t k0, size_t *floats)
{
    const size_t vl = p->kern->vl, vectors = div_up(p->shape.n, vl), k = p->shape.k;
    size_t first;
    j++;
    if (j == panel1 && k0 + p->kc < k) {
        j = panel0;
        k0 += p->kc;
    } else if (j == panel1) {
        k0 = 0;
    }
    if (j == oi_panel_count(vectors))
        return NULL;
    const size_t width = oi_panel_vectors(vectors, j, &first) * vl;
    *floats = min_size(p->kc, k - k0) * width;
    return b + first * vl * k + k0 * width;
}

static void run_product(const oi_gemm_plan *p, const oi_gemm_args *args, size_t i, size_t m_task,
                        size_t n_task, float *workspace)
{
    const oi_gemm_shape *s = &p->shape;
    const oi_kernels *kern = p->kern;
    const size_t vl = kern->vl, vectors = div_up(s->n, vl), panels = oi_panel_count(vectors);
    const size_t m0 = m_task * p->mc, rows = min_size(p->mc, s->m - m0);
    const size_t panel0 = n_task * p->chunk, panel1 = min_size(panel0 + p->chunk, panels);
    const oi_epilogue *e = &args->epilogue;
    const float *a =
        args->a + start_of(args->a_offsets, args->a_batch, i) + (s->trans_a ? m0 : m0 * args->lda);
    const float *b = args->b + start_of(args->b_offsets, args->b_batch, i);
    float *c = args->c + start_of(args->c_offsets, args->c_batch, i) + m0 * args->ldc;
    const float *residual = e->residual ? e->residual + i * args->r_batch + m0 * args->ldr : NULL;

    float *b_panel = workspace, *a_block = workspace + b_room(p);
    const bool dots = s->trans_b && !s->b_packed && s->m <= OI_GEMM_DOT_ROWS && !s->trans_a;
    /* Rows a multiple of half a page apart fall into the same few sets of the cache. */
    const bool pack_a = s->trans_a || (args->lda % 512 == 0 && s->m > FEW_ROWS && panel1 - panel0 > 3);
    const ptrdiff_t zero_tap = 0;
    oi_tile_args t = {.taps = &zero_tap,
                      .c_row = (ptrdiff_t)args->ldc,
                      .c_vec = (ptrdiff_t)vl,
                      .r_row = (ptrdiff_t)args->ldr,
                      .r_vec = (ptrdiff_t)vl,
                      .residual_after = e->residual_after,
                      .alpha = args->alpha,
                      .beta = e->beta,
                      .act = e->act,
                      .p0 = e->p0,
                      .p1 = e->p1};
    if (dots) {
        size_t first, last;
        oi_panel_vectors(vectors, panel0, &first);
        const size_t width = oi_panel_vectors(vectors, panel1 - 1, &last);
        run_dots(p, args, a, b, c, rows, first * vl, min_size(s->n, (last + width) * vl));
    }
    size_t k0 = 0, ahead = 0;
    do {
        const size_t kc = min_size(p->kc, s->k - k0);
        const float *ak;
        if (dots) {
            ak = a;
        } else if (pack_a) {
            if (s->trans_a) {
                kern->transpose(kc, rows, a + k0 * args->lda, args->lda, a_block, p->a_stride);
            } else {
                for (size_t r = 0; r < rows; r++)
                    memcpy(a_block + r * p->a_stride, a + r * args->lda + k0, kc * sizeof *a_block);
            }
            ak = a_block;
            t.a_row = (ptrdiff_t)p->a_stride;
        } else {
            ak = a + k0;
            t.a_row = (ptrdiff_t)args->lda;
        }
        t.ntaps0 = dots || kc == 0 ? 0 : 1;
        t.kc0 = kc;
        t.accumulate = dots || k0 > 0;
        t.finish = dots || k0 + kc == s->k;
        for (size_t j = panel0; j < panel1; j++) {
            size_t first;
            if (oi_stopped(args->stop))
                return;
            const size_t nv = oi_panel_vectors(vectors, j, &first), n0 = first * vl, width = nv * vl;
            const size_t cols = min_size(s->n - n0, width);
            t.lanes = cols - (nv - 1) * vl;
            if (s->b_packed) {
                t.b = b + n0 * s->k + k0 * width;
                t.bs = width;
            } else if (!dots && (s->trans_b || s->m > FEW_ROWS || cols < width)) {
                pack_panel(kern, b, args->ldb, s->trans_b, k0, kc, n0, cols, width, b_panel);
                t.b = b_panel;
                t.bs = width;
            } else {
                t.b = b + k0 * args->ldb + n0;
                t.bs = args->ldb;
            }
            t.bias = e->bias ? e->bias + n0 : NULL;
            const size_t max = kern->max_mr[nv], tiles = div_up(rows, max), base = rows / tiles,
                         longer = rows % tiles;
            const float *next = s->b_packed ? following(p, b, panel0, panel1, j, k0, &ahead) : NULL;
            size_t r = 0;
            for (size_t k = 0; k < tiles; k++) {
                const size_t mr = base + (k < longer);
                const ptrdiff_t half = (ptrdiff_t)(mr - mr / 2);
                t.a = ak + (ptrdiff_t)r * t.a_row;
                t.a_half = half * t.a_row;
                t.c = c + r * args->ldc + n0;
                t.c_half = half * t.c_row;
                t.residual = residual ? residual + r * args->ldr + n0 : NULL;
                t.r_half = half * t.r_row;
                t.row_bias = args->row_bias ? args->row_bias + m0 + r : NULL;
                t.prefetch = oi_panel_ahead(next, ahead, kc, k, tiles <= 2);
                kern->tile[nv][mr](&t);
                r += mr;
            }
        }
        k0 += kc;
    } while (k0 < s->k && !dots);
}

void oi_gemm_run(const oi_gemm_plan *p, const oi_gemm_args *args, size_t task, float *workspace)
{
    /* Neighbouring tasks share a part of B. */
    const size_t m_task = task % p->m_tasks, n_task = task / p->m_tasks % p->n_chunks;
    const size_t first = task / p->n_chunks / p->m_tasks * p->group;
    const size_t last = min_size(first + p->group, p->shape.batch);
    for (size_t i = first; i < last; i++)
        run_product(p, args, i, m_task, n_task, workspace);
}
