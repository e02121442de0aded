"""Modules in the forms that TorchScript meets: scripted and traced, in place and not."""

from __future__ import annotations

import warnings

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """Changes its input in place after it was used, as wild networks do."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).relu_()
        y += x
        return functional.relu(y, inplace=True)


class Scaled(nn.Module):
    """Arithmetic with numbers and buffers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(channels, 1, 1))
        self.register_buffer("std", torch.rand(1, channels, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        x = torch.sub(1.5 - x, self.mean, alpha=2) * 0.7
        return x.mul_(2).div_(3.0).add(self.std, alpha=0.5)


class Joined(nn.Module):
    """Concatenation and padding."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(
            torch.cat([x, -x, functional.leaky_relu(x, 0.2)], dim=-1), (1, 0, 0, 2), value=0.25
        )


class Turned(nn.Module):
    """Views of every kind."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1).contiguous().transpose(-1, 1)
        return x.unsqueeze(1).squeeze(1).reshape(x.size(0), x.shape[1], -1).unsqueeze(-1)


class Head(nn.Module):
    """A flat end with weights of the given width."""

    def __init__(self, width: int, form: str) -> None:
        super().__init__()
        self.form = form
        self.hidden, self.scores = nn.Linear(width, 4), nn.Linear(4, 3)
        self.matrix = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.hidden(x.reshape(x.size(0), -1))
        if self.form == "matmul":
            x = x @ self.matrix + 1
        elif self.form == "addmm":
            x = torch.addmm(self.hidden.bias, x, self.matrix.t(), beta=2, alpha=0.5)
        return self.scores(torch.clamp(functional.dropout(x, training=self.training), -1.0))


def _layer(draw: st.DrawFn, x: Tensor) -> nn.Module:
    channels, width = x.shape[1], x.shape[3]
    size, stride, pad = draw(st.integers(2, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
    size = min(size, *(length + 2 * pad for length in x.shape[2:]))  # larger windows are refused
    flag = draw(st.booleans())
    kinds = {
        "conv": lambda: nn.Conv2d(channels, channels, size, stride, pad, draw(st.integers(1, 2)), bias=flag),
        "same": lambda: nn.Conv2d(channels, channels, size, padding="same", groups=channels if flag else 1),
        "batch": lambda: nn.BatchNorm2d(channels, affine=flag),
        "max": lambda: nn.MaxPool2d(size, stride, pad, ceil_mode=flag),
        "mean": lambda: nn.AvgPool2d(size, stride, pad, flag, draw(st.booleans())),
        "global": lambda: nn.AdaptiveAvgPool2d((1, width) if flag else 1),
        "residual": lambda: Residual(channels),
        "scaled": lambda: Scaled(channels),
        "joined": Joined,
        "turned": Turned,
        "relu": lambda: nn.ReLU(inplace=flag),
        "relu6": lambda: nn.ReLU6(inplace=flag),
        "leaky": lambda: nn.LeakyReLU(0.1, inplace=flag),
        "tanh": lambda: nn.Hardtanh(-0.5, 2.0, inplace=flag),
        "dropout": lambda: nn.Dropout2d(0.5, inplace=flag),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]()


@st.composite
def modules(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int, int]]:
    """Networks in evaluation mode with the shape of one sample."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(4, 8)), draw(st.integers(4, 8)))
    layers: list[nn.Module] = []
    x = torch.randn(2, *shape)
    for _ in range(draw(st.integers(1, 5))):
        layer = _layer(draw, x).eval()
        for buffer in ("running_mean", "running_var"):
            if hasattr(layer, buffer):
                getattr(layer, buffer).uniform_(0.5, 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # even kernels with padding="same" are slow
                y = layer(x.clone())
        except RuntimeError:
            continue
        if y.numel() < 2000:
            layers.append(layer)
            x = y.detach()
    layers.append(Head(x[0].numel(), draw(st.sampled_from(["plain", "matmul", "addmm"]))))
    if draw(st.booleans()):
        layers.append(draw(st.sampled_from([nn.Softmax(1), nn.LogSoftmax(-1), nn.Sigmoid()])))
    return nn.Sequential(*layers).eval(), shape
