/* Trees of ai.onnx.ml: TreeEnsemble, TreeEnsembleClassifier, TreeEnsembleRegressor. */
#include "base/checked.h"
#include "ops/ml_tree.h"
#include "tensor/convert.h"

#include <string.h>

typedef struct {
    const oi_tensor *forest, *base;
    oi_ints labels;
    int64_t targets, sum, transform, binary, positive;
} tree_attr;

#define OFFSET(field) ((uint16_t)offsetof(tree_attr, field))

enum {
    BLOCK = 64,             /* rows that walk a tree one after the other */
    WALKS_PER_TASK = 1024,  /* rows x trees, where there are too few rows to make tasks of */
    PARTIAL_BYTES = 1 << 26 /* that sums of groups of trees may take */
};

/* How the work is cut: blocks of rows; where they are few also groups of trees, whose sums a second phase adds up. */
typedef struct {
    const oi_forest *forest;
    int64_t rows, cols, block, blocks;
    uint32_t groups, group_trees;
    size_t targets, row_bytes;    /* row_bytes: of a row brought to the type of the walk; 0: walked as it is */
    size_t acc_bytes, part_bytes; /* of a block's sums; with what was seen */
    oi_dtype walk;
    bool seen;
} layout;

static const tree_attr *attr_of(const void *attr, const oi_forest **f)
{
    const tree_attr *a = attr;
    *f = a->forest ? a->forest->data : NULL;
    return a;
}

static bool is_classifier(const oi_op *op)
{
    return op == &oi_op_ml_TreeEnsembleClassifier;
}

static bool known_type(const oi_op *op, oi_dtype t)
{
    if (t == ONNX_INFER_FLOAT || t == ONNX_INFER_DOUBLE)
        return true;
    return op == &oi_op_ml_TreeEnsemble ? t == ONNX_INFER_FLOAT16 : t == ONNX_INFER_INT64 || t == ONNX_INFER_INT32;
}

