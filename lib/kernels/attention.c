/* attention.c - plans and runs attention: cuts rows and keys into blocks and multiplies them by register tiles. */
#include "kernels/attention.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/gemm.h"
#include "kernels/panel.h"

enum {
    MOST_KEYS = 1024,        /* scores of a row that are held at a time */
    MOST_SCORES = 1 << 15,   /* of a block: they stay in the second level cache beside K and V */
    MOST_MACS = 1 << 19,     /* of a block for each lane of a vector: a run cannot be cancelled within one */
    TASK_MACS = 1 << 19,     /* a task shorter than this costs more to hand out than it is worth */
    DIRECT_ROWS = 4          /* up to here packing K and V would cost as much as the products */
};

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }
static size_t div_up(size_t a, size_t b) { return a / b + (a % b != 0); }

static void split(oi_attention_plan *p)
{
    const oi_attention_shape *s = &p->shape;
    const size_t vl = p->kern->vl, tile = p->kern->max_mr[2];
    p->block_keys = s->keys;
    if (s->keys > MOST_KEYS)
        p->block_keys = div_up(div_up(s->keys, div_up(s->keys, MOST_KEYS)), 6 * vl) * 6 * vl;
    p->score_ld = (p->block_keys + 15) / 16 * 16 + 16;
    if (p->score_ld / 16 % 2 == 0) /* spreads the rows over the sets of the cache */
        p->score_ld += 16;
    const double row_macs = (double)s->keys * (double)(s->size + s->value_size);
    const double by_macs = (double)MOST_MACS * (double)vl / row_macs;
    size_t rows = min_size(MOST_SCORES / p->block_keys, by_macs < (double)s->rows ? (size_t)by_macs : s->rows);
    rows = rows < s->rows ? min_size(max_size(rows / tile * tile, tile), s->rows) : s->rows;
    p->blocks = div_up(s->rows, rows);
    p->block_rows = min_size(div_up(div_up(s->rows, p->blocks), tile) * tile, s->rows);
    p->blocks = div_up(s->rows, p->block_rows);
    const double macs = row_macs * (double)p->block_rows;
    p->group = macs >= TASK_MACS ? 1 : (size_t)(TASK_MACS / macs);
}

oi_status oi_attention_plan_init(oi_attention_plan *p, const oi_kernels *kern, const oi_attention_shape *shape)
{
    *p = (oi_attention_plan){.kern = kern, .shape = *shape};
    const oi_attention_shape *s = &p->shape;
    const size_t vl = kern->vl;
    size_t members = 1, packs = 1, value_width = 0, key_width = 0;
    bool fits = oi_add_size(s->keys, vl - 1, &key_width) && oi_add_size(s->value_size, vl - 1, &value_width);
    value_width = value_width / vl * vl;
    key_width = key_width / vl * vl;
    fits = fits && oi_mul_size(key_width, s->size, &p->k_floats) && oi_mul_size(value_width, s->keys, &p->v_floats);
    for (size_t i = 0; i < s->nouter; i++) {
        p->shared[i] = s->k.outer[i] == 0 && s->v.outer[i] == 0;
        fits = fits && oi_mul_size(members, s->outer[i], &members);
        packs *= p->shared[i] ? 1 : s->outer[i];
    }
    size_t room = 0;
    fits = fits && oi_add_size(p->k_floats, p->v_floats, &room) && oi_mul_size(room, packs, &room) &&
           oi_mul_size(room, sizeof(float), &room) && room <= PTRDIFF_MAX;
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "attention: sizes overflow (%zu rows, %zu keys of %zu)", s->rows, s->keys, s->size);
    split(p);
    OI_FAIL_IF(!oi_mul_size(members, p->blocks, &p->units), ONNX_INFER_E_LIMIT, "attention: sizes overflow");
    p->n_tasks = div_up(p->units, p->group);
    p->thread_workspace = p->block_rows * (p->score_ld + 3);
    p->direct = s->rows <= DIRECT_ROWS && s->k.col == 1;
    if (p->direct) {
        p->thread_workspace += s->keys * 3 * vl;
    } else if (p->blocks == 1 && packs == members) {
        p->thread_workspace += p->k_floats + p->v_floats;
    } else {
        p->workspace = (p->k_floats + p->v_floats) * packs;
        p->pack_tasks = packs;
    }
    return ONNX_INFER_OK;
}

