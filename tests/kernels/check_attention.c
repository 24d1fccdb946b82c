/* check_attention.c - attention of random shapes and strides, and rotary embedding, against plain evaluations in double. */
#include "kernel_test.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/attention.h"

/* How far the view reaches. */
static size_t reach(const oi_attention_shape *s, const oi_attention_view *v, size_t rows, size_t cols)
{
    size_t last = v->offset + (rows - 1) * v->row + (cols - 1) * v->col;
    for (size_t i = 0; i < s->nouter; i++)
        last += (s->outer[i] - 1) * v->outer[i];
    return last + 1;
}

/* A view in which heads lie beside each other in a row, or one behind the other; `shared` along the last outer dim. */
static oi_attention_view draw_view(kt *t, const oi_attention_shape *s, size_t rows, size_t cols, bool shared)
{
    oi_attention_view v = {.offset = kt_between(t, 0, 3), .col = 1};
    const bool beside = kt_between(t, 0, 1);
    size_t members = 1;
    for (size_t i = s->nouter; i-- > 0;) {
        const size_t count = shared && i + 1 == s->nouter ? 1 : s->outer[i];
        v.outer[i] = count == 1 && s->outer[i] > 1 ? 0 : members;
        members *= count;
    }
    const size_t unit = beside ? cols : rows * cols;
    v.row = beside ? members * cols + kt_between(t, 0, 2) : cols;
    for (size_t i = 0; i < s->nouter; i++)
        v.outer[i] *= unit;
    return v;
}

static size_t place(const oi_attention_shape *s, const oi_attention_view *v, size_t member, size_t row, size_t col)
{
    size_t at = v->offset + row * v->row + col * v->col;
    for (size_t i = s->nouter; i-- > 0;) {
        at += member % s->outer[i] * v->outer[i];
        member /= s->outer[i];
    }
    return at;
}

/* In double, but for what is added to scores: beside a large fill a float keeps nothing of it, as in the graph. */
static void reference(const oi_attention_shape *s, const oi_attention_args *a, size_t member, size_t row, double *p, double *y)
{
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < s->keys; j++) {
        double x = 0;
        for (size_t c = 0; c < s->size; c++)
            x += (double)a->q[place(s, &s->q, member, row, c)] * (double)a->k[place(s, &s->k, member, j, c)];
        x *= (double)s->scale;
        if (s->softcap > 0)
            x = (double)s->softcap * tanh(x / (double)s->softcap);
        for (int m = 0; m < OI_ATTENTION_MASKS; m++) {
            const oi_attention_mask *k = &s->mask[m];
            if (k->kind == OI_MASK_ADD)
                x = (double)((float)x + ((const float *)a->mask[m])[place(s, &k->at, member, row, j)]);
            else if (k->kind != OI_MASK_NONE &&
                     (((const uint8_t *)a->mask[m])[place(s, &k->at, member, row, j)] != 0) == (k->kind == OI_MASK_DROP))
                x = (double)k->fill;
        }
        p[j] = s->causal && (ptrdiff_t)j > (ptrdiff_t)row + s->ahead ? -INFINITY : x;
        max = fmax(max, p[j]);
    }
    for (size_t j = 0; j < s->keys; j++)
        sum += p[j] = exp(p[j] - max);
    for (size_t c = 0; c < s->value_size; c++) {
        y[c] = 0;
        for (size_t j = 0; j < s->keys; j++)
            y[c] += p[j] / sum * (double)a->v[place(s, &s->v, member, j, c)];
        if (s->zero_rows && max == -INFINITY)
            y[c] = 0;
    }
}

