/* Random graphs that are attention in the spellings of exporters: projections apart or in one, split by Split, Slice or
 * Gather, heads by Reshape and Transpose or folded into the batch, scales and masks of all kinds, shared keys, past keys. */
#include "random_attention.h"

#include "graph_text.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    FILE *f;
    uint64_t seed;
    int next;
    int64_t batch, heads, kv_heads, rows, keys, size, value_size;
} maker;

static uint32_t draw(maker *m, uint32_t below)
{
    return (uint32_t)(next_random(&m->seed) >> 33) % below;
}

static int ints(maker *m, int n, const int64_t *v)
{
    fprintf(m->f, "const k%d int64 %d =", m->next, n);
    for (int i = 0; i < n; i++)
        fprintf(m->f, " %lld", (long long)v[i]);
    fprintf(m->f, "\n");
    return m->next++;
}

static int scalar(maker *m, double v)
{
    fprintf(m->f, "const k%d float32 %s = %.9g\n", m->next, draw(m, 2) ? "scalar" : "1", v);
    return m->next++;
}

static int reshape(maker *m, char kind, int x, int n, const int64_t *dims)
{
    int s = ints(m, n, dims);
    fprintf(m->f, "v%d = Reshape(%c%d, k%d)\n", m->next, kind, x, s);
    return m->next++;
}

static int transpose(maker *m, int x, const char *perm)
{
    fprintf(m->f, "v%d = Transpose(v%d) {perm=[%s]}\n", m->next, x, perm);
    return m->next++;
}

static int scaled(maker *m, int x, double factor)
{
    bool divide = draw(m, 2);
    int c = scalar(m, divide ? 1 / factor : factor);
    if (!divide && draw(m, 2))
        fprintf(m->f, "v%d = Mul(k%d, v%d)\n", m->next, c, x);
    else
        fprintf(m->f, "v%d = %s(v%d, k%d)\n", m->next, divide ? "Div" : "Mul", x, c);
    return m->next++;
}

/* x [batch, length, width] times drawn weights, perhaps with a bias: [batch, length, columns]. */
static int project(maker *m, int x, int64_t width, int64_t columns)
{
    int w = m->next++, y = m->next++;
    fprintf(m->f, "const k%d float32 %lldx%lld random\nv%d = MatMul(v%d, k%d)\n", w, (long long)width, (long long)columns, y, x, w);
    if (draw(m, 2))
        return y;
    int b = m->next++, z = m->next++;
    fprintf(m->f, "const k%d float32 %lld random\nv%d = Add(%s%d, %s%d)\n", b, (long long)columns, z, z % 2 ? "v" : "k", z % 2 ? y : b,
            z % 2 ? "k" : "v", z % 2 ? b : y);
    return z;
}

static int input(maker *m, const char *type, int rank, const int64_t *dims)
{
    fprintf(m->f, "input v%d %s ", m->next, type);
    for (int i = 0; i < rank; i++)
        fprintf(m->f, "%s%lld", i ? "x" : "", (long long)dims[i]);
    fprintf(m->f, "\n");
    return m->next++;
}

/* [batch, length, heads * size] as [batch, heads, length, size]. */
static int split_heads(maker *m, int x, int64_t length, int64_t heads, int64_t size)
{
    int y = reshape(m, 'v', x, 4, (int64_t[]){m->batch, length, heads, size});
    return transpose(m, y, "0,2,1,3");
}

/* Heads repeated for the queries that share them. */
static int repeat_heads(maker *m, int x, int64_t length, int64_t size)
{
    int64_t group = m->heads / m->kv_heads;
    if (group == 1)
        return x;
    int a = reshape(m, 'v', x, 5, (int64_t[]){m->batch, m->kv_heads, 1, length, size});
    int s = ints(m, 5, (int64_t[]){m->batch, m->kv_heads, group, length, size}), y = m->next++;
    fprintf(m->f, "v%d = Expand(v%d, k%d)\n", y, a, s);
    return reshape(m, 'v', y, 4, (int64_t[]){m->batch, m->heads, length, size});
}

