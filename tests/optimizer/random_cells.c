/* Loops over recurrent cells, drawn from a seed. */
#include "random_cells.h"

#include "graph_text.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    FILE *f;
    uint64_t seed;
    int in, hidden, batch, gates, made;
    int order[4];            /* place of each gate in a product that is split */
    char gate[4][16];        /* names of what goes into the curves */
    const char *sigmoid, *tanh;
} maker;

static uint32_t draw(maker *m, uint32_t below)
{
    return (uint32_t)(next_random(&m->seed) >> 33) % below;
}

static void sum(maker *m, const char *name, const char *a, const char *b)
{
    bool swap = draw(m, 2);
    fprintf(m->f, "%s = Add(%s, %s)\n", name, swap ? b : a, swap ? a : b);
}

static void product(maker *m, const char *name, const char *a, const char *b)
{
    bool swap = draw(m, 2);
    fprintf(m->f, "%s = Mul(%s, %s)\n", name, swap ? b : a, swap ? a : b);
}

/* name = from W (+ bias), with `columns` columns */
static void linear(maker *m, const char *name, const char *from, int rows, int columns)
{
    int k = m->made++;
    switch (draw(m, 4)) {
    case 0:
        fprintf(m->f, "const w%d float32 %dx%d random\n%s = MatMul(%s, w%d)\n", k, rows, columns, name, from, k);
        break;
    case 1:
        fprintf(m->f, "const w%d float32 %dx%d random\nconst b%d float32 %d random\np%d = MatMul(%s, w%d)\n", k, rows, columns, k, columns, k,
                from, k);
        char p[16], b[16];
        snprintf(p, sizeof p, "p%d", k);
        snprintf(b, sizeof b, "b%d", k);
        sum(m, name, p, b);
        break;
    case 2:
        fprintf(m->f, "const w%d float32 %dx%d random\nconst b%d float32 %d random\n%s = Gemm(%s, w%d, b%d) {transB=1}\n", k, columns, rows, k,
                columns, name, from, k, k);
        break;
    default:
        fprintf(m->f, "const w%d float32 %dx%d random\n%s = Gemm(%s, w%d)\n", k, rows, columns, name, from, k);
    }
}

/* The columns of `whole` that belong to the gates, as gate names with this prefix. */
static void split(maker *m, const char *whole, const char *prefix)
{
    if (draw(m, 2)) {
        for (int place = 0; place < m->gates; place++) {
            for (int g = 0; g < m->gates; g++) {
                if (m->order[g] == place)
                    fprintf(m->f, "%s%s%d", place ? ", " : "", prefix, g);
            }
        }
        fprintf(m->f, " = Split(%s) {axis=%d, num_outputs=%d}\n", whole, draw(m, 2) ? -1 : 1, m->gates);
        return;
    }
    for (int g = 0; g < m->gates; g++) {
        int k = m->made++;
        fprintf(m->f, "const s%d int64 1 = %d\nconst e%d int64 1 = %d\nconst a%d int64 1 = 1\n%s%d = Slice(%s, s%d, e%d, a%d)\n", k,
                m->order[g] * m->hidden, k, (m->order[g] + 1) * m->hidden, k, prefix, g, whole, k, k, k);
    }
}

/* x W + h R + b for each gate, in one of many spellings. */
static void project(maker *m)
{
    const int wide = m->gates * m->hidden;
    for (int g = 0; g < m->gates; g++)
        snprintf(m->gate[g], sizeof m->gate[g], "g%d", g);
    switch (draw(m, 3)) {
    case 0: {
        linear(m, "gx", "x", m->in, wide);
        linear(m, "gh", "h", m->hidden, wide);
        sum(m, "gg", "gx", "gh");
        if (m->gates == 1)
            fprintf(m->f, "g0 = Identity(gg)\n");
        else
            split(m, "gg", "g");
        break;
    }
    case 1: {
        bool first = draw(m, 2);
        fprintf(m->f, "both = Concat(%s, %s) {axis=%d}\n", first ? "x" : "h", first ? "h" : "x", draw(m, 2) ? 1 : -1);
        linear(m, "gg", "both", m->in + m->hidden, wide);
        if (m->gates == 1)
            fprintf(m->f, "g0 = Identity(gg)\n");
        else
            split(m, "gg", "g");
        break;
    }
    default:
        for (int g = 0; g < m->gates; g++) {
            char a[16], b[16];
            snprintf(a, sizeof a, "ax%d", g);
            snprintf(b, sizeof b, "ah%d", g);
            linear(m, a, "x", m->in, m->hidden);
            linear(m, b, "h", m->hidden, m->hidden);
            sum(m, m->gate[g], a, b);
        }
    }
}

