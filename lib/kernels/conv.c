/* conv.c - plans and runs convolutions: packs weights into panels, cuts the output into tasks and tiles. */
#include "kernels/conv.h"

#include <string.h>

#include "base/checked.h"
#include "kernels/panel.h"

enum {
    TASK_MACS = 1 << 19, /* a task shorter than this costs more to hand out than it is worth */
    MAX_TASKS = 64,      /* tasks that a long layer is cut into where caches do not ask for more */
    TILE_PIXELS = 84,    /* pixels that one pass over the weights should at least serve */
    MAX_PHASES = 1 << 16,
    STOP_MACS = 1 << 21, /* done between two questions whether to stop */
    COPY_SHARE = 150 /* multiply-adds for each float copied into a strip */
};

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }
static size_t div_up(size_t a, size_t b) { return a / b + (a % b != 0); }

/* How groups meet vectors. */
typedef enum grouping {
    ONE_GROUP, /* no groups */
    WHOLE,     /* every group is a number of whole blocks: as many convolutions side by side */
    MIXED      /* a panel is one vector and reads the blocks of all groups that its lanes belong to */
} grouping;

static grouping grouping_of(const oi_conv_plan *p)
{
    const oi_conv_shape *s = &p->shape;
    if (s->groups == 1)
        return ONE_GROUP;
    const size_t icg = s->c / s->groups, ocg = s->oc / s->groups;
    return icg % p->in_lanes == 0 && ocg % p->kern->vl == 0 ? WHOLE : MIXED;
}

/* A panel: the output vectors that one register tile computes, and the input blocks that they depend on. */
typedef struct panel {
    size_t vector, vectors;
    size_t block, blocks;
    size_t last;   /* channels of the last of these blocks */
    size_t offset; /* where its weights begin in its phase, in floats for one tap of the window */
} panel;

static panel panel_at(const oi_conv_plan *p, size_t i)
{
    const oi_conv_shape *s = &p->shape;
    const size_t vl = p->kern->vl, lanes = p->in_lanes;
    panel r = {.block = 0, .blocks = p->in_blocks};
    switch (grouping_of(p)) {
    case ONE_GROUP:
        r.vectors = oi_panel_vectors(div_up(s->oc, vl), i, &r.vector);
        r.offset = r.vector * vl * s->c;
        break;
    case WHOLE: {
        const size_t vectors = s->oc / s->groups / vl, per_group = oi_panel_count(vectors);
        const size_t group = i / per_group;
        r.vectors = oi_panel_vectors(vectors, i % per_group, &r.vector);
        r.vector += group * vectors;
        r.blocks = s->c / s->groups / lanes;
        r.block = group * r.blocks;
        r.offset = r.vector * vl * (s->c / s->groups);
        break;
    }
    case MIXED: {
        const size_t icg = s->c / s->groups, ocg = s->oc / s->groups;
        r.vector = i;
        r.vectors = 1;
        const size_t first = i * vl / ocg, last = (min_size((i + 1) * vl, s->oc) - 1) / ocg;
        r.block = first * icg / lanes;
        r.blocks = div_up((last + 1) * icg, lanes) - r.block;
        r.offset = i * vl * p->panel_blocks * lanes;
        break;
    }
    }
    r.last = min_size(s->c - (r.block + r.blocks - 1) * lanes, lanes);
    return r;
}

/*
 * One axis of one stride phase. A forward convolution has one phase with an input step of the stride; a
 * transposed one has a phase for each residue of (output + pad) modulo the stride, each a convolution with
 * step 1 over some of the taps.
 */
typedef struct axis {
    size_t k, dilation, stride, pad, residue;
    bool transposed;
    size_t first, step, count; /* outputs first, first + step, ... */
    size_t in_step;            /* input positions from one of these outputs to the next */
    ptrdiff_t low, high;       /* input positions of output 0's taps */
    size_t taps;
} axis;

/* Whether tap i belongs to the phase; then *q is the input position it reads for the phase's first output. */
static bool axis_tap(const axis *a, size_t i, ptrdiff_t *q)
{
    const ptrdiff_t at = (ptrdiff_t)(i * a->dilation);
    if (!a->transposed) {
        *q = at - (ptrdiff_t)a->pad;
        return true;
    }
    const ptrdiff_t d = (ptrdiff_t)(a->first + a->pad) - at, s = (ptrdiff_t)a->stride;
    if (d % s != 0)
        return false;
    *q = d / s;
    return true;
}

