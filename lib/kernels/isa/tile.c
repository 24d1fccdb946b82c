/* tile.c - the register tiles under gemm and conv, and the table of them. */
#include "kernels/isa/isa.h"

/* Hides pointers from the optimiser once a step, so that each row is reached by base + index and not by a
 * pointer of its own: the general registers would not suffice. */
#define OI_OPAQUE4(a, b, c, d) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))

static inline const char *tile_row(const char *p, ptrdiff_t s1, ptrdiff_t s3, ptrdiff_t s5, int r)
{
    switch (r) {
    case 0: return p;
    case 1: return p + s1;
    case 2: return p + s1 * 2;
    case 3: return p + s3;
    case 4: return p + s1 * 4;
    case 5: return p + s5;
    default: return p + s3 * 2;
    }
}

/* Whether the epilogue is bias, residual and a clamp; *lo and *hi are then its bounds. */
static inline bool tile_is_simple(const oi_tile_args *t, vf *lo, vf *hi)
{
    const float inf = (float)INFINITY;
    *lo = v_set1(t->act == OI_UNARY_RELU ? 0.0f : t->act == OI_UNARY_CLIP ? t->p0 : -inf);
    *hi = v_set1(t->act == OI_UNARY_CLIP ? t->p1 : inf);
    if (!t->finish || t->alpha != 1.0f || t->row_bias || t->act > OI_UNARY_CLIP)
        return false;
    return !t->residual || (t->beta == 1.0f && (!t->residual_after || t->act == OI_UNARY_NONE));
}

static ptrdiff_t row_offset(int r, int rows0, ptrdiff_t row, ptrdiff_t half)
{
    return r < rows0 ? r * row : half + (r - rows0) * row;
}

/* The residual's part of a tile, [row][vector][lane]; the residual may be the output, which is about to be
 * written. */
static void tile_save_residual(const oi_tile_args *t, int mr, int nv, float *saved)
{
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < nv; v++, saved += VL)
            v_store(saved,
                    v_loadn(t->residual + row_offset(r, mr - mr / 2, t->r_row, t->r_half) + v * t->r_vec,
                            v == nv - 1 ? t->lanes : (size_t)VL));
}

/* The full epilogue over a tile that has been stored and is still in the level 1 cache. */
static void tile_finish(const oi_tile_args *t, int mr, int nv, const float *saved)
{
    const int rows0 = mr - mr / 2;
    const bool before = t->residual && !t->residual_after, after = t->residual && t->residual_after;
    const vf alpha = v_set1(t->alpha), beta = v_set1(t->beta);
    oi_unary_fn *act = OI_KNAME(unary)[t->act];
    for (int r = 0; r < mr; r++) {
        float *c = t->c + row_offset(r, rows0, t->c_row, t->c_half);
        const vf row_bias = v_set1(t->row_bias ? t->row_bias[r] : 0.0f);
        for (int v = 0; v < nv; v++) {
            const size_t n = v == nv - 1 ? t->lanes : (size_t)VL;
            float *d = c + v * t->c_vec;
            vf x = v_mul(alpha, v_loadn(d, n));
            if (t->bias)
                x = v_add(x, v_loadn(t->bias + v * VL, n));
            if (t->row_bias)
                x = v_add(x, row_bias);
            if (before)
                x = v_add(x, v_mul(beta, v_load(saved + (r * nv + v) * VL)));
            v_storen(d, x, n);
        }
    }
    if (t->act != OI_UNARY_NONE) {
        if (t->c_row == VL && t->c_half == rows0 * VL && t->lanes == VL) {
            for (int v = 0; v < nv; v++)
                act((size_t)(mr * VL), t->c + v * t->c_vec, t->c + v * t->c_vec, t->p0, t->p1);
        } else if (t->c_vec == VL) {
            for (int r = 0; r < mr; r++) {
                float *c = t->c + row_offset(r, rows0, t->c_row, t->c_half);
                act((size_t)(nv - 1) * VL + t->lanes, c, c, t->p0, t->p1);
            }
        } else {
            for (int r = 0; r < mr; r++)
                for (int v = 0; v < nv; v++) {
                    float *c = t->c + row_offset(r, rows0, t->c_row, t->c_half) + v * t->c_vec;
                    act(v == nv - 1 ? t->lanes : (size_t)VL, c, c, t->p0, t->p1);
                }
        }
    }
    for (int r = 0; after && r < mr; r++)
        for (int v = 0; v < nv; v++) {
            const size_t n = v == nv - 1 ? t->lanes : (size_t)VL;
            float *d = t->c + row_offset(r, rows0, t->c_row, t->c_half) + v * t->c_vec;
            v_storen(d, v_add(v_loadn(d, n), v_mul(beta, v_load(saved + (r * nv + v) * VL))), n);
        }
}