static oi_status check_columns(const oi_forest *f, int64_t cols)
{
    OI_FAIL_IF(cols < (int64_t)f->features, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has %lld columns, the trees look at %u", (long long)cols,
               f->features);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_forest *f;
    const tree_attr *a = attr_of(x->attr, &f);
    const oi_fact *in = x->in[0];
    OI_FAIL_IF(!f, ONNX_INFER_E_INTERNAL, "%s has no forest", x->op->name);
    OI_FAIL_IF(in->kind != ONNX_INFER_TENSOR || (in->dtype && !known_type(x->op, in->dtype)), ONNX_INFER_E_TYPE_MISMATCH,
               "input 0 is %s, which %s does not take", oi_dtype_name(in->dtype), x->op->name);
    const oi_shape *s = &in->shape;
    OI_FAIL_IF(s->rank == 0 || s->rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", s->rank);
    if (s->rank > 0 && oi_dim_is_number(s->dim[s->rank - 1]))
        OI_TRY(check_columns(f, s->dim[s->rank - 1]));
    oi_dim dims[2] = {s->rank == 2 ? s->dim[0] : s->rank == 1 ? 1 : oi_dim_fresh(x->syms), a->targets};
    if (is_classifier(x->op)) {
        oi_infer_set(x, 0, ONNX_INFER_INT64, 1, dims);
        oi_infer_set(x, 1, ONNX_INFER_FLOAT, 2, dims);
    } else {
        oi_infer_set(x, 0, x->op == &oi_op_ml_TreeEnsemble ? in->dtype : ONNX_INFER_FLOAT, 2, dims);
    }
    return ONNX_INFER_OK;
}

/* --- scores and labels ---------------------------------------------------------------------------------------------------- */

static size_t best_of(const double *score, const uint8_t *counts, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if ((!counts || counts[k]) && ((counts && !counts[best]) || score[k] > score[best]))
            best = k;
    return best;
}

/* The place of the winning label: of the classes that got votes, or base values. Base values are added; n becomes 1 where one
 * score stands for both classes. */
static size_t classify(const tree_attr *a, double *score, const uint8_t *seen, size_t *n, oi_second *second)
{
    const double *base = a->base ? a->base->data : NULL;
    size_t nbase = a->base ? (size_t)a->base->dim[0] : 0;
    *n = (size_t)a->targets;
    *second = OI_SECOND_NONE;
    if (nbase == *n || !a->binary) {
        for (size_t k = 0; k < nbase; k++)
            score[k] += base[k];
        return best_of(score, nbase ? NULL : seen, *n);
    }
    double *voted = &score[seen[1]];
    *voted += nbase ? base[0] : 0;
    if (!seen[1]) {
        *second = a->positive ? OI_SECOND_COMPLEMENT : OI_SECOND_NEGATED;
        *n = 1;
    }
    return *voted > (a->positive ? 0.5 : 0);
}

/* A row's sums become outputs. `score` has room for two at least. */
static void finish_row(const oi_step *step, const layout *l, double *score, const uint8_t *seen, int64_t row, void *const *out)
{
    const tree_attr *a = step->attr;
    if (is_classifier(step->op)) {
        oi_second second;
        size_t n;
        size_t label = classify(a, score, seen, &n, &second);
        if (out[0])
            ((int64_t *)out[0])[row] = a->labels.at[label];
        if (out[1]) {
            float *to = (float *)out[1] + row * (int64_t)l->targets;
            if (oi_ml_write_scores(a->transform, second, score, n, to) < l->targets)
                to[1] = to[0];
        }
        return;
    }
    for (size_t k = 0; k < l->targets; k++) {
        if (a->sum == OI_FOREST_AVERAGE && l->forest->nroot)
            score[k] /= l->forest->nroot;
        score[k] += a->base ? ((const double *)a->base->data)[k] : 0;
    }
    if (l->targets > 1 || a->transform == OI_POST_PROBIT || a->transform == OI_POST_LOGISTIC)
        oi_ml_post(a->transform, score, l->targets);
    for (size_t k = 0; out[0] && k < l->targets; k++)
        oi_elem_set_double(step->out[0].dtype, out[0], (size_t)row * l->targets + k, score[k]);
}

/* --- tasks ------------------------------------------------------------------------------------------------------------------ */

/* The sums of a block and a group, and what was seen; in `at`. */
static uint8_t *seen_of(const layout *l, char *at)
{
    return l->seen ? (uint8_t *)at + l->acc_bytes : NULL;
}

static void walk_block(const oi_run *r, const layout *l, int64_t block, uint32_t group, char *part, char *room)
{
    const oi_tensor *x = &r->step->in[0];
    int64_t first = block * l->block, rows = l->rows - first < l->block ? l->rows - first : l->block;
    const void *data = (const char *)r->in[0] + (size_t)(first * l->cols) * oi_dtype_size(x->dtype);
    uint32_t tree = group * l->group_trees, end = l->forest->nroot - tree < l->group_trees ? l->forest->nroot : tree + l->group_trees;
    if (l->row_bytes) {
        oi_convert(x->dtype, r->in[0], (size_t)(first * l->cols), l->walk, room, 0, (size_t)(rows * l->cols), true);
        data = room;
    }
    memset(part, 0, l->part_bytes);
    oi_forest_walk(l->forest, l->walk, data, (size_t)rows, (size_t)l->cols, tree, end, (oi_forest_sum)((const tree_attr *)r->step->attr)->sum,
                   l->targets, (double *)part, seen_of(l, part));
}

static void finish_block(const oi_run *r, const layout *l, int64_t block, char *part, double *score)
{
    int64_t first = block * l->block, rows = l->rows - first < l->block ? l->rows - first : l->block;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(score, (double *)part + (size_t)i * l->targets, l->targets * sizeof *score);
        uint8_t *seen = seen_of(l, part);
        finish_row(r->step, l, score, seen ? seen + (size_t)i * l->targets : NULL, first + i, r->out);
    }
}

static size_t score_bytes(const layout *l)
{
    return (l->targets + 2 + 7) / 8 * 8 * sizeof(double);
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const layout *l = r->step->state;
    double *score = r->thread_workspace;
    char *own = (char *)r->thread_workspace + score_bytes(l);
    if (l->groups == 1) {
        walk_block(r, l, task, 0, own, own + l->part_bytes);
        finish_block(r, l, task, own, score);
        return ONNX_INFER_OK;
    }
    char *parts = r->workspace;
    uint32_t walks = (uint32_t)l->blocks * l->groups;
    if (task < walks) {
        walk_block(r, l, task / l->groups, task % l->groups, parts + task * l->part_bytes, own);
        return ONNX_INFER_OK;
    }
    int64_t block = task - walks;
    char *sum = parts + (size_t)block * l->groups * l->part_bytes;
    for (uint32_t g = 1; g < l->groups; g++) {
        char *more = sum + g * l->part_bytes;
        oi_forest_merge((oi_forest_sum)((const tree_attr *)r->step->attr)->sum, (size_t)l->block * l->targets, (double *)sum, seen_of(l, sum),
                        (const double *)more, seen_of(l, more));
    }
    finish_block(r, l, block, sum, score);
    return ONNX_INFER_OK;
}

