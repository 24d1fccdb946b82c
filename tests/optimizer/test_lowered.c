/* What lowering makes of graphs, as the operators that are left; each lowered graph still computes the same. */
#include "graph_text.h"

#include "ops/op_fused.h"
#include "ops/target.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name, *graph, *ops; /* ops: of the lowered graph, in topological order */
    const char *body;               /* of its first fused step; NULL: not looked at */
} lower_case;

static const lower_case cases[] = {
    /* fuse_elementwise.c */
    {"a chain is one step", "input x float32 2x300\n a = Neg(x)\n b = Exp(a)\n y = Abs(b)\n output y", "Fused", "Neg Exp Abs"},
    {"a tree is one step",
     "input x float32 2x300\n input z float32 2x300\n a = Sigmoid(x)\n b = Tanh(z)\n c = Mul(a, b)\n y = Sub(c, x)\n output y", "Fused",
     "Sigmoid Tanh Mul Sub"},
    {"a diamond is one step", "input x float32 70x90\n a = Neg(x)\n b = Exp(a)\n c = Abs(a)\n y = Add(b, c)\n output y", "Fused",
     "Neg Exp Abs Add"},
    {"one operator stays itself", "input x float32 2x3\n y = Exp(x)\n output y", "Exp", NULL},
    {"a value that others use ends a chain", "input x float32 2x3\n a = Neg(x)\n b = Exp(a)\n c = Softmax(b)\n y = Abs(b)\n output y\n output c",
     "Fused Softmax Abs", "Neg Exp"},
    {"an output ends a chain", "input x float32 2x3\n a = Neg(x)\n y = Exp(a)\n output a\n output y", "Neg Exp", NULL},
    {"constants and broadcast operands",
     "input x float32 3x40x50\n const c float32 40x1 random\n input b float32 50\n a = Mul(x, c)\n y = Add(a, b)\n output y", "Fused", "Mul Add"},
    {"long rows", "input x float32 2x20001\n const c float32 20001 random\n a = Mul(x, c)\n y = Exp(a)\n output y", "Fused", "Mul Exp"},
    {"rows that repeat in the middle",
     "input x float32 7x5x300x3\n input c float32 7x1x300x1\n input d float32 5x1x3\n a = Mul(x, c)\n y = Add(a, d)\n output y", "Fused", "Mul Add"},
    {"a small operand is made inside of the chain",
     "input x float32 30x40\n input s float32 scalar\n input t float32 scalar\n f = Mul(s, t)\n y = Mul(x, f)\n output y", "Fused", "Mul Mul"},
    {"a small result does not end a large chain",
     "input x float32 30x1\n input z float32 30x40\n a = Neg(x)\n b = Exp(a)\n y = Add(b, z)\n output y\n", "Fused", "Neg Exp Add"},
    {"a larger operand starts a chain of its own",
     "input x float32 30x40\n const ax int64 1 = 1\n a = Neg(x)\n b = Exp(a)\n r = ReduceMax(b, ax)\n c = Neg(r)\n y = Sqrt(c)\n output y",
     "Fused ReduceMax Fused", "Neg Exp"},
    {"other types too",
     "input x int64 9000\n const two int64 scalar = 2\n a = Cast(x) {to=1}\n b = Exp(a)\n c = Cast(b) {to=7}\n y = Sub(c, two)\n output y", "Fused",
     "Cast Exp Cast Sub"},
    {"conditions", "input x float32 9x1000\n const c float32 scalar = 0.5\n a = Less(x, c)\n n = Not(a)\n y = Where(n, x, c)\n output y", "Fused",
     "Less Not Where"},
    {"quantised by one scale",
     "input x float32 9x1000\n const s float32 scalar = 0.01\n const z uint8 scalar = 128\n q = QuantizeLinear(x, s, z)\n"
     "m = Min(q, z)\n d = DequantizeLinear(m, s, z)\n y = Neg(d)\n output y",
     "Fused", "QuantizeLinear Min DequantizeLinear Neg"},
    /* fuse_affine.c */
    {"weights that are folded only when lowered take a scale too",
     "input x float32 1x1024x2x2\n const s int64 4 = 1200 1024 1 1\n const g float32 1200 random\n const v float32 1200 = 1\n"
     "w = ConstantOfShape(s)\n e = Exp(w)\n c = Conv(x, e)\n y = BatchNormalization(c, g, g, g, v)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked", NULL},
    /* cut_taps.c */
    {"taps that read padding only go",
     "input x float32 1x8x5x4\n const w float32 8x8x3x3 random\n const b float32 8 random\n"
     "y = Conv(x, w, b) {kernel_shape=[3,3], dilations=[6,2], pads=[6,2,6,2]}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked", NULL},
    {"of signals, with strides, on one side",
     "input x float32 1x8x9\n const w float32 8x8x4 random\n"
     "y = Conv(x, w) {kernel_shape=[4], dilations=[5], pads=[10,11], strides=[2]}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked", NULL},
    /* layout.c */
    {"channels last is another form of the reorders",
     "input x float32 1x6x5x20\n const w float32 16x20x3x3 random\n a = Transpose(x) {perm=[0,3,1,2]}\n c = Conv(a, w)\n"
     "b = Transpose(c) {perm=[0,2,3,1]}\n y = Softmax(b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax", NULL},
    {"depth to space is another",
     "input x float32 2x18x5x20\n const w float32 36x18x3x3 random\n c = Conv(x, w)\n y = DepthToSpace(c) {blocksize=3}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked", NULL},
    {"of columns, rows, depth",
     "input x float32 2x18x5x20\n const w float32 36x18x3x3 random\n c = Conv(x, w)\n y = DepthToSpace(c) {blocksize=3, mode=CRD}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked", NULL},
    {"of signals too",
     "input x float32 2x50x20\n const w float32 16x20x3 random\n a = Transpose(x) {perm=[0,2,1]}\n c = Conv(a, w)\n"
     "b = Transpose(c) {perm=[0,2,1]}\n y = Softmax(b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax", NULL},
    {"another transpose stays",
     "input x float32 1x20x5x6\n const w float32 16x20x3x3 random\n c = Conv(x, w)\n b = Transpose(c) {perm=[0,3,2,1]}\n"
     "y = Softmax(b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Transpose Softmax", NULL},
    /* fuse_quantise.c */
    {"quantised and back is one operator",
     "input x float32 9x1000\n const s float32 scalar = 0.01\n const z int8 scalar = 1\n q = QuantizeLinear(x, s, z)\n"
     "y = DequantizeLinear(q, s, z)\n output y",
     "QuantizeDequantize", NULL},
    {"with two scales it stays two",
     "input x float32 9x1000\n const s float32 scalar = 0.01\n const r float32 scalar = 0.02\n const z uint8 scalar = 1\n"
     "q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, r, z)\n output y",
     "Fused", "QuantizeLinear DequantizeLinear"},
    {"codes below 0 that do not exist make Relu idle",
     "input x float32 9x10\n const s float32 scalar = 0.01\n const z uint8 scalar = 0\n r = Relu(x)\n q = QuantizeLinear(r, s, z)\n"
     "y = DequantizeLinear(q, s, z)\n output y",
     "QuantizeDequantize", NULL},
    {"codes below 0 that exist do not",
     "input x float32 9x10\n const s float32 scalar = 0.01\n const z uint8 scalar = 1\n r = Relu(x)\n q = QuantizeLinear(r, s, z)\n"
     "y = DequantizeLinear(q, s, z)\n output y",
     "Fused", "Relu QuantizeDequantize"},
    {"what is quantised so already stays as it is",
     "input x float32 1x2x9x10\n const s float32 scalar = 0.01\n const z int8 scalar = 3\n const i int64 1 = 1\n q = QuantizeLinear(x, s, z)\n"
     "d = DequantizeLinear(q, s, z)\n m = Gather(d, i) {axis=3}\n e = QuantizeLinear(m, s, z)\n y = DequantizeLinear(e, s, z)\n output y",
     "QuantizeDequantize Gather", NULL},
    {"a convolution quantises its result",
     "input x float32 1x2x9x10\n const w float32 8x2x3x3 random\n const s float32 scalar = 0.01\n const z int8 scalar = 3\n c = Conv(x, w)\n"
     "q = QuantizeLinear(c, s, z)\n y = DequantizeLinear(q, s, z)\n output y",
     "ConvBlocked ReorderFromBlocked", NULL},
    {"quantised by channel stays", "input x float32 9x4\n const s float32 4 = 0.01 0.02\n q = QuantizeLinear(x, s)\n y = DequantizeLinear(q, s)\n output y",
     "QuantizeLinear DequantizeLinear", NULL},
    {"random numbers stay", "input x float32 3x4\n a = Bernoulli(x)\n b = Neg(a)\n y = Exp(b)\n output y", "Bernoulli Fused", "Neg Exp"},
};

