/* What each rule and pass rewrites and what it leaves, on graphs as text; each rewritten graph still computes the same. */
#include "graph_text.h"
#include "ops/infer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name, *graph, *ops; /* ops: of the decluttered graph, in topological order */
} pass_case;

static const pass_case cases[] = {
    {"identity goes", "input x float32 2x3\n a = Relu(x)\n b = Identity(a)\n y = Neg(b)\n output y", "Relu Neg"},
    {"identity from input to output stays", "input x float32 2x3\n y = Identity(x)\n output y", "Identity"},
    {"dropout goes", "input x float32 2x3\n a = Relu(x)\n b, m = Dropout(a)\n y = Neg(b)\n output y", "Relu Neg"},
    {"dropout with its mask stays",
     "input x float32 2x3\n a = Relu(x)\n b, m = Dropout(a)\n c = Neg(b)\n output c\n output m", "Relu Dropout Neg"},
    {"cast to the same type goes", "input x float32 2x3\n a = Relu(x)\n b = Cast(a) {to=1}\n y = Neg(b)\n output y", "Relu Neg"},
    {"cast to another stays", "input x float32 2x3\n a = Cast(x) {to=11}\n y = Neg(a)\n output y", "Cast Neg"},
    {"cast chain that loses nothing",
     "input x float32 2x3\n r = Relu(x)\n a = Cast(r) {to=11}\n b = Cast(a) {to=1}\n y = Neg(b)\n output y", "Relu Neg"},
    {"cast chain that loses", "input x float32 2x3\n a = Cast(x) {to=7}\n b = Cast(a) {to=1}\n y = Neg(b)\n output y",
     "Cast Cast Neg"},
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
    {"not where permutations differ",
     "input x float32 3x3\n input z float32 3x3\n a = Transpose(x) {perm=[1,0]}\n y = Add(a, z)\n output y", "Transpose Add"},
    {"not where the transpose has another user",
     "input x float32 2x3x4\n a = Transpose(x) {perm=[2,0,1]}\n y = Neg(a)\n z = Softmax(a)\n output y\n output z", "Transpose Neg Softmax"},
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
    {"add 0 that broadcasts stays", "input x float32 2x1\n const z float32 3 = 0\n r = Relu(x)\n a = Add(r, z)\n y = Neg(a)\n output y",
     "Relu Add Neg"},
    {"twice negated", "input x float32 2x3\n r = Relu(x)\n a = Neg(r)\n b = Neg(a)\n y = Abs(b)\n output y", "Relu Abs"},
    {"slice of everything", "input x float32 2x3\n const b int64 1 = 0\n const e int64 1 = 100\n r = Relu(x)\n"
     "a = Slice(r, b, e)\n y = Neg(a)\n output y", "Relu Neg"},
    {"slice backwards stays", "input x float32 3x2\n const b int64 1 = -1\n const e int64 1 = -100\n const ax int64 1 = 0\n"
     "const st int64 1 = -1\n r = Relu(x)\n a = Slice(r, b, e, ax, st)\n y = Neg(a)\n output y", "Relu Slice Neg"},
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
    {"random is not common", "input x float32 2x3\n a = RandomNormalLike(x)\n b = RandomNormalLike(x)\n y = Add(a, b)\n output y",
     "RandomNormalLike RandomNormalLike Add"},
    {"conv takes batch norm",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const s float32 4 random\n const b float32 4 random\n"
     "const m float32 4 random\n const v float32 4 = 1 2 3 4\n a = Conv(x, w)\n y = BatchNormalization(a, s, b, m, v)\n output y",
     "Conv"},
    {"conv with a bias takes batch norm",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const c float32 4 random\n const s float32 4 random\n"
     "const b float32 4 random\n const m float32 4 random\n const v float32 4 = 1 2 3 4\n a = Conv(x, w, c)\n"
     "y = BatchNormalization(a, s, b, m, v)\n output y", "Conv"},
    {"conv used twice keeps batch norm",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const s float32 4 random\n const b float32 4 random\n"
     "const m float32 4 random\n const v float32 4 = 1 2 3 4\n a = Conv(x, w)\n c = BatchNormalization(a, s, b, m, v)\n"
     "y = Add(a, c)\n output y", "Conv BatchNormalization Add"},
    {"depthwise conv takes scale and shift",
     "input x float32 1x4x8x8\n const w float32 4x1x3x3 random\n const s float32 1x4x1x1 random\n const b float32 4x1x1 random\n"
     "a = Conv(x, w) {group=4}\n c = Mul(a, s)\n y = Add(b, c)\n output y", "Conv"},
    {"conv leaves a shift along pixels",
     "input x float32 1x3x8x8\n const w float32 4x3x3x3 random\n const b float32 6 random\n a = Conv(x, w)\n y = Add(a, b)\n output y",
     "Conv Add"},
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
    {"stays with many outputs",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 5x5x3x3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=floor}\n y = Conv(r, w) {pads=[1,1,1,1]}\n output y", "Resize Conv"},
    {"and with other positions",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 3x5x3x3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=ceil}\n y = Conv(r, w) {pads=[1,1,1,1]}\n output y", "Resize Conv"},
    {"and without the pads",
     "input x float32 1x5x4x6\n const sc float32 4 = 1 1 2 2\n const w float32 3x5x3x3 random\n r = Resize(x, _, sc)"
     " {coordinate_transformation_mode=asymmetric, nearest_mode=floor}\n y = Conv(r, w)\n output y", "Resize Conv"},
    {"gathers of each place are one split",
     "input x float32 4x3\n const i int64 1 = 0\n const j int64 1 = -1\n const k int64 scalar = 1\n a = Gather(x, i) {axis=1}\n"
     "b = Gather(x, j) {axis=1}\n c = Gather(x, k) {axis=-1}\n d = Neg(c)\n e = Exp(a)\n f = Abs(b)\n output d\n output e\n output f",
     "Split Squeeze Neg Exp Abs"},
    {"one of many is none", "input x float32 4x9\n const i int64 1 = 0\n a = Gather(x, i) {axis=1}\n y = Neg(a)\n output y", "Gather Neg"},
    {"nor are gathers of several",
     "input x float32 4x3\n const i int64 2 = 0 1\n const j int64 1 = 2\n a = Gather(x, i) {axis=1}\n b = Gather(x, j) {axis=1}\n d = Neg(a)\n"
     "e = Exp(b)\n output d\n output e",
     "Gather Gather Neg Exp"},
    {"a scale of columns goes into the weights",
     "input x float32 2x3x4\n const w float32 4x5 random\n const b float32 5 random\n const c float32 1x1x5 random\n p = MatMul(x, w)\n"
     "s = Add(p, b)\n y = Mul(s, c)\n output y", "MatMul Add"},
    {"a scale of rows does not",
     "input x float32 2x3x4\n const w float32 4x5 random\n const c float32 3x1 random\n p = MatMul(x, w)\n y = Mul(p, c)\n output y", "MatMul Mul"},
    {"a factor stays where nothing takes it",
     "input x float32 2x4x6\n const e float32 scalar = 8\n r = Relu(x)\n a = Transpose(r) {perm=[0,2,1]}\n y = Div(a, e)\n output y",
     "Relu Div Transpose"},
    {"hard swish of Paddle",
     "input x float32 2x3\n const three float32 1 = 3\n const six float32 1 = 6\n const zero float32 scalar = 0\n"
     "const top float32 scalar = 6\n r = Neg(x)\n a = Add(r, three)\n b = Clip(a, zero, top)\n c = Mul(r, b)\n y = Div(c, six)\n output y",
     "Neg HardSwish"},
    {"hard sigmoid", "input x float32 2x3\n const three float32 scalar = 3\n const six float32 scalar = 6\n"
     "const zero float32 scalar = 0\n a = Add(x, three)\n b = Clip(a, zero, six)\n y = Div(b, six)\n output y", "HardSigmoid"},
    {"hard swish with another bound stays",
     "input x float32 2x3\n const three float32 scalar = 3\n const five float32 scalar = 5\n const six float32 scalar = 6\n"
     "const zero float32 scalar = 0\n a = Add(x, three)\n b = Clip(a, zero, five)\n c = Mul(x, b)\n y = Div(c, six)\n output y",
     "Add Clip Mul Div"},
    {"swish", "input x float32 2x3\n a = Sigmoid(x)\n y = Mul(a, x)\n output y", "Swish"},
    {"swish of another value stays", "input x float32 2x3\n z = Neg(x)\n a = Sigmoid(x)\n y = Mul(a, z)\n output y", "Neg Sigmoid Mul"},
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
    {"layer norm over an inner axis stays",
     "input x float32 2x5x8\n const ax int64 1 = 1\n const e float32 scalar = 0.00001\n m = ReduceMean(x, ax)\n d = Sub(x, m)\n"
     "p = Mul(d, d)\n v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n y = Div(d, r)\n output y",
     "ReduceMean Sub Mul ReduceMean Add Sqrt Div"},
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
    {"instance norm with a scale along pixels stays",
     "input x float32 2x5x6x8\n const o float32 5 = 1\n const z float32 5 = 0\n const s float32 6x8 random\n"
     "n = InstanceNormalization(x, o, z)\n y = Mul(n, s)\n output y", "InstanceNormalization Mul"},
    {"group norm of PyTorch",
     "input x float32 Nx6x4x4\n const g int64 3 = 0 3 -1\n const o float32 3 = 1\n const z float32 3 = 0\n const s float32 6x1x1 random\n"
     "const b float32 6x1x1 random\n q = Shape(x)\n a = Reshape(x, g)\n n = InstanceNormalization(a, o, z)\n c = Reshape(n, q)\n"
     "d = Mul(c, s)\n y = Add(d, b)\n output y", "GroupNormalization"},
    {"group norm in pieces",
     "input x float32 2x6x4x4\n const g int64 3 = 2 3 32\n const q int64 4 = 2 6 4 4\n const ax int64 1 = 2\n const e float32 scalar = 0.00001\n"
     "const s float32 6x1x1 random\n a = Reshape(x, g)\n m = ReduceMean(a, ax)\n d = Sub(a, m)\n p = Mul(d, d)\n v = ReduceMean(p, ax)\n"
     "w = Add(v, e)\n r = Sqrt(w)\n n = Div(d, r)\n c = Reshape(n, q)\n y = Mul(c, s)\n output y", "GroupNormalization"},
    {"groups across samples stay",
     "input x float32 2x6x4x4\n const g int64 3 = 1 4 48\n const q int64 4 = 2 6 4 4\n const o float32 4 = 1\n const z float32 4 = 0\n"
     "a = Reshape(x, g)\n n = InstanceNormalization(a, o, z)\n y = Reshape(n, q)\n output y", "Reshape InstanceNormalization Reshape"},
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
    {"a bias of other columns stays",
     "input x float32 5x6\n const w float32 6x24 random\n const b float32 3x8 random\n const s int64 4 = 5 2 3 4\n const t int64 3 = 5 3 8\n"
     "a = MatMul(x, w)\n c = Reshape(a, t)\n d = Add(c, b)\n e = Add(d, b)\n f = Reshape(e, s)\n g = Relu(c)\n y = Relu(f)\n output y\n"
     "output g", "MatMul Reshape Add Add Reshape Relu Relu"},
    {"einsum over all", "input x float32 7\n input z float32 7\n y = Einsum(x, z) {equation='i,i'}\n output y",
     "Reshape Reshape MatMul Reshape"},
    {"einsum with an ellipsis", "input x float32 2x3x4x5\n input z float32 2x3x5x6\n y = Einsum(x, z) {equation='...ij,...jk->...ik'}\n"
     "output y", "MatMul"},
    {"einsum that broadcasts stays", "input x float32 1x4x5\n input z float32 3x5x6\n y = Einsum(x, z) {equation='bij,bjk->bik'}\n"
     "output y", "Einsum"},
    {"einsum with a sum over one operand stays", "input x float32 4x5\n input z float32 5\n y = Einsum(x, z) {equation='ij,j->j'}\n"
     "output y", "Einsum"},
    {"einsum of a diagonal stays", "input x float32 4x4\n input z float32 4x5\n y = Einsum(x, z) {equation='ii,ij->j'}\n output y",
     "Einsum"},
    {"softmax over two axes stays",
     "input x float32 2x5x8\n const ax int64 1 = 1\n const bx int64 1 = 2\n m = ReduceMax(x, ax)\n d = Sub(x, m)\n e = Exp(d)\n"
     "s = ReduceSum(e, bx)\n y = Div(e, s)\n output y", "ReduceMax Sub Exp ReduceSum Div"},
    {"rms norm",
     "input x float32 2x5x8\n const ax int64 1 = -1\n const two float32 scalar = 2\n const e float32 scalar = 0.00001\n"
     "const s float32 8 random\n p = Pow(x, two)\n v = ReduceMean(p, ax)\n w = Add(v, e)\n r = Sqrt(w)\n q = Reciprocal(r)\n"
     "n = Mul(x, q)\n y = Mul(n, s)\n output y", "RMSNormalization"},
};