/* q, k and v as [batch, heads, length, size], each made its own way. */
static void make_operands(maker *m, int *q, int *k, int *v)
{
    const int64_t hidden = m->heads * m->size;
    switch (draw(m, 4)) {
    case 0: { /* one projection, one Split or three Slices */
        m->kv_heads = m->heads, m->keys = m->rows, m->value_size = m->size;
        int x = input(m, "float32", 3, (int64_t[]){m->batch, m->rows, 6}), p = project(m, x, 6, 3 * hidden), part[3];
        if (draw(m, 2)) {
            for (int i = 0; i < 3; i++)
                part[i] = m->next++;
            fprintf(m->f, "v%d, v%d, v%d = Split(v%d) {axis=2, num_outputs=3}\n", part[0], part[1], part[2], p);
        } else {
            for (int64_t i = 0; i < 3; i++) {
                int64_t begin = i * hidden, end = begin + hidden, axis = 2;
                int a = ints(m, 1, &begin), b = ints(m, 1, &end), c = ints(m, 1, &axis);
                fprintf(m->f, "v%d = Slice(v%d, k%d, k%d, k%d)\n", m->next, p, a, b, c);
                part[i] = m->next++;
            }
        }
        *q = split_heads(m, part[0], m->rows, m->heads, m->size);
        *k = split_heads(m, part[1], m->rows, m->heads, m->size);
        *v = split_heads(m, part[2], m->rows, m->heads, m->size);
        return;
    }
    case 1: { /* one projection, seen as [3, batch, heads, length, size] */
        m->kv_heads = m->heads, m->keys = m->rows, m->value_size = m->size;
        int x = input(m, "float32", 3, (int64_t[]){m->batch, m->rows, 6}), p = project(m, x, 6, 3 * hidden), *to[3] = {q, k, v};
        int a = reshape(m, 'v', p, 5, (int64_t[]){m->batch, m->rows, 3, m->heads, m->size}), t = transpose(m, a, "2,0,3,1,4");
        for (int i = 0; i < 3; i++) {
            fprintf(m->f, "const k%d int64 scalar = %d\nv%d = Gather(v%d, k%d) {axis=0}\n", m->next, i, m->next + 1, t, m->next);
            *to[i] = m->next + 1;
            m->next += 2;
        }
        return;
    }
    case 2: { /* three projections of one input, or of two */
        bool same = draw(m, 2);
        if (same)
            m->keys = m->rows;
        int x = input(m, "float32", 3, (int64_t[]){m->batch, m->rows, 5});
        int z = same ? x : input(m, "float32", 3, (int64_t[]){m->batch, m->keys, 5});
        *q = split_heads(m, project(m, x, 5, hidden), m->rows, m->heads, m->size);
        *k = split_heads(m, project(m, z, 5, m->kv_heads * m->size), m->keys, m->kv_heads, m->size);
        *v = split_heads(m, project(m, z, 5, m->kv_heads * m->value_size), m->keys, m->kv_heads, m->value_size);
        break;
    }
    default:
        *q = input(m, "float32", 4, (int64_t[]){m->batch, m->heads, m->rows, m->size});
        *k = input(m, "float32", 4, (int64_t[]){m->batch, m->kv_heads, m->keys, m->size});
        *v = input(m, "float32", 4, (int64_t[]){m->batch, m->kv_heads, m->keys, m->value_size});
        if (draw(m, 2)) { /* keys and values that are past */
            int64_t past = 1 + draw(m, 9);
            int pk = input(m, "float32", 4, (int64_t[]){m->batch, m->kv_heads, past, m->size});
            int pv = input(m, "float32", 4, (int64_t[]){m->batch, m->kv_heads, past, m->value_size});
            fprintf(m->f, "v%d = Concat(v%d, v%d) {axis=2}\nv%d = Concat(v%d, v%d) {axis=2}\n", m->next, pk, *k, m->next + 1, pv, *v);
            *k = m->next++;
            *v = m->next++;
            m->keys += past;
        }
    }
    *k = repeat_heads(m, *k, m->keys, m->size);
    *v = repeat_heads(m, *v, m->keys, m->value_size);
}

