/* TfIdfVectorizer: counts of the n-grams of a pool in sequences of integers or words. */
#include "base/checked.h"
#include "ops/op.h"

#include <string.h>

typedef struct {
    oi_ints indexes, counts, pool_ints;
    oi_strings pool_strings;
    oi_floats weights;
    int64_t max_gram, min_gram, max_skip, mode;
} tfidf_attr;

#define OFFSET(field) ((uint16_t)offsetof(tfidf_attr, field))

enum { MODE_TF, MODE_IDF, MODE_TFIDF, MAX_WIDTH = 1 << 28 };

/* A tree of n-grams, its edges in one hash table: from a node, by an item, to a node. */
typedef struct {
    const char *text; /* NULL: the item is `number` */
    uint32_t text_n, from, to; /* to 0: the slot is free (node 0 is the root) */
    int64_t number;
} edge;

typedef struct {
    edge *edge;
    size_t mask;
    uint32_t *gram; /* of a node: 1 + its place in the pool, 0: no n-gram ends here */
    uint32_t nodes;
    int64_t width;
} pool;

static bool is_text(const tfidf_attr *a)
{
    return a->pool_strings.at && a->pool_strings.n;
}

static oi_status check(const tfidf_attr *a, int64_t *width)
{
    size_t items = is_text(a) ? a->pool_strings.n : a->pool_ints.n;
    OI_FAIL_IF(is_text(a) && a->pool_ints.at && a->pool_ints.n, ONNX_INFER_E_INVALID_MODEL, "pool_int64s and pool_strings are both set");
    OI_FAIL_IF(a->min_gram < 1 || a->max_gram < a->min_gram || a->max_skip < 0, ONNX_INFER_E_INVALID_MODEL,
               "min_gram_length is %lld, max_gram_length %lld, max_skip_count %lld", (long long)a->min_gram, (long long)a->max_gram,
               (long long)a->max_skip);
    OI_FAIL_IF(a->counts.n == 0 || a->indexes.n == 0, ONNX_INFER_E_INVALID_MODEL, "ngram_counts or ngram_indexes is empty");
    OI_FAIL_IF(a->weights.n && a->weights.n != a->indexes.n, ONNX_INFER_E_INVALID_MODEL, "there are %u weights for %u n-grams", a->weights.n,
               a->indexes.n);
    for (uint32_t i = 0; i < a->counts.n; i++)
        OI_FAIL_IF(a->counts.at[i] < (i ? a->counts.at[i - 1] : 0) || (uint64_t)a->counts.at[i] > items, ONNX_INFER_E_INVALID_MODEL,
                   "ngram_counts[%u] is %lld in a pool of %zu", i, (long long)a->counts.at[i], items);
    *width = 0;
    for (uint32_t i = 0; i < a->indexes.n; i++) {
        OI_FAIL_IF(a->indexes.at[i] < 0 || a->indexes.at[i] >= MAX_WIDTH, ONNX_INFER_E_INVALID_MODEL, "ngram_indexes[%u] is %lld", i,
                   (long long)a->indexes.at[i]);
        *width = a->indexes.at[i] >= *width ? a->indexes.at[i] + 1 : *width;
    }
    return ONNX_INFER_OK;
}

static size_t hash(uint32_t from, const char *text, size_t n, int64_t number)
{
    uint64_t h = (uint64_t)number * UINT64_C(0x9E3779B97F4A7C15) ^ from;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
    h = (h ^ h >> 29) * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(h ^ h >> 32);
}

static edge *find(const pool *p, uint32_t from, const char *text, size_t n, int64_t number)
{
    size_t i = hash(from, text, n, number) & p->mask;
    while (p->edge[i].to) {
        const edge *at = &p->edge[i];
        if (at->from == from && at->number == number && at->text_n == n && (!n || memcmp(at->text, text, n) == 0))
            break;
        i = (i + 1) & p->mask;
    }
    return &p->edge[i];
}

