"""How a kernel slides over the spatial axes of a tensor."""

from __future__ import annotations

from dataclasses import dataclass

from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.values import Unsupported


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel slides, per spatial axis.

    Attributes:
        kernel: sizes.
        strides: steps.
        pads: begins, then ends.
        dilations: distances between positions of the kernel.
    """

    kernel: Shape
    strides: Shape
    pads: Shape
    dilations: Shape

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    def check(self) -> None:
        """Refuse what does not belong together.

        Raises:
            ShapeError: lists of different lengths.
            Unsupported: more than three axes.
        """
        if not len(self.strides) == len(self.dilations) == self.rank or len(self.pads) != 2 * self.rank:
            raise ShapeError("kernel_shape, strides, dilations and pads have different lengths")
        if self.rank not in (1, 2, 3):
            raise Unsupported(f"windows over {self.rank} axes are not supported")
        if min((*self.kernel, *self.strides, *self.dilations)) < 1 or min(self.pads) < 0:
            raise ShapeError("a kernel size, stride or dilation is below 1, or a pad below 0")

    def in_two_dimensions(self) -> Window:
        """Return the same window with a height of one where it has only a width."""
        if self.rank == 2:
            return self
        begin, end = self.pads
        return Window((1, *self.kernel), (1, *self.strides), (0, begin, 0, end), (1, *self.dilations))

    def along(self, *axes: int) -> Window:
        """Return the part of the window along some of its axes."""
        kernel, strides, dilations = (
            tuple(values[axis] for axis in axes) for values in (self.kernel, self.strides, self.dilations)
        )
        ends = (self.pads[end * self.rank + axis] for end in range(2) for axis in axes)
        return Window(kernel, strides, tuple(ends), dilations)
