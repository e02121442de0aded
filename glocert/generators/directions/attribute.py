"""The direction of an attribute, from codes of inputs that have it and of inputs that do not.

Either the difference of the two means, or the normal of a hyperplane between the groups (logistic
regression with a quadratic penalty, solved by Newton's method to the optimum, which is unique). How well
the direction tells the groups apart is measured on codes that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.errors import InvalidSpec, NoDirection
from glocert.generators.directions.found import unit
from glocert.generators.directions.pairs import accuracy, separation

METHODS = ("means", "separator")
PENALTY = 1e-2
_FOLDS, _FEWEST = 5, 2
_STEPS, _STILL = 100, 1e-10
_TELLING = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """A direction that leads from one group to another.

    Attributes:
        vector: of length one, shape (d,).
        distance: between the means of the groups, along it.
        accuracy: balanced, on codes that were left out; ``None`` where there are too few.
        fitted: the same on the codes that it comes from.
        counts: without and with the attribute.
        warnings: why it may be no direction.
    """

    vector: Tensor
    distance: float
    accuracy: float | None
    fitted: float
    counts: tuple[int, int]
    warnings: tuple[str, ...]


def attribute(codes: Tensor, positive: Tensor, method: str = "means", seed: int = 0) -> Attribute:
    """Return the direction of an attribute.

    Args:
        codes: float64, shape (n, d).
        positive: bool, shape (n,): those that have it.
        method: one of ``METHODS``.
        seed: of the cut into folds.

    Raises:
        InvalidSpec: a group has fewer than two codes.
        NoDirection: both groups have the same mean code.
    """
    counts = int((~positive).sum()), int(positive.sum())
    if min(counts) < _FEWEST:
        raise InvalidSpec(f"a group of {min(counts)} items is too small for a direction")
    vector = _fit(codes, positive, method)
    distance = float((codes[positive].mean(0) - codes[~positive].mean(0)) @ vector)
    held_out = _held_out(codes, positive, method, seed)
    warnings: tuple[str, ...] = ()
    if held_out is not None and held_out < _TELLING:
        warnings = (f"The direction tells the groups apart in {held_out:.0%} of what was left out only.",)
    return Attribute(vector, distance, held_out, accuracy(codes, positive, vector), counts, warnings)


def _fit(codes: Tensor, positive: Tensor, method: str) -> Tensor:
    return _normal(codes, positive) if method == "separator" else separation(codes, positive)


def _held_out(codes: Tensor, positive: Tensor, method: str, seed: int) -> float | None:
    """Return the mean balanced accuracy over folds, the threshold being taken where it was fitted."""
    folds = min(_FOLDS, int(positive.sum()), int((~positive).sum()))
    if folds < _FEWEST:
        return None
    random, part = np.random.default_rng(seed), torch.zeros(len(codes), dtype=torch.long)
    for group in (positive, ~positive):  # every fold has both
        members = torch.nonzero(group).flatten().numpy()
        part[torch.from_numpy(random.permutation(members))] = torch.arange(len(members)) % folds
    right = []
    for fold in range(folds):
        rest = part != fold
        try:
            vector = _fit(codes[rest], positive[rest], method)
        except (NoDirection, InvalidSpec):
            return None
        middle = (codes[rest & positive].mean(0) + codes[rest & ~positive].mean(0)) @ vector / 2
        said = codes[~rest] @ vector > middle
        truth = positive[~rest]
        right.append((said[truth].double().mean() + (~said[~truth]).double().mean()) / 2)
    return float(torch.stack(right).mean())


def _normal(codes: Tensor, positive: Tensor) -> Tensor:
    """Return the normal of the separating hyperplane in the codes' own units.

    Columns are brought to deviation one, both groups weigh the same, and the offset is not penalised.
    """
    target = positive.to(codes.dtype)
    weights = torch.where(positive, 0.5 / target.sum(), 0.5 / (1 - target).sum())
    centred = codes - weights @ codes
    spread = (weights @ centred.square()).sqrt()
    scale = torch.where(spread > 0, spread, torch.ones_like(spread))
    columns = torch.cat([centred / scale, torch.ones(len(codes), 1, dtype=codes.dtype)], dim=1)
    penalty = torch.full((columns.shape[1],), PENALTY, dtype=codes.dtype)
    penalty[-1] = 1e-9
    plane = _newton(columns, target, weights, penalty)[:-1] / scale
    if not float(plane.norm()) > 0:
        raise NoDirection("No hyperplane tells the groups apart: the attribute has no direction here.")
    return unit(plane[None])[0]


def _newton(columns: Tensor, target: Tensor, weights: Tensor, penalty: Tensor) -> Tensor:
    """Minimise the weighted logistic loss plus ``sum penalty_j w_j^2 / 2``, which is strictly convex."""

    def loss(plane: Tensor) -> float:
        heights = columns @ plane
        losses = torch.logaddexp(heights, torch.zeros_like(heights)) - target * heights
        return float(weights @ losses + penalty @ plane.square() / 2)

    plane = torch.zeros(columns.shape[1], dtype=columns.dtype)
    for _ in range(_STEPS):
        said = torch.sigmoid(columns @ plane)
        slope = columns.T @ (weights * (said - target)) + penalty * plane
        if float(slope.norm()) < _STILL:
            return plane
        curvature = (columns.T * (weights * said * (1 - said))) @ columns + torch.diag(penalty)
        step, length = torch.linalg.solve(curvature, slope), 1.0
        while (
            loss(plane - length * step) > loss(plane) - 1e-4 * length * float(slope @ step) and length > 1e-10
        ):
            length /= 2
        plane = plane - length * step
    return plane
