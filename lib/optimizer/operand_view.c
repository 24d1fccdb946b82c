/* Where the elements of a value lie in another one that views, transposes, slices and the like made it of. */
#include "optimizer/operand_view.h"

#include "base/checked.h"

#include <string.h>

static bool push(oi_view *v, int64_t size, int64_t stride)
{
    if (size == 1)
        return true;
    if (v->natom == OI_VIEW_ATOMS)
        return false;
    v->size[v->natom] = size;
    v->stride[v->natom++] = stride;
    return true;
}

static oi_view like(const oi_view *v)
{
    return (oi_view){.base = v->base, .offset = v->offset};
}

static bool end_axis(oi_view *v)
{
    if (v->rank == OI_MAX_RANK)
        return false;
    v->first[++v->rank] = v->natom;
    return true;
}

bool oi_view_dense(const oi_graph *g, oi_value_id v, oi_view *view)
{
    const oi_fact *f = oi_graph_fact(g, v);
    int64_t dims[OI_MAX_RANK], stride[OI_MAX_RANK], step = 1;
    int32_t rank;
    *view = (oi_view){.base = v};
    if (!f || f->kind != ONNX_INFER_TENSOR || !oi_fact_dims(f, &rank, dims))
        return false;
    for (int32_t i = rank; i-- > 0;) {
        stride[i] = step;
        if (dims[i] < 1 || !oi_mul_i64(step, dims[i], &step))
            return false;
    }
    for (int32_t i = 0; i < rank; i++) {
        if (!push(view, dims[i], stride[i]) || !end_axis(view))
            return false;
    }
    return true;
}

int64_t oi_view_dim(const oi_view *v, int32_t axis)
{
    int64_t n = 1;
    for (int32_t i = v->first[axis]; i < v->first[axis + 1]; i++)
        n *= v->size[i];
    return n;
}

bool oi_view_stride(const oi_view *v, int32_t axis, int64_t *stride)
{
    int32_t first = v->first[axis], last = v->first[axis + 1];
    *stride = first < last ? v->stride[last - 1] : 1;
    for (int32_t i = last - 1; i > first; i--) {
        if (v->stride[i - 1] != v->stride[i] * v->size[i])
            return false;
    }
    return true;
}

bool oi_view_transpose(oi_view *v, const int64_t *perm)
{
    oi_view to = like(v);
    for (int32_t i = 0; i < v->rank; i++) {
        for (int32_t k = v->first[perm[i]]; k < v->first[perm[i] + 1]; k++)
            push(&to, v->size[k], v->stride[k]);
        end_axis(&to);
    }
    *v = to;
    return true;
}

bool oi_view_reshape(oi_view *v, int32_t rank, const int64_t *dims)
{
    oi_view to = like(v);
    int32_t next = 0;
    int64_t size = 0, stride = 0; /* what is left of the atom in hand, the outer part first */
    for (int32_t i = 0; i < rank; i++) {
        int64_t want = dims[i];
        if (want < 1)
            return false;
        while (want > 1) {
            if (size <= 1) {
                if (next == v->natom)
                    return false;
                size = v->size[next];
                stride = v->stride[next++];
            }
            int64_t take = want < size ? want : size;
            if (want % take || size % take)
                return false;
            size /= take;
            want /= take;
            if (!push(&to, take, stride * size))
                return false;
        }
        if (!end_axis(&to))
            return false;
    }
    if (next != v->natom || size > 1)
        return false;
    *v = to;
    return true;
}

bool oi_view_broadcast(oi_view *v, int32_t rank, const int64_t *dims)
{
    oi_view to = like(v);
    for (int32_t i = 0; i < rank; i++) {
        int32_t from = i - (rank - v->rank);
        int64_t now = from < 0 ? 1 : oi_view_dim(v, from);
        if (now == dims[i]) {
            for (int32_t k = from < 0 ? 0 : v->first[from]; from >= 0 && k < v->first[from + 1]; k++)
                push(&to, v->size[k], v->stride[k]);
        } else if (now != 1 || !push(&to, dims[i], 0)) {
            return false;
        }
        if (!end_axis(&to))
            return false;
    }
    if (v->rank > rank)
        return false;
    *v = to;
    return true;
}