/* Where member `index` of the grid begins, counted along the dims that are not `skip`ped. */
static size_t start_of(const oi_attention_shape *s, const bool *skip, const oi_attention_view *v, size_t index)
{
    size_t at = v->offset;
    for (size_t i = s->nouter; i-- > 0;) {
        if (skip && skip[i])
            continue;
        at += index % s->outer[i] * v->outer[i];
        index /= s->outer[i];
    }
    return at;
}

/* Which packed K and V member `index` uses. */
static size_t pack_of(const oi_attention_plan *p, size_t index)
{
    size_t pack = 0, unit = 1;
    for (size_t i = p->shape.nouter; i-- > 0;) {
        if (!p->shared[i]) {
            pack += index % p->shape.outer[i] * unit;
            unit *= p->shape.outer[i];
        }
        index /= p->shape.outer[i];
    }
    return pack;
}

static void pack_keys_and_values(const oi_attention_plan *p, const float *k, const float *v, float *to, oi_stop *stop)
{
    const oi_attention_shape *s = &p->shape;
    const bool trans = s->k.col == 1;
    for (size_t j = 0; j < s->keys && !oi_stopped(stop); j += p->block_keys)
        oi_gemm_pack_b(p->kern, s->size, min_size(p->block_keys, s->keys - j), k + j * s->k.row, trans ? s->k.row : s->k.col,
                       trans, 1.0f, to + j * s->size);
    if (!oi_stopped(stop))
        oi_gemm_pack_b(p->kern, s->keys, s->value_size, v, s->v.row, false, 1.0f, to + p->k_floats);
}

void oi_attention_pack(const oi_attention_plan *p, const oi_attention_args *args, size_t task)
{
    const oi_attention_shape *s = &p->shape;
    pack_keys_and_values(p, args->k + start_of(s, p->shared, &s->k, task), args->v + start_of(s, p->shared, &s->v, task),
                         args->workspace + task * (p->k_floats + p->v_floats), args->stop);
}

/* C = alpha A B (+ C) for one panel of nv vectors of B, `lanes` columns in the last. */
static void panel_product(const oi_kernels *kern, size_t nv, size_t rows, const float *a, size_t a_row, size_t depth,
                          const float *b, size_t bs, float *c, size_t c_row, size_t lanes, float alpha, bool accumulate)
{
    const ptrdiff_t zero_tap = 0;
    const size_t most = kern->max_mr[nv], tiles = div_up(rows, most), base = rows / tiles, longer = rows % tiles;
    oi_tile_args t = {.taps = &zero_tap, .ntaps0 = 1, .kc0 = depth, .a_row = (ptrdiff_t)a_row, .bs = bs, .b = b,
                      .c_row = (ptrdiff_t)c_row, .c_vec = (ptrdiff_t)kern->vl, .lanes = lanes, .accumulate = accumulate,
                      .finish = true, .alpha = alpha, .beta = 1.0f, .act = OI_UNARY_NONE};
    for (size_t k = 0, r = 0; k < tiles; k++) {
        const size_t mr = base + (k < longer);
        t.a = a + r * a_row;
        t.c = c + r * c_row;
        t.a_half = (ptrdiff_t)((mr - mr / 2) * a_row);
        t.c_half = (ptrdiff_t)((mr - mr / 2) * c_row);
        kern->tile[nv][mr](&t);
        r += mr;
    }
}

/* Columns 0..wanted of A times a packed B of `cols` columns; whole panels are computed. B is `b_depth` deep, and rows
 * from `first` on are used. */
