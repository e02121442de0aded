"""The importer of torch.export programs: what it reads, what it says no to, and what lies."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glocert.errors import (
    GlocertError,
    InvalidGraph,
    ModelTooLarge,
    UnreadableModel,
    UnsupportedInput,
    UnsupportedOperators,
    UnsupportedOutput,
)
from glocert.graph.limits import Limits
from glocert.graph.pt2 import read_pt2
from glocert.graph.pt2_archive import holds_program
from glocert.graph.run import run
from tests.glocert.graph.torch_forms import example, exported, from_pt2, traced

GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


def dense() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)).eval()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def edited(member: str, edit: Callable[[Any], None], data: bytes | None = None) -> bytes:
    """Return the dense network with one JSON member changed."""
    content = members(data or exported(dense(), example((4,))))
    name = next(name for name in content if name.endswith(member))
    document = json.loads(content[name])
    edit(document)
    return packed(content | {name: json.dumps(document).encode()})


def refusal(kind: type[GlocertError], data: bytes, **options: object) -> GlocertError:
    with pytest.raises(kind) as caught:
        read_pt2(data, **options)
    return caught.value


def nodes(document: Any) -> Any:
    return document["graph_module"]["graph"]["nodes"]


def test_a_program_becomes_the_network() -> None:
    module, x = dense(), example((4,))
    imported = from_pt2(exported(module, x, dynamic=True))
    assert imported.format == "pt2"
    assert imported.graph.operators == {"Gemm": 2, "Relu": 1}
    assert set(imported.graph.parameters) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    assert imported.batch.size is None
    torch.testing.assert_close(run(imported.graph, x), module(x))
    assert from_pt2(exported(module, x)).batch.size == 3


def test_float64_weights_stay_so() -> None:
    imported = from_pt2(exported(dense().double(), example((4,), torch.float64)))
    assert imported.dtype == "float64"
    assert imported.graph.parameters["0.weight"].dtype == np.float64
    half = exported(dense().half(), example((4,)).half())
    refusal(UnsupportedInput, half)


class Shared(nn.Module):
    """Weights that are parts of one storage, a transposed one, and a buffer that no state_dict holds."""

    def __init__(self) -> None:
        super().__init__()
        whole = torch.randn(9, 4)
        self.first, self.second = nn.Parameter(whole[2:6]), nn.Parameter(whole.t()[:, :3])
        self.register_buffer("shift", torch.randn(4), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.first + self.shift) @ self.second + torch.tensor([1.0, 2.0, 3.0])


def test_views_of_one_storage_are_laid_out_as_the_file_says() -> None:
    module, x = Shared(), example((4,))
    graph = from_pt2(exported(module, x)).graph
    torch.testing.assert_close(run(graph, x), module(x).detach())


class WithoutGradients(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = x * 2.0
            z = y - 1.0
        return torch.relu(y) + z


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_part_without_gradients_is_read_in_place(dynamic: bool) -> None:
    module, x = WithoutGradients(), example((4,))
    imported = from_pt2(exported(module, x, dynamic=dynamic))
    assert imported.graph.operators == {"Add": 1, "Mul": 1, "Relu": 1, "Sub": 1}
    torch.testing.assert_close(run(imported.graph, x), module(x))


def test_a_function_at_the_end_is_cut_off_and_compared_before_it() -> None:
    imported = from_pt2(exported(nn.Sequential(dense(), nn.Softmax(1)), example((4,))))
    assert [tail.operator for tail in imported.tails] == ["Softmax"]
    assert imported.scores != imported.output
    assert imported.graph.operators == {"Gemm": 2, "Relu": 1}


class Two(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"scores": x * 2.0, "features": torch.relu(x)}


def test_one_of_several_outputs_is_taken() -> None:
    data = exported(Two(), example((4,)))
    assert len(refusal(UnsupportedOutput, data).offences) == 1
    first = from_pt2(data, output="0")
    assert [output.used for output in first.outputs] == [True, False]
    assert "1 left out" in first.graph.notes[0]
    for wanted in ("1", first.outputs[1].name):
        assert from_pt2(data, output=wanted).graph.operators == {"Relu": 1}
    refusal(UnsupportedOutput, data, output="2")


class Sum(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(1.0)
        return x * self.count


def test_a_model_is_a_function_of_one_input() -> None:
    buffer = io.BytesIO()
    x = example((4,))
    torch.export.save(torch.export.export(Sum(), (x, x)), buffer)
    assert len(refusal(UnsupportedInput, buffer.getvalue()).offences) == 2
    refusal(UnsupportedOperators, exported(Counting(), x))
    refusal(UnsupportedOutput, exported(Counting(), x, core=True))


def test_training_mode_is_refused() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout()).train()
    error = refusal(UnsupportedOperators, exported(module, example((4,))))
    assert "eval" in error.offences[0].way_out
    refusal(UnsupportedOperators, exported(nn.BatchNorm1d(4).train(), example((4,))))


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda y: y * 2.0, lambda y: y * 3.0, (x,))


def test_control_flow_is_refused_by_name() -> None:
    error = refusal(UnsupportedOperators, exported(Branching(), example((4,))))
    assert "higher_order::cond" in {offence.operator for offence in error.offences}


def test_another_symbolic_axis_needs_the_shape() -> None:
    pool = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    buffer = io.BytesIO()
    dims = ({0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=4, max=64)},)
    program = torch.export.export(pool, (torch.randn(2, 1, 8, 8),), dynamic_shapes=dims)
    torch.export.save(program, buffer)
    assert "input_shape" in refusal(UnsupportedInput, buffer.getvalue()).detail
    assert from_pt2(buffer.getvalue(), input_shape=(1, 6, 8)).graph.input_shape == (1, 6, 8)


@pytest.mark.parametrize(
    ("member", "edit", "kind"),
    [
        (GRAPH, lambda d: nodes(d)[0].update(target="torch.ops.aten.linear.out"), UnreadableModel),
        (GRAPH, lambda d: nodes(d)[0].update(target="torch.ops.aten.linear.other"), InvalidGraph),
        (GRAPH, lambda d: nodes(d)[0].update(target="torch.ops.mine.linear.default"), UnsupportedOperators),
        (GRAPH, lambda d: nodes(d)[1]["outputs"][0]["as_tensor"].update(name="linear"), InvalidGraph),
        (GRAPH, lambda d: nodes(d)[1]["inputs"][0]["arg"]["as_tensor"].update(name="later"), InvalidGraph),
        (GRAPH, lambda d: nodes(d)[0]["inputs"].append(nodes(d)[0]["inputs"][0]), UnreadableModel),
        (GRAPH, lambda d: nodes(d)[0]["inputs"][0].update(arg={"as_string": 3}), UnreadableModel),
        (GRAPH, lambda d: d["schema_version"].update(major=9), UnreadableModel),
        (GRAPH, lambda d: d["graph_module"].pop("signature"), UnreadableModel),
        (GRAPH, lambda d: nodes(d)[0].update(name="x" * 2000), ModelTooLarge),
        (WEIGHTS, lambda d: d["config"].pop("0.weight"), InvalidGraph),
        (WEIGHTS, lambda d: d["config"]["0.weight"]["tensor_meta"].update(layout=1), UnsupportedInput),
        (WEIGHTS, lambda d: d["config"]["0.weight"]["tensor_meta"]["strides"].pop(), UnreadableModel),
    ],
    ids=range(13),
)
def test_programs_that_lie(member: str, edit: Callable[[Any], None], kind: type[GlocertError]) -> None:
    refusal(kind, edited(member, edit))


def test_archives_that_lie() -> None:
    content = members(exported(dense(), example((4,))))
    root = next(iter(content)).partition("/")[0]
    text = content[f"{root}/{GRAPH}"].decode()
    repeated = text.replace('"signature"', '"signature": {}, "signature"', 1).encode()
    for name, part, kind in [
        (f"{root}/{GRAPH}", repeated, UnreadableModel),
        (f"{root}/{GRAPH}", b'{"graph_module": ' * 100_000, UnreadableModel),
        (f"{root}/models/other.json", b"{}", UnreadableModel),
        (f"{root}/../out", b"", UnreadableModel),
        (f"{root}/byteorder", b"big", UnreadableModel),
    ]:
        refusal(kind, packed(content | {name: part}))
    refusal(UnreadableModel, packed(content, zipfile.ZIP_DEFLATED))
    refusal(UnreadableModel, packed({name: part for name, part in content.items() if "config" not in name}))
    whole = packed(content)
    refusal(UnreadableModel, whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "limits", [Limits(parameters=20), Limits(nodes=1), Limits(members=3), Limits(file_bytes=99)]
)
def test_limits(limits: Limits) -> None:
    refusal(ModelTooLarge, exported(dense(), example((4,))), limits=limits)


def test_the_layouts_of_older_versions_are_called_by_name() -> None:
    old = packed({"serialized_exported_program.json": b"{}", "version": b"6"})
    assert holds_program(old)
    assert "before 2.8" in refusal(UnreadableModel, old).detail
    pickled = packed({"m/models/model.json": b"{}", "m/data/weights/model.pt": b"", "m/byteorder": b"little"})
    assert "pickle" in refusal(UnreadableModel, pickled).detail
    compiled = packed({"m/data/aotinductor/model/wrapper.so": b"", "m/archive_format": b"pt2"})
    assert holds_program(compiled)
    assert "compiled" in refusal(UnreadableModel, compiled).detail
    assert not holds_program(traced(dense(), example((4,))))
    assert not holds_program(b"PK")


def test_pickles_in_the_archive_are_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_: object, **__: object) -> None:
        raise AssertionError("something was loaded")

    data = exported(dense(), example((4,)))
    assert any(name.endswith("sample_inputs/model.pt") for name in members(data))
    for loader in ("torch.load", "torch.export.load", "torch.jit.load", "pickle.loads"):
        monkeypatch.setattr(loader, called)
    from_pt2(data)


@pytest.mark.parametrize(
    "name", ["cifar_cnn_a_adv", "cifar_resnet2b", "mnist_conv_small", "mnist_spectral_mlp_b"]
)
def test_shared_programs(shared_data: Path, name: str) -> None:
    imported = from_pt2((shared_data / "models" / f"{name}.pt2").read_bytes())
    assert imported.batch.size is None
    assert not imported.graph.notes