static axis axis_of(size_t k, size_t dilation, size_t stride, size_t pad, size_t out, bool transposed,
                    size_t residue)
{
    axis a = {.k = k,
              .dilation = dilation,
              .stride = stride,
              .pad = pad,
              .residue = residue,
              .transposed = transposed};
    a.first = transposed ? (residue + stride - pad % stride) % stride : 0;
    a.step = transposed ? stride : 1;
    a.count = out > a.first ? div_up(out - a.first, a.step) : 0;
    a.in_step = transposed ? 1 : stride;
    for (size_t i = 0; i < k; i++) {
        ptrdiff_t q;
        if (!axis_tap(&a, i, &q))
            continue;
        if (a.taps == 0 || q < a.low)
            a.low = q;
        if (a.taps == 0 || q > a.high)
            a.high = q;
        a.taps++;
    }
    return a;
}

static axis axis_y(const oi_conv_shape *s, size_t residue)
{
    return axis_of(s->kh, s->dh, s->sh, s->pt, s->oh, s->transposed, residue);
}

static axis axis_x(const oi_conv_shape *s, size_t residue)
{
    return axis_of(s->kw, s->dw, s->sw, s->pl, s->ow, s->transposed, residue);
}

/* Input positions that `count` outputs of the axis span. */
static size_t axis_span(const axis *a, size_t count)
{
    return a->taps && count ? (count - 1) * a->in_step + (size_t)(a->high - a->low) + 1 : 0;
}

/* Whether any output reads beyond an input of `size` positions. */
static bool axis_pads(const axis *a, size_t size)
{
    return a->taps && a->count &&
           (a->low < 0 || a->high + (ptrdiff_t)((a->count - 1) * a->in_step) >= (ptrdiff_t)size);
}

/* Taps of a plain input lie side by side along x, so that a row of them is one tap of kw floats. */
static bool merges_x(const oi_conv_plan *p)
{
    return p->shape.in_plain && !p->shape.transposed && p->shape.dw == 1;
}

size_t oi_conv_out_size(size_t in, size_t k, size_t stride, size_t dilation, size_t pad_begin, size_t pad_end)
{
    size_t span = 0, padded = 0;
    if (k == 0 || stride == 0 || !oi_mul_size(k - 1, dilation, &span) ||
        !oi_add_size(in, pad_begin, &padded) || !oi_add_size(padded, pad_end, &padded) || padded <= span)
        return 0;
    return (padded - span - 1) / stride + 1;
}

size_t oi_blocked_size(const oi_kernels *kern, size_t n, size_t c, size_t pixels)
{
    size_t size;
    if (!oi_mul_size(div_up(c, kern->vl), kern->vl, &size) || !oi_mul_size(size, n, &size) ||
        !oi_mul_size(size, pixels, &size))
        return 0;
    return size;
}

/* a * b * c * d, or false when that is no plausible size of an array. */
static bool product_fits(size_t a, size_t b, size_t c, size_t d, size_t *out)
{
    return oi_mul_size(a, b, out) && oi_mul_size(*out, c, out) && oi_mul_size(*out, d, out) &&
           *out <= PTRDIFF_MAX / sizeof(float);
}

static oi_status check_shape(const oi_conv_plan *p)
{
    const oi_conv_shape *s = &p->shape;
    const size_t vl = p->kern->vl;
    OI_FAIL_IF(!s->kh || !s->kw || !s->sh || !s->sw || !s->dh || !s->dw || !s->groups || !s->c || !s->oc,
               ONNX_INFER_E_INVALID_ARGUMENT,
               "convolution: a channel count, kernel, stride, dilation or group is zero");
    OI_FAIL_IF(s->c % s->groups || s->oc % s->groups, ONNX_INFER_E_SHAPE_MISMATCH,
               "convolution: %zu groups do not divide %zu input and %zu output channels", s->groups, s->c,
               s->oc);
    OI_FAIL_IF(s->transposed && (s->sh > MAX_PHASES || s->sw > MAX_PHASES / s->sh), ONNX_INFER_E_LIMIT,
               "convolution: strides %zu x %zu of a transposed one are beyond what is supported", s->sh,
               s->sw);
    /* Everything below works on products of these. */
    size_t in, out, reach_y, reach_x, weights;
    const bool fits = product_fits(s->n, s->c + vl, s->h, s->w, &in) &&
                      product_fits(s->n, s->oc + vl, s->oh, s->ow, &out) &&
                      product_fits(s->kh, s->dh, 1, 1, &reach_y) &&
                      product_fits(s->kw, s->dw, 1, 1, &reach_x) && product_fits(s->oh, s->sh, 1, 1, &in) &&
                      product_fits(s->ow, s->sw, 1, 1, &in) &&
                      product_fits(s->oc + 2 * vl, s->c + 2 * vl, s->kh, s->kw, &weights) &&
                      product_fits(reach_y + s->oh * s->sh + s->pt + s->h,
                                   reach_x + s->ow * s->sw + s->pl + s->w, s->c + vl, 4, &in);
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "convolution: sizes overflow");
    return ONNX_INFER_OK;
}