static oi_status lay_out(const oi_op *op, const tree_attr *a, const oi_tensor *x, layout *l)
{
    const oi_forest *f;
    attr_of(a, &f);
    OI_FAIL_IF(!f, ONNX_INFER_E_INTERNAL, "%s has no forest", op->name);
    OI_FAIL_IF(x->rank != 1 && x->rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", x->rank);
    *l = (layout){.forest = f, .rows = x->rank == 2 ? x->dim[0] : 1, .cols = x->dim[x->rank - 1], .targets = (size_t)a->targets};
    OI_TRY(check_columns(f, l->cols));
    l->walk = x->dtype == ONNX_INFER_FLOAT || x->dtype == ONNX_INFER_FLOAT16 ? ONNX_INFER_FLOAT : ONNX_INFER_DOUBLE;
    l->seen = is_classifier(op) || a->sum >= OI_FOREST_MIN;
    l->block = BLOCK;
    while (l->block > 8 && (size_t)l->block * ((size_t)l->cols + l->targets) > (1u << 17))
        l->block /= 2;
    if (l->rows < l->block)
        l->block = l->rows ? l->rows : 1;
    l->blocks = (l->rows + l->block - 1) / l->block;
    l->row_bytes = l->walk == x->dtype ? 0 : (size_t)l->cols * oi_dtype_size(l->walk);
    size_t cells, bytes;
    bool fits = oi_mul_size((size_t)l->block, l->targets, &cells) && oi_mul_size(cells, sizeof(double), &l->acc_bytes) &&
                oi_add_size(l->acc_bytes, l->seen ? cells : 0, &bytes) && oi_align_size(bytes, 64, &l->part_bytes);
    OI_FAIL_IF(!fits || l->blocks > (1 << 30), ONNX_INFER_E_LIMIT, "%lld rows of %zu targets", (long long)l->rows, l->targets);
    l->groups = 1;
    l->group_trees = f->nroot ? f->nroot : 1;
    if (l->blocks && l->blocks < 16) {
        uint32_t trees = (uint32_t)(WALKS_PER_TASK / l->block), groups = f->nroot / (trees ? trees : 1);
        groups = groups > 64 ? 64 : groups;
        if (groups > 1 && l->part_bytes <= PARTIAL_BYTES / groups / (size_t)l->blocks) {
            l->group_trees = (f->nroot + groups - 1) / groups;
            l->groups = (f->nroot + l->group_trees - 1) / l->group_trees;
        }
    }
    return ONNX_INFER_OK;
}

static oi_status plan(oi_step *step, layout *l)
{
    size_t room;
    bool fits = oi_mul_size(l->row_bytes, (size_t)l->block, &room) && oi_add_size(room, l->part_bytes + score_bytes(l), &step->thread_workspace);
    OI_FAIL_IF(!fits, ONNX_INFER_E_LIMIT, "rows of %lld columns", (long long)l->cols);
    step->state = l;
    step->n_tasks = (uint32_t)l->blocks;
    if (l->groups > 1) {
        step->workspace = (size_t)l->blocks * l->groups * l->part_bytes;
        step->phases = 2;
        step->phase_end[0] = (uint32_t)l->blocks * l->groups;
        step->n_tasks = step->phase_end[1] = step->phase_end[0] + (uint32_t)l->blocks;
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    layout *l = oi_arena_mem(p->arena, sizeof *l);
    if (!l)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(lay_out(step->op, step->attr, &step->in[0], l));
    if (!l->blocks)
        return ONNX_INFER_OK;
    OI_TRY(plan(step, l));
    step->run = run;
    step->kernel = l->forest->special ? "trees, any test" : "trees";
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const tree_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    layout l;
    oi_tensor *y = NULL, *z = NULL, outs[2] = {{0}};
    if (!x || !known_type(e->op, x->dtype))
        return oi_eval_bad_type(e, 0);
    OI_TRY(lay_out(e->op, a, x, &l));
    int64_t dims[2] = {l.rows, a->targets};
    if (is_classifier(e->op)) {
        OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 1, dims, &y));
        if (e->nout > 1)
            OI_TRY(oi_eval_out(e, 1, ONNX_INFER_FLOAT, 2, dims, &z));
    } else {
        OI_TRY(oi_eval_out(e, 0, e->op == &oi_op_ml_TreeEnsemble ? x->dtype : ONNX_INFER_FLOAT, 2, dims, &y));
    }
    outs[0] = *y;
    oi_step step = {.op = e->op, .node = e->node, .attr = a, .nin = 1, .nout = e->nout, .in = x, .out = outs};
    OI_TRY(plan(&step, &l));
    void *workspace = oi_alloc_data(e->alloc, step.workspace), *own = oi_alloc_data(e->alloc, step.thread_workspace);
    const void *const in[] = {x->data};
    void *const out[] = {y->data, z ? z->data : NULL};
    const oi_run r = {.step = &step, .in = in, .out = out, .workspace = workspace, .thread_workspace = own};
    oi_status status = workspace && own ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t task = 0; task < step.n_tasks && !status; task++)
        status = run(&r, task);
    oi_free_data(e->alloc, workspace, step.workspace);
    oi_free_data(e->alloc, own, step.thread_workspace);
    return status;
}

