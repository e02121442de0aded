"""Small networks with attention, in the ways that PyTorch offers it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention over the rows of an input of shape (5, 8)."""

    def __init__(self, batch_first: bool, weighted: bool = True) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.head = nn.Linear(40, 3)
        self.batch_first, self.weighted = batch_first, weighted

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.batch_first else x.transpose(0, 1)
        y = self.attend(y, y, y, need_weights=self.weighted)[0]
        y = y if self.batch_first else y.transpose(0, 1)
        return self.head(y.flatten(1))


class Encoder(nn.Module):
    """One layer of a transformer over the rows of an input of shape (5, 8)."""

    def __init__(self, batch_first: bool, norm_first: bool = False, activation: str = "relu") -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            8, 2, 16, batch_first=batch_first, norm_first=norm_first, activation=activation
        )
        self.head = nn.Linear(8, 3)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x if self.batch_first else x.transpose(0, 1))
        return self.head((y if self.batch_first else y.transpose(0, 1)).mean(1))


class VisionTransformer(nn.Module):
    """Patches of an image of shape (1, 8, 8), a class token, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.places
        return self.head(self.layers(rows)[:, 0])


class Windows(nn.Module):
    """Attention within windows that are stacked along the batch axis; an input of shape (4, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.head = nn.Linear(4, 4), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, size = x.shape
        cut = x.view(batch, height // 2, 2, width // 2, 2, size).permute(0, 1, 3, 2, 4, 5)
        rows = cut.reshape(-1, 4, size)
        query = self.project(rows)
        seen = torch.softmax(query @ rows.transpose(1, 2), -1) @ rows
        whole = seen.view(batch, height // 2, width // 2, 2, 2, size).permute(0, 1, 3, 2, 4, 5)
        return self.head(whole.reshape(batch, height, width, size).flatten(1))


Made = tuple[Callable[[], nn.Module], tuple[int, ...]]
MODULES: dict[str, Made] = {
    "attention": (lambda: Attention(True), (5, 8)),
    "attention, rows first": (lambda: Attention(False), (5, 8)),
    "attention without weights": (lambda: Attention(True, False), (5, 8)),
    "attention without weights, rows first": (lambda: Attention(False, False), (5, 8)),
    "encoder": (lambda: Encoder(True), (5, 8)),
    "encoder, rows first": (lambda: Encoder(False), (5, 8)),
    "encoder, norm first": (lambda: Encoder(True, True, "gelu"), (5, 8)),
    "vision transformer": (VisionTransformer, (1, 8, 8)),
    "windows": (Windows, (4, 4, 4)),
}


def made(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a module with drawn weights, in evaluation mode, and the shape of a sample."""
    torch.manual_seed(7)
    make, shape = MODULES[name]
    return make().eval(), shape
