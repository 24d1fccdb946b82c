/* Graphs that lowering rewrites, and graphs that a rule must leave. */
#include "cases.h"

static const rewrite_case rewrites[] = {
    /* fuse_elementwise.c */
    {"a chain is one step", "input x float32 2x300\n a = Neg(x)\n b = Exp(a)\n y = Abs(b)\n output y", "Fused(Neg Exp Abs)"},
    {"a tree is one step",
     "input x float32 2x300\n input z float32 2x300\n a = Sigmoid(x)\n b = Tanh(z)\n c = Mul(a, b)\n y = Sub(c, x)\n output y", "Fused(Sigmoid Tanh Mul Sub)"},
    {"a diamond is one step", "input x float32 70x90\n a = Neg(x)\n b = Exp(a)\n c = Abs(a)\n y = Add(b, c)\n output y", "Fused(Neg Exp Abs Add)"},
    {"a value that others use ends a chain", "input x float32 2x3\n a = Neg(x)\n b = Exp(a)\n c = Softmax(b)\n y = Abs(b)\n output y\n output c",
     "Fused(Neg Exp) Softmax Abs"},
    {"constants and broadcast operands",
     "input x float32 3x40x50\n const c float32 40x1 random\n input b float32 50\n a = Mul(x, c)\n y = Add(a, b)\n output y", "Fused(Mul Add)"},
    {"long rows", "input x float32 2x20001\n const c float32 20001 random\n a = Mul(x, c)\n y = Exp(a)\n output y", "Fused(Mul Exp)"},
    {"rows that repeat in the middle",
     "input x float32 7x5x300x3\n input c float32 7x1x300x1\n input d float32 5x1x3\n a = Mul(x, c)\n y = Add(a, d)\n output y", "Fused(Mul Add)"},
    {"a small operand is made inside of the chain",
     "input x float32 30x40\n input s float32 scalar\n input t float32 scalar\n f = Mul(s, t)\n y = Mul(x, f)\n output y", "Fused(Mul Mul)"},
    {"a small result does not end a large chain",
     "input x float32 30x1\n input z float32 30x40\n a = Neg(x)\n b = Exp(a)\n y = Add(b, z)\n output y\n", "Fused(Neg Exp Add)"},
    {"a larger operand starts a chain of its own",
     "input x float32 30x40\n const ax int64 1 = 1\n a = Neg(x)\n b = Exp(a)\n r = ReduceMax(b, ax)\n c = Neg(r)\n y = Sqrt(c)\n output y",
     "Fused(Neg Exp) ReduceMax Fused(Neg Sqrt)"},
    {"other types too",
     "input x int64 9000\n const two int64 scalar = 2\n a = Cast(x) {to=1}\n b = Exp(a)\n c = Cast(b) {to=7}\n y = Sub(c, two)\n output y", "Fused(Cast Exp Cast Sub)"},
    {"conditions", "input x float32 9x1000\n const c float32 scalar = 0.5\n a = Less(x, c)\n n = Not(a)\n y = Where(n, x, c)\n output y", "Fused(Less Not Where)"},
    {"quantised by one scale",
     "input x float32 9x1000\n const s float32 scalar = 0.01\n const z uint8 scalar = 128\n q = QuantizeLinear(x, s, z)\n"
     "m = Min(q, z)\n d = DequantizeLinear(m, s, z)\n y = Neg(d)\n output y",
     "Fused(QuantizeLinear Min DequantizeLinear Neg)"},
    /* fuse_affine.c */
    {"weights that are folded only when lowered take a scale too",
     "input x float32 1x1024x2x2\n const s int64 4 = 1200 1024 1 1\n const g float32 1200 random\n const v float32 1200 = 1\n"
     "w = ConstantOfShape(s)\n e = Exp(w)\n c = Conv(x, e)\n y = BatchNormalization(c, g, g, g, v)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    /* cut_taps.c */
    {"taps that read padding only go",
     "input x float32 1x8x5x4\n const w float32 8x8x3x3 random\n const b float32 8 random\n"
     "y = Conv(x, w, b) {kernel_shape=[3,3], dilations=[6,2], pads=[6,2,6,2]}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"of signals, with strides, on one side",
     "input x float32 1x8x9\n const w float32 8x8x4 random\n"
     "y = Conv(x, w) {kernel_shape=[4], dilations=[5], pads=[10,11], strides=[2]}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    /* layout.c */
    {"channels last is another form of the reorders",
     "input x float32 1x6x5x20\n const w float32 16x20x3x3 random\n a = Transpose(x) {perm=[0,3,1,2]}\n c = Conv(a, w)\n"
     "b = Transpose(c) {perm=[0,2,3,1]}\n y = Softmax(b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax"},
    {"depth to space is another",
     "input x float32 2x18x5x20\n const w float32 36x18x3x3 random\n c = Conv(x, w)\n y = DepthToSpace(c) {blocksize=3}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"of columns, rows, depth",
     "input x float32 2x18x5x20\n const w float32 36x18x3x3 random\n c = Conv(x, w)\n y = DepthToSpace(c) {blocksize=3, mode=CRD}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"of signals too",
     "input x float32 2x50x20\n const w float32 16x20x3 random\n a = Transpose(x) {perm=[0,2,1]}\n c = Conv(a, w)\n"
     "b = Transpose(c) {perm=[0,2,1]}\n y = Softmax(b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax"},
    /* fuse_quantise.c */
    {"quantised and back is one operator",
     "input x float32 9x1000\n const s float32 scalar = 0.01\n const z int8 scalar = 1\n q = QuantizeLinear(x, s, z)\n"
     "y = DequantizeLinear(q, s, z)\n output y",
     "QuantizeDequantize"},
    {"codes below 0 that do not exist make Relu idle",
     "input x float32 9x10\n const s float32 scalar = 0.01\n const z uint8 scalar = 0\n r = Relu(x)\n q = QuantizeLinear(r, s, z)\n"
     "y = DequantizeLinear(q, s, z)\n output y",
     "QuantizeDequantize"},
    {"codes below 0 that exist do not",
     "input x float32 9x10\n const s float32 scalar = 0.01\n const z uint8 scalar = 1\n r = Relu(x)\n q = QuantizeLinear(r, s, z)\n"
     "y = DequantizeLinear(q, s, z)\n output y",
     "Fused(Relu QuantizeDequantize)"},
    {"what is quantised so already stays as it is",
     "input x float32 1x2x9x10\n const s float32 scalar = 0.01\n const z int8 scalar = 3\n const i int64 1 = 1\n q = QuantizeLinear(x, s, z)\n"
     "d = DequantizeLinear(q, s, z)\n m = Gather(d, i) {axis=3}\n e = QuantizeLinear(m, s, z)\n y = DequantizeLinear(e, s, z)\n output y",
     "QuantizeDequantize Gather"},
    {"a convolution quantises its result",
     "input x float32 1x2x9x10\n const w float32 8x2x3x3 random\n const s float32 scalar = 0.01\n const z int8 scalar = 3\n c = Conv(x, w)\n"
     "q = QuantizeLinear(c, s, z)\n y = DequantizeLinear(q, s, z)\n output y",
     "ConvBlocked ReorderFromBlocked"},
    {"random numbers stay", "input x float32 3x4\n a = Bernoulli(x)\n b = Neg(a)\n y = Exp(b)\n output y", "Bernoulli Fused(Neg Exp)"},
    {"reorders between convolutions cancel",
     "input x float32 1x32x6x6\n const w float32 32x32x3x3 random\n a = Conv(x, w)\n y = Conv(a, w)\n"
     " output y",
     "ReorderToBlocked ConvBlocked ConvBlocked ReorderFromBlocked"},
    {"concatenation of blocked values",
     "input x float32 1x32x6x6\n const w float32 32x32x3x3 random\n const v float32 8x64x3x3 random\n"
     " a = Conv(x, w)\n d = MaxPool(x) {kernel_shape=[3,3]}\n e = Concat(a, d) {axis=1}\n y = Conv(e, v)\n"
     " output y",
     "ReorderToBlocked ConvBlocked ReorderToBlocked PoolBlocked Concat ConvBlocked ReorderFromBlocked"},
    {"resizing blocked values",
     "input x float32 1x32x6x6\n const sc float32 4 = 1 1 2 2\n const w float32 32x32x3x3 random\n"
     " a = Conv(x, w)\n b = Resize(a, _, sc)\n y = Conv(b, w)\n output y",
     "ReorderToBlocked ConvBlocked Resize ConvBlocked ReorderFromBlocked"},
    {"padding blocked values",
     "input x float32 1x32x6x6\n const p int64 8 = 0 0 1 1 0 0 1 1\n const z float32 scalar = 2\n"
     " const w float32 32x32x3x3 random\n a = Conv(x, w)\n b = Pad(a, p, z)\n y = Conv(b, w)\n output y",
     "ReorderToBlocked ConvBlocked Pad ConvBlocked ReorderFromBlocked"},
    {"batch norm by itself is a convolution",
     "input x float32 1x16x4x4\n const s float32 16 random\n const v float32 16 = 1 2\n"
     " y = BatchNormalization(x, s, s, s, v)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"so are a product and a sum",
     "input x float32 1x16x4x4\n const s float32 16x1x1 random\n const b float32 16x1x1 random\n"
     " a = Mul(x, s)\n y = Add(a, b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"and a product and a difference",
     "input x float32 1x16x4x4\n const s float32 16x1x1 random\n const b float32 16x1x1 random\n"
     " a = Mul(x, s)\n y = Sub(b, a)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"reorders of single pixels are views",
     "input x float32 1x32x1x1\n const w float32 32x32x1x1 random\n a = Conv(x, w)\n"
     " y = Softmax(a) {axis=1}\n output y",
     "Reshape ConvBlocked Reshape Softmax"},
    {"products look through views",
     "input x float32 2x4x6\n const s int64 2 = -1 6\n const t int64 3 = 2 4 5\n"
     " const w float32 6x5 random\n const b float32 5 random\n r = Reshape(x, s)\n p = Gemm(r, w, b)\n"
     " q = Reshape(p, t)\n y = Relu(q)\n output y",
     "GemmPacked"},
    {"a sum goes into a convolution",
     "input x float32 1x32x6x6\n const w float32 32x32x1x1 random\n a = Conv(x, w)\n"
     " b = MaxPool(x) {kernel_shape=[1,1]}\n s = Add(a, b)\n y = Relu(s)\n output y",
     "ReorderToBlocked ReorderToBlocked PoolBlocked ConvBlocked ReorderFromBlocked"},
    {"and so does Sum",
     "input x float32 1x32x6x6\n const w float32 32x32x1x1 random\n a = Conv(x, w)\n b = Conv(a, w)\n"
     " y = Sum(a, b)\n output y",
     "ReorderToBlocked ConvBlocked ConvBlocked ReorderFromBlocked"},
    /* transposed_weights.c; w is used twice, so that a transposed copy would be one more, as it is of a file's weights */
    {"large transposed weights",
     "input x float32 2x3x1100\n input i int64 3\n const w float32 1000x1100 random\n t = Transpose(w)\n"
     " y = MatMul(x, t)\n g = Gather(w, i)\n output y\n output g",
     "Gather GemmPacked"},
    {"large weights transposed twice",
     "input x float32 20x1000\n input i int64 3\n const w float32 1000x1100 random\n t = Transpose(w) {perm=[1,0]}\n"
     " y = Gemm(x, t) {transB=1}\n g = Gather(w, i)\n output y\n output g",
     "Gather GemmPacked"},
    /* gather_before.c */
    {"rows of a table that is scaled",
     "input i int64 2x3\n const w int8 20000x100 random\n const s float32 scalar = 0.01\n c = Cast(w) {to=1}\n"
     " m = Mul(c, s)\n y = Gather(m, i)\n output y",
     "Gather Fused(Cast Mul)"},
    {"rows of a table that is scaled by row and column",
     "input i int64 3\n const w int8 20000x100 random\n const s float32 20000x1 random\n const t float32 100 random\n"
     " c = Cast(w) {to=1}\n m = Mul(c, s)\n a = Add(m, t)\n y = Gather(a, i) {axis=-2}\n output y",
     "Gather Gather Fused(Cast Mul Add)"},
    {"rows of a table that is quantised",
     "input i int64 2x3\n const w int8 20000x100 random\n const s float32 scalar = 0.01\n const z int8 scalar = 3\n"
     " m = DequantizeLinear(w, s, z)\n y = Gather(m, i)\n output y",
     "Gather DequantizeLinear"},
    /* fuse_norm_sum.c */
    {"a norm of a sum that goes on",
     "input x float32 2x3x40\n input z float32 2x3x40\n const g float32 40 random\n const b float32 40 random\n const ax int64 1 = -1\n"
     " s = Add(x, z)\n n = LayerNormalization(s, g, b)\n r = ReduceMax(s, ax)\n output n\n output r",
     "NormOfSum ReduceMax"},
    {"of positions that all samples share",
     "input x float32 1x3x40\n input z float32 2x3x40\n const g float32 40 random\n s = Add(x, z)\n n = RMSNormalization(s, g)\n output n",
     "NormOfSum"},
    {"over two axes, without a bias",
     "input x float32 2x5x4x6\n input z float32 5x4x6\n const g float32 4x6 random\n s = Add(x, z)\n n = LayerNormalization(s, g) {axis=-2}\n"
     " y = Softmax(n)\n output y",
     "NormOfSum Softmax"},
    /* fuse_l2.c */
    {"length 1 of PyTorch",
     "input x float32 2x6x4x5\n const k0 int64 1 = 1\n const k1 float32 scalar = 0.5\n n = ReduceL2(x, k0)\n"
     "m = Clip(n, k1)\n s = Shape(x)\n e = Expand(m, s)\n y = Div(x, e)\n output y",
     "NormalizeL2"},
    {"by a maximum, over rows",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.000001\n n = ReduceL2(x, k0)\n"
     "m = Max(n, k1)\n y = Div(x, m)\n output y",
     "NormalizeL2"},
    {"of TensorFlow",
     "input x float32 2x6x4x5\n const k0 int64 1 = 3\n const k1 float32 scalar = 0.25\n q = Mul(x, x)\n"
     "n = ReduceSum(q, k0)\n m = Max(n, k1)\n s = Sqrt(m)\n r = Reciprocal(s)\n y = Mul(x, r)\n output y",
     "NormalizeL2"},
    {"with something added to the length",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.01\n n = ReduceL2(x, k0)\n"
     "m = Add(n, k1)\n y = Div(x, m)\n output y",
     "NormalizeL2"},
    {"with something added to the squares, over three axes",
     "input x float32 2x6x4x5\n const k0 int64 3 = 1 -1 2\n const k1 float32 scalar = 0.01\n n = ReduceSumSquare(x, k0)\n"
     "m = Add(n, k1)\n s = Sqrt(m)\n y = Div(x, s)\n output y",
     "NormalizeL2"},
    {"with nothing",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 2\n const k1 int64 1 = 1\n const k2 float32 scalar = 0.5\n"
     "p = Pow(x, k0)\n n = ReduceSum(p, k1)\n m = Pow(n, k2)\n y = Div(x, m)\n output y",
     "NormalizeL2"},
    {"in strips",
     "input x float32 2x7x23x41\n const k0 int64 1 = 1\n const k1 float32 scalar = 0.3\n n = ReduceL2(x, k0)\n"
     "m = Max(n, k1)\n y = Div(x, m)\n output y",
     "NormalizeL2"},
    {"of the standard",
     "input x float32 2x6x4x5\n y = LpNormalization(x) {axis=1}\n output y",
     "NormalizeL2"},
    /* op_rnn_packed.c */
    {"a recurrence with constant weights",
     "input x float32 5x2x8\n input h float32 1x2x4\n const w float32 1x12x8 random\n const r float32 1x12x4 random\n"
     " y = GRU(x, w, r, _, _, h) {hidden_size=4}\n output y",
     "RecurrentPacked"},
    {"a norm of channels between convolutions",
     "input x float32 1x20x5x7\n const kw float32 20x20x1x1 random\n const k0 int64 1 = 1\n const k1 float32 scalar = 2\n"
     "const k2 int64 1 = 1\n const k3 float32 scalar = 0.001\n const k4 float32 20x1x1 random\n"
     "const k5 float32 20x1x1 random\n z = Conv(x, kw)\n m = ReduceMean(z, k0)\n d = Sub(z, m)\n q = Pow(d, k1)\n"
     "v = ReduceMean(q, k2)\n w = Add(v, k3)\n s = Sqrt(w)\n n = Div(d, s)\n t = Mul(k4, n)\n u = Add(t, k5)\n"
     "y = Conv(u, kw)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked LayerNormalization ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    /* fuse_scale.c */
    {"squeeze and excitation",
     "input x float32 1x20x9x7\n const w float32 20x20x1x1 random\n const v float32 20x20x1x1 random\n const u float32 24x20x1x1 random\n"
     " c = Conv(x, w)\n p = GlobalAveragePool(c)\n s = Conv(p, v)\n t = HardSigmoid(s)\n"
     " m = Mul(c, t)\n y = Conv(m, u)\n output y",
     "ReorderToBlocked ConvBlocked PoolBlocked ConvBlocked ConvBlocked ReorderFromBlocked"},
    {"with a bias, a sum and an activation behind it",
     "input x float32 1x20x9x7\n const b float32 20 random\n const w float32 20x20x1x1 random\n const v float32 20x20x1x1 random\n const u float32 20x20x1x1 random\n"
     " c = Conv(x, w)\n p = GlobalAveragePool(c)\n s = Conv(p, v)\n t = HardSigmoid(s)\n"
     " m = Mul(t, c)\n d = Conv(m, u, b)\n e = Add(c, d)\n y = Relu(e)\n output y",
     "ReorderToBlocked ConvBlocked PoolBlocked ConvBlocked ConvBlocked ReorderFromBlocked"},
    /* op_rnn_bytes.c */
    {"one with weights of bytes",
     "input x float32 5x2x8\n input h float32 1x2x4\n const w int8 1x8x16 random\n const r int8 1x4x16 random\n const s float32 1 = 0.01\n"
     " const z int8 1 = 0\n y = DynamicQuantizeLSTM(x, w, r, _, _, h, _, _, s, z, s, z) {hidden_size=4}\n output y",
     "RecurrentBytes"},
};

static const leave_case leaves[] = {
    {"elementwise", "one operator stays itself", "input x float32 2x3\n y = Exp(x)\n output y", "Exp"},
    {"elementwise", "an output ends a chain", "input x float32 2x3\n a = Neg(x)\n y = Exp(a)\n output a\n output y", "Neg Exp"},
    {"channels last", "another transpose stays",
     "input x float32 1x20x5x6\n const w float32 16x20x3x3 random\n c = Conv(x, w)\n b = Transpose(c) {perm=[0,3,2,1]}\n"
     "y = Softmax(b)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Transpose Softmax"},
    {"quantise and back", "with two scales it stays two",
     "input x float32 9x1000\n const s float32 scalar = 0.01\n const r float32 scalar = 0.02\n const z uint8 scalar = 1\n"
     "q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, r, z)\n output y",
     "Fused(QuantizeLinear DequantizeLinear)"},
    {"quantise and back", "quantised by channel stays", "input x float32 9x4\n const s float32 4 = 0.01 0.02\n q = QuantizeLinear(x, s)\n y = DequantizeLinear(q, s)\n output y",
     "QuantizeLinear DequantizeLinear"},
    {"taps in padding", "taps that read pixels",
     "input x float32 1x8x5x4\n const w float32 8x8x3x3 random\n"
     " y = Conv(x, w) {dilations=[2,2], pads=[2,2,2,2]}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"quantised already", "quantised to other codes before",
     "input x float32 9x10\n const s float32 scalar = 0.01\n const r float32 scalar = 0.02\n"
     " const z int8 scalar = 3\n const i int64 1 = 1\n q = QuantizeLinear(x, s, z)\n"
     " d = DequantizeLinear(q, s, z)\n m = Gather(d, i) {axis=1}\n e = QuantizeLinear(m, r, z)\n"
     " y = DequantizeLinear(e, r, z)\n output y",
     "QuantizeDequantize Gather QuantizeDequantize"},
    {"scale and shift as Conv", "few channels",
     "input x float32 1x3x4x4\n const s float32 3 random\n const v float32 3 = 1 2\n"
     " y = BatchNormalization(x, s, s, s, v)\n output y",
     "BatchNormalization"},
    {"projections", "projections of three inputs",
     "input q float32 2x5x24\n input k float32 2x7x24\n input v float32 2x7x24\n"
     " const a float32 24x24 random\n const b float32 24x24 random\n const c float32 24x24 random\n"
     " const h int64 4 = 2 -1 3 8\n q0 = MatMul(q, a)\n k0 = MatMul(k, b)\n v0 = MatMul(v, c)\n"
     " q1 = Reshape(q0, h)\n q2 = Transpose(q1) {perm=[0,2,1,3]}\n k1 = Reshape(k0, h)\n"
     " k2 = Transpose(k1) {perm=[0,2,3,1]}\n v1 = Reshape(v0, h)\n v2 = Transpose(v1) {perm=[0,2,1,3]}\n"
     " s = MatMul(q2, k2)\n p = Softmax(s)\n y = MatMul(p, v2)\n output y",
     "GemmPacked GemmPacked GemmPacked AttentionStrided"},
    {"lower", "what has no other form",
     "input x float32 2x3\n const a int64 scalar = 1\n y = CumSum(x, a)\n output y",
     "CumSum"},
    {"cancel reorders", "a softmax between convolutions",
     "input x float32 1x32x6x6\n const w float32 32x32x3x3 random\n a = Conv(x, w)\n"
     " b = Softmax(a) {axis=1}\n y = Conv(b, w)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax ReorderToBlocked ConvBlocked ReorderFromBlocked"},
    {"depth to space", "depth to space of plain values",
     "input x float32 1x8x3x3\n a = Softmax(x)\n y = DepthToSpace(a) {blocksize=2}\n output y",
     "Softmax DepthToSpace"},
    {"blocked Concat", "concatenation of rows",
     "input x float32 1x32x6x6\n const w float32 32x32x3x3 random\n a = Conv(x, w)\n"
     " b = Conv(a, w) {pads=[1,1,1,1]}\n y = Concat(a, b) {axis=2}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked ConvBlocked ReorderFromBlocked Concat"},
    {"blocked Resize", "resizing plain values",
     "input x float32 1x32x6x6\n const sc float32 4 = 1 1 2 2\n const w float32 32x32x3x3 random\n"
     " b = Resize(x, _, sc)\n y = Softmax(b)\n output y",
     "Resize Softmax"},
    {"blocked Pad", "padding of channels",
     "input x float32 1x32x6x6\n const p int64 8 = 0 1 0 0 0 1 0 0\n const w float32 32x32x3x3 random\n"
     " a = Conv(x, w)\n y = Pad(a, p)\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Pad"},
    {"blocked elementwise", "an operand that is not blocked",
     "input x float32 1x32x6x6\n input z float32 1x32x4x4\n const w float32 32x32x3x3 random\n"
     " a = Conv(x, w)\n b = Softmax(z)\n y = Max(a, b)\n output y",
     "Softmax ReorderToBlocked ConvBlocked ReorderFromBlocked Max"},
    {"reorder of one pixel", "blocks that are not full",
     "input x float32 1x5x1x1\n const w float32 5x5x1x1 random\n a = Conv(x, w)\n"
     " y = Softmax(a) {axis=1}\n output y",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax"},
    {"view behind a product", "a view that splits columns",
     "input x float32 8x6\n const w float32 6x16 random\n const s int64 3 = 8 4 4\n a = MatMul(x, w)\n"
     " b = Reshape(a, s)\n y = Softmax(b)\n output y",
     "GemmPacked Reshape Softmax"},
    {"fuse sum", "a result that others use too",
     "input x float32 1x32x6x6\n const w float32 32x32x1x1 random\n a = Conv(x, w)\n b = Conv(a, w)\n"
     " b2 = Softmax(b)\n y = Add(a, b2)\n output y\n output a",
     "ReorderToBlocked ConvBlocked ConvBlocked ReorderFromBlocked Softmax ReorderFromBlocked Add"},
    {"fuse activation", "an activation beside another user",
     "input x float32 1x32x6x6\n const w float32 32x32x1x1 random\n a = Conv(x, w)\n b = Relu(a)\n"
     " c = Softmax(a)\n output b\n output c",
     "ReorderToBlocked ConvBlocked ReorderFromBlocked Softmax Relu ReorderFromBlocked"},
    {"transposed weights", "weights of three axes",
     "input x float32 2x5x1100\n const w float32 2x550x1100 random\n t = Transpose(w) {perm=[0,2,1]}\n y = MatMul(x, t)\n"
     " output y\n output w",
     "MatMul"},
    {"transposed weights", "a matrix that is known when running",
     "input x float32 2x3x40\n input w float32 30x40\n t = Transpose(w)\n y = MatMul(x, t)\n output y",
     "Transpose MatMul"},
    {"rows of a made table", "a table that is used whole",
     "input i int64 2x3\n input x float32 7x20000\n const w int8 20000x100 random\n c = Cast(w) {to=1}\n y = Gather(c, i)\n"
     " z = MatMul(x, c)\n output y\n output z",
     "Gather GemmPacked"},
    {"rows of a made table", "as many rows as the table has",
     "input i int64 2x6000\n const w int8 20000x100 random\n c = Cast(w) {to=1}\n y = Gather(c, i)\n output y", "Gather"},
    {"rows of a made table", "columns",
     "input i int64 3\n const w int8 20000x100 random\n c = Cast(w) {to=1}\n y = Gather(c, i) {axis=1}\n output y", "Gather"},
    {"rows of a made table", "one row, without its axis",
     "input i int64 scalar\n const w int8 20000x100 random\n c = Cast(w) {to=1}\n y = Gather(c, i)\n output y", "Gather"},
    {"rows of a made table", "a scale for each row",
     "input i int64 3\n const w int8 20000x100 random\n const s float32 20000 random\n"
     " m = DequantizeLinear(w, s) {axis=0}\n y = Gather(m, i)\n output y",
     "Gather"},
    {"rows of a made table", "a table that depends on an input",
     "input i int64 3\n input s float32 100\n const w float32 20000x100 random\n m = Mul(w, s)\n y = Gather(m, i)\n output y", "Mul Gather"},
    {"norm of a sum", "a sum that a chain makes",
     "input x float32 2x3x40\n input z float32 2x3x40\n const g float32 40 random\n e = Exp(x)\n s = Add(e, z)\n n = LayerNormalization(s, g)\n output n",
     "Fused(Exp Add) LayerNormalization"},
    {"norm of a sum", "a sum that is a result",
     "input x float32 2x3x40\n input z float32 2x3x40\n const g float32 40 random\n s = Add(x, z)\n n = LayerNormalization(s, g)\n output n\n output s",
     "Add LayerNormalization"},
    {"norm of a sum", "rows that are the same everywhere",
     "input x float32 2x3x40\n input z float32 2x3x1\n const g float32 40 random\n s = Add(x, z)\n n = LayerNormalization(s, g)\n output n",
     "Add LayerNormalization"},
    {"norm of a sum", "a scale that is made of it",
     "input x float32 40\n input z float32 40\n s = Add(x, z)\n g = Softmax(s)\n n = LayerNormalization(s, g)\n output n",
     "Add Softmax LayerNormalization"},
    {"length 1", "the length is used",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.000001\n n = ReduceL2(x, k0)\n"
     "m = Max(n, k1)\n z = Div(x, m)\n y = Mul(z, m)\n output y",
     "ReduceL2 Fused(Clip Div Mul)"},
    {"length 1", "of something else",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.000001\n z = Relu(x)\n"
     "n = ReduceL2(z, k0)\n m = Max(n, k1)\n y = Div(x, m)\n output y",
     "Relu ReduceL2 Fused(Clip Div)"},
    {"length 1", "an upper bound",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.000001\n const k2 float32 scalar = 1\n"
     "n = ReduceL2(x, k0)\n m = Clip(n, k1, k2)\n y = Div(x, m)\n output y",
     "ReduceL2 Fused(Clip Div)"},
    {"length 1", "axes that are no neighbours",
     "input x float32 2x6x4x5\n const k0 int64 2 = 1 3\n n = ReduceL2(x, k0)\n y = Div(x, n)\n output y",
     "ReduceL2 Div"},
    {"length 1", "a sum of magnitudes",
     "input x float32 2x6x4x5\n y = LpNormalization(x) {axis=1, p=1}\n output y",
     "LpNormalization"},
    {"lower", "a recurrence over sequences of several lengths",
     "input x float32 5x2x8\n input n int32 2\n const w float32 1x12x8 random\n const r float32 1x12x4 random\n"
     " y = GRU(x, w, r, _, n) {hidden_size=4}\n output y",
     "GRU"},
    {"scaled channels", "few pixels, many outputs",
     "input x float32 1x20x4x5\n const w float32 20x20x1x1 random\n const v float32 20x20x1x1 random\n const u float32 24x20x1x1 random\n"
     " c = Conv(x, w)\n p = GlobalAveragePool(c)\n s = Conv(p, v)\n t = HardSigmoid(s)\n"
     " m = Mul(c, t)\n y = Conv(m, u)\n output y",
     "ReorderToBlocked ConvBlocked PoolBlocked ConvBlocked Mul ConvBlocked ReorderFromBlocked"},
    {"scaled channels", "two samples",
     "input x float32 2x20x9x7\n const w float32 20x20x1x1 random\n const v float32 20x20x1x1 random\n const u float32 24x20x1x1 random\n"
     " c = Conv(x, w)\n p = GlobalAveragePool(c)\n s = Conv(p, v)\n t = HardSigmoid(s)\n"
     " m = Mul(c, t)\n y = Conv(m, u)\n output y",
     "ReorderToBlocked ConvBlocked PoolBlocked ConvBlocked Mul ConvBlocked ReorderFromBlocked"},
    {"scaled channels", "a window of 3x3",
     "input x float32 1x20x9x7\n const z float32 24x20x3x3 random\n const w float32 20x20x1x1 random\n const v float32 20x20x1x1 random\n const u float32 24x20x1x1 random\n"
     " c = Conv(x, w)\n p = GlobalAveragePool(c)\n s = Conv(p, v)\n t = HardSigmoid(s)\n"
     " m = Mul(c, t)\n y = Conv(m, z)\n output y",
     "ReorderToBlocked ConvBlocked PoolBlocked ConvBlocked Mul ConvBlocked ReorderFromBlocked"},
};

const case_table lower_cases = CASE_TABLE(OI_STAGE_LOWERED, rewrites, leaves);
