"""MinMax as people write it in PyTorch keeps its constant of one, in every format."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import Tensor, nn

from glocert.gloro.architectures import build
from glocert.graph.export import to_onnx
from glocert.graph.formats import read
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.lipschitz.network import bound


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], 1)


class Columns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x[:, ::2], x[:, 1::2]
        return torch.stack([torch.minimum(first, second), torch.maximum(first, second)], 2).flatten(1, 2)


class Neighbours(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pairs = x.unflatten(1, (x.shape[1] // 2, 2))
        return torch.cat([pairs.amax(2), pairs.amin(2)], 1)


class Overlapping(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x[:, :-1], x[:, 1:]
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], 1)


def imported(module: nn.Module, shape: tuple[int, ...], kind: str) -> Graph:
    file = io.BytesIO()
    example = torch.rand(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "torchscript":
            torch.jit.save(torch.jit.trace(module.eval(), example), file)
        else:
            batch = ({0: torch.export.Dim("batch")},)
            torch.export.save(torch.export.export(module.eval(), (example,), dynamic_shapes=batch), file)
    return read(file.getvalue(), kind, input_shape=shape, output=None, limits=Limits()).imported.graph


def methods(graph: Graph) -> list[str]:
    return [part.norm.method for part in bound(graph).parts]


@pytest.mark.parametrize("kind", ["torchscript", "pt2"])
@pytest.mark.parametrize("activation", [Halves, Columns, Neighbours])
def test_it_sorts_pairs(activation: type[nn.Module], kind: str) -> None:
    for module, shape in (
        (nn.Sequential(nn.Linear(6, 8), activation(), nn.Linear(8, 3)), (6,)),
        (nn.Sequential(nn.Conv2d(1, 4, 3), activation(), nn.Flatten(), nn.Linear(64, 3)), (1, 6, 6)),
    ):
        assert "sorts pairs" in methods(imported(module, shape, kind))


@pytest.mark.parametrize("kind", ["torchscript", "pt2"])
def test_overlapping_pairs_do_not(kind: str) -> None:
    module = nn.Sequential(nn.Linear(6, 8), Overlapping(), nn.Linear(14, 3))
    assert "sorts pairs" not in methods(imported(module, (6,), kind))


@pytest.mark.parametrize("kind", ["onnx", "torchscript", "pt2"])
def test_a_trained_architecture_comes_back_with_its_constants(kind: str) -> None:
    torch.manual_seed(0)
    net = build("2c2f", (1, 8, 8), 4)
    graph = net.graph()
    if kind == "onnx":
        found = read(to_onnx(graph), kind, input_shape=None, output=None, limits=Limits()).imported.graph
    else:
        found = imported(net, (1, 8, 8), kind)
    assert methods(found).count("sorts pairs") == 3
    assert torch.allclose(bound(found).pairs, bound(graph).pairs, rtol=1e-6)