static void plan_depthwise(oi_conv_plan *p)
{
    const oi_conv_shape *s = &p->shape;
    const size_t vl = p->kern->vl, blocks = div_up(s->oc, vl);
    const size_t row = max_size(s->ow * s->kh * s->kw * vl, 1);
    p->algo = OI_CONV_DEPTHWISE;
    p->packed = blocks * s->kh * s->kw * vl;
    /* Depthwise work is bound by the loads: count a multiply-add as four. */
    const size_t want = min_size(max_size(row * s->oh * blocks * s->n / (TASK_MACS / 4), 1), MAX_TASKS);
    p->chunk = 1;
    p->chunks = blocks;
    if (blocks * s->n >= want) {
        p->chunk = max_size(blocks * s->n / want, 1);
        p->chunk = min_size(p->chunk, blocks);
        p->chunks = div_up(blocks, p->chunk);
        p->strips = 1;
    } else {
        p->strips = min_size(div_up(want, blocks * s->n), max_size(s->oh, 1));
    }
    p->rows = div_up(max_size(s->oh, 1), p->strips);
    p->strips = div_up(max_size(s->oh, 1), p->rows);
    p->n_tasks = s->n * p->chunks * p->strips;
    p->workspace = 0;
}

/* Rows (or flattened pixels) of a strip and panels of a chunk; `out` is the number of rows, `width` the
 * pixels of one. */
static void plan_split(oi_conv_plan *p, size_t out, size_t width, size_t row_floats, size_t halo_rows,
                       double macs)
{
    const oi_conv_shape *s = &p->shape;
    const size_t phases = p->phase_h * p->phase_w;
    const size_t budget = oi_cpu_l2_bytes() / sizeof(float) / 2;
    double want = macs / TASK_MACS;
    want = want < 1 ? 1 : want > MAX_TASKS ? MAX_TASKS : want;
    want = want / (double)(s->n * phases);
    /* The strip of input stays in the second level cache while the panels pass over it. */
    size_t rows = budget / max_size(row_floats, 1);
    rows = rows > halo_rows ? rows - halo_rows : 1;
    rows = max_size(rows, div_up(TILE_PIXELS, max_size(width, 1)));
    rows = min_size(rows, max_size(out, 1));
    size_t strips = div_up(out, rows);
    const size_t short_rows =
        min_size(max_size(div_up(TILE_PIXELS, max_size(width, 1)), 2 * halo_rows), max_size(out, 1));
    if ((double)strips < want) {
        const size_t most = max_size(out / max_size(short_rows, 1), 1);
        strips = max_size(strips, min_size((size_t)(want + 0.5), most));
    }
    p->rows = max_size(div_up(out, max_size(strips, 1)), 1);
    /* Strips of flattened pixels end where a tile does. */
    const size_t tile = p->kern->max_mr[2];
    if (width == 1 && p->rows > tile)
        p->rows = div_up(p->rows, tile) * tile;
    p->strips = max_size(div_up(out, p->rows), 1);
    size_t chunks = 1;
    if ((double)p->strips < want)
        chunks = min_size((size_t)(want / (double)p->strips + 0.5), p->panels);
    if (p->copy && chunks > 1) {
        const double strip = (double)(p->rows + halo_rows) * (double)row_floats;
        const double most = macs / (double)(s->n * phases * p->strips) / (strip * COPY_SHARE);
        chunks = most < 1 ? 1 : min_size(chunks, (size_t)most);
    }
    p->chunk = div_up(p->panels, max_size(chunks, 1));
    p->chunks = div_up(p->panels, p->chunk);
}

