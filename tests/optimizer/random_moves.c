/* Chains of transposes and views with operators of axes between them, drawn from a seed. */
#include "random_moves.h"

#include "graph_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANK = 6 };

typedef struct {
    FILE *f;
    uint64_t seed;
    int made, rank;                /* of the value that the chain has come to: v(made - 1) */
    int64_t dim[MOST_RANK];
    int last[MOST_RANK];           /* the permutation of the last Transpose, if its rank is this one */
    int last_rank;
} maker;

static uint32_t draw(maker *m, uint32_t below)
{
    return (uint32_t)(next_random(&m->seed) >> 33) % below;
}

/* "vN = name(vN-1", and for constants "cN" of their own. */
static void open_node(maker *m, const char *name)
{
    fprintf(m->f, "v%d = %s(v%d", m->made, name, m->made - 1);
    m->made++;
}

static void ints(maker *m, const char *letter, int n, const int64_t *v)
{
    fprintf(m->f, "const %s%d int64 %d =", letter, m->made, n);
    for (int i = 0; i < n; i++)
        fprintf(m->f, " %lld", (long long)v[i]);
    fprintf(m->f, "\n");
}

static void transpose(maker *m)
{
    int perm[MOST_RANK];
    int64_t dim[MOST_RANK];
    const bool back = m->last_rank == m->rank && draw(m, 2);
    for (int i = 0; i < m->rank; i++)
        perm[i] = i;
    for (int i = m->rank; i-- > 1;) {
        int k = (int)draw(m, (uint32_t)i + 1), t = perm[i];
        perm[i] = perm[k], perm[k] = t;
    }
    for (int i = 0; i < m->rank && back; i++)
        perm[m->last[i]] = i;
    open_node(m, "Transpose");
    fprintf(m->f, ") {perm=[");
    for (int i = 0; i < m->rank; i++) {
        fprintf(m->f, "%s%d", i ? "," : "", perm[i]);
        dim[i] = m->dim[perm[i]];
        m->last[i] = perm[i];
    }
    fprintf(m->f, "]}\n");
    memcpy(m->dim, dim, sizeof dim);
    m->last_rank = m->rank;
}

static void remove_axis(maker *m, int axis)
{
    memmove(m->dim + axis, m->dim + axis + 1, (size_t)(m->rank - axis - 1) * sizeof *m->dim);
    m->rank--;
}

static int64_t signed_axis(maker *m, int axis)
{
    return draw(m, 2) ? axis : axis - m->rank;
}

static void reduce(maker *m)
{
    static const char *const op[] = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"};
    int axis = (int)draw(m, (uint32_t)m->rank), other = (int)draw(m, (uint32_t)m->rank);
    const bool keep = draw(m, 2) || m->rank < 3, two = other > axis;
    const int64_t axes[2] = {signed_axis(m, axis), signed_axis(m, other)};
    ints(m, "c", two ? 2 : 1, axes);
    open_node(m, op[draw(m, 7)]);
    fprintf(m->f, ", c%d) {keepdims=%d}\n", m->made - 1, keep);
    if (keep)
        m->dim[axis] = 1, m->dim[two ? other : axis] = 1;
    else if (two)
        remove_axis(m, other);
    if (!keep)
        remove_axis(m, axis);
}

static void same_shape(maker *m)
{
    static const char *const op[] = {"Softmax", "LogSoftmax", "Softmax", "LpNormalization"};
    const int axis = (int)draw(m, (uint32_t)m->rank);
    if (draw(m, 4) == 0) {
        fprintf(m->f, "const c%d int64 scalar = %lld\n", m->made, (long long)signed_axis(m, axis));
        open_node(m, "CumSum");
        fprintf(m->f, ", c%d) {reverse=%u}\n", m->made - 1, draw(m, 2));
        return;
    }
    if (draw(m, 4) == 0 && m->dim[m->rank - 1] > 1) {
        fprintf(m->f, "const c%d float32 %lld random\n", m->made, (long long)m->dim[m->rank - 1]);
        open_node(m, draw(m, 2) ? "LayerNormalization" : "RMSNormalization");
        fprintf(m->f, ", c%d) {epsilon=0.1}\n", m->made - 1);
        return;
    }
    open_node(m, op[draw(m, 4)]);
    fprintf(m->f, ") {axis=%lld}\n", (long long)signed_axis(m, axis));
}

static void slice(maker *m)
{
    const int axis = (int)draw(m, (uint32_t)m->rank);
    const int64_t size = m->dim[axis], begin = draw(m, (uint32_t)size), end = begin + 1 + draw(m, (uint32_t)(size - begin)), axes = signed_axis(m, axis);
    ints(m, "b", 1, &begin);
    ints(m, "e", 1, &end);
    ints(m, "a", 1, &axes);
    int k = m->made;
    open_node(m, "Slice");
    fprintf(m->f, ", b%d, e%d, a%d)\n", k, k, k);
    m->dim[axis] = end - begin;
}

