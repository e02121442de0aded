"""Local directions: those that move a region and leave the rest of the image as it is.

Either the region's energy is maximised inside the subspace that hardly moves the background (``subspace``:
orthonormal directions), or the ratio of both energies is (``ratio``: directions that move the background
independently of each other). Leakage is measured and reported, never assumed to be zero.

Sources: Zhu et al., "Low-Rank Subspaces in GANs", NeurIPS 2021; Zhu et al., "Region-Based Semantic
Factorization in GANs", ICML 2022. Unlike there, directions are found inside the subspace rather than
projected into it afterwards, which would undo their orthogonality, and a background that everything moves
is no error.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.errors import NoDirection
from glocert.generators.directions.eigen import eigen
from glocert.generators.directions.found import Found, form_of, leakage_of, signed, unit
from glocert.generators.jacobian import Forms

INSIDE, OUTSIDE = "inside", "outside"
"""names of the two sets among the forms"""
_REGULAR = 1e-3
"""share of the background's trace that is added to its diagonal, for the ratio"""
LEAST_RETENTION = 0.1


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What counts as leaving the background as it is.

    Attributes:
        quiet: largest share of the background's largest eigenvalue.
        least: dimensions that are taken as quiet even if they are not; a quarter of all at most, and one.
        faint: share of the region's largest eigenvalue below which a direction is dropped.
    """

    quiet: float = 1e-3
    least: int = 5
    faint: float = 1e-3


def local_directions(
    seen: Forms, count: int | None = None, *, method: str = "subspace", tolerance: Tolerance | None = None
) -> Found:
    """Return directions that move ``INSIDE`` and leave ``OUTSIDE``, the most energy inside first.

    Args:
        seen: forms of both sets, averaged over the same codes; a background of no pixels is allowed.
        count: how many at most.
        method: ``subspace`` or ``ratio``.
        tolerance: see there.

    Raises:
        NoDirection: nothing moves the region.
        InvalidSpec: a form is not finite.
    """
    allowed = tolerance or Tolerance()
    largest = float(eigen(seen.of[INSIDE]).values[0])
    if largest <= 0:
        raise NoDirection("No mutation in the region: its pixels do not depend on the code.")
    if method == "ratio":
        vectors, measures = _by_ratio(seen)
        identified = (True,) * len(vectors)
    else:
        vectors, identified, measures = _in_subspace(seen, allowed)
    energies = form_of(seen.of[INSIDE], vectors)
    kept = torch.nonzero(energies >= allowed.faint * largest).flatten()[: count or None]
    if len(kept) == 0:
        raise NoDirection("Whatever moves the region moves the background, too: there is no local mutation.")
    chosen = vectors[kept]
    return Found(
        chosen,
        energies[kept],
        leakage_of(seen, INSIDE, OUTSIDE, chosen),
        tuple(identified[place] for place in kept.tolist()),
        measures | _grams(seen, chosen),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A given direction, made local.

    Attributes:
        vector: of length one, shape (d,).
        retention: share of its length that survived.
        leakage: share of the squared change outside the region, to first order.
    """

    vector: Tensor
    retention: float
    leakage: float


def localised(seen: Forms, vector: Tensor, tolerance: Tolerance | None = None) -> Kept:
    """Project a direction into what leaves the background as it is.

    Args:
        seen: forms of both sets.
        vector: shape (d,), not zero.
        tolerance: see there.

    Raises:
        NoDirection: less than a tenth of it survives.
    """
    basis = quiet_basis(seen.of[OUTSIDE], tolerance or Tolerance())
    projected = basis.T @ (basis @ vector)
    retention = float(projected.norm() / vector.norm())
    if not retention >= LEAST_RETENTION:
        raise NoDirection(
            f"Only {retention:.1%} of the direction leaves the background as it is: it is no local mutation."
        )
    kept = unit(projected[None])
    return Kept(kept[0], retention, float(leakage_of(seen, INSIDE, OUTSIDE, kept)[0]))


def quiet_basis(background: Tensor, tolerance: Tolerance) -> Tensor:
    """Return orthonormal rows that hardly move a background, at least ``tolerance.least`` of them."""
    found = eigen(background)
    quiet = int((found.values <= tolerance.quiet * found.values[0]).sum())
    least = max(1, min(tolerance.least, len(background) // 4))  # of few dimensions five would be all
    return found.vectors[-max(quiet, least) :]


def _in_subspace(seen: Forms, allowed: Tolerance) -> tuple[Tensor, tuple[bool, ...], dict[str, object]]:
    basis = quiet_basis(seen.of[OUTSIDE], allowed)
    within = eigen(basis @ seen.of[INSIDE] @ basis.T)
    return signed(within.vectors @ basis), within.identified, {"quiet_dimensions": len(basis)}


def _by_ratio(seen: Forms) -> tuple[Tensor, dict[str, object]]:
    """Solve ``M_A v = lambda (M_B + r I) v`` ; without a background, that of M_A."""
    background = seen.of[OUTSIDE]
    eye = torch.eye(len(background), dtype=background.dtype)
    trace = float(background.trace())
    regular = background + _REGULAR * trace * eye if trace > 0 else eye
    root = torch.linalg.cholesky(regular)
    half = torch.linalg.solve_triangular(root, seen.of[INSIDE], upper=False)
    found = eigen(torch.linalg.solve_triangular(root, half.T, upper=False))
    vectors = torch.linalg.solve_triangular(root.T, found.vectors.T, upper=True).T
    return signed(unit(vectors)), {"ratios": found.values.tolist()}


def _grams(seen: Forms, vectors: Tensor) -> dict[str, object]:
    """Return how far directions are from orthogonal, in the latent space and for the background."""
    across = vectors @ seen.of[OUTSIDE] @ vectors.T
    return {"gram": (vectors @ vectors.T).tolist(), "background_gram": across.tolist()}
