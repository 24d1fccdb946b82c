/* How the driver and the passes behave: subgraphs, undone and endless rewrites, bounds, memory. What rules rewrite: test_rules.c. */
#include "graph_text.h"
#include "ops/infer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const oi_target *target(void)
{
    static oi_target t;
    t.kernels = oi_kernels_for(oi_cpu_isa_detect());
    t.isa = t.kernels->isa;
    return &t;
}

/* y = If(condition) then Neg(Identity(x)) * c else Abs(x); x and c are captured. */
static oi_graph *graph_with_if(bool known, bool condition)
{
    oi_graph *g = oi_graph_create(NULL, NULL), *branch[2];
    oi_value_id x, c, cond, in[5], y = OI_NONE;
    const oi_dim dims[2] = {2, 3};
    const int64_t three = 3;
    oi_fact f = oi_fact_tensor(ONNX_INFER_FLOAT, 2, dims), flag = oi_fact_tensor(ONNX_INFER_BOOL, 0, NULL), unknown = oi_fact_unknown();
    uint64_t seed = 3;
    ck_assert_int_eq(oi_graph_add_input(g, "x", &f, &x), ONNX_INFER_OK);
    oi_tensor t = tensor_random(&seed, ONNX_INFER_FLOAT, 1, &three);
    ck_assert_int_eq(oi_graph_add_const(g, "c", &t, &c), ONNX_INFER_OK);
    if (known) {
        t = tensor_random(&seed, ONNX_INFER_BOOL, 0, NULL);
        oi_elem_set_int(ONNX_INFER_BOOL, t.data, 0, condition);
        ck_assert_int_eq(oi_graph_add_const(g, "cond", &t, &cond), ONNX_INFER_OK);
    } else {
        ck_assert_int_eq(oi_graph_add_input(g, "cond", &flag, &cond), ONNX_INFER_OK);
    }
    for (int i = 0; i < 2; i++) {
        oi_value_id bx, bc, a = OI_NONE, b = OI_NONE, pair[2];
        branch[i] = oi_graph_create_sub(g);
        ck_assert_int_eq(oi_graph_add_input(branch[i], "bx", &unknown, &bx), ONNX_INFER_OK);
        ck_assert_int_eq(oi_graph_add_input(branch[i], "bc", &unknown, &bc), ONNX_INFER_OK);
        if (i == 0) {
            oi_graph_add_node(branch[i], oi_op_find("", "Identity"), "id", NULL, 1, &bx, 1, &a, 0, NULL, NULL);
            oi_graph_add_node(branch[i], oi_op_find("", "Neg"), "neg", NULL, 1, &a, 1, &b, 0, NULL, NULL);
            pair[0] = b, pair[1] = bc, a = OI_NONE;
            oi_graph_add_node(branch[i], oi_op_find("", "Mul"), "mul", NULL, 2, pair, 1, &a, 0, NULL, NULL);
        } else {
            oi_graph_add_node(branch[i], oi_op_find("", "Abs"), "abs", NULL, 1, &bx, 1, &a, 0, NULL, NULL);
        }
        ck_assert_int_eq(oi_graph_mark_output(branch[i], a), ONNX_INFER_OK);
    }
    uint32_t capture[2][2] = {{1, 2}, {3, 4}};
    oi_sub sub[2] = {{"then_branch", branch[0], capture[0], 2}, {"else_branch", branch[1], capture[1], 2}};
    in[0] = cond, in[1] = in[3] = x, in[2] = in[4] = c;
    ck_assert_int_eq(oi_graph_add_node(g, oi_op_find("", "If"), "if", NULL, 5, in, 1, &y, 2, sub, NULL), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_mark_output(g, y), ONNX_INFER_OK);
    oi_status status = oi_infer_graph(g);
    ck_assert_msg(!status, "%s", oi_error_current()->message);
    ck_assert_int_eq(oi_graph_verify(g), ONNX_INFER_OK);
    return g;
}