/* The parts of x's last axis: halves, or even and odd elements. */
static void parts(maker *m, int x, int heads, int64_t length, bool pairs, int *a, int *b)
{
    const int64_t last = -1, size = m->size, half = size / 2, zero = 0, one = 1, two = 2, top = 1000;
    if (pairs && draw(m, 2)) {
        int p = reshape(m, 'v', x, 5, (int64_t[]){m->batch, heads, length, half, 2}), *to[2] = {a, b};
        for (int i = 0; i < 2; i++) {
            fprintf(m->f, "const k%d int64 scalar = %d\nv%d = Gather(v%d, k%d) {axis=-1}\n", m->next, i, m->next + 1, p, m->next);
            *to[i] = m->next + 1;
            m->next += 2;
        }
    } else if (!pairs && draw(m, 2)) {
        fprintf(m->f, "v%d, v%d = Split(v%d) {axis=3, num_outputs=2}\n", m->next, m->next + 1, x);
        *a = m->next++;
        *b = m->next++;
    } else {
        int z = ints(m, 1, &zero), h = ints(m, 1, pairs ? &one : &half), t = ints(m, 1, &top), e = pairs ? t : h, ax = ints(m, 1, &last);
        int st = ints(m, 1, pairs ? &two : &one);
        fprintf(m->f, "v%d = Slice(v%d, k%d, k%d, k%d, k%d)\n", m->next, x, z, e, ax, st);
        *a = m->next++;
        fprintf(m->f, "v%d = Slice(v%d, k%d, k%d, k%d, k%d)\n", m->next, x, h, t, ax, st);
        *b = m->next++;
    }
}

static int together(maker *m, int a, int b, int heads, int64_t length, bool pairs)
{
    const int64_t last = -1;
    if (pairs) {
        int ax = ints(m, 1, &last);
        fprintf(m->f, "v%d = Unsqueeze(v%d, k%d)\nv%d = Unsqueeze(v%d, k%d)\n", m->next, a, ax, m->next + 1, b, ax);
        a = m->next++;
        b = m->next++;
    }
    fprintf(m->f, "v%d = Concat(v%d, v%d) {axis=-1}\n", m->next, a, b);
    int y = m->next++;
    return pairs ? reshape(m, 'v', y, 4, (int64_t[]){m->batch, heads, length, m->size}) : y;
}

static int two_of(maker *m, const char *op, int a, int b)
{
    bool turned = op[0] != 'S' && draw(m, 2);
    fprintf(m->f, "v%d = %s(v%d, v%d)\n", m->next, op, turned ? b : a, turned ? a : b);
    return m->next++;
}

/* Rotary embedding of x [batch, heads, length, size]. */
static int rotate(maker *m, int x, int heads, int64_t length)
{
    bool pairs = draw(m, 2), whole = draw(m, 2);
    int64_t dims[4] = {draw(m, 2) ? m->batch : 1, 1, length, whole ? m->size : m->size / 2};
    int c = input(m, "float32", 4, dims), s = input(m, "float32", 4, dims), a, b;
    parts(m, x, heads, length, pairs, &a, &b);
    if (whole) {
        fprintf(m->f, "v%d = Neg(v%d)\n", m->next, b);
        int n = m->next++, r = together(m, n, a, heads, length, pairs);
        int u = two_of(m, "Mul", x, c), v = two_of(m, "Mul", r, s);
        return two_of(m, "Add", u, v);
    }
    int ac = two_of(m, "Mul", a, c), bs = two_of(m, "Mul", b, s), bc = two_of(m, "Mul", b, c), as = two_of(m, "Mul", a, s);
    int first = two_of(m, "Sub", ac, bs), second = two_of(m, "Add", bc, as);
    return together(m, first, second, heads, length, pairs);
}

