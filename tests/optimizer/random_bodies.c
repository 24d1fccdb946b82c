/* Graphs with bodies, drawn from a seed. All values are matrices of one size, so that every operator fits every value. */
#include "random_bodies.h"

#include "graph_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256, LATEST = 60 /* values that a body can use */ };

typedef struct {
    FILE *f;
    uint64_t seed;
    uint32_t value[MOST]; /* names of values that can be used here: v0, v1, ... */
    uint32_t count, made, bodies;
    int rows, columns;
} maker;

static uint32_t draw(maker *m, uint32_t below)
{
    return (uint32_t)(next_random(&m->seed) >> 33) % below;
}

/* The beginning of a body, which may use all that is there. */
static void begin(maker *m, uint32_t name)
{
    fprintf(m->f, "sub b%u(rows, yes, ax, first, zero, small", name);
    for (uint32_t i = m->count < LATEST ? 0 : m->count - LATEST; i < m->count; i++)
        fprintf(m->f, ", v%u", m->value[i]);
    fprintf(m->f, ")\n");
}

static uint32_t any(maker *m)
{
    uint32_t recent = draw(m, 2) ? 3 : LATEST / 2;
    return m->value[m->count - 1 - draw(m, m->count < recent ? m->count : recent)];
}

static uint32_t make(maker *m)
{
    if (m->count < MOST)
        m->count++;
    return m->value[m->count - 1] = m->made++;
}

/* One operator on values that are there. */
static void step(maker *m)
{
    static const char *const unary[] = {"Tanh", "Sigmoid", "Neg", "Softmax", "Abs", "Identity", "LogSoftmax"};
    static const char *const binary[] = {"Add", "Mul", "Sub", "Max", "Add"};
    uint32_t a = any(m), b = any(m), t = m->made, n = draw(m, 10);
    switch (n) {
    case 0: {
        m->made += 2;
        uint32_t y = make(m);
        fprintf(m->f, "v%u = Tanh(v%u)\nv%u = ReduceMean(v%u, ax)\nv%u = Mul(v%u, v%u)\n", t, a, t + 1, t, y, b, t + 1);
        break;
    }
    case 1: {
        m->made++;
        uint32_t y = make(m);
        fprintf(m->f, "v%u = Transpose(v%u) {perm=[1,0]}\nv%u = Transpose(v%u) {perm=[1,0]}\n", t, a, y, t);
        break;
    }
    case 2: {
        m->made += 2;
        uint32_t y = make(m);
        fprintf(m->f, "const k%u float32 %dx%d random\nv%u = MatMul(v%u, k%u)\nv%u = Tanh(v%u)\n", t, m->columns, m->columns, t, a, t, y, t);
        break;
    }
    case 3: {
        static const char *const content[] = {"= 1", "= 0.5", "random", "= 0.25 -0.5"};
        m->made++;
        uint32_t y = make(m);
        fprintf(m->f, "const k%u float32 %d %s\nv%u = %s(v%u, k%u)\n", t, m->columns, content[draw(m, 4)], y, binary[draw(m, 5)], a, t);
        break;
    }
    case 4:
    case 5:
    case 6: {
        uint32_t y = make(m);
        fprintf(m->f, "v%u = %s(v%u, v%u)\n", y, binary[draw(m, 5)], a, b);
        break;
    }
    default: {
        uint32_t y = make(m);
        fprintf(m->f, "v%u = %s(v%u)\n", y, unary[draw(m, 7)], a);
    }
    }
}

static void steps(maker *m, uint32_t n)
{
    while (n-- > 0)
        step(m);
}

static void node_with_body(maker *m, int depth);

/* Steps, and perhaps a node with a body among them. */
static void content(maker *m, uint32_t n, int depth)
{
    steps(m, n);
    if (depth > 0 && draw(m, 3) == 0)
        node_with_body(m, depth - 1);
    steps(m, draw(m, 3));
}

/* Keeps magnitudes, and what was rounded in another way, from growing from turn to turn. */
static uint32_t bounded(maker *m, uint32_t v)
{
    uint32_t t = m->made++, y = make(m);
    fprintf(m->f, "v%u = Tanh(v%u)\nv%u = Mul(v%u, small)\n", t, v, y, t);
    return y;
}

