/* conv_bytes.c - convolutions of bytes: packing of weights, rows of inputs side by side, and what a task does. */
#include "kernels/conv_bytes.h"

#include "base/checked.h"
#include "kernels/bytes.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    COLUMNS = OI_BYTES_COLUMNS,
    BLOCK_BYTES = 192 << 10, /* of rows that a task works on, about */
    BLOCK_ROWS = 96,         /* at most */
    FEW_ROWS = 12,           /* at least, where there are as many */
    TASK_PRODUCTS = 1 << 19, /* at least, where a block's panels are cut into tasks */
    SPREAD = 16,             /* blocks that need no such cut */
    MAX_TAPS = 256,          /* depthwise */
};

bool oi_conv_bytes_is_depthwise(size_t c, size_t oc, size_t groups)
{
    return groups > 1 && groups == c && c == oc;
}

static size_t divide(size_t a, size_t b) { return (a + b - 1) / b; }

static size_t block_channels(const oi_conv_bytes_plan *p) { return 16 * p->kern->byte_lanes; }

/* How many pixels side by side fill whole vectors best, as if they were one of so many times the channels. */
static size_t pixels_at_once(size_t channels, size_t block)
{
    size_t best = 1;
    for (size_t n = 2; n <= 8 && n * channels <= 16 * block; n++) {
        if (20 * n * divide(best * channels, block) > 21 * best * divide(n * channels, block))
            best = n;
    }
    return best;
}

static oi_status plan_depthwise(oi_conv_bytes_plan *p)
{
    const oi_conv_bytes_shape *s = &p->shape;
    const size_t taps = s->kh * s->kw, block = block_channels(p);
    p->copies = pixels_at_once(s->c, block);
    const size_t blocks = divide(p->copies * s->c, block);
    OI_FAIL_IF(taps > MAX_TAPS, ONNX_INFER_E_LIMIT, "a depthwise convolution of bytes with %zu taps", taps);
    p->k = taps;
    p->quads = divide(taps, 4);
    p->terms = blocks * block;
    p->packed = p->terms * (4 * p->quads + sizeof(int32_t));
    size_t row = 0, reach = 0;
    OI_FAIL_IF(!oi_mul_size(s->w, s->c, &row) || !oi_add_size(row, 64, &p->workspace) || !oi_mul_size(s->ow * s->c, 4 * p->quads, &reach),
               ONNX_INFER_E_LIMIT, "a convolution is too large");
    p->rows = reach < TASK_PRODUCTS ? TASK_PRODUCTS / (reach ? reach : 1) : 1;
    p->rows = p->rows < s->oh ? p->rows : s->oh;
    p->blocks = divide(s->oh, p->rows);
    OI_FAIL_IF(!oi_mul_size(s->n, p->blocks, &p->n_tasks) || p->n_tasks > INT32_MAX, ONNX_INFER_E_LIMIT, "a convolution is too large");
    return ONNX_INFER_OK;
}

