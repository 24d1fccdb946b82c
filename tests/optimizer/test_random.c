/* Random small graphs compute the same before and after each pass alone and all of them, on every instruction set (differential.h).
 *   test_random [COUNT [SEED [STEP]]]   seeds SEED, SEED + STEP, ...; a failing graph is printed with its seed, which replays it
 *                                       (test_random 1 SEED), and once more as small as it gets */
#include "differential.h"
#include "random_attention.h"
#include "random_bodies.h"
#include "random_cells.h"
#include "random_moves.h"
#include "random_mutant.h"
#include "shrink.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_VALUES = 64 };

typedef struct {
    FILE *f;
    uint64_t seed;
    int count;
    int32_t rank[MAX_VALUES];
    int64_t dim[MAX_VALUES][OI_MAX_RANK];
    int constants;
} maker;

static uint32_t draw(maker *m, uint32_t below)
{
    return (uint32_t)(next_random(&m->seed) >> 33) % below;
}

static int new_value(maker *m, int32_t rank, const int64_t *dims)
{
    m->rank[m->count] = rank;
    memcpy(m->dim[m->count], dims, (size_t)rank * sizeof *dims);
    return m->count++;
}

static void put_dims(FILE *f, int32_t rank, const int64_t *dims)
{
    if (rank == 0)
        fprintf(f, "scalar");
    for (int32_t i = 0; i < rank; i++)
        fprintf(f, "%s%lld", i ? "x" : "", (long long)dims[i]);
}

static int new_const(maker *m, const char *type, int32_t rank, const int64_t *dims, const char *content)
{
    fprintf(m->f, "const c%d %s ", m->constants, type);
    put_dims(m->f, rank, dims);
    fprintf(m->f, " %s\n", content);
    return m->constants++;
}