/* The same of the first elements only, or of all. */
static int rotate_some(maker *m, int x, int heads, int64_t length)
{
    const int64_t size = m->size, part = 2 + 2 * draw(m, (uint32_t)(size / 2)), parts[2] = {part, size - part}, last = -1, zero = 0, top = 1000;
    int a, b;
    if (part >= size || draw(m, 2))
        return rotate(m, x, heads, length);
    if (draw(m, 2)) {
        int k = ints(m, 2, parts);
        fprintf(m->f, "v%d, v%d = Split(v%d, k%d) {axis=3}\n", m->next, m->next + 1, x, k);
        a = m->next++;
        b = m->next++;
    } else {
        int from = ints(m, 1, &zero), at = ints(m, 1, &part), to = ints(m, 1, &top), axis = ints(m, 1, &last);
        fprintf(m->f, "v%d = Slice(v%d, k%d, k%d, k%d)\nv%d = Slice(v%d, k%d, k%d, k%d)\n", m->next, x, from, at, axis, m->next + 1, x, at, to, axis);
        a = m->next++;
        b = m->next++;
    }
    m->size = part;
    a = rotate(m, a, heads, length);
    m->size = size;
    const bool swapped = draw(m, 8) == 0; /* not quite */
    fprintf(m->f, "v%d = Concat(v%d, v%d) {axis=-1}\n", m->next, swapped ? b : a, swapped ? a : b);
    return m->next++;
}

static int mask(maker *m, int s)
{
    static const char *const fill[] = {"-inf", "-3.4028235e38", "-1e9", "-10000"};
    int64_t dims[4] = {draw(m, 2) ? m->batch : 1, draw(m, 3) ? 1 : m->heads, draw(m, 2) ? m->rows : 1, m->keys};
    switch (draw(m, 4)) {
    case 0: { /* a float that is added */
        int a = input(m, "float32", 4, dims);
        fprintf(m->f, "v%d = Add(v%d, v%d)\n", m->next, s, a);
        return m->next++;
    }
    case 1: { /* a choice by a condition that is only known at run time */
        int a = input(m, "float32", 4, dims), zero = scalar(m, draw(m, 2) ? 0 : -0.9), c = m->next++, out = scalar(m, atof(fill[draw(m, 4)]));
        fprintf(m->f, "v%d = Greater(v%d, k%d)\n", c, a, zero);
        if (draw(m, 2))
            fprintf(m->f, "v%d = Where(v%d, v%d, k%d)\n", m->next, c, s, out);
        else
            fprintf(m->f, "v%d = Where(v%d, k%d, v%d)\n", m->next, c, out, s);
        return m->next++;
    }
    case 2: { /* a bias out of a condition */
        int a = input(m, "float32", 4, dims), zero = scalar(m, -0.5), c = m->next++, none = scalar(m, 0), out = scalar(m, atof(fill[draw(m, 4)]));
        fprintf(m->f, "v%d = Greater(v%d, k%d)\nv%d = Where(v%d, k%d, k%d)\n", c, a, zero, m->next, c, none, out);
        int b = m->next++;
        fprintf(m->f, "v%d = Add(v%d, v%d)\n", m->next, b, s);
        return m->next++;
    }
    default: { /* later keys are hidden */
        int c = m->next++, ahead = (int)draw(m, 3), out = draw(m, 2);
        fprintf(m->f, "const k%d %s 1x1x%lldx%lld =", c, out ? "float32" : "bool", (long long)m->rows, (long long)m->keys);
        for (int64_t i = 0; i < m->rows * m->keys; i++) {
            bool sees = i % m->keys <= i / m->keys + ahead;
            fprintf(m->f, " %s", out ? sees ? "0" : "-3.4028235e38" : sees ? "1" : "0");
        }
        fprintf(m->f, "\n");
        if (out) {
            fprintf(m->f, "v%d = Add(v%d, k%d)\n", m->next, s, c);
        } else {
            int low = scalar(m, atof(fill[draw(m, 4)]));
            fprintf(m->f, "v%d = Where(k%d, v%d, k%d)\n", m->next, c, s, low);
        }
        return m->next++;
    }
    }
}