static void curve(maker *m, const char *name, const char *which, const char *from)
{
    fprintf(m->f, "%s = %s(%s)\n", name, which, from);
}

static void lstm(maker *m)
{
    m->gates = 4;
    project(m);
    if (draw(m, 3) == 0) { /* forget bias */
        fprintf(m->f, "const one float32 scalar = 1\n");
        sum(m, "forget", "g1", "one");
        snprintf(m->gate[1], sizeof m->gate[1], "forget");
    }
    curve(m, "i", m->sigmoid, m->gate[0]);
    curve(m, "f", m->sigmoid, m->gate[1]);
    curve(m, "g", m->tanh, m->gate[2]);
    curve(m, "o", m->sigmoid, m->gate[3]);
    product(m, "fc", "f", "c");
    product(m, "ig", "i", "g");
    sum(m, "c1", "fc", "ig");
    curve(m, "tc", draw(m, 4) ? m->tanh : "Softsign", "c1");
    product(m, "h1", "o", "tc");
}

static void gru(maker *m)
{
    const bool before = draw(m, 2); /* the gate in front of the product */
    const int spelling = (int)draw(m, 4);
    m->gates = 3;
    if (before || draw(m, 2)) {
        m->gates = 2;
        m->order[0] = (int)draw(m, 2);
        m->order[1] = 1 - m->order[0];
        project(m);
        linear(m, "nx", "x", m->in, m->hidden);
    } else {
        linear(m, "gx", "x", m->in, 3 * m->hidden);
        linear(m, "gh", "h", m->hidden, 3 * m->hidden);
        split(m, "gx", "gx");
        split(m, "gh", "gh");
        sum(m, "g0", "gx0", "gh0");
        sum(m, "g1", "gx1", "gh1");
        fprintf(m->f, "nx = Identity(gx2)\n");
    }
    curve(m, "r", m->sigmoid, "g0");
    curve(m, "z", m->sigmoid, "g1");
    if (before) {
        product(m, "rh", "r", "h");
        linear(m, "rn", "rh", m->hidden, m->hidden);
    } else {
        if (m->gates == 2)
            linear(m, "hn", "h", m->hidden, m->hidden);
        else
            fprintf(m->f, "hn = Identity(gh2)\n");
        product(m, "rn", "r", "hn");
    }
    sum(m, "na", "nx", "rn");
    curve(m, "n", m->tanh, "na");
    if (spelling < 2) { /* (1 - z) n + z h, (1 - z) h + z n */
        fprintf(m->f, "const one float32 %s = 1\nrest = Sub(one, z)\n", draw(m, 2) ? "scalar" : "1");
        product(m, "kept", "z", spelling ? "h" : "n");
        product(m, "fresh", "rest", spelling ? "n" : "h");
        sum(m, "h1", "kept", "fresh");
    } else { /* n + z (h - n), h + z (n - h) */
        fprintf(m->f, "away = Sub(%s, %s)\n", spelling == 2 ? "h" : "n", spelling == 2 ? "n" : "h");
        product(m, "moved", "z", "away");
        sum(m, "h1", spelling == 2 ? "n" : "h", "moved");
    }
}

static void rnn(maker *m)
{
    m->gates = 1;
    project(m);
    curve(m, "h1", draw(m, 2) ? m->tanh : "Relu", m->gate[0]);
}

