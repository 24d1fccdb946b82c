/* Trees of ai.onnx.ml as files have them: the three operators' attributes become one built forest (kernels/tree.h). */
#include "ops/ml_tree.h"

#include <stdio.h>
#include <string.h>

enum { MOST_TARGETS = 1 << 28 };

/* Numbers of an attribute of floats, or of "<name>_as_tensor" or a tensor of that very name. */
typedef struct {
    const float *floats;
    const oi_tensor *tensor;
    size_t n;
} reals;

static double real_at(const reals *v, size_t i)
{
    return v->tensor ? oi_elem_get_double(v->tensor->dtype, v->tensor->data, i) : (double)v->floats[i];
}

static oi_status wrong_kind(const char *name)
{
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "attribute '%s' is of the wrong kind", name);
}

/* Reading takes the attribute away: the forest stands for it. Its content lives on. */
static oi_status take_ints(oi_import *im, const char *name, oi_ints *out)
{
    const oi_raw_attr *a = oi_import_find(im, name);
    *out = (oi_ints){0};
    if (!a)
        return ONNX_INFER_OK;
    if (a->type != OI_RAW_INTS)
        return wrong_kind(name);
    *out = a->ints;
    oi_import_drop(im, name);
    return ONNX_INFER_OK;
}

static oi_status take_reals(oi_import *im, const char *name, reals *out)
{
    char tensor_name[64];
    snprintf(tensor_name, sizeof tensor_name, "%s_as_tensor", name);
    const char *const names[] = {name, tensor_name};
    *out = (reals){0};
    for (size_t i = 0; i < 2; i++) {
        const oi_raw_attr *a = oi_import_find(im, names[i]);
        if (!a)
            continue;
        OI_FAIL_IF(out->n, ONNX_INFER_E_INVALID_MODEL, "'%s' and '%s' are both set", names[0], names[1]);
        if (a->type == OI_RAW_TENSOR && (oi_dtype_is_float(a->tensor->dtype) || a->tensor->dtype == ONNX_INFER_UINT8))
            *out = (reals){NULL, a->tensor, (size_t)oi_tensor_count(a->tensor)};
        else if (a->type == OI_RAW_FLOATS)
            *out = (reals){a->floats.at, NULL, a->floats.n};
        else
            return wrong_kind(names[i]);
        oi_import_drop(im, names[i]);
    }
    return ONNX_INFER_OK;
}

static oi_status same_length(const char *name, size_t got, const char *of, size_t expected)
{
    OI_FAIL_IF(got != expected, ONNX_INFER_E_INVALID_MODEL, "%s has %zu elements, %s %zu", name, got, of, expected);
    return ONNX_INFER_OK;
}

static oi_status finish(oi_import *im, oi_arena *scratch, const oi_tree_list *list)
{
    oi_tensor forest;
    OI_TRY(oi_forest_build(oi_arena_alloc_of(im->g->arena), scratch, list, &forest));
    return oi_import_set_tensor(im, "forest", &forest);
}

static oi_status check_targets(int64_t n, const oi_tree_vote *vote, size_t votes)
{
    OI_FAIL_IF(n < 1 || n > MOST_TARGETS, ONNX_INFER_E_INVALID_MODEL, "there are %lld targets", (long long)n);
    for (size_t i = 0; i < votes; i++)
        OI_FAIL_IF(vote[i].target >= n, ONNX_INFER_E_INVALID_MODEL, "vote %zu is for target %u of %lld", i, vote[i].target, (long long)n);
    return ONNX_INFER_OK;
}

static oi_status check_choice(const oi_import *im, const char *name, int64_t choices)
{
    const oi_raw_attr *a = oi_import_find((oi_import *)im, name);
    OI_FAIL_IF(a && (a->type != OI_RAW_INT || a->i < 0 || a->i >= choices), ONNX_INFER_E_INVALID_MODEL, "attribute '%s' is not within 0..%lld",
               name, (long long)choices - 1);
    return ONNX_INFER_OK;
}

