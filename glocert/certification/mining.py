"""The unit of work of a job ``direction-mining``: a generator in, directions with measures and pictures out.

Entry point for the certification child::

    stages = run(case, MiningSpec.from_json(body), indices, folder, samples=32, block_bytes=2**26)
    # yields the number of the stage that has ended; returns what the job found; the files lie in the folder
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.certification.mining_files import MiningCase, Quarry
from glocert.certification.mining_modes import Ground, Mined, mine
from glocert.certification.mining_sheet import draw
from glocert.certification.mining_spec import MiningSpec
from glocert.errors import NoDirection
from glocert.generators.directions.bases import orthogonal
from glocert.generators.directions.extent import stay
from glocert.generators.directions.found import Found, form_of, leakage_of
from glocert.generators.directions.local import INSIDE, OUTSIDE, localised
from glocert.generators.directions.naming import Likeness, likenesses, name_of, same_sense
from glocert.generators.directions.velocity import known
from glocert.generators.independency import independency
from glocert.generators.jacobian import EVERYWHERE, Mask, around, forms
from glocert.generators.masks import mask_of

FILE = "directions.json"
FORMAT = "glocert-directions/1"
STAGES = 4
"""codes, directions, measures, pictures"""
MANY = frozenset({"global", "local"})
"""modes that find several directions"""
_LOOKED_AT = 8
"""codes at which names and independency are measured"""
_PAIRS = 64
"""codes times directions of the measures of independency, whose cost grows with the square of the latter"""
_FAITHFUL_DB, _INSIDE = 20.0, 0.9
"""Least mean PSNR of codes, and share of codes whose path stays in the prior, without a warning."""
_ALIKE = 3
"""mutations that a direction is said to be like"""
Progress = Generator[int, None, dict[str, Any]]


def finished(stages: Progress) -> dict[str, Any]:
    """Run to the end, telling nobody how far it is; return what it found."""
    while True:
        try:
            next(stages)
        except StopIteration as end:
            return dict(end.value)


def run(
    case: MiningCase,
    spec: MiningSpec,
    indices: Sequence[int],
    out: Path,
    *,
    samples: int,
    block_bytes: int,
) -> Progress:
    """Find directions.

    Args:
        case: the files.
        spec: what is asked for.
        indices: items to look at; none where codes are drawn.
        out: existing folder for the files.
        samples: codes at which slopes are taken.
        block_bytes: what one block of activations may take.

    Yields:
        How many of the ``STAGES`` have ended.

    Returns:
        ``directions`` (vectors and everything that is known of them), ``files``, ``codes``, ``shared``
        measures and ``warnings``.

    Raises:
        NoDirection: the generator has none of the kind.
        InvalidSpec: request, generator and data do not fit.
    """
    random = np.random.default_rng(spec.seed)
    quarry = Quarry(case, block_bytes)
    mask = None if spec.mask is None else mask_of(spec.mask, quarry.decoder.shape)
    codes, told = _codes(quarry, spec, indices, samples, random)
    yield 1
    near = around(codes[:samples], spec.radius, spec.neighbours, random)
    masks = {} if mask is None else {INSIDE: mask, OUTSIDE: ~mask}
    given = torch.tensor(spec.orthogonal_to, dtype=torch.float64).reshape(-1, quarry.decoder.dimension)
    if len(given) >= quarry.decoder.dimension:
        raise NoDirection("The given directions span the whole latent space: nothing is orthogonal to them.")
    ground = Ground(quarry, spec, indices, codes, forms(quarry.decoder, near, masks), given)
    mined = _as_far(spec, _apart(ground, _confined(ground, mine(ground))))
    yield 2
    mined, about = _measured(ground, mined, mask)
    yield 3
    files = draw(quarry, codes, mined, about, out)
    document = _document(ground, mined, about, told)
    (out / FILE).write_text(json.dumps(document, indent=1))
    yield STAGES
    return document | {"files": [FILE, *files]}


def _codes(
    quarry: Quarry, spec: MiningSpec, indices: Sequence[int], samples: int, random: np.random.Generator
) -> tuple[Tensor, dict[str, Any]]:
    """Return codes, and what is said of where they come from."""
    if not quarry.has_items:
        return quarry.drawn(samples, random), {"from": "prior", "count": samples}
    codes, psnr = quarry.codes(quarry.items(indices), spec.steps, spec.seed)
    return codes, {"from": "items", "count": len(codes), "psnr": psnr}


def _confined(ground: Ground, mined: Mined) -> Mined:
    """Project a direction into what leaves the rest of the image as it is, where a mask asks for it."""
    if ground.spec.mask is None or mined.found.leakage is not None:
        return mined
    if ground.spec.mode == "global":
        leaked = leakage_of(ground.seen, INSIDE, OUTSIDE, mined.found.vectors)
        return replace(mined, found=replace(mined.found, leakage=leaked))
    kept = localised(ground.seen, mined.found.vectors[0])
    rows = kept.vector[None]
    found = Found(
        rows,
        form_of(ground.seen.of[INSIDE], rows),
        torch.tensor([kept.leakage], dtype=torch.float64),
        (True,),
    )
    return replace(mined, found=found, measures={**mined.measures, "retention": kept.retention})


def _apart(ground: Ground, mined: Mined) -> Mined:
    """Make the one direction of a mode orthogonal to those that are given; the others are found so."""
    if not len(ground.given) or ground.spec.mode in MANY:
        return mined
    after = orthogonal(torch.cat([ground.given, mined.found.vectors]))
    vectors, turned = after.vectors[-1:], float(after.turned[-1])
    masked = ground.spec.mask is not None
    found = Found(
        vectors,
        form_of(ground.seen.of[INSIDE if masked else EVERYWHERE], vectors),
        leakage_of(ground.seen, INSIDE, OUTSIDE, vectors) if masked else None,
        (True,),
    )
    return replace(mined, found=found, measures={**mined.measures, "turned": turned})


def _as_far(spec: MiningSpec, mined: Mined) -> Mined:
    if spec.extent is None:
        return mined
    return replace(mined, extents=torch.full_like(mined.extents, spec.extent))


def _measured(ground: Ground, mined: Mined, mask: Mask | None) -> tuple[Mined, list[dict[str, Any]]]:
    """Return directions in the sense of their names, and what is known of each as JSON."""
    decoder, codes = ground.quarry.decoder, ground.codes[:_LOOKED_AT]
    alike = likenesses(decoder, codes, mined.found.vectors, known(decoder.shape))
    if ground.spec.mode in MANY:
        turned = [same_sense(v, name_of(a)) for v, a in zip(mined.found.vectors, alike, strict=True)]
        mined = replace(mined, found=replace(mined.found, vectors=torch.stack(turned)))
    few = codes[: max(1, min(_LOOKED_AT, _PAIRS // len(mined.found)))]
    apart = independency(decoder, few, mined.found.vectors, mined.extents, mask)
    about = []
    for place, (vector, extent) in enumerate(zip(mined.found.vectors, mined.extents.tolist(), strict=True)):
        inside = stay(ground.quarry.prior, ground.codes, vector, extent)
        name, scale = _called(ground.spec, mined, alike[place])
        about.append({
            "name": name,
            "scale": scale,
            "identified": mined.found.identified[place],
            "alike": [one.to_json() for one in alike[place][:_ALIKE]],
            "prior": inside.to_json(),
            "independency": apart.of(place),
        })  # fmt: skip
    return mined, about


def _called(spec: MiningSpec, mined: Mined, alike: Sequence[Likeness]) -> tuple[str | None, Any]:
    """Return name and unit of a direction: as asked for, as the mode knows it, or as it turned out to be."""
    if mined.name is not None:
        return spec.name or mined.name, mined.scale
    named = name_of(alike)
    if spec.name is not None:
        return spec.name, None
    if named is None:
        return None, None
    return named.name, {"unit": named.unit, "per_latent": abs(named.per_latent)}


def _document(
    ground: Ground, mined: Mined, about: Sequence[dict[str, Any]], told: dict[str, Any]
) -> dict[str, Any]:
    found, spec = mined.found, ground.spec
    leakage = [None] * len(found) if found.leakage is None else found.leakage.tolist()
    directions = [
        {
            "name": one.pop("name"), "scale": one.pop("scale"), "vector": vector.tolist(), "extent": extent,
            "energy": energy, "leakage": leaked, "preview": one.pop("preview"), "measures": one,
        }
        for one, vector, extent, energy, leaked in zip(
            about, found.vectors, mined.extents.tolist(), found.energies.tolist(), leakage, strict=True
        )
    ]  # fmt: skip
    return {
        "format": FORMAT,
        "mode": spec.mode,
        "prior": ground.quarry.prior.kind,
        "image": list(ground.quarry.decoder.shape),
        "codes": told,
        "directions": directions,
        "shared": dict(mined.measures),
        "warnings": [*mined.warnings, *_doubts(mined, about, told)],
    }


def _doubts(mined: Mined, about: Sequence[dict[str, Any]], told: Mapping[str, Any]) -> list[str]:
    said = []
    if told.get("psnr", _FAITHFUL_DB) < _FAITHFUL_DB:
        said.append(
            f"The generator makes the inputs to {told['psnr']:.1f} dB only: directions at their codes are "
            "those of other images. Train it longer, or on such data."
        )
    outside = [one for one in about if one["prior"]["share_inside"] < _INSIDE]
    if outside:
        said.append(
            f"{len(outside)} of {len(about)} directions leave the prior before their extent, at more than a "
            "tenth of the codes: images there are none that the generator was trained on."
        )
    if mined.found.leakage is not None and float(mined.found.leakage.max()) > 0.1:
        said.append(
            f"Up to {float(mined.found.leakage.max()):.0%} of the change lies outside the mask: such "
            "directions are no local mutations."
        )
    return said
