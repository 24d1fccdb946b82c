/* Graphs that decluttering rewrites, and graphs that a rule must leave. */
#include "cases.h"

static const rewrite_case rewrites[] = {
    {"identity goes", "input x float32 2x3\n a = Relu(x)\n b = Identity(a)\n y = Neg(b)\n output y", "Relu Neg"},
    {"dropout goes", "input x float32 2x3\n a = Relu(x)\n b, m = Dropout(a)\n y = Neg(b)\n output y", "Relu Neg"},
    {"cast to the same type goes", "input x float32 2x3\n a = Relu(x)\n b = Cast(a) {to=1}\n y = Neg(b)\n output y", "Relu Neg"},
    {"cast chain that loses nothing",
     "input x float32 2x3\n r = Relu(x)\n a = Cast(r) {to=11}\n b = Cast(a) {to=1}\n y = Neg(b)\n output y", "Relu Neg"},
    {"reshape to the same", "input x float32 2x3\n const s int64 2 = 2 3\n a = Relu(x)\n b = Reshape(a, s)\n y = Neg(b)\n output y",
     "Relu Neg"},
    {"reshape to the same, symbolic",
     "input x float32 Nx3\n const i int64 1 = 3\n z = Shape(x)\n a = Relu(x)\n b = Reshape(a, z)\n y = Neg(b)\n output y",
     "Relu Neg"},
    {"views merge",
     "input x float32 2x3x4\n const s int64 2 = 6 4\n const a1 int64 1 = 1\n a = Reshape(x, s)\n b = Unsqueeze(a, a1)\n"
     "y = Neg(b)\n output y", "Reshape Neg"},
    {"transposes cancel",
     "input x float32 2x3x4\n r = Relu(x)\n a = Transpose(r) {perm=[2,0,1]}\n b = Transpose(a) {perm=[1,2,0]}\n y = Neg(b)\n"
     "output y", "Relu Neg"},
    {"transposes merge",
     "input x float32 2x3x4\n a = Transpose(x) {perm=[2,0,1]}\n b = Transpose(a) {perm=[0,2,1]}\n y = Softmax(b)\n output y",
     "Transpose Softmax"},
    {"transpose of axes of size 1", "input x float32 1x3x1x4\n a = Transpose(x) {perm=[0,2,3,1]}\n y = Softmax(a)\n output y",
     "Transpose Softmax"},
    {"transposes move behind elementwise operators",
     "input x float32 2x3x4\n input z float32 2x3x4\n const c float32 3 random\n a = Transpose(x) {perm=[2,0,1]}\n"
     "b = Transpose(z) {perm=[2,0,1]}\n d = Mul(a, c)\n e = Add(d, b)\n y = Softmax(e)\n output y", "Mul Add Transpose Softmax"},
    {"and meet their inverse",
     "input x float32 2x3x4\n const c float32 4x1 random\n r = Softmax(x)\n a = Transpose(r) {perm=[0,2,1]}\n d = Sub(c, a)\n"
     "e = Exp(d)\n b = Transpose(e) {perm=[0,2,1]}\n y = Softmax(b)\n output y", "Softmax Sub Exp Softmax"},
    {"through Concat",
     "input x float32 2x3x4\n input z float32 2x5x4\n a = Transpose(x) {perm=[2,0,1]}\n b = Transpose(z) {perm=[2,0,1]}\n"
     "c = Concat(a, b) {axis=-1}\n y = Softmax(c)\n output y", "Concat Transpose Softmax"},
    {"a chain of sums that begins without a transpose",
     "input x float32 2x3x4\n input z float32 2x3x4\n input w float32 2x4x3\n a = Transpose(x) {perm=[0,2,1]}\n b = Transpose(z) {perm=[0,2,1]}\n"
     "c = Add(a, w)\n d = Add(c, b)\n e = Transpose(d) {perm=[0,2,1]}\n y = Softmax(e)\n output y", "Transpose Add Add Softmax"},
    {"transpose that only moves an axis of size 1",
     "input x float32 1x3x1x4\n a = Transpose(x) {perm=[0,2,1,3]}\n y = Neg(a)\n output y", "Reshape Neg"},
    {"add 0, mul 1", "input x float32 2x3\n const z float32 1 = 0\n const o float32 scalar = 1\n r = Relu(x)\n a = Add(z, r)\n"
     "b = Mul(a, o)\n c = Div(b, o)\n y = Neg(c)\n output y", "Relu Neg"},
    {"twice negated", "input x float32 2x3\n r = Relu(x)\n a = Neg(r)\n b = Neg(a)\n y = Abs(b)\n output y", "Relu Abs"},
    {"slice of everything", "input x float32 2x3\n const b int64 1 = 0\n const e int64 1 = 100\n r = Relu(x)\n"
     "a = Slice(r, b, e)\n y = Neg(a)\n output y", "Relu Neg"},
    {"concat of one", "input x float32 2x3\n r = Relu(x)\n a = Concat(r) {axis=0}\n y = Neg(a)\n output y", "Relu Neg"},
    {"constants fold", "input x float32 2x3\n const a float32 3 random\n const b float32 3 random\n c = Add(a, b)\n d = Mul(c, b)\n"
     "y = Add(x, d)\n output y", "Add"},
    {"shape arithmetic folds",
     "input x float32 Nx3x4\n const zero int64 1 = 0\n const m int64 1 = -1\n s = Shape(x)\n n = Gather(s, zero)\n"
     "t = Concat(n, m) {axis=0}\n a = Reshape(x, t)\n y = Neg(a)\n output y", "Shape Gather Concat Reshape Neg"},
    {"shape of known sizes folds",
     "input x float32 2x3x4\n const zero int64 1 = 0\n const m int64 1 = -1\n s = Shape(x)\n n = Gather(s, zero)\n"
     "t = Concat(n, m) {axis=0}\n a = Reshape(x, t)\n y = Neg(a)\n output y", "Reshape Neg"},
    {"dead code goes", "input x float32 2x3\n a = Relu(x)\n b = Exp(a)\n c = Neg(b)\n y = Abs(a)\n output y", "Relu Abs"},
    {"common subexpressions", "input x float32 2x3\n a = Relu(x)\n b = Relu(x)\n c = Exp(a)\n d = Exp(b)\n y = Add(c, d)\n output y",
     "Relu Exp Add"},
    {"conv takes batch norm",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const s float32 4 random\n const b float32 4 random\n"
     "const m float32 4 random\n const v float32 4 = 1 2 3 4\n a = Conv(x, w)\n y = BatchNormalization(a, s, b, m, v)\n output y",
     "Conv"},
    {"conv with a bias takes batch norm",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const c float32 4 random\n const s float32 4 random\n"
     "const b float32 4 random\n const m float32 4 random\n const v float32 4 = 1 2 3 4\n a = Conv(x, w, c)\n"
     "y = BatchNormalization(a, s, b, m, v)\n output y", "Conv"},
    {"depthwise conv takes scale and shift",
     "input x float32 1x4x8x8\n const w float32 4x1x3x3 random\n const s float32 1x4x1x1 random\n const b float32 4x1x1 random\n"
     "a = Conv(x, w) {group=4}\n c = Mul(a, s)\n y = Add(b, c)\n output y", "Conv"},
    {"transposed conv takes batch norm",
     "input x float32 1x3x8x8\n const w float32 3x5x2x2 random\n const s float32 5 random\n const b float32 5 random\n"
     "const m float32 5 random\n const v float32 5 = 1 2 3 4\n a = ConvTranspose(x, w)\n y = BatchNormalization(a, s, b, m, v)\n"
     "output y", "ConvTranspose"},
    {"gemm takes scale and shift",
     "input x float32 2x3\n const w float32 5x3 random\n const c float32 5 random\n const s float32 5 random\n a = Gemm(x, w, c) {transB=1}\n"
     "b = Mul(a, s)\n y = Sub(s, b)\n output y", "Gemm"},
    {"batch norm takes scale and shift",
     "input x float32 1x3x8x8\n const s float32 3 random\n const b float32 3 random\n const v float32 3 = 1 2 3\n"
     "const t float32 1x3x1x1 random\n r = Relu(x)\n a = BatchNormalization(r, s, b, s, v)\n c = Mul(a, t)\n y = Add(c, t)\n output y",
     "Relu BatchNormalization"},
    {"conv takes scale and shift in front of it",
     "input x float32 1x3x8x8\n const s float32 3x1x1 random\n const t float32 1x3x1x1 random\n const w float32 4x3x3x3 random\n"
     "r = Relu(x)\n a = Mul(r, s)\n c = Add(a, t)\n y = Conv(c, w)\n output y", "Relu Conv"},
    {"depthwise conv takes a scalar in front of it",
     "input x float32 1x3x8x8\n const s float32 1 = 3\n const w float32 6x1x3x3 random\n const b float32 6 random\n"
     "r = Relu(x)\n a = Sub(r, s)\n y = Conv(a, w, b) {group=3}\n output y", "Relu Conv"},
    {"padded conv takes a scale but no shift",
     "input x float32 1x3x8x8\n const s float32 1 = 3\n const w float32 4x3x3x3 random\n r = Relu(x)\n a = Add(r, s)\n"
     "c = Mul(a, s)\n y = Conv(c, w) {pads=[1,1,1,1]}\n output y", "Relu Add Conv"},
    {"a factor travels into the weights",
     "input x float32 2x4x6\n input z float32 2x2x4x3\n const w float32 6x6 random\n const b float32 6 random\n"
     "const s int64 4 = 2 4 2 3\n const e float32 scalar = 8\n a = MatMul(x, w)\n c = Add(b, a)\n d = Reshape(c, s)\n"
     "f = Transpose(d) {perm=[0,2,1,3]}\n g = Transpose(z) {perm=[0,1,3,2]}\n h = MatMul(f, g)\n y = Div(h, e)\n output y",
     "Transpose MatMul Add Reshape Transpose MatMul"},
    {"factors of both operands become one",
     "input x float32 2x4x6\n input z float32 2x6x5\n const c float32 1 = 3\n const d float32 1 = 0.5\n r = Relu(x)\n q = Relu(z)\n"
     "a = Mul(r, c)\n b = Mul(d, q)\n y = MatMul(a, b)\n output y", "Relu Relu Mul MatMul"},
    {"upsampling before a convolution with few outputs",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 3x5x3x3 random\n const b float32 3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=floor}\n c = Conv(r, w, b) {pads=[1,1,1,1]}\n y = Relu(c)\n output y",
     "Conv Relu DepthToSpace"},
    {"of half pixels, by three, with wider taps",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 3 3\n const w float32 1x5x5x5 random\n r = Resize(x, _, sc)\n"
     "y = Conv(r, w) {pads=[2,2,2,2]}\n output y", "Conv DepthToSpace"},
    {"gathers of each place are one split",
     "input x float32 4x3\n const i int64 1 = 0\n const j int64 1 = -1\n const k int64 scalar = 1\n a = Gather(x, i) {axis=1}\n"
     "b = Gather(x, j) {axis=1}\n c = Gather(x, k) {axis=-1}\n d = Neg(c)\n e = Exp(a)\n f = Abs(b)\n output d\n output e\n output f",
     "Split Squeeze Neg Exp Abs"},
    {"a scale of columns goes into the weights",
     "input x float32 2x3x4\n const w float32 4x5 random\n const b float32 5 random\n const c float32 1x1x5 random\n p = MatMul(x, w)\n"
     "s = Add(p, b)\n y = Mul(s, c)\n output y", "MatMul Add"},
    {"hard swish of Paddle",
     "input x float32 2x3\n const three float32 1 = 3\n const six float32 1 = 6\n const zero float32 scalar = 0\n"
     "const top float32 scalar = 6\n r = Neg(x)\n a = Add(r, three)\n b = Clip(a, zero, top)\n c = Mul(r, b)\n y = Div(c, six)\n output y",
     "Neg HardSwish"},
    {"hard sigmoid", "input x float32 2x3\n const three float32 scalar = 3\n const six float32 scalar = 6\n"
     "const zero float32 scalar = 0\n a = Add(x, three)\n b = Clip(a, zero, six)\n y = Div(b, six)\n output y", "HardSigmoid"},
    {"swish", "input x float32 2x3\n a = Sigmoid(x)\n y = Mul(a, x)\n output y", "Swish"},
    {"mish", "input x float32 2x3\n a = Softplus(x)\n b = Tanh(a)\n y = Mul(x, b)\n output y", "Mish"},
    {"clip", "input x float32 2x3\n const a float32 scalar = -1\n const b float32 scalar = 1\n m = Max(x, a)\n y = Min(m, b)\n output y",
     "Clip"},
    {"gelu", "input x float32 2x3\n const r float32 scalar = 1.41421356\n const one float32 scalar = 1\n const h float32 scalar = 0.5\n"
     "a = Div(x, r)\n b = Erf(a)\n c = Add(b, one)\n d = Mul(x, c)\n y = Mul(d, h)\n output y", "Gelu"},
    {"gelu, halved first",
     "input x float32 2x3\n const r float32 scalar = 0.70710678\n const one float32 scalar = 1\n const h float32 scalar = 0.5\n"
     "a = Mul(x, r)\n b = Erf(a)\n c = Add(b, one)\n d = Mul(x, h)\n y = Mul(d, c)\n output y", "Gelu"},
    {"gelu by tanh",
     "input x float32 2x3\n const k float32 scalar = 0.044715\n const c float32 scalar = 0.79788456\n const one float32 scalar = 1\n"
     "const h float32 scalar = 0.5\n const three float32 scalar = 3\n p = Pow(x, three)\n q = Mul(p, k)\n s = Add(x, q)\n t = Mul(s, c)\n"
     "u = Tanh(t)\n v = Add(u, one)\n w = Mul(x, h)\n y = Mul(w, v)\n output y", "Gelu"},
    {"layer norm",
     "input x float32 2x5x8\n const ax int64 1 = -1\n const two float32 scalar = 2\n const e float32 scalar = 0.00001\n"
     "const s float32 8 random\n const b float32 8 random\n m = ReduceMean(x, ax)\n d = Sub(x, m)\n p = Pow(d, two)\n"
     "v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n n = Div(d, r)\n t = Mul(n, s)\n y = Add(t, b)\n output y",
     "LayerNormalization"},
    {"layer norm by a power",
     "input x float32 2x5x8\n const ax int64 1 = 2\n const half float32 scalar = -0.5\n const e float32 scalar = 0.00001\n"
     "m = ReduceMean(x, ax)\n d = Sub(x, m)\n p = Mul(d, d)\n v = ReduceMean(p, ax)\n w = Add(e, v)\n r = Pow(w, half)\n y = Mul(r, d)\n"
     "output y", "LayerNormalization"},
    {"layer norm as scale and shift",
     "input x float32 2x5x8\n const ax int64 1 = -1\n const e float32 scalar = 0.001\n const g float32 8 random\n const b float32 8 random\n"
     "m = ReduceMean(x, ax)\n d = Sub(x, m)\n p = Mul(d, d)\n v = ReduceMean(p, ax)\n w = Add(v, e)\n s = Sqrt(w)\n r = Reciprocal(s)\n"
     "k = Mul(r, g)\n a = Mul(x, k)\n c = Mul(m, k)\n f = Sub(b, c)\n y = Add(a, f)\n output y", "LayerNormalization"},
    {"instance norm with scale and bias",
     "input x float32 2x5x6x8\n const ax int64 2 = 2 3\n const two float32 scalar = 2\n const e float32 scalar = 0.00001\n"
     "const s float32 5x1x1 random\n const b float32 1x5x1x1 random\n m = ReduceMean(x, ax)\n d = Sub(x, m)\n p = Pow(d, two)\n"
     "v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n n = Div(d, r)\n t = Mul(n, s)\n y = Add(b, t)\n output y",
     "InstanceNormalization"},
    {"group norm of PyTorch",
     "input x float32 Nx6x4x4\n const g int64 3 = 0 3 -1\n const o float32 3 = 1\n const z float32 3 = 0\n const s float32 6x1x1 random\n"
     "const b float32 6x1x1 random\n q = Shape(x)\n a = Reshape(x, g)\n n = InstanceNormalization(a, o, z)\n c = Reshape(n, q)\n"
     "d = Mul(c, s)\n y = Add(d, b)\n output y", "GroupNormalization"},
    {"group norm in pieces",
     "input x float32 2x6x4x4\n const g int64 3 = 2 3 32\n const q int64 4 = 2 6 4 4\n const ax int64 1 = 2\n const e float32 scalar = 0.00001\n"
     "const s float32 6x1x1 random\n a = Reshape(x, g)\n m = ReduceMean(a, ax)\n d = Sub(a, m)\n p = Mul(d, d)\n v = ReduceMean(p, ax)\n"
     "w = Add(v, e)\n r = Sqrt(w)\n n = Div(d, r)\n c = Reshape(n, q)\n y = Mul(c, s)\n output y", "GroupNormalization"},
    {"softmax",
     "input x float32 2x5x8\n const ax int64 1 = 1\n m = ReduceMax(x, ax)\n d = Sub(x, m)\n e = Exp(d)\n s = ReduceSum(e, ax)\n"
     "y = Div(e, s)\n output y", "Softmax"},
    {"einsum as a product",
     "input x float32 Nx5x6\n const w float32 6x3x8 random\n y = Einsum(x, w) {equation='abc,cde->abde'}\n output y", "MatMul Reshape"},
    {"einsum as a product with its operands changed over",
     "input x float32 2x7x3x8\n input z float32 2x5x3x8\n y = Einsum(x, z) {equation='aecd,abcd->acbe'}\n output y",
     "Transpose Transpose MatMul"},
    {"einsum as a sum over several axes",
     "input x float32 2x7x3x8\n input z float32 8x3\n y = Einsum(x, z) {equation='abcd,dc->ba'}\n output y",
     "Transpose Transpose Reshape Reshape MatMul Reshape"},
    {"a bias moves in front of the view that splits its columns",
     "input x float32 Nx5x6\n const w float32 6x24 random\n const b float32 1x3x8 random\n const s int64 4 = 0 0 3 8\n a = MatMul(x, w)\n"
     "c = Reshape(a, s)\n y = Add(b, c)\n output y", "MatMul Add Reshape"},
    {"einsum over all", "input x float32 7\n input z float32 7\n y = Einsum(x, z) {equation='i,i'}\n output y",
     "Reshape Reshape MatMul Reshape"},
    {"einsum with an ellipsis", "input x float32 2x3x4x5\n input z float32 2x3x5x6\n y = Einsum(x, z) {equation='...ij,...jk->...ik'}\n"
     "output y", "MatMul"},
    {"rms norm",
     "input x float32 2x5x8\n const ax int64 1 = -1\n const two float32 scalar = 2\n const e float32 scalar = 0.00001\n"
     "const s float32 8 random\n p = Pow(x, two)\n v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n q = Reciprocal(r)\n"
     "n = Mul(x, q)\n y = Mul(n, s)\n output y", "RMSNormalization"},
    {"a branch that is known is taken",
     "input x float32 2x3\n const c bool scalar = 1\n sub a(x)\n r = Neg(x)\n output r\n end\n sub b(x)\n"
     " r = Abs(x)\n output r\n end\n y = If(c) <then_branch=a, else_branch=b>\n output y",
     "Neg"},
    {"and the other one",
     "input x float32 2x3\n const c bool scalar = 0\n sub a(x)\n r = Neg(x)\n output r\n end\n sub b(x)\n"
     " r = Abs(x)\n output r\n end\n y = If(c) <then_branch=a, else_branch=b>\n output y",
     "Abs"},
    {"few turns of a loop are its nodes",
     "input x float32 2x3\n const m int64 scalar = 3\n const t bool scalar = 1\n sub body()\n"
     " input i any\n input go any\n input v any\n on = Identity(go)\n w = Tanh(v)\n output on\n output w\n"
     " end\n y = Loop(m, t, x) <body=body>\n output y",
     "Tanh Tanh Tanh"},
    {"constants move into branches",
     "input x float32 2x3\n input f bool scalar\n const c float32 3 random\n sub a(x, c)\n r = Mul(x, c)\n"
     " output r\n end\n sub b(x, c)\n r = Abs(x)\n output r\n end\n"
     " y = If(f) <then_branch=a, else_branch=b>\n output y",
     "If(Mul | Abs)"},
    {"branches are decluttered",
     "input x float32 2x3\n input f bool scalar\n sub a(x)\n q = Neg(x)\n r = Neg(q)\n s = Sigmoid(r)\n"
     " t = Mul(r, s)\n output t\n end\n sub b(x)\n r = Abs(x)\n s = Identity(r)\n output s\n end\n"
     " y = If(f) <then_branch=a, else_branch=b>\n output y",
     "If(Swish | Abs)"},
    {"hard sigmoid by a product",
     "input x float32 2x3\n const three float32 scalar = 3\n const s float32 scalar = 0.16666667\n"
     " const zero float32 scalar = 0\n const six float32 scalar = 6\n a = Add(x, three)\n"
     " b = Clip(a, zero, six)\n y = Mul(b, s)\n output y",
     "HardSigmoid"},
    {"hard swish out of hard sigmoid",
     "input x float32 2x3\n a = HardSigmoid(x) {alpha=0.16666667, beta=0.5}\n y = Mul(x, a)\n output y",
     "HardSwish"},
    {"gelu, halved by a quotient",
     "input x float32 2x3\n const r float32 scalar = 1.41421356\n const one float32 scalar = 1\n"
     " const h float32 scalar = 2\n a = Div(x, r)\n b = Erf(a)\n c = Add(b, one)\n d = Mul(x, c)\n"
     " y = Div(d, h)\n output y",
     "Gelu"},
    {"gelu by tanh, halved by a quotient",
     "input x float32 2x3\n const k float32 scalar = 0.044715\n const c float32 scalar = 0.79788456\n"
     " const one float32 scalar = 1\n const h float32 scalar = 2\n const three float32 scalar = 3\n"
     " p = Pow(x, three)\n q = Mul(p, k)\n s = Add(x, q)\n t = Mul(s, c)\n u = Tanh(t)\n v = Add(u, one)\n"
     " w = Mul(x, v)\n y = Div(w, h)\n output y",
     "Gelu"},
    {"rms norm by a quotient",
     "input x float32 2x5x8\n const ax int64 1 = -1\n const e float32 scalar = 0.00001\n p = Mul(x, x)\n"
     " v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n y = Div(x, r)\n output y",
     "RMSNormalization"},
    {"conv takes a sign",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const b float32 4 random\n a = Conv(x, w, b)\n y = Neg(a)\n output y", "Conv"},
    {"concatenations of concatenations",
     "input x float32 2x3\n input z float32 2x4\n a = Concat(x, z) {axis=1}\n b = Concat(z, a, x) {axis=-1}\n c = Concat(b, z) {axis=1}\n"
     " y = Relu(c)\n output y",
     "Concat Relu"},
};