static const oi_target *target(void)
{
    static oi_target t;
    t.kernels = oi_kernels_for(oi_cpu_isa_detect());
    t.isa = t.kernels->isa;
    return &t;
}

static void check_body(const lower_case *c, const oi_graph *g)
{
    for (oi_node_id i = 0; i < g->nnode; i++) {
        if (g->node[i].op != &oi_op_oi_Fused)
            continue;
        char *ops = graph_ops(g->node[i].sub[0].graph);
        ck_assert_msg(strcmp(ops, c->body) == 0, "%s: the chain is '%s', expected '%s'", c->name, ops, c->body);
        free(ops);
        return;
    }
    ck_abort_msg("%s: nothing is fused", c->name);
}

START_TEST(lowers_as_it_should)
{
    const lower_case *c = &cases[_i];
    oi_graph *g = graph_from_text(c->graph), *before = graph_from_text(c->graph);
    oi_tensor a[4] = {0}, b[4] = {0};
    oi_optimize_options o = {.strict = true};
    oi_status status = oi_optimize_with(g, OI_STAGE_LOWERED, target(), &o);
    ck_assert_msg(!status, "%s: %s", c->name, oi_error_current()->message);
    char *ops = graph_ops(g);
    ck_assert_msg(strcmp(ops, c->ops) == 0, "%s: got '%s', expected '%s'", c->name, ops, c->ops);
    free(ops);
    if (c->body)
        check_body(c, g);
    if (!strstr(c->graph, "Bernoulli")) { /* not evaluated ahead of a run */
        ck_assert_int_eq(graph_evaluate(before, 7, 5, a), ONNX_INFER_OK);
        status = graph_evaluate(g, 7, 5, b);
        ck_assert_msg(!status, "%s: %s", c->name, oi_error_current()->message);
        for (uint32_t i = 0; i < g->noutput; i++)
            ck_assert_msg(tensors_differ(&a[i], &b[i]) < 1e-5, "%s: output %u differs by %g", c->name, i, tensors_differ(&a[i], &b[i]));
    }
    for (int i = 0; i < 4; i++) {
        oi_tensor_clear(&a[i]);
        oi_tensor_clear(&b[i]);
    }
    oi_graph_destroy(g);
    oi_graph_destroy(before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lowered");
    TCase *t = tcase_create("lowered");
    tcase_add_loop_test(t, lowers_as_it_should, 0, (int)(sizeof cases / sizeof *cases));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
