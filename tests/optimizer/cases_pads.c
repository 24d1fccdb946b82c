/* Pads that go into windows or into each other, and pads that must stay. */
#include "cases.h"

static const rewrite_case rewrites[] = {
    {"a pad goes into the convolution",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 2 0 0 3 0\n const w float32 4x3x3x3 random\n a = Relu(x)\n b = Pad(a, p)\n"
     "y = Conv(b, w) {pads=[1,0,0,1], strides=[2,2]}\n output y", "Relu Conv"},
    {"with named axes, a value and a size that is open",
     "input x float32 1x3xN\n const p int64 2 = 2 0\n const v float32 scalar = 0\n const ax int64 1 = -1\n const w float32 4x3x3 random\n"
     "b = Pad(x, p, v, ax)\n y = Conv(b, w)\n output y", "Conv"},
    {"with pads by themselves",
     "input x float32 1x3x7x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n"
     "y = Conv(b, w) {auto_pad=SAME_UPPER, strides=[2,2]}\n output y", "Conv"},
    {"into each of two", "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n"
     "c = Conv(b, w)\n d = AveragePool(b) {kernel_shape=[3,3]}\n output c\n output d", "Conv AveragePool"},
    {"through a transpose and operators that keep 0",
     "input x float32 1x8x8x3\n const p int64 8 = 0 1 2 0 0 3 0 0\n const s float32 3 random\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n"
     "c = Mul(b, s)\n d = Tanh(c)\n e = Transpose(d) {perm=[0,3,1,2]}\n y = Conv(e, w)\n output y", "Mul Tanh Transpose Conv"},
    {"a transposed convolution crops less instead",
     "input x float32 1x3x4x4\n const p int64 8 = 0 0 1 0 0 0 1 1\n const w float32 3x4x3x3 random\n b = Pad(x, p)\n"
     "y = ConvTranspose(b, w) {pads=[2,1,3,2], strides=[2,2]}\n output y", "ConvTranspose"},
    {"a maximum takes the lowest number",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const v float32 scalar = -inf\n b = Pad(x, p, v)\n"
     "y = MaxPool(b) {kernel_shape=[3,3], strides=[2,2]}\n output y", "MaxPool"},
    {"and 0 beside what is not below it",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n a = Relu(x)\n b = Pad(a, p)\n"
     "y = MaxPool(b) {kernel_shape=[3,3], strides=[2,2]}\n output y", "Relu MaxPool"},
    {"an average counts it",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n b = Pad(x, p)\n y = AveragePool(b) {kernel_shape=[3,3]}\n output y",
     "AveragePool"},
    {"beside those that it counts",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 0 0\n b = Pad(x, p)\n"
     "y = AveragePool(b) {kernel_shape=[3,3], pads=[0,0,1,1], count_include_pad=1}\n output y", "AveragePool"},
    {"a norm over windows", "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n b = Pad(x, p)\n y = LpPool(b) {kernel_shape=[3,3]}\n"
     "output y", "LpPool"},
    {"bytes padded by what means 0",
     "input x uint8 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const z uint8 scalar = 7\n const w uint8 4x3x3x3 random\n b = Pad(x, p, z)\n"
     "y = ConvInteger(b, w, z)\n output y", "ConvInteger"},
    {"with scales",
     "input x uint8 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const z uint8 scalar = 7\n const s float32 scalar = 0.02\n"
     "const w uint8 4x3x3x3 random\n b = Pad(x, p, z)\n y = QLinearConv(b, s, z, w, s, z, s, z)\n output y", "QLinearConv"},
    {"in front of quantisation and back",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const z uint8 scalar = 7\n const s float32 scalar = 0.02\n"
     "const w float32 4x3x3x3 random\n b = Pad(x, p)\n q = QuantizeLinear(b, s, z)\n d = DequantizeLinear(q, s, z)\n y = Conv(d, w)\n output y",
     "QuantizeLinear DequantizeLinear Conv"},
    {"pads of pads",
     "input x float32 3x4\n const p int64 4 = 1 0 2 0\n const q int64 2 = 1 3\n const ax int64 1 = 1\n const v float32 scalar = 0\n a = Relu(x)\n"
     "b = Pad(a, p)\n c = Pad(b, q, v, ax)\n y = Softmax(c)\n output y", "Relu Pad Softmax"},
    {"of the edge", "input x float32 3x4\n const p int64 4 = 1 0 2 0\n const q int64 4 = 1 3 0 1\n b = Pad(x, p) {mode=edge}\n"
     "y = Pad(b, q) {mode=edge}\n output y", "Pad"},
    {"a pad of nothing", "input x float32 3x4\n const p int64 4 = 0 0 0 0\n a = Relu(x)\n b = Pad(a, p) {mode=reflect}\n y = Neg(b)\n output y",
     "Relu Neg"},
    /* crop_transposed.c */
    {"edges cut off behind a transposed convolution",
     "input x float32 1x3x4x5\n const w float32 3x4x3x3 random\n const b int64 2 = 1 0\n const e int64 2 = -2 9\n const ax int64 2 = 2 -1\n"
     " c = ConvTranspose(x, w) {strides=[2,2], pads=[0,1,0,0]}\n y = Slice(c, b, e, ax)\n output y",
     "ConvTranspose"},
    {"of a signal whose length is open",
     "input x float32 1x3xN\n const w float32 3x4x4 random\n const b int64 1 = 0\n const e int64 1 = -2\n const ax int64 1 = 2\n"
     " c = ConvTranspose(x, w) {strides=[2]}\n y = Slice(c, b, e, ax)\n output y",
     "ConvTranspose"},
    {"by negative pads",
     "input x float32 1x3x4x5\n const w float32 3x4x3x3 random\n const p int64 8 = 0 0 -1 0 0 0 0 -2\n c = ConvTranspose(x, w) {strides=[2,2]}\n y = Pad(c, p)\n"
     " output y",
     "ConvTranspose"},
    {"through a view with one axis more, as tf2onnx has signals",
     "input x float32 Nx1x20\n const p int64 6 = 0 0 3 0 0 2\n const w float32 4x1x1x5 random\n const ax int64 1 = 2\n b = Pad(x, p)\n"
     " c = Unsqueeze(b, ax)\n y = Conv(c, w)\n output y",
     "Reshape Conv"},
    {"through one with an axis less",
     "input x float32 2x3x1x20\n const p int64 8 = 0 0 0 3 0 0 0 2\n const w float32 4x3x5 random\n const s int64 3 = 2 3 25\n b = Pad(x, p)\n"
     " c = Reshape(b, s)\n y = Conv(c, w)\n output y",
     "Reshape Conv"},
};