/* --- TreeEnsemble ------------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_ints features, yes, no, yes_leaf, no_leaf, missing, targets, roots;
    reals splits, modes, weights, members;
} ensemble;

static oi_status read_ensemble(oi_import *im, ensemble *x)
{
    reals hitrates;
    OI_TRY(take_ints(im, "nodes_featureids", &x->features));
    OI_TRY(take_ints(im, "nodes_truenodeids", &x->yes));
    OI_TRY(take_ints(im, "nodes_falsenodeids", &x->no));
    OI_TRY(take_ints(im, "nodes_trueleafs", &x->yes_leaf));
    OI_TRY(take_ints(im, "nodes_falseleafs", &x->no_leaf));
    OI_TRY(take_ints(im, "nodes_missing_value_tracks_true", &x->missing));
    OI_TRY(take_ints(im, "leaf_targetids", &x->targets));
    OI_TRY(take_ints(im, "tree_roots", &x->roots));
    OI_TRY(take_reals(im, "nodes_splits", &x->splits));
    OI_TRY(take_reals(im, "nodes_modes", &x->modes));
    OI_TRY(take_reals(im, "leaf_weights", &x->weights));
    OI_TRY(take_reals(im, "membership_values", &x->members));
    OI_TRY(take_reals(im, "nodes_hitrates", &hitrates));
    size_t n = x->features.n;
    OI_TRY(same_length("nodes_truenodeids", x->yes.n, "nodes_featureids", n));
    OI_TRY(same_length("nodes_falsenodeids", x->no.n, "nodes_featureids", n));
    OI_TRY(same_length("nodes_trueleafs", x->yes_leaf.n, "nodes_featureids", n));
    OI_TRY(same_length("nodes_falseleafs", x->no_leaf.n, "nodes_featureids", n));
    OI_TRY(same_length("nodes_splits", x->splits.n, "nodes_featureids", n));
    OI_TRY(same_length("nodes_modes", x->modes.n, "nodes_featureids", n));
    OI_TRY(same_length("nodes_missing_value_tracks_true", x->missing.n ? x->missing.n : n, "nodes_featureids", n));
    return same_length("leaf_weights", x->weights.n, "leaf_targetids", x->targets.n);
}

/* Where a branch leads in the list: interior nodes first, then the leaves. */
static int64_t branch(const ensemble *x, int64_t to, int64_t is_leaf)
{
    if (!is_leaf)
        return to >= 0 && to < (int64_t)x->features.n ? to : -1;
    return to >= 0 && to < (int64_t)x->targets.n ? to + (int64_t)x->features.n : -1;
}

/* The members of the next node that asks for membership: up to a NaN or the end. */
static void next_members(const reals *v, size_t *at, oi_tree_node *n)
{
    n->first = (uint32_t)*at;
    while (*at < v->n && real_at(v, *at) == real_at(v, *at))
        ++*at;
    n->count = (uint32_t)(*at - n->first);
    *at += *at < v->n;
}

static oi_status list_ensemble(const ensemble *x, oi_arena *scratch, oi_tree_list *out)
{
    size_t inner = x->features.n, leaves = x->targets.n, member = 0;
    OI_FAIL_IF(x->members.n > UINT32_MAX, ONNX_INFER_E_LIMIT, "membership_values has %zu elements", x->members.n);
    oi_tree_node *node = oi_arena_array(scratch, inner + leaves + 1, sizeof *node);
    oi_tree_vote *vote = oi_arena_array(scratch, leaves + 1, sizeof *vote);
    double *members = oi_arena_array(scratch, x->members.n + 1, sizeof *members);
    if (!node || !vote || !members)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < inner; i++) {
        double mode = real_at(&x->modes, i);
        OI_FAIL_IF(!(mode >= OI_TREE_LEQ && mode <= OI_TREE_MEMBER), ONNX_INFER_E_INVALID_MODEL, "nodes_modes[%zu] is %g", i, mode);
        node[i] = (oi_tree_node){.mode = (uint8_t)mode, .feature = x->features.at[i], .split = real_at(&x->splits, i),
                                 .missing_yes = x->missing.n && x->missing.at[i], .yes = branch(x, x->yes.at[i], x->yes_leaf.at[i]),
                                 .no = branch(x, x->no.at[i], x->no_leaf.at[i])};
        if (node[i].mode == OI_TREE_MEMBER)
            next_members(&x->members, &member, &node[i]);
    }
    for (size_t i = 0; i < x->members.n; i++)
        members[i] = real_at(&x->members, i);
    for (size_t i = 0; i < leaves; i++) {
        OI_FAIL_IF(x->targets.at[i] < 0 || x->targets.at[i] >= MOST_TARGETS, ONNX_INFER_E_INVALID_MODEL, "leaf_targetids[%zu] is %lld", i,
                   (long long)x->targets.at[i]);
        vote[i] = (oi_tree_vote){(uint32_t)x->targets.at[i], real_at(&x->weights, i)};
        node[inner + i] = (oi_tree_node){.mode = OI_TREE_LEAF, .first = (uint32_t)i, .count = 1};
    }
    *out = (oi_tree_list){node, x->roots.at, vote, members, inner + leaves, x->roots.n, leaves, x->members.n};
    return ONNX_INFER_OK;
}