/* --- definitions ---------------------------------------------------------------------------------------------------------------- */

#define FOREST {.name = "forest", .type = OI_ATTR_TENSOR, .offset = OFFSET(forest), .flags = OI_ATTR_INTERNAL}
#define BASE {.name = "base", .type = OI_ATTR_TENSOR, .offset = OFFSET(base), .flags = OI_ATTR_INTERNAL}
#define TARGETS {.name = "n_targets", .type = OI_ATTR_INT, .offset = OFFSET(targets), .i = 1}
#define SUM {.name = "aggregate_function", .type = OI_ATTR_INT, .offset = OFFSET(sum), .i = OI_FOREST_SUM}
#define TRANSFORM {.name = "post_transform", .type = OI_ATTR_INT, .offset = OFFSET(transform)}

static const oi_attr_spec ensemble_attrs[] = {SUM, FOREST, TARGETS, TRANSFORM, {0}};
static const oi_attr_spec regressor_attrs[] = {SUM, BASE, FOREST, TARGETS, TRANSFORM, {0}};
static const oi_attr_spec classifier_attrs[] = {
    {.name = "aggregate_function", .type = OI_ATTR_INT, .offset = OFFSET(sum), .flags = OI_ATTR_INTERNAL, .i = OI_FOREST_SUM},
    BASE,
    {.name = "binary", .type = OI_ATTR_INT, .offset = OFFSET(binary), .flags = OI_ATTR_INTERNAL},
    {.name = "classlabels_int64s", .type = OI_ATTR_INTS, .offset = OFFSET(labels)},
    FOREST,
    {.name = "n_targets", .type = OI_ATTR_INT, .offset = OFFSET(targets), .flags = OI_ATTR_INTERNAL, .i = 1},
    {.name = "positive", .type = OI_ATTR_INT, .offset = OFFSET(positive), .flags = OI_ATTR_INTERNAL},
    TRANSFORM,
    {0},
};

const oi_op oi_op_ml_TreeEnsemble = {
    .name = "TreeEnsemble", .domain = OI_ML_DOMAIN, .since = 5, .newest = 5, .flags = OI_OP_CHECKS_OWN_FORM, .min_in = 1, .max_in = 1,
    .min_out = 1, .max_out = 1, .attrs = ensemble_attrs, .attr_size = sizeof(tree_attr), .import = oi_ml_tree_import, .infer = infer, .eval = eval, .prepare = prepare,
};
const oi_op oi_op_ml_TreeEnsembleClassifier = {
    .name = "TreeEnsembleClassifier", .domain = OI_ML_DOMAIN, .since = 1, .newest = 5, .deprecated = 5, .flags = OI_OP_CHECKS_OWN_FORM,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 2, .attrs = classifier_attrs, .attr_size = sizeof(tree_attr),
    .import = oi_ml_tree_import, .infer = infer, .eval = eval, .prepare = prepare,
};
const oi_op oi_op_ml_TreeEnsembleRegressor = {
    .name = "TreeEnsembleRegressor", .domain = OI_ML_DOMAIN, .since = 1, .newest = 5, .deprecated = 5, .flags = OI_OP_CHECKS_OWN_FORM,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = regressor_attrs, .attr_size = sizeof(tree_attr),
    .import = oi_ml_tree_import, .infer = infer, .eval = eval, .prepare = prepare,
};
