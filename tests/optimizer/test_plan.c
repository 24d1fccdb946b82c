/* What of a graph is a step of its plan, what memory that takes, and that sharing storage changes no result. */
#include "graph_run.h"
#include "ops/infer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name, *graph;
    uint32_t steps;
} plan_case;

static const plan_case cases[] = {
    {"views are no steps", "input x float32 4x6\n const s int64 2 = 6 4\n a = Neg(x)\n b = Reshape(a, s)\n y = Softmax(b)\n output y", 2},
    {"slices of the outermost axis are none",
     "input x float32 6x5\n const b int64 1 = 2\n const e int64 1 = 4\n s = Softmax(x)\n a = Slice(s, b, e)\n y = Softmax(a)\n output y", 2},
    {"of an input neither",
     "input x float32 1x6x5\n const b int64 1 = 2\n const e int64 1 = -1\n const ax int64 1 = 1\n a = Slice(x, b, e, ax)\n y = Softmax(a)\n output y", 1},
    {"slices of inner axes are", "input x float32 6x5\n const b int64 1 = 2\n const e int64 1 = 4\n const ax int64 1 = 1\n s = Softmax(x)\n"
                                 "a = Slice(s, b, e, ax)\n y = Softmax(a)\n output y", 3},
    {"backwards too", "input x float32 6x5\n const b int64 1 = -1\n const e int64 1 = -100\n const ax int64 1 = 0\n const st int64 1 = -1\n"
                      "s = Softmax(x)\n a = Slice(s, b, e, ax, st)\n y = Softmax(a)\n output y", 3},
    {"one row gathered is none", "input x float32 6x5x4\n const i int64 scalar = -2\n s = Softmax(x)\n a = Gather(s, i)\n y = Softmax(a)\n output y", 2},
    {"several are one", "input x float32 6x5x4\n const i int64 2 = 3 1\n s = Softmax(x)\n a = Gather(s, i)\n y = Softmax(a)\n output y", 3},
    {"a part as result is copied",
     "input x float32 6x5\n const b int64 1 = 2\n const e int64 1 = 4\n s = Softmax(x)\n a = Slice(s, b, e)\n y = Softmax(a)\n output y\n output a", 2},
    {"splits are none", "input x float32 6x5\n s = Softmax(x)\n a, b, c = Split(s) {num_outputs=3}\n d = Softmax(a)\n"
                        "f = Softmax(c)\n output d\n output f\n output b", 3},
    {"parts are not written where another is still read",
     "input x float32 6x5\n const sp int64 2 = 4 2\n s = Softmax(x)\n a, b = Split(s, sp)\n d = Neg(a)\n t = Softmax(d)\n u = Softmax(s)\n"
     "v = ReduceMax(b)\n output t\n output u\n output v", 5},
    {"what is put one behind the other is made there",
     "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n b = Softmax(z)\n c = Concat(a, b) {axis=0}\n y = Softmax(c)\n output y", 3},
    {"as a result too", "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n b = Softmax(z)\n y = Concat(a, b) {axis=0}\n output y", 2},
    {"and when a part is a result",
     "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n b = Softmax(z)\n y = Concat(a, b) {axis=0}\n output y\n output b", 2},
    {"but not inputs", "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n c = Concat(a, z) {axis=0}\n y = Softmax(c)\n output y", 3},
    {"nor a value twice", "input x float32 6x5\n a = Softmax(x)\n c = Concat(a, a) {axis=0}\n y = Softmax(c)\n output y", 3},
    {"nor a part of another", "input x float32 6x5\n const b int64 1 = 2\n const e int64 1 = 4\n s = Softmax(x)\n a = Slice(s, b, e)\n"
                              "t = Softmax(s)\n c = Concat(a, t) {axis=0}\n y = Softmax(c)\n output y", 4},
    {"nor along an inner axis", "input x float32 6x5\n input z float32 6x2\n a = Softmax(x)\n b = Softmax(z)\n c = Concat(a, b) {axis=1}\n"
                                "y = Softmax(c)\n output y", 4},
    {"a concatenation in another",
     "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n b = Softmax(z)\n c = Concat(a, b) {axis=0}\n d = Softmax(c) {axis=0}\n"
     "e = Concat(c, d) {axis=0}\n y = Softmax(e)\n output y", 4},
    {"in two others only one of them", "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n b = Softmax(z)\n d = Softmax(z) {axis=0}\n"
                                       "c = Concat(a, b) {axis=0}\n e = Concat(a, d) {axis=0}\n y = Softmax(c)\n w = Softmax(e)\n output y\n output w", 6},
    {"parts of what was put together", "input x float32 6x5\n input z float32 2x5\n a = Softmax(x)\n b = Softmax(z)\n c = Concat(a, b) {axis=0}\n"
                                       "d, e = Split(c) {num_outputs=2}\n y = Softmax(d)\n w = Neg(e)\n output y\n output w", 4},
    {"channels of blocked images",
     "input x float32 1x32x5x5\n const w float32 32x32x1x1 random\n const v float32 40x32x1x1 random\n const u float32 8x72x1x1 random\n"
     "a = Conv(x, w)\n b = Conv(x, v)\n c = Concat(a, b) {axis=1}\n y = Conv(c, u)\n output y", 0},
};

