"""What mutants are made of: small files written here, and the real ones where the shared data are."""

from __future__ import annotations

import functools
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import PIL.Image
import torch
from torch import Tensor, nn

from tests.glocert.graph import onnx_models
from tests.glocert.graph.onnx_models import node, weights

MODEL, DATASET = "model", "dataset"


@dataclass(frozen=True, slots=True)
class Seed:
    """A good upload.

    Attributes:
        name: of the file, with its extension.
        kind: ``model`` or ``dataset``.
        data: the file.
        input_shape: of one sample, where the file does not tell it.
    """

    name: str
    kind: str
    data: bytes
    input_shape: tuple[int, ...] | None = None


@functools.cache
def own() -> tuple[Seed, ...]:
    """Return the small files: every format, and most of the operators that uploads are made of."""
    return (*_onnx(), *_torch(), *_datasets())


@functools.cache
def real(shared: Path) -> tuple[Seed, ...]:
    """Return the real models that a mutant of is inspected in well under a second, and the real data sets."""
    models = [path for path in sorted((shared / "models").iterdir()) if path.stat().st_size < 2**20]
    data = sorted((shared / "datasets").glob("*_test.npz"))
    return tuple(
        Seed(path.name, kind, path.read_bytes())
        for kind, paths in ((MODEL, models), (DATASET, data))
        for path in paths
    )


def _onnx() -> Iterator[Seed]:
    for name, made in (("dense", onnx_models.dense()), ("convolution", _convolution()), ("shapes", _shapes()),
                       ("smooth", _smooth()), ("attention", _attention())):  # fmt: skip
        yield Seed(f"{name}.onnx", MODEL, made.SerializeToString())
    yield Seed("external.zip", MODEL, _external())


def _convolution() -> onnx.ModelProto:
    nodes = [
        node("Pad", ["x", "pads"], "p"),
        node("Conv", ["p", "W", "b"], "c", kernel_shape=[3, 3], strides=[1, 1], pads=[0, 0, 0, 0]),
        node("BatchNormalization", ["c", "s", "t", "m", "v"], "n", epsilon=1e-3),
        node("LeakyRelu", ["n"], "r", alpha=0.1),
        node("MaxPool", ["r"], "q", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", ["q"], "a", kernel_shape=[2, 2], strides=[1, 1]),
        node("ConvTranspose", ["a", "T"], "u", strides=[2, 2]),
        node("Add", ["u", "k"], "e"),
        node("Flatten", ["e"], "f", axis=1),
        node("Gemm", ["f", "V", "d"], "g", transB=1),
        node("Softmax", ["g"], "y", axis=-1),
    ]
    tensors = {
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "W": weights(3, 2, 3, 3), "b": weights(3),
        "s": weights(3), "t": weights(3), "m": weights(3), "v": weights(3) ** 2 + 1,
        "T": weights(3, 2, 2, 2), "k": weights(2, 1, 1), "V": weights(4, 32), "d": weights(4),
    }  # fmt: skip
    return onnx_models.model(nodes, tensors, shape=("N", 2, 6, 6))


def _shapes() -> onnx.ModelProto:
    """Shapes computed in the graph, as exporters of networks with a dynamic batch do."""
    nodes = [
        node("Transpose", ["x"], "t", perm=[0, 2, 1]),
        node("Shape", ["t"], "s"),
        node("Gather", ["s", "zero"], "n", axis=0),
        node("Unsqueeze", ["n", "axis0"], "n1"),
        node("Concat", ["n1", "minus1"], "to", axis=0),
        node("Reshape", ["t", "to"], "r"),
        node("Slice", ["r", "starts", "ends", "axes"], "c"),
        node("Split", ["c", "parts"], "l", axis=1),
        node("Neg", ["l"], "g"),
        node("Concat", ["g", "l"], "j", axis=1),
        node("Clip", ["j", "low", "high"], "k"),
        node("ReduceSum", ["k", "axis1"], "u", keepdims=1),
        node("Mul", ["k", "half"], "h"),
        node("Sub", ["h", "u"], "y"),
    ]
    nodes[7].output.append("l2")
    tensors = {
        "zero": np.array(0), "axis0": np.array([0]), "minus1": np.array([-1]), "starts": np.array([1]),
        "ends": np.array([9]), "axes": np.array([1]), "parts": np.array([4, 4]), "axis1": np.array([1]),
        "low": np.float32(-1), "high": np.float32(1), "half": np.float32(0.5),
    }  # fmt: skip
    return onnx_models.model(nodes, tensors, shape=("N", 3, 4))


def _smooth() -> onnx.ModelProto:
    nodes = [node("Gemm", ["x", "W", "b"], "h0", transB=1)]
    for place, kind in enumerate(("Sigmoid", "Tanh", "Softplus", "Elu", "Erf", "Exp", "HardSigmoid")):
        nodes.append(node(kind, [f"h{place}"], f"h{place + 1}"))
    nodes += [node("Pow", ["h7", "two"], "p"), node("Mul", ["p", "h0"], "m"), node("Gemm", ["m", "V"], "y")]
    tensors = {"W": weights(5, 4), "b": weights(5), "V": weights(5, 3), "two": np.float32(2)}
    return onnx_models.model(nodes, tensors)


def _attention() -> onnx.ModelProto:
    nodes = [
        node("MatMul", ["x", "Q"], "q"),
        node("MatMul", ["x", "K"], "k"),
        node("Transpose", ["k"], "kt", perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], "s"),
        node("Softmax", ["s"], "p", axis=-1),
        node("MatMul", ["p", "x"], "a"),
        node("Add", ["a", "x"], "r"),
        node("LayerNormalization", ["r", "g", "b"], "n", axis=-1),
        node("ReduceMean", ["n"], "m", axes=[1], keepdims=0),
        node("Gemm", ["m", "W"], "y"),
    ]
    tensors = {"Q": weights(4, 4), "K": weights(4, 4), "g": weights(4), "b": weights(4), "W": weights(4, 3)}
    return onnx_models.model(nodes, tensors, shape=("N", 3, 4))


