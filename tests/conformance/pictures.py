"""Random pictures in every form of every format through ImageDecoder, held against Pillow.

Formats without loss must be equal; JPEG and lossy WebP too, since both sides use the same libraries, but one level of
difference is allowed for their versions. The last line is `N passed, M failed`.
"""
import argparse
import io
import json
import pathlib
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper
from PIL import Image

import conformance
import generate
import harness

FORMS = {
    "png": ("PNG", ("RGB", "L", "P", "1", "RGBA", "LA"), ({}, {"optimize": True})),
    "jpeg": ("JPEG", ("RGB", "L"), ({"quality": 95, "subsampling": 0}, {"quality": 60, "subsampling": 2}, {"progressive": True})),
    "cmyk": ("JPEG", ("CMYK",), ({"quality": 90},)),
    "tiff": ("TIFF", ("RGB", "L", "P", "1"), ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"})),
    "webp": ("WEBP", ("RGB", "RGBA"), ({"lossless": True}, {"quality": 80})),
    "jp2": ("JPEG2000", ("RGB", "L"), ({"irreversible": False}, {"irreversible": False, "num_resolutions": 3})),
    "bmp": ("BMP", ("RGB", "L", "P", "1"), ({},)),
    "ppm": ("PPM", ("RGB", "L", "1"), ({},)),
}
TEXT = {"P1": b"P1\n# a comment\n3 2\n1 0 1\n010\n", "P2": b"P2 2 2 15 0 5 10 15\n", "P3": b"P3\n2 1\n#c\n31\n0 31 7 15 16 1\n"}
LEVELS = {"RGB": lambda pixels: pixels, "BGR": lambda pixels: pixels[:, :, ::-1],
          "Grayscale": lambda pixels: np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]}


def picture(rng, mode):
    height, width = (int(v) for v in rng.integers(1, 70, 2))
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([x * 3 + y, 255 - y * 3, (x * y) // 5], axis=2) + rng.integers(-8, 8, (height, width, 3))
    image = Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))
    if mode in ("RGBA", "LA"):
        image.putalpha(255)
    return image.convert(mode)


def expected(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def write(folder, name, data, how, pixels, atol):
    node = helper.make_node("ImageDecoder", ["x"], ["y"], pixel_format=how)
    graph = helper.make_graph([node], "picture", [helper.make_tensor_value_info("x", TensorProto.UINT8, [None])],
                              [helper.make_tensor_value_info("y", TensorProto.UINT8, [None, None, None])])
    case = folder / "pictures" / name
    generate.write(case / "model.onnx", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString())
    generate.write(case / "case.json", json.dumps({"rtol": 0, "atol": atol}).encode())
    for what, value in (("input", np.frombuffer(data, np.uint8)), ("output", np.ascontiguousarray(LEVELS[how](pixels)))):
        generate.write(case / "test_data_set_0" / f"{what}_0.pb", generate.numpy_helper.from_array(value).SerializeToString())
    return f"pictures/{name}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=4, help="pictures of each form; default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the cases there")
    args = parser.parse_args()
    harness.tool()
    score, rng = harness.Score(), np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder, cases = args.keep or pathlib.Path(folder), []
        for form, (name, modes, options) in FORMS.items():
            for mode in modes:
                for k, option in enumerate(options):
                    for n in range(args.count):
                        out = io.BytesIO()
                        try:
                            picture(rng, mode).save(out, name, **option)
                        except OSError:  # JPEG 2000 has no so many resolutions of a small picture
                            continue
                        data, how = out.getvalue(), str(rng.choice(list(LEVELS)))
                        lossy = form == "cmyk" or name == "JPEG" or "quality" in option
                        cases.append(write(folder, f"{form}_{mode}_{k}_{n}", data, how, expected(data), 2 if lossy else 0))
        for name, data in TEXT.items():
            cases.append(write(folder, name, data, "RGB", expected(data), 0))
        for case, reason in conformance.verify(folder, cases, [], kinds=("pictures",)).items():
            if reason is None:
                score.passed += 1
            else:
                score.add(False, f"{case}  {reason}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