oi_status oi_conv_plan_init(oi_conv_plan *p, const oi_kernels *kern, const oi_conv_shape *shape)
{
    *p = (oi_conv_plan){.kern = kern, .shape = *shape};
    const oi_conv_shape *s = &p->shape;
    OI_TRY(check_shape(p));
    const size_t vl = kern->vl;
    if (s->groups > 1 && s->groups == s->c && s->groups == s->oc && !s->in_plain && !s->transposed) {
        plan_depthwise(p);
        return ONNX_INFER_OK;
    }
    p->algo = OI_CONV_DIRECT;
    p->in_lanes = s->in_plain ? 1 : vl;
    p->in_blocks = div_up(s->c, p->in_lanes);
    p->phase_h = s->transposed ? s->sh : 1;
    p->phase_w = s->transposed ? s->sw : 1;
    const size_t vectors = div_up(s->oc, vl), taps = s->kh * s->kw;
    size_t reduction = s->c;
    switch (grouping_of(p)) {
    case ONE_GROUP:
        p->panels = oi_panel_count(vectors);
        p->panel_blocks = p->in_blocks;
        break;
    case WHOLE:
        p->panels = s->groups * oi_panel_count(vectors / s->groups);
        p->panel_blocks = s->c / s->groups / p->in_lanes;
        reduction = s->c / s->groups;
        break;
    case MIXED:
        p->panels = vectors;
        for (size_t i = 0; i < vectors; i++)
            p->panel_blocks = max_size(p->panel_blocks, panel_at(p, i).blocks);
        reduction = p->panel_blocks * p->in_lanes;
        break;
    }
    OI_FAIL_IF(!product_fits(vectors * vl, reduction, s->kh, s->kw, &p->packed), ONNX_INFER_E_LIMIT,
               "convolution: sizes overflow");

    size_t out_h = 0, out_w = 0, span_h = 0, span_w = 0;
    for (size_t r = 0; r < p->phase_h; r++) {
        const axis a = axis_y(s, r);
        p->copy = p->copy || axis_pads(&a, s->h);
        out_h = max_size(out_h, a.count);
        span_h = max_size(span_h, (size_t)(a.high - a.low));
    }
    for (size_t r = 0; r < p->phase_w; r++) {
        const axis a = axis_x(s, r);
        p->copy = p->copy || axis_pads(&a, s->w);
        out_w = max_size(out_w, a.count);
        span_w = max_size(span_w, axis_span(&a, a.count));
    }
    const bool flat = taps == 1 && s->sh == 1 && s->sw == 1 && !p->copy && s->oh == s->h && s->ow == s->w;
    const double macs = (double)s->n * (double)s->oh * (double)s->ow * (double)p->packed /
                        (s->transposed ? (double)(s->sh * s->sw) : 1.0);
    const size_t step = s->transposed ? 1 : s->sh;
    if (flat) {
        p->algo = OI_CONV_POINTWISE;
        plan_split(p, s->oh * s->ow, 1, p->panel_blocks * p->in_lanes, 0, macs);
    } else {
        /* A row of the output stands for `step` rows of the input. */
        const size_t row_floats = p->panel_blocks * p->in_lanes * (p->copy ? span_w : s->w);
        p->gather = p->copy && !s->transposed && s->dh > 1;
        plan_split(p, out_h, out_w, row_floats * (p->gather ? s->kh : step), p->gather ? 0 : div_up(span_h, step), macs);
    }
    size_t strip = 0;
    if (p->copy) {
        p->strip_h = p->gather ? p->rows * s->kh : (p->rows - 1) * step + span_h + 1;
        p->strip_w = span_w;
        for (size_t c = 0; c < p->chunks; c++) {
            const panel a = panel_at(p, c * p->chunk),
                        b = panel_at(p, min_size((c + 1) * p->chunk, p->panels) - 1);
            p->strip_blocks = max_size(p->strip_blocks, b.block + b.blocks - a.block);
        }
        strip = p->strip_blocks * p->strip_h * p->strip_w * p->in_lanes;
    }
    /* The tap offsets follow the strip. */
    size_t offsets = p->panel_blocks * s->kh * (merges_x(p) ? 1 : s->kw);
    strip = (strip + 15) / 16 * 16;
    p->workspace = strip + offsets * (sizeof(ptrdiff_t) / sizeof(float));
    p->n_tasks = s->n * p->phase_h * p->phase_w * p->strips * p->chunks;
    if (s->oh == 0 || s->ow == 0)
        p->n_tasks = 0;
    return ONNX_INFER_OK;
}

static void pack_depthwise(const oi_conv_plan *p, const oi_loose_float *w, const float *scale, float *dst)
{
    const oi_conv_shape *s = &p->shape;
    const size_t vl = p->kern->vl, taps = s->kh * s->kw;
    for (size_t c = 0; c < s->oc; c += vl)
        for (size_t t = 0; t < taps; t++)
            for (size_t l = 0; l < vl; l++)
                *dst++ = c + l < s->oc ? w[(c + l) * taps + t] * (scale ? scale[c + l] : 1.0f) : 0.0f;
}

size_t oi_conv_scale_parts(const oi_conv_plan *p)
{
    return p->algo == OI_CONV_POINTWISE && p->shape.groups == 1 ? p->panels : 0;
}

void oi_conv_scale_part(const oi_conv_plan *p, const float *packed, const float *factor, size_t i, float *dst)
{
    const panel q = panel_at(p, i);
    const size_t width = q.vectors * p->kern->vl;
    const oi_binary_args rows = {.rows = p->shape.c, .n = width, .a = packed + q.offset, .b = factor, .y = dst + q.offset,
                                 .as = width, .bs = 1, .ys = width, .b_scalar = true};
    p->kern->binary[OI_BINARY_MUL](&rows);
}

