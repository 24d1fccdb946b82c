/* Spellings of attention and rotary embedding that become one step when lowered, and some that stay. */
#include "cases.h"

#define QKV_4D "input q float32 2x3x5x8\n input k float32 2x3x7x8\n input v float32 2x3x7x4\n"
#define K_TURNED "kt = Transpose(k) {perm=[0,1,3,2]}\n"

/* x of q's heads, c and s of angles of all heads */
#define ROTARY                                                                                                                          \
    "const h int64 4 = 2 5 3 8\n const zero int64 1 = 0\n const four int64 1 = 4\n const top int64 1 = 1000\n"           \
    "const last int64 1 = -1\n const ax1 int64 1 = 1\n c = Unsqueeze(cos, ax1)\n s = Unsqueeze(sin, ax1)\n q1 = Reshape(q, h)\n"        \
    "x = Transpose(q1) {perm=[0,2,1,3]}\n"

static const rewrite_case rewrites[] = {
    {"attention", QKV_4D K_TURNED "s = MatMul(q, kt)\n p = Softmax(s)\n y = MatMul(p, v)\n output y", "AttentionStrided"},
    {"attention with scale, mask and heads side by side",
     "input q float32 2x5x24\n input k float32 2x7x24\n input v float32 2x7x24\n input m float32 2x1x1x7\n const h int64 4 = 2 -1 3 8\n"
     "const f int64 3 = 2 5 24\n const c float32 scalar = 2.8\n q1 = Reshape(q, h)\n q2 = Transpose(q1) {perm=[0,2,1,3]}\n"
     "k1 = Reshape(k, h)\n k2 = Transpose(k1) {perm=[0,2,3,1]}\n v1 = Reshape(v, h)\n v2 = Transpose(v1) {perm=[0,2,1,3]}\n"
     "s = MatMul(q2, k2)\n s1 = Div(s, c)\n s2 = Add(s1, m)\n p = Softmax(s2)\n y = MatMul(p, v2)\n y1 = Transpose(y) {perm=[0,2,1,3]}\n"
     "y2 = Reshape(y1, f)\n output y2", "AttentionStrided"},
    {"attention out of one projection, by Split",
     "input x float32 2x5x6\n const w float32 6x72 random\n const h int64 4 = 2 5 3 8\n const f int64 3 = 2 5 24\n a = MatMul(x, w)\n"
     "q, k, v = Split(a) {axis=-1, num_outputs=3}\n q1 = Reshape(q, h)\n q2 = Transpose(q1) {perm=[0,2,1,3]}\n"
     "k1 = Reshape(k, h)\n k2 = Transpose(k1) {perm=[0,2,3,1]}\n v1 = Reshape(v, h)\n v2 = Transpose(v1) {perm=[0,2,1,3]}\n"
     "s = MatMul(q2, k2)\n p = Softmax(s)\n y = MatMul(p, v2)\n y1 = Transpose(y) {perm=[0,2,1,3]}\n y2 = Reshape(y1, f)\n output y2",
     "GemmPacked AttentionStrided"},
    {"attention with a choice and zeros for NaN",
     QKV_4D "input m float32 1x1x5x7\n const z float32 scalar = 0\n const low float32 scalar = -inf\n" K_TURNED
     "c = Greater(m, z)\n s = MatMul(q, kt)\n t = Where(c, s, low)\n p = Softmax(t)\n n = IsNaN(p)\n g = Where(n, z, p)\n"
     "y = MatMul(g, v)\n output y", "Greater AttentionStrided"},
    {"attention with a choice as a sum",
     QKV_4D "input m float32 1x1x5x7\n const z float32 scalar = 0\n const low float32 scalar = -3.4028235e38\n" K_TURNED
     "c = Greater(m, z)\n b = Where(c, z, low)\n s = MatMul(q, kt)\n t = Add(s, b)\n p = Softmax(t)\n y = MatMul(p, v)\n output y",
     "Greater AttentionStrided"},
    {"attention with two masks in heads folded into the batch",
     "input q float32 6x5x8\n input k float32 6x7x8\n input v float32 6x7x4\n input m float32 2x1x5x7\n input b float32 1x3x5x7\n"
     "const u int64 4 = 2 3 5 7\n const f int64 3 = 6 5 7\n kt = Transpose(k) {perm=[0,2,1]}\n s = MatMul(q, kt)\n s1 = Reshape(s, u)\n"
     "s2 = Add(s1, b)\n s3 = Add(s2, m)\n s4 = Reshape(s3, f)\n p = Softmax(s4) {axis=2}\n y = MatMul(p, v)\n output y",
     "AttentionStrided"},
    {"attention of Keras",
     "input x float32 2x5x6\n const wq float32 6x3x8 random\n const wk float32 6x3x8 random\n const wv float32 6x3x8 random\n"
     "const b float32 3x8 random\n const wo float32 3x8x6 random\n const c float32 scalar = 0.35\n"
     "q = Einsum(x, wq) {equation='abc,cde->abde'}\n q1 = Add(q, b)\n k = Einsum(x, wk) {equation='abc,cde->abde'}\n"
     "v = Einsum(x, wv) {equation='abc,cde->abde'}\n q2 = Mul(q1, c)\n s = Einsum(k, q2) {equation='aecd,abcd->acbe'}\n p = Softmax(s)\n"
     "y = Einsum(p, v) {equation='acbe,aecd->abcd'}\n z = Einsum(y, wo) {equation='abcd,cde->abe'}\n output z",
     "GemmPacked AttentionStrided GemmPacked"},
    {"attention whose softmax sees a matrix",
     QKV_4D "input m float32 1x1x5x7\n const u int64 4 = 2 3 5 7\n" K_TURNED
     "s = MatMul(q, kt)\n t = Add(m, s)\n f = Flatten(t) {axis=3}\n p = Softmax(f)\n g = Reshape(p, u)\n y = MatMul(g, v)\n output y",
     "AttentionStrided"},
    {"attention with shared keys",
     "input q float32 2x4x5x8\n input k float32 2x2x7x8\n input v float32 2x2x7x8\n const u int64 5 = 2 2 1 7 8\n"
     "const e int64 5 = 2 2 2 7 8\n const f int64 4 = 2 4 7 8\n k1 = Reshape(k, u)\n k2 = Expand(k1, e)\n k3 = Reshape(k2, f)\n"
     "v1 = Reshape(v, u)\n v2 = Expand(v1, e)\n v3 = Reshape(v2, f)\n kt = Transpose(k3) {perm=[0,1,3,2]}\n s = MatMul(q, kt)\n"
     "p = Softmax(s)\n y = MatMul(p, v3)\n output y", "AttentionStrided"},
    {"attention behind past keys and values",
     QKV_4D "input pk float32 2x3x2x8\n input pv float32 2x3x2x4\n k1 = Concat(pk, k) {axis=2}\n v1 = Concat(pv, v) {axis=2}\n"
     "kt = Transpose(k1) {perm=[0,1,3,2]}\n s = MatMul(q, kt)\n p = Softmax(s)\n y = MatMul(p, v1)\n output y\n output k1\n output v1",
     "Concat Concat AttentionStrided"},
    {"projections of one input are one product",
     "input x float32 2x5x6\n const wq float32 6x24 random\n const wk float32 6x24 random\n const wv float32 6x12 random\n"
     "const bq float32 24 random\n const bv float32 12 random\n const h int64 4 = 2 5 3 -1\n const f int64 3 = 2 5 12\n"
     "q0 = MatMul(x, wq)\n q = Add(q0, bq)\n k = MatMul(x, wk)\n v0 = MatMul(x, wv)\n v = Add(bv, v0)\n q1 = Reshape(q, h)\n"
     "q2 = Transpose(q1) {perm=[0,2,1,3]}\n k1 = Reshape(k, h)\n k2 = Transpose(k1) {perm=[0,2,3,1]}\n v1 = Reshape(v, h)\n"
     "v2 = Transpose(v1) {perm=[0,2,1,3]}\n s = MatMul(q2, k2)\n p = Softmax(s)\n y = MatMul(p, v2)\n"
     "y1 = Transpose(y) {perm=[0,2,1,3]}\n y2 = Reshape(y1, f)\n output y2", "GemmPacked AttentionStrided"},
    {"projections of keys and values are one product, queries are of another input",
     "input x float32 5x6\n input z float32 7x4\n const wq float32 24x6 random\n const wk float32 24x4 random\n const wv float32 24x4 random\n"
     "const b float32 24 random\n const h int64 3 = -1 3 8\n q = Gemm(x, wq, b) {transB=1}\n k = Gemm(z, wk, b) {transB=1}\n"
     "v = Gemm(z, wv) {transB=1}\n q1 = Reshape(q, h)\n q2 = Transpose(q1) {perm=[1,0,2]}\n k1 = Reshape(k, h)\n"
     "k2 = Transpose(k1) {perm=[1,2,0]}\n v1 = Reshape(v, h)\n v2 = Transpose(v1) {perm=[1,0,2]}\n s = MatMul(q2, k2)\n p = Softmax(s)\n"
     "y = MatMul(p, v2)\n output y", "GemmPacked GemmPacked AttentionStrided"},
    {"operator with heads side by side",
     "input q float32 2x5x24\n input k float32 2x7x24\n input v float32 2x7x24\n input m bool 5x7\n"
     "y = Attention(q, k, v, m) {q_num_heads=3, kv_num_heads=3, scale=0.4}\n output y", "AttentionStrided"},
    {"operator with shared keys, causal, capped",
     "input q float32 2x4x5x8\n input k float32 2x2x7x8\n input v float32 2x2x7x6\n"
     "y = Attention(q, k, v) {is_causal=1, softcap=3.0}\n output y", "AttentionStrided"},
    {"operator with past keys, which go on",
     "input q float32 2x5x24\n input k float32 2x3x24\n input v float32 2x3x12\n input pk float32 2x3x4x8\n input pv float32 2x3x4x4\n"
     "y, nk, nv = Attention(q, k, v, _, pk, pv) {q_num_heads=3, kv_num_heads=3, is_causal=1}\n output y\n output nk\n output nv",
     "Reshape Transpose Concat Reshape Transpose Concat AttentionStrided"},
    {"rotary embedding of halves",
     "input q float32 2x5x24\n input cos float32 2x5x8\n input sin float32 2x5x8\n" ROTARY
     "x1 = Slice(x, zero, four, last)\n x2 = Slice(x, four, top, last)\n n = Neg(x2)\n r = Concat(n, x1) {axis=-1}\n"
     "a = Mul(x, c)\n b = Mul(r, s)\n y = Add(a, b)\n output y", "RotaryStrided"},
    {"rotary embedding of pairs",
     "input q float32 2x5x24\n input cos float32 2x5x8\n input sin float32 2x5x8\n const two int64 1 = 2\n const one int64 1 = 1\n"
     "const m int64 1 = -1\n const f int64 4 = 2 3 5 8\n" ROTARY
     "x1 = Slice(x, zero, top, last, two)\n x2 = Slice(x, one, top, last, two)\n n = Neg(x2)\n u = Unsqueeze(n, m)\n"
     "v = Unsqueeze(x1, m)\n w = Concat(u, v) {axis=-1}\n r = Reshape(w, f)\n a = Mul(x, c)\n b = Mul(r, s)\n y = Add(a, b)\n output y",
     "RotaryStrided"},
    {"rotary embedding in parts, one angle a pair",
     "input q float32 2x5x24\n input cos float32 2x5x4\n input sin float32 2x5x4\n" ROTARY
     "x1, x2 = Split(x) {axis=3, num_outputs=2}\n a = Mul(x1, c)\n b = Mul(x2, s)\n d = Sub(a, b)\n e = Mul(c, x2)\n f = Mul(s, x1)\n"
     "g = Add(f, e)\n y = Concat(d, g) {axis=3}\n output y", "RotaryStrided"},
    {"rotary embedding in parts, of pairs by Gather",
     "input q float32 2x5x24\n input cos float32 2x5x4\n input sin float32 2x5x4\n const p int64 5 = 2 3 5 4 2\n const m int64 1 = -1\n"
     "const i0 int64 scalar = 0\n const i1 int64 scalar = 1\n const w int64 4 = 2 3 5 8\n" ROTARY
     "xp = Reshape(x, p)\n x1 = Gather(xp, i0) {axis=4}\n x2 = Gather(xp, i1) {axis=-1}\n a = Mul(x1, c)\n b = Mul(x2, s)\n"
     "d = Sub(a, b)\n e = Mul(c, x2)\n f = Mul(s, x1)\n g = Add(f, e)\n d1 = Unsqueeze(d, m)\n g1 = Unsqueeze(g, m)\n"
     "j = Concat(d1, g1) {axis=-1}\n y = Reshape(j, w)\n output y", "RotaryStrided"},
    {"rotary embedding of the first elements",
     "input x float32 2x3x5x12\n input c float32 5x8\n input s float32 5x8\n const zero int64 1 = 0\n const four int64 1 = 4\n"
     "const eight int64 1 = 8\n const top int64 1 = 1000\n const last int64 1 = -1\n x1 = Slice(x, zero, eight, last)\n"
     "x2 = Slice(x, eight, top, last)\n a = Mul(x1, c)\n u = Slice(x1, zero, four, last)\n w = Slice(x1, four, top, last)\n n = Neg(w)\n"
     "r = Concat(n, u) {axis=-1}\n b = Mul(r, s)\n d = Add(a, b)\n y = Concat(d, x2) {axis=-1}\n output y", "RotaryStrided"},
    {"of heads side by side, by Split",
     "input p float32 2x5x36\n input c float32 5x8\n input s float32 5x8\n const h int64 4 = 2 5 3 12\n const parts int64 2 = 8 4\n"
     "x0 = Reshape(p, h)\n x = Transpose(x0) {perm=[0,2,1,3]}\n x1, x2 = Split(x, parts) {axis=3}\n a = Mul(x1, c)\n"
     "u, w = Split(x1) {axis=3, num_outputs=2}\n n = Neg(w)\n r = Concat(n, u) {axis=-1}\n b = Mul(r, s)\n d = Add(a, b)\n"
     "y = Concat(d, x2) {axis=3}\n output y", "RotaryStrided"},
    {"attention with three sums",
     QKV_4D K_TURNED "input m float32 5x7\n input o float32 2x1x1x7\n input w float32 3x1x7\n s = MatMul(q, kt)\n s1 = Add(s, m)\n s2 = Add(s1, o)\n"
     "s3 = Add(w, s2)\n p = Softmax(s3)\n y = MatMul(p, v)\n output y", "Add AttentionStrided"},
    {"attention with choices and sums",
     QKV_4D K_TURNED "input m bool 5x7\n input o bool 2x1x1x7\n input w float32 3x1x7\n const low float32 scalar = -1e9\n s = MatMul(q, kt)\n"
     "s1 = Where(m, s, low)\n s2 = Where(o, s1, low)\n s3 = Add(w, s2)\n p = Softmax(s3)\n y = MatMul(p, v)\n output y", "And AttentionStrided"},
    {"rotary embedding in front of attention",
     "input q float32 2x5x24\n input k float32 2x3x5x8\n input v float32 2x3x5x8\n input cos float32 2x5x8\n input sin float32 2x5x8\n" ROTARY
     "x1, x2 = Split(x) {axis=-1, num_outputs=2}\n n = Neg(x2)\n r = Concat(n, x1) {axis=-1}\n a = Mul(x, c)\n b = Mul(r, s)\n"
     "xr = Add(a, b)\n k1, k2 = Split(k) {axis=-1, num_outputs=2}\n kn = Neg(k2)\n kr = Concat(kn, k1) {axis=-1}\n ka = Mul(k, c)\n"
     "kb = Mul(kr, s)\n ke = Add(ka, kb)\n kt = Transpose(ke) {perm=[0,1,3,2]}\n g = MatMul(xr, kt)\n p = Softmax(g)\n y = MatMul(p, v)\n"
     "output y", "RotaryStrided RotaryStrided AttentionStrided"},
    {"rotary operator with positions",
     "input x float32 2x5x24\n const cos float32 9x3 random\n const sin float32 9x3 random\n const pos int64 2x5 = 3 1 4 1 5 8 2 6 5 3\n"
     "y = RotaryEmbedding(x, cos, sin, pos) {num_heads=3, rotary_embedding_dim=6}\n output y", "RotaryStrided"},
    {"rotary operator of pairs",
     "input x float32 2x3x5x8\n input cos float32 2x5x4\n input sin float32 2x5x4\n y = RotaryEmbedding(x, cos, sin) {interleaved=1}\n"
     "output y", "RotaryStrided"},
};