bool oi_view_slice(oi_view *v, int32_t axis, int64_t start, int64_t step, int64_t count)
{
    int64_t stride, dim = oi_view_dim(v, axis);
    if (start < 0 || start >= dim || step < 1 || count < 1 || (count > 1 && step > (dim - 1 - start) / (count - 1)))
        return false;
    step = count > 1 ? step : 1;
    if (start == 0 && count == dim)
        return true;
    if (!oi_view_stride(v, axis, &stride))
        return false;
    oi_view to = like(v);
    to.offset += start * stride;
    for (int32_t i = 0; i < v->rank; i++) {
        for (int32_t k = v->first[i]; i != axis && k < v->first[i + 1]; k++)
            push(&to, v->size[k], v->stride[k]);
        if (i == axis)
            push(&to, count, stride * step);
        end_axis(&to);
    }
    *v = to;
    return true;
}

int oi_view_common(const oi_view *const *view, int n, int inner, int most, int64_t *size, int64_t *stride)
{
    int32_t at[OI_VIEWS];
    int64_t left[OI_VIEWS], step[OI_VIEWS];
    int found = 0;
    int64_t sizes[OI_VIEW_ATOMS], strides_of[OI_VIEWS][OI_VIEW_ATOMS]; /* innermost first */
    for (int i = 0; i < n; i++) {
        at[i] = view[i]->first[view[i]->rank - inner];
        left[i] = 1;
    }
    for (;;) {
        int64_t take = INT64_MAX;
        int ended = 0;
        for (int i = 0; i < n; i++) {
            if (left[i] == 1 && at[i] == 0) {
                ended++;
                continue;
            }
            if (left[i] == 1) {
                left[i] = view[i]->size[--at[i]];
                step[i] = view[i]->stride[at[i]];
            }
            take = left[i] < take ? left[i] : take;
        }
        if (ended)
            break;
        bool joins = found > 0;
        for (int i = 0; i < n; i++) {
            if (left[i] % take)
                return -1;
            left[i] /= take;
            joins = joins && step[i] == strides_of[i][found - 1] * sizes[found - 1];
        }
        if (!joins && found == OI_VIEW_ATOMS)
            return -1;
        for (int i = 0; i < n; i++) {
            if (!joins)
                strides_of[i][found] = step[i];
            step[i] *= take;
        }
        if (joins)
            sizes[found - 1] *= take;
        else
            sizes[found++] = take;
    }
    if (found > most)
        return -1;
    for (int d = 0; d < found; d++) {
        size[d] = sizes[found - 1 - d];
        for (int i = 0; i < n; i++)
            stride[i * most + d] = strides_of[i][found - 1 - d];
    }
    return found;
}

/* --- operators ---------------------------------------------------------------------------------------------------------- */

static bool read_perm(const oi_node *n, int32_t rank, int64_t *perm)
{
    const oi_ints *p = oi_attr_field(n, "perm");
    unsigned seen = 0;
    if (!p || (p->at && p->n != (uint32_t)rank))
        return false;
    for (int32_t i = 0; i < rank; i++) {
        perm[i] = p->at ? p->at[i] : rank - 1 - i;
        if (perm[i] < 0 || perm[i] >= rank)
            return false;
        seen |= 1u << perm[i];
    }
    return seen == (1u << rank) - 1;
}

static bool dims_of(const oi_graph *g, oi_value_id v, int32_t *rank, int64_t *dims)
{
    const oi_fact *f = oi_graph_fact(g, v);
    return f && f->kind == ONNX_INFER_TENSOR && oi_fact_dims(f, rank, dims);
}

static bool through_transpose(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v)
{
    int64_t perm[OI_MAX_RANK];
    (void)g, (void)slot;
    return read_perm(n, v->rank, perm) && oi_view_transpose(v, perm);
}

