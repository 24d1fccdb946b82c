/* Graphs of quantised operators: what becomes operators on bytes, and what stays. */
#include "cases.h"

#define CODES "const s float32 scalar = 0.05\n const z uint8 scalar = 2\n const n float32 scalar = 0.00317\n const k uint8 scalar = 90\n"
#define WEIGHTS(dims, scales) "const w int8 " dims " random\n const ws float32 " scales " = 0.01\n d = DequantizeLinear(w, ws) {axis=0}\n"
#define SOURCE(dims) "input q uint8 " dims "\n" CODES "x = DequantizeLinear(q, s, z)\n"

static const rewrite_case rewrites[] = {
    {"a quantised convolution works on bytes",
     SOURCE("1x12x7x5") WEIGHTS("9x12x3x3", "9") "c = Conv(x, d) {pads=[1,1,1,1]}\n y = QuantizeLinear(c, n, k)\n output y",
     "Transpose ConvBytes Transpose"},
    {"with a bias and bounds",
     SOURCE("1x12x7x5") WEIGHTS("16x12x1x1", "16") "const bq int32 16 = 900 -70\n const bs float32 16 = 0.0005\n b = DequantizeLinear(bq, bs) {axis=0}\n"
     "c = Conv(x, d, b)\n r = Relu(c)\n y = QuantizeLinear(r, n, k)\n output y",
     "Transpose ConvBytes Transpose"},
    {"from one to the next without transposes, depthwise too",
     SOURCE("1x16x7x5") WEIGHTS("16x16x1x1", "scalar") "const v int8 16x1x3x3 random\n e = DequantizeLinear(v, ws)\n"
     "c = Conv(x, d)\n cq = QuantizeLinear(c, n, k)\n cd = DequantizeLinear(cq, n, k)\n"
     "f = Conv(cd, e) {group=16, strides=[2,2], pads=[1,1,1,1]}\n y = QuantizeLinear(f, n, k)\n output y",
     "Transpose ConvBytes ConvBytes Transpose"},
    {"a sum goes into the convolution before it",
     SOURCE("1x16x7x5") WEIGHTS("16x16x1x1", "16") "c = Conv(x, d)\n cq = QuantizeLinear(c, n, k)\n cd = DequantizeLinear(cq, n, k)\n"
     "e = Conv(cd, d)\n eq = QuantizeLinear(e, s, k)\n ed = DequantizeLinear(eq, s, k)\n"
     "a = Add(cd, ed)\n r = Relu(a)\n y = QuantizeLinear(r, n, z)\n output y",
     "Transpose ConvBytes ConvBytes Transpose"},
    {"a sum of values that others made", SOURCE("3x50") "input p int8 3x50\n const pz int8 scalar = -3\n o = DequantizeLinear(p, n, pz)\n a = Add(x, o)\n"
     "y = QuantizeLinear(a, n, k)\n output y", "BinaryBytes"},
    {"a product of values that others made", SOURCE("3x50") "input p int8 3x50\n const pz int8 scalar = -3\n o = DequantizeLinear(p, n, pz)\n a = Mul(o, x)\n"
     "y = QuantizeLinear(a, n, k)\n output y", "BinaryBytes"},
    {"a product is a convolution of pixels",
     SOURCE("2x3x12") "const w uint8 12x17 random\n const wz uint8 17 = 128 3 4\n const ws float32 17 = 0.01\n d = DequantizeLinear(w, ws, wz) {axis=-1}\n"
     "m = MatMul(x, d)\n y = QuantizeLinear(m, n, k)\n output y", "Reshape ConvBytes Reshape"},
    {"so is Gemm",
     SOURCE("3x12") WEIGHTS("17x12", "17") "const b float32 17 = 0.1 0.2 -0.3\n"
     "m = Gemm(x, d, b) {transB=1}\n y = QuantizeLinear(m, n, k)\n output y", "Reshape ConvBytes Reshape"},
    {"averages, and what moves codes only",
     SOURCE("1x6x9x8") "m = MaxPool(x) {kernel_shape=[3,3], strides=[2,2]}\n mq = QuantizeLinear(m, s, z)\n md = DequantizeLinear(mq, s, z)\n"
     "g = GlobalAveragePool(md)\n gq = QuantizeLinear(g, n, k)\n gd = DequantizeLinear(gq, n, k)\n f = Flatten(gd)\n y = QuantizeLinear(f, n, k)\n output y",
     "Transpose PoolBytes PoolBytes Reshape"},
    {"QLinearConv with scales that are known works on bytes",
     "input q uint8 1x12x7x5\n" CODES "const w int8 9x12x3x3 random\n const ws float32 9 = 0.01\n const wz int8 scalar = 0\n"
     "y = QLinearConv(q, s, z, w, ws, wz, n, k)\n output y", "Transpose ConvBytes Transpose"},
    {"a function of codes is a table, between convolutions too",
     SOURCE("1x16x7x5") WEIGHTS("16x16x1x1", "16") "c = Conv(x, d)\n cq = QuantizeLinear(c, s, k)\n cd = DequantizeLinear(cq, s, k)\n"
     "h = HardSwish(cd)\n hq = QuantizeLinear(h, n, k)\n hd = DequantizeLinear(hq, n, k)\n"
     "e = Conv(hd, d)\n y = QuantizeLinear(e, s, z)\n output y",
     "Transpose ConvBytes LookupBytes ConvBytes Transpose"},
    {"a chain of functions", SOURCE("3x50") "const two float32 1x1 = 2\n a = Mul(x, two)\n b = Tanh(a)\n y = QuantizeLinear(b, n, k)\n output y", "LookupBytes"},
    {"joined bytes, channels last",
     SOURCE("1x16x7x5") WEIGHTS("16x16x1x1", "16") "const v int8 16x16x1x1 random\n const vz int8 16 = 1\n f = DequantizeLinear(v, ws, vz) {axis=0}\n"
     "c = Conv(x, d)\n cq = QuantizeLinear(c, n, k)\n cd = DequantizeLinear(cq, n, k)\n"
     "e = Conv(x, f)\n eq = QuantizeLinear(e, n, k)\n ed = DequantizeLinear(eq, n, k)\n"
     "a = Concat(cd, ed) {axis=1}\n y = QuantizeLinear(a, n, k)\n output y",
     "Transpose ConvBytes ConvBytes Concat Transpose"},
};

