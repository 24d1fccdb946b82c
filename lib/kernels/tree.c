/* Forests of decision trees. */
#include "kernels/tree.h"

#include "base/checked.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST_PARTS = 1 << 30, MOST_FEATURES = 1 << 28, LANES = 8 };

/* A step of a walk: to `child` where x[feature] <= split, else to the node behind it; leaves lead to themselves. */
typedef struct {
    union {
        double split;  /* of a leaf: its number */
        struct { uint32_t first, count; } member;
    } by;
    uint32_t child;
    uint32_t feature;  /* and the bits below */
} node;

#define INNER UINT32_C(0x80000000)     /* no leaf */
#define NAN_FIRST UINT32_C(0x40000000) /* NaN goes to `child` */
#define TEST UINT32_C(0x30000000)
#define TEST_EQ UINT32_C(0x10000000)
#define TEST_MEMBER UINT32_C(0x20000000)
#define FEATURE UINT32_C(0x0FFFFFFF)

typedef struct {
    uint32_t first, count;
} leaf;

/* --- building --------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t from; /* in the list */
    uint32_t to;  /* in the form */
} place;

typedef struct {
    const oi_tree_list *list;
    oi_forest *f;
    uint8_t *reached; /* of each node of the list */
    place *todo;
    size_t ntodo;
    node *node;
    leaf *leaf;
} builder;

static oi_status check_node(const oi_tree_list *l, int64_t i, const char *what)
{
    OI_FAIL_IF(i < 0 || (uint64_t)i >= l->nnode, ONNX_INFER_E_INVALID_MODEL, "%s is node %lld of %zu", what, (long long)i, l->nnode);
    return ONNX_INFER_OK;
}

/* x < v exactly where x is at most this; subnormal numbers count as zero in a run (base/fpenv.h). */
static double number_below(double v)
{
    if (v > -DBL_MIN && v <= 0)
        return -DBL_MIN;
    return v == -INFINITY ? NAN : nextafter(v, -INFINITY);
}

static node comparison(const oi_tree_node *n, bool swap, uint32_t child)
{
    bool below = n->mode == OI_TREE_LT || n->mode == OI_TREE_GTE;
    bool nan_first = n->mode != OI_TREE_NEQ && n->missing_yes != swap;
    node to = {.child = child, .feature = (uint32_t)n->feature | INNER | (nan_first ? NAN_FIRST : 0)};
    if (n->mode == OI_TREE_MEMBER) {
        to.feature |= TEST_MEMBER;
        to.by.member.first = n->first;
        to.by.member.count = n->count;
        return to;
    }
    if (n->mode == OI_TREE_EQ || n->mode == OI_TREE_NEQ)
        to.feature |= TEST_EQ;
    to.by.split = below ? number_below(n->split) : n->split;
    return to;
}

