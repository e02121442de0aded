"""Face recognition under orientation, hair, eyes and nose, quantitative; the form of GCert's own table.

``python -m experiments.study.recognition``: faces that are drawn stand in for photographs. A network compares
two pictures; one of them is mutated, the other stays. Networks and generators are trained on other people
than the tables are about.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.study import comparing, portraits, strips
from experiments.study.attributes import ATTRIBUTES, PAIRS, Attribute, Sample, chords, mined, quality
from experiments.study.generators import Generator
from experiments.study.habits import Known, tensors
from experiments.study.logs import keep, options
from experiments.study.verification import Anchors, certified, paired
from glocert.graph.ir import Graph

PEOPLE, LOOKS, STRANGERS, OTHERS = 500, 12, 500, 16
"""The network learns from ``PEOPLE`` with ``LOOKS`` pictures each; its accuracy is that on ``STRANGERS``.
Ways to an attribute are measured on ``OTHERS``."""
PUBLISHED = {"orientation": (97.6, 100.0), "hair": (95.0, 98.1), "eyes": (60.3, 69.7), "nose": (90.3, 95.2)}
"""Lower and upper mean bounds of the paper, percent, on photographs and with other networks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, ask, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", type=int, default=4000, help="for the generators")
    parser.add_argument("--epochs", type=int, default=20, help="of the network")
    parser.add_argument("--images", type=int, default=40, help="anchors of each row; two pairs of each")
    chosen = options(parser, arguments, data=False)
    network, right = _network(chosen.epochs, chosen.out)
    anchors = Anchors.drawn(chosen.images, np.random.default_rng(2))
    rows, independency, generators = [], [], []
    for name in portraits.RECIPES:
        generator = portraits.trained(name, chosen.faces, chosen.out)
        generators.append({"generator": name, "psnr": generator.log[-1]["psnr"]})
        for attribute in ATTRIBUTES:
            found = _independent(generator, attribute)
            independency += [{"generator": name, **row} for row in found]
            print(found, flush=True)
    for attribute in ATTRIBUTES:
        rows.append(_row(generator, network, attribute, anchors))
        print(rows[-1], flush=True)
    strips.draw(generator, anchors)
    keep(
        "recognition",
        {
            "people": PEOPLE, "looks": LOOKS, "faces": chosen.faces, "epochs": chosen.epochs, "right": right,
            "generators": generators, "rows": rows, "independency": independency,
        },
    )  # fmt: skip
    return 0


def _network(epochs: int, folder: Path) -> tuple[Graph, dict[str, float]]:
    """Return the network that compares, and the shares of strangers' pairs that it gets right."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(PEOPLE), LOOKS)
    known = Known.drawn(PEOPLE, rng)
    images = tensors(known.people[who], known.looks(who, rng)).unflatten(0, (PEOPLE, LOOKS))
    network = comparing.trained(f"comparing-{PEOPLE}-{LOOKS}-{epochs}", images, folder=folder, epochs=epochs)
    pairs = paired(Anchors.drawn(STRANGERS, rng))
    return network, comparing.accuracy(network, pairs.images, pairs.truth)


def _independent(generator: Generator, attribute: Attribute) -> list[dict[str, Any]]:
    """Measure every way to an attribute on faces that it was not made from."""
    rng = np.random.default_rng(3)
    seen, others = (Sample.drawn(attribute, count, rng) for count in (PAIRS, OTHERS))
    found, mask = mined(generator, attribute, seen), seen.mask() if attribute.local else None
    codes = generator.codes(others.low)
    numbers = {"attribute": attribute.name, "cosine": found.cosine, "retention": found.retention}
    ends = {name: codes + way.extent * torch.from_numpy(way.vector) for name, way in found.ways.items()}
    ends["own"] = generator.codes(others.high)
    return [numbers | {"way": name, **quality(generator, others, stop, mask)} for name, stop in ends.items()]


def _row(generator: Generator, network: Graph, attribute: Attribute, anchors: Anchors) -> dict[str, Any]:
    """Certify the paths of one attribute."""
    start, stop = chords(generator, anchors.images, anchors.mutated(attribute))
    mask = Sample.drawn(attribute, PAIRS, np.random.default_rng(3)).mask() if attribute.local else None
    found = certified(generator, network, paired(anchors), start, stop, mask)
    return {"attribute": attribute.name, "published": PUBLISHED.get(attribute.name), **found}


if __name__ == "__main__":
    sys.exit(main())
