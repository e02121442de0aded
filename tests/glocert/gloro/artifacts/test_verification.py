"""Changed files, constants and weights are noticed (E3), also where the manifest was changed to match."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from glocert.errors import UnverifiedArtifact
from glocert.gloro.artifacts.manifest import canonical
from glocert.gloro.artifacts.onnx_file import PAIRS, TERMS
from glocert.gloro.artifacts.verification import verify

ONNX = frozenset({"wrapped.onnx"})


@pytest.fixture
def copy(folder: Path, summary: dict[str, Any], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Store other bytes and let the manifest say that they are right."""
    (folder / name).write_bytes(data)
    document = json.loads((folder / "manifest.json").read_bytes())
    for entry in document["files"]:
        if entry["name"] == name:
            entry |= {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    (folder / "manifest.json").write_bytes(canonical(document))


def change_onnx(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(folder / "wrapped.onnx")
    change(model)
    rewrite(folder, "wrapped.onnx", model.SerializeToString(deterministic=True))


def scaled(name: str, factor: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
        values = numpy_helper.to_array(tensor) * np.float32(factor)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), name))

    return change


def operator(old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        node = [node for node in model.graph.node if node.op_type == old][-1]
        node.op_type = new

    return change


def weight(model: onnx.ModelProto) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name.startswith("weight"))
    values = numpy_helper.to_array(tensor).copy()
    values.ravel()[0] *= np.float32(1.0000002)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def another_output(model: onnx.ModelProto) -> None:
    model.graph.output[2].name, model.graph.output[3].name = "radius", "certified"


def second_tail(model: onnx.ModelProto) -> None:
    """A node in front that makes a name of the tail: the last one wins in no runtime, but who knows."""
    node = onnx.helper.make_node("Identity", ["x"], ["decision/0"])
    model.graph.node.insert(0, node)


def second_constant(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros((5, 5), np.float32), PAIRS)
    model.graph.initializer.insert(0, tensor)


def third_input(model: onnx.ModelProto) -> None:
    name = TERMS[0]
    model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []))


def fewer_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[3]


def test_what_was_written_is_verified(copy: Path) -> None:
    document = verify(copy)
    assert [entry["format"] for entry in document["files"]] == ["onnx", "torchscript", "pt2"]
    assert (copy / "manifest.json").read_bytes() == canonical(document)


@pytest.mark.parametrize("name", ["wrapped.onnx", "wrapped.torchscript.pt", "wrapped.pt2"])
def test_one_changed_byte_is_noticed(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(UnverifiedArtifact, match="not the file"):
        verify(copy)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (scaled(PAIRS, 0.999), "below the proved"),
        (scaled(PAIRS, 2), "not those of the manifest"),
        (scaled(TERMS[0], 0.9), "less rounding"),
        (scaled(TERMS[1], 0.0), "less rounding"),
        (scaled(TERMS[3], 0.5), "less rounding"),
        (scaled("epsilon", 0.5), "radius in the file"),
        (scaled("decision/tiny", 0.0), "constant behind the scores"),
        (scaled("decision/reach", 2.0), "constant behind the scores"),
        (weight, "weights in the file"),
        (operator("Greater", "GreaterOrEqual"), "was changed"),
        (operator("And", "Or"), "was changed"),
        (operator("ReduceMin", "ReduceMax"), "was changed"),
        (another_output, "cannot be verified"),
        (second_tail, "more than once"),
        (second_constant, "more than once"),
        (third_input, "inputs of the file"),
        (fewer_outputs, "cannot be verified"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_changed_onnx_file_is_noticed_although_its_digest_fits(
    copy: Path, change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    change_onnx(copy, change)
    with pytest.raises(UnverifiedArtifact, match=reason):
        verify(copy, names=ONNX)


@pytest.mark.parametrize(("buffer", "factor"), [("pairs", 0.99), ("terms", 0.5), ("pairs", 2.0)])
def test_changed_constants_of_a_traced_file_are_noticed(copy: Path, buffer: str, factor: float) -> None:
    module = torch.jit.load(copy / "wrapped.torchscript.pt")
    getattr(module, buffer).mul_(factor)
    file = io.BytesIO()
    torch.jit.save(module, file)
    rewrite(copy, "wrapped.torchscript.pt", file.getvalue())
    with pytest.raises(UnverifiedArtifact, match=r"wrapped\.torchscript|in the file|the file allows"):
        verify(copy, names=frozenset({"wrapped.torchscript.pt"}))


def test_changed_weights_of_a_program_are_noticed(copy: Path) -> None:
    program = torch.export.load(copy / "wrapped.pt2")
    program.state_dict["network.weight1"].mul_(3)
    file = io.BytesIO()
    torch.export.save(program, file)
    rewrite(copy, "wrapped.pt2", file.getvalue())
    with pytest.raises(UnverifiedArtifact):
        verify(copy, names=frozenset({"wrapped.pt2"}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "glocert-artifact/2"}'])
def test_without_a_manifest_nothing_is_verified(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(UnverifiedArtifact, match="no readable manifest"):
        verify(copy)


def test_a_file_that_the_manifest_does_not_name_is_not_verified(copy: Path) -> None:
    with pytest.raises(UnverifiedArtifact, match="names no such file"):
        verify(copy, names=frozenset({"other.onnx"}))


def test_a_missing_file_is_noticed(copy: Path) -> None:
    (copy / "wrapped.onnx").unlink()
    with pytest.raises(UnverifiedArtifact, match="is not there"):
        verify(copy)
