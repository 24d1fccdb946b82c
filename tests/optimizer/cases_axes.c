/* Transposes and operators that have axes; views and elementwise operators. */
#include "cases.h"

static const rewrite_case rewrites[] = {
    {"behind a mean", "input x float32 2x3x4\n const a int64 1 = 0\n t = Transpose(x) {perm=[2,0,1]}\n r = ReduceMean(t, a)\n y = Softmax(r)\n output y",
     "ReduceMean Reshape Softmax"},
    {"a mean whose other axes keep their order",
     "input x float32 2x3x4\n const a int64 1 = -3\n t = Transpose(x) {perm=[2,0,1]}\n r = ReduceMean(t, a) {keepdims=0}\n y = Softmax(r)\n output y",
     "ReduceMean Softmax"},
    {"a sum of all", "input x float32 2x3x4\n t = Transpose(x) {perm=[2,0,1]}\n r = ReduceSum(t)\n y = Neg(r)\n output y", "ReduceSum Neg"},
    {"of two axes", "input x float32 2x3x4x5\n const a int64 2 = 1 -1\n t = Transpose(x) {perm=[0,2,3,1]}\n r = ReduceL2(t, a) {keepdims=0}\n"
     "y = Softmax(r)\n output y", "ReduceL2 Softmax"},
    {"a maximum", "input x float32 2x3x4\n const a int64 1 = 1\n t = Transpose(x) {perm=[0,2,1]}\n r = ReduceMax(t, a) {keepdims=0}\n y = Softmax(r)\n output y",
     "ReduceMax Softmax"},
    {"the place of a maximum", "input x float32 2x3x4\n t = Transpose(x) {perm=[0,2,1]}\n r = ArgMax(t) {axis=-1, keepdims=0}\n y = Neg(r)\n output y",
     "ArgMax Neg"},
    {"softmax between transposes",
     "input x float32 2x3x4\n r = Exp(x)\n t = Transpose(r) {perm=[0,2,1]}\n s = Softmax(t) {axis=1}\n u = Transpose(s) {perm=[0,2,1]}\n y = Neg(u)\n output y",
     "Exp Softmax Neg"},
    {"a norm between transposes of other axes",
     "input x float32 2x3x4\n const s float32 4 random\n const b float32 4 random\n r = Exp(x)\n t = Transpose(r) {perm=[1,0,2]}\n"
     "n = LayerNormalization(t, s, b)\n u = Transpose(n) {perm=[1,0,2]}\n y = Neg(u)\n output y", "Exp LayerNormalization Neg"},
    {"a cumulative sum", "input x float32 2x3x4\n const a int64 scalar = 1\n r = Exp(x)\n t = Transpose(r) {perm=[0,2,1]}\n s = CumSum(t, a)\n"
     "u = Transpose(s) {perm=[0,2,1]}\n y = Neg(u)\n output y", "Exp CumSum Neg"},
    {"a slice", "input x float32 2x3x4\n const b int64 1 = 1\n const e int64 1 = 3\n const a int64 1 = 1\n r = Exp(x)\n t = Transpose(r) {perm=[0,2,1]}\n"
     "s = Slice(t, b, e, a)\n u = Transpose(s) {perm=[1,0,2]}\n y = Softmax(u)\n output y", "Exp Slice Transpose Softmax"},
    {"a split", "input x float32 2x3x4\n t = Transpose(x) {perm=[0,2,1]}\n a, b = Split(t) {axis=1, num_outputs=2}\n u = Transpose(a) {perm=[0,2,1]}\n"
     "v = Transpose(b) {perm=[0,2,1]}\n y = Softmax(u)\n z = Neg(v)\n output y\n output z", "Split Softmax Neg"},
    {"the gather of one place", "input x float32 2x3x4\n const i int64 scalar = 1\n t = Transpose(x) {perm=[2,0,1]}\n s = Gather(t, i)\n y = Softmax(s)\n output y",
     "Gather Softmax"},
    {"the gather of several places between transposes",
     "input x float32 2x3x4\n const i int64 3 = 1 0 1\n t = Transpose(x) {perm=[2,0,1]}\n s = Gather(t, i)\n u = Transpose(s) {perm=[1,2,0]}\n y = Softmax(u)\n"
     "output y", "Gather Softmax"},
    {"a pad", "input x float32 2x3x4\n const p int64 6 = 0 1 2 0 0 3\n r = Exp(x)\n t = Transpose(r) {perm=[0,2,1]}\n s = Pad(t, p)\n"
     "u = Transpose(s) {perm=[0,2,1]}\n y = Softmax(u)\n output y", "Exp Pad Softmax"},
    {"a new axis", "input x float32 2x3x4\n const a int64 1 = 1\n r = Exp(x)\n t = Transpose(r) {perm=[0,2,1]}\n s = Unsqueeze(t, a)\n"
     "u = Transpose(s) {perm=[0,1,3,2]}\n y = Softmax(u)\n output y", "Exp Unsqueeze Softmax"},
    {"an axis less", "input x float32 2x1x4\n const a int64 1 = 0\n r = Exp(x)\n t = Transpose(r) {perm=[1,2,0]}\n s = Squeeze(t, a)\n"
     "u = Transpose(s) {perm=[1,0]}\n y = Softmax(u)\n output y", "Exp Squeeze Softmax"},
    {"views behind an elementwise operator and into the next",
     "input x float32 2x3x4\n const s int64 2 = 6 4\n const t int64 2 = 2 12\n a = Reshape(x, s)\n b = Tanh(a)\n c = Reshape(b, t)\n y = Softmax(c)\n output y",
     "Tanh Reshape Softmax"},
    {"there and back", "input x float32 2x1x4\n const a int64 1 = 1\n const k float32 1 = 3\n b = Squeeze(x, a)\n c = Mul(b, k)\n d = Unsqueeze(c, a)\n"
     "y = Softmax(d)\n output y", "Mul Softmax"},
    {"of both operands", "input x float32 Nx3x4\n input z float32 Nx3x4\n const s int64 2 = -1 12\n a = Reshape(x, s)\n b = Reshape(z, s)\n c = Add(a, b)\n"
     "y = Softmax(c)\n output y", "Add Reshape Softmax"},
};