static oi_status upgrade_ensemble(oi_import *im, oi_arena *scratch)
{
    ensemble x;
    oi_tree_list list;
    OI_TRY(check_choice(im, "aggregate_function", 4));
    OI_TRY(check_choice(im, "post_transform", 5));
    OI_TRY(read_ensemble(im, &x));
    OI_TRY(list_ensemble(&x, scratch, &list));
    const oi_raw_attr *targets = oi_import_find(im, "n_targets");
    OI_FAIL_IF(targets && targets->type != OI_RAW_INT, ONNX_INFER_E_INVALID_MODEL, "attribute 'n_targets' is no integer");
    int64_t n = targets ? targets->i : 1;
    OI_TRY(check_targets(n, list.vote, list.nvote));
    for (size_t i = 0; i < list.nroot; i++)
        OI_FAIL_IF(list.root[i] < 0 || list.root[i] >= (int64_t)x.features.n, ONNX_INFER_E_INVALID_MODEL, "tree_roots[%zu] is %lld of %u nodes", i,
                   (long long)list.root[i], x.features.n);
    OI_TRY(oi_import_set_int(im, "n_targets", n));
    return finish(im, scratch, &list);
}

/* --- TreeEnsembleClassifier and TreeEnsembleRegressor --------------------------------------------------------------------- */

typedef struct {
    oi_ints tree, node, feature, yes, no, missing, vote_tree, vote_node, vote_target;
    oi_strings modes;
    reals values, weights;
} tuples;

static oi_status take_modes(oi_import *im, oi_strings *out)
{
    const oi_raw_attr *a = oi_import_find(im, "nodes_modes");
    *out = (oi_strings){0};
    if (!a)
        return ONNX_INFER_OK;
    if (a->type != OI_RAW_STRINGS)
        return wrong_kind("nodes_modes");
    *out = a->strings;
    oi_import_drop(im, "nodes_modes");
    return ONNX_INFER_OK;
}

static oi_status read_tuples(oi_import *im, const char *prefix, tuples *x)
{
    char name[4][32];
    static const char *const parts[] = {"treeids", "nodeids", "ids", "weights"};
    reals hitrates;
    for (size_t i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "%s_%s", prefix, parts[i]);
    OI_TRY(take_ints(im, "nodes_treeids", &x->tree));
    OI_TRY(take_ints(im, "nodes_nodeids", &x->node));
    OI_TRY(take_ints(im, "nodes_featureids", &x->feature));
    OI_TRY(take_ints(im, "nodes_truenodeids", &x->yes));
    OI_TRY(take_ints(im, "nodes_falsenodeids", &x->no));
    OI_TRY(take_ints(im, "nodes_missing_value_tracks_true", &x->missing));
    OI_TRY(take_ints(im, name[0], &x->vote_tree));
    OI_TRY(take_ints(im, name[1], &x->vote_node));
    OI_TRY(take_ints(im, name[2], &x->vote_target));
    OI_TRY(take_modes(im, &x->modes));
    OI_TRY(take_reals(im, "nodes_values", &x->values));
    OI_TRY(take_reals(im, name[3], &x->weights));
    OI_TRY(take_reals(im, "nodes_hitrates", &hitrates));
    size_t n = x->node.n;
    OI_TRY(same_length("nodes_treeids", x->tree.n, "nodes_nodeids", n));
    OI_TRY(same_length("nodes_featureids", x->feature.n, "nodes_nodeids", n));
    OI_TRY(same_length("nodes_truenodeids", x->yes.n, "nodes_nodeids", n));
    OI_TRY(same_length("nodes_falsenodeids", x->no.n, "nodes_nodeids", n));
    OI_TRY(same_length("nodes_modes", x->modes.n, "nodes_nodeids", n));
    OI_TRY(same_length("nodes_values", x->values.n, "nodes_nodeids", n));
    OI_TRY(same_length("nodes_missing_value_tracks_true", x->missing.n ? x->missing.n : n, "nodes_nodeids", n));
    OI_TRY(same_length(name[0], x->vote_tree.n, name[3], x->weights.n));
    OI_TRY(same_length(name[1], x->vote_node.n, name[3], x->weights.n));
    return same_length(name[2], x->vote_target.n, name[3], x->weights.n);
}

