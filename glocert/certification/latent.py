"""Inputs on their way through a generator: codes, the gates before a certificate, the measures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from glocert.budget import Budget
from glocert.certification.case import LatentCase, Source, Subject
from glocert.certification.confirmation import violates
from glocert.certification.rendering import Rendered
from glocert.certification.runtimes import predictions, scores_in_torch
from glocert.errors import InvalidSpec
from glocert.generators.anchor import Anchor
from glocert.generators.encoding import Encoded, Encoder
from glocert.generators.masks import mask_of
from glocert.generators.measures import Measures, measure
from glocert.generators.prior import Prior
from glocert.graph.compose import composed
from glocert.graph.ir import Graph
from glocert.paths.generated import imaging, picturing
from glocert.paths.items import Float32
from glocert.paths.latent import Move, latent_path
from glocert.paths.path import Path
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.rounded import Rounded
from glocert.paths.segment import Float64
from glocert.spec import Mutation, SegmentSpec, TopK
from glocert.spec_latent import LatentSpec

MEASURED_S = 10.0
"""seconds that following the image of one input for its measures may take, unless the input has fewer"""
_AT_ONCE = 1e-9
"""share of the path that counts as its start"""
_IMAGE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """Where the path of one input begins.

    Attributes:
        encoded: its code.
        path: through vectors, for the network with the generator in front of it.
        images: along it, as the network alone sees them.
        scene: along it, what is mutated of them.
        kept: whether the network says of the code's image what it should say of the input; ``None`` where
            that is no question of labels.
    """

    encoded: Encoded
    path: Path
    images: Rendered
    scene: Rendered
    kept: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return how well the code stands for the input."""
        return {**self.encoded.to_json(), "label_kept": self.kept}


class Generator:
    """The generator of a job: in front of the network, and asked about inputs.

    Args:
        subject: network and data.
        case: generator and encoder.
        spec: what is asked; its mutation is latent, or several such at once.
        device: where measures are followed.

    Raises:
        InvalidSpec: generator, encoder, directions, mask and data do not fit.
        UnsupportedOperators: names every node of the generator that cannot be bounded.
    """

    def __init__(self, subject: Subject, case: LatentCase, spec: SegmentSpec, device: str = "cpu") -> None:
        self._subject, self._case, self._spec, self._device = subject, case, spec, device
        self._mutations = spec.mutation.mutations or (spec.mutation,)
        self._asked = [LatentSpec.from_json(one.options) for one in self._mutations]
        if any(one.shared() != self._asked[0].shared() for one in self._asked):
            raise InvalidSpec("mutations at once share generator, anchor, prior, gates and encoding")
        self._shape = _front_shape(subject.items.shape, paired=spec.paired)
        source = case.generator
        self._picture = picturing(source.read(), self._shape, source.preprocessing)
        for one in self._asked:
            if len(one.direction) != self._dimension:
                detail = f"a direction of {len(one.direction)} numbers, codes have {self._dimension}"
                raise InvalidSpec(detail)
        self._front, _ = imaging(self._picture, self._residual, self._shape if spec.paired else ())

    @cached_property
    def network(self) -> Graph:
        """The certified function: vector -> scores."""
        return composed(self._front, self._subject.network, "images")

    def depart(self, item: Float32, label: int | None) -> Departure:
        """Find the code of an input and the path that begins there.

        Args:
            item: in the image domain; of a pair both images.
            label: that the property is about; ``None`` for a band.

        Raises:
            InvalidSpec: the generator's image is not finite, or the path is not.
        """
        shown, reference = item[: self._shape[0]], item[self._shape[0] :]
        encoded = self._encoder.encode(shown)
        constants = [self._anchor.residual(encoded.code, shown)] if self._residual else []
        if self._spec.paired:
            constants.append(Rounded.exact(reference.astype(np.float64)))
        path = latent_path(encoded.code, self._moves, constants)
        images = Rendered(path, self._front)
        scene = Rendered(path, self._front, self._shape[0])
        return Departure(encoded, path, images, scene, self._kept(encoded, reference, label))

    def refusal(self, departure: Departure) -> str:
        """Return why nothing is certified about an input, and what helps; empty where something is."""
        gates, found = self._asked[0].gates, departure.encoded
        if not found.psnr >= gates.psnr:
            return (
                f"The generator makes this input to {found.psnr:.1f} dB only, {gates.psnr:g} are asked for: "
                "train it on such data, give the encoding more steps, or lower gates.psnr."
            )
        if gates.keep_label and departure.kept is False:
            return (
                "The network says something else of what the generator makes of this input: train the "
                "generator further, or send gates.keep_label false, where the anchor is residual."
            )
        return ""

    def told(self, departure: Departure) -> dict[str, Any]:
        """Return what a row says of its path: the code, how well it stands for its input, the measures."""
        paths = [
            self._about(*pair, departure.encoded.code)
            for pair in zip(self._mutations, self._asked, strict=True)
        ]
        asked = self._asked[0]
        about = {"anchor": asked.anchor, "prior": asked.prior, **departure.to_json()}
        code = {"code": departure.encoded.code.tolist()}
        if len(paths) > 1:
            return {**about, "directions": paths, **code}
        return {**about, **paths[0], **code}

    def _about(self, mutation: Mutation, asked: LatentSpec, code: Float64) -> dict[str, Any]:
        """Return the measures of one direction, all others at their start."""
        path = _move(mutation, asked).from_code(code)
        mask = None if asked.mask is None else mask_of(asked.mask, self._shape)
        seconds = min(MEASURED_S, self._spec.seconds_per_input)
        found = measure(self._picture, path, mask, Budget.seconds(seconds), self._device)
        left = _prior(asked).left_at(path.start, path.stop)
        outside = (
            None if left is None else {"t": left, "value": mutation.value_at(left), "unit": mutation.unit}
        )
        return {
            "out_of_prior": outside,
            "continuity": found.continuity(),
            "independency": found.independency(),
            "warnings": _warnings(found, asked, outside),
        }

    def _kept(self, encoded: Encoded, reference: Float32, label: int | None) -> bool | None:
        if label is None:
            return None
        image = np.concatenate([encoded.image.astype(np.float32), reference])
        return not self._wrong(scores_in_torch(self._subject.network, image[None]), label)

    def _wrong(self, scores: Float32, label: int) -> bool:
        asked = self._spec.property
        if isinstance(asked, TopK):
            return not np.isfinite(scores).all() or violates(scores[0], label, 0.0, asked.k)
        return int(predictions(scores)[0]) != label

    @property
    def _dimension(self) -> int:
        return prod(self._picture.input_shape)

    @property
    def _residual(self) -> bool:
        return self._asked[0].anchor == "residual"

    @property
    def _moves(self) -> list[Move]:
        return [_move(*pair) for pair in zip(self._mutations, self._asked, strict=True)]

    @cached_property
    def _anchor(self) -> Anchor:
        return Anchor(self._picture)

    @cached_property
    def _encoder(self) -> Encoder:
        domain, asked, source = self._subject.items.preprocessing, self._asked[0], self._case.encoder
        proposes = None if source is None else _proposing(source, self._shape, self._dimension)
        bounds = domain.lower, domain.upper
        return Encoder(self._picture, proposes, _prior(asked), bounds, asked.encoding)