START_TEST(known_branches_are_taken)
{
    for (int condition = 0; condition < 2; condition++) {
        oi_graph *g = graph_with_if(true, condition);
        oi_optimize_options o = {.strict = true};
        oi_status status = oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o);
        ck_assert_msg(!status, "%s", oi_error_current()->message);
        char *ops = graph_ops(g);
        ck_assert_str_eq(ops, condition ? "Neg Mul" : "Abs");
        free(ops);
        ck_assert_int_eq(oi_graph_fact(g, g->output[0])->shape.rank, 2);
        oi_graph_destroy(g);
    }
}
END_TEST

START_TEST(subgraphs_take_constants_and_drop_captures)
{
    oi_graph *g = graph_with_if(false, false), *copy;
    oi_optimize_options o = {.strict = true};
    oi_status status = oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o);
    ck_assert_msg(!status, "%s", oi_error_current()->message);
    ck_assert_uint_eq(g->nnode, 1);
    const oi_node *n = &g->node[0];
    ck_assert_uint_eq(n->nin, 3); /* the condition, and x for each branch */
    ck_assert_uint_eq(n->sub[0].ncapture, 1);
    ck_assert_uint_eq(n->sub[1].ncapture, 1);
    ck_assert_uint_eq(oi_graph_live_nodes(g, true), 1 + 2 + 1);
    ck_assert_int_eq(oi_graph_fact(g, g->output[0])->shape.rank, 2);
    ck_assert_int_eq(oi_graph_clone(NULL, g, NULL, &copy), ONNX_INFER_OK);
    char *a = graph_print(g), *b = graph_print(copy);
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
    ck_assert_int_eq(oi_optimize_with(copy, OI_STAGE_LOWERED, target(), &o), ONNX_INFER_OK);
    oi_graph_destroy(g);
    oi_graph_destroy(copy);
}
END_TEST

static oi_status decline(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    oi_value_id a = oi_rewrite_op(rw, "", "Neg", "", 1, &n.in[0]);
    oi_value_id in[2] = {a, oi_rewrite_const_float(rw, 2)};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "Mul", "", 2, in));
    return OI_DECLINED;
}

static oi_status wrong_shape(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    const int64_t flat = -1;
    oi_value_id in[2] = {n.in[0], oi_rewrite_const_ints(rw, &flat, 1)};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "Reshape", "", 2, in));
    return rw->status;
}

START_TEST(undone_rewrites_leave_the_graph_as_it_was)
{
    const oi_rule rules[] = {{"decline", NULL, decline, OI_EXACT}, {"wrong shape", NULL, wrong_shape, OI_EXACT}};
    oi_graph *g = graph_from_text("input x float32 2x3\n const c float32 3 random\n a = Relu(x)\n b = Add(a, c)\n d = Mul(a, b)\n"
                                  "output d\n output a");
    char *before = graph_print(g);
    for (int i = 0; i < 2; i++) {
        oi_rewriter r = {.stage = "test"};
        ck_assert_int_eq(oi_rewrite_run(g, &rules[i], 1, &r), ONNX_INFER_OK);
        ck_assert_uint_eq(r.commits, 0);
        char *after = graph_print(g);
        ck_assert_str_eq(before, after);
        free(after);
        ck_assert_int_eq(oi_graph_verify(g), ONNX_INFER_OK);
    }
    oi_rewriter strict = {.stage = "test", .strict = true};
    ck_assert_int_eq(oi_rewrite_run(g, &rules[1], 1, &strict), ONNX_INFER_E_INTERNAL);
    free(before);
    oi_graph_destroy(g);
}
END_TEST

static oi_status flip(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, 1, n.in));
    return rw->status;
}