static const struct {
    const char *name, *graph;
    uint64_t most; /* bytes of the arena */
} memory_cases[] = {
    {"a channel of a signal is read as it lies",
     "input x float32 1x1x640\n const w float32 64x1x256 random\n a = Relu(x)\n y = Conv(a, w) {strides=[128]}\n output y", 640 * 4 + 64 * 4 * 4 + 256},
    {"products of few rows need no room", "input x float32 4x256\n const w float32 256x300 random\n a = Softmax(x)\n b = MatMul(a, w)\n y = Softmax(b)\n"
                                          "output y", 4 * 4 * (256 + 300)},
    {"a chain works in the room of its parts",
     "input x float32 5x129\n input z float32 5x129\n a = Softmax(x)\n b = Exp(a)\n c = Neg(a)\n d = Add(b, c)\n e = Sqrt(d)\n f = Mul(e, e)\n"
     "y = Softmax(f)\n output y", 4 * (4 * 5 * 129 + 64)},
};

static graph_cost cost_of(const char *name, const char *text)
{
    oi_graph *g = graph_from_text(text);
    oi_tensor a[4] = {0}, b[4] = {0};
    graph_cost cost = {0};
    ck_assert_int_eq(graph_evaluate(g, 7, 5, a), ONNX_INFER_OK);
    oi_status status = graph_run(g, oi_cpu_isa_detect(), 7, 5, b, &cost);
    ck_assert_msg(!status, "%s: %s", name, oi_error_current()->message);
    for (uint32_t i = 0; i < g->noutput; i++)
        ck_assert_msg(tensors_differ(&a[i], &b[i]) < 1e-5, "%s: output %u differs by %g", name, i, tensors_differ(&a[i], &b[i]));
    for (int i = 0; i < 4; i++) {
        oi_tensor_clear(&a[i]);
        oi_tensor_clear(&b[i]);
    }
    oi_graph_destroy(g);
    ck_assert_msg(cost.arena <= cost.live + cost.live / 10, "%s: %llu bytes, %llu in use", name, (unsigned long long)cost.arena,
                  (unsigned long long)cost.live);
    return cost;
}

START_TEST(plans_as_it_should)
{
    const plan_case *c = &cases[_i];
    const graph_cost cost = cost_of(c->name, c->graph);
    ck_assert_msg(!c->steps || cost.steps == c->steps, "%s: %u steps, expected %u", c->name, cost.steps, c->steps);
}
END_TEST

START_TEST(takes_little_memory)
{
    const graph_cost cost = cost_of(memory_cases[_i].name, memory_cases[_i].graph);
    ck_assert_msg(cost.arena <= memory_cases[_i].most, "%s: %llu bytes, expected at most %llu", memory_cases[_i].name,
                  (unsigned long long)cost.arena, (unsigned long long)memory_cases[_i].most);
}
END_TEST

/* y, rows = Loop(turns, _, x) of v -> (v + c) * i, collecting v + c; `own`: the body makes its condition. */
static oi_graph *graph_with_loop(int64_t turns, bool own)
{
    oi_graph *g = oi_graph_create(NULL, NULL), *body = oi_graph_create_sub(g);
    const oi_dim dims[2] = {2, 3};
    const int64_t three = 3;
    uint64_t seed = 3;
    oi_fact f = oi_fact_tensor(ONNX_INFER_FLOAT, 2, dims), unknown = oi_fact_unknown();
    oi_value_id x, c, most, i, go, v, bc, a = OI_NONE, fi = OI_NONE, b = OI_NONE, next = OI_NONE, pair[2];
    ck_assert_int_eq(oi_graph_add_input(g, "x", &f, &x), ONNX_INFER_OK);
    oi_tensor t = tensor_random(&seed, ONNX_INFER_FLOAT, 1, &three), m = tensor_random(&seed, ONNX_INFER_INT64, 0, NULL);
    oi_elem_set_int(ONNX_INFER_INT64, m.data, 0, turns);
    ck_assert_int_eq(oi_graph_add_const(g, "c", &t, &c), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_const(g, "m", &m, &most), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_input(body, "i", &unknown, &i), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_input(body, "go", &unknown, &go), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_input(body, "v", &unknown, &v), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_input(body, "bc", &unknown, &bc), ONNX_INFER_OK);
    void *to_float;
    ck_assert_int_eq(oi_attr_parse_text(body->arena, oi_op_find("", "Cast"), "to=1", &to_float), ONNX_INFER_OK);
    oi_graph_add_node(body, oi_op_find("", own ? "Not" : "Identity"), "on", NULL, 1, &go, 1, &next, 0, NULL, NULL);
    pair[0] = v, pair[1] = bc;
    oi_graph_add_node(body, oi_op_find("", "Add"), "sum", NULL, 2, pair, 1, &a, 0, NULL, NULL);
    oi_graph_add_node(body, oi_op_find("", "Cast"), "turn", to_float, 1, &i, 1, &fi, 0, NULL, NULL);
    pair[0] = a, pair[1] = fi;
    oi_graph_add_node(body, oi_op_find("", "Mul"), "product", NULL, 2, pair, 1, &b, 0, NULL, NULL);
    const oi_value_id result[3] = {next, b, a};
    for (int k = 0; k < 3; k++)
        ck_assert_int_eq(oi_graph_mark_output(body, result[k]), ONNX_INFER_OK);
    uint32_t capture = 3;
    oi_sub sub = {"body", body, &capture, 1};
    oi_value_id in[4] = {most, OI_NONE, x, c}, out[2] = {OI_NONE, OI_NONE};
    ck_assert_int_eq(oi_graph_add_node(g, oi_op_find("", "Loop"), "loop", NULL, 4, in, 2, out, 1, &sub, NULL), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_mark_output(g, out[0]), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_mark_output(g, out[1]), ONNX_INFER_OK);
    oi_status status = oi_infer_graph(g);
    ck_assert_msg(!status, "%s", oi_error_current()->message);
    return g;
}