static oi_status put(builder *b, place p)
{
    const oi_tree_list *l = b->list;
    const oi_tree_node *n = &l->node[p.from];
    oi_forest *f = b->f;
    if (n->mode == OI_TREE_LEAF) {
        b->node[p.to] = (node){.by.split = f->nleaf, .child = p.to};
        b->leaf[f->nleaf++] = (leaf){n->first, n->count};
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(b->reached[p.from], ONNX_INFER_E_INVALID_MODEL, "node %lld is reached twice: the trees have a cycle or share a node",
               (long long)p.from);
    b->reached[p.from] = 1;
    OI_FAIL_IF(n->mode > OI_TREE_LEAF, ONNX_INFER_E_INVALID_MODEL, "node %lld has mode %d", (long long)p.from, n->mode);
    OI_FAIL_IF(n->feature < 0 || n->feature >= MOST_FEATURES, ONNX_INFER_E_INVALID_MODEL, "node %lld looks at feature %lld",
               (long long)p.from, (long long)n->feature);
    OI_TRY(check_node(l, n->yes, "a true branch"));
    OI_TRY(check_node(l, n->no, "a false branch"));
    bool swap = n->mode == OI_TREE_GTE || n->mode == OI_TREE_GT || n->mode == OI_TREE_NEQ;
    uint32_t child = f->nnode;
    f->nnode += 2;
    b->node[p.to] = comparison(n, swap, child);
    f->features = n->feature >= f->features ? (uint32_t)n->feature + 1 : f->features;
    f->nan_first = f->nan_first || (b->node[p.to].feature & NAN_FIRST);
    f->special = f->special || (b->node[p.to].feature & TEST);
    b->todo[b->ntodo++] = (place){swap ? n->yes : n->no, child + 1};
    b->todo[b->ntodo++] = (place){swap ? n->no : n->yes, child};
    return ONNX_INFER_OK;
}

static oi_status fill(builder *b, uint32_t *root)
{
    const oi_tree_list *l = b->list;
    for (size_t i = 0; i < l->nroot; i++) {
        OI_TRY(check_node(l, l->root[i], "a root"));
        root[i] = b->f->nnode++;
        b->todo[b->ntodo++] = (place){l->root[i], root[i]};
        while (b->ntodo)
            OI_TRY(put(b, b->todo[--b->ntodo]));
    }
    return ONNX_INFER_OK;
}

/* A leaf may be reached by both branches of a node and has a place for each. */
static oi_status count_places(const oi_tree_list *l, oi_forest *f, size_t *places)
{
    OI_FAIL_IF(l->nnode > MOST_PARTS / 4 || l->nroot > MOST_PARTS / 4 || l->nvote > MOST_PARTS || l->nmember > MOST_PARTS, ONNX_INFER_E_LIMIT,
               "%zu nodes of %zu trees", l->nnode, l->nroot);
    *places = l->nroot;
    for (size_t i = 0; i < l->nnode; i++) {
        const oi_tree_node *n = &l->node[i];
        size_t parts = n->mode == OI_TREE_LEAF ? l->nvote : l->nmember;
        OI_FAIL_IF((n->mode == OI_TREE_LEAF || n->mode == OI_TREE_MEMBER) && (n->first > parts || n->count > parts - n->first),
                   ONNX_INFER_E_INVALID_MODEL, "node %zu has parts that are not there", i);
        *places += n->mode == OI_TREE_LEAF ? 0 : 2;
    }
    for (size_t i = 0; i < l->nvote; i++)
        f->targets = l->vote[i].target >= f->targets ? l->vote[i].target + 1 : f->targets;
    return ONNX_INFER_OK;
}

/* Room for an array behind what is there already; false where it does not fit. */
static bool section(size_t *bytes, uint64_t *at, size_t count, size_t size)
{
    size_t n;
    *at = *bytes;
    return oi_mul_size(count, size, &n) && oi_add_size(*bytes, n, bytes) && oi_align_size(*bytes, 64, bytes);
}

oi_status oi_forest_build(const oi_alloc *alloc, oi_arena *scratch, const oi_tree_list *l, oi_tensor *out)
{
    oi_forest f = {0};
    size_t places = 0, bytes = (sizeof f + 63) / 64 * 64;
    OI_TRY(count_places(l, &f, &places));
    builder b = {.list = l, .f = &f};
    b.reached = oi_arena_array(scratch, l->nnode + 1, 1);
    b.todo = oi_arena_array(scratch, places + 1, sizeof *b.todo);
    b.node = oi_arena_array(scratch, places + 1, sizeof *b.node);
    b.leaf = oi_arena_array(scratch, places + 1, sizeof *b.leaf);
    uint32_t *root = oi_arena_array(scratch, l->nroot + 1, sizeof *root);
    if (!b.reached || !b.todo || !b.node || !b.leaf || !root)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(fill(&b, root));
    f.nroot = (uint32_t)l->nroot;
    f.nvote = (uint32_t)l->nvote;
    f.nmember = (uint32_t)l->nmember;
    const struct { uint64_t *at; const void *from; size_t count, size; } part[] = {
        {&f.at_node, b.node, f.nnode, sizeof *b.node}, {&f.at_root, root, f.nroot, sizeof *root},
        {&f.at_leaf, b.leaf, f.nleaf, sizeof *b.leaf}, {&f.at_vote, l->vote, f.nvote, sizeof *l->vote},
        {&f.at_member, l->member, f.nmember, sizeof *l->member},
    };
    enum { PARTS = sizeof part / sizeof *part };
    for (size_t i = 0; i < PARTS; i++)
        OI_FAIL_IF(!section(&bytes, part[i].at, part[i].count, part[i].size), ONNX_INFER_E_LIMIT, "the trees take too much memory");
    int64_t dim = (int64_t)bytes;
    OI_TRY(oi_tensor_create(alloc, ONNX_INFER_UINT8, 1, &dim, out));
    memset(out->data, 0, out->bytes);
    memcpy(out->data, &f, sizeof f);
    for (size_t i = 0; i < PARTS; i++)
        if (part[i].count)
            memcpy((char *)out->data + *part[i].at, part[i].from, part[i].count * part[i].size);
    return ONNX_INFER_OK;
}

/* --- checking ----------------------------------------------------------------------------------------------------------- */

static const void *part_of(const oi_forest *f, uint64_t at)
{
    return (const char *)f + at;
}

static bool has_part(const oi_forest *f, size_t bytes, uint64_t at, size_t count, size_t size)
{
    (void)f;
    return at % 8 == 0 && at >= sizeof *f && at <= bytes && count <= (bytes - at) / size;
}

/* A child lies behind its parent, so walks end. */
static bool good_node(const oi_forest *f, const node *n, uint32_t at)
{
    if (!(n->feature & INNER))
        return n->child == at && !n->feature && n->by.split >= 0 && n->by.split < f->nleaf;
    if (n->child <= at || n->child >= f->nnode - 1 || (n->feature & FEATURE) >= f->features)
        return false;
    if ((n->feature & TEST) == TEST_MEMBER)
        return n->by.member.first <= f->nmember && n->by.member.count <= f->nmember - n->by.member.first;
    return (n->feature & TEST) != TEST;
}

static bool good_forest(oi_forest *f, size_t bytes)
{
    if (!has_part(f, bytes, f->at_node, f->nnode, sizeof(node)) || !has_part(f, bytes, f->at_root, f->nroot, sizeof(uint32_t)) ||
        !has_part(f, bytes, f->at_leaf, f->nleaf, sizeof(leaf)) || !has_part(f, bytes, f->at_vote, f->nvote, sizeof(oi_tree_vote)) ||
        !has_part(f, bytes, f->at_member, f->nmember, sizeof(double)) || f->features > MOST_FEATURES)
        return false;
    const node *nodes = part_of(f, f->at_node);
    const uint32_t *root = part_of(f, f->at_root);
    const leaf *l = part_of(f, f->at_leaf);
    const oi_tree_vote *v = part_of(f, f->at_vote);
    f->nan_first = f->special = 0;
    for (uint32_t i = 0; i < f->nnode; i++) {
        if (!good_node(f, &nodes[i], i))
            return false;
        f->nan_first = f->nan_first || (nodes[i].feature & NAN_FIRST);
        f->special = f->special || (nodes[i].feature & TEST);
    }
    for (uint32_t i = 0; i < f->nroot; i++)
        if (root[i] >= f->nnode)
            return false;
    for (uint32_t i = 0; i < f->nleaf; i++)
        if (l[i].first > f->nvote || l[i].count > f->nvote - l[i].first)
            return false;
    for (uint32_t i = 0; i < f->nvote; i++)
        if (v[i].target >= f->targets)
            return false;
    return true;
}

oi_status oi_forest_check(const oi_alloc *alloc, const oi_tensor *bytes, oi_tensor *out)
{
    OI_FAIL_IF(bytes->dtype != ONNX_INFER_UINT8 || bytes->rank != 1 || bytes->bytes < sizeof(oi_forest), ONNX_INFER_E_INVALID_MODEL,
               "the forest is no list of bytes");
    OI_TRY(oi_tensor_create(alloc, ONNX_INFER_UINT8, 1, bytes->dim, out));
    memcpy(out->data, bytes->data, bytes->bytes);
    if (good_forest(out->data, out->bytes))
        return ONNX_INFER_OK;
    oi_tensor_clear(out);
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "the forest is broken");
}