static void split(maker *m)
{
    const int axis = (int)draw(m, (uint32_t)m->rank), k = m->made;
    if (m->dim[axis] % 2)
        return;
    m->dim[axis] /= 2;
    fprintf(m->f, "p%d, q%d = Split(v%d) {axis=%lld, num_outputs=2}\n", k, k, k - 1, (long long)signed_axis(m, axis));
    if (draw(m, 2) && m->last_rank == m->rank) { /* back, on both sides */
        int perm[MOST_RANK];
        int64_t dim[MOST_RANK];
        char text[64] = "";
        for (int i = 0; i < m->rank; i++)
            perm[m->last[i]] = i;
        for (int i = 0; i < m->rank; i++) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i ? "," : "", perm[i]);
            dim[i] = m->dim[perm[i]];
        }
        fprintf(m->f, "r%d = Transpose(p%d) {perm=[%s]}\ns%d = Transpose(q%d) {perm=[%s]}\n", k, k, text, k, k, text);
        memcpy(m->dim, dim, sizeof dim);
        m->last_rank = 0;
        fprintf(m->f, "v%d = Sub(r%d, s%d)\n", m->made++, k, k);
        return;
    }
    fprintf(m->f, "v%d = Sub(p%d, q%d)\n", m->made++, k, k);
}

static void gather(maker *m)
{
    const int axis = (int)draw(m, (uint32_t)m->rank);
    const int64_t at[3] = {draw(m, (uint32_t)m->dim[axis]), -1, 0};
    const bool one = m->rank > 2 && draw(m, 2);
    if (one)
        fprintf(m->f, "const c%d int64 scalar = %lld\n", m->made, (long long)at[0]);
    else
        ints(m, "c", 3, at);
    open_node(m, "Gather");
    fprintf(m->f, ", c%d) {axis=%lld}\n", m->made - 1, (long long)signed_axis(m, axis));
    if (one)
        remove_axis(m, axis);
    else
        m->dim[axis] = 3;
}

static void pad(maker *m)
{
    int64_t pads[2 * MOST_RANK] = {0};
    for (int i = 0; i < m->rank; i++) {
        pads[i] = draw(m, 2);
        pads[m->rank + i] = draw(m, 3) == 0;
        m->dim[i] += pads[i] + pads[m->rank + i];
    }
    ints(m, "c", 2 * m->rank, pads);
    open_node(m, "Pad");
    fprintf(m->f, ", c%d) {mode=%s}\n", m->made - 1, draw(m, 2) ? "constant" : "edge");
}

static void squeeze(maker *m)
{
    for (int i = 0; i < m->rank && m->rank > 2; i++) {
        const int64_t axes = signed_axis(m, i);
        if (m->dim[i] != 1)
            continue;
        ints(m, "c", 1, &axes);
        open_node(m, "Squeeze");
        fprintf(m->f, ", c%d)\n", m->made - 1);
        remove_axis(m, i);
        return;
    }
}

static void unsqueeze(maker *m)
{
    const int64_t axis = draw(m, (uint32_t)m->rank + 1);
    if (m->rank >= 5)
        return;
    ints(m, "c", 1, &axis);
    open_node(m, "Unsqueeze");
    fprintf(m->f, ", c%d)\n", m->made - 1);
    memmove(m->dim + axis + 1, m->dim + axis, (size_t)(m->rank - axis) * sizeof *m->dim);
    m->dim[axis] = 1;
    m->rank++;
}

static void reshape(maker *m)
{
    int64_t count = 1, to[MOST_RANK];
    for (int i = 0; i < m->rank; i++)
        count *= m->dim[i];
    m->rank = 2 + (int)draw(m, 3);
    for (int i = 0; i < m->rank; i++) {
        int64_t d = 1 + draw(m, 4);
        to[i] = m->dim[i] = i + 1 == m->rank ? count : count % d ? 1 : d;
        count /= m->dim[i];
    }
    ints(m, "c", m->rank, to);
    open_node(m, "Reshape");
    fprintf(m->f, ", c%d)\n", m->made - 1);
}

static void elementwise(maker *m)
{
    static const char *const op[] = {"Tanh", "Neg", "Sigmoid", "Abs"};
    if (draw(m, 3) == 0) {
        fprintf(m->f, "const c%d float32 %s = 0.5\n", m->made, draw(m, 2) ? "scalar" : "1");
        open_node(m, draw(m, 2) ? "Mul" : "Add");
        fprintf(m->f, ", c%d)\n", m->made - 1);
        return;
    }
    open_node(m, op[draw(m, 4)]);
    fprintf(m->f, ")\n");
}

char *make_move_graph(uint64_t seed)
{
    static void (*const step[])(maker *) = {transpose, transpose, transpose, transpose, transpose, reduce, same_shape, same_shape, slice, split, gather,
                                            pad, squeeze, unsqueeze, reshape, elementwise, elementwise};
    char *text = NULL;
    size_t size;
    maker m = {.f = open_memstream(&text, &size), .seed = seed};
    m.rank = 2 + (int)draw(&m, 3);
    fprintf(m.f, "input v0 float32 ");
    for (int i = 0; i < m.rank; i++) {
        m.dim[i] = 1 + draw(&m, 6);
        fprintf(m.f, "%s%lld", i ? "x" : "", (long long)m.dim[i]);
    }
    fprintf(m.f, "\n");
    m.made = 1;
    int also = -1;
    for (uint32_t k = 4 + draw(&m, 9); k > 0; k--) {
        int64_t count = 1;
        for (int i = 0; i < m.rank; i++)
            count *= m.dim[i];
        if (count > 20000)
            break;
        step[draw(&m, sizeof step / sizeof *step)](&m);
        if (draw(&m, 20) == 0)
            also = m.made - 1;
    }
    fprintf(m.f, "y = Abs(v%d)\noutput y\n", m.made - 1);
    if (also > 0)
        fprintf(m.f, "z = Tanh(v%d)\noutput z\n", also);
    fclose(m.f);
    return text;
}
