"""Other networks than ours are wrapped and verified: pooling, residual sums, normalisation, channels last."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glocert.certification.gloro_wrap import WrapSpec, run
from glocert.gloro.artifacts.prediction import predict_batch
from glocert.gloro.artifacts.verification import verify
from glocert.graph.formats import read
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.spec import Preprocessing


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.inner(x))


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.permute(0, 3, 1, 2))


def convolution() -> nn.Conv2d:
    return nn.Conv2d(3, 4, 3, stride=2, padding=1)


NETWORKS = {
    "max pool": lambda: nn.Sequential(convolution(), nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(4, 3)),
    "mean pool": lambda: nn.Sequential(convolution(), nn.AvgPool2d(3, 2, 1), nn.Flatten(), nn.Linear(16, 3)),
    "residual": lambda: nn.Sequential(convolution(), Residual(), nn.Flatten(), nn.Linear(36, 3)),
    "normalised": lambda: nn.Sequential(
        convolution(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3), nn.Softmax(1)
    ),
}


def imported(module: nn.Module, shape: tuple[int, ...]) -> Graph:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(module.eval(), torch.rand(2, *shape)), file)
    return read(file.getvalue(), None, input_shape=shape, output=None, limits=Limits()).imported.graph


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_wrapped_and_verified(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = imported(NETWORKS[name](), (3, 6, 6))
    summary = run(
        graph, Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), lower=0.125, upper=0.9),
        WrapSpec(1e-4), tmp_path, date="2026-11-22T12:00:00Z", seconds=1,
    )  # fmt: skip
    assert all(check["differences"] == 0 for check in summary["checks"].values())
    assert all(check["certified"] > 0 for check in summary["checks"].values())
    assert verify(tmp_path)["classes"] == 3


def test_raw_inputs_are_channels_first_whatever_the_network_takes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = imported(ChannelsLast(), (6, 6, 3))
    spec = WrapSpec(1e-3, ("onnx",))
    run(graph, Preprocessing(layout="NHWC"), spec, tmp_path, date="2026-11-22T12:00:00Z", seconds=1)
    rows = predict_batch(tmp_path, torch.rand(8, 3, 6, 6).numpy())
    assert len(rows) == 8
    assert any(row["certified"] for row in rows)
