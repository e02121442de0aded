"""Small modules as users export them to ONNX, by both exporters of PyTorch."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.glocert.graph.attention_modules import Attention


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1)
        self.norm, self.head = nn.BatchNorm2d(2), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.first(x)))
        return self.head((x + self.second(y)).mean((2, 3)))


class Resized(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode, self.layer = mode, nn.Conv2d(2, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(nn.functional.interpolate(x, scale_factor=2, mode=self.mode)).flatten(1)


def _convolutional() -> nn.Module:
    layers = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(16, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3))


def _signal() -> nn.Module:
    layers = nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.LeakyReLU(), nn.AvgPool1d(2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(12, 3))


IMAGE, SIGNAL, ROWS = (2, 6, 6), (2, 6), (5, 8)
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "dense": (lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3), nn.Softmax(1)), (8,)),
    "convolutional": (_convolutional, IMAGE),
    "residual": (Residual, IMAGE),
    "average": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        IMAGE,
    ),
    "attention": (lambda: Attention(True), ROWS),
    "layer norm": (lambda: nn.Sequential(nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 3)), (8,)),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4), nn.Flatten()), IMAGE),
    "gelu": (lambda: nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 3)), (8,)),
    "gelu, tanh": (lambda: nn.Sequential(nn.Linear(8, 6), nn.GELU("tanh"), nn.Linear(6, 3)), (8,)),
    "silu": (lambda: nn.Sequential(nn.Linear(8, 6), nn.SiLU(), nn.Linear(6, 3)), (8,)),
    "hard swish": (lambda: nn.Sequential(nn.Linear(8, 6), nn.Hardswish(), nn.Linear(6, 3)), (8,)),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), nn.ELU(), nn.Flatten()),
        IMAGE,
    ),
    "nearest": (lambda: Resized("nearest"), IMAGE),
    "bilinear": (lambda: Resized("bilinear"), IMAGE),
    "signal": (_signal, SIGNAL),
}


def module(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a module with drawn weights, in evaluation mode, and the shape of a sample."""
    torch.manual_seed(11)
    make, shape = MODULES[name]
    network = make()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.uniform_(-1.0, 1.0)
            part.running_var.uniform_(0.5, 2.0)
    return network.eval(), shape


def onnx_file(network: nn.Module, x: Tensor, *, dynamic: bool, by_programs: bool) -> bytes:
    """Export; ``by_programs`` uses torch.export (``dynamo=True``), else a trace."""
    buffer = io.BytesIO()
    options: dict[str, object]
    if by_programs:
        options = {"dynamic_shapes": ({0: torch.export.Dim("batch")},) if dynamic else None}
    else:
        options = {"dynamic_axes": {"x": {0: "batch"}} if dynamic else None}
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, (x,), buffer, input_names=["x"], dynamo=by_programs, verbose=False, **options
            )
    finally:
        logging.disable(logging.NOTSET)
    return buffer.getvalue()
