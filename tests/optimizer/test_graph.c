/* Building, ordering, cloning and verifying graphs; attributes as text. */
#include "graph_text.h"
#include "ops/infer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *const little = "input x float32 Nx3\n const c float32 3 = 1 2 3\n a = Relu(x)\n b = Add(a, c)\n d = Mul(a, b)\n"
                                  "output d\n output a";

START_TEST(order_and_compaction)
{
    oi_graph *g = graph_from_text("input x float32 2x3\n d = Neg(c)\n c = Neg(b)\n b = Neg(a)\n a = Neg(x)\n u = Abs(x)\n output d");
    char *ops = graph_ops(g);
    ck_assert_str_eq(ops, "Neg Neg Neg Neg Abs");
    free(ops);
    for (uint32_t i = 0; i < g->nnode; i++) {
        for (uint32_t k = 0; k < g->node[i].nin; k++)
            ck_assert(g->value[g->node[i].in[k]].def == OI_NONE || g->value[g->node[i].in[k]].def < i);
    }
    oi_graph_destroy(g);
}
END_TEST

START_TEST(cycles_are_named)
{
    oi_graph *g = oi_graph_create(NULL, NULL);
    oi_value_id a, b, c;
    const oi_op *neg = oi_op_find("", "Neg");
    oi_graph_add_value(g, "a", &a);
    oi_graph_add_value(g, "b", &b);
    oi_graph_add_value(g, "c", &c);
    oi_graph_add_node(g, neg, "one", NULL, 1, &a, 1, &b, 0, NULL, NULL);
    oi_graph_add_node(g, neg, "two", NULL, 1, &b, 1, &a, 0, NULL, NULL);
    oi_graph_add_node(g, neg, "three", NULL, 1, &a, 1, &c, 0, NULL, NULL);
    ck_assert_int_eq(oi_graph_compact(g), ONNX_INFER_E_INVALID_MODEL);
    ck_assert_ptr_nonnull(strstr(oi_error_current()->message, "'one'"));
    ck_assert_ptr_nonnull(strstr(oi_error_current()->message, "'two'"));
    ck_assert_ptr_null(strstr(oi_error_current()->message, "'three'"));
    oi_graph_destroy(g);
}
END_TEST

START_TEST(values_are_defined_once)
{
    oi_graph *g = oi_graph_create(NULL, NULL);
    oi_value_id x, y[2];
    oi_fact f = oi_fact_tensor(ONNX_INFER_FLOAT, 0, NULL);
    oi_graph_add_input(g, "x", &f, &x);
    oi_graph_add_value(g, "y", &y[0]);
    y[1] = y[0];
    const oi_op *neg = oi_op_find("", "Neg");
    ck_assert_int_eq(oi_graph_add_node(g, neg, "n", NULL, 1, &x, 2, y, 0, NULL, NULL), ONNX_INFER_E_INVALID_MODEL);
    ck_assert_int_eq(oi_graph_add_node(g, neg, "n", NULL, 1, &x, 1, &x, 0, NULL, NULL), ONNX_INFER_E_INVALID_MODEL);
    ck_assert_uint_eq(g->value[x].nuse, 0);
    ck_assert_int_eq(oi_graph_add_node(g, neg, "n", NULL, 1, &x, 1, y, 0, NULL, NULL), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_node(g, neg, "n", NULL, 1, &x, 1, y, 0, NULL, NULL), ONNX_INFER_E_INVALID_MODEL);
    oi_graph_destroy(g);
}
END_TEST

START_TEST(clones_are_equal_and_bound)
{
    oi_graph *g = graph_from_text(little), *copy, *bound;
    ck_assert_int_eq(oi_graph_clone(NULL, g, NULL, &copy), ONNX_INFER_OK);
    char *a = graph_print(g), *b = graph_print(copy);
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
    int64_t value[16];
    oi_symbol n;
    memset(value, -1, sizeof value);
    ck_assert(oi_dim_find_symbol(g->syms, "N", &n));
    value[n] = 5;
    ck_assert_int_eq(oi_graph_clone(NULL, g, value, &bound), ONNX_INFER_OK);
    oi_graph_destroy(g); /* the clones live on */
    ck_assert_int_eq(oi_graph_fact(bound, bound->output[0])->shape.dim[0], 5);
    ck_assert_int_eq(oi_graph_verify(bound), ONNX_INFER_OK);
    oi_tensor out[2];
    ck_assert_int_eq(graph_evaluate(copy, 1, 5, out), ONNX_INFER_OK);
    oi_tensor_clear(&out[0]);
    oi_tensor_clear(&out[1]);
    oi_graph_destroy(copy);
    oi_graph_destroy(bound);
}
END_TEST

typedef void (*fault_fn)(oi_graph *g);