static int ints_const(maker *m, int32_t n, const int64_t *v)
{
    char text[256] = "=";
    int64_t dim = n;
    for (int32_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %lld", (long long)v[i]);
    return new_const(m, "int64", 1, &dim, text);
}

static void unary(maker *m, int x)
{
    static const char *const op[] = {"Relu", "Neg", "Sigmoid", "Identity", "Abs", "Tanh", "Identity", "HardSwish", "Softplus", "Neg"};
    uint32_t which = draw(m, sizeof op / sizeof *op);
    int y = new_value(m, m->rank[x], m->dim[x]);
    fprintf(m->f, "v%d = %s(v%d)\n", y, op[which], x);
}

static void binary_const(maker *m, int x)
{
    static const char *const op[] = {"Add", "Mul", "Sub", "Add", "Mul"};
    static const char *const content[] = {"= 0", "= 1", "random", "random", "= 3", "= 0.5"};
    int64_t dims[OI_MAX_RANK];
    int32_t rank = m->rank[x], kind = (int32_t)draw(m, 3), channel = rank > 1 ? 1 : 0;
    for (int32_t i = 0; i < rank; i++)
        dims[i] = kind == 2 || i == channel ? m->dim[x][i] : 1;
    int c = new_const(m, "float32", kind == 0 ? 0 : rank, dims, content[draw(m, 6)]);
    int y = new_value(m, rank, m->dim[x]);
    bool swap = draw(m, 2);
    const char *name = op[draw(m, 5)];
    if (swap)
        fprintf(m->f, "v%d = %s(c%d, v%d)\n", y, name, c, x);
    else
        fprintf(m->f, "v%d = %s(v%d, c%d)\n", y, name, x, c);
}

static void binary(maker *m, int x)
{
    static const char *const op[] = {"Add", "Mul", "Max", "Sub"};
    for (int k = m->count; k-- > 0;) {
        if (m->rank[k] == m->rank[x] && memcmp(m->dim[k], m->dim[x], (size_t)m->rank[x] * sizeof(int64_t)) == 0 &&
            (k != x || draw(m, 4) == 0)) {
            int y = new_value(m, m->rank[x], m->dim[x]);
            fprintf(m->f, "v%d = %s(v%d, v%d)\n", y, op[draw(m, 4)], x, k);
            return;
        }
    }
}

/* With an operand of the same rank whose axes are the other's or 1. */
static void binary_broadcast(maker *m, int x)
{
    static const char *const op[] = {"Add", "Mul", "Max", "Sub", "Min"};
    int64_t dims[OI_MAX_RANK];
    for (int32_t i = 0; i < m->rank[x]; i++)
        dims[i] = draw(m, 2) ? 1 : m->dim[x][i];
    int c = new_const(m, "float32", m->rank[x], dims, "random"), y = new_value(m, m->rank[x], m->dim[x]);
    fprintf(m->f, "v%d = %s(v%d, c%d)\n", y, op[draw(m, 5)], x, c);
}

/* x where it is in bounds, else something of it; by way of other types. */
static void choose(maker *m, int x)
{
    int c = new_const(m, "float32", 0, NULL, "= 0.25"), s = new_const(m, "float32", 0, NULL, "= 0.02");
    int z = new_const(m, "uint8", 0, NULL, "= 128"), y[2];
    for (int i = 0; i < 2; i++)
        y[i] = new_value(m, m->rank[x], m->dim[x]);
    switch (draw(m, 3)) {
    case 0:
        fprintf(m->f, "b%d = Less(v%d, c%d)\nv%d = Neg(v%d)\nv%d = Where(b%d, v%d, v%d)\n", y[0], x, c, y[0], x, y[1], y[0], x, y[0]);
        break;
    case 1:
        fprintf(m->f, "b%d = Less(v%d, c%d)\nv%d = Cast(b%d) {to=1}\nv%d = Mul(v%d, v%d)\n", y[0], x, c, y[0], y[0], y[1], x, y[0]);
        break;
    default:
        fprintf(m->f, "v%d = Clip(v%d)\nq%d = QuantizeLinear(v%d, c%d, c%d)\nv%d = DequantizeLinear(q%d, c%d, c%d)\n", y[0], x,
                y[1], y[0], s, z, y[1], y[1], s, z);
    }
}

static void transpose(maker *m, int x)
{
    int64_t perm[OI_MAX_RANK] = {0}, dims[OI_MAX_RANK] = {0};
    int32_t rank = m->rank[x];
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i;
    for (int32_t i = rank; i-- > 1;) {
        int32_t k = (int32_t)draw(m, (uint32_t)i + 1);
        int64_t t = perm[i];
        perm[i] = perm[k], perm[k] = t;
    }
    for (int32_t i = 0; i < rank; i++)
        dims[i] = m->dim[x][perm[i]];
    int y = new_value(m, rank, dims);
    fprintf(m->f, "v%d = Transpose(v%d) {perm=[", y, x);
    for (int32_t i = 0; i < rank; i++)
        fprintf(m->f, "%s%lld", i ? "," : "", (long long)perm[i]);
    fprintf(m->f, "]}\n");
}

static void reshape(maker *m, int x)
{
    int64_t count = oi_dims_count(m->rank[x], m->dim[x]), dims[OI_MAX_RANK] = {0}, target[OI_MAX_RANK];
    int32_t rank = 1 + (int32_t)draw(m, 4);
    for (int32_t i = 0; i < rank; i++) {
        int64_t d = 1 + draw(m, 4);
        dims[i] = i + 1 == rank ? count : count % d ? 1 : d;
        count /= dims[i];
    }
    memcpy(target, dims, sizeof target);
    if (draw(m, 2))
        target[draw(m, (uint32_t)rank)] = -1;
    int c = ints_const(m, rank, target), y = new_value(m, rank, dims);
    fprintf(m->f, "v%d = Reshape(v%d, c%d)\n", y, x, c);
}

static void flatten(maker *m, int x)
{
    int64_t axis = draw(m, (uint32_t)m->rank[x] + 1), dims[2] = {1, 1};
    for (int32_t i = 0; i < m->rank[x]; i++)
        dims[i < axis ? 0 : 1] *= m->dim[x][i];
    int y = new_value(m, 2, dims);
    fprintf(m->f, "v%d = Flatten(v%d) {axis=%lld}\n", y, x, (long long)axis);
}

static void concat(maker *m, int x)
{
    int64_t dims[OI_MAX_RANK], axis = draw(m, (uint32_t)m->rank[x]);
    memcpy(dims, m->dim[x], sizeof dims);
    bool twice = draw(m, 3) != 0;
    dims[axis] *= twice ? 2 : 1;
    int y = new_value(m, m->rank[x], dims);
    if (twice)
        fprintf(m->f, "v%d = Concat(v%d, v%d) {axis=%lld}\n", y, x, x, (long long)axis);
    else
        fprintf(m->f, "v%d = Concat(v%d) {axis=%lld}\n", y, x, (long long)axis);
}

static void slice(maker *m, int x)
{
    int64_t dims[OI_MAX_RANK], axis = draw(m, (uint32_t)m->rank[x]), size = m->dim[x][axis];
    int64_t begin = draw(m, (uint32_t)size), step = draw(m, 3) == 0 ? -1 : 1;
    int64_t end = step > 0 ? begin + 1 + draw(m, (uint32_t)(size - begin)) : -1000000;
    memcpy(dims, m->dim[x], sizeof dims);
    dims[axis] = step > 0 ? end - begin : begin + 1;
    int cb = ints_const(m, 1, &begin), ce = ints_const(m, 1, &end), ca = ints_const(m, 1, &axis), cs = ints_const(m, 1, &step);
    int y = new_value(m, m->rank[x], dims);
    fprintf(m->f, "v%d = Slice(v%d, c%d, c%d, c%d, c%d)\n", y, x, cb, ce, ca, cs);
}

static void softmax(maker *m, int x)
{
    int y = new_value(m, m->rank[x], m->dim[x]);
    fprintf(m->f, "v%d = Softmax(v%d) {axis=%d}\n", y, x, (int)draw(m, (uint32_t)m->rank[x]));
}

static void reduce(maker *m, int x)
{
    int64_t dims[OI_MAX_RANK], axis = draw(m, (uint32_t)m->rank[x]);
    memcpy(dims, m->dim[x], sizeof dims);
    dims[axis] = 1;
    int c = ints_const(m, 1, &axis), y = new_value(m, m->rank[x], dims);
    fprintf(m->f, "v%d = %s(v%d, c%d)\n", y, draw(m, 2) ? "ReduceMean" : "ReduceMax", x, c);
}

static void conv(maker *m, int x)
{
    if (m->rank[x] != 4)
        return;
    int64_t in = m->dim[x][1], out = 1 + draw(m, 20), k = m->dim[x][2] >= 3 && m->dim[x][3] >= 3 && draw(m, 2) ? 3 : 1;
    bool depthwise = draw(m, 4) == 0, padded = k == 3 && draw(m, 2);
    if (depthwise)
        out = in;
    int64_t w[4] = {out, depthwise ? 1 : in, k, k};
    int64_t shrink = padded ? 0 : k - 1;
    int64_t dims[4] = {m->dim[x][0], out, m->dim[x][2] - shrink, m->dim[x][3] - shrink};
    int cw = new_const(m, "float32", 4, w, "random"), cb = new_const(m, "float32", 1, &out, "random");
    int y = new_value(m, 4, dims);
    fprintf(m->f, "v%d = Conv(v%d, c%d", y, x, cw);
    if (draw(m, 2))
        fprintf(m->f, ", c%d", cb);
    fprintf(m->f, ") {group=%lld, pads=%s}\n", depthwise ? (long long)in : 1, padded ? "[1,1,1,1]" : "[0,0,0,0]");
    if (draw(m, 2)) {
        int z = new_value(m, 4, dims), s = new_const(m, "float32", 1, &out, "random");
        int v = new_const(m, "float32", 1, &out, "= 1 2 0.5");
        fprintf(m->f, "v%d = BatchNormalization(v%d, c%d, c%d, c%d, c%d)\n", z, y, s, cb, s, v);
    }
}

static void pool(maker *m, int x)
{
    if (m->rank[x] != 4 || m->dim[x][2] < 2 || m->dim[x][3] < 2)
        return;
    int64_t dims[4] = {m->dim[x][0], m->dim[x][1], m->dim[x][2] - 1, m->dim[x][3] - 1};
    int y = new_value(m, 4, dims);
    fprintf(m->f, "v%d = %s(v%d) {kernel_shape=[2,2]}\n", y, draw(m, 2) ? "MaxPool" : "AveragePool", x);
}

/* A Pad, perhaps another one, operators that travel, and a window behind it all. */
static void pad_window(maker *m, int x)
{
    static const char *const travel[] = {"Relu", "Neg", "Tanh", "HardSwish", "Sigmoid", "Abs", "Identity"};
    int64_t pads[8] = {0}, dims[4], swapped[4];
    if (m->rank[x] != 4 || m->count > MAX_VALUES - 12)
        return;
    const uint32_t kind = draw(m, 8); /* 0..2: Conv, 3, 4: MaxPool, 5, 6: AveragePool, 7: ConvTranspose */
    int y = x;
    if (draw(m, 2))
        fprintf(m->f, "v%d = Relu(v%d)\n", y = new_value(m, 4, m->dim[x]), x);
    for (uint32_t twice = 0; twice < 1 + draw(m, 2); twice++) {
        const bool low = draw(m, 3) == 0 && (kind == 3 || kind == 4), odd = draw(m, 10) == 0;
        for (int i = 0; i < 4; i++) {
            pads[i] = i > 1 || draw(m, 12) == 0 ? draw(m, 3) : 0;
            pads[i + 4] = i > 1 ? draw(m, 3) : 0;
            if (draw(m, 12) == 0 && m->dim[y][i] > 1)
                pads[i] = -1;
            dims[i] = m->dim[y][i] + pads[i] + pads[i + 4];
        }
        int c = ints_const(m, 8, pads), value = new_const(m, "float32", 0, NULL, odd ? "= 1" : low ? "= -inf" : "= 0");
        int z = new_value(m, 4, dims);
        fprintf(m->f, "v%d = Pad(v%d, c%d, c%d) {mode=%s}\n", z, y, c, value, draw(m, 10) ? "constant" : "edge");
        y = z;
        if (low)
            break;
    }
    int padded = y;
    if (kind != 3 && kind != 4 && draw(m, 2)) { /* there and back, with something between */
        for (int i = 0; i < 4; i++)
            swapped[i] = dims[(4 - i) % 4];
        int a = new_value(m, 4, swapped), b = new_value(m, 4, swapped), d = new_value(m, 4, dims);
        fprintf(m->f, "v%d = Transpose(v%d) {perm=[0,3,2,1]}\nv%d = %s(v%d)\nv%d = Transpose(v%d) {perm=[0,3,2,1]}\n", a, y, b,
                travel[draw(m, 7)], a, d, b);
        y = d;
    } else if (kind != 3 && kind != 4 && draw(m, 2)) {
        int64_t one[3] = {dims[1], 1, draw(m, 8) ? 1 : dims[3]};
        int c = new_const(m, "float32", 3, one, "random"), d = new_value(m, 4, dims);
        fprintf(m->f, "v%d = %s(v%d, c%d)\n", d, draw(m, 2) ? "Mul" : "PRelu", y, c);
        y = d;
    }
    const int64_t k = kind == 7 || (dims[2] >= 3 && dims[3] >= 3) ? 1 + draw(m, 3) : 1, own = k > 1 ? draw(m, 2) : 0;
    const int64_t out = 1 + draw(m, 9), stride = 1 + draw(m, 2);
    char attrs[200];
    snprintf(attrs, sizeof attrs, "{kernel_shape=[%lld,%lld], strides=[%lld,%lld], pads=[%lld,%lld,%lld,%lld]", (long long)k, (long long)k,
             (long long)stride, (long long)stride, (long long)own, (long long)own, (long long)own, (long long)own);
    int64_t result[4] = {dims[0], kind < 3 || kind == 7 ? out : dims[1], 0, 0};
    for (int i = 2; i < 4; i++) {
        result[i] = kind == 7 ? (dims[i] - 1) * stride + k - 2 * own : (dims[i] + 2 * own - k) / stride + 1;
        if (result[i] < 1)
            return;
    }
    if (kind < 3 || kind == 7) {
        int64_t w[4] = {kind == 7 ? dims[1] : out, kind == 7 ? out : dims[1], k, k};
        int c = new_const(m, "float32", 4, w, "random"), z = new_value(m, 4, result);
        fprintf(m->f, "v%d = %s(v%d, c%d) %s}\n", z, kind == 7 ? "ConvTranspose" : "Conv", y, c, attrs);
    } else if (kind < 5) {
        int z = new_value(m, 4, result);
        fprintf(m->f, "v%d = MaxPool(v%d) %s}\n", z, y, attrs);
    } else {
        int z = new_value(m, 4, result);
        fprintf(m->f, "v%d = AveragePool(v%d) %s, count_include_pad=%u}\n", z, y, attrs, draw(m, 2));
    }
    if (draw(m, 8) == 0)
        fprintf(m->f, "v%d = Neg(v%d)\n", new_value(m, 4, m->dim[padded]), padded);
}

static void matmul(maker *m, int x)
{
    if (m->rank[x] < 2)
        return;
    int64_t dims[OI_MAX_RANK], w[2] = {m->dim[x][m->rank[x] - 1], 1 + draw(m, 20)};
    memcpy(dims, m->dim[x], sizeof dims);
    dims[m->rank[x] - 1] = w[1];
    int c = new_const(m, "float32", 2, w, "random"), y = new_value(m, m->rank[x], dims);
    fprintf(m->f, "v%d = MatMul(v%d, c%d)\n", y, x, c);
}

static void gelu(maker *m, int x)
{
    int r = new_const(m, "float32", 0, NULL, "= 1.41421356"), one = new_const(m, "float32", 0, NULL, "= 1");
    int half = new_const(m, "float32", 0, NULL, "= 0.5"), v[5];
    for (int i = 0; i < 5; i++)
        v[i] = new_value(m, m->rank[x], m->dim[x]);
    fprintf(m->f, "v%d = Div(v%d, c%d)\nv%d = Erf(v%d)\nv%d = Add(v%d, c%d)\nv%d = Mul(v%d, v%d)\nv%d = Mul(v%d, c%d)\n", v[0], x, r,
            v[1], v[0], v[2], v[1], one, v[3], x, v[2], v[4], v[3], half);
}

static int like(maker *m, int x)
{
    return new_value(m, m->rank[x], m->dim[x]);
}

/* A norm or softmax of v`x` in pieces, over some of the last axes. */
static void pieces(maker *m, int x)
{
    int32_t rank = m->rank[x], over = 1 + (int32_t)draw(m, rank > 2 ? 2 : 1);
    int64_t axes[2] = {rank - over, rank - 1}, dims[OI_MAX_RANK], weight[OI_MAX_RANK];
    uint32_t kind = draw(m, 4);
    if (rank < 1 || m->count > MAX_VALUES - 20)
        return;
    if (kind == 3)
        axes[0] = draw(m, (uint32_t)rank), over = 1;
    memcpy(dims, m->dim[x], sizeof dims);
    for (int32_t i = 0; i < over; i++)
        dims[axes[i]] = 1;
    if (memcmp(dims, m->dim[x], sizeof dims) == 0)
        return; /* what is the same everywhere has no variance: norms of it enlarge the last bit */
    int ax = ints_const(m, over, axes), mean = new_value(m, rank, dims), d = x;
    if (kind == 3) { /* softmax */
        int sub = like(m, x), e = like(m, x), sum = new_value(m, rank, dims), y = like(m, x);
        fprintf(m->f, "v%d = ReduceMax(v%d, c%d)\nv%d = Sub(v%d, v%d)\nv%d = Exp(v%d)\nv%d = ReduceSum(v%d, c%d)\nv%d = Div(v%d, v%d)\n", mean,
                x, ax, sub, x, mean, e, sub, sum, e, ax, y, e, sum);
        return;
    }
    if (kind != 2) {
        d = like(m, x);
        fprintf(m->f, "v%d = ReduceMean(v%d, c%d)\nv%d = Sub(v%d, v%d)\n", mean, x, ax, d, x, mean);
    } else {
        fprintf(m->f, "v%d = ReduceMean(v%d, c%d)\n", mean, x, ax);
    }
    int square = like(m, x), var = new_value(m, rank, dims), above = new_value(m, rank, dims), root = new_value(m, rank, dims);
    int two = new_const(m, "float32", 0, NULL, "= 2"), e = new_const(m, "float32", 0, NULL, "= 0.001");
    if (draw(m, 2))
        fprintf(m->f, "v%d = Mul(v%d, v%d)\n", square, d, d);
    else
        fprintf(m->f, "v%d = Pow(v%d, c%d)\n", square, d, two);
    fprintf(m->f, "v%d = ReduceMean(v%d, c%d)\nv%d = Add(v%d, c%d)\nv%d = Sqrt(v%d)\n", var, square, ax, above, var, e, root, above);
    bool channels = draw(m, 2) && rank > 2;
    int32_t weight_rank = channels ? rank - 1 : over;
    for (int32_t i = 0; i < weight_rank; i++)
        weight[i] = channels ? (i == 0 ? m->dim[x][1] : 1) : m->dim[x][rank - over + i];
    int w = new_const(m, "float32", weight_rank, weight, "random"), b = new_const(m, "float32", weight_rank, weight, "random");
    int inverse = new_value(m, rank, dims);
    if (kind == 1) { /* x k + (b - mean k), k = w / root */
        int64_t wide[OI_MAX_RANK];
        for (int32_t i = 0; i < rank; i++) {
            int32_t at = i - (rank - weight_rank);
            wide[i] = at >= 0 && weight[at] > dims[i] ? weight[at] : dims[i];
        }
        int k = new_value(m, rank, wide), xk = like(m, x), mk = new_value(m, rank, wide), rest = new_value(m, rank, wide), y = like(m, x);
        fprintf(m->f, "v%d = Reciprocal(v%d)\nv%d = Mul(v%d, c%d)\nv%d = Mul(v%d, v%d)\nv%d = Mul(v%d, v%d)\nv%d = Sub(c%d, v%d)\n"
                "v%d = Add(v%d, v%d)\n", inverse, root, k, inverse, w, xk, x, k, mk, mean, k, rest, b, mk, y, xk, rest);
        return;
    }
    int n = like(m, x), t = like(m, x), y = like(m, x);
    if (draw(m, 2))
        fprintf(m->f, "v%d = Reciprocal(v%d)\nv%d = Mul(v%d, v%d)\n", inverse, root, n, d, inverse);
    else
        fprintf(m->f, "v%d = Neg(v%d)\nv%d = Div(v%d, v%d)\n", inverse, root, n, d, root);
    fprintf(m->f, "v%d = Mul(c%d, v%d)\nv%d = Add(v%d, c%d)\n", t, w, n, y, t, b);
}

/* Instance normalization over groups of channels, with a scale for each channel behind it. */
static void group_norm(maker *m, int x)
{
    if (m->rank[x] < 3)
        return;
    int64_t groups = 1 + draw(m, 4), channels = m->dim[x][1], one[OI_MAX_RANK];
    groups = channels % groups ? 1 : groups;
    int64_t grouped[3] = {m->dim[x][0], groups, oi_dims_count(m->rank[x] - 1, m->dim[x] + 1) / groups};
    int to = ints_const(m, 3, grouped), back = ints_const(m, m->rank[x], m->dim[x]);
    int s = new_const(m, "float32", 1, &groups, draw(m, 2) ? "= 1" : "random"), b = new_const(m, "float32", 1, &groups, draw(m, 2) ? "= 0" : "random");
    int a = new_value(m, 3, grouped), n = new_value(m, 3, grouped), c = like(m, x), y = like(m, x);
    for (int32_t i = 0; i < m->rank[x]; i++)
        one[i] = i == 1 ? channels : 1;
    int w = new_const(m, "float32", m->rank[x], one, "random");
    fprintf(m->f, "v%d = Reshape(v%d, c%d)\nv%d = InstanceNormalization(v%d, c%d, c%d) {epsilon=0.05}\nv%d = Reshape(v%d, c%d)\nv%d = Mul(v%d, c%d)\n", a, x, to,
            n, a, s, b, c, n, back, y, c, w);
}

static void shuffle(maker *m, int32_t n, char *label, int64_t *dims)
{
    for (int32_t i = n; i-- > 1;) {
        int32_t k = (int32_t)draw(m, (uint32_t)i + 1);
        char c = label[i];
        int64_t d = dims[i];
        label[i] = label[k], label[k] = c;
        dims[i] = dims[k], dims[k] = d;
    }
}

/* v`x` times a constant: of its axes some are summed over, some are shared, in any order. */
static void einsum(maker *m, int x)
{
    char in[OI_MAX_RANK + 1] = "", other[OI_MAX_RANK + 1] = "", out[OI_MAX_RANK + 1] = "";
    int64_t w[OI_MAX_RANK], y[OI_MAX_RANK];
    int32_t rank = m->rank[x], nw = 0, ny = 0;
    for (int32_t i = 0; i < rank; i++) {
        uint32_t kind = draw(m, 3); /* 0: sum, 1: shared, 2: of x alone */
        in[i] = (char)('a' + i);
        if (kind < 2)
            other[nw] = in[i], w[nw++] = m->dim[x][i];
        if (kind > 0)
            out[ny] = in[i], y[ny++] = m->dim[x][i];
    }
    for (uint32_t k = draw(m, 3); k > 0 && nw < 5 && ny < 5; k--) {
        other[nw] = out[ny] = (char)('p' + k);
        w[nw] = y[ny] = 1 + draw(m, 9);
        nw++, ny++;
    }
    if (nw == 0 || ny == 0 || oi_dims_count(nw, w) > 4000)
        return;
    shuffle(m, nw, other, w);
    shuffle(m, ny, out, y);
    int c = new_const(m, "float32", nw, w, "random"), v = new_value(m, ny, y);
    if (draw(m, 2))
        fprintf(m->f, "v%d = Einsum(v%d, c%d) {equation='%s,%s->%s'}\n", v, x, c, in, other, out);
    else
        fprintf(m->f, "v%d = Einsum(c%d, v%d) {equation='%s,%s->%s'}\n", v, c, x, other, in, out);
}

/* Depth to space or back in pieces, by block of 2; sometimes not quite. */
static void space(maker *m, int x)
{
    static const int64_t perms[4][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}, {0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}};
    const uint32_t kind = draw(m, 4);
    const int64_t *d = m->dim[x];
    const bool deep = kind < 2;
    if (m->rank[x] != 4 || (deep ? d[1] % 4 : d[2] % 2 + d[3] % 2))
        return;
    int64_t perm[6], seen[4][6] = {{d[0], 2, 2, d[1] / 4, d[2], d[3]}, {d[0], d[1] / 4, 2, 2, d[2], d[3]},
                                   {d[0], d[1], d[2] / 2, 2, d[3] / 2, 2}, {d[0], d[1], d[2] / 2, 2, d[3] / 2, 2}};
    int64_t out[4] = {d[0], deep ? d[1] / 4 : d[1] * 4, deep ? d[2] * 2 : d[2] / 2, deep ? d[3] * 2 : d[3] / 2}, turned[6];
    memcpy(perm, perms[draw(m, 5) ? kind : 3 - kind], sizeof perm);
    for (int i = 0; i < 6; i++)
        turned[i] = seen[kind][perm[i]];
    int a = ints_const(m, 6, seen[kind]), b = ints_const(m, 4, out);
    int v = new_value(m, 6, seen[kind]), t = new_value(m, 6, turned), y = new_value(m, 4, out);
    fprintf(m->f, "v%d = Reshape(v%d, c%d)\nv%d = Transpose(v%d) {perm=[%d,%d,%d,%d,%d,%d]}\nv%d = Reshape(v%d, c%d)\n", v, x, a, t, v,
            (int)perm[0], (int)perm[1], (int)perm[2], (int)perm[3], (int)perm[4], (int)perm[5], y, t, b);
}