static uint32_t descend(pool *p, const tfidf_attr *a, uint32_t from, size_t item)
{
    const char *text = is_text(a) ? a->pool_strings.at[item] : NULL;
    size_t n = text ? a->pool_strings.len[item] : 0;
    int64_t number = text ? 0 : a->pool_ints.at[item];
    edge *at = find(p, from, text, n, number);
    if (!at->to)
        *at = (edge){text, (uint32_t)n, from, ++p->nodes, number};
    return at->to;
}

/* `arena` holds it all. */
static oi_status build(const tfidf_attr *a, oi_arena *arena, pool **out)
{
    size_t items = is_text(a) ? a->pool_strings.n : a->pool_ints.n, slots = 16, bytes;
    pool *p = oi_arena_mem(arena, sizeof *p);
    while (slots / 2 <= items)
        slots *= 2;
    OI_FAIL_IF(!oi_mul_size(slots, sizeof(edge), &bytes), ONNX_INFER_E_LIMIT, "a pool of %zu items", items);
    if (!p || !(p->edge = oi_arena_mem(arena, bytes)) || !(p->gram = oi_arena_array(arena, items + 1, sizeof *p->gram)))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(check(a, &p->width));
    p->mask = slots - 1;
    uint64_t gram = 0;
    for (uint32_t size = 1; size <= a->counts.n; size++) {
        size_t from = (size_t)a->counts.at[size - 1], end = size < a->counts.n ? (size_t)a->counts.at[size] : items;
        bool wanted = size >= a->min_gram && size <= a->max_gram;
        for (size_t left = (end - from) / size; left; left--, gram++, from += size) {
            uint32_t node = 0;
            for (uint32_t k = 0; wanted && k < size; k++)
                node = descend(p, a, node, from + k);
            OI_FAIL_IF(gram >= a->indexes.n, ONNX_INFER_E_INVALID_MODEL, "the pool has more n-grams than ngram_indexes has elements, %u",
                       a->indexes.n);
            if (wanted)
                p->gram[node] = (uint32_t)gram + 1;
        }
    }
    *out = p;
    return ONNX_INFER_OK;
}

static void add(const tfidf_attr *a, uint32_t gram, float *y)
{
    float weight = a->mode == MODE_TF || !a->weights.n ? 1 : a->weights.at[gram], *at = &y[a->indexes.at[gram]];
    *at = a->mode == MODE_IDF ? weight : *at + weight;
}

