/* Operators that exporters write in pieces, in the spellings of each, and graphs that look like them and must stay. */
#include "cases.h"

static const rewrite_case rewrites[] = {
    {"depth to space of TensorFlow, channels first",
     "input x float32 2x12x3x5\n const s int64 6 = 2 2 2 3 3 5\n const t int64 4 = 2 3 6 10\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,3,4,1,5,2]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "DepthToSpace Softmax"},
    {"pixel shuffle of PyTorch, batch open",
     "input x float32 Nx12x3x5\n const s int64 6 = 0 3 2 2 3 5\n const t int64 4 = 0 3 6 10\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,1,4,2,5,3]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "DepthToSpace Softmax"},
    {"of one sample, which has no axis",
     "input x float32 1x12x3x5\n const s int64 5 = 3 2 2 3 5\n const t int64 4 = 1 3 6 10\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,3,1,4,2]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "DepthToSpace Softmax"},
    {"space to depth", "input x float32 2x3x6x10\n const s int64 6 = 2 3 3 2 5 2\n const t int64 4 = 2 12 3 5\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,3,5,1,2,4]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "SpaceToDepth Softmax"},
    {"pixel unshuffle", "input x float32 2x3x6x10\n const s int64 6 = 2 3 3 2 5 2\n const t int64 4 = 2 12 3 5\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,1,3,5,2,4]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "SpaceToDepth Softmax"},
    {"meets its elementwise operators and the convolution",
     "input x float32 2x4x3x5\n const w float32 12x4x3x3 random\n const s int64 6 = 2 3 2 2 3 5\n const t int64 4 = 2 3 6 10\n"
     "r = Conv(x, w) {pads=[1,1,1,1]}\n a = Reshape(r, s)\n b = Transpose(a) {perm=[0,1,4,2,5,3]}\n c = Reshape(b, t)\n y = Relu(c)\n output y",
     "Conv Relu DepthToSpace"},
    {"sigmoid by its quotient",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1\n const k1 float32 scalar = 1\n a = Neg(x)\n b = Exp(a)\n"
     "c = Add(b, k0)\n y = Div(k1, c)\n output y",
     "Sigmoid"},
    {"sigmoid by its reciprocal",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -1\n const k1 float32 scalar = 1\n a = Mul(x, k0)\n b = Exp(a)\n"
     "c = Add(k1, b)\n y = Reciprocal(c)\n output y",
     "Sigmoid"},
    {"swish by its quotient",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1\n a = Neg(x)\n b = Exp(a)\n c = Add(b, k0)\n y = Div(x, c)\n"
     "output y",
     "Swish"},
    {"quick gelu of CLIP, swish of Paddle with a factor",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1.702\n a = Mul(x, k0)\n b = Sigmoid(a)\n y = Mul(x, b)\n output y",
     "Swish"},
    {"softsign",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1\n a = Abs(x)\n b = Add(a, k0)\n y = Div(x, b)\n output y",
     "Softsign"},
    {"relu6 of Keras",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 6\n a = Relu(x)\n y = Min(a, k0)\n output y",
     "Clip"},
    {"of tf2onnx",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 6\n a = Min(x, k0)\n y = Relu(a)\n output y",
     "Clip"},
    {"bounds on both sides of a maximum",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -2\n const k1 float32 scalar = -1\n const k2 float32 scalar = 3\n"
     "const k3 float32 scalar = 0.5\n a = Max(x, k0)\n b = Clip(a, k1, k2)\n y = Min(b, k3)\n output y",
     "Clip"},
    {"a maximum with 0",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0\n y = Max(x, k0)\n output y",
     "Relu"},
    {"a maximum",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -0.25\n y = Max(x, k0)\n output y",
     "Clip"},
    {"a minimum",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.25\n y = Min(k0, x)\n output y",
     "Clip"},
    {"bounds around relu",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -1\n const k1 float32 scalar = 0.5\n a = Clip(x, k0, k1)\n"
     "y = Relu(a)\n output y",
     "Clip"},
    {"relu twice",
     "input x float32 2x6x4x5\n a = Relu(x)\n y = Relu(a)\n output y",
     "Relu"},
    {"hard sigmoid of Keras",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.2\n const k1 float32 scalar = 0.5\n const k2 float32 scalar = 0\n"
     "const k3 float32 scalar = 1\n a = Mul(x, k0)\n b = Add(a, k1)\n y = Clip(b, k2, k3)\n output y",
     "HardSigmoid"},
    {"of sums first",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 3\n const k1 float32 scalar = 6\n const k2 float32 scalar = 0\n"
     "const k3 float32 scalar = 1\n a = Add(x, k0)\n b = Div(a, k1)\n y = Clip(b, k2, k3)\n output y",
     "HardSigmoid"},
    {"and hard swish of it",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 6\n const k1 float32 scalar = 0.5\n const k2 float32 scalar = 0\n"
     "const k3 float32 scalar = 1\n a = Div(x, k0)\n b = Add(a, k1)\n c = Max(b, k2)\n d = Min(c, k3)\n y = Mul(x, d)\n"
     "output y",
     "HardSwish"},
    {"hard swish of tf2onnx",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 3\n const k1 float32 scalar = 6\n"
     "const k2 float32 scalar = 0.16666667\n a = Add(x, k0)\n b = Relu(a)\n c = Min(b, k1)\n d = Mul(c, k2)\n y = Mul(x, d)\n"
     "output y",
     "HardSwish"},
    {"leaky relu as a maximum",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.1\n a = Mul(x, k0)\n y = Max(x, a)\n output y",
     "LeakyRelu"},
    {"leaky relu of torch.export",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0\n const k1 float32 scalar = 0.1\n c = Greater(x, k0)\n"
     "a = Mul(x, k1)\n y = Where(c, x, a)\n output y",
     "LeakyRelu"},
    {"the other way round",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0\n const k1 float32 scalar = 0.1\n c = LessOrEqual(x, k0)\n"
     "a = Mul(k1, x)\n y = Where(c, a, x)\n output y",
     "LeakyRelu"},
    {"slopes by channel of torch.export",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0\n const k1 float32 6x1x1 random\n c = Greater(x, k0)\n"
     "a = Mul(k1, x)\n y = Where(c, x, a)\n output y",
     "PRelu"},
    {"slopes by channel of Keras",
     "input x float32 2x6x4x5\n const k0 float32 6x1x1 random\n a = Relu(x)\n b = Neg(x)\n c = Relu(b)\n d = Mul(k0, c)\n"
     "y = Add(a, d)\n output y",
     "PRelu"},
    {"slopes by channel with a difference",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -1\n const k1 float32 6x1x1 random\n a = Relu(x)\n b = Mul(x, k0)\n"
     "c = Relu(b)\n d = Mul(k1, c)\n y = Sub(a, d)\n output y",
     "PRelu"},
    {"gelu, fast of Hugging Face",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.5\n const k1 float32 scalar = 0.7978845608\n"
     "const k2 float32 scalar = 0.044715\n const k3 float32 scalar = 1\n const k4 float32 scalar = 1\n a = Mul(x, k0)\n"
     "b = Mul(x, k1)\n c = Mul(x, k2)\n d = Mul(c, x)\n e = Add(d, k3)\n f = Mul(b, e)\n g = Tanh(f)\n h = Add(g, k4)\n"
     "y = Mul(a, h)\n output y",
     "Gelu"},
    {"gelu of torch.export, by products",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.044715\n const k1 float32 scalar = 0.7978845608\n"
     "const k2 float32 scalar = 1\n const k3 float32 scalar = 0.5\n a = Mul(x, x)\n b = Mul(a, x)\n c = Mul(b, k0)\n"
     "d = Add(x, c)\n e = Mul(d, k1)\n f = Tanh(e)\n g = Add(f, k2)\n h = Mul(x, k3)\n y = Mul(h, g)\n output y",
     "Gelu"},
    {"gelu of TensorFlow",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 3\n const k1 float32 scalar = 0.044715\n"
     "const k2 float32 scalar = 0.7978846\n const k3 float32 scalar = 1\n const k4 float32 scalar = 0.5\n a = Pow(x, k0)\n"
     "b = Mul(k1, a)\n c = Add(x, b)\n d = Mul(k2, c)\n e = Tanh(d)\n f = Add(k3, e)\n g = Mul(k4, f)\n y = Mul(x, g)\n"
     "output y",
     "Gelu"},
    {"gelu of JAX",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.044715\n const k1 float32 scalar = 0.7978846\n"
     "const k2 float32 scalar = 1\n const k3 float32 scalar = 0.5\n a = Mul(x, x)\n b = Mul(x, a)\n c = Mul(k0, b)\n"
     "d = Add(x, c)\n e = Mul(k1, d)\n f = Tanh(e)\n g = Add(k2, f)\n h = Mul(k3, g)\n y = Mul(x, h)\n output y",
     "Gelu"},
    {"gelu by a sigmoid",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 3\n const k1 float32 scalar = 0.044715\n"
     "const k2 float32 scalar = 1.5957691\n a = Pow(x, k0)\n b = Mul(a, k1)\n c = Add(b, x)\n d = Mul(c, k2)\n"
     "e = Sigmoid(d)\n y = Mul(x, e)\n output y",
     "Gelu"},
    {"gelu of BERT in TensorFlow",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1.4142135\n const k1 float32 scalar = 1\n"
     "const k2 float32 scalar = 0.5\n a = Div(x, k0)\n b = Erf(a)\n c = Add(k1, b)\n d = Mul(k2, c)\n y = Mul(x, d)\n"
     "output y",
     "Gelu"},
    {"gelu of a product",
     "input x float32 2x6x4x5\n const k0 float32 5 random\n const k1 float32 scalar = 1.4142135\n"
     "const k2 float32 scalar = 1\n const k3 float32 scalar = 0.5\n w = Mul(x, k0)\n a = Div(w, k1)\n b = Erf(a)\n"
     "c = Add(b, k2)\n d = Mul(w, c)\n y = Mul(d, k3)\n output y",
     "Mul Gelu"},
    {"bounds the wrong way round",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1\n const k1 float32 scalar = -1\n a = Max(x, k0)\n"
     "y = Min(a, k1)\n output y",
     "Clip"},
    {"mean of a sum",
     "input x float32 2x6x4x5\n const k0 int64 2 = 2 3\n const k1 float32 scalar = 20\n a = ReduceSum(x, k0)\n"
     "y = Div(a, k1)\n output y",
     "ReduceMean"},
    {"mean of a sum by the reciprocal",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.2\n a = ReduceSum(x,k0) {keepdims=0}\n"
     "y = Mul(a, k1)\n output y",
     "ReduceMean"},
    {"layer norm of tf2onnx without a shift",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 int64 1 = -1\n const k2 float32 scalar = 0.001\n"
     "const k3 float32 5 random\n m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Mul(d, d)\n v = ReduceMean(q, k1)\n"
     "w = Add(v, k2)\n s = Sqrt(w)\n r = Reciprocal(s)\n k = Mul(r, k3)\n a = Mul(x, k)\n c = Mul(m, k)\n y = Sub(a, c)\n"
     "output y",
     "LayerNormalization"},
    {"layer norm of keras2onnx by sums",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.2\n const k2 int64 1 = -1\n"
     "const k3 float32 scalar = 5\n const k4 float32 scalar = 0.001\n const k5 float32 1x1x5 random\n"
     "const k6 float32 1x1x5 random\n m0 = ReduceSum(x, k0)\n m = Mul(m0, k1)\n d = Sub(x, m)\n q = Mul(d, d)\n"
     "v0 = ReduceSum(q, k2)\n v = Div(v0, k3)\n w = Add(v, k4)\n s = Sqrt(w)\n n = Div(d, s)\n t = Mul(n, k5)\n"
     "y = Add(t, k6)\n output y",
     "LayerNormalization"},
    {"layer norm of torch.export",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 int64 1 = -1\n const k2 float32 scalar = 0.00001\n"
     "const k3 float32 5 random\n const k4 float32 5 random\n m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Mul(d, d)\n"
     "v = ReduceMean(q, k1)\n w = Add(v, k2)\n s = Sqrt(w)\n r = Reciprocal(s)\n n = Mul(d, r)\n t = Mul(n, k3)\n"
     "y = Add(t, k4)\n output y",
     "LayerNormalization"},
    {"layer norm of Paddle",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 2\n const k2 int64 1 = -1\n"
     "const k3 float32 scalar = 0.00001\n const k4 float32 5 random\n const k5 float32 5 random\n m = ReduceMean(x, k0)\n"
     "d = Sub(x, m)\n q = Pow(d, k1)\n v = ReduceMean(q, k2)\n w = Add(v, k3)\n s = Sqrt(w)\n n = Div(d, s)\n"
     "t = Mul(n, k4)\n y = Add(t, k5)\n output y",
     "LayerNormalization"},
    {"rms norm of Llama",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 2\n const k1 int64 1 = -1\n const k2 float32 scalar = 0.000001\n"
     "const k3 float32 scalar = 1\n const k4 float32 5 random\n q = Pow(x, k0)\n v = ReduceMean(q, k1)\n w = Add(v, k2)\n"
     "s = Sqrt(w)\n r = Div(k3, s)\n n = Mul(x, r)\n y = Mul(k4, n)\n output y",
     "RMSNormalization"},
    {"rms norm of torch.export",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.000001\n const k2 float32 1x1x5 random\n"
     "q = Mul(x, x)\n v = ReduceMean(q, k0)\n w = Add(v, k1)\n s = Sqrt(w)\n r = Reciprocal(s)\n n = Mul(x, r)\n"
     "y = Mul(n, k2)\n output y",
     "RMSNormalization"},
    {"rms norm by a sum of squares",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 5\n const k2 float32 scalar = 0.000001\n"
     "const k3 float32 5 random\n q = ReduceSumSquare(x, k0)\n v = Div(q, k1)\n w = Add(v, k2)\n s = Sqrt(w)\n"
     "n = Div(x, s)\n y = Mul(n, k3)\n output y",
     "RMSNormalization"},
    {"an operand that is as large as needed by itself",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n m = ReduceMax(x, k0)\n s = Shape(x)\n e = Expand(m, s)\n"
     "y = Div(x, e)\n output y",
     "ReduceMax Div"},
    {"repeated along an axis of size 1",
     "input x float32 2x6x4x5\n const k0 int64 1 = 1\n const k1 int64 4 = 1 6 1 1\n m = ReduceMax(x, k0)\n e = Tile(m, k1)\n"
     "y = Sub(e, x)\n output y",
     "ReduceMax Sub"},
    {"layer norm of channels, as NAFNet has it",
     "input x float32 2x6x4x5\n const k0 int64 1 = 1\n const k1 float32 scalar = 2\n const k2 int64 1 = 1\n"
     "const k3 float32 scalar = 0.001\n const k4 float32 6x1x1 random\n const k5 float32 6x1x1 random\n"
     "m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Pow(d, k1)\n v = ReduceMean(q, k2)\n w = Add(v, k3)\n s = Sqrt(w)\n"
     "n = Div(d, s)\n t = Mul(k4, n)\n u = Add(t, k5)\n y = Softmax(u)\n output y",
     "Transpose LayerNormalization Transpose Softmax"},
    {"of signals",
     "input x float32 2x6x20\n const k0 int64 1 = -2\n const k1 int64 1 = 1\n const k2 float32 scalar = 0.001\n"
     "m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Mul(d, d)\n v = ReduceMean(q, k1)\n w = Add(v, k2)\n s = Sqrt(w)\n"
     "r = Reciprocal(s)\n n = Mul(d, r)\n y = Softmax(n)\n output y",
     "Transpose LayerNormalization Transpose Softmax"},
    {"instance norm of tf2onnx",
     "input x float32 2x6x4x5\n const k0 int64 2 = 2 3\n const k1 int64 2 = 2 3\n const k2 float32 scalar = 0.001\n"
     "const k3 float32 6x1x1 random\n const k4 float32 6x1x1 random\n m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Mul(d, d)\n"
     "v = ReduceMean(q, k1)\n w = Add(v, k2)\n s = Sqrt(w)\n r = Reciprocal(s)\n k = Mul(r, k3)\n a = Mul(x, k)\n"
     "b = Mul(m, k)\n e = Sub(k4, b)\n y = Add(a, e)\n output y",
     "InstanceNormalization"},
    {"without a shift",
     "input x float32 2x6x4x5\n const k0 int64 2 = 2 3\n const k1 int64 2 = 2 3\n const k2 float32 scalar = 0.001\n"
     "const k3 float32 6x1x1 random\n m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Mul(d, d)\n v = ReduceMean(q, k1)\n"
     "w = Add(v, k2)\n s = Sqrt(w)\n r = Reciprocal(s)\n k = Mul(r, k3)\n a = Mul(x, k)\n b = Mul(m, k)\n y = Sub(a, b)\n"
     "output y",
     "InstanceNormalization"},
    /* blocks_conv.c */
    {"focus of YOLO",
     "input x float32 1x3x8x6\n const w float32 4x12x3x3 random\n const z int64 1 = 0\n const o int64 1 = 1\n const e int64 1 = 2147483647\n const t int64 1 = 2\n const h int64 1 = 2\n"
     " const v int64 1 = 3\n r = Slice(x, z, e, h, t)\n q = Slice(x, o, e, h, t)\n a = Slice(r, z, e, v, t)\n"
     " b = Slice(q, z, e, v, t)\n c = Slice(r, o, e, v, t)\n d = Slice(q, o, e, v, t)\n f = Concat(a, b, c, d) {axis=1}\n"
     " y = Conv(f, w) {pads=[1,1,1,1]}\n output y",
     "Conv"},
    {"space to depth in front of a convolution",
     "input x float32 2x3x8x6\n const w float32 4x12x2x3 random\n const b float32 4 random\n a = SpaceToDepth(x) {blocksize=2}\n"
     " y = Conv(a, w, b) {pads=[0,1,1,0], strides=[2,1]}\n output y",
     "Conv"},
    {"pixel unshuffle in front of one",
     "input x float32 1x2x9x6\n const w float32 4x18x1x1 random\n a = SpaceToDepth(x) {blocksize=3, mode=CRD}\n"
     " y = Conv(a, w) {auto_pad=SAME_UPPER}\n output y",
     "Conv"},
    {"softmax by a reciprocal",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 int64 1 = 3\n m = ReduceMax(x, k0)\n d = Sub(x, m)\n"
     "e = Exp(d)\n s = ReduceSum(e, k1)\n r = Reciprocal(s)\n y = Mul(r, e)\n output y",
     "Softmax"},
    {"logarithm of softmax in pieces",
     "input x float32 2x6x4x5\n const k0 int64 1 = 1\n const k1 int64 1 = 1\n m = ReduceMax(x, k0)\n d = Sub(x, m)\n"
     "e = Exp(d)\n s = ReduceSum(e, k1)\n l = Log(s)\n y = Sub(d, l)\n output y",
     "LogSoftmax"},
};

static const leave_case leaves[] = {
    {"sigmoid", "another divisor than one more",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 2\n const k1 float32 scalar = 1\n a = Neg(x)\n b = Exp(a)\n"
     "c = Add(b, k0)\n y = Div(k1, c)\n output y",
     "Neg Exp Add Div"},
    {"softsign", "a quotient of something else",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1\n z = Neg(x)\n a = Abs(z)\n b = Add(a, k0)\n y = Div(x, b)\n"
     "output y",
     "Neg Abs Add Div"},
    {"bounds", "the inner one is used",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -1\n const k1 float32 scalar = 3\n a = Relu(x)\n"
     "b = Clip(a, k0, k1)\n y = Add(a, b)\n output y",
     "Relu Clip Add"},
    {"bounds", "a maximum with several numbers",
     "input x float32 2x6x4x5\n const k0 float32 5 random\n y = Max(x, k0)\n output y",
     "Max"},
    {"bounds", "nothing between them",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1\n const k1 float32 scalar = -1\n a = Clip(x, k0, k1)\n"
     "y = Relu(a)\n output y",
     "Clip Relu"},
    {"hard sigmoid of bounds", "other bounds",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.2\n const k1 float32 scalar = 0.5\n const k2 float32 scalar = 0\n"
     "const k3 float32 scalar = 2\n a = Mul(x, k0)\n b = Add(a, k1)\n y = Clip(b, k2, k3)\n output y",
     "Mul Add Clip"},
    {"hard sigmoid of bounds", "nothing is multiplied",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.5\n const k1 float32 scalar = 0\n const k2 float32 scalar = 1\n"
     "b = Add(x, k0)\n y = Clip(b, k1, k2)\n output y",
     "Add Clip"},
    {"hard sigmoid of bounds", "it falls",
     "input x float32 2x6x4x5\n const k0 float32 scalar = -0.2\n const k1 float32 scalar = 0.5\n"
     "const k2 float32 scalar = 0\n const k3 float32 scalar = 1\n a = Mul(x, k0)\n b = Add(a, k1)\n y = Clip(b, k2, k3)\n"
     "output y",
     "Mul Add Clip"},
    {"slope below 0", "too steep for a maximum",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 2\n a = Mul(x, k0)\n y = Max(x, a)\n output y",
     "Mul Max"},
    {"slope below 0", "another border",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0.5\n const k1 float32 scalar = 0.1\n c = Greater(x, k0)\n"
     "a = Mul(x, k1)\n y = Where(c, x, a)\n output y",
     "Greater Mul Where"},
    {"slope below 0", "of another value",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 0\n const k1 float32 scalar = 0.1\n z = Neg(x)\n"
     "c = Greater(z, k0)\n a = Mul(x, k1)\n y = Where(c, x, a)\n output y",
     "Neg Greater Mul Where"},
    {"slope below 0", "both above 0",
     "input x float32 2x6x4x5\n const k0 float32 6x1x1 random\n a = Relu(x)\n b = Neg(x)\n d = Mul(k0, b)\n y = Add(a, d)\n"
     "output y",
     "Relu Neg Mul Add"},
    {"gelu by tanh", "another coefficient",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 3\n const k1 float32 scalar = 0.05\n"
     "const k2 float32 scalar = 0.7978846\n const k3 float32 scalar = 1\n const k4 float32 scalar = 0.5\n a = Pow(x, k0)\n"
     "b = Mul(k1, a)\n c = Add(x, b)\n d = Mul(k2, c)\n e = Tanh(d)\n f = Add(k3, e)\n g = Mul(k4, f)\n y = Mul(x, g)\n"
     "output y",
     "Pow Mul Add Mul Tanh Add Mul Mul"},
    {"gelu", "not halved",
     "input x float32 2x6x4x5\n const k0 float32 scalar = 1.4142135\n const k1 float32 scalar = 1\n a = Div(x, k0)\n"
     "b = Erf(a)\n c = Add(b, k1)\n y = Mul(x, c)\n output y",
     "Div Erf Add Mul"},
    {"mean", "by another number",
     "input x float32 2x6x4x5\n const k0 int64 2 = 2 3\n const k1 float32 scalar = 19\n a = ReduceSum(x, k0)\n"
     "y = Div(a, k1)\n output y",
     "ReduceSum Div"},
    {"mean", "the sum is used",
     "input x float32 2x6x4x5\n const k0 int64 2 = 2 3\n const k1 float32 scalar = 20\n a = ReduceSum(x, k0)\n"
     "b = Div(a, k1)\n y = Add(a, b)\n output y",
     "ReduceSum Div Add"},
    {"rms norm", "a sum of squares by another number",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 6\n const k2 float32 scalar = 0.000001\n"
     "const k3 float32 5 random\n q = ReduceSumSquare(x, k0)\n v = Div(q, k1)\n w = Add(v, k2)\n s = Sqrt(w)\n"
     "n = Div(x, s)\n y = Mul(n, k3)\n output y",
     "ReduceSumSquare Div Add Sqrt Div Mul"},
    {"scale of a norm", "one for each channel",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 float32 scalar = 0.000001\n const k2 float32 6x1x1 random\n"
     "q = Mul(x, x)\n v = ReduceMean(q, k0)\n w = Add(v, k1)\n s = Sqrt(w)\n r = Reciprocal(s)\n n = Mul(x, r)\n"
     "y = Mul(n, k2)\n output y",
     "RMSNormalization Mul"},
    {"expanded operand", "nothing else is as large",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 int64 4 = 2 6 4 5\n const k2 float32 scalar = 2\n"
     "m = ReduceMax(x, k0)\n e = Expand(m, k1)\n f = Neg(e)\n y = Mul(f, k2)\n output y",
     "ReduceMax Expand Neg Mul"},
    {"expanded operand", "repeated where it has more than one element",
     "input x float32 2x6x4x5\n const k0 int64 1 = -1\n const k1 int64 4 = 1 1 2 5\n m = ReduceMax(x, k0)\n e = Tile(m, k1)\n"
     "z = Concat(x,x) {axis=2}\n y = Sub(e, z)\n output y",
     "ReduceMax Tile Concat Sub"},
    {"blocks of pixels", "blocks turned over stay",
     "input x float32 2x12x3x5\n const s int64 6 = 2 3 2 2 3 5\n const t int64 4 = 2 3 6 10\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,1,4,3,5,2]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "Reshape Transpose Reshape Softmax"},
    {"blocks of pixels", "blocks that are no squares stay",
     "input x float32 2x18x3x5\n const s int64 6 = 2 3 2 3 3 5\n const t int64 4 = 2 3 6 15\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,1,4,2,5,3]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "Reshape Transpose Reshape Softmax"},
    {"blocks of pixels", "shuffled channels stay",
     "input x float32 2x12x3x5\n const s int64 5 = 2 3 4 3 5\n const t int64 4 = 2 12 3 5\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,2,1,3,4]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y", "Reshape Transpose Reshape Softmax"},
    {"blocks of pixels", "pieces that others use stay",
     "input x float32 2x12x3x5\n const s int64 6 = 2 3 2 2 3 5\n const t int64 4 = 2 3 6 10\n a = Reshape(x, s)\n"
     "b = Transpose(a) {perm=[0,1,4,2,5,3]}\n c = Reshape(b, t)\n y = Softmax(c)\n output y\n output b", "Reshape Transpose Reshape Softmax"},
    {"layer norm of channels", "another axis for the mean",
     "input x float32 2x6x4x5\n const k0 int64 1 = 2\n const k1 float32 scalar = 2\n const k2 int64 1 = 1\n"
     "const k3 float32 scalar = 0.001\n m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Pow(d, k1)\n v = ReduceMean(q, k2)\n"
     "w = Add(v, k3)\n s = Sqrt(w)\n y = Div(d, s)\n output y",
     "ReduceMean Sub Pow ReduceMean Add Sqrt Div"},
    {"layer norm", "scales along the pixels of a channel",
     "input x float32 2x6x4x5\n const k0 int64 2 = 2 3\n const k1 int64 2 = 2 3\n const k2 float32 scalar = 0.001\n"
     "const k3 float32 1x1x5 random\n m = ReduceMean(x, k0)\n d = Sub(x, m)\n q = Mul(d, d)\n v = ReduceMean(q, k1)\n"
     "w = Add(v, k2)\n s = Sqrt(w)\n r = Reciprocal(s)\n k = Mul(r, k3)\n a = Mul(x, k)\n b = Mul(m, k)\n y = Sub(a, b)\n"
     "output y",
     "ReduceMean Sub Mul ReduceMean Add Sqrt Reciprocal Mul Mul Mul Sub"},
    {"blocks into a window", "the same pixels twice",
     "input x float32 1x3x8x6\n const w float32 4x12x3x3 random\n const z int64 1 = 0\n const o int64 1 = 1\n const e int64 1 = 2147483647\n const t int64 1 = 2\n const h int64 1 = 2\n"
     " const v int64 1 = 3\n r = Slice(x, z, e, h, t)\n q = Slice(x, o, e, h, t)\n a = Slice(r, z, e, v, t)\n"
     " b = Slice(q, z, e, v, t)\n c = Slice(r, o, e, v, t)\n f = Concat(a, b, c, b) {axis=1}\n y = Conv(f, w) {pads=[1,1,1,1]}\n output y",
     "Slice Slice Slice Slice Slice Concat Conv"},
    {"blocks into a window", "a convolution of groups",
     "input x float32 1x3x8x6\n const w float32 4x6x3x3 random\n a = SpaceToDepth(x) {blocksize=2}\n y = Conv(a, w) {group=2}\n output y",
     "SpaceToDepth Conv"},
    {"blocks into a window", "a wide one",
     "input x float32 1x3x8x6\n const w float32 4x12x2x2 random\n a = SpaceToDepth(x) {blocksize=2}\n y = Conv(a, w) {dilations=[2,2]}\n output y",
     "SpaceToDepth Conv"},
    {"logarithm of softmax", "sums over another axis",
     "input x float32 2x6x4x5\n const k0 int64 1 = 1\n const k1 int64 1 = 2\n m = ReduceMax(x, k0)\n d = Sub(x, m)\n"
     "e = Exp(d)\n s = ReduceSum(e, k1)\n l = Log(s)\n y = Sub(d, l)\n output y",
     "ReduceMax Sub Exp ReduceSum Log Sub"},
    {"softmax", "of numbers that may be too large",
     "input x float32 2x6x4x5\n const k0 int64 1 = 3\n e = Exp(x)\n s = ReduceSum(e, k0)\n y = Div(e, s)\n output y",
     "Exp ReduceSum Div"},
};

const case_table recompose_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