static bool through_view(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v)
{
    int64_t dims[OI_MAX_RANK];
    int32_t rank;
    (void)slot;
    return dims_of(g, n->out[0], &rank, dims) && oi_view_reshape(v, rank, dims);
}

static bool through_expand(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v)
{
    int64_t dims[OI_MAX_RANK];
    int32_t rank;
    (void)slot;
    return dims_of(g, n->out[0], &rank, dims) && oi_view_broadcast(v, rank, dims);
}

static int64_t int_at(const oi_tensor *t, int64_t i)
{
    return oi_elem_get_int(t->dtype, t->data, (size_t)i);
}

static bool through_slice(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v)
{
    const oi_tensor *arg[4] = {NULL}; /* starts, ends, axes, steps */
    int64_t dims[OI_MAX_RANK];
    int32_t rank;
    (void)slot;
    for (uint32_t i = 1; i < n->nin && i < 5; i++) {
        arg[i - 1] = n->in[i] == OI_NONE ? NULL : oi_match_const(g, n->in[i]);
        if (n->in[i] != OI_NONE && !arg[i - 1])
            return false;
    }
    if (!arg[0] || !dims_of(g, n->out[0], &rank, dims) || rank != v->rank)
        return false;
    for (int64_t i = 0; i < oi_tensor_count(arg[0]); i++) {
        int64_t axis = arg[2] ? int_at(arg[2], i) : i, start = int_at(arg[0], i), step = arg[3] ? int_at(arg[3], i) : 1;
        axis += axis < 0 ? rank : 0;
        if (axis < 0 || axis >= rank)
            return false;
        int64_t size = oi_view_dim(v, (int32_t)axis);
        start = start < -size ? 0 : start < 0 ? start + size : start;
        if (!oi_view_slice(v, (int32_t)axis, start, step, dims[axis]))
            return false;
    }
    return true;
}

static bool through_split(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v)
{
    int64_t axis = oi_attr_int(n, "axis", 0), start = 0, dims[OI_MAX_RANK];
    int32_t rank;
    axis += axis < 0 ? v->rank : 0;
    for (uint32_t i = 0; i <= slot; i++) {
        if (n->out[i] == OI_NONE || !dims_of(g, n->out[i], &rank, dims) || axis < 0 || axis >= rank || rank != v->rank)
            return false;
        start += i < slot ? dims[axis] : 0;
    }
    return oi_view_slice(v, (int32_t)axis, start, 1, dims[axis]);
}

/* One index along one axis, which goes. */
static bool through_gather(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v)
{
    const oi_tensor *index = n->nin == 2 ? oi_match_const(g, n->in[1]) : NULL;
    int64_t axis = oi_attr_int(n, "axis", 0), dims[OI_MAX_RANK];
    int32_t rank;
    axis += axis < 0 ? v->rank : 0;
    if (!index || oi_tensor_count(index) != 1 || axis < 0 || axis >= v->rank || !dims_of(g, n->out[0], &rank, dims))
        return false;
    (void)slot;
    int64_t at = int_at(index, 0);
    at += at < 0 ? oi_view_dim(v, (int32_t)axis) : 0;
    return oi_view_slice(v, (int32_t)axis, at, 1, 1) && oi_view_reshape(v, rank, dims);
}

static const struct {
    const char *op;
    bool (*through)(const oi_graph *g, const oi_node *n, uint32_t slot, oi_view *v);
    bool both_ways; /* a permutation of all elements */
} movers[] = {
    {"Transpose", through_transpose, true}, {"Reshape", through_view, true},   {"Squeeze", through_view, true},
    {"Unsqueeze", through_view, true},      {"Flatten", through_view, true},   {"Identity", through_view, true},
    {"Expand", through_expand, false},      {"Slice", through_slice, false},   {"Split", through_split, false},
    {"Gather", through_gather, false},
};
enum { MOVERS = sizeof movers / sizeof *movers };