oi_status oi_conv_bytes_plan_init(oi_conv_bytes_plan *p, const oi_kernels *kern, const oi_conv_bytes_shape *s)
{
    size_t pixels, rows, size;
    *p = (oi_conv_bytes_plan){.kern = kern, .shape = *s, .copies = 1};
    OI_FAIL_IF(!s->groups || !s->c || !s->oc || s->c % s->groups || s->oc % s->groups || (s->columns && s->groups > 1) || !s->kh || !s->kw || !s->sh || !s->sw || !s->dh || !s->dw,
               ONNX_INFER_E_INVALID_MODEL, "a convolution of %zu channels to %zu in %zu groups", s->c, s->oc, s->groups);
    OI_FAIL_IF(!oi_mul_size(s->n, s->oh, &pixels) || !oi_mul_size(pixels, s->ow, &pixels) || !oi_mul_size(pixels, s->oc, &size) ||
                   !oi_mul_size(s->kh, s->kw, &size) || !oi_mul_size(size, s->c, &size) || size > INT32_MAX / 256 || pixels == 0,
               ONNX_INFER_E_LIMIT, "a convolution is too large");
    if (oi_conv_bytes_is_depthwise(s->c, s->oc, s->groups)) {
        p->depthwise = true;
        return plan_depthwise(p);
    }
    p->k = size / s->groups;
    p->depth = oi_bytes_depth(p->k);
    p->quads = p->depth / 4;
    p->panels = divide(s->oc / s->groups, COLUMNS);
    p->panel_size = oi_bytes_panel_size(p->k);
    p->terms = s->groups * p->panels * COLUMNS;
    OI_FAIL_IF(!oi_mul_size(s->groups * p->panels, p->panel_size, &p->packed), ONNX_INFER_E_LIMIT, "a convolution is too large");
    p->direct = s->kh * s->kw == 1 && s->groups == 1 && s->sh == 1 && s->sw == 1 && !s->pt && !s->pl && s->h == s->oh && s->w == s->ow &&
                s->c % 4 == 0 && !s->x_signed;
    rows = BLOCK_BYTES / p->depth;
    rows = rows < FEW_ROWS ? FEW_ROWS : rows > BLOCK_ROWS ? BLOCK_ROWS : rows;
    p->blocks = divide(pixels, rows);
    p->rows = divide(pixels, p->blocks);
    p->blocks = divide(pixels, p->rows);
    const size_t total = s->groups * p->panels, products = p->rows * p->k * COLUMNS, least = divide(TASK_PRODUCTS, products);
    p->chunk = divide(total, divide(SPREAD, p->blocks));
    p->chunk = p->chunk < least ? least : p->chunk;
    p->chunk = p->chunk < total ? p->chunk : total;
    p->chunks = divide(total, p->chunk);
    p->workspace = p->direct ? 0 : p->rows * p->depth;
    OI_FAIL_IF(!oi_mul_size(p->blocks, p->chunks, &p->n_tasks) || p->n_tasks > INT32_MAX, ONNX_INFER_E_LIMIT, "a convolution is too large");
    return ONNX_INFER_OK;
}

/* --- transposition --- */

#ifdef __SSE2__
/* One step of a perfect shuffle of 16 vectors of 16 bytes; four of them transpose. */
static inline __attribute__((always_inline)) void shuffle_16(const __m128i *v, __m128i *w)
{
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++) {
        w[2 * i] = _mm_unpacklo_epi8(v[i], v[i + 8]);
        w[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + 8]);
    }
}

static inline __attribute__((always_inline)) void transpose_whole(const uint8_t *src, size_t stride, __m128i *v)
{
    __m128i w[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++)
        v[i] = _mm_loadu_si128((const __m128i *)(const void *)(src + i * stride));
    shuffle_16(v, w);
    shuffle_16(w, v);
    shuffle_16(v, w);
    shuffle_16(w, v);
}

/* 16 columns of up to 16 rows: column i of them in v[i]. */
static void transpose_16(size_t rows, const uint8_t *src, size_t stride, __m128i *v)
{
    __m128i w[16];
    if (rows == 16) {
        transpose_whole(src, stride, v);
        return;
    }
    if (rows > 4) {
        for (size_t i = 0; i < 16; i++)
            v[i] = i < rows ? _mm_loadu_si128((const __m128i *)(const void *)(src + i * stride)) : _mm_setzero_si128();
        shuffle_16(v, w);
        shuffle_16(w, v);
        shuffle_16(v, w);
        shuffle_16(w, v);
        return;
    }
    /* up to four rows: quads of them, each in a vector of its own */
    for (size_t i = 0; i < 4; i++)
        w[i] = i < rows ? _mm_loadu_si128((const __m128i *)(const void *)(src + i * stride)) : _mm_setzero_si128();
    const __m128i a = _mm_unpacklo_epi8(w[0], w[1]), b = _mm_unpackhi_epi8(w[0], w[1]);
    const __m128i c = _mm_unpacklo_epi8(w[2], w[3]), d = _mm_unpackhi_epi8(w[2], w[3]);
    const __m128i quads[4] = {_mm_unpacklo_epi16(a, c), _mm_unpackhi_epi16(a, c), _mm_unpacklo_epi16(b, d), _mm_unpackhi_epi16(b, d)};
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        v[4 * i] = quads[i];
        v[4 * i + 1] = _mm_srli_si128(quads[i], 4);
        v[4 * i + 2] = _mm_srli_si128(quads[i], 8);
        v[4 * i + 3] = _mm_srli_si128(quads[i], 12);
    }
}

