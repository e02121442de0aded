"""Every ATen operator against PyTorch, from traces and from torch.export programs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glocert.errors import UnsupportedOperators
from glocert.graph.imported import Imported
from glocert.graph.run import run
from tests.glocert.graph.torch_forms import (
    Wrapped,
    example,
    exported,
    from_pt2,
    from_torchscript,
    scripted,
    traced,
)
from tests.glocert.graph.torch_functions import cases, layers

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


@pytest.mark.parametrize("form", ["dynamic", "core"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_functions_in_programs(name: str, form: str) -> None:
    function, shape = CASES[name]
    module, x = Wrapped(function).eval(), example(shape)
    data = exported(module, x, dynamic=form == "dynamic", core=form == "core")
    if form == "core" and name in NOT_BROKEN_DOWN:
        with pytest.raises(UnsupportedOperators):
            from_pt2(data)
        return
    imported = from_pt2(data)
    assert imported.batch.size == (None if form == "dynamic" else 3)
    check(imported, module, x)


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