static const leave_case leaves[] = {
    {"quantised operator", "a result that others read as floats stays one",
     SOURCE("1x12x7x5") WEIGHTS("9x12x1x1", "9") "c = Conv(x, d)\n y = QuantizeLinear(c, n, k)\n output y\n output c",
     "DequantizeLinear ReorderToBlocked ConvBlocked ReorderFromBlocked QuantizeLinear"},
    {"quantised operator", "weights with a scale for each input channel stay floats",
     SOURCE("1x12x7x5") "const w int8 9x12x1x1 random\n const ws float32 12 = 0.01\n d = DequantizeLinear(w, ws) {axis=1}\n"
     "c = Conv(x, d)\n y = QuantizeLinear(c, n, k)\n output y",
     "DequantizeLinear ReorderToBlocked ConvBlocked ReorderFromBlocked QuantizeLinear"},
    {"quantised operator", "moving to other codes is no move", SOURCE("4x6") "f = Transpose(x) {perm=[1,0]}\n y = QuantizeLinear(f, n, k)\n output y",
     "DequantizeLinear Transpose QuantizeLinear"},
    {"quantised convolution", "QLinearConv with others stays",
     "input q uint8 1x12x7x5\n input t float32 scalar\n" CODES "const w int8 9x12x3x3 random\n const ws float32 9 = 0.01\n const wz int8 scalar = 0\n"
     "y = QLinearConv(q, t, z, w, ws, wz, n, k)\n output y", "QLinearConv"},
    {"quantised operator", "what floats become and go back to is moved as floats",
     "input x float32 1x2x9x10\n const s float32 scalar = 0.01\n const z int8 scalar = 3\n const i int64 1 = 1\n q = QuantizeLinear(x, s, z)\n"
     "d = DequantizeLinear(q, s, z)\n m = Gather(d, i) {axis=3}\n e = QuantizeLinear(m, s, z)\n y = DequantizeLinear(e, s, z)\n output y",
     "QuantizeDequantize Gather"},
    {"quantised operator", "a bias that is no multiple of the sums' scale",
     SOURCE("1x12x7x5") "const w int8 9x12x1x1 random\n const ws float32 scalar = 1\n d = DequantizeLinear(w, ws)\n const b float32 9 = 0.012\n"
     "c = Conv(x, d, b)\n y = QuantizeLinear(c, n, k)\n output y",
     "DequantizeLinear ReorderToBlocked ConvBlocked ReorderFromBlocked QuantizeLinear"},
    {"quantised function", "with an operand for each channel",
     SOURCE("3x50") "const c float32 50 random\n a = Mul(x, c)\n y = QuantizeLinear(a, n, k)\n output y", "Fused(DequantizeLinear Mul QuantizeLinear)"},
    {"quantised pool", "signals", "input q uint8 1x4x9\n y = MaxPool(q) {kernel_shape=[2]}\n output y", "MaxPool"},
    {"transposed bytes", "one that moves elements", "input q uint8 2x3x4\n t = Transpose(q) {perm=[1,0,2]}\n y = Max(t, t)\n output y", "Transpose Max"},
    {"transpose behind bytes", "a sum with what is not transposed",
     SOURCE("1x12x7x5") WEIGHTS("12x12x1x1", "12") "c = Conv(x, d)\n cq = QuantizeLinear(c, n, k)\n cd = DequantizeLinear(cq, n, k)\n"
     "a = Add(cd, x)\n y = QuantizeLinear(a, n, z)\n output y",
     "Transpose ConvBytes Transpose BinaryBytes"},
    {"views of bytes", "one view", "input q uint8 2x6\n const t int64 2 = 3 4\n y = Reshape(q, t)\n output y", "Reshape"},
    {"residual of bytes", "a sum of what others read, too",
     SOURCE("1x16x7x5") WEIGHTS("16x16x1x1", "16") "c = Conv(x, d)\n cq = QuantizeLinear(c, n, k)\n cd = DequantizeLinear(cq, n, k)\n"
     "e = Conv(cd, d)\n eq = QuantizeLinear(e, s, k)\n ed = DequantizeLinear(eq, s, k)\n"
     "a = Add(cd, ed)\n y = QuantizeLinear(a, n, z)\n output y\n output cq\n output eq",
     "Transpose ConvBytes Transpose ConvBytes Transpose BinaryBytes"},
};

const case_table bytes_cases = CASE_TABLE(OI_STAGE_LOWERED, rewrites, leaves);