/* A block of 16 columns and `rows` rows, which go to every `all` bytes. Where there are no other rows, what is stored too much is
 * overwritten by the next column. */
static void transpose_block(size_t rows, size_t all, const uint8_t *src, size_t columns, uint8_t *to)
{
    __m128i v[16];
    if (rows == 16) {
        transpose_whole(src, columns, v);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++)
            _mm_storeu_si128((__m128i *)(void *)(to + i * all), v[i]);
        return;
    }
    transpose_16(rows, src, columns, v);
    for (size_t i = 0; i < 16; i++, to += all) {
        uint8_t part[16];
        if (rows == all) {
            _mm_storeu_si128((__m128i *)(void *)to, v[i]);
            continue;
        }
        _mm_storeu_si128((__m128i *)(void *)part, v[i]);
        memcpy(to, part, rows);
    }
}

/* Whole blocks of 16 columns; how many columns that are. They go by whole cache lines of both matrices. */
static size_t transpose_blocks(size_t rows, size_t columns, size_t first, size_t count, const uint8_t *src, uint8_t *dst)
{
    enum { LINE = 64 };
    const size_t spare = rows < 16 ? 16 : 0, blocks = count < spare ? 0 : (count - spare) / 16 * 16;
    for (size_t c0 = 0; c0 < blocks; c0 += LINE) {
        for (size_t r0 = 0; r0 < rows; r0 += LINE) {
            for (size_t c = c0; c < blocks && c < c0 + LINE; c += 16) {
                for (size_t r = r0; r < rows && r < r0 + LINE; r += 16)
                    transpose_block(rows - r < 16 ? rows - r : 16, rows, src + r * columns + first + c, columns, dst + (first + c) * rows + r);
            }
        }
    }
    return blocks;
}
#else
static size_t transpose_blocks(size_t rows, size_t columns, size_t first, size_t count, const uint8_t *src, uint8_t *dst)
{
    (void)rows, (void)columns, (void)first, (void)count, (void)src, (void)dst;
    return 0;
}
#endif

void oi_bytes_transpose(size_t rows, size_t columns, size_t first, size_t count, const uint8_t *src, uint8_t *dst)
{
    for (size_t c = first + transpose_blocks(rows, columns, first, count, src, dst); c < first + count; c++) {
        for (size_t r = 0; r < rows; r++)
            dst[c * rows + r] = src[r * columns + c];
    }
}

/* --- weights --- */

/* Where a channel's terms lie; depthwise: that of copy i is channel i * c + channel. */
static size_t place_of(const oi_conv_bytes_plan *p, size_t channel)
{
    const size_t lanes = p->kern->byte_lanes;
    if (p->depthwise) {
        const size_t in = channel % (16 * lanes);
        return channel - in + in % 16 / 4 * 4 * lanes + in / 16 * 4 + in % 4;
    }
    const size_t each = p->shape.oc / p->shape.groups;
    return channel / each * p->panels * COLUMNS + channel % each;
}

static void pack_depthwise(const oi_conv_bytes_plan *p, const uint8_t *w, uint8_t flip, uint8_t *packed)
{
    const size_t block = block_channels(p);
    int32_t *sums = (int32_t *)(void *)(packed + p->terms * 4 * p->quads);
    memset(packed, 0, p->packed);
    for (size_t c = 0; c < p->copies * p->shape.c; c++) {
        const size_t place = place_of(p, c);
        uint8_t *to = packed + place / block * block * 4 * p->quads + place % block * 4;
        for (size_t t = 0; t < p->k; t++) {
            const uint8_t v = w[c % p->shape.c * p->k + t] ^ flip;
            if (p->kern->byte_lanes > 1)
                to[t / 4 * block * 4 + t % 4] = v;
            else
                packed[place / block * block * 4 * p->quads + t * block + place % block] = v;
            sums[place] += (int8_t)v;
        }
    }
}