/* From (tree, node) to a place in the list of nodes. */
typedef struct {
    const tuples *x;
    uint32_t *slot; /* 1 + a place; 0: free */
    size_t mask;
} node_table;

static size_t find_slot(const node_table *t, int64_t tree, int64_t id)
{
    uint64_t h = ((uint64_t)tree * UINT64_C(0x9E3779B97F4A7C15)) ^ ((uint64_t)id * UINT64_C(0xD6E8FEB86659FD93));
    size_t i = (size_t)(h ^ h >> 31) & t->mask;
    while (t->slot[i] && (t->x->tree.at[t->slot[i] - 1] != tree || t->x->node.at[t->slot[i] - 1] != id))
        i = (i + 1) & t->mask;
    return i;
}

static int64_t find_node(const node_table *t, int64_t tree, int64_t id)
{
    return (int64_t)t->slot[find_slot(t, tree, id)] - 1;
}

static oi_status fill_table(const tuples *x, oi_arena *scratch, node_table *t)
{
    size_t slots = 16;
    while (slots / 2 < x->node.n)
        slots *= 2;
    *t = (node_table){x, oi_arena_array(scratch, slots, sizeof *t->slot), slots - 1};
    if (!t->slot)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < x->node.n; i++) {
        uint32_t *to = &t->slot[find_slot(t, x->tree.at[i], x->node.at[i])];
        OI_FAIL_IF(*to, ONNX_INFER_E_INVALID_MODEL, "node %lld of tree %lld is there twice", (long long)x->node.at[i], (long long)x->tree.at[i]);
        *to = i + 1;
    }
    return ONNX_INFER_OK;
}

static oi_status mode_of(const oi_strings *s, uint32_t i, uint8_t *out)
{
    static const char *const words[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "", "LEAF"};
    for (uint8_t k = 0; k < sizeof words / sizeof *words; k++)
        if (words[k][0] && strlen(words[k]) == s->len[i] && memcmp(words[k], s->at[i], s->len[i]) == 0) {
            *out = k;
            return ONNX_INFER_OK;
        }
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "nodes_modes[%u] is '%.*s'", i, (int)(s->len[i] < 32 ? s->len[i] : 32), s->at[i]);
}

/* Votes grouped by leaf; those on other nodes do not count. */
static oi_status list_votes(const tuples *x, const node_table *t, oi_arena *scratch, oi_tree_node *node, oi_tree_list *out)
{
    uint32_t votes = (uint32_t)x->weights.n, *of = oi_arena_array(scratch, x->weights.n + 1, sizeof *of), total = 0;
    oi_tree_vote *vote = oi_arena_array(scratch, x->weights.n + 1, sizeof *vote);
    if (!of || !vote)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < votes; i++) {
        int64_t at = find_node(t, x->vote_tree.at[i], x->vote_node.at[i]);
        OI_FAIL_IF(at < 0, ONNX_INFER_E_INVALID_MODEL, "vote %u is of node %lld of tree %lld, which is not there", i,
                   (long long)x->vote_node.at[i], (long long)x->vote_tree.at[i]);
        OI_FAIL_IF(x->vote_target.at[i] < 0 || x->vote_target.at[i] >= MOST_TARGETS, ONNX_INFER_E_INVALID_MODEL, "vote %u is for target %lld", i,
                   (long long)x->vote_target.at[i]);
        of[i] = (uint32_t)at;
        node[at].count += node[at].mode == OI_TREE_LEAF;
    }
    for (size_t i = 0; i < x->node.n; i++) {
        node[i].first = total;
        total += node[i].count;
        node[i].count = 0;
    }
    for (uint32_t i = 0; i < votes; i++) {
        oi_tree_node *n = &node[of[i]];
        if (n->mode == OI_TREE_LEAF)
            vote[n->first + n->count++] = (oi_tree_vote){(uint32_t)x->vote_target.at[i], real_at(&x->weights, i)};
    }
    out->vote = vote;
    out->nvote = total;
    return ONNX_INFER_OK;
}

