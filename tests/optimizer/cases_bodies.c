/* What is rewritten across the borders of bodies of If, Loop and Scan, and what is left. */
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

static const rewrite_case rewrites[] = {
    {"what only depends on captures moves in front", LOOP(FORTY, "a = Exp(x)\n w = Add(v, a)"), "Exp Loop(Add)"},
    {"a chain moves as a whole", LOOP(FORTY, "const c float32 3 random\n a = Exp(x)\n d = Softmax(a)\n e = Mul(d, c)\n w = Add(v, e)"),
     "Exp Softmax Mul Loop(Add)"},
    {"also where the loop may not turn", LOOP(OPEN, "a = Exp(x)\n w = Add(v, a)"), "Size Exp Loop(Add)"},
    {"also what can fail where the loop turns",
     LOOP(FORTY, "const u int64 2 = 1 3\n k = ReduceMin(n)\n a = Gather(x, k)\n d = Reshape(a, u)\n w = Add(v, d)"),
     "ReduceMin Gather Reshape Loop(Add)"},
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