/* One output channel's weights, [channels][taps], as a column of a panel: taps by channels. */
static void pack_column(size_t channels, size_t taps, const uint8_t *w, uint8_t flip, uint8_t *column)
{
    for (size_t t = 0, k = 0; t < taps; t++) {
        for (size_t c = 0; c < channels; c++, k++)
            column[k / 4 * 4 * COLUMNS + k % 4] = w[c * taps + t] ^ flip;
    }
}

#ifdef __SSE2__
/* The same for whole quads of channels. Reads up to 15 bytes behind the weights. */
static void pack_taps(size_t channels, size_t taps, const uint8_t *w, uint8_t flip, uint8_t *column)
{
    const __m128i flips = _mm_set1_epi8((char)flip);
    for (size_t c = 0; c < channels; c += 16) {
        const size_t rows = channels - c < 16 ? channels - c : 16;
        for (size_t first = 0; first < taps; first += 16) {
            __m128i v[16];
            transpose_16(rows, w + c * taps + first, taps, v);
            for (size_t i = 0; i < 16 && first + i < taps; i++) {
                uint8_t *to = column + ((first + i) * channels + c) * COLUMNS;
                uint32_t four[4];
                _mm_storeu_si128((__m128i *)(void *)four, _mm_xor_si128(v[i], flips));
                for (size_t q = 0; 4 * q < rows; q++, to += 4 * COLUMNS)
                    memcpy(to, &four[q], sizeof four[q]);
            }
        }
    }
}

/* Four columns of one tap, k a multiple of 4 at least 16: quads of weights where they lie, k bytes from one to the next. */
static void pack_quads(size_t k, const uint8_t *w, uint8_t flip, uint8_t *column)
{
    const __m128i flips = _mm_set1_epi8((char)flip);
    for (size_t done = 0; done < k; done += 16) {
        const size_t at = k - done < 16 ? k - 16 : done; /* the last ones again */
        __m128i v[4], ab[2], cd[2];
        for (size_t j = 0; j < 4; j++)
            v[j] = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(w + j * k + at)), flips);
        ab[0] = _mm_unpacklo_epi32(v[0], v[1]), ab[1] = _mm_unpackhi_epi32(v[0], v[1]);
        cd[0] = _mm_unpacklo_epi32(v[2], v[3]), cd[1] = _mm_unpackhi_epi32(v[2], v[3]);
        for (size_t i = 0; i < 2; i++) {
            __m128i *to = (__m128i *)(void *)(column + (at + 8 * i) * COLUMNS);
            _mm_storeu_si128(to, _mm_unpacklo_epi64(ab[i], cd[i]));
            _mm_storeu_si128(to + COLUMNS / 4, _mm_unpackhi_epi64(ab[i], cd[i]));
        }
    }
}

/* n columns of a panel; `left` bytes can be read from w on. */
static void pack_columns(size_t n, size_t channels, size_t taps, const uint8_t *w, uint8_t flip, size_t left, uint8_t *panel)
{
    const size_t k = channels * taps;
    size_t j = 0;
    for (; taps == 1 && k % 4 == 0 && k >= 16 && n - j >= 4; j += 4)
        pack_quads(k, w + j * k, flip, panel + 4 * j);
    for (; j < n; j++) {
        if (channels % 4 || left < (j + 1) * k + 15)
            pack_column(channels, taps, w + j * k, flip, panel + 4 * j);
        else
            pack_taps(channels, taps, w + j * k, flip, panel + 4 * j);
    }
}

static int32_t sum_of(size_t n, const uint8_t *w, uint8_t flip)
{
    const __m128i sign = _mm_set1_epi8((char)(flip ^ 0x80));
    __m128i sum = _mm_setzero_si128();
    uint64_t part[2];
    size_t i = 0;
    for (; n - i >= 16; i += 16) /* of unsigned bytes: each 128 too much */
        sum = _mm_add_epi64(sum, _mm_sad_epu8(_mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(w + i)), sign), _mm_setzero_si128()));
    _mm_storeu_si128((__m128i *)(void *)part, sum);
    int32_t total = (int32_t)(part[0] + part[1]) - 128 * (int32_t)i;
    for (; i < n; i++)
        total += (int8_t)(w[i] ^ flip);
    return total;
}
#else
static void pack_columns(size_t n, size_t channels, size_t taps, const uint8_t *w, uint8_t flip, size_t left, uint8_t *panel)
{
    (void)left;
    for (size_t j = 0; j < n; j++)
        pack_column(channels, taps, w + j * channels * taps, flip, panel + 4 * j);
}

