"""What must not happen: an OR of ANDs of linear inequalities over a network's outputs and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import torch
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.forms.form import Form
from glocert.forms.ops.affine import Linear
from glocert.forms.ops.registry import Charges
from glocert.rounding import DOUBLE

_SMALLEST, _LARGEST = Fraction(1, 2**400), Fraction(2**400)


@dataclass(frozen=True, slots=True)
class Inequality:
    """``sum a_j y_j + sum b_i x_i + constant <= 0``, or ``< 0`` where ``strict``; all numbers are exact.

    Attributes:
        outputs: a by position in the flattened output.
        inputs: b by position in the flattened input.
        constant: the rest.
        strict: whether equality is outside.
    """

    outputs: Mapping[int, Fraction]
    inputs: Mapping[int, Fraction]
    constant: Fraction
    strict: bool = False

    def value(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
        """Return the left-hand side, exactly."""
        terms = chain(
            (factor * y[j] for j, factor in self.outputs.items()),
            (factor * x[i] for i, factor in self.inputs.items()),
        )
        return sum(terms, self.constant)

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Whether a point satisfies it, exactly."""
        value = self.value(x, y)
        return value < 0 or (value == 0 and not self.strict)


@dataclass(frozen=True, slots=True)
class Unsafe:
    """A point is unsafe where all inequalities of at least one group hold.

    Attributes:
        inequalities: each once.
        groups: positions among them; none of the groups is empty.
    """

    inequalities: tuple[Inequality, ...]
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def wrong_label(cls, label: int, classes: int, margin: float) -> Unsafe:
        """Return the set on which ``label`` does not beat every other class by more than ``margin``."""
        less = -Fraction(margin)
        found = tuple(
            Inequality({label: Fraction(1), other: Fraction(-1)}, {}, less)
            for other in range(classes)
            if other != label
        )
        return cls(found, tuple((position,) for position in range(len(found))))

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Whether a point is unsafe, exactly."""
        return any(all(self.inequalities[i].holds(x, y) for i in group) for group in self.groups)


@dataclass(frozen=True, slots=True, eq=False)
class Functionals:
    """The left-hand sides of all inequalities, ready to be bounded.

    Attributes:
        weights: float64, shape (outputs [+ inputs], inequalities).
        constant: shape (inequalities,).
        map: applies them to forms.
        with_inputs: whether inputs are among the rows of ``weights``.
    """

    weights: Tensor
    constant: Tensor
    map: Linear
    with_inputs: bool

    @classmethod
    def of(cls, unsafe: Unsafe, sizes: tuple[int, int], device: torch.device) -> Functionals:
        """Round every coefficient once.

        The rounding of a coefficient counts as one more rounding of each product, of which ``Linear`` is told
        four more than there are; a constant likewise.

        Args:
            unsafe: the inequalities.
            sizes: how many outputs and inputs the network has.
            device: where the forms will be.

        Raises:
            InvalidSpec: a coefficient is not zero and so large or small that rounding it might lose it.
        """
        outputs, inputs = sizes
        with_inputs = any(x.inputs for x in unsafe.inequalities)
        weights = torch.zeros(outputs + inputs * with_inputs, len(unsafe.inequalities), dtype=torch.float64)
        constant = torch.zeros(len(unsafe.inequalities), dtype=torch.float64)
        for column, inequality in enumerate(unsafe.inequalities):
            constant[column] = _rounded(inequality.constant)
            for j, factor in inequality.outputs.items():
                weights[j, column] = _rounded(factor)
            for i, factor in inequality.inputs.items():
                weights[outputs + i, column] = _rounded(factor)
        weights, constant = weights.to(device), constant.to(device)
        size = weights.abs()
        charges = Charges(DOUBLE, 0.0, DOUBLE.tiny)
        linear = Linear(lambda x: x @ weights, lambda x: x @ size, constant, len(weights) + 4, charges)
        return cls(weights, constant, linear, with_inputs)

    def __call__(self, x: Form, y: Form) -> Form:
        """Return the left-hand sides, shape (rows, inequalities).

        Args:
            x: the input, flattened.
            y: the outputs, flattened; at least as many slopes, the first ones those of ``x``.
        """
        if not self.with_inputs:
            return self.map(y)
        missing = len(y.slopes) - len(x.slopes)
        lines = torch.cat([x.lines(), x.centre.new_zeros(missing, *x.centre.shape)])
        both = Form.of(torch.cat([y.lines(), lines], -1), torch.cat([y.error, x.error], -1))
        return self.map(both)

    def scale(self, x: Form, y: Form) -> Tensor:
        """Return roughly how large the terms of the left-hand sides are, shape (rows, inequalities)."""
        values = torch.cat([y.centre, x.centre], -1) if self.with_inputs else y.centre
        return self.map.magnitude(values.abs())


def _rounded(exact: Fraction) -> float:
    if exact and not _SMALLEST <= abs(exact) <= _LARGEST:
        raise InvalidSpec("a coefficient of the property is outside of 2^-400 to 2^400")
    return float(exact)