static const oi_target *target(void)
{
    static oi_target t;
    t.kernels = oi_kernels_for(oi_cpu_isa_detect());
    t.isa = t.kernels->isa;
    return &t;
}

START_TEST(rewrites_what_it_should)
{
    const pass_case *c = &cases[_i];
    oi_graph *g = graph_from_text(c->graph), *before = graph_from_text(c->graph);
    oi_tensor a[4] = {0}, b[4] = {0};
    oi_optimize_options o = {.strict = true};
    oi_status status = oi_optimize_with(g, OI_STAGE_DECLUTTERED, NULL, &o);
    ck_assert_msg(!status, "%s: %s", c->name, oi_error_current()->message);
    char *ops = graph_ops(g);
    ck_assert_msg(strcmp(ops, c->ops) == 0, "%s: got '%s', expected '%s'", c->name, ops, c->ops);
    free(ops);
    if (!strstr(c->graph, "Random") && !strstr(c->graph, "Dropout")) { /* neither is evaluated ahead of a run */
        ck_assert_int_eq(graph_evaluate(before, 7, 5, a), ONNX_INFER_OK);
        for (int stage = 0; stage < 2; stage++) {
            status = graph_evaluate(g, 7, 5, b);
            ck_assert_msg(!status, "%s: %s", c->name, oi_error_current()->message);
            for (uint32_t i = 0; i < g->noutput; i++)
                ck_assert_msg(tensors_differ(&a[i], &b[i]) < 1e-5, "%s: output %u differs by %g", c->name, i,
                              tensors_differ(&a[i], &b[i]));
            for (int i = 0; i < 4; i++)
                oi_tensor_clear(&b[i]);
            status = oi_optimize_with(g, OI_STAGE_LOWERED, target(), &o);
            ck_assert_msg(!status, "%s: %s", c->name, oi_error_current()->message);
        }
        for (int i = 0; i < 4; i++)
            oi_tensor_clear(&a[i]);
    }
    oi_graph_destroy(g);
    oi_graph_destroy(before);
}
END_TEST

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