static int32_t sum_of(size_t n, const uint8_t *w, uint8_t flip)
{
    int32_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += (int8_t)(w[i] ^ flip);
    return total;
}
#endif

void oi_conv_bytes_pack(const oi_conv_bytes_plan *p, const void *weights, uint8_t *packed)
{
    const uint8_t *w = weights, flip = p->shape.w_signed ? 0 : 0x80;
    const size_t each = p->shape.oc / p->shape.groups;
    if (p->depthwise) {
        pack_depthwise(p, w, flip, packed);
        return;
    }
    if (p->shape.columns) {
        oi_bytes_pack(p->k, p->shape.oc, w, p->shape.oc, p->shape.w_signed, packed);
        return;
    }
    for (size_t i = 0; i < p->shape.groups * p->panels; i++, packed += p->panel_size) {
        const size_t first = i % p->panels * COLUMNS, left = each - first, n = left < COLUMNS ? left : COLUMNS;
        const uint8_t *from = w + (i / p->panels * each + first) * p->k;
        const size_t taps = p->shape.kh * p->shape.kw;
        int32_t sums[COLUMNS] = {0};
        if (n < COLUMNS || p->k % 4)
            memset(packed, 0, p->panel_size);
        pack_columns(n, p->k / taps, taps, from, flip, p->shape.oc * p->k - (size_t)(from - w), packed);
        for (size_t j = 0; j < n; j++)
            sums[j] = sum_of(p->k, from + j * p->k, flip);
        memcpy(packed + p->depth * COLUMNS, sums, sizeof sums);
    }
}

void oi_conv_bytes_fill(const oi_conv_bytes_plan *p, const uint8_t *packed, int32_t x_zero, const int32_t *bias, const int32_t *w_zero,
                        const float *factor, bool factor_many, oi_conv_bytes_terms *terms)
{
    const uint32_t za = (uint32_t)(x_zero + (p->shape.x_signed ? 128 : 0));
    memset(terms->bias, 0, p->terms * sizeof *terms->bias);
    memset(terms->b_zero, 0, p->terms * sizeof *terms->b_zero);
    memset(terms->factor, 0, p->terms * sizeof *terms->factor);
    terms->has_zero = false;
    terms->tame = true;
    for (size_t i = 0; i < p->copies * p->shape.oc; i++) {
        const size_t o = i % p->shape.oc, place = place_of(p, i);
        const uint8_t *at = p->depthwise ? packed + p->terms * 4 * p->quads + place * sizeof(int32_t)
                                         : packed + place / COLUMNS * p->panel_size + p->depth * COLUMNS + place % COLUMNS * sizeof(int32_t);
        int32_t sum;
        memcpy(&sum, at, sizeof sum);
        terms->bias[place] = (int32_t)((uint32_t)(bias ? bias[o] : 0) - za * (uint32_t)sum);
        terms->b_zero[place] = (w_zero ? w_zero[o] : 0) - (p->shape.w_signed ? 0 : 128);
        terms->factor[place] = factor[factor_many ? o : 0];
        terms->has_zero = terms->has_zero || terms->b_zero[place];
        terms->tame = terms->tame && terms->factor[place] <= 0.5f && terms->factor[place] >= -0.5f;
    }
}

/* --- runs --- */