char *make_cell_graph(uint64_t seed)
{
    static void (*const cells[])(maker *) = {lstm, gru, rnn};
    char *text = NULL;
    size_t size;
    maker m = {.f = open_memstream(&text, &size), .seed = seed};
    m.in = 1 + (int)draw(&m, 6), m.hidden = 1 + (int)draw(&m, 6), m.batch = 1 + (int)draw(&m, 4);
    m.sigmoid = draw(&m, 5) ? "Sigmoid" : "HardSigmoid";
    m.tanh = draw(&m, 5) ? "Tanh" : "Softsign";
    for (int g = 0; g < 4; g++)
        m.order[g] = g;
    const uint32_t kind = draw(&m, 3), shape = draw(&m, 4), length = 1 + draw(&m, 20), gates = kind == 0 ? 4 : kind == 1 ? 3 : 1;
    for (uint32_t g = gates; g-- > 1;) {
        uint32_t k = draw(&m, g + 1);
        int t = m.order[g];
        m.order[g] = m.order[k], m.order[k] = t;
    }
    const bool loop = shape >= 2, first = shape == 3, open = draw(&m, 3) == 0;
    char steps[16];
    snprintf(steps, sizeof steps, open ? "T" : "%u", length);
    if (first)
        fprintf(m.f, "input X float32 %dx%sx%d\n", m.batch, steps, m.in);
    else
        fprintf(m.f, "input X float32 %sx%dx%d\n", steps, m.batch, m.in);
    const char *const state[] = {"h", "c"};
    const uint32_t states = kind == 0 ? 2 : 1;
    for (uint32_t i = 0; i < states; i++) {
        if (draw(&m, 2))
            fprintf(m.f, "input %s0 float32 %dx%d\n", state[i], m.batch, m.hidden);
        else
            fprintf(m.f, "const %s0 float32 %dx%d = 0\n", state[i], m.batch, m.hidden);
    }
    const bool swap = states == 2 && draw(&m, 2);
    if (loop) {
        fprintf(m.f, "const at int64 scalar = %d\nshape = Shape(X)\nturns = Gather(shape, at)\nconst yes bool scalar = 1\n", first);
        fprintf(m.f, "sub body(X)\ninput turn int64 scalar\ninput go bool scalar\n");
    } else {
        fprintf(m.f, "sub body()\n");
    }
    for (uint32_t i = 0; i < states; i++)
        fprintf(m.f, "input %s float32 %dx%d\n", state[swap ? 1 - i : i], m.batch, m.hidden);
    if (loop)
        fprintf(m.f, "x = Gather(X, turn) {axis=%d}\non = Identity(go)\n", first);
    else
        fprintf(m.f, "input x float32 %dx%d\n", m.batch, m.in);
    cells[kind](&m);
    if (loop)
        fprintf(m.f, "output on\n");
    for (uint32_t i = 0; i < states; i++)
        fprintf(m.f, "output %s1\n", state[swap ? 1 - i : i]);
    const uint32_t rows = draw(&m, 8); /* 0: of another value; 1: none */
    if (rows != 1)
        fprintf(m.f, "output %s\n", rows == 0 ? (kind == 0 ? "c1" : "x") : "h1");
    const bool reverse = !loop && draw(&m, 2), other = reverse && draw(&m, 6) == 0;
    fprintf(m.f, "end\n");
    for (uint32_t i = 0; i < states; i++)
        fprintf(m.f, "%s%sn", i ? ", " : "", state[swap ? 1 - i : i]);
    if (rows != 1)
        fprintf(m.f, ", all");
    fprintf(m.f, loop ? " = Loop(turns, yes" : " = Scan(");
    for (uint32_t i = 0; i < states; i++)
        fprintf(m.f, "%s%s0", i || loop ? ", " : "", state[swap ? 1 - i : i]);
    if (loop)
        fprintf(m.f, ") <body=body>\n");
    else
        fprintf(m.f, ", X) {num_scan_inputs=1, scan_input_directions=[%d], scan_output_directions=[%d]} <body=body>\n", reverse,
                reverse && !other);
    if (rows != 1 && draw(&m, 4))
        fprintf(m.f, "y = Neg(all)\noutput y\n");
    else
        fprintf(m.f, "z = Abs(hn)\noutput z\n");
    if (draw(&m, 3) == 0)
        fprintf(m.f, "output %sn\n", states == 2 && draw(&m, 2) ? "c" : "h");
    fclose(m.f);
    return text;
}