static void through_shape(maker *m, int x)
{
    int y = new_value(m, m->rank[x], m->dim[x]);
    fprintf(m->f, "s%d = Shape(v%d)\nv%d = Reshape(v%d, s%d)\n", y, x, y, x, y);
}

static char *make_graph(uint64_t seed)
{
    static void (*const step[])(maker *, int) = {unary, unary, binary_const, binary_const, binary, binary, binary_broadcast, choose, transpose, transpose,
                                                 reshape, flatten, concat, slice, softmax, reduce, conv, conv, conv, pool, pad_window, pad_window,
                                                 matmul, einsum, gelu, pieces, pieces, group_norm, space, through_shape};
    char *text = NULL;
    size_t size;
    maker m = {.f = open_memstream(&text, &size), .seed = seed};
    int64_t dims[4];
    for (uint32_t k = 0, inputs = 1 + draw(&m, 2); k < inputs; k++) {
        int32_t rank = draw(&m, 3) ? 4 : 1 + (int32_t)draw(&m, 4);
        for (int32_t i = 0, large = draw(&m, 8) == 0; i < rank; i++)
            dims[i] = 1 + draw(&m, i == 1 ? 20 : large ? 40 : 6);
        int v = new_value(&m, rank, dims);
        fprintf(m.f, "input v%d float32 ", v);
        put_dims(m.f, rank, dims);
        fprintf(m.f, "\n");
    }
    for (uint32_t k = 3 + draw(&m, 12); k > 0 && m.count < MAX_VALUES - 8; k--) {
        int from = draw(&m, 3) ? m.count - 1 : (int)draw(&m, (uint32_t)m.count);
        if (oi_dims_count(m.rank[from], m.dim[from]) < 40000)
            step[draw(&m, sizeof step / sizeof *step)](&m, from);
    }
    fprintf(m.f, "output v%d\n", m.count - 1);
    if (draw(&m, 3) == 0)
        fprintf(m.f, "output v%d\n", m.count / 2);
    fclose(m.f);
    return text;
}