/* The rows of one tap and one input block: dst [channels][vectors * vl]. */
static void pack_tap(const oi_conv_plan *p, const panel *q, size_t ic0, size_t channels, size_t tap,
                     const oi_loose_float *w, const float *scale, float *dst)
{
    const oi_conv_shape *s = &p->shape;
    const size_t vl = p->kern->vl, width = q->vectors * vl, oc0 = q->vector * vl, taps = s->kh * s->kw;
    const size_t icg = s->c / s->groups, ocg = s->oc / s->groups;
    memset(dst, 0, channels * width * sizeof *dst);
    for (size_t oc = oc0; oc < min_size(oc0 + width, s->oc); oc++) {
        const size_t group = oc / ocg, first = max_size(group * icg, ic0), last = min_size((group + 1) * icg, ic0 + channels);
        const size_t step = s->transposed ? ocg * taps : taps;
        const float f = scale ? scale[oc] : 1.0f;
        const oi_loose_float *from =
            w + (s->transposed ? (first * ocg + oc - group * ocg) * taps : (oc * icg + first - group * icg) * taps) + tap;
        for (size_t ic = first; ic < last; ic++, from += step)
            dst[(ic - ic0) * width + oc - oc0] = *from * f;
    }
}

/*
 * All taps of one input block of a panel whose lanes share a group: the rows of w are transposed into a
 * buffer and its rows, [channel][tap], put in the order [tap][channel]. False if the block is not of that
 * kind.
 */
static bool pack_block(const oi_conv_plan *p, const panel *q, size_t ic0, size_t channels,
                       const oi_loose_float *w, const float *scale, float *dst)
{
    enum { ROOM = 16 * 9 * 48 };
    const oi_conv_shape *s = &p->shape;
    const size_t vl = p->kern->vl, width = q->vectors * vl, oc0 = q->vector * vl, taps = s->kh * s->kw;
    const size_t icg = s->c / s->groups, lanes = min_size(s->oc - oc0, width);
    if (s->transposed || grouping_of(p) == MIXED || taps * width > ROOM)
        return false;
    float rows[ROOM];
    const size_t most = taps == 1 ? channels : ROOM / (taps * width);
    for (size_t k0 = 0; k0 < channels; k0 += most) {
        const size_t some = min_size(most, channels - k0);
        float *const to = taps == 1 ? dst : rows;
        p->kern->transpose(lanes, some * taps, w + (oc0 * icg + ic0 % icg + k0) * taps, icg * taps, to, width);
        for (size_t i = 0; i < some * taps && lanes < width; i++)
            memset(to + i * width + lanes, 0, (width - lanes) * sizeof *to);
        for (size_t t = 0; taps > 1 && t < taps; t++)
            for (size_t k = 0; k < some; k++)
                memcpy(dst + (t * channels + k0 + k) * width, rows + (k * taps + t) * width, width * sizeof *dst);
    }
    if (scale)
        p->kern->binary[OI_BINARY_MUL](&(oi_binary_args){.rows = channels * taps,
                                                         .n = lanes,
                                                         .a = dst,
                                                         .b = scale + oc0,
                                                         .y = dst,
                                                         .as = width,
                                                         .ys = width});
    return true;
}

/* Whether tap i of an axis belongs to the phase `residue`; does not depend on pads. */
static bool in_phase(bool transposed, size_t i, size_t dilation, size_t stride, size_t residue)
{
    return !transposed || (i * dilation) % stride == residue;
}

/* Panel i of all phases. */
static void pack_panel(const oi_conv_plan *p, const oi_loose_float *w, const float *scale, size_t i, float *dst)
{
    const oi_conv_shape *s = &p->shape;
    const panel q = panel_at(p, i);
    const size_t tap_floats = p->packed / (s->kh * s->kw);
    for (size_t ry = 0; ry < p->phase_h; ry++)
        for (size_t rx = 0; rx < p->phase_w; rx++) {
            size_t ny = 0, nx = 0;
            for (size_t y = 0; y < s->kh; y++)
                ny += in_phase(s->transposed, y, s->dh, s->sh, ry);
            for (size_t x = 0; x < s->kw; x++)
                nx += in_phase(s->transposed, x, s->dw, s->sw, rx);
            float *d = dst + q.offset * ny * nx;
            /* Without taps to put in order blocks follow each other as their channels do. */
            const size_t together = s->kh * s->kw == 1 ? q.blocks : 1;
            for (size_t b = 0; b < q.blocks; b += together) {
                const size_t ic0 = (q.block + b) * p->in_lanes;
                const size_t channels = b + together == q.blocks ? (together - 1) * p->in_lanes + q.last : p->in_lanes;
                if (pack_block(p, &q, ic0, channels, w, scale, d)) {
                    d += channels * s->kh * s->kw * q.vectors * p->kern->vl;
                    continue;
                }
                for (size_t y = 0; y < s->kh; y++)
                    for (size_t x = 0; x < s->kw; x++) {
                        if (!in_phase(s->transposed, y, s->dh, s->sh, ry) ||
                            !in_phase(s->transposed, x, s->dw, s->sw, rx))
                            continue;
                        pack_tap(p, &q, ic0, channels, y * s->kw + x, w, scale, d);
                        d += channels * q.vectors * p->kern->vl;
                    }
            }
            dst += tap_floats * ny * nx;
        }
}

