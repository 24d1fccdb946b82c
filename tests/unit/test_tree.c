/* Forests of decision trees: hostile lists and bytes are refused, and walks answer what a walk of the list itself does. */
#include "kernels/tree.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static oi_arena *arena;

static void setup(void)
{
    ck_assert_ptr_nonnull(arena = oi_arena_create(NULL));
}

static void teardown(void)
{
    oi_arena_destroy(arena);
}

static oi_status build(const oi_tree_node *node, size_t n, const int64_t *root, size_t nroot, oi_tensor *out)
{
    static const oi_tree_vote votes[] = {{0, 1.0}, {1, -2.0}};
    static const double members[] = {1, 2, 3};
    const oi_tree_list list = {node, root, votes, members, n, nroot, 2, 3};
    *out = (oi_tensor){0};
    return oi_forest_build(NULL, arena, &list, out);
}

#define LEAF {.mode = OI_TREE_LEAF, .first = 0, .count = 1}
#define INNER(to, other) {.mode = OI_TREE_LEQ, .yes = to, .no = other}

START_TEST(test_hostile)
{
    static const struct { const char *what; oi_tree_node node[3]; int64_t root[2]; size_t roots; } rows[] = {
        {"a node leads to itself", {INNER(0, 1), LEAF, LEAF}, {0}, 1},
        {"two nodes lead to each other", {INNER(1, 2), INNER(0, 2), LEAF}, {0}, 1},
        {"a branch is outside", {INNER(1, 3), LEAF, LEAF}, {0}, 1},
        {"a branch is negative", {INNER(-1, 1), LEAF, LEAF}, {0}, 1},
        {"a branch is far outside", {INNER(1, INT64_MAX), LEAF, LEAF}, {0}, 1},
        {"a root is outside", {LEAF, LEAF, LEAF}, {3}, 1},
        {"a root is negative", {LEAF, LEAF, LEAF}, {-1}, 1},
        {"two trees share a node", {INNER(1, 2), LEAF, LEAF}, {0, 0}, 2},
        {"a mode is unknown", {{.mode = 77, .yes = 1, .no = 2}, LEAF, LEAF}, {0}, 1},
        {"a feature is negative", {{.mode = OI_TREE_LEQ, .feature = -1, .yes = 1, .no = 2}, LEAF, LEAF}, {0}, 1},
        {"a feature is far away", {{.mode = OI_TREE_LEQ, .feature = INT64_C(1) << 40, .yes = 1, .no = 2}, LEAF, LEAF}, {0}, 1},
        {"votes are missing", {INNER(1, 2), {.mode = OI_TREE_LEAF, .first = 1, .count = 2}, LEAF}, {0}, 1},
        {"votes wrap around", {INNER(1, 2), {.mode = OI_TREE_LEAF, .first = UINT32_MAX, .count = 2}, LEAF}, {0}, 1},
        {"members are missing", {{.mode = OI_TREE_MEMBER, .first = 2, .count = 2, .yes = 1, .no = 2}, LEAF, LEAF}, {0}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        oi_tensor t;
        ck_assert_msg(build(rows[i].node, 3, rows[i].root, rows[i].roots, &t) == ONNX_INFER_E_INVALID_MODEL, "%s", rows[i].what);
        ck_assert_ptr_null(t.data);
    }
}
END_TEST

static uint64_t seed = 7;

static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

enum { MOST = 400, FEATURES = 5, ROWS = 37, TARGETS = 2 };

/* A tree of random shape below node `at`. */
static size_t grow(oi_tree_node *node, size_t *n, int depth, bool any_mode)
{
    size_t at = (*n)++;
    if (depth == 0 || *n > MOST - 8 || draw(5) == 0) {
        node[at] = (oi_tree_node){.mode = OI_TREE_LEAF, .first = draw(2), .count = draw(8) ? 1 : 0};
        return at;
    }
    oi_tree_node x = {.mode = (uint8_t)(any_mode ? draw(7) : draw(4)), .feature = draw(FEATURES), .split = (double)draw(9) / 2 - 2,
                      .missing_yes = draw(2), .count = 2, .first = draw(2)};
    x.yes = (int64_t)grow(node, n, depth - 1, any_mode);
    x.no = (int64_t)grow(node, n, depth - 1, any_mode);
    node[at] = x;
    return at;
}

static bool goes_yes(const oi_tree_node *n, double x)
{
    static const double members[] = {1, 2, 3};
    if (n->missing_yes && isnan(x))
        return true;
    switch (n->mode) {
    case OI_TREE_LEQ: return x <= n->split;
    case OI_TREE_LT: return x < n->split;
    case OI_TREE_GTE: return x >= n->split;
    case OI_TREE_GT: return x > n->split;
    case OI_TREE_EQ: return x == n->split;
    case OI_TREE_NEQ: return x != n->split;
    default: return members[n->first] == x || members[n->first + 1] == x;
    }
}

START_TEST(test_walk)
{
    static const oi_tree_vote votes[] = {{0, 1.0}, {1, -2.0}};
    oi_tree_node node[MOST];
    for (int round = 0; round < 200; round++) {
        size_t n = 0, trees = 1 + draw(5);
        int64_t root[6];
        for (size_t t = 0; t < trees; t++)
            root[t] = (int64_t)grow(node, &n, (int)draw(7), round % 2);
        oi_tensor built;
        ck_assert_int_eq(build(node, n, root, trees, &built), ONNX_INFER_OK);
        oi_tensor again;
        ck_assert_int_eq(oi_forest_check(NULL, &built, &again), ONNX_INFER_OK);
        float x[ROWS * FEATURES];
        double wide[ROWS * FEATURES], acc[2][ROWS * TARGETS] = {{0}}, expect[ROWS * TARGETS] = {0};
        for (size_t i = 0; i < ROWS * FEATURES; i++) {
            x[i] = draw(10) ? (float)draw(17) / 4 - 2 : NAN;
            wide[i] = x[i];
        }
        for (size_t r = 0; r < ROWS; r++)
            for (size_t t = 0; t < trees; t++) {
                const oi_tree_node *at = &node[root[t]];
                while (at->mode != OI_TREE_LEAF)
                    at = &node[goes_yes(at, wide[r * FEATURES + (size_t)at->feature]) ? at->yes : at->no];
                for (uint32_t k = 0; k < at->count; k++)
                    expect[r * TARGETS + votes[at->first + k].target] += votes[at->first + k].weight;
            }
        oi_forest_walk(built.data, ONNX_INFER_FLOAT, x, ROWS, FEATURES, 0, (uint32_t)trees, OI_FOREST_SUM, TARGETS, acc[0], NULL);
        oi_forest_walk(again.data, ONNX_INFER_DOUBLE, wide, ROWS, FEATURES, 0, (uint32_t)trees, OI_FOREST_SUM, TARGETS, acc[1], NULL);
        for (size_t i = 0; i < ROWS * TARGETS; i++)
            ck_assert_msg(acc[0][i] == expect[i] && acc[1][i] == expect[i], "round %d, element %zu: %g %g, expected %g", round, i, acc[0][i],
                          acc[1][i], expect[i]);
        oi_tensor_clear(&built);
        oi_tensor_clear(&again);
    }
}
END_TEST

/* Bytes of a file that somebody changed: refused, or safe to walk. */
START_TEST(test_bytes)
{
    oi_tree_node node[MOST];
    size_t n = 0, walked = 0;
    int64_t root[3];
    for (size_t t = 0; t < 3; t++)
        root[t] = (int64_t)grow(node, &n, 6, true);
    oi_tensor good;
    ck_assert_int_eq(build(node, n, root, 3, &good), ONNX_INFER_OK);
    for (int round = 0; round < 20000; round++) {
        oi_tensor bad, checked;
        int64_t bytes = draw(4) ? good.dim[0] : (int64_t)draw((uint32_t)good.dim[0]);
        ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_UINT8, 1, &bytes, &bad), ONNX_INFER_OK);
        memcpy(bad.data, good.data, (size_t)bytes);
        for (uint32_t k = draw(3); k > 0 && bytes; k--)
            ((uint8_t *)bad.data)[draw(draw(2) && bytes > 64 ? 64 : (uint32_t)bytes)] = (uint8_t)draw(256);
        if (oi_forest_check(NULL, &bad, &checked) == ONNX_INFER_OK) {
            const oi_forest *f = checked.data;
            if (f->features <= 64 && f->targets <= 64) {
                double x[3 * 64] = {1, NAN, -1, 2, 0.5}, acc[3 * 64] = {0};
                oi_forest_walk(f, ONNX_INFER_DOUBLE, x, 3, 64, 0, f->nroot, OI_FOREST_SUM, 64, acc, NULL);
                walked++;
            }
            oi_tensor_clear(&checked);
        }
        oi_tensor_clear(&bad);
    }
    ck_assert_uint_gt(walked, 100);
    oi_tensor_clear(&good);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tree");
    TCase *t = tcase_create("tree");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_hostile);
    tcase_add_test(t, test_walk);
    tcase_add_test(t, test_bytes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