static void product(const oi_kernels *kern, size_t rows, const float *a, size_t a_row, size_t depth, const float *b,
                    size_t b_depth, size_t first, size_t cols, size_t wanted, float *c, size_t c_row, float alpha,
                    bool accumulate)
{
    const size_t vl = kern->vl, vectors = div_up(cols, vl);
    for (size_t i = 0; i < oi_panel_count(vectors); i++) {
        size_t before;
        const size_t nv = oi_panel_vectors(vectors, i, &before), n0 = before * vl;
        if (n0 >= wanted)
            break;
        panel_product(kern, nv, rows, a, a_row, depth, b + n0 * b_depth + first * nv * vl, nv * vl, c + n0, c_row,
                      min_size(cols - n0, nv * vl) - (nv - 1) * vl, alpha, accumulate);
    }
}

/* The same with B as it lies, rows bs floats apart; the last panel is copied where reading vectors would leave its rows. */
static void product_direct(const oi_kernels *kern, size_t rows, const float *a, size_t a_row, size_t depth, const float *b,
                           size_t bs, size_t cols, float *c, size_t c_row, bool accumulate, float *room)
{
    const size_t vl = kern->vl, vectors = div_up(cols, vl);
    for (size_t i = 0; i < oi_panel_count(vectors); i++) {
        size_t before, ld = bs;
        const size_t nv = oi_panel_vectors(vectors, i, &before), n0 = before * vl, width = nv * vl, n = min_size(cols - n0, width);
        const float *panel = b + n0;
        if (n < width) {
            for (size_t k = 0; k < depth; k++) {
                memcpy(room + k * width, panel + k * bs, n * sizeof *room);
                memset(room + k * width + n, 0, (width - n) * sizeof *room);
            }
            panel = room, ld = width;
        }
        panel_product(kern, nv, rows, a, a_row, depth, panel, ld, c + n0, c_row, n - (nv - 1) * vl, 1.0f, accumulate);
    }
}

static void cap_scores(const oi_kernels *kern, size_t rows, size_t n, float *x, size_t ld, float cap)
{
    for (size_t r = 0; r < rows; r++, x += ld) {
        kern->unary[OI_UNARY_AFFINE](n, x, x, 1.0f / cap, 0.0f);
        kern->unary[OI_UNARY_TANH](n, x, x, 0.0f, 0.0f);
        kern->unary[OI_UNARY_AFFINE](n, x, x, cap, 0.0f);
    }
}

static void mask_scores(const oi_kernels *kern, const oi_attention_mask *m, const void *data, size_t at, size_t rows, size_t n,
                        float *x, size_t ld)
{
    if (m->kind == OI_MASK_ADD) {
        const float *bias = (const float *)data + at;
        oi_binary_args add = {.rows = rows, .n = n, .a = x, .b = bias, .y = x, .as = ld, .bs = m->at.row, .ys = ld,
                              .b_scalar = m->at.col == 0};
        kern->binary[OI_BINARY_ADD](&add);
    } else {
        kern->keep(rows, n, (const uint8_t *)data + at, m->at.row, m->kind == OI_MASK_DROP, m->fill, x, ld);
    }
}

/* Keys that row `row` of the whole sees. */
static size_t visible(const oi_attention_shape *s, size_t row)
{
    if (!s->causal)
        return s->keys;
    const ptrdiff_t last = (ptrdiff_t)row + s->ahead;
    return last < 0 ? 0 : min_size((size_t)last + 1, s->keys);
}

static void hide_later(const oi_attention_shape *s, size_t row0, size_t rows, size_t key0, size_t n, float *x, size_t ld)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t end = visible(s, row0 + r);
        for (size_t j = end > key0 ? end - key0 : 0; j < n; j++)
            x[r * ld + j] = -(float)INFINITY;
    }
}

static void fill_row(float *y, size_t n, float v)
{
    for (size_t i = 0; i < n; i++)
        y[i] = v;
}