size_t oi_conv_pack_parts(const oi_conv_plan *p)
{
    return p->algo == OI_CONV_DEPTHWISE ? 1 : p->panels;
}

void oi_conv_pack_part(const oi_conv_plan *p, const oi_loose_float *w, const float *scale, size_t i, float *dst)
{
    if (p->algo == OI_CONV_DEPTHWISE)
        pack_depthwise(p, w, scale, dst);
    else
        pack_panel(p, w, scale, i, dst);
}

/* What the reading of one task starts from: the input itself, or the strip. */
typedef struct source {
    const float *x;    /* position (0, 0) of the first block */
    size_t block, row; /* floats from one block, one row, to the next */
    size_t first_block;
    ptrdiff_t y0, x0; /* the position that x is at, in input coordinates */
} source;

/* Copies input rows and columns [x0, x0 + width) of the blocks, zeros where there is no input. The rows are those from
 * y0 on; where the plan gathers, the kh rows that the taps of one output row see, then those of the next. */
static void copy_strip(const oi_conv_plan *p, const float *image, size_t block0, size_t blocks, size_t height,
                       size_t width, ptrdiff_t y0, ptrdiff_t x0, float *dst, oi_stop *stop)
{
    const oi_conv_shape *s = &p->shape;
    const size_t lanes = p->in_lanes;
    const ptrdiff_t w = (ptrdiff_t)s->w;
    const ptrdiff_t left = x0 >= 0 ? 0 : -x0 < (ptrdiff_t)width ? -x0 : (ptrdiff_t)width;
    ptrdiff_t end = w - x0;
    end = end < left ? left : end > (ptrdiff_t)width ? (ptrdiff_t)width : end;
    for (size_t b = 0; b < blocks; b++) {
        const float *plane = image + (block0 + b) * s->h * s->w * lanes;
        if (b && oi_stopped(stop))
            return;
        for (size_t y = 0; y < height; y++, dst += width * lanes) {
            const size_t row = p->gather ? y / s->kh * s->sh + y % s->kh * s->dh : y;
            const ptrdiff_t iy = y0 + (ptrdiff_t)row;
            if (iy < 0 || iy >= (ptrdiff_t)s->h) {
                memset(dst, 0, width * lanes * sizeof *dst);
                continue;
            }
            memset(dst, 0, (size_t)left * lanes * sizeof *dst);
            memcpy(dst + (size_t)left * lanes, plane + (iy * w + x0 + left) * (ptrdiff_t)lanes,
                   (size_t)(end - left) * lanes * sizeof *dst);
            memset(dst + (size_t)end * lanes, 0, (width - (size_t)end) * lanes * sizeof *dst);
        }
    }
}

/* Offsets of the taps of `blocks` blocks, those of one block after another; how many there are. */
static size_t tap_offsets(const oi_conv_plan *p, const axis *ay, const axis *ax, const source *src,
                          size_t blocks, ptrdiff_t *taps)
{
    const bool merge = merges_x(p);
    size_t n = 0;
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = 0; i < ay->k; i++) {
            ptrdiff_t y, x;
            if (!axis_tap(ay, i, &y))
                continue;
            for (size_t j = 0; j < (merge ? 1 : ax->k); j++)
                if (axis_tap(ax, j, &x))
                    taps[n++] = (ptrdiff_t)(b * src->block) +
                                (p->gather ? (ptrdiff_t)i : y - ay->low) * (ptrdiff_t)src->row +
                                (x - ax->low) * (ptrdiff_t)p->in_lanes;
        }
    return n;
}

/* The pixels of one task as lines of equal length, whichever way suits the tiles. */
typedef struct lines {
    size_t count, length;
    ptrdiff_t a_line, a_pixel, c_line, c_pixel;
} lines;

/* All tiles of one panel. t->a, t->c and t->residual stand at the first pixel; `next` is the following panel
 * of `floats` weights, or NULL. */