START_TEST(endless_rules_are_stopped)
{
    const oi_rule rule = {"flip", "Relu", flip, OI_EXACT};
    oi_graph *g = graph_from_text("input x float32 2x3\n y = Relu(x)\n output y");
    oi_rewriter r = {.stage = "test"};
    ck_assert_int_eq(oi_rewrite_run(g, &rule, 1, &r), ONNX_INFER_OK);
    ck_assert(r.exhausted);
    ck_assert_int_eq(oi_graph_verify(g), ONNX_INFER_OK);
    oi_rewriter bounded = {.stage = "test", .stop_after = 3};
    ck_assert_int_eq(oi_rewrite_run(g, &rule, 1, &bounded), ONNX_INFER_OK);
    ck_assert_uint_eq(bounded.commits, 3);
    oi_graph_destroy(g);
}
END_TEST

START_TEST(stops_after_n_changes)
{
    const char *text = "input x float32 2x3\n a = Neg(x)\n b = Identity(a)\n c = Identity(b)\n d = Identity(c)\n y = Abs(d)\n output y";
    for (uint64_t n = 1; n <= 3; n++) {
        oi_graph *g = graph_from_text(text);
        oi_optimize_options o = {.stop_after = n, .strict = true};
        ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o), ONNX_INFER_OK);
        ck_assert_uint_eq(o.commits, n);
        ck_assert_uint_eq(oi_graph_live_nodes(g, true), 5 - n);
        oi_graph_destroy(g);
    }
}
END_TEST

START_TEST(lowered_products_look_through_views)
{
    oi_graph *g = graph_from_text("input x float32 2x4x6\n const s int64 2 = -1 6\n const t int64 3 = 2 4 5\n const w float32 6x5 random\n"
                                  "const b float32 5 random\n r = Reshape(x, s)\n p = Gemm(r, w, b)\n q = Reshape(p, t)\n"
                                  "y = Relu(q)\n output y");
    oi_optimize_options o = {.strict = true};
    ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_LOWERED, target(), &o), ONNX_INFER_OK);
    char *ops = graph_ops(g);
    ck_assert_str_eq(ops, "GemmPacked");
    free(ops);
    oi_graph_destroy(g);
}
END_TEST

START_TEST(few_rows_meet_a_large_weight_where_it_lies)
{
    static const char *const rows[] = {"4", "5", "N"};
    for (int i = 0; i < 3; i++) {
        char text[400];
        snprintf(text, sizeof text, "input x float32 %sx600\n const w float32 500x600 random\n const b float32 500 random\n"
                 "y = Gemm(x, w, b) {transB=1, alpha=0.5}\n output y", rows[i]);
        oi_graph *g = graph_from_text(text);
        oi_optimize_options o = {.strict = true};
        ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_LOWERED, target(), &o), ONNX_INFER_OK);
        char *ops = graph_ops(g);
        ck_assert_str_eq(ops, "GemmPacked");
        const oi_node *gemm = NULL;
        for (uint32_t n = 0; n < g->nnode; n++) {
            if (g->node[n].op && !strcmp(g->node[n].op->name, "GemmPacked"))
                gemm = &g->node[n];
        }
        ck_assert_ptr_nonnull(gemm);
        ck_assert_int_eq(oi_attr_int(gemm, "as_is", 0), i == 0);
        ck_assert_int_eq(oi_graph_fact(g, gemm->in[1])->shape.rank, i == 0 ? 2 : 1);
        free(ops);
        oi_graph_destroy(g);
    }
}
END_TEST

START_TEST(large_constants_stay_unfolded)
{
    const char *text = "const a float32 1024x1024 random\n const b float32 1024x1024 random\n input x float32 1024\n c = Add(a, b)\n"
                       "y = Add(x, c)\n output y";
    oi_graph *g = graph_from_text(text);
    oi_optimize_options o = {.strict = true, .fold_budget = 1 << 20};
    ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o), ONNX_INFER_OK);
    char *ops = graph_ops(g);
    ck_assert_str_eq(ops, "Add"); /* both inputs die, so nothing grows */
    free(ops);
    oi_graph_destroy(g);
    g = graph_from_text("const a float32 1024 random\n const b float32 1024x1 random\n input x float32 1024\n c = Add(a, b)\n"
                        "y = Add(x, c)\n output y");
    oi_optimize_options small = {.strict = true, .fold_budget = 1 << 20};
    ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &small), ONNX_INFER_OK);
    ops = graph_ops(g);
    ck_assert_str_eq(ops, "Add Add");
    free(ops);
    ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_LOWERED, target(), &small), ONNX_INFER_OK);
    ops = graph_ops(g);
    ck_assert_str_eq(ops, "Add");
    free(ops);
    oi_graph_destroy(g);
}
END_TEST