def _external() -> bytes:
    """Return a model with its weights in a second file, both in one archive."""
    model = onnx_models.dense()
    stored = b""
    for tensor in model.graph.initializer:
        numbers, tensor.data_location = tensor.raw_data, onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        for key, value in (("location", "model.bin"), ("offset", len(stored)), ("length", len(numbers))):
            tensor.external_data.add(key=key, value=str(value))
        stored += numbers
    return archive({"model.onnx": model.SerializeToString(), "model.bin": stored})


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members.items():
            made.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
    return buffer.getvalue()


class _Residual(nn.Module):
    """Branches, operators in place and shapes computed at run time."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.second, self.last = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(36, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = torch.relu(self.second(x))
        y += x
        y = nn.functional.max_pool2d(y, 2)
        return self.last(self.drop(y.view(y.size(0), -1)))


class _Wavy(nn.Module):
    """Smooth functions and a product of two activations."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.value, self.last = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.gate(x)) * torch.tanh(self.value(x))
        return self.last(nn.functional.layer_norm(nn.functional.gelu(h), [5]))


def _torch() -> Iterator[Seed]:
    torch.manual_seed(20)
    dense = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    cases = (("dense", dense, (2, 4)), ("residual", _Residual(), (2, 2, 6, 6)), ("wavy", _Wavy(), (2, 4)))
    for name, module, shape in cases:
        module, example = module.eval(), torch.randn(shape)
        traced, scripted = torch.jit.trace(module, example), torch.jit.script(module)
        for ending, made in (("pt", traced), ("script.pt", scripted)):
            buffer = io.BytesIO()
            torch.jit.save(made, buffer)
            yield Seed(f"{name}.{ending}", MODEL, _bare(buffer.getvalue()), shape[1:])
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(torch.export.export(module, (example,)), buffer)
        yield Seed(f"{name}.pt2", MODEL, _bare(buffer.getvalue()))


def _bare(data: bytes) -> bytes:
    """Return an archive without what names machine and run: source lines, stack traces, a number."""
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        members = {name: found.read(name) for name in found.namelist() if not name.endswith(".debug_pkl")}
    for name in members:
        if name.endswith("serialization_id"):
            members[name] = b"0"
        elif name.endswith(".json"):
            document = json.loads(members[name])
            _forget(document)
            members[name] = json.dumps(document).encode()
    return archive(members)


def _forget(tree: object) -> None:
    """Empty the metadata of every node."""
    if isinstance(tree, dict):
        if "stack_trace" in tree.get("metadata", {}):
            tree["metadata"] = {}
        tree = list(tree.values())
    for branch in tree if isinstance(tree, list) else ():
        _forget(branch)


def _datasets() -> Iterator[Seed]:
    draw = np.random.default_rng(20)
    images, labels = draw.integers(0, 255, (5, 6, 6), dtype=np.uint8), np.arange(5)
    for save, name in ((np.savez, "plain.npz"), (np.savez_compressed, "packed.npz")):
        buffer = io.BytesIO()
        save(buffer, images=images, labels=labels)
        yield Seed(name, DATASET, buffer.getvalue())
    buffer = io.BytesIO()
    np.save(buffer, images / 255)
    yield Seed("inputs.npy", DATASET, buffer.getvalue())
    rows = "\n".join(
        ",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True)
    )
    yield Seed("table.csv", DATASET, rows.encode())
    members = {
        "labels.csv": b"file,label\n"
        + b"".join(b"%d.%s,%d\n" % (place, (b"jpg", b"png")[place % 2], place) for place in range(5))
    }
    for place, image in enumerate(images):
        buffer = io.BytesIO()
        PIL.Image.fromarray(image).save(buffer, ("jpeg", "png")[place % 2])
        members[f"{place}.{('jpg', 'png')[place % 2]}"] = buffer.getvalue()
    yield Seed("pictures.zip", DATASET, archive(members))
