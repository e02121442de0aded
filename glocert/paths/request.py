"""The path that a request asks for, of any type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from glocert.errors import InvalidSpec
from glocert.paths.blur import Blur
from glocert.paths.chain import Chain
from glocert.paths.items import Float32, Items
from glocert.paths.layered import Layered
from glocert.paths.motions import Joined, Motion, Rotation, Scaling, Shear, Translation
from glocert.paths.mutations import MUTATIONS, layer_from, segment_from
from glocert.paths.path import Path
from glocert.paths.rounded import Rounded
from glocert.paths.warp import Warp
from glocert.spec import NEUTRAL, Mutation

COMPOSITE, BOX, LATENT = "composite", "box", "latent"
_AT_ONCE = (2, 3)


def _translation(request: Mutation) -> Motion:
    return Translation((0.0, 0.0), (float(request.options["x"]), float(request.options["y"])))


MOTIONS: dict[str, Callable[[Mutation], Motion]] = {
    "rotation": lambda request: Rotation(request.start, request.stop),
    "scaling": lambda request: Scaling(request.start, request.stop),
    "shear": lambda request: Shear(request.start, request.stop),
    "translation": _translation,
}
"""Mutation type -> how it moves the plane."""

TYPES = frozenset({*MUTATIONS, *MOTIONS, "blur", LATENT, COMPOSITE, BOX})
"""Every type of mutation."""


def path(request: Mutation, item: Float32, *, items: Items) -> Path:
    """Return the path of one item, before the clamp; that of a ``box`` has a parameter per mutation.

    Args:
        request: type, parameter at both ends, options.
        item: float32, image domain: exact by definition.
        items: the data set, for mutations that mix two items.

    Raises:
        InvalidSpec: the type is unknown, does not suit the items, or the path is not finite; a step of a
            composite does not start where the one before ends.
    """
    if request.type == BOX:
        return box(request.mutations, item, items=items)
    start = Rounded.exact(item.astype(np.float64))
    if request.type != COMPOSITE:
        return _step(request, items, start)
    steps = request.steps
    for at, step in enumerate(steps[1:], 1):
        if step.start != NEUTRAL.get(step.type, 0.0):
            raise InvalidSpec(f"step {at} does not start at the image that step {at - 1} ends with")
    domain = items.preprocessing.lower, items.preprocessing.upper
    return Chain.of(start, [partial(_step, step, items) for step in steps], domain)


def box(requests: Sequence[Mutation], item: Float32, *, items: Items) -> Layered:
    """Return the path of several mutations at once: parameter j of the result is that of mutation j.

    Motions of the plane come first, as one motion of the unchanged item in their order, and the item is
    resampled once; a blur comes first where there is no motion. Everything else follows in its order.
    Nothing is clamped in between.

    Args:
        requests: two or three.
        item: float32, image domain: exact by definition.
        items: the data set, for mutations that mix two items.

    Raises:
        InvalidSpec: see ``path``; or there are not two or three mutations, or a composite, two blurs, or a
            blur besides a motion are among them.
    """
    if len(requests) not in _AT_ONCE:
        raise InvalidSpec(f"two or three mutations at once are possible, not {len(requests)}")
    kinds = [request.type for request in requests]
    moving = [at for at, kind in enumerate(kinds) if kind in MOTIONS]
    blurring = [at for at, kind in enumerate(kinds) if kind == "blur"]
    if COMPOSITE in kinds or len(blurring) > 1 or (moving and blurring):
        raise InvalidSpec(
            "no composite, and at most one of motions and one blur, can be had at once with others"
        )
    first = moving or blurring or [0]
    rest = [at for at in range(len(requests)) if at not in first]
    layers = tuple(layer_from(requests[at], item.shape, items=items) for at in rest)
    start = Rounded.exact(item.astype(np.float64))
    base: Path = _step(requests[first[0]], items, start)
    if moving:
        for at in moving:
            _check_factors(requests[at])
        motions = tuple(MOTIONS[requests[at].type](requests[at]) for at in moving)
        base = Warp(start.value, start.radius, Joined(motions))
    return Layered(base, layers, (*first, *rest))


def _step(request: Mutation, items: Items, start: Rounded) -> Path:
    if request.type in MOTIONS:
        _check_factors(request)
        return Warp(start.value, start.radius, MOTIONS[request.type](request))
    if request.type == "blur":
        return Blur(start.value, start.radius, request.start, request.stop)
    if request.type == LATENT:
        raise InvalidSpec("a latent mutation goes through a generator, and is no step of others")
    if request.type not in MUTATIONS:
        raise InvalidSpec(f"no mutation {request.type!r}; there are {', '.join(sorted(TYPES))}")
    return segment_from(request, start, items=items)


def _check_factors(request: Mutation) -> None:
    if request.type == "scaling" and min(request.start, request.stop) <= 0:
        raise InvalidSpec("a picture can be scaled by factors above 0 only")