static void run_lines(const oi_conv_plan *p, oi_tile_args *t, size_t vectors, const lines *l,
                      const float *next, size_t floats, oi_stop *stop)
{
    const size_t max = p->kern->max_mr[vectors];
    oi_tile_fn *const *const fn = p->kern->tile[vectors];
    const float *a = t->a, *residual = t->residual;
    float *c = t->c;
    const bool pairs = 2 * l->length <= max;
    const size_t depth = t->ntaps0 * t->kc0 + t->ntaps1 * t->kc1;
    const bool few = l->count * l->length <= 2 * max;
    const size_t tile_macs = max * vectors * p->kern->vl * depth;
    size_t tile = 0, since = 0;
    t->a_row = l->a_pixel;
    t->c_row = t->r_row = l->c_pixel;
    for (size_t i = 0; i < l->count;) {
        const float *ai = a + (ptrdiff_t)i * l->a_line;
        const ptrdiff_t ci = (ptrdiff_t)i * l->c_line;
        if ((since += tile_macs) >= STOP_MACS) {
            if (oi_stopped(stop))
                return;
            since = 0;
        }
        if (pairs && i + 2 <= l->count) {
            t->a = ai;
            t->a_half = l->a_line;
            t->c = c + ci;
            t->c_half = t->r_half = l->c_line;
            t->residual = residual ? residual + ci : NULL;
            t->prefetch = oi_panel_ahead(next, floats, depth, tile++, few);
            fn[2 * l->length](t);
            i += 2;
            continue;
        }
        /* Tiles as equal as can be: a small last one would waste registers. */
        const size_t tiles = div_up(l->length, max), base = l->length / tiles, longer = l->length % tiles;
        size_t x = 0;
        for (size_t k = 0; k < tiles; k++) {
            const size_t mr = base + (k < longer);
            const ptrdiff_t half = (ptrdiff_t)(mr - mr / 2);
            if (k && (since += tile_macs) >= STOP_MACS) {
                if (oi_stopped(stop))
                    return;
                since = 0;
            }
            t->a = ai + (ptrdiff_t)x * l->a_pixel;
            t->a_half = half * l->a_pixel;
            t->c = c + ci + (ptrdiff_t)x * l->c_pixel;
            t->c_half = t->r_half = half * l->c_pixel;
            t->residual = residual ? residual + ci + (ptrdiff_t)x * l->c_pixel : NULL;
            t->prefetch = oi_panel_ahead(next, floats, depth, tile++, few);
            fn[mr](t);
            x += mr;
        }
        i++;
    }
}

static void run_depthwise(const oi_conv_plan *p, const oi_conv_args *args, size_t task)
{
    const oi_conv_shape *s = &p->shape;
    const oi_epilogue *e = &args->epilogue;
    const size_t vl = p->kern->vl, blocks = div_up(s->oc, vl), taps = s->kh * s->kw;
    const size_t strip = task % p->strips, chunk = task / p->strips % p->chunks,
                 n = task / p->strips / p->chunks;
    const size_t y0 = strip * p->rows, y1 = min_size(y0 + p->rows, s->oh);
    float bias[64] = {0};
    oi_depthwise_args d = {.h = s->h,
                           .w = s->w,
                           .oh = s->oh,
                           .ow = s->ow,
                           .kh = s->kh,
                           .kw = s->kw,
                           .sh = s->sh,
                           .sw = s->sw,
                           .dh = s->dh,
                           .dw = s->dw,
                           .pt = s->pt,
                           .pl = s->pl,
                           .beta = e->beta,
                           .residual_after = e->residual_after,
                           .act = e->act,
                           .p0 = e->p0,
                           .p1 = e->p1};
    for (size_t b = chunk * p->chunk; b < min_size((chunk + 1) * p->chunk, blocks); b++) {
        const size_t plane = n * blocks + b;
        d.x = args->x + plane * s->h * s->w * vl;
        d.y = args->y + plane * s->oh * s->ow * vl;
        d.residual = e->residual ? e->residual + plane * s->oh * s->ow * vl : NULL;
        d.weights = args->weights + b * taps * vl;
        if (e->bias) {
            const size_t lanes = min_size(s->oc - b * vl, vl);
            memcpy(bias, e->bias + b * vl, lanes * sizeof *bias);
            memset(bias + lanes, 0, (vl - lanes) * sizeof *bias);
            d.bias = bias;
        }
        const size_t step = max_size(STOP_MACS / 4 / max_size(s->ow * taps * vl, 1), 1);
        for (size_t y = y0; y < y1 && !oi_stopped(args->stop); y += step)
            p->kern->depthwise(&d, y, min_size(y + step, y1));
    }
}

/* How many taps of a transposed axis belong to phases before `residue`. */
static size_t taps_below(size_t k, size_t dilation, size_t stride, size_t residue)
{
    size_t n = 0;
    for (size_t i = 0; i < k; i++)
        n += i * dilation % stride < residue;
    return n;
}

