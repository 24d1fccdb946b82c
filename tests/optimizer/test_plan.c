/* What of a graph is a step of its plan, and that sharing storage changes no result. */
#include "graph_run.h"

#include <check.h>
#include <stdlib.h>

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

START_TEST(plans_as_it_should)
{
    const plan_case *c = &cases[_i];
    oi_graph *g = graph_from_text(c->graph);
    oi_tensor a[4] = {0}, b[4] = {0};
    uint32_t steps = 0;
    ck_assert_int_eq(graph_evaluate(g, 7, 5, a), ONNX_INFER_OK);
    oi_status status = graph_run(g, oi_cpu_isa_detect(), 7, 5, b, &steps);
    ck_assert_msg(!status, "%s: %s", c->name, oi_error_current()->message);
    for (uint32_t i = 0; i < g->noutput; i++)
        ck_assert_msg(tensors_differ(&a[i], &b[i]) < 1e-5, "%s: output %u differs by %g", c->name, i, tensors_differ(&a[i], &b[i]));
    ck_assert_msg(!c->steps || steps == c->steps, "%s: %u steps, expected %u", c->name, steps, c->steps);
    for (int i = 0; i < 4; i++) {
        oi_tensor_clear(&a[i]);
        oi_tensor_clear(&b[i]);
    }
    oi_graph_destroy(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plan");
    TCase *t = tcase_create("plan");
    tcase_add_loop_test(t, plans_as_it_should, 0, (int)(sizeof cases / sizeof *cases));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