def _front_shape(shape: Sequence[int], *, paired: bool) -> tuple[int, ...]:
    """Return the shape of what is mutated."""
    if not paired:
        return tuple(shape)
    if len(shape) != _IMAGE or shape[0] % 2:
        raise InvalidSpec(f"paired: items of shape {tuple(shape)} do not hold two images")
    return (shape[0] // 2, *shape[1:])


def _proposing(source: Source, shape: tuple[int, ...], dimension: int) -> Graph:
    """Return image -> code."""
    encoder = prepend_preprocessing(source.read(), shape, source.preprocessing)
    if prod(encoder.output_shape) != dimension:
        detail = f"the encoder returns {prod(encoder.output_shape)} numbers, the generator takes {dimension}"
        raise InvalidSpec(detail)
    return encoder


def _prior(asked: LatentSpec) -> Prior:
    return Prior(asked.prior, asked.spreads)


def _move(mutation: Mutation, asked: LatentSpec) -> Move:
    return Move(np.array(asked.direction, dtype=np.float64), mutation.start, mutation.stop)


def _warnings(found: Measures, asked: LatentSpec, outside: Mapping[str, Any] | None) -> list[str]:
    """Say where a path is not what a user may take it for."""
    gates, said = asked.gates, []
    if found.jump_index is None:
        return ["The image does not move along the path: the certificate is about one image."]
    if found.jump_index > gates.jump_index:
        said.append(f"The image jumps: it is up to {found.jump_index:.3g} times as fast as on the average.")
    if found.stall > gates.stall:
        said.append(f"The image stands still on {found.stall:.0%} of the path.")
    if found.leakage is not None and found.leakage > gates.leakage:
        said.append(f"{found.leakage:.0%} of the change lies outside the mask.")
    if outside is not None:
        where = "the start" if outside["t"] < _AT_ONCE else f"{outside['value']:.3g} {outside['unit']}"
        said.append(f"From {where} on the codes are none that the generator was trained on.")
    return said
