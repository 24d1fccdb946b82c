/* What is rewritten across the borders of bodies of If, Loop and Scan, and what is left. */
#include "cases.h"

/* A loop over v with a captured x. */
#define LOOP(trips, body)                                                                                                 \
    "input x float32 2x3\n input z float32 2x3\n input n int64 Nx2\n const t bool scalar = 1\n" trips                          \
    "sub b(x, n)\n input i any\n input go any\n input v any\n" body "\n output go\n output w\n end\n"                            \
    "y = Loop(m, t, z) <body=b>\n output y"
#define FORTY "const m int64 scalar = 40\n"
#define OPEN "k = Size(n)\n const zero int64 scalar = 0\n m = Add(k, zero)\n"

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
};

static const leave_case leaves[] = {
    {"invariants of loops", "what can fail where the loop may not turn",
     LOOP(OPEN, "const u int64 1 = 1\n a, e = TopK(n, u)\n d = Cast(a) {to=1}\n f = ReduceMax(d)\n w = Add(v, f)"),
     "Size Loop(TopK Cast ReduceMax Add)"},
    {"invariants of loops", "what a turn makes", LOOP(FORTY, "a = Cast(i) {to=1}\n d = Mul(x, a)\n w = Add(v, d)"), "Loop(Cast Mul Add)"},
    {"invariants of loops", "random numbers", LOOP(FORTY, "a = RandomUniformLike(x)\n w = Add(v, a)"), "Loop(RandomUniformLike Add)"},
};

const case_table body_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