/* Counts the n-grams that begin at `first` and take every `stride`-th item. */
static void count_from(const tfidf_attr *a, const pool *p, const oi_tensor *t, size_t base, size_t n, size_t first, size_t stride,
                       int64_t min_gram, float *y)
{
    uint32_t node = 0;
    size_t at = first;
    for (int64_t size = 1; size <= a->max_gram && at < n; size++) {
        const oi_string *s = t->dtype == ONNX_INFER_STRING ? (const oi_string *)t->data + base + at : NULL;
        const edge *next = s ? find(p, node, s->text, s->n, 0) : find(p, node, NULL, 0, oi_elem_get_int(t->dtype, t->data, base + at));
        if (!next->to)
            return;
        node = next->to;
        if (size >= min_gram && p->gram[node])
            add(a, p->gram[node] - 1, y);
        if (stride >= n - at)
            return;
        at += stride;
    }
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const tfidf_attr *a = r->step->attr;
    const pool *p = r->step->state;
    oi_tensor t = r->step->in[0];
    size_t n = t.rank ? (size_t)t.dim[t.rank - 1] : 1;
    t.data = (void *)(uintptr_t)r->in[0];
    float *y = (float *)r->out[0] + (int64_t)task * p->width;
    int64_t min_gram = a->min_gram;
    memset(y, 0, (size_t)p->width * sizeof *y);
    for (uint64_t stride = 1; stride <= (uint64_t)a->max_skip + 1 && min_gram <= a->max_gram; stride++) {
        for (size_t first = 0; first < n; first++)
            count_from(a, p, &t, task * n, n, first, stride > n ? n : (size_t)stride, min_gram, y);
        min_gram += min_gram == 1; /* skipping changes nothing for 1-grams: they count once */
        if (stride > n)
            break;
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *t = &step->in[0];
    pool *state;
    if (t->rank > 2 || (t->rank == 2 && (t->dim[0] > UINT32_MAX || !t->dim[0])))
        return ONNX_INFER_OK;
    OI_TRY(build(step->attr, p->arena, &state));
    step->state = state;
    step->run = run;
    step->n_tasks = t->rank == 2 ? (uint32_t)t->dim[0] : 1;
    step->kernel = "n-grams";
    return ONNX_INFER_OK;
}

static const oi_dtype types[] = {ONNX_INFER_STRING, ONNX_INFER_INT32, ONNX_INFER_INT64};

static oi_status check_type(const tfidf_attr *a, oi_dtype dtype)
{
    OI_FAIL_IF(dtype && (dtype == ONNX_INFER_STRING) != is_text(a), ONNX_INFER_E_TYPE_MISMATCH, "input 0 is %s, the pool holds %s",
               oi_dtype_name(dtype), is_text(a) ? "strings" : "integers");
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const tfidf_attr *a = x->attr;
    oi_shape s = x->in[0]->shape;
    int64_t width;
    OI_TRY(oi_infer_need_dtype(x, 0, types, 3));
    OI_TRY(check(a, &width));
    OI_TRY(check_type(a, x->in[0]->dtype));
    OI_FAIL_IF(s.rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", s.rank);
    oi_dim dims[2] = {s.rank == 2 ? s.dim[0] : width, width};
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, s.rank < 0 ? -1 : s.rank == 2 ? 2 : 1, dims);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const tfidf_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    int64_t width;
    if (!t || (t->dtype != ONNX_INFER_STRING && t->dtype != ONNX_INFER_INT32 && t->dtype != ONNX_INFER_INT64))
        return oi_eval_bad_type(e, 0);
    OI_TRY(check(a, &width));
    OI_TRY(check_type(a, t->dtype));
    OI_FAIL_IF(t->rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", t->rank);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, t->rank == 2 ? 2 : 1, t->rank == 2 ? (int64_t[]){t->dim[0], width} : &width, &y));
    oi_arena *arena = oi_arena_create(e->alloc);
    if (!arena)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    pool *p;
    oi_status status = build(a, arena, &p);
    if (!status) {
        const oi_step step = {.attr = a, .in = t, .state = p};
        const void *const in[] = {t->data};
        void *const out[] = {y->data};
        const oi_run r = {.step = &step, .in = in, .out = out};
        int64_t rows = t->rank == 2 ? t->dim[0] : 1;
        for (int64_t i = 0; i < rows && !status; i++)
            status = run(&r, (uint32_t)i);
    }
    oi_arena_destroy(arena);
    return status;
}

static const oi_attr_spec attrs[] = {
    {.name = "max_gram_length", .type = OI_ATTR_INT, .offset = OFFSET(max_gram), .flags = OI_ATTR_REQUIRED},
    {.name = "max_skip_count", .type = OI_ATTR_INT, .offset = OFFSET(max_skip), .flags = OI_ATTR_REQUIRED},
    {.name = "min_gram_length", .type = OI_ATTR_INT, .offset = OFFSET(min_gram), .flags = OI_ATTR_REQUIRED},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = OFFSET(mode), .flags = OI_ATTR_REQUIRED, .s = "TF|IDF|TFIDF"},
    {.name = "ngram_counts", .type = OI_ATTR_INTS, .offset = OFFSET(counts), .flags = OI_ATTR_REQUIRED},
    {.name = "ngram_indexes", .type = OI_ATTR_INTS, .offset = OFFSET(indexes), .flags = OI_ATTR_REQUIRED},
    {.name = "pool_int64s", .type = OI_ATTR_INTS, .offset = OFFSET(pool_ints)},
    {.name = "pool_strings", .type = OI_ATTR_STRINGS, .offset = OFFSET(pool_strings)},
    {.name = "weights", .type = OI_ATTR_FLOATS, .offset = OFFSET(weights)},
    {0},
};

const oi_op oi_op_TfIdfVectorizer = {
    .name = "TfIdfVectorizer", .domain = "", .since = 9, .newest = 9, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(tfidf_attr), .infer = infer, .eval = eval, .prepare = prepare,
};