static uint64_t seed_now;

static void (*die_of[2])(int); /* SIGSEGV, SIGABRT: as it was before, a sanitizer's perhaps */

/* Says which graph it was, then goes on to die: what was at fault happens again. */
static void crashed(int sig)
{
    char text[80];
    int n = snprintf(text, sizeof text, "crashed at seed %llu\n", (unsigned long long)seed_now);
    if (write(STDOUT_FILENO, text, (size_t)n) != n)
        _exit(1);
    signal(sig, die_of[sig == SIGABRT]);
}

typedef struct {
    uint64_t seed;
    bool tame;
    const char *kind; /* of failure: what is in front of the first ':' */
} failure;

static bool fails_so(void *user, const char *text)
{
    const failure *f = user;
    char why[512];
    const size_t length = strcspn(f->kind, ":");
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    return !differential_holds(text, f->seed, f->tame, NULL, why, sizeof why) && strncmp(why, f->kind, length) == 0;
}

/* Takes over the text. */
static bool try_graph(char *text, uint64_t seed, bool tame, change_counts *counts)
{
    char why[512];
    seed_now = seed;
    bool holds = differential_holds(text, seed, tame, counts, why, sizeof why);
    if (!holds) {
        const failure f = {seed, tame, why};
        printf("seed %llu: %s\n", (unsigned long long)seed, why);
        fflush(stdout);
        char *least = shrink(text, fails_so, (void *)&f);
        printf("%swhich shrinks to\n%s\n", text, least);
        free(least);
    }
    free(text);
    return holds;
}