START_TEST(short_loops_are_unrolled)
{
    static const struct {
        int64_t turns;
        bool own;
        const char *ops;
    } rows[] = {
        {3, false, "Add Mul Add Mul Add Mul Unsqueeze Unsqueeze Unsqueeze Concat"}, {1, false, "Add Mul Unsqueeze"}, {17, false, "Loop"},
        {2, true, "Loop"}};
    const int64_t turns = rows[_i].own ? 1 : rows[_i].turns, three = 3, dims[2] = {2, 3};
    oi_tensor got[2] = {0};
    graph_cost cost;
    uint64_t seed = 5, other = 3;
    oi_graph *g = graph_with_loop(rows[_i].turns, rows[_i].own);
    oi_tensor x = tensor_random(&seed, ONNX_INFER_FLOAT, 2, dims), c = tensor_random(&other, ONNX_INFER_FLOAT, 1, &three);
    oi_optimize_options o = {.strict = true};
    oi_status status = oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o);
    ck_assert_msg(!status, "%s", oi_error_current()->message);
    char *ops = graph_ops(g);
    const bool loop = strcmp(rows[_i].ops, "Loop") == 0;
    ck_assert_int_eq(loop, strncmp(ops, "Loop(", 5) == 0);
    for (const char *w = strtok(ops, " "), *left = rows[_i].ops; w && !loop; w = strtok(NULL, " ")) /* in any order */
        ck_assert_msg(strstr(left, w) != NULL, "%s", w);
    ck_assert(loop ? g->nnode == 1 : g->nnode > 1);
    free(ops);
    status = graph_run(g, OI_ISA_GENERIC, 5, 3, got, &cost);
    ck_assert_msg(!status, "%s", oi_error_current()->message);
    ck_assert_int_eq(got[1].dim[0], turns);
    for (int64_t t = 0; t < turns; t++) {
        for (int i = 0; i < 6; i++) {
            float *v = (float *)x.data + i, sum = *v + ((const float *)c.data)[i % 3];
            ck_assert(fabsf(((const float *)got[1].data)[t * 6 + i] - sum) <= 1e-5f * fabsf(sum) + 1e-6f);
            *v = sum * (float)t;
        }
    }
    for (int i = 0; i < 6; i++)
        ck_assert(fabsf(((const float *)got[0].data)[i] - ((const float *)x.data)[i]) <= 1e-5f * fabsf(((const float *)x.data)[i]) + 1e-6f);
    oi_tensor_clear(&got[0]);
    oi_tensor_clear(&got[1]);
    oi_tensor_clear(&x);
    oi_tensor_clear(&c);
    oi_graph_destroy(g);
}
END_TEST

START_TEST(bodies_count_where_they_run)
{
    oi_graph *g = graph_with_loop(17, false); /* too many turns to unroll */
    oi_tensor got[2] = {0};
    graph_cost cost;
    ck_assert_int_eq(graph_run(g, OI_ISA_GENERIC, 5, 3, got, &cost), ONNX_INFER_OK);
    ck_assert_uint_gt(cost.live, 0);
    ck_assert_uint_le(cost.live, cost.arena);
    for (int i = 0; i < 2; i++)
        oi_tensor_clear(&got[i]);
    oi_graph_destroy(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plan");
    TCase *t = tcase_create("plan");
    tcase_add_loop_test(t, plans_as_it_should, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_loop_test(t, takes_little_memory, 0, (int)(sizeof memory_cases / sizeof *memory_cases));
    tcase_add_test(t, bodies_count_where_they_run);
    tcase_add_loop_test(t, short_loops_are_unrolled, 0, 4);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
