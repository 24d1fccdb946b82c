/* What is rewritten in bodies of If, Loop and Scan and across their borders, and what is left. */
#include "cases.h"

/* A loop over v with a captured x. */
#define LOOP(trips, body)                                                                                                 \
    "input x float32 2x3\n input z float32 2x3\n input n int64 Nx2\n const t bool scalar = 1\n" trips                          \
    "sub b(x, n)\n input i any\n input go any\n input v any\n" body "\n output go\n output w\n end\n"                            \
    "y = Loop(m, t, z) <body=b>\n output y"
#define FORTY "const m int64 scalar = 40\n"
#define OPEN "k = Size(n)\n const zero int64 scalar = 0\n m = Add(k, zero)\n"

/* If with x and z captured by both branches, and y1 made in front of it. */
#define BRANCHES(before, one, other)                                                                                         \
    "input x float32 2x3\n input z float32 2x3\n input q bool scalar\n" before "sub a(x, z, y1)\n" one "\n output c\n end\n"        \
    "sub b(x, z, y1)\n" other "\n output c\n end\n y = If(q) <then_branch=a, else_branch=b>\n output y\n output y1"
#define NEG "y1 = Neg(z)\n"

/* A loop over a LSTM as PyTorch scripts it; `row` is what the body stacks. */
#define LSTM_LOOP(forget, row)                                                                                              \
    "input X float32 TxNx3\n input h0 float32 Nx5\n input c0 float32 Nx5\n const at int64 scalar = 0\n const yes bool scalar = 1\n"   \
    "s = Shape(X)\n turns = Gather(s, at)\n sub body(X)\n input i any\n input go any\n input h any\n input c any\n"             \
    "const w float32 20x3 random\n const r float32 20x5 random\n const b float32 20 random\n x = Gather(X, i)\n"                   \
    "gx = Gemm(x, w, b) {transB=1}\n gh = Gemm(h, r, b) {transB=1}\n g = Add(gx, gh)\n"                                        \
    "gi, gf, gg, go4 = Split(g) {axis=1, num_outputs=4}\n i4 = Sigmoid(gi)\n f4 = " forget "(gf)\n g4 = Tanh(gg)\n"               \
    "o4 = Sigmoid(go4)\n fc = Mul(f4, c)\n ig = Mul(i4, g4)\n c1 = Add(fc, ig)\n tc = Tanh(c1)\n h1 = Mul(o4, tc)\n"           \
    "output go\n output h1\n output c1\n output " row "\n end\n"                                                             \
    "hn, cn, y = Loop(turns, yes, h0, c0) <body=body>\n output y\n output cn\n output hn"
#define GRU_SCAN(directions)                                                                                               \
    "input X float32 7x2x3\n const h0 float32 2x4 = 0\n sub body()\n input h any\n input x any\n const w float32 7x8 random\n"        \
    "const b float32 8 random\n const u float32 7x4 random\n const one float32 scalar = 1\n a = Concat(x, h) {axis=1}\n"             \
    "p = MatMul(a, w)\n q = Add(p, b)\n r0, z0 = Split(q) {axis=1, num_outputs=2}\n r = Sigmoid(r0)\n z = Sigmoid(z0)\n"           \
    "rh = Mul(r, h)\n d = Concat(x, rh) {axis=1}\n e = MatMul(d, u)\n n = Tanh(e)\n k = Sub(one, z)\n l = Mul(k, n)\n"              \
    "m = Mul(z, h)\n v = Add(l, m)\n output v\n output v\n end\n hn, y = Scan(h0, X) {num_scan_inputs=1, " directions "} <body=body>\n" \
    "z = Neg(y)\n output z"

