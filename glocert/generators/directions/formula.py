"""The direction that does what a mutation with a formula does, as far as the generator can.

With e the velocity of the image under the mutation, the direction minimises ``|J v - e|^2 + k |v|^2``
summed over codes; what it explains of e is reported. The length of the minimiser is how far one unit of the
mutation is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.errors import NoDirection
from glocert.generators.decoder import Decoder
from glocert.generators.directions.found import unit
from glocert.generators.directions.velocity import Motion
from glocert.generators.jacobian import jacobians

DAMPING = 1e-6
"""k, as a share of the mean eigenvalue of the sum of J^T J"""
NOTHING = 0.05
"""share that is explained where every code has a direction of its own, below which there is none"""
ENOUGH = 0.5
"""explained share below which the generator does not contain the mutation"""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The direction of a mutation.

    Attributes:
        vector: of length one, shape (d,).
        per_latent: units of the mutation that one latent unit along it is, to first order.
        explained: share of the image's velocity that it makes, squared and summed over codes; 1 is all.
        explained_apart: the same where every code has a direction of its own.
        cosine: of the image's change with the velocity, over all codes.
        warnings: what the user should know.
    """

    vector: Tensor
    per_latent: float
    explained: float
    explained_apart: float
    cosine: float
    warnings: tuple[str, ...]


def matched(decoder: Decoder, codes: Tensor, motion: Motion) -> Matched:
    """Return the direction of a mutation at some codes.

    Args:
        decoder: the generator; its images suit the mutation.
        codes: float64, shape (n, d).
        motion: the mutation.

    Raises:
        NoDirection: the mutation does not change the images, or no step of the code changes them likewise.
        InvalidSpec: the mutation does not suit the images, or the generator is not finite.
    """
    velocity = motion.velocity(decoder.images(codes)).flatten(1)
    size = decoder.dimension
    form, right = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    total, apart = float(velocity.square().sum()), 0.0
    if total == 0.0:
        raise NoDirection(f"The images do not change under {motion.name}.")
    for slopes, wanted in zip(jacobians(decoder, codes), velocity, strict=True):
        own, pull = slopes @ slopes.T, slopes @ wanted
        form, right = form + own, right + pull
        apart += _gained(own, pull, _solved(own, pull))
    step = _solved(form, right)
    gained = _gained(form, right, step)
    if not float(step.norm()) > 0 or gained <= 0:
        raise NoDirection(f"No step of the code changes the images as {motion.name} does.")
    if apart / total < NOTHING:
        raise NoDirection(
            f"Steps of the code make {apart / total:.1%} of {motion.name}: the generator does not contain "
            "it. Train it on data that is augmented by this mutation."
        )
    explained = gained / total
    change = float((step @ form @ step).sqrt())
    cosine = float(step @ right) / max(change * total**0.5, 1e-300)
    return Matched(
        unit(step[None])[0], 1.0 / float(step.norm()), explained, apart / total, cosine,
        _doubts(motion, explained, apart / total),
    )  # fmt: skip


def _solved(form: Tensor, right: Tensor) -> Tensor:
    """Return the damped solution; zero where nothing moves."""
    trace = float(form.trace())
    if trace <= 0:
        return torch.zeros_like(right)
    damped = form + DAMPING * trace / len(form) * torch.eye(len(form), dtype=form.dtype)
    return torch.cholesky_solve(right[:, None], torch.linalg.cholesky(damped))[:, 0]


def _gained(form: Tensor, right: Tensor, step: Tensor) -> float:
    """Return by how much ``|J v - e|^2`` is below ``|e|^2``."""
    return float(2 * step @ right - step @ form @ step)


def _doubts(motion: Motion, explained: float, apart: float) -> tuple[str, ...]:
    if explained >= ENOUGH:
        return ()
    if apart >= ENOUGH:
        return (
            f"{motion.name} goes another way at every code ({apart:.0%} explained apart, {explained:.0%} by "
            "one direction): a direction of one input is of more use.",
        )
    return (
        f"The direction makes {explained:.0%} of {motion.name}: the generator does not contain it. Train it "
        "on data that is augmented by this mutation.",
    )