static const leave_case leaves[] = {
    {"idle operator", "identity from input to output stays", "input x float32 2x3\n y = Identity(x)\n output y", "Identity"},
    {"idle operator", "dropout with its mask stays",
     "input x float32 2x3\n a = Relu(x)\n b, m = Dropout(a)\n c = Neg(b)\n output c\n output m", "Relu Dropout Neg"},
    {"idle operator", "cast to another stays", "input x float32 2x3\n a = Cast(x) {to=11}\n y = Neg(a)\n output y", "Cast Neg"},
    {"casts", "cast chain that loses", "input x float32 2x3\n a = Cast(x) {to=7}\n b = Cast(a) {to=1}\n y = Neg(b)\n output y",
     "Cast Cast Neg"},
    {"transpose behind", "not where permutations differ",
     "input x float32 3x3\n input z float32 3x3\n a = Transpose(x) {perm=[1,0]}\n y = Add(a, z)\n output y", "Transpose Add"},
    {"transpose behind", "not where the transpose has another user",
     "input x float32 2x3x4\n a = Transpose(x) {perm=[2,0,1]}\n y = Neg(a)\n z = Softmax(a)\n output y\n output z", "Transpose Neg Softmax"},
    {"idle operator", "add 0 that broadcasts stays", "input x float32 2x1\n const z float32 3 = 0\n r = Relu(x)\n a = Add(r, z)\n y = Neg(a)\n output y",
     "Relu Add Neg"},
    {"idle operator", "slice backwards stays", "input x float32 3x2\n const b int64 1 = -1\n const e int64 1 = -100\n const ax int64 1 = 0\n"
     "const st int64 1 = -1\n r = Relu(x)\n a = Slice(r, b, e, ax, st)\n y = Neg(a)\n output y", "Relu Slice Neg"},
    {"common subexpressions", "random is not common", "input x float32 2x3\n a = RandomNormalLike(x)\n b = RandomNormalLike(x)\n y = Add(a, b)\n output y",
     "RandomNormalLike RandomNormalLike Add"},
    {"scale and shift", "conv used twice keeps batch norm",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const s float32 4 random\n const b float32 4 random\n"
     "const m float32 4 random\n const v float32 4 = 1 2 3 4\n a = Conv(x, w)\n c = BatchNormalization(a, s, b, m, v)\n"
     "y = Add(a, c)\n output y", "Conv BatchNormalization Add"},
    {"scale and shift", "conv leaves a shift along pixels",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const b float32 6 random\n a = Conv(x, w)\n y = Add(a, b)\n output y",
     "Conv Add"},
    {"upsampling", "upsampling before many outputs",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 5x5x3x3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=floor}\n y = Conv(r, w) {pads=[1,1,1,1]}\n output y", "Resize Conv"},
    {"upsampling", "upsampling of other positions",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 3x5x3x3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=ceil}\n y = Conv(r, w) {pads=[1,1,1,1]}\n output y", "Resize Conv"},
    {"upsampling", "upsampling without pads behind it",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 3x5x3x3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=floor}\n y = Conv(r, w)\n output y", "Resize Conv"},
    {"gathers", "one gather of many places", "input x float32 4x9\n const i int64 1 = 0\n a = Gather(x, i) {axis=1}\n y = Neg(a)\n output y", "Gather Neg"},
    {"gathers", "gathers of several places",
     "input x float32 4x3\n const i int64 2 = 0 1\n const j int64 1 = 2\n a = Gather(x, i) {axis=1}\n b = Gather(x, j) {axis=1}\n d = Neg(a)\n"
     "e = Exp(b)\n output d\n output e",
     "Gather Gather Neg Exp"},
    {"scale of columns", "a scale of rows",
     "input x float32 2x3x4\n const w float32 4x5 random\n const c float32 3x1 random\n p = MatMul(x, w)\n y = Mul(p, c)\n output y", "MatMul Mul"},
    {"factor", "a factor stays where nothing takes it",
     "input x float32 2x4x6\n const e float32 scalar = 8\n r = Relu(x)\n a = Transpose(r) {perm=[0,2,1]}\n y = Div(a, e)\n output y",
     "Relu Div Transpose"},
    {"hard swish", "hard swish with another bound stays",
     "input x float32 2x3\n const three float32 scalar = 3\n const five float32 scalar = 5\n const six float32 scalar = 6\n"
     "const zero float32 scalar = 0\n a = Add(x, three)\n b = Clip(a, zero, five)\n c = Mul(x, b)\n y = Div(c, six)\n output y",
     "Add Clip Mul Div"},
    {"swish", "swish of another value stays", "input x float32 2x3\n z = Neg(x)\n a = Sigmoid(x)\n y = Mul(a, z)\n output y", "Neg Sigmoid Mul"},
    {"layer norm", "layer norm over an inner axis stays",
     "input x float32 2x5x8\n const ax int64 1 = 0\n const e float32 scalar = 0.00001\n m = ReduceMean(x, ax)\n d = Sub(x, m)\n"
     "p = Mul(d, d)\n v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n y = Div(d, r)\n output y",
     "ReduceMean Sub Mul ReduceMean Add Sqrt Div"},
    {"scale of a channel norm", "instance norm with a scale along pixels stays",
     "input x float32 2x5x6x8\n const o float32 5 = 1\n const z float32 5 = 0\n const s float32 6x8 random\n"
     "n = InstanceNormalization(x, o, z)\n y = Mul(n, s)\n output y", "InstanceNormalization Mul"},
    {"group norm", "groups across samples stay",
     "input x float32 2x6x4x4\n const g int64 3 = 1 4 48\n const q int64 4 = 2 6 4 4\n const o float32 4 = 1\n const z float32 4 = 0\n"
     "a = Reshape(x, g)\n n = InstanceNormalization(a, o, z)\n y = Reshape(n, q)\n output y", "Reshape InstanceNormalization Reshape"},
    {"bias", "a bias of other columns stays",
     "input x float32 5x6\n const w float32 6x24 random\n const b float32 3x8 random\n const s int64 4 = 5 2 3 4\n const t int64 3 = 5 3 8\n"
     "a = MatMul(x, w)\n c = Reshape(a, t)\n d = Add(c, b)\n e = Add(d, b)\n f = Reshape(e, s)\n g = Relu(c)\n y = Relu(f)\n output y\n"
     "output g", "MatMul Reshape Add Add Reshape Relu Relu"},
    {"declutter", "einsum that broadcasts stays", "input x float32 1x4x5\n input z float32 3x5x6\n y = Einsum(x, z) {equation='bij,bjk->bik'}\n"
     "output y", "Einsum"},
    {"declutter", "einsum with a sum over one operand stays", "input x float32 4x5\n input z float32 5\n y = Einsum(x, z) {equation='ij,j->j'}\n"
     "output y", "Einsum"},
    {"declutter", "einsum of a diagonal stays", "input x float32 4x4\n input z float32 4x5\n y = Einsum(x, z) {equation='ii,ij->j'}\n output y",
     "Einsum"},
    {"softmax", "softmax over two axes stays",
     "input x float32 2x5x8\n const ax int64 1 = 1\n const bx int64 1 = 2\n m = ReduceMax(x, ax)\n d = Sub(x, m)\n e = Exp(d)\n"
     "s = ReduceSum(e, bx)\n y = Div(e, s)\n output y", "ReduceMax Sub Exp ReduceSum Div"},
    {"branches", "a condition that is not known",
     "input x float32 2x3\n input c bool scalar\n sub a(x)\n r = Neg(x)\n output r\n end\n sub b(x)\n"
     " r = Abs(x)\n output r\n end\n y = If(c) <then_branch=a, else_branch=b>\n output y",
     "If(Neg | Abs)"},
    {"loops", "many turns",
     "input x float32 2x3\n const m int64 scalar = 100\n const t bool scalar = 1\n sub body()\n"
     " input i any\n input go any\n input v any\n on = Identity(go)\n w = Tanh(v)\n output on\n output w\n"
     " end\n y = Loop(m, t, x) <body=body>\n output y",
     "Loop(Tanh)"},
    {"captures", "captures that are computed",
     "input x float32 2x3\n input c bool scalar\n sub a(x)\n r = Neg(x)\n output r\n end\n sub b(x)\n"
     " r = Abs(x)\n output r\n end\n y = If(c) <then_branch=a, else_branch=b>\n output y",
     "If(Neg | Abs)"},
    {"constants", "random numbers are no constants",
     "input x float32 2x3\n a = RandomNormal() {shape=[2,3]}\n y = Add(x, a)\n output y",
     "RandomNormal Add"},
    {"twice", "negated with something between",
     "input x float32 2x3\n a = Neg(x)\n b = Abs(a)\n y = Neg(b)\n output y",
     "Neg Abs Neg"},
    {"constant to the right", "operands that may not change places",
     "input x float32 2x3\n const c float32 3 random\n y = Sub(c, x)\n output y",
     "Sub"},
    {"transposes", "transposes with an operator of axes between",
     "input x float32 2x3x4\n const w float32 3x3 random\n a = Transpose(x) {perm=[0,2,1]}\n b = MatMul(a, w)\n"
     " y = Transpose(b) {perm=[1,0,2]}\n output y",
     "Transpose MatMul Transpose"},
    {"flat transpose", "a transpose that changes the order",
     "input x float32 2x1x3\n y = Transpose(x) {perm=[2,1,0]}\n output y",
     "Transpose"},
    {"depth to space behind", "depth to space with two users",
     "input x float32 1x4x3x3\n d = DepthToSpace(x) {blocksize=2}\n a = Relu(d)\n b = Neg(d)\n output a\n"
     " output b",
     "DepthToSpace Relu Neg"},
    {"views", "views with an operator of axes between",
     "input x float32 2x3x4\n const s int64 2 = 6 4\n const t int64 2 = 4 6\n a = Reshape(x, s)\n"
     " b = Softmax(a)\n y = Reshape(b, t)\n output y",
     "Reshape Softmax Reshape"},
    {"scale and shift before", "a scale along pixels in front of a convolution",
     "input x float32 1x3x8x8\n const s float32 8 random\n const w float32 4x3x3x3 random\n"
     " a = Mul(x, s)\n y = Conv(a, w)\n output y",
     "Mul Conv"},
    {"two factors", "one factor and one scale of columns",
     "input x float32 2x4x6\n input z float32 2x6x5\n const c float32 6 random\n"
     " const d float32 scalar = 0.5\n a = Mul(x, c)\n b = Mul(z, d)\n y = MatMul(a, b)\n output y",
     "Mul Mul MatMul"},
    {"hard sigmoid", "a quotient by another number",
     "input x float32 2x3\n const three float32 scalar = 3\n const five float32 scalar = 5\n"
     " const six float32 scalar = 6\n const zero float32 scalar = 0\n a = Add(x, three)\n"
     " b = Clip(a, zero, six)\n y = Div(b, five)\n output y",
     "Add Clip Div"},
    {"mish", "mish of another value",
     "input x float32 2x3\n input z float32 2x3\n a = Softplus(z)\n b = Tanh(a)\n y = Mul(x, b)\n output y",
     "Softplus Tanh Mul"},
    {"gelu", "gelu with another divisor",
     "input x float32 2x3\n const r float32 scalar = 1.5\n const one float32 scalar = 1\n"
     " const h float32 scalar = 2\n a = Div(x, r)\n b = Erf(a)\n c = Add(b, one)\n d = Mul(x, c)\n"
     " y = Div(d, h)\n output y",
     "Div Erf Add Mul Div"},
    {"gelu by tanh", "gelu by tanh with another factor of the cube",
     "input x float32 2x3\n const k float32 scalar = 0.05\n const c float32 scalar = 0.79788456\n"
     " const one float32 scalar = 1\n const h float32 scalar = 0.5\n const three float32 scalar = 3\n"
     " p = Pow(x, three)\n q = Mul(p, k)\n s = Add(x, q)\n t = Mul(s, c)\n u = Tanh(t)\n v = Add(u, one)\n"
     " w = Mul(x, v)\n y = Mul(w, h)\n output y",
     "Pow Mul Add Mul Tanh Add Mul Mul"},
    {"rms norm", "a mean of something else",
     "input x float32 2x5x8\n input z float32 2x5x8\n const ax int64 1 = -1\n"
     " const e float32 scalar = 0.5\n a = Abs(x)\n p = Mul(a, z)\n q = Mul(p, p)\n v = ReduceMean(q, ax)\n"
     " w = Add(v, e)\n r = Sqrt(w)\n y = Div(x, r)\n output y",
     "Abs Mul Mul ReduceMean Add Sqrt Div"},
    {"scale of a norm", "a norm that has a scale",
     "input x float32 2x5x8\n const s float32 8 random\n const c float32 8 random\n"
     " n = LayerNormalization(x, s)\n y = Mul(n, c)\n output y",
     "LayerNormalization Mul"},
    {"bias of a norm", "a norm that has a bias",
     "input x float32 2x5x8\n const s float32 8 random\n const c float32 8 random\n"
     " n = LayerNormalization(x, s, s)\n y = Add(n, c)\n output y",
     "LayerNormalization Add"},
    {"bias of a channel norm", "instance norm with a bias along pixels",
     "input x float32 2x5x6x8\n const o float32 5 = 1\n const z float32 5 = 0\n"
     " const s float32 6x8 random\n n = InstanceNormalization(x, o, z)\n y = Add(n, s)\n output y",
     "InstanceNormalization Add"},
    {"dead code", "one of several outputs is used",
     "input x float32 4x2\n const k int64 1 = 1\n  a, b = TopK(x, k)\n y = Neg(b)\n output y",
     "TopK Neg"},
    {"concatenations", "along another axis",
     "input x float32 2x3\n input z float32 4x3\n a = Concat(x, x) {axis=0}\n b = Concat(a, z) {axis=1}\n y = Relu(b)\n output y",
     "Concat Concat Relu"},
    {"concatenations", "the inner one is used",
     "input x float32 2x3\n input z float32 4x3\n a = Concat(x, x) {axis=0}\n b = Concat(a, z) {axis=0}\n y = Relu(b)\n output y\n output a",
     "Concat Concat Relu"},
};

const case_table declutter_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