static const rewrite_case rewrites[] = {
    {"a LSTM in a Loop", LSTM_LOOP("Sigmoid", "h1"), "Unsqueeze Unsqueeze LSTM Squeeze Squeeze Squeeze"},
    {"a GRU in a Scan, backwards, as TensorFlow has it", GRU_SCAN("scan_input_directions=[1], scan_output_directions=[1]"), "GRU Squeeze Neg"},
    {"a RNN in a Scan",
     "input X float32 7x2x3\n const h0 float32 2x4 = 0\n sub body()\n input h any\n input x any\n const w float32 3x4 random\n"
     "const r float32 4x4 random\n a = MatMul(x, w)\n b = MatMul(h, r)\n c = Add(a, b)\n v = Relu(c)\n output v\n output v\n end\n"
     "hn, y = Scan(h0, X) {num_scan_inputs=1} <body=body>\n output hn\n z = Neg(y)\n output z", "RNN Squeeze Neg Squeeze"},
    {"what only depends on captures moves in front", LOOP(FORTY, "a = Exp(x)\n w = Add(v, a)"), "Exp Loop(Add)"},
    {"a chain moves as a whole", LOOP(FORTY, "const c float32 3 random\n a = Exp(x)\n d = Softmax(a)\n e = Mul(d, c)\n w = Add(v, e)"),
     "Exp Softmax Mul Loop(Add)"},
    {"also where the loop may not turn", LOOP(OPEN, "a = Exp(x)\n w = Add(v, a)"), "Size Exp Loop(Add)"},
    {"also what can fail where the loop turns",
     LOOP(FORTY, "const u int64 2 = 1 3\n const o int64 scalar = 2\n l = ReduceMin(n)\n k = Mod(l, o)\n a = Gather(x, k)\n d = Reshape(a, u)\n w = Add(v, d)"),
     "ReduceMin Mod Gather Reshape Loop(Add)"},
    {"of a scan, too",
     "input x float32 2x3\n input s float32 5x2x3\n input h float32 2x3\n sub b(x)\n input v any\n input e any\n"
     "a = Exp(x)\n d = Mul(e, a)\n f = Tanh(v)\n w = Add(f, d)\n output w\n output f\n end\n"
     "y, r = Scan(h, s) {num_scan_inputs=1} <body=b>\n output y\n output r", "Exp Scan(Mul Tanh Add)"},
    {"out of a loop in a loop",
     "input x float32 2x3\n input z float32 2x3\n const m int64 scalar = 30\n const t bool scalar = 1\n sub outer(x, m, t)\n input i any\n"
     "input go any\n input v any\n sub inner(x, v)\n input j any\n input on any\n input u any\n"
     "a = Exp(x)\n b = Mul(v, a)\n w = Add(u, b)\n output on\n output w\n end\n r = Loop(m, t, v) <body=inner>\n output go\n output r\n end\n"
     "y = Loop(m, t, z) <body=outer>\n output y", "Exp Loop(Mul Loop(Add))"},
    {"what the graph around has is captured", BRANCHES("a = Exp(x)\n y1 = Add(a, z)\n", "b = Exp(x)\n c = Mul(b, y1)", "c = Neg(y1)"),
     "Exp Add If(Mul | Neg)"},
    {"a chain of it", BRANCHES("a = Exp(x)\n b = Softmax(a)\n y1 = Add(b, z)\n", "b = Exp(x)\n d = Softmax(b)\n c = Mul(d, y1)", "c = Neg(y1)"),
     "Exp Softmax Add If(Mul | Neg)"},
    {"with the same constants", BRANCHES("const k float32 3 = 1 2 3\n a = Mul(x, k)\n y1 = Add(a, z)\n",
                                         "const k float32 3 = 1 2 3\n b = Mul(x, k)\n c = Sub(b, y1)", "c = Neg(y1)"),
     "Mul Add If(Sub | Neg)"},
    {"what both branches compute moves in front",
     BRANCHES(NEG, "a = Exp(x)\n b = Softmax(a)\n c = Mul(b, z)", "a = Exp(x)\n b = Softmax(a)\n c = Sub(b, z)"),
     "Neg Exp Softmax If(Mul | Sub)"},
    {"with constants that both have", BRANCHES(NEG, "const k float32 3 = 1 2 3\n a = Mul(x, k)\n c = Mul(a, z)",
                                               "const k float32 3 = 1 2 3\n a = Mul(x, k)\n c = Sub(a, z)"),
     "Neg Mul If(Mul | Sub)"},
    {"all of it, so that nothing is left to choose", BRANCHES(NEG, "a = Exp(x)\n c = Softmax(a)", "a = Exp(x)\n c = Softmax(a)"),
     "Neg Exp Softmax"},
};