void oi_conv_run(const oi_conv_plan *p, const oi_conv_args *args, size_t task, float *workspace)
{
    const oi_conv_shape *s = &p->shape;
    const oi_epilogue *e = &args->epilogue;
    if (p->algo == OI_CONV_DEPTHWISE) {
        run_depthwise(p, args, task);
        return;
    }
    const size_t vl = p->kern->vl, lanes = p->in_lanes;
    const size_t chunk = task % p->chunks, strip = task / p->chunks % p->strips;
    task /= p->chunks * p->strips;
    const size_t rx = task % p->phase_w, ry = task / p->phase_w % p->phase_h,
                 n = task / p->phase_w / p->phase_h;
    const axis ay = axis_y(s, ry), ax = axis_x(s, rx);
    const bool flat = p->algo == OI_CONV_POINTWISE;
    const size_t pixels = s->oh * s->ow, row0 = strip * p->rows;
    const size_t row1 = min_size(row0 + p->rows, flat ? pixels : ay.count);
    if (row0 >= row1 || ax.count == 0)
        return;
    const size_t panel0 = chunk * p->chunk, panel1 = min_size(panel0 + p->chunk, p->panels);

    const float *image = args->x + n * p->in_blocks * lanes * s->h * s->w;
    const panel first = panel_at(p, panel0), last = panel_at(p, panel1 - 1);
    source src = {.block = s->h * s->w * lanes, .row = s->w * lanes, .first_block = first.block};
    if (p->copy) {
        const size_t blocks = last.block + last.blocks - first.block;
        const size_t height = p->gather ? (row1 - row0) * s->kh : axis_span(&ay, row1 - row0);
        const size_t width = axis_span(&ax, ax.count);
        src.row = width * lanes;
        src.block = height * src.row;
        src.x = workspace;
        copy_strip(p, image, first.block, blocks, height, width, (ptrdiff_t)(row0 * ay.in_step) + ay.low,
                   ax.low, workspace, args->stop);
    } else {
        src.x =
            image + first.block * src.block +
            (flat ? row0 * lanes : (row0 * ay.in_step + (size_t)ay.low) * src.row + (size_t)ax.low * lanes);
    }
    ptrdiff_t *taps = (ptrdiff_t *)(void *)(workspace + (p->workspace -
                                                         p->panel_blocks * s->kh * (merges_x(p) ? 1 : s->kw) *
                                                             (sizeof(ptrdiff_t) / sizeof(float))));
    const size_t n_taps = tap_offsets(p, &ay, &ax, &src, p->panel_blocks, taps);
    const size_t block_taps = n_taps / p->panel_blocks, window = ay.taps * ax.taps;

    lines l;
    size_t out0;
    if (flat) {
        l = (lines){1, row1 - row0, 0, (ptrdiff_t)lanes, 0, (ptrdiff_t)vl};
        out0 = row0;
    } else {
        l = (lines){.count = row1 - row0,
                    .length = ax.count,
                    .a_line = (ptrdiff_t)((p->gather ? s->kh : ay.in_step) * src.row),
                    .a_pixel = (ptrdiff_t)(ax.in_step * lanes),
                    .c_line = (ptrdiff_t)(ay.step * s->ow * vl),
                    .c_pixel = (ptrdiff_t)(ax.step * vl)};
        if (l.length < 4 && l.count > l.length)
            l = (lines){l.length, l.count, l.a_pixel, l.a_line, l.c_pixel, l.c_line};
        out0 = (ay.first + row0 * ay.step) * s->ow + ax.first;
    }

    /* Taps of the phases before this one: all with a smaller residue, row by row. */
    size_t phase = 0;
    if (s->transposed)
        phase = taps_below(s->kh, s->dh, s->sh, ry) * s->kw + ay.taps * taps_below(s->kw, s->dw, s->sw, rx);
    const float *weights = args->weights + phase * (p->packed / (s->kh * s->kw));

    float bias[64];
    oi_tile_args t = {.taps = taps,
                      .c_vec = (ptrdiff_t)(pixels * vl),
                      .r_vec = (ptrdiff_t)(pixels * vl),
                      .lanes = vl,
                      .finish = true,
                      .residual_after = e->residual_after,
                      .alpha = 1.0f,
                      .beta = e->beta,
                      .act = e->act,
                      .p0 = e->p0,
                      .p1 = e->p1,
                      .bias = e->bias ? bias : NULL};
    for (size_t i = panel0; i < panel1 && !oi_stopped(args->stop); i++) {
        const panel q = panel_at(p, i);
        const size_t oc0 = q.vector * vl, width = q.vectors * vl;
        const size_t out = (n * div_up(s->oc, vl) + q.vector) * pixels * vl + out0 * vl;
        if (e->bias) {
            const size_t some = min_size(s->oc - oc0, width);
            memcpy(bias, e->bias + oc0, some * sizeof *bias);
            memset(bias + some, 0, (width - some) * sizeof *bias);
        }
        t.a = src.x + (q.block - src.first_block) * src.block;
        t.b = weights + q.offset * window;
        t.bs = width;
        t.c = args->y + out;
        t.residual = e->residual ? e->residual + out : NULL;
        const bool merge = merges_x(p);
        t.kc0 = merge ? s->kw : lanes;
        t.kc1 = merge ? s->kw : q.last;
        t.ntaps0 = block_taps * (q.last == lanes ? q.blocks : q.blocks - 1);
        t.ntaps1 = block_taps * q.blocks - t.ntaps0;
        const float *next = NULL;
        size_t floats = 0;
        if (i + 1 < p->panels) {
            const panel after = panel_at(p, i + 1);
            next = weights + after.offset * window;
            floats = after.vectors * vl * t.ntaps0 * t.kc0;
        }
        run_lines(p, &t, q.vectors, &l, next, floats, args->stop);
    }
}
