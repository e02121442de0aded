"""Every ATen operator against PyTorch, from traces and from torch.export programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import pytest
import torch
from torch import nn

from glocert.errors import UnsupportedOperators
from glocert.graph import pt2
from glocert.graph.imported import Imported
from glocert.graph.run import run
from tests.glocert.graph.torch_forms import (
    Wrapped,
    checked,
    example,
    exported,
    from_pt2,
    from_torchscript,
    scripted,
    traced,
)
from tests.glocert.graph.torch_functions import Function, cases, layers

torch.set_num_threads(1)
CASES, LAYERS = cases(), layers()
NOT_BROKEN_DOWN = {
    *("celu", "mish", "prelu_one", "softplus", "softshrink", "threshold"),
    *("row-prelu", "row-roll"),
    *("sequence-attention", "sequence-attention_causal", "sequence-attention_masked"),
    *("sequence-attention_scaled", "sequence-linear", "image-instance_norm", "image-prelu"),
    *("image-pad_reflect", "image-pad_replicate", "InstanceNorm2d", "PReLU"),
}
"""Functions whose core form selects by conditions, or puts the batch and another axis together."""


def check(imported: Imported, module: nn.Module, x: torch.Tensor) -> None:
    """Compare with PyTorch what the graph and its tail make of other inputs than the example."""
    x = x[:2] * 1.5 + 0.25
    if imported.batch.size is not None:
        x = x[:1].expand(imported.batch.size, *x.shape[1:])
    scores = run(imported.graph, x)
    for tail in reversed(imported.tails):
        scores = tail.apply(scores)
    tolerance = 1e-4 if x.dtype == torch.float32 else 1e-6
    expected = module(x.clone())
    assert scores.shape == expected.shape
    torch.testing.assert_close(scores, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", sorted(CASES))
def test_functions_in_traces(name: str, dtype: torch.dtype) -> None:
    function, shape = CASES[name]
    module, x = Wrapped(function).eval(), example(shape, dtype)
    check(from_torchscript(traced(module, x), shape), module, x)


@pytest.mark.parametrize("name", sorted(CASES))
def test_functions_in_programs(name: str) -> None:
    function, shape = CASES[name]
    module, x = Wrapped(function).eval(), example(shape)
    imported = from_pt2(exported(module, x, dynamic=True))
    assert imported.batch.size is None
    check(imported, module, x)


class Together(nn.Module):
    """Several functions of one input: breaking a program down takes long, however little is in it."""

    def __init__(self, functions: Sequence[Function]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([function(x).flatten(1) for function in self.functions], 1)


def in_groups(names: Iterable[str], most: int = 8) -> Iterator[tuple[str, ...]]:
    """Yield names of functions that take the same input."""
    by_shape = sorted(names, key=lambda name: (CASES[name][1], name))
    for _, alike in groupby(by_shape, key=lambda name: CASES[name][1]):
        yield from batched(alike, most)


def batched(names: Iterable[str], most: int) -> Iterator[tuple[str, ...]]:
    rest = iter(names)
    while found := tuple(islice(rest, most)):
        yield found


@pytest.mark.parametrize("names", [*in_groups(CASES.keys() - NOT_BROKEN_DOWN)], ids=" ".join)
def test_functions_in_core_programs(names: tuple[str, ...]) -> None:
    functions, shape = [CASES[name][0] for name in names], CASES[names[0]][1]
    x = example(shape)
    imported, original = pt2.read_pt2(exported(Together(functions).eval(), x, core=True))
    assert imported.batch.size == 3
    assert not imported.tails
    x = x[:1].expand_as(x) * 1.5 + 0.25
    expected = [function(x.clone()).flatten(1) for function in functions]
    found = run(imported.graph, x).split([scores.shape[1] for scores in expected], 1)
    wrong = {
        name: float((a - b).abs().max())
        for name, a, b in zip(names, found, expected, strict=True)
        if not torch.allclose(a, b, rtol=1e-4, atol=1e-4)
    }
    assert not wrong
    checked(imported, original, imported.output)


@pytest.mark.parametrize("name", sorted(CASES.keys() & NOT_BROKEN_DOWN))
def test_functions_that_are_not_broken_down_are_refused(name: str) -> None:
    function, shape = CASES[name]
    data = exported(Wrapped(function).eval(), example(shape), core=True)
    with pytest.raises(UnsupportedOperators):
        from_pt2(data)


@pytest.mark.parametrize("form", ["traced", "scripted", "fixed", "dynamic", "core"])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layers(name: str, form: str) -> None:
    module, shape = LAYERS[name]
    module, x = module.eval(), example(shape)
    if form == "core" and name in NOT_BROKEN_DOWN:
        return
    if form in {"traced", "scripted"}:
        data = traced(module, x) if form == "traced" else scripted(nn.Sequential(module))
        imported = from_torchscript(data, shape)
    else:
        imported = from_pt2(exported(module, x, dynamic=form == "dynamic", core=form == "core"))
    check(imported, module, x)
