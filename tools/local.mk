# The tool onnx-infer, its sources one a line: tool_sources += tools/x.c
tool_sources =