static const leave_case leaves[] = {
    {"views behind", "a view with nothing to meet",
     "input x float32 2x3x4\n const s int64 2 = 6 4\n a = Reshape(x, s)\n b = Tanh(a)\n y = Softmax(b)\n output y", "Reshape Tanh Softmax"},
    {"views behind", "views of other shapes",
     "input x float32 2x3x4\n input z float32 2x12\n const s int64 2 = 6 4\n a = Reshape(x, s)\n b = Reshape(z, s)\n c = Add(a, b)\n y = Softmax(c)\n"
     "output y", "Reshape Reshape Add Softmax"},
    {"transpose behind a sum", "a transpose that something else needs",
     "input x float32 2x3x4\n const a int64 1 = 0\n t = Transpose(x) {perm=[2,0,1]}\n r = ReduceMean(t, a)\n y = Sub(t, r)\n output y",
     "Transpose ReduceMean Sub"},
    {"transpose behind a sum", "softmax with nothing to meet behind it",
     "input x float32 2x3x4\n t = Transpose(x) {perm=[0,2,1]}\n s = Softmax(t)\n y = Softmax(s) {axis=1}\n output y", "Transpose Softmax Softmax"},
    {"transpose behind a sum", "a norm of axes that the transpose moves",
     "input x float32 2x3x4\n const s float32 3 random\n t = Transpose(x) {perm=[0,2,1]}\n n = LayerNormalization(t, s)\n"
     "y = Transpose(n) {perm=[0,2,1]}\n output y", "Transpose LayerNormalization Transpose"},
    {"transpose behind a choice", "a slice with nothing to meet behind it",
     "input x float32 2x3x4\n const b int64 1 = 1\n const e int64 1 = 3\n const a int64 1 = 1\n t = Transpose(x) {perm=[0,2,1]}\n"
     "s = Slice(t, b, e, a)\n y = Softmax(s)\n output y", "Transpose Slice Softmax"},
    {"transpose behind a choice", "a gather that leaves axes in another order",
     "input x float32 2x3x4\n const i int64 scalar = 1\n t = Transpose(x) {perm=[2,1,0]}\n s = Gather(t, i)\n y = Softmax(s)\n output y",
     "Transpose Gather Softmax"},
};

const case_table axes_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