/* Rows for 1, 2, 3 and 4 vectors: as many as the registers hold beside the operands. Tiles of at least
 * ONE_SET vectors hide the latency of the multiply-add by themselves. */
#if defined(OI_KERN_AVX512)
#define ROWS_1  28
#define ROWS_2  14
#define ROWS_3  9
#define ROWS_4  6
#define ONE_SET 8
#elif defined(OI_KERN_AVX2)
#define ROWS_1  12
#define ROWS_2  6
#define ROWS_3  4
#define ROWS_4  2
#define ONE_SET 6
#elif defined(OI_KERN_NEON)
#define ROWS_1  14
#define ROWS_2  10
#define ROWS_3  7
#define ROWS_4  5
#define ONE_SET 8
#else
#define ROWS_1  8
#define ROWS_2  4
#define ROWS_3  3
#define ROWS_4  2
#define ONE_SET 6
#endif

#define NV     1
#define MR_MAX ROWS_1
#include "kernels/tmpl/tile_rows.inc"
#undef MR_MAX
#undef NV
#define NV     2
#define MR_MAX ROWS_2
#include "kernels/tmpl/tile_rows.inc"
#undef MR_MAX
#undef NV
#define NV     3
#define MR_MAX ROWS_3
#include "kernels/tmpl/tile_rows.inc"
#undef MR_MAX
#undef NV
#define NV     4
#define MR_MAX ROWS_4
#include "kernels/tmpl/tile_rows.inc"
#undef MR_MAX
#undef NV

const uint8_t OI_KNAME(tile_rows)[OI_TILE_MAX_NV + 1] = {0, ROWS_1, ROWS_2, ROWS_3, ROWS_4};

#define T(mr, nv) tile_##mr##x##nv
oi_tile_fn *const OI_KNAME(tile)[OI_TILE_MAX_NV + 1][OI_TILE_MAX_MR + 1] = {
    {NULL},
#if defined(OI_KERN_AVX512)
    {NULL,     T(1, 1),  T(2, 1),  T(3, 1),  T(4, 1),  T(5, 1),  T(6, 1),  T(7, 1),  T(8, 1),  T(9, 1),
     T(10, 1), T(11, 1), T(12, 1), T(13, 1), T(14, 1), T(15, 1), T(16, 1), T(17, 1), T(18, 1), T(19, 1),
     T(20, 1), T(21, 1), T(22, 1), T(23, 1), T(24, 1), T(25, 1), T(26, 1), T(27, 1), T(28, 1)},
    {NULL, T(1, 2), T(2, 2), T(3, 2), T(4, 2), T(5, 2), T(6, 2), T(7, 2), T(8, 2), T(9, 2), T(10, 2),
     T(11, 2), T(12, 2), T(13, 2), T(14, 2)},
    {NULL, T(1, 3), T(2, 3), T(3, 3), T(4, 3), T(5, 3), T(6, 3), T(7, 3), T(8, 3), T(9, 3)},
    {NULL, T(1, 4), T(2, 4), T(3, 4), T(4, 4), T(5, 4), T(6, 4)},
#elif defined(OI_KERN_AVX2)
    {NULL, T(1, 1), T(2, 1), T(3, 1), T(4, 1), T(5, 1), T(6, 1), T(7, 1), T(8, 1), T(9, 1), T(10, 1),
     T(11, 1), T(12, 1)},
    {NULL, T(1, 2), T(2, 2), T(3, 2), T(4, 2), T(5, 2), T(6, 2)},
    {NULL, T(1, 3), T(2, 3), T(3, 3), T(4, 3)},
    {NULL, T(1, 4), T(2, 4)},
#elif defined(OI_KERN_NEON)
    {NULL, T(1, 1), T(2, 1), T(3, 1), T(4, 1), T(5, 1), T(6, 1), T(7, 1), T(8, 1), T(9, 1), T(10, 1),
     T(11, 1), T(12, 1), T(13, 1), T(14, 1)},
    {NULL, T(1, 2), T(2, 2), T(3, 2), T(4, 2), T(5, 2), T(6, 2), T(7, 2), T(8, 2), T(9, 2), T(10, 2)},
    {NULL, T(1, 3), T(2, 3), T(3, 3), T(4, 3), T(5, 3), T(6, 3), T(7, 3)},
    {NULL, T(1, 4), T(2, 4), T(3, 4), T(4, 4), T(5, 4)},
#else
    {NULL, T(1, 1), T(2, 1), T(3, 1), T(4, 1), T(5, 1), T(6, 1), T(7, 1), T(8, 1)},
    {NULL, T(1, 2), T(2, 2), T(3, 2), T(4, 2)},
    {NULL, T(1, 3), T(2, 3), T(3, 3)},
    {NULL, T(1, 4), T(2, 4)},
#endif
};