static void loop(maker *m, int depth)
{
    static const int turns[] = {0, 1, 3, 20, 40};
    const uint32_t before = m->count, body = m->bodies++, start = any(m), scans = draw(m, 2);
    const bool open = draw(m, 3) == 0;
    if (open)
        fprintf(m->f, "g%u = Sigmoid(v%u)\nt%u = ReduceSum(g%u) {keepdims=0}\nm%u = Cast(t%u) {to=7}\n", body, any(m), body, body, body, body);
    else
        fprintf(m->f, "const m%u int64 scalar = %d\n", body, turns[draw(m, 5)]);
    begin(m, body);
    fprintf(m->f, "input i%u int64 scalar\ninput g%u bool scalar\ninput v%u float32 %dx%d\n", body, body, m->made, m->rows,
            m->columns);
    uint32_t state = make(m);
    if (draw(m, 3) == 0) {
        uint32_t t = m->made, y;
        m->made++;
        y = make(m);
        fprintf(m->f, "v%u = Cast(i%u) {to=1}\nq%u = Tanh(v%u)\nv%u = Mul(v%u, q%u)\n", t, body, t, t, y, state, t);
    }
    content(m, 2 + draw(m, 5), depth);
    uint32_t last = any(m), row = any(m), next = bounded(m, last);
    fprintf(m->f, "output g%u\noutput v%u\n", body, draw(m, 8) ? next : state);
    if (scans)
        fprintf(m->f, "output v%u\n", row);
    fprintf(m->f, "end\n");
    m->count = before;
    uint32_t y = make(m), rows = m->made;
    m->made += scans;
    fprintf(m->f, "v%u", y);
    if (scans)
        fprintf(m->f, ", v%u", rows);
    fprintf(m->f, " = Loop(m%u, yes, v%u) <body=b%u>\n", body, start, body);
    if (scans && !open) {
        uint32_t z = make(m);
        fprintf(m->f, "r%u = ReduceMean(v%u, first) {keepdims=0}\nv%u = Add(v%u, r%u)\n", z, rows, z, y, z);
    }
}

static void scan(maker *m, int depth)
{
    const uint32_t before = m->count, body = m->bodies++, start = any(m), row = m->made++;
    begin(m, body);
    fprintf(m->f, "input v%u float32 %dx%d\ninput w%u float32 %dx%d\n", m->made, m->rows, m->columns, body, m->rows, m->columns);
    uint32_t state = make(m), y = make(m);
    fprintf(m->f, "v%u = Add(v%u, w%u)\n", y, state, body);
    content(m, 2 + draw(m, 5), depth);
    uint32_t out = any(m), next = bounded(m, any(m));
    fprintf(m->f, "output v%u\noutput v%u\nend\n", next, out);
    m->count = before;
    y = make(m);
    fprintf(m->f, "v%u, v%u = Scan(v%u, rows) {num_scan_inputs=1, scan_input_directions=[%u], scan_output_directions=[%u]} <body=b%u>\n", y, row,
            start, draw(m, 2), draw(m, 2), body);
    uint32_t z = make(m);
    fprintf(m->f, "r%u = ReduceMean(v%u, first) {keepdims=0}\nv%u = Add(v%u, r%u)\n", z, row, z, y, z);
}

/* The branches begin with the same steps, some of which the graph around may have too. */
static void condition(maker *m, int depth)
{
    const uint32_t before = m->count, body = m->bodies;
    const uint64_t same = m->seed;
    const uint32_t n = draw(m, 6);
    m->bodies += 2;
    fprintf(m->f, "s%u = ReduceMean(v%u) {keepdims=0}\nt%u = Less(s%u, zero)\n", body, any(m), body, body);
    if (draw(m, 2)) { /* in front of it as well */
        uint64_t seed = m->seed;
        m->seed = same;
        steps(m, n);
        m->seed = seed;
        m->count = draw(m, 2) ? m->count : before;
    }
    const uint32_t there = m->count;
    uint32_t most = m->made, known[MOST];
    memcpy(known, m->value, sizeof known);
    for (uint32_t k = 0; k < 2; k++) {
        uint64_t seed = m->seed;
        m->seed = same;
        m->count = there;
        begin(m, body + k);
        m->count = before;
        m->made = most;
        steps(m, n);
        m->seed = seed;
        content(m, draw(m, 4), depth);
        fprintf(m->f, "output v%u\noutput v%u\nend\n", any(m), m->value[m->count - 1]);
        most = m->made;
        m->count = there;
        memcpy(m->value, known, sizeof known);
    }
    uint32_t y = make(m), z = make(m);
    fprintf(m->f, "v%u, v%u = If(t%u) <then_branch=b%u, else_branch=b%u>\n", y, z, body, body, body + 1);
}

static void node_with_body(maker *m, int depth)
{
    static void (*const kind[])(maker *, int) = {loop, scan, condition};
    kind[draw(m, 3)](m, depth);
}

char *make_body_graph(uint64_t seed)
{
    char *text = NULL;
    size_t size;
    maker m = {.f = open_memstream(&text, &size), .seed = seed};
    m.rows = 1 + (int)draw(&m, 5);
    m.columns = 1 + (int)draw(&m, 6);
    for (uint32_t k = 0; k < 2; k++)
        fprintf(m.f, "input v%u float32 %dx%d\n", make(&m), m.rows, m.columns);
    fprintf(m.f, "input rows float32 %dx%dx%d\nconst yes bool scalar = 1\nconst ax int64 1 = 1\nconst first int64 1 = 0\n"
            "const zero float32 scalar = 0\nconst small float32 scalar = 0.1\n", 1 + (int)draw(&m, 6), m.rows, m.columns);
    for (uint32_t k = 1 + draw(&m, 2); k > 0; k--) {
        steps(&m, draw(&m, 5));
        node_with_body(&m, 1 + (int)draw(&m, 2));
    }
    steps(&m, draw(&m, 3));
    fprintf(m.f, "output v%u\n", m.value[m.count - 1]);
    if (draw(&m, 3) == 0)
        fprintf(m.f, "output v%u\n", any(&m));
    fclose(m.f);
    return text;
}