/* --- walking ------------------------------------------------------------------------------------------------------------ */

static void vote_one(oi_forest_sum how, const oi_tree_vote *v, double *acc, uint8_t *seen)
{
    double *to = &acc[v->target];
    if (how <= OI_FOREST_SUM)
        *to += v->weight;
    else if (!seen[v->target] || (how == OI_FOREST_MIN ? v->weight < *to : v->weight > *to))
        *to = v->weight;
    if (seen)
        seen[v->target] = 1;
}

static void vote(const oi_forest *f, const node *at, oi_forest_sum how, double *acc, uint8_t *seen)
{
    uint32_t id = (uint32_t)at->by.split;
    const oi_tree_vote *v = part_of(f, f->at_vote);
    const leaf *l = (const leaf *)part_of(f, f->at_leaf) + id;
    for (uint32_t k = 0; k < l->count; k++)
        vote_one(how, &v[l->first + k], acc, seen);
}

static bool is_member(const oi_forest *f, const node *n, double x)
{
    const double *m = (const double *)part_of(f, f->at_member) + n->by.member.first;
    for (uint32_t i = 0; i < n->by.member.count; i++)
        if (m[i] == x)
            return true;
    return false;
}

#define T float
#define NAME(x) x##_f32
#include "kernels/tmpl/tree_walk.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "kernels/tmpl/tree_walk.inc"
#undef T
#undef NAME

void oi_forest_walk(const oi_forest *f, oi_dtype dtype, const void *x, size_t rows, size_t cols, uint32_t first_tree, uint32_t end_tree,
                    oi_forest_sum how, size_t targets, double *acc, uint8_t *seen)
{
    (dtype == ONNX_INFER_FLOAT ? walk_f32 : walk_f64)(f, x, rows, cols, first_tree, end_tree, how, targets, acc, seen);
}

void oi_forest_merge(oi_forest_sum how, size_t n, double *acc, uint8_t *seen, const double *more, const uint8_t *more_seen)
{
    for (size_t i = 0; i < n; i++) {
        if (how <= OI_FOREST_SUM)
            acc[i] += more[i];
        else if (more_seen[i] && (!seen[i] || (how == OI_FOREST_MIN ? more[i] < acc[i] : more[i] > acc[i])))
            acc[i] = more[i];
        if (seen)
            seen[i] |= more_seen[i];
    }
}
