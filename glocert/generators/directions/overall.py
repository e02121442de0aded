"""Global directions: those that move the image most, wherever in it.

Source: Zhu et al., "Low-Rank Subspaces in GANs", NeurIPS 2021, for taking them from ``J^T J``; here the
eigenvectors themselves are the directions, and the low-rank part of ``J^T J`` is an option.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from glocert.errors import NoDirection
from glocert.generators.directions.eigen import Eigen, eigen
from glocert.generators.directions.found import Found, form_of
from glocert.generators.directions.rpca import rpca

SHARE, FLOOR = 0.99, 1e-6
"""of the energy that directions carry together; and of the largest energy, below which there are none"""


def global_directions(
    form: Tensor, count: int | None = None, *, method: str = "eigen", sparsity: float | None = None
) -> Found:
    """Return orthonormal directions by energy.

    Args:
        form: ``M`` of the whole image, float64, shape (d, d).
        count: how many at most; as many as carry ``SHARE`` of the energy by default.
        method: ``eigen``, or ``rpca`` for the eigenvectors of the low-rank part.
        sparsity: lambda of ``rpca``; ``1 / sqrt(d)`` by default.

    Raises:
        NoDirection: the image does not depend on the code, or the low-rank part is nothing.
        InvalidSpec: the form is not finite, or the decomposition does not converge.
    """
    warnings: tuple[str, ...] = ()
    if method == "rpca":
        split = rpca(form, sparsity)
        decomposed, warnings = eigen(split.low), split.warnings
        rank = split.rank
    else:
        decomposed = eigen(form)
        rank = decomposed.above(FLOOR)
    if rank == 0:
        because = " ".join(warnings) or "The image does not depend on the code."
        raise NoDirection(f"There is no direction. {because}")
    wanted = min(rank, count or decomposed.carrying(SHARE))
    return replace(_first(decomposed, form, wanted), warnings=warnings)


def _first(decomposed: Eigen, form: Tensor, count: int) -> Found:
    vectors = decomposed.vectors[:count]
    identified = decomposed.identified[:count]
    return Found(vectors, form_of(form, vectors), None, identified)