static bool try_seed(uint64_t seed, change_counts *counts)
{
    static const struct {
        char *(*make)(uint64_t seed);
        bool tame; /* not a number comes of it, or where it does it has to come of it always */
    } kind[] = {{make_attention_graph, true}, {make_body_graph, true}, {make_graph, true}, {make_mutant_graph, false},
                {make_attention_graph, true}, {make_cell_graph, true}, {make_mutant_graph, false}, {make_move_graph, true}};
    const size_t k = seed % (sizeof kind / sizeof *kind);
    return try_graph(kind[k].make(seed), seed, kind[k].tame, counts);
}

int main(int argc, char **argv)
{
    enum { COUNT = 2000, MOST_FAILURES = 5 };
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : COUNT, seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t step = argc > 3 ? strtoull(argv[3], NULL, 10) : 1, failed = 0;
    static change_counts counts;
    die_of[0] = signal(SIGSEGV, crashed);
    die_of[1] = signal(SIGABRT, crashed);
    for (uint64_t i = 0; i < count && failed < MOST_FAILURES; i++)
        failed += !try_seed(seed + i * step, &counts);
    for (size_t i = 0; count >= COUNT && failed < MOST_FAILURES; i++) { /* nothing is left to chance */
        char *text = unmutated_graph(i);
        if (!text)
            break;
        failed += !try_graph(text, i, false, &counts);
    }
    if (count >= COUNT && !failed)
        failed += counts_report_missing(&counts) != 0;
    printf("%llu graphs from seed %llu, %llu failed\n", (unsigned long long)count, (unsigned long long)seed, (unsigned long long)failed);
    return failed != 0;
}
