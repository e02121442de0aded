"""Layers of a GloRo network, each with an estimate of its Lipschitz constant that gradients flow through.

The estimate is power iteration from a start that is kept from step to step. It is a number from *below*:
it steers training and never enters a certificate. What is certified is bounded afterwards by
``glocert.lipschitz``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

Shape = tuple[int, ...]


class Layer(nn.Module):
    """A layer that knows the shape of its input, per sample."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    @property
    def output_shape(self) -> Shape:
        """Per-sample shape of the output."""
        return self.shape

    def stretch(self, steps: int) -> Tensor | float:  # noqa: ARG002 - for those that iterate
        """Return an estimate of the Lipschitz constant; moves the kept iterate by ``steps``."""
        return 1.0


class Linear(Layer):
    """A linear map with a bias; subclasses say what the map is."""

    iterate: Tensor

    def __init__(self, shape: Shape, weight: Tensor, outputs: int) -> None:
        super().__init__(shape)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("iterate", torch.randn(1, *shape))

    def map(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the map of a batch."""
        raise NotImplementedError

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the adjoint map of a batch."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch and add the bias."""
        return self.map(x, self.bias)

    def stretch(self, steps: int) -> Tensor:
        """Iterate without gradient, then measure with it."""
        with torch.no_grad():
            x = self.iterate
            for _ in range(steps):
                x = self.adjoint(self.map(x))
                x = x / x.norm().clamp_min(1e-30)
            self.iterate.copy_(x)
        size: Tensor = torch.linalg.vector_norm(self.map(self.iterate.clone()))
        return size

    @torch.no_grad()
    def restart(self, generator: torch.Generator) -> None:
        """Begin anew from a random iterate: the kept one may have stalled on a smaller singular value."""
        self.iterate.copy_(torch.randn(self.iterate.shape, generator=generator))


class Dense(Linear):
    """A fully connected layer; inputs of any shape are flattened.

    With ``normalised`` rows every row of the matrix is divided by its length, so that no class is told from
    the others by a longer row.
    """

    def __init__(self, shape: Shape, outputs: int, *, normalised: bool = False) -> None:
        size = torch.Size(shape).numel()
        weight = nn.init.orthogonal_(torch.empty(outputs, size))
        super().__init__((size,), weight, outputs)
        self.normalised = normalised

    @property
    def matrix(self) -> Tensor:
        """The matrix that is multiplied by, shape (outputs, inputs): the one that is exported."""
        return functional.normalize(self.weight, dim=1) if self.normalised else self.weight

    @property
    def output_shape(self) -> Shape:
        """One vector."""
        return (len(self.weight),)

    def map(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Multiply by the matrix."""
        return functional.linear(x.flatten(1), self.matrix, bias)

    def adjoint(self, y: Tensor) -> Tensor:
        """Multiply by the transposed matrix."""
        return y @ self.matrix


class Convolution(Linear):
    """A convolution with zero padding."""

    def __init__(self, shape: Shape, outputs: int, kernel: int, stride: int, pad: int) -> None:
        weight = nn.init.orthogonal_(torch.empty(outputs, shape[0], kernel, kernel))
        super().__init__(shape, weight, outputs)
        self.stride, self.pad = stride, pad

    @property
    def output_shape(self) -> Shape:
        """Channels, height, width."""
        kernel = self.weight.shape[2]
        sides = ((size + 2 * self.pad - kernel) // self.stride + 1 for size in self.shape[1:])
        return (len(self.weight), *sides)

    def map(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve."""
        return functional.conv2d(x, self.weight, bias, self.stride, self.pad)

    def adjoint(self, y: Tensor) -> Tensor:
        """Convolve back; the output padding restores exactly the input's size."""
        kernel = self.weight.shape[2]
        rest = [(size + 2 * self.pad - kernel) % self.stride for size in self.shape[1:]]
        return functional.conv_transpose2d(y, self.weight, None, self.stride, self.pad, rest)


class LinearResidual(Convolution):
    """``x + conv(x)``: linear as a whole, so its constant is that of the sum."""

    def __init__(self, shape: Shape, kernel: int = 3, depth: int = 1) -> None:
        super().__init__(shape, shape[0], kernel, 1, kernel // 2)
        with torch.no_grad():
            nn.init.normal_(self.weight, std=depth**-0.5 / (kernel * kernel * shape[0]) ** 0.5 / 3)

    def map(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Add the convolution to its input."""
        return x + super().map(x, bias)

    def adjoint(self, y: Tensor) -> Tensor:
        """Add the adjoint convolution."""
        return y + super().adjoint(y)


class MinMax(Layer):
    """Larger and smaller of the first and second half of the channels, pair by pair: 1-Lipschitz."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        if shape[0] % 2:
            raise ValueError(f"MinMax needs an even number of channels, not {shape[0]}")

    def forward(self, x: Tensor) -> Tensor:
        """Sort every pair."""
        first, second = x.chunk(2, 1)
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], 1)


class Normalise(Layer):
    """``(x - mean) / std`` per channel, fixed: part of the certified function."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, mean: Tensor, std: Tensor) -> None:
        super().__init__(shape)
        self.register_buffer("mean", mean.reshape(-1, *[1] * (len(shape) - 1)))
        self.register_buffer("std", std.reshape(-1, *[1] * (len(shape) - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Shift and scale."""
        return (x - self.mean) / self.std

    def stretch(self, steps: int) -> Tensor:  # noqa: ARG002
        """Return the largest factor."""
        return (1 / self.std).abs().max()


class Relu(Layer):
    """``max(x, 0)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return functional.relu(x)
