"""Writes the little models and inputs beside it, by which tests see whether the optional modules are found."""
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent


def write(name, node, dtype_in, dtype_out, dims_out):
    graph = helper.make_graph([node], name, [helper.make_tensor_value_info("x", dtype_in, [None])],
                              [helper.make_tensor_value_info("y", dtype_out, dims_out)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def value(name, array):
    (HERE / f"{name}.pb").write_bytes(numpy_helper.from_array(array, "x").SerializeToString())


write("regex", helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="(a+)+|été"), TensorProto.STRING, TensorProto.BOOL, [None])
write("normalizer", helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER", stopwords=["bb"]),
      TensorProto.STRING, TensorProto.STRING, [None])
write("image", helper.make_node("ImageDecoder", ["x"], ["y"]), TensorProto.UINT8, TensorProto.UINT8, [None, None, 3])
value("words", np.array(["aaa", "b", "été", "BB"], object))
value("picture", np.frombuffer(b"P3 2 1 255\n1 2 3 4 5 6\n", np.uint8))


def pictures():
    import io

    from PIL import Image

    y, x = np.mgrid[0:6, 0:7]
    pixels = np.stack([x * 36, y * 50, (x + y) * 20], axis=2).astype(np.uint8)
    for suffix, options in {"png": {}, "jpeg": {"quality": 90}, "tiff": {}, "webp": {"lossless": True}, "jp2": {"irreversible": False},
                            "bmp": {}, "ppm": {}}.items():
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, {"jpeg": "JPEG", "jp2": "JPEG2000"}.get(suffix, suffix.upper()), **options)
        (HERE / f"gradient.{suffix}").write_bytes(out.getvalue())


pictures()