static const leave_case leaves[] = {
    {"attention", "attention whose weights are wanted stays",
     QKV_4D K_TURNED "s = MatMul(q, kt)\n p = Softmax(s)\n y = MatMul(p, v)\n output y\n output p", "Transpose MatMul Softmax MatMul"},
    {"attention", "softmax along rows stays", QKV_4D K_TURNED "s = MatMul(q, kt)\n p = Softmax(s) {axis=2}\n y = MatMul(p, v)\n output y",
     "Transpose MatMul Softmax MatMul"},
    {"attention", "softmax between constant weights stays",
     "input x float32 5x8\n const a float32 8x7 random\n const b float32 7x4 random\n s = MatMul(x, a)\n p = Softmax(s)\n y = MatMul(p, b)\n"
     "output y", "GemmPacked Softmax GemmPacked"},
    {"attention", "a product of masked and scaled scores stays",
     QKV_4D "input m float32 5x7\n const c float32 scalar = 0.5\n" K_TURNED
     "s = MatMul(q, kt)\n t = Add(s, m)\n u = Mul(t, c)\n p = Softmax(u)\n y = MatMul(p, v)\n output y",
     "Transpose MatMul Fused(Add Mul) Softmax MatMul"},
    {"rotary embedding", "rotary embedding of halves by Split, turned the other way stays",
     "input q float32 2x5x24\n input cos float32 2x5x8\n input sin float32 2x5x8\n" ROTARY
     "x1, x2 = Split(x) {axis=-1, num_outputs=2}\n n = Neg(x1)\n r = Concat(x2, n) {axis=-1}\n a = Mul(c, x)\n b = Mul(s, r)\n"
     "y = Add(b, a)\n output y", "Unsqueeze Unsqueeze Reshape Transpose Split Neg Concat Fused(Mul Mul Add)"},
    {"rotary embedding of a part", "the rest of something else",
     "input x float32 2x3x5x12\n input z float32 2x3x5x4\n input c float32 5x8\n input s float32 5x8\n const zero int64 1 = 0\n"
     "const four int64 1 = 4\n const eight int64 1 = 8\n const top int64 1 = 1000\n const last int64 1 = -1\n x1 = Slice(x, zero, eight, last)\n"
     "a = Mul(x1, c)\n u = Slice(x1, zero, four, last)\n w = Slice(x1, four, top, last)\n n = Neg(w)\n"
     "r = Concat(n, u) {axis=-1}\n b = Mul(r, s)\n d = Add(a, b)\n y = Concat(d, z) {axis=-1}\n output y", "RotaryStrided Concat"},
    {"attention", "choices of three kinds",
     QKV_4D K_TURNED "input m bool 5x7\n input o bool 2x1x1x7\n input w float32 3x1x7\n const low float32 scalar = -1e9\n const lower float32 scalar = -2e9\n"
     "s = MatMul(q, kt)\n s1 = Where(m, s, low)\n s2 = Add(w, s1)\n s3 = Where(o, s2, lower)\n p = Softmax(s3)\n y = MatMul(p, v)\n output y",
     "Transpose MatMul Fused(Where Add Where) Softmax MatMul"},
    {"attention", "attention operator whose scores are wanted stays",
     "input q float32 2x4x5x8\n y, nk, nv, s = Attention(q, q, q)\n output y\n output s", "Attention"},
};

const case_table attention_cases = CASE_TABLE(OI_STAGE_LOWERED, rewrites, leaves);