static const leave_case leaves[] = {
    {"pads into a window", "not where they make something else of it",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n c = Sigmoid(b)\n"
     "y = Conv(c, w)\n output y", "Pad Sigmoid Conv"},
    {"pads into a window", "nor where they differ along the pad",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const s float32 10 random\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n"
     "c = Mul(b, s)\n y = Conv(c, w)\n output y", "Pad Mul Conv"},
    {"pads into a window", "nor where something else uses them",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n c = Tanh(b)\n"
     "y = Conv(c, w)\n output y\n output c", "Pad Tanh Conv"},
    {"pads into a window", "another value stays",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const v float32 scalar = 1\n const w float32 4x3x3x3 random\n"
     "b = Pad(x, p, v)\n y = Conv(b, w)\n output y", "Pad Conv"},
    {"pads into a window", "another mode stays",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const w float32 4x3x3x3 random\n b = Pad(x, p) {mode=reflect}\n"
     "y = Conv(b, w)\n output y", "Pad Conv"},
    {"pads into a window", "a negative pad stays",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 -1 1 0 0 1 1\n const w float32 4x3x3x3 random\n b = Pad(x, p)\n"
     "y = Conv(b, w)\n output y", "Pad Conv"},
    {"pads into a window", "a pad of channels stays",
     "input x float32 1x3x8x8\n const p int64 8 = 0 1 0 0 0 0 0 0\n const w float32 4x4x3x3 random\n b = Pad(x, p)\n"
     "y = Conv(b, w)\n output y", "Pad Conv"},
    {"pads into a window", "not where it cannot",
     "input x float32 1x3x4x4\n const p int64 8 = 0 0 1 0 0 0 1 0\n const w float32 3x4x3x3 random\n b = Pad(x, p)\n"
     "y = ConvTranspose(b, w) {pads=[1,1,2,2], strides=[2,2]}\n output y", "Pad ConvTranspose"},
    {"pads into a window", "not beside what may be",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n b = Pad(x, p)\n y = MaxPool(b) {kernel_shape=[3,3]}\n output y",
     "Pad MaxPool"},
    {"pads into a window", "nor where a window would have nothing but pads",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 2 1 0 0 1 1\n a = Relu(x)\n b = Pad(a, p)\n y = MaxPool(b) {kernel_shape=[2,2]}\n"
     "output y", "Relu Pad MaxPool"},
    {"pads into a window", "nor with places of the maxima",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n a = Relu(x)\n b = Pad(a, p)\n y, i = MaxPool(b) {kernel_shape=[3,3]}\n"
     "output y\n output i", "Relu Pad MaxPool"},
    {"pads into a window", "not beside pads of its own that it does not count",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 0 0\n b = Pad(x, p)\n"
     "y = AveragePool(b) {kernel_shape=[3,3], pads=[0,0,1,1]}\n output y", "Pad AveragePool"},
    {"pads into a window", "not with windows that overhang",
     "input x float32 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 0 0\n b = Pad(x, p)\n"
     "y = AveragePool(b) {kernel_shape=[2,2], strides=[2,2], ceil_mode=1}\n output y", "Pad AveragePool"},
    {"pads into a window", "by what does not",
     "input x uint8 1x3x8x8\n const p int64 8 = 0 0 1 1 0 0 1 1\n const z uint8 scalar = 7\n const w uint8 4x3x3x3 random\n b = Pad(x, p)\n"
     "y = ConvInteger(b, w, z)\n output y", "Pad ConvInteger"},
    {"pads", "of two values stay",
     "input x float32 3x4\n const p int64 4 = 1 0 2 0\n const v float32 scalar = 2\n b = Pad(x, p)\n y = Pad(b, p, v)\n output y", "Pad Pad"},
    {"pads", "one that cuts off what the other made stays",
     "input x float32 3x4\n const p int64 4 = 1 0 2 0\n const q int64 4 = -1 0 1 0\n b = Pad(x, p)\n y = Pad(b, q)\n output y", "Pad Pad"},
    {"edges cut off", "every second pixel",
     "input x float32 1x3x4x5\n const w float32 3x4x3x3 random\n const b int64 1 = 1\n const e int64 1 = 8\n const ax int64 1 = 2\n const st int64 1 = 2\n"
     " c = ConvTranspose(x, w) {strides=[2,2]}\n y = Slice(c, b, e, ax, st)\n output y",
     "ConvTranspose Slice"},
    {"edges cut off", "channels",
     "input x float32 1x3x4x5\n const w float32 3x4x3x3 random\n const b int64 1 = 1\n const e int64 1 = 8\n const ax int64 1 = 1\n"
     " c = ConvTranspose(x, w) {strides=[2,2]}\n y = Slice(c, b, e, ax)\n output y",
     "ConvTranspose Slice"},
    {"edges cut off", "the end of a signal whose length is open, from its beginning",
     "input x float32 1x3xN\n const w float32 3x4x4 random\n const b int64 1 = 0\n const e int64 1 = 2\n const ax int64 1 = 2\n"
     " c = ConvTranspose(x, w) {strides=[2]}\n y = Slice(c, b, e, ax)\n output y",
     "ConvTranspose Slice"},
    {"edges cut off", "nothing is left of a signal whose length is open",
     "input x float32 1x3xN\n const w float32 3x4x4 random\n const b int64 1 = 0\n const e int64 1 = 0\n const ax int64 1 = 2\n"
     " c = ConvTranspose(x, w) {strides=[2]}\n y = Slice(c, b, e, ax)\n output y",
     "ConvTranspose Slice"},
    {"pads into a window", "a view that mixes axes",
     "input x float32 2x3x20\n const p int64 6 = 0 0 2 0 0 2\n const w float32 4x3x2x5 random\n const s int64 4 = 2 3 2 12\n b = Pad(x, p)\n"
     " c = Reshape(b, s)\n y = Conv(c, w)\n output y",
     "Pad Reshape Conv"},
};

const case_table pads_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