static inline void copy(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
    if (n >= 16) {
        for (size_t i = 0; i + 16 <= n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/* What one output pixel reads of a group's channels, tap by tap. */
static void gather_row(const oi_conv_bytes_plan *p, const uint8_t *image, size_t group, size_t oy, size_t ox, uint8_t zero, uint8_t *to)
{
    const oi_conv_bytes_shape *s = &p->shape;
    const size_t channels = s->c / s->groups;
    const ptrdiff_t y0 = (ptrdiff_t)(oy * s->sh) - (ptrdiff_t)s->pt, x0 = (ptrdiff_t)(ox * s->sw) - (ptrdiff_t)s->pl;
    const bool whole = s->groups == 1 && s->dw == 1;
    for (size_t ky = 0; ky < s->kh; ky++) {
        const ptrdiff_t y = y0 + (ptrdiff_t)(ky * s->dh);
        const uint8_t *row = image + (size_t)(y < 0 ? 0 : y) * s->w * s->c + group * channels;
        if (y < 0 || y >= (ptrdiff_t)s->h) {
            memset(to, zero, s->kw * channels);
            to += s->kw * channels;
        } else if (whole && x0 >= 0 && x0 + (ptrdiff_t)s->kw <= (ptrdiff_t)s->w) {
            copy(to, row + (size_t)x0 * s->c, s->kw * s->c);
            to += s->kw * s->c;
        } else {
            for (size_t kx = 0; kx < s->kw; kx++, to += channels) {
                const ptrdiff_t x = x0 + (ptrdiff_t)(kx * s->dw);
                if (x < 0 || x >= (ptrdiff_t)s->w)
                    memset(to, zero, channels);
                else
                    copy(to, row + (size_t)x * s->c, channels);
            }
        }
    }
    for (size_t i = p->k; i < p->depth; i++)
        *to++ = 0;
}

static void gather(const oi_conv_bytes_plan *p, const oi_conv_bytes_args *a, size_t group, size_t first, size_t rows, uint8_t *to)
{
    const oi_conv_bytes_shape *s = &p->shape;
    size_t ox = first % s->ow, oy = first / s->ow % s->oh, n = first / s->ow / s->oh;
    for (size_t r = 0; r < rows; r++) {
        gather_row(p, a->x + n * s->h * s->w * s->c, group, oy, ox, (uint8_t)a->x_zero, to + r * p->depth);
        if (++ox == s->ow) {
            ox = 0;
            if (++oy == s->oh)
                oy = 0, n++;
        }
    }
    for (size_t i = 0; s->x_signed && i < rows * p->depth; i += 4) {
        uint32_t v;
        memcpy(&v, to + i, sizeof v);
        v ^= 0x80808080u;
        memcpy(to + i, &v, sizeof v);
    }
}

static void sum_rows(const oi_conv_bytes_plan *p, int32_t x_zero, const uint8_t *rows, size_t stride, size_t n, int32_t *term)
{
    const uint32_t za = (uint32_t)(x_zero + (p->shape.x_signed ? 128 : 0));
    for (size_t r = 0; r < n; r++, rows += stride) {
        uint32_t sum = 0;
        for (size_t i = 0; i < p->k; i++)
            sum += rows[i];
        term[r] = (int32_t)((uint32_t)p->k * za - sum);
    }
}

static void run_panels(const oi_conv_bytes_plan *p, const oi_conv_bytes_args *a, size_t task, uint8_t *workspace)
{
    const oi_conv_bytes_shape *s = &p->shape;
    const size_t total = s->groups * p->panels, each = s->oc / s->groups, pixels = s->n * s->oh * s->ow;
    const size_t first = task / p->chunks * p->rows, rows = pixels - first < p->rows ? pixels - first : p->rows;
    const size_t from = task % p->chunks * p->chunk, end = total - from < p->chunk ? total : from + p->chunk;
    int32_t row_term[BLOCK_ROWS];
    for (size_t i = from, group = SIZE_MAX; i < end && !oi_stopped(a->stop); i++) {
        const uint8_t *rows_at = p->direct ? a->x + first * s->c : workspace;
        const size_t stride = p->direct ? s->c : p->depth;
        if (group != i / p->panels) {
            group = i / p->panels;
            if (!p->direct)
                gather(p, a, group, first, rows, workspace);
            if (a->terms->has_zero)
                sum_rows(p, a->x_zero, rows_at, stride, rows, row_term);
        }
        const size_t column = i % p->panels * COLUMNS, left = each - column, to = first * s->oc + group * each + column;
        const oi_byte_panel_args args = {
            .rows = rows, .quads = p->quads, .columns = left < COLUMNS ? left : COLUMNS, .a = rows_at, .a_stride = stride,
            .b = (const int8_t *)a->packed + i * p->panel_size, .bias = a->terms->bias + i * COLUMNS, .factor = a->terms->factor + i * COLUMNS,
            .b_zero = a->terms->has_zero ? a->terms->b_zero + i * COLUMNS : NULL, .row_term = row_term, .tame = a->terms->tame, .scaling = a->scaling,
            .residual = a->residual ? a->residual + to : NULL, .residual_stride = s->oc, .y = a->y + to, .y_stride = s->oc};
        p->kern->byte_panel(&args);
    }
}

/* The pixels [from, end) of one output row, all of whose taps are in the image or all in one column of pads. */
static void run_pixels(const oi_conv_bytes_plan *p, const oi_conv_bytes_args *a, const uint8_t *image, size_t oy, size_t from, size_t end,
                       const uint8_t *zeros, uint8_t *y)
{
    const oi_conv_bytes_shape *s = &p->shape;
    const uint8_t *tap[MAX_TAPS + 4];
    size_t t = 0;
    for (size_t ky = 0; ky < s->kh; ky++) {
        const ptrdiff_t iy = (ptrdiff_t)(oy * s->sh + ky * s->dh) - (ptrdiff_t)s->pt;
        const uint8_t *row = iy < 0 || iy >= (ptrdiff_t)s->h ? zeros : image + (size_t)iy * s->w * s->c;
        for (size_t kx = 0; kx < s->kw; kx++) {
            const ptrdiff_t ix = (ptrdiff_t)(from * s->sw + kx * s->dw) - (ptrdiff_t)s->pl;
            tap[t++] = ix < 0 || ix >= (ptrdiff_t)s->w ? zeros : row + (size_t)ix * s->c;
        }
    }
    for (; t < 4 * p->quads; t++)
        tap[t] = tap[0];
    const size_t copies = s->sw == 1 ? p->copies : 1, groups = (end - from) / copies, left = (end - from) % copies;
    oi_byte_depthwise_args args = {
        .pixels = groups, .step = copies * s->sw * s->c, .y_step = copies * s->c, .channels = copies * s->c, .quads = p->quads, .tap = tap,
        .flip = s->x_signed ? 0x80 : 0, .weights = (const int8_t *)a->packed, .bias = a->terms->bias, .factor = a->terms->factor,
        .tame = a->terms->tame, .scaling = a->scaling, .y = y + from * s->c};
    if (groups)
        p->kern->byte_depthwise(&args);
    if (!left)
        return;
    for (t = 0; t < 4 * p->quads; t++)
        tap[t] += groups * args.step;
    args.y += groups * args.y_step;
    args.pixels = 1;
    args.channels = left * s->c;
    p->kern->byte_depthwise(&args);
}

static void run_depthwise(const oi_conv_bytes_plan *p, const oi_conv_bytes_args *a, size_t task, uint8_t *zeros)
{
    const oi_conv_bytes_shape *s = &p->shape;
    const size_t n = task / p->blocks, first = task % p->blocks * p->rows, end = s->oh - first < p->rows ? s->oh : first + p->rows;
    const uint8_t *image = a->x + n * s->h * s->w * s->c;
    const size_t reach = (s->kw - 1) * s->dw;
    /* outputs whose taps all lie in the image's columns: [left, right) */
    size_t left = (s->pl + s->sw - 1) / s->sw, right = s->w + s->pl > reach ? (s->w + s->pl - reach - 1) / s->sw + 1 : 0;
    left = left < s->ow ? left : s->ow;
    right = right < left ? left : right < s->ow ? right : s->ow;
    memset(zeros, (uint8_t)a->x_zero, s->w * s->c);
    for (size_t oy = first; oy < end && !oi_stopped(a->stop); oy++) {
        uint8_t *y = a->y + (n * s->oh + oy) * s->ow * s->c;
        for (size_t x = 0; x < left; x++)
            run_pixels(p, a, image, oy, x, x + 1, zeros, y);
        if (right > left)
            run_pixels(p, a, image, oy, left, right, zeros, y);
        for (size_t x = right; x < s->ow; x++)
            run_pixels(p, a, image, oy, x, x + 1, zeros, y);
    }
}

void oi_conv_bytes_run(const oi_conv_bytes_plan *p, const oi_conv_bytes_args *a, size_t task, void *workspace)
{
    if (p->depthwise)
        run_depthwise(p, a, task, workspace);
    else
        run_panels(p, a, task, workspace);
}