START_TEST(large_values_stay_in_loops)
{
    static const struct { const char *size, *ops; } each[] = {{"10000 1000 2 3", "Exp Loop(Expand ReduceMax Add)"},
                                                              {"10 10 2 3", "Exp Expand ReduceMax Loop(Add)"}};
    for (int i = 0; i < 2; i++) {
        char text[600];
        snprintf(text, sizeof text, "input x float32 2x3\n input z float32 2x3\n const m int64 scalar = 40\n const t bool scalar = 1\n"
                 "sub b(x)\n input i any\n input go any\n input v any\n const u int64 4 = %s\n const s int64 2 = 0 1\n a = Exp(x)\n"
                 "d = Expand(a, u)\n e = ReduceMax(d, s) {keepdims=0}\n w = Add(v, e)\n output go\n output w\n end\n"
                 "y = Loop(m, t, z) <body=b>\n output y", each[i].size);
        oi_graph *g = graph_from_text(text);
        oi_optimize_options o = {.strict = true};
        ck_assert_int_eq(oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o), ONNX_INFER_OK);
        char *ops = graph_ops(g);
        ck_assert_str_eq(ops, each[i].ops);
        free(ops);
        oi_graph_destroy(g);
    }
}
END_TEST

START_TEST(specialized_graphs_know_their_sizes)
{
    oi_graph *g = graph_from_text("input x float32 Nx3xM\n const zero int64 1 = 0\n const m int64 1 = -1\n s = Shape(x)\n n = Gather(s, zero)\n"
                                  "t = Concat(n, m) {axis=0}\n a = Reshape(x, t)\n y = Neg(a)\n output y");
    oi_graph *copy;
    ck_assert_int_eq(oi_optimize(g, OI_STAGE_DECLUTTERED, NULL), ONNX_INFER_OK);
    int64_t bound[64];
    oi_symbol sym;
    for (size_t i = 0; i < 64; i++)
        bound[i] = -1;
    ck_assert(oi_dim_find_symbol(g->syms, "N", &sym));
    bound[sym] = 4;
    ck_assert(oi_dim_find_symbol(g->syms, "M", &sym));
    bound[sym] = 5;
    ck_assert_uint_le(oi_symtab_count(g->syms), 64);
    ck_assert_int_eq(oi_optimize_for(NULL, g, bound, NULL, OI_STAGE_LOWERED, target(), NULL, NULL, &copy), ONNX_INFER_OK);
    char *ops = graph_ops(copy);
    ck_assert_str_eq(ops, "Reshape Neg");
    free(ops);
    const oi_fact *y = oi_graph_fact(copy, copy->output[0]);
    ck_assert_int_eq(y->shape.dim[0], 4);
    ck_assert_int_eq(y->shape.dim[1], 15);
    ck_assert_str_eq(copy->output_name[0], "y");
    oi_graph_destroy(g);
    oi_graph_destroy(copy);
}
END_TEST

static long allocations_left, allocations_live;

static void *scarce_alloc(void *user, size_t n, size_t align)
{
    (void)user;
    if (allocations_left-- <= 0)
        return NULL;
    allocations_live++;
    return aligned_alloc(align < 64 ? 64 : align, (n + 63) / 64 * 64);
}

static void scarce_free(void *user, void *p, size_t n, size_t align)
{
    (void)user, (void)n, (void)align;
    allocations_live -= p != NULL;
    free(p);
}