START_TEST(each_failed_allocation_is_survived)
{
    const oi_alloc scarce = {sizeof scarce, NULL, scarce_alloc, scarce_free};
    oi_graph *g = graph_from_text("input x float32 2x3x8x8\n const w float32 16x3x3x3 random\n const s float32 16 random\n"
                                  "const v float32 16 = 1\n const m int64 1 = -1\n const i int64 1 = 0\n a = Conv(x, w)\n"
                                  "b = BatchNormalization(a, s, s, s, v)\n c = Relu(b)\n d = Identity(c)\n z = Shape(x)\n"
                                  "n = Gather(z, i)\n k = Concat(n, m) {axis=0}\n f = Reshape(d, k)\n output f");
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
    tcase_add_loop_test(t, rewrites_what_it_should, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(t, known_branches_are_taken);
    tcase_add_test(t, subgraphs_take_constants_and_drop_captures);
    tcase_add_test(t, undone_rewrites_leave_the_graph_as_it_was);
    tcase_add_test(t, endless_rules_are_stopped);
    tcase_add_test(t, stops_after_n_changes);
    tcase_add_test(t, lowered_products_look_through_views);
    tcase_add_test(t, few_rows_meet_a_large_weight_where_it_lies);
    tcase_add_test(t, large_constants_stay_unfolded);
    tcase_add_test(t, specialized_graphs_know_their_sizes);
    tcase_add_test(t, each_failed_allocation_is_survived);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