/* One block of rows of one member of the grid. */
static void attend(const oi_attention_plan *p, const oi_attention_args *args, size_t member, size_t row0, const float *packed,
                   float *room)
{
    const oi_attention_shape *s = &p->shape;
    const oi_kernels *kern = p->kern;
    const size_t rows = min_size(p->block_rows, s->rows - row0), ld = p->score_ld, end = visible(s, row0 + rows - 1);
    const float *q = args->q + start_of(s, NULL, &s->q, member) + row0 * s->q.row;
    const float *k = args->k + start_of(s, NULL, &s->k, member), *v = args->v + start_of(s, NULL, &s->v, member);
    float *y = args->y + start_of(s, NULL, &s->y, member) + row0 * s->y.row;
    float *scores = room, *max = scores + p->block_rows * ld, *sum = max + p->block_rows, *factor = sum + p->block_rows;
    float *panel = factor + p->block_rows; /* of the direct way */
    for (size_t r = 0; r < rows; r++)
        max[r] = -(float)INFINITY, sum[r] = 0.0f;
    for (size_t j = 0; j < end && !oi_stopped(args->stop); j += p->block_keys) {
        const size_t n = min_size(p->block_keys, end - j);
        if (p->direct) {
            for (size_t r = 0; r < rows; r++) {
                kern->dot_rows(n, s->size, q + r * s->q.row, k + j * s->k.row, s->k.row, scores + r * ld);
                if (s->scale != 1.0f)
                    kern->unary[OI_UNARY_AFFINE](n, scores + r * ld, scores + r * ld, s->scale, 0.0f);
            }
        } else {
            product(kern, rows, q, s->q.row, s->size, packed + j * s->size, s->size, 0, min_size(p->block_keys, s->keys - j), n,
                    scores, ld, s->scale, false);
        }
        if (s->softcap > 0)
            cap_scores(kern, rows, n, scores, ld, s->softcap);
        for (size_t m = 0; m < OI_ATTENTION_MASKS; m++) {
            const oi_attention_mask *mask = &s->mask[m];
            if (mask->kind != OI_MASK_NONE)
                mask_scores(kern, mask, args->mask[m],
                            start_of(s, NULL, &mask->at, member) + row0 * mask->at.row + j * mask->at.col, rows, n, scores, ld);
        }
        if (s->causal)
            hide_later(s, row0, rows, j, n, scores, ld);
        oi_soften_args soften = {.rows = rows, .n = n, .x = scores, .ld = ld, .max = max, .sum = sum, .factor = factor};
        kern->soften(&soften);
        for (size_t r = 0; r < rows && j > 0; r++) {
            if (factor[r] != 1.0f)
                kern->unary[OI_UNARY_AFFINE](s->value_size, y + r * s->y.row, y + r * s->y.row, factor[r], 0.0f);
        }
        if (p->direct)
            product_direct(kern, rows, scores, ld, n, v + j * s->v.row, s->v.row, s->value_size, y, s->y.row, j > 0, panel);
        else
            product(kern, rows, scores, ld, n, packed + p->k_floats, s->keys, j, s->value_size, s->value_size, y, s->y.row, 1.0f,
                    j > 0);
    }
    for (size_t r = 0; r < rows; r++) {
        float *row = y + r * s->y.row;
        if (s->zero_rows && !(sum[r] > 0))
            fill_row(row, s->value_size, 0.0f);
        else if (sum[r] == 0) /* exp(-inf - -inf), summed */
            fill_row(row, s->value_size, (float)NAN);
        else
            kern->unary[OI_UNARY_AFFINE](s->value_size, row, row, 1.0f / sum[r], 0.0f);
    }
}

void oi_attention_run(const oi_attention_plan *p, const oi_attention_args *args, size_t task, float *thread_workspace)
{
    const oi_attention_shape *s = &p->shape;
    const size_t first = task * p->group, last = min_size(first + p->group, p->units), own = p->k_floats + p->v_floats;
    for (size_t u = first; u < last; u++) {
        const size_t member = u / p->blocks, row0 = u % p->blocks * p->block_rows;
        float *room = thread_workspace;
        const float *packed = NULL;
        if (p->pack_tasks) {
            packed = args->workspace + pack_of(p, member) * own;
        } else if (!p->direct) {
            pack_keys_and_values(p, args->k + start_of(s, NULL, &s->k, member), args->v + start_of(s, NULL, &s->v, member), room,
                                 args->stop);
            packed = room;
            room += own;
        }
        attend(p, args, member, row0, packed, room);
    }
}