/* One with convolutions and shape arithmetic, one with bodies that give nodes away, a cell and transposes. */
static const char *const scarce_graphs[] = {
    "input x float32 2x3x8x8\n const w float32 16x3x3x3 random\n const s float32 16 random\n"
    "const v float32 16 = 1\n const m int64 1 = -1\n const i int64 1 = 0\n a = Conv(x, w)\n"
    "b = BatchNormalization(a, s, s, s, v)\n c = Relu(b)\n d = Identity(c)\n z = Shape(x)\n"
    "n = Gather(z, i)\n k = Concat(n, m) {axis=0}\n f = Reshape(d, k)\n output f",
    "input x float32 2x3\n input X float32 7x2x3\n const h0 float32 2x3 = 0\n const m int64 scalar = 40\n const t bool scalar = 1\n"
    "const ax int64 1 = 2\n sub loop(x)\n input i any\n input go any\n input v any\n const k float32 3 random\n a = Exp(x)\n"
    "b = Mul(a, k)\n w = Add(v, b)\n output go\n output w\n end\n sub cell()\n input h any\n input u any\n const w float32 3x3 random\n"
    "a = MatMul(u, w)\n b = MatMul(h, w)\n c = Add(a, b)\n v = Tanh(c)\n output v\n output v\n end\n sub yes(x, y)\n a = Softmax(x)\n"
    "b = Mul(a, y)\n output b\n end\n sub no(x, y)\n a = Softmax(x)\n b = Sub(a, y)\n output b\n end\n y = Loop(m, t, h0) <body=loop>\n"
    "hn, all = Scan(h0, X) {num_scan_inputs=1} <body=cell>\n r = Transpose(all) {perm=[0,2,1]}\n p = ReduceMean(r, ax) {keepdims=0}\n"
    "q0 = ReduceMax(p) {keepdims=0}\n q = Cast(q0) {to=9}\n z = If(q) <then_branch=yes, else_branch=no>\n output z\n output p",
};

START_TEST(each_failed_allocation_is_survived)
{
    const oi_alloc scarce = {sizeof scarce, NULL, scarce_alloc, scarce_free};
    oi_graph *g = graph_from_text(scarce_graphs[_i]);
    oi_graph *out;
    long n = 0;
    for (oi_status status = ONNX_INFER_E_OUT_OF_MEMORY; status; n++) {
        allocations_left = n;
        allocations_live = 0;
        status = oi_optimize_for(&scarce, g, NULL, NULL, OI_STAGE_LOWERED, target(), NULL, NULL, &out);
        ck_assert_msg(!status || status == ONNX_INFER_E_OUT_OF_MEMORY, "allocation %ld: %s", n, oi_error_current()->message);
        if (!status)
            oi_graph_destroy(out);
        ck_assert_msg(allocations_live == 0, "allocation %ld: %ld are not freed", n, allocations_live);
    }
    ck_assert_int_gt(n, 20);
    oi_graph_destroy(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("passes");
    TCase *t = tcase_create("passes");
    tcase_add_test(t, known_branches_are_taken);
    tcase_add_test(t, subgraphs_take_constants_and_drop_captures);
    tcase_add_test(t, undone_rewrites_leave_the_graph_as_it_was);
    tcase_add_test(t, endless_rules_are_stopped);
    tcase_add_test(t, stops_after_n_changes);
    tcase_add_test(t, lowered_products_look_through_views);
    tcase_add_test(t, few_rows_meet_a_large_weight_where_it_lies);
    tcase_add_test(t, large_constants_stay_unfolded);
    tcase_add_test(t, large_values_stay_in_loops);
    tcase_add_test(t, specialized_graphs_know_their_sizes);
    tcase_add_loop_test(t, each_failed_allocation_is_survived, 0, (int)(sizeof scarce_graphs / sizeof *scarce_graphs));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
