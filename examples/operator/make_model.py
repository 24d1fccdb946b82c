"""Writes the model that use.cpp runs: y = Shrink(x) + Shrink(x), x[batch,4]. Usage: make_model.py FILE (needs onnx)."""
import sys

import onnx
import onnx.parser

onnx.save(onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 17, "example" : 1]>
    twice (float[batch,4] x) => (float[batch,4] y) {
        s = example.Shrink <by: float = 1> (x)
        y = Add (s, s)
    }"""), sys.argv[1])