static void wrong_use(oi_graph *g) { g->value[g->node[0].out[0]].use[0].slot = 7; }
static void lost_use(oi_graph *g) { g->value[g->node[0].out[0]].nuse--; }
static void wrong_def(oi_graph *g) { g->value[g->node[1].out[0]].def = 0; }
static void no_def(oi_graph *g) { g->value[g->node[1].out[0]].def = OI_NONE; }
static void no_value(oi_graph *g) { g->node[1].in[0] = 1000; }
static void wrong_content(oi_graph *g) { g->value[g->node[1].in[1]].fact.dtype = ONNX_INFER_DOUBLE; }
static void gone_content(oi_graph *g) { ((oi_tensor *)g->value[g->node[1].in[1]].fact.konst)->data = NULL; }
static void no_input(oi_graph *g) { g->value[g->input[0]].is_input = false; }
static void no_output(oi_graph *g) { g->value[g->output[0]].is_output = false; }
static void dead_node_used(oi_graph *g) { g->node[0].op = NULL; }
static void negative_dim(oi_graph *g) { g->value[g->input[0]].fact.shape.dim[1] = -3; }
static void lowered_too_early(oi_graph *g) { g->node[0].op = oi_op_find("onnx_infer", "ReorderToBlocked"); }

static const fault_fn faults[] = {wrong_use, lost_use, wrong_def, no_def, no_value, wrong_content, gone_content, no_input,
                                  no_output, dead_node_used, negative_dim, lowered_too_early};

START_TEST(verify_finds_faults)
{
    oi_graph *g = graph_from_text(little);
    ck_assert_int_eq(oi_graph_verify(g), ONNX_INFER_OK);
    oi_tensor *c = (oi_tensor *)g->value[g->node[1].in[1]].fact.konst;
    void *data = c->data;
    faults[_i](g);
    ck_assert_int_eq(oi_graph_verify(g), ONNX_INFER_E_INTERNAL);
    c->data = data;
    oi_graph_destroy(g);
}
END_TEST

START_TEST(attributes_as_text)
{
    oi_arena *arena = oi_arena_create(NULL);
    const oi_op *op = oi_op_find("", "Conv");
    void *a, *b;
    char text[200];
    ck_assert_int_eq(oi_attr_parse_text(arena, op, "strides=[2,1], group=3, auto_pad=SAME_UPPER", &a), ONNX_INFER_OK);
    oi_attr_text(op, a, text, sizeof text);
    ck_assert_str_eq(text, "{auto_pad=SAME_UPPER, group=3, strides=[2,1]}");
    ck_assert_int_eq(oi_attr_parse_text(arena, op, text, &b), ONNX_INFER_OK);
    ck_assert(oi_attr_equal(op, a, b));
    ck_assert_int_eq(oi_attr_parse_text(arena, op, "group=2", &b), ONNX_INFER_OK);
    ck_assert(!oi_attr_equal(op, a, b));
    ck_assert_int_ne(oi_attr_parse_text(arena, op, "groups=2", &b), ONNX_INFER_OK);
    ck_assert_int_ne(oi_attr_parse_text(arena, op, "auto_pad=MOST", &b), ONNX_INFER_OK);
    ck_assert_int_ne(oi_attr_parse_text(arena, op, "strides=[1,x]", &b), ONNX_INFER_OK);
    oi_raw_attr raw = {.name = "bogus", .type = OI_RAW_INT};
    ck_assert_int_eq(oi_attr_parse_raw(arena, op, &raw, 1, &b), ONNX_INFER_E_INVALID_MODEL);
    ck_assert_ptr_nonnull(strstr(oi_error_current()->message, "bogus"));
    raw.name = "strides";
    ck_assert_int_eq(oi_attr_parse_raw(arena, op, &raw, 1, &b), ONNX_INFER_E_INVALID_MODEL);
    oi_arena_destroy(arena);
}
END_TEST

START_TEST(inference_errors_name_the_node)
{
    oi_graph *g = graph_from_text("input x float32 2x3\n a = Neg(x)\n output a");
    oi_value_id in[2] = {g->node[0].out[0], OI_NONE}, out = OI_NONE;
    oi_tensor t;
    int64_t dim = 4;
    ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_FLOAT, 1, &dim, &t), ONNX_INFER_OK);
    memset(t.data, 0, t.bytes);
    oi_graph_add_const(g, "c", &t, &in[1]);
    oi_graph_add_node(g, oi_op_find("", "Add"), "sum", NULL, 2, in, 1, &out, 0, NULL, NULL);
    ck_assert_int_eq(oi_infer_graph(g), ONNX_INFER_E_SHAPE_MISMATCH);
    ck_assert_str_eq(oi_error_current()->node, "sum");
    ck_assert_str_eq(oi_error_current()->op, "Add");
    ck_assert_int_eq(oi_error_current()->got, 4);
    ck_assert_int_eq(oi_error_current()->expected, 3);
    oi_graph_destroy(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("graph");
    TCase *t = tcase_create("graph");
    tcase_add_test(t, order_and_compaction);
    tcase_add_test(t, cycles_are_named);
    tcase_add_test(t, values_are_defined_once);
    tcase_add_test(t, clones_are_equal_and_bound);
    tcase_add_loop_test(t, verify_finds_faults, 0, (int)(sizeof faults / sizeof *faults));
    tcase_add_test(t, attributes_as_text);
    tcase_add_test(t, inference_errors_name_the_node);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