char *make_attention_graph(uint64_t seed)
{
    static const int64_t sizes[] = {1, 3, 8, 16, 17, 32, 40};
    char *text = NULL;
    size_t bytes;
    maker m = {.f = open_memstream(&text, &bytes), .seed = seed};
    m.batch = 1 + draw(&m, 3);
    m.kv_heads = 1 + draw(&m, 3);
    m.heads = m.kv_heads * (draw(&m, 3) ? 1 : 2);
    m.rows = draw(&m, 3) ? 1 + draw(&m, 20) : 1 + draw(&m, 4);
    m.keys = draw(&m, 8) ? 1 + draw(&m, 40) : 1020 + draw(&m, 30);
    m.size = sizes[draw(&m, 7)];
    m.value_size = draw(&m, 3) ? m.size : sizes[draw(&m, 7)];
    int q, k, v;
    make_operands(&m, &q, &k, &v);
    if (m.size % 2 == 0 && draw(&m, 2)) {
        q = rotate_some(&m, q, (int)m.heads, m.rows);
        k = rotate_some(&m, k, (int)m.heads, m.keys);
    }
    bool folded = draw(&m, 4) == 0; /* heads in the batch */
    int64_t all = m.batch * m.heads;
    uint32_t where = draw(&m, 5);
    if (where == 0 || where == 3)
        q = scaled(&m, q, 0.5);
    if (where == 1 || where == 3)
        k = scaled(&m, k, 0.7);
    if (folded) {
        q = reshape(&m, 'v', q, 3, (int64_t[]){all, m.rows, m.size});
        k = reshape(&m, 'v', k, 3, (int64_t[]){all, m.keys, m.size});
        v = reshape(&m, 'v', v, 3, (int64_t[]){all, m.keys, m.value_size});
    }
    k = transpose(&m, k, folded ? "0,2,1" : "0,1,3,2");
    int s = m.next++;
    fprintf(m.f, "v%d = MatMul(v%d, v%d)\n", s, q, k);
    if (where == 2)
        s = scaled(&m, s, 0.3);
    uint32_t masks = draw(&m, 5);
    if (masks && folded)
        s = reshape(&m, 'v', s, 4, (int64_t[]){m.batch, m.heads, m.rows, m.keys});
    for (uint32_t i = 0; i < masks; i++)
        s = mask(&m, s);
    if (masks && folded)
        s = reshape(&m, 'v', s, 3, (int64_t[]){all, m.rows, m.keys});
    if (draw(&m, 12) == 0)
        s = scaled(&m, s, 0.9);
    fprintf(m.f, "v%d = Softmax(v%d) {axis=-1}\n", m.next, s);
    int p = m.next++;
    if (draw(&m, 3) == 0) {
        int zero = scalar(&m, 0);
        fprintf(m.f, "v%d = IsNaN(v%d)\nv%d = Where(v%d, k%d, v%d)\n", m.next, p, m.next + 1, m.next, zero, p);
        p = m.next + 1;
        m.next += 2;
    }
    fprintf(m.f, "v%d = MatMul(v%d, v%d)\n", m.next, p, v);
    int y = m.next++;
    if (folded)
        y = reshape(&m, 'v', y, 4, (int64_t[]){m.batch, m.heads, m.rows, m.value_size});
    if (draw(&m, 4)) {
        y = transpose(&m, y, "0,2,1,3");
        y = reshape(&m, 'v', y, 3, (int64_t[]){m.batch, m.rows, m.heads * m.value_size});
        if (draw(&m, 2))
            y = project(&m, y, m.heads * m.value_size, 7);
    }
    fprintf(m.f, "output v%d\n", y);
    if (draw(&m, 10) == 0)
        fprintf(m.f, "output v%d\n", p);
    fclose(m.f);
    return text;
}