static const leave_case leaves[] = {
    {"recurrent cell", "the sequence of the cell's other state", LSTM_LOOP("Sigmoid", "c1"),
     "Shape Gather Loop(Gather Gemm Gemm Add Split Sigmoid Sigmoid Tanh Sigmoid Mul Mul Add Tanh Mul)"},
    {"recurrent cell", "gates of several kinds", LSTM_LOOP("HardSigmoid", "h1"),
     "Shape Gather Loop(Gather Gemm Gemm Add Split Sigmoid HardSigmoid Tanh Sigmoid Mul Mul Add Tanh Mul)"},
    {"recurrent cell", "results in another order than the inputs", GRU_SCAN("scan_input_directions=[1]"),
     "Scan(Concat MatMul Add Split Sigmoid Sigmoid Mul Concat MatMul Tanh Sub Mul Mul Add) Neg"},
    {"recurrent cell", "a state that more is done to",
     "input X float32 7x2x3\n const h0 float32 1x4 = 0\n sub body()\n input h any\n input x any\n const w float32 3x4 random\n"
     "const r float32 4x4 random\n a = MatMul(x, w)\n b = MatMul(h, r)\n c = Add(a, b)\n d = Relu(c)\n v = ReduceMean(d) {keepdims=1}\n"
     "u = Mul(h, v)\n output u\n output d\n end\n hn, y = Scan(h0, X) {num_scan_inputs=1} <body=body>\n output hn\n z = Neg(y)\n output z",
     "Scan(MatMul MatMul Add Relu ReduceMean Mul) Neg"},
    {"invariants of loops", "what can fail where the loop may not turn",
     LOOP(OPEN, "const u int64 1 = 1\n a, e = TopK(n, u)\n d = Cast(a) {to=1}\n f = ReduceMax(d)\n w = Add(v, f)"),
     "Size Loop(TopK Cast ReduceMax Add)"},
    {"invariants of loops", "what a turn makes", LOOP(FORTY, "a = Cast(i) {to=1}\n d = Mul(x, a)\n w = Add(v, d)"), "Loop(Cast Mul Add)"},
    {"invariants of loops", "random numbers", LOOP(FORTY, "a = RandomUniformLike(x)\n w = Add(v, a)"), "Loop(RandomUniformLike Add)"},
    {"common subexpressions", "other constants", BRANCHES("const k float32 3 = 1 2 3\n a = Mul(x, k)\n y1 = Add(a, z)\n",
                                                          "const k float32 3 = 1 2 4\n b = Mul(x, k)\n c = Sub(b, y1)", "c = Neg(y1)"),
     "Mul Add If(Mul Sub | Neg)"},
    {"common subexpressions", "what is computed behind it",
     "input x float32 2x3\n input q bool scalar\n sub a(x)\n b = Exp(x)\n c = Neg(b)\n output c\n end\n sub b(x)\n d = Neg(x)\n output d\n end\n"
     "y = If(q) <then_branch=a, else_branch=b>\n e = Exp(x)\n z = Add(e, y)\n output z", "If(Exp Neg | Neg) Exp Add"},
    {"common subexpressions", "what one branch alone computes", BRANCHES(NEG, "a = Exp(x)\n c = Mul(a, z)", "a = Abs(x)\n c = Sub(a, z)"),
     "Neg If(Exp Mul | Abs Sub)"},
    {"common subexpressions", "random numbers of each branch",
     BRANCHES(NEG, "a = RandomUniformLike(x)\n c = Mul(a, z)", "a = RandomUniformLike(x)\n c = Sub(a, z)"),
     "Neg If(RandomUniformLike Mul | RandomUniformLike Sub)"},
};

const case_table body_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