static size_t mover_of(const oi_node *n)
{
    size_t i = 0;
    while (i < MOVERS && (n->op->domain[0] || strcmp(n->op->name, movers[i].op) != 0))
        i++;
    return i;
}

/* The value that v is scaled from, with the factor. */
static oi_value_id scaled_from(const oi_graph *g, oi_value_id v, double *factor)
{
    const oi_node *mul = oi_match_def(g, v, "Mul"), *div = oi_match_def(g, v, "Div"), *n = mul ? mul : div;
    for (uint32_t side = 0; n && n->nin == 2 && side < (mul ? 2 : 1); side++) {
        const oi_fact *a = oi_graph_fact(g, n->in[side]), *b = oi_graph_fact(g, v);
        if (oi_match_scalar(g, n->in[1 - side], factor) && *factor != 0 && oi_shape_equal(&a->shape, &b->shape)) {
            *factor = mul ? *factor : 1 / *factor;
            return n->in[side];
        }
    }
    return OI_NONE;
}

/* One operator back; OI_NONE where it cannot be seen through. */
static oi_value_id back(const oi_graph *g, oi_value_id v, double *factor)
{
    oi_node_id def = g->value[v].def;
    if (def == OI_NONE)
        return OI_NONE;
    if (mover_of(&g->node[def]) < MOVERS)
        return g->node[def].in[0];
    return factor ? scaled_from(g, v, factor) : OI_NONE;
}

enum { LONGEST = 16 };

int oi_view_depth(const oi_graph *g, oi_value_id v, bool factors)
{
    double factor;
    int n = 0;
    while (n < LONGEST && (v = back(g, v, factors ? &factor : NULL)) != OI_NONE)
        n++;
    return n;
}

bool oi_view_of(const oi_graph *g, oi_value_id v, int up, double *factor, oi_view *view)
{
    oi_value_id way[LONGEST + 1] = {v};
    double product = 1, f;
    for (int i = 0; i < up; i++) {
        f = 1;
        if (i == LONGEST || (way[i + 1] = back(g, way[i], factor ? &f : NULL)) == OI_NONE)
            return false;
        product *= f;
    }
    if (!oi_view_dense(g, way[up], view))
        return false;
    for (int i = up; i-- > 0;) {
        const oi_value *value = &g->value[way[i]];
        const oi_node *n = &g->node[value->def];
        size_t mover = mover_of(n);
        if (mover < MOVERS && !movers[mover].through(g, n, value->slot, view))
            return false;
    }
    if (factor)
        *factor = product;
    return true;
}

static const oi_node *next_mover(const oi_graph *g, oi_value_id v)
{
    if (!oi_match_single_use(g, v) || g->value[v].use[0].slot != 0)
        return NULL;
    const oi_node *n = &g->node[g->value[v].use[0].node];
    size_t mover = mover_of(n);
    return mover < MOVERS && movers[mover].both_ways ? n : NULL;
}

bool oi_view_before(const oi_graph *g, oi_value_id v, int down, oi_view *view)
{
    const oi_node *way[LONGEST];
    oi_value_id last = v;
    if (down > LONGEST)
        return false;
    for (int i = 0; i < down; i++) {
        way[i] = next_mover(g, last);
        if (!way[i])
            return false;
        last = way[i]->out[0];
    }
    if (!oi_view_dense(g, last, view))
        return false;
    for (int i = down; i-- > 0;) {
        int64_t perm[OI_MAX_RANK], inverse[OI_MAX_RANK], dims[OI_MAX_RANK];
        int32_t rank;
        if (oi_match_def(g, way[i]->out[0], "Transpose")) {
            if (!read_perm(way[i], view->rank, perm))
                return false;
            for (int32_t k = 0; k < view->rank; k++)
                inverse[perm[k]] = k;
            oi_view_transpose(view, inverse);
        } else if (!dims_of(g, way[i]->in[0], &rank, dims) || !oi_view_reshape(view, rank, dims)) {
            return false;
        }
    }
    return true;
}
