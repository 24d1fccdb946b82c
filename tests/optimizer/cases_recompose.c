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
};

static const leave_case leaves[] = {
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
};

const case_table recompose_cases = CASE_TABLE(OI_STAGE_DECLUTTERED, rewrites, leaves);