/* Roots are the nodes that no branch leads to, in the order of the list. */
static oi_status list_tuples(const tuples *x, oi_arena *scratch, oi_tree_list *out)
{
    node_table t;
    size_t n = x->node.n, inner = 0, roots = 0;
    OI_FAIL_IF(x->weights.n > UINT32_MAX, ONNX_INFER_E_LIMIT, "there are %zu votes", x->weights.n);
    oi_tree_node *node = oi_arena_array(scratch, n + 1, sizeof *node);
    int64_t *root = oi_arena_array(scratch, n + 1, sizeof *root);
    uint8_t *is_child = oi_arena_array(scratch, n + 1, 1);
    if (!node || !root || !is_child)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(fill_table(x, scratch, &t));
    for (uint32_t i = 0; i < n; i++) {
        oi_tree_node *to = &node[i];
        OI_TRY(mode_of(&x->modes, i, &to->mode));
        to->feature = x->feature.at[i];
        to->split = real_at(&x->values, i);
        to->missing_yes = x->missing.n && x->missing.at[i];
        to->yes = to->no = -1;
        if (to->mode == OI_TREE_LEAF)
            continue;
        inner++;
        to->yes = find_node(&t, x->tree.at[i], x->yes.at[i]);
        to->no = find_node(&t, x->tree.at[i], x->no.at[i]);
        OI_FAIL_IF(to->yes < 0 || to->no < 0, ONNX_INFER_E_INVALID_MODEL, "node %lld of tree %lld leads to node %lld, which is not there",
                   (long long)x->node.at[i], (long long)x->tree.at[i], (long long)(to->yes < 0 ? x->yes.at[i] : x->no.at[i]));
        is_child[to->yes] = is_child[to->no] = 1;
    }
    for (size_t i = 0; i < n; i++)
        if (!is_child[i])
            root[roots++] = (int64_t)i;
    OI_TRY(list_votes(x, &t, scratch, node, out));
    OI_FAIL_IF(n && !roots, ONNX_INFER_E_INVALID_MODEL, "the trees have no root: their nodes form a cycle");
    out->node = node;
    out->root = root;
    out->nnode = n;
    out->nroot = roots;
    return ONNX_INFER_OK;
}

static oi_status word_to_int(oi_import *im, const char *name, const char *const *words, int64_t n)
{
    const oi_raw_attr *a = oi_import_find(im, name);
    if (!a)
        return ONNX_INFER_OK;
    if (a->type != OI_RAW_STRING)
        return wrong_kind(name);
    for (int64_t i = 0; i < n; i++)
        if (strlen(words[i]) == a->slen && memcmp(words[i], a->s, a->slen) == 0)
            return oi_import_set_int(im, name, i);
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "attribute '%s' is '%.*s'", name, (int)(a->slen < 32 ? a->slen : 32), a->s);
}

static oi_status set_base(oi_import *im, int64_t targets, bool classifier)
{
    reals base;
    oi_tensor t;
    OI_TRY(take_reals(im, "base_values", &base));
    bool fits = (int64_t)base.n == targets || (classifier && base.n == 1 && targets <= 2);
    OI_FAIL_IF(base.n && !fits, ONNX_INFER_E_INVALID_MODEL, "base_values has %zu elements for %lld targets", base.n, (long long)targets);
    if (!base.n)
        return ONNX_INFER_OK;
    int64_t n = (int64_t)base.n;
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(im->g->arena), ONNX_INFER_DOUBLE, 1, &n, &t));
    for (size_t i = 0; i < base.n; i++)
        ((double *)t.data)[i] = real_at(&base, i);
    return oi_import_set_tensor(im, "base", &t);
}

