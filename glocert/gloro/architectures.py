"""The architectures of the GloRo papers, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from glocert.gloro.layers import Convolution, Dense, Layer, LinearResidual, MinMax, Normalise, Relu, Shape
from glocert.gloro.network import GloroNet

Conv = tuple[int, int, int]
"""Output channels, kernel, stride; padding keeps the size but for the stride."""

CHAINS: Mapping[str, tuple[Sequence[Conv], Sequence[int]]] = {
    "2c2f": ([(16, 4, 2), (32, 4, 2)], [100]),
    "4c3f": ([(32, 3, 1), (32, 4, 2), (64, 3, 1), (64, 4, 2)], [512, 512]),
    "6c2f": ([(32, 3, 1), (32, 3, 1), (32, 4, 2), (64, 3, 1), (64, 3, 1), (64, 4, 2)], [512]),
    "8c2f": (
        [(64, 3, 1), (64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2)],
        [256],
    ),
}
NAMES = (*CHAINS, "liresnet")


def build(
    name: str,
    shape: Shape,
    classes: int,
    *,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    activation: str = "minmax",
    normalised: bool | None = None,
    depth: int = 4,
    width: int = 64,
) -> GloroNet:
    """Return an untrained network.

    Args:
        name: one of ``NAMES``.
        shape: (channels, height, width) of the raw input.
        classes: how many scores.
        mean: subtracted per channel; empty leaves the input as it is.
        std: divisor per channel; empty is one.
        activation: ``minmax`` or ``relu``.
        normalised: whether the rows of the last matrix have length one; by default those of LiResNet have.
        depth: linear residual blocks of a LiResNet.
        width: its channels.

    Raises:
        ValueError: an unknown name, or a shape that the layers do not fit.
    """
    layers: list[Layer] = []
    if len(mean) or len(std):
        layers.append(Normalise(shape, torch.tensor(list(mean) or [0.0]), torch.tensor(list(std) or [1.0])))
    if name == "liresnet":
        _li_resnet(layers, shape, depth, width, activation)
        dense = [512]
    elif name in CHAINS:
        convolutions, hidden = CHAINS[name]
        for channels, kernel, stride in convolutions:
            _convolve(layers, shape, channels, kernel, stride, activation)
            shape = layers[-1].output_shape
        dense = list(hidden)
    else:
        raise ValueError(f"no architecture {name!r}; there are {', '.join(NAMES)}")
    for size in dense:
        layers.append(Dense(layers[-1].output_shape, size))
        layers.append(_bend(layers[-1].output_shape, activation))
    unit_rows = name == "liresnet" if normalised is None else normalised
    layers.append(Dense(layers[-1].output_shape, classes, normalised=unit_rows))
    return GloroNet(layers)


def _convolve(
    layers: list[Layer], shape: Shape, channels: int, kernel: int, stride: int, activation: str
) -> None:
    pad = (kernel - 1) // 2
    if min(size + 2 * pad - kernel for size in shape[1:]) < 0:
        raise ValueError(f"images of {shape[1]} x {shape[2]} are too small for a kernel of {kernel}")
    layers.append(Convolution(shape, channels, kernel, stride, pad))
    layers.append(_bend(layers[-1].output_shape, activation))


def _li_resnet(layers: list[Layer], shape: Shape, depth: int, width: int, activation: str) -> None:
    """Stem, linear residual blocks, neck."""
    _convolve(layers, shape, width, 5, 2, activation)
    for _ in range(depth):
        layers.append(LinearResidual(layers[-1].output_shape, depth=depth))
        layers.append(_bend(layers[-1].output_shape, activation))
    here = layers[-1].output_shape
    kernel = min(4, *here[1:])
    layers.append(Convolution(here, 2 * width, kernel, kernel, 0))
    layers.append(_bend(layers[-1].output_shape, activation))


def _bend(shape: Shape, activation: str) -> Layer:
    return MinMax(shape) if activation == "minmax" else Relu(shape)
