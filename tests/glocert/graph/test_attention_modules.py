"""Modules with attention, whose batch axis moves: every format of PyTorch, read for a batch of one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glocert import engine
from glocert.errors import UnsupportedOperators
from glocert.graph.imported import Imported, as_classifier
from glocert.graph.run import run
from glocert.graph.single import NOTE
from glocert.spec import Verdict
from tests.glocert.graph.attention_modules import MODULES, Windows, made
from tests.glocert.graph.torch_forms import (
    example,
    exported,
    from_pt2,
    from_torchscript,
    program_of,
    saved,
    traced,
)
from tests.glocert.segments.networks import line

torch.set_num_threads(1)


def check(imported: Imported, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Compare one sample at a time with the module itself, on inputs that are not the example."""
    x = example(shape) * 1.5 + 0.25
    expected = torch.cat([module(row[None]) for row in x]).detach()
    torch.testing.assert_close(run(imported.graph, x), expected, rtol=1e-4, atol=1e-5)


def check_alone(imported: Imported, module: nn.Module, shape: tuple[int, ...]) -> None:
    assert (imported.batch.present, imported.batch.size) == (True, 1)
    assert NOTE in imported.graph.notes
    check(imported, module, shape)


@pytest.mark.parametrize("name", MODULES)
def test_traces(name: str) -> None:
    module, shape = made(name)
    check_alone(from_torchscript(traced(module, example(shape))), module, shape)


@cache
def program_made(name: str, dynamic: bool) -> torch.export.ExportedProgram:
    module, shape = made(name)
    return program_of(module, example(shape, rows=3 if dynamic else 1), dynamic=dynamic)


@pytest.mark.parametrize("core", [True, False], ids=["core", "plain"])
@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "one"])
@pytest.mark.parametrize("name", MODULES)
def test_programs(name: str, dynamic: bool, core: bool) -> None:
    check_alone(from_pt2(saved(program_made(name, dynamic), core=core)), *made(name))


@pytest.mark.parametrize(
    "name", ["encoder", "encoder, norm first", "vision transformer", "attention without weights"]
)
def test_fused_layers_of_traces_without_gradients(name: str) -> None:
    module, shape = made(name)
    with torch.no_grad():
        imported = from_torchscript(traced(module, example(shape)))
    assert {"aten::_transformer_encoder_layer_fwd", "aten::_native_multi_head_attention"} & {
        *imported.operators
    }
    assert imported.batch.size is None
    check(imported, module, shape)


def test_a_fixed_batch_of_several_keeps_the_first_reason() -> None:
    with pytest.raises(UnsupportedOperators, match="moves the batch axis"):
        from_pt2(exported(made("attention")[0], example((5, 8))))


class Turned(nn.Module):
    """Moves the batch axis, and jumps."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.round(x.transpose(0, 1)).transpose(0, 1)


class Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class Rows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, 2) * 2.0


@pytest.mark.parametrize("module", [Centred(), nn.Softmax(0), Rows()], ids=["mean", "softmax", "rows"])
def test_samples_are_not_mixed_although_there_is_one(module: nn.Module) -> None:
    network, x = nn.Sequential(nn.Linear(4, 4), module), example((4,))
    for read, data in [
        (from_torchscript, traced(network, x)),
        (from_pt2, exported(network, x, dynamic=True)),
    ]:
        with pytest.raises(UnsupportedOperators):
            read(data)


def test_scores_without_a_batch_axis_are_those_of_the_one_sample() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Windows()

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(self.inner(x)[0] * 2.0, 0)

    torch.manual_seed(7)
    module = Flat().eval()
    imported = from_torchscript(traced(module, example((4, 4, 4), rows=1)))
    assert [tail.operator for tail in imported.tails] == ["Softmax"]
    assert as_classifier(imported.graph).output_shape == (3,)


def test_a_module_with_attention_is_certified_on_a_segment() -> None:
    module, shape = made("attention")
    graph = as_classifier(from_torchscript(traced(module, example(shape))).graph)
    start = example(shape, rows=1)[0].double().numpy()
    label = int(module(example(shape, rows=1)).argmax())
    program = engine.prepare(graph)
    report = engine.certify(program, line(start, start + 0.01), label)
    assert (report.verdict, report.family) == (Verdict.CERTIFIED, "enclosure")
    other = int(np.argmin(module(example(shape, rows=1)).detach().numpy()))
    assert engine.certify(program, line(start, start + 0.01), other).verdict is Verdict.FALSIFIED