static oi_status upgrade_tuples(oi_import *im, oi_arena *scratch)
{
    static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    static const char *const sums[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    bool classifier = im->op == &oi_op_ml_TreeEnsembleClassifier;
    tuples x;
    oi_tree_list list = {0};
    OI_TRY(word_to_int(im, "post_transform", transforms, 5));
    OI_TRY(word_to_int(im, "aggregate_function", sums, 4));
    OI_TRY(read_tuples(im, classifier ? "class" : "target", &x));
    OI_TRY(list_tuples(&x, scratch, &list));
    int64_t targets = 1;
    if (classifier) {
        const oi_raw_attr *s = oi_import_find(im, "classlabels_strings"), *v = oi_import_find(im, "classlabels_int64s");
        targets = s && s->type == OI_RAW_STRINGS && s->strings.n ? s->strings.n : v && v->type == OI_RAW_INTS ? v->ints.n : 0;
        bool one_class = true, positive = true;
        for (size_t i = 0; i < x.weights.n; i++) {
            one_class = one_class && x.vote_target.at[i] == x.vote_target.at[0];
            positive = positive && !(real_at(&x.weights, i) < 0);
        }
        OI_TRY(oi_import_set_int(im, "n_targets", targets));
        OI_TRY(oi_import_set_int(im, "binary", targets == 2 && one_class));
        OI_TRY(oi_import_set_int(im, "positive", positive));
    } else {
        const oi_raw_attr *n = oi_import_find(im, "n_targets");
        OI_FAIL_IF(n && n->type != OI_RAW_INT, ONNX_INFER_E_INVALID_MODEL, "attribute 'n_targets' is no integer");
        targets = n ? n->i : 1;
        OI_TRY(oi_import_set_int(im, "n_targets", targets));
    }
    OI_TRY(check_targets(targets, list.vote, list.nvote));
    OI_TRY(set_base(im, targets, classifier));
    OI_TRY(finish(im, scratch, &list));
    return classifier ? oi_ml_import_labels(im, "classlabels_strings", "classlabels_int64s", false) : ONNX_INFER_OK;
}

static int64_t int_of(oi_import *im, const char *name, int64_t absent)
{
    const oi_raw_attr *a = oi_import_find(im, name);
    return !a ? absent : a->type == OI_RAW_INT ? a->i : -1;
}

/* Of a file that we wrote, or that says so. */
static oi_status check_own_form(oi_import *im, const oi_raw_attr *forest)
{
    const oi_raw_attr *base = oi_import_find(im, "base"), *labels = oi_import_find(im, "classlabels_int64s");
    bool classifier = im->op == &oi_op_ml_TreeEnsembleClassifier;
    int64_t targets = int_of(im, "n_targets", 1), binary = int_of(im, "binary", 0);
    oi_tensor checked;
    OI_FAIL_IF(forest->type != OI_RAW_TENSOR, ONNX_INFER_E_INVALID_MODEL, "attribute 'forest' is no tensor");
    OI_TRY(check_choice(im, "aggregate_function", 4));
    OI_TRY(check_choice(im, "post_transform", 5));
    OI_TRY(check_targets(targets, NULL, 0));
    if (base) {
        bool good = base->type == OI_RAW_TENSOR && base->tensor->dtype == ONNX_INFER_DOUBLE && base->tensor->rank == 1 &&
                    (base->tensor->dim[0] == targets || (classifier && base->tensor->dim[0] == 1 && targets <= 2));
        OI_FAIL_IF(!good, ONNX_INFER_E_INVALID_MODEL, "attribute 'base' does not fit");
        OI_TRY(oi_tensor_align(oi_arena_alloc_of(im->g->arena), base->tensor));
    }
    OI_FAIL_IF(classifier && (!labels || labels->type != OI_RAW_INTS || labels->ints.n != targets || (binary && targets != 2)),
               ONNX_INFER_E_INVALID_MODEL, "the labels do not go with the targets");
    OI_TRY(oi_forest_check(oi_arena_alloc_of(im->g->arena), forest->tensor, &checked));
    if (((const oi_forest *)checked.data)->targets > targets) {
        oi_tensor_clear(&checked);
        return oi_fail(ONNX_INFER_E_INVALID_MODEL, "the forest votes for more targets than there are");
    }
    return oi_import_set_tensor(im, "forest", &checked);
}

oi_status oi_ml_tree_import(oi_import *im)
{
    const oi_raw_attr *forest = oi_import_find(im, "forest");
    if (forest && forest->by_import)
        return check_own_form(im, forest);
    oi_arena *scratch = oi_arena_create(oi_arena_alloc_of(im->g->arena));
    if (!scratch)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = im->op == &oi_op_ml_TreeEnsemble ? upgrade_ensemble(im, scratch) : upgrade_tuples(im, scratch);
    oi_arena_destroy(scratch);
    return status;
}