void check_attention(kt *t)
{
    oi_attention_shape s = {.nouter = kt_between(t, 0, 3), .scale = 0.3f, .zero_rows = kt_between(t, 0, 1),
                            .causal = kt_between(t, 0, 3) == 0, .softcap = kt_between(t, 0, 5) ? 0.0f : 2.0f};
    size_t members = 1;
    for (size_t i = 0; i < s.nouter; i++)
        members *= s.outer[i] = kt_between(t, 1, 3);
    s.rows = kt_between(t, 0, 2) ? kt_between(t, 1, 70) : kt_between(t, 1, 5);
    s.keys = kt_between(t, 0, 9) ? kt_between(t, 1, 90) : kt_between(t, 1000, 1100);
    s.size = kt_between(t, 1, 70);
    s.value_size = kt_between(t, 1, 70);
    s.ahead = (ptrdiff_t)kt_between(t, 0, 6) - 3;
    const bool shared = kt_between(t, 0, 1);
    s.q = draw_view(t, &s, s.rows, s.size, false);
    s.k = draw_view(t, &s, s.keys, s.size, shared);
    if (kt_between(t, 0, 2) == 0) { /* keys along the rows of memory */
        s.k = draw_view(t, &s, s.size, s.keys, shared);
        s.k.col = s.k.row;
        s.k.row = 1;
    }
    s.v = draw_view(t, &s, s.keys, s.value_size, shared);
    s.y = draw_view(t, &s, s.rows, s.value_size, false);
    size_t nmask[OI_ATTENTION_MASKS] = {0};
    oi_attention_args a = {0};
    for (int m = 0; m < OI_ATTENTION_MASKS; m++) {
        oi_attention_mask *k = &s.mask[m];
        k->kind = (oi_mask_kind)kt_between(t, 0, 3);
        k->fill = kt_between(t, 0, 1) ? -INFINITY : -1e9f;
        k->at = draw_view(t, &s, s.rows, s.keys, kt_between(t, 0, 1));
        if (k->kind == OI_MASK_ADD && kt_between(t, 0, 3) == 0)
            k->at.col = 0;
        else if (kt_between(t, 0, 3) == 0)
            k->at.row = 0;
        const size_t n = reach(&s, &k->at, s.rows, s.keys);
        nmask[m] = k->kind == OI_MASK_ADD ? n : (n + 3) / 4;
        float *data = kt_floats(t, nmask[m], false);
        for (size_t i = 0; i < n && k->kind >= OI_MASK_KEEP; i++) /* so that few rows are hidden whole */
            ((uint8_t *)data)[i] = (uint8_t)((kt_random(t) >> 40) % 5 != 0) == (k->kind == OI_MASK_KEEP);
        a.mask[m] = data;
    }
    kt_detail(t, "%zu members, %zu rows, %zu keys of %zu, values of %zu, masks %d %d%s", members, s.rows, s.keys, s.size,
              s.value_size, s.mask[0].kind, s.mask[1].kind, s.causal ? ", causal" : "");
    const size_t nq = reach(&s, &s.q, s.rows, s.size), nk = reach(&s, &s.k, s.keys, s.size),
                 nv = reach(&s, &s.v, s.keys, s.value_size), ny = reach(&s, &s.y, s.rows, s.value_size);
    float *q = kt_floats(t, nq, false), *k = kt_floats(t, nk, false), *v = kt_floats(t, nv, false), *y = kt_floats(t, ny, false);
    oi_attention_plan plan;
    if (oi_attention_plan_init(&plan, t->kern, &s))
        kt_fail(t, "attention: no plan");
    float *work = kt_floats(t, plan.workspace, false), *own = kt_floats(t, plan.thread_workspace, false);
    double *p = malloc(s.keys * sizeof *p), *want = malloc(s.value_size * sizeof *want);
    a.q = q, a.k = k, a.v = v, a.y = y, a.workspace = work;
    for (size_t i = 0; i < plan.pack_tasks; i++)
        oi_attention_pack(&plan, &a, i);
    for (size_t i = plan.n_tasks; i-- > 0;)
        oi_attention_run(&plan, &a, i, own);
    for (size_t o = 0; o < members && p && want; o++) {
        for (size_t r = 0; r < s.rows; r++) {
            reference(&s, &a, o, r, p, want);
            for (size_t c = 0; c < s.value_size; c++)
                kt_near(t, "attention", (o * s.rows + r) * s.value_size + c, (double)y[place(&s, &s.y, o, r, c)], want[c], 2e-5);
        }
    }
    free(p);
    free(want);
    kt_free(t, q, nq), kt_free(t, k, nk), kt_free(t, v, nv), kt_free(t, y, ny);
    kt_free(t, work, plan.workspace), kt_free(t, own, plan.thread_workspace);
    for (int m = 0; m < OI_ATTENTION_MASKS; m++)
        kt_free(t, (float *)(uintptr_t)a.mask[m], nmask[m]);
}

void check_rotate(kt *t)
{
    const size_t h = kt_between(t, 1, 40), n = 2 * h;
    oi_rotate_args r = {.n = n, .interleaved = kt_between(t, 0, 1), .half = kt_between(t, 0, 1)};
    const size_t angles = r.half ? h : n;
    float *x = kt_floats(t, n, false), *c = kt_floats(t, angles, false), *s = kt_floats(t, angles, false), *y = kt_floats(t, n, false);
    r.x = x, r.cosines = c, r.sines = s, r.y = y;
    kt_detail(t, "%zu elements%s%s", n, r.interleaved ? ", interleaved" : "", r.half ? ", half" : "");
    t->kern->rotate(&r);
    for (size_t i = 0; i < h; i++) {
        const size_t a = r.interleaved ? 2 * i : i, b = r.interleaved ? 2 * i + 1 : i + h, ca = r.half ? i : a, cb = r.half ? i : b;
        kt_near(t, "rotate", a, (double)y[a], (double)x[a] * (double)c[ca] - (double)x[b] * (double)s[ca], 1e-6);
        kt_near(t, "rotate", b, (double)y[b], (double)x[b] * (double)c[cb] + (double)x[a] * (double)s[cb], 1e-6);
    }
    kt_free(t, x, n), kt_free(t, c, angles), kt_free(t, s, angles), kt_free(t, y, n);
}
