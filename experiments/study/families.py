"""Which mutations break networks most: geometric, weather, style, local; proven, side by side.

``python -m experiments.study.families --data FOLDER --models FOLDER``: networks of CIFAR-10, and pictures
that they get right. Each path is asked about twice: to its own end, and cut where the picture has changed by
``DISTANCE``, so that no family wins by a longer path.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.images import samples
from experiments.study import classifiers
from experiments.study.asking import PLAIN, Outcome, asked
from experiments.study.contenders import SHAPE, contenders
from experiments.study.kinds import Kind, Picture
from experiments.study.logs import keep, options
from glocert.engine import Program, prepare
from glocert.generators.quality import psnr, ssim
from glocert.gloro.samples import Samples
from glocert.graph.compose import composed
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.pictures import rows
from glocert.report import SegmentReport
from glocert.spec import Analysis, Preprocessing

DISTANCE = 0.1 * float(np.sqrt(np.prod(SHAPE)))
"""Length of a change of 0.1 in the root of the mean square of all numbers: 20 dB."""
GAP, SECONDS = 1e-3, 120.0
"""Of the robust mass; and for one path."""
_MEAN = (0.4914, 0.4822, 0.4465)
NETWORKS: Mapping[str, Preprocessing] = {
    "cifar_conv_small_pgd": Preprocessing(mean=_MEAN, std=(0.2023, 0.1994, 0.201)),
}
"""Networks that others trained, against attacks -> how they take their pictures."""
OWN = "F2, trained here"
SHOWN = 1
"""Number of the picture that is shown along every path."""
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "families.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, ask, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of the ONNX files")
    parser.add_argument("--images", type=int, default=20, help="pictures of each row")
    parser.add_argument("--epochs", type=int, default=6, help="of each generator")
    chosen = options(parser, arguments)
    learnt = samples(chosen.data / "cifar10_train_5k.npz")
    test = samples(chosen.data / "cifar10_test.npz")
    networks = dict(_networks(learnt, chosen))
    right = {name: _right(graph, test)[: chosen.images] for name, graph in networks.items()}
    said = {
        "images": chosen.images, "epochs": chosen.epochs, "distance": DISTANCE, "gap": GAP,
        "accuracy": {name: _accuracy(graph, test) for name, graph in networks.items()},
    }  # fmt: skip
    found, strips = [], []
    for kind in contenders(learnt.images, chosen.out, chosen.epochs):
        found.append(_row(kind, networks, right, test))
        strips.append(_strip(kind, test.images[SHOWN].numpy()))
        keep("families", {**said, "rows": found})
        rows(strips).save(PICTURE)
    return 0


def _networks(learnt: Samples, chosen: argparse.Namespace) -> Iterator[tuple[str, Graph]]:
    """Yield networks of pictures in [0, 1]."""
    for name, preprocessing in NETWORKS.items():
        graph = read_onnx((chosen.models / f"{name}.onnx").read_bytes()).graph
        yield name, prepend_preprocessing(graph, SHAPE, preprocessing)
    own = classifiers.trained(
        "families-f2",
        lambda: classifiers.f2(10, 3),
        learnt.images,
        learnt.labels,
        folder=chosen.out,
        epochs=8,
    )
    yield OWN, prepend_preprocessing(own, SHAPE, PLAIN)


def _predictions(graph: Graph, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return run(graph, images).argmax(1)


def _right(graph: Graph, test: Samples) -> list[int]:
    return torch.nonzero(_predictions(graph, test.images) == test.labels).flatten().tolist()


def _accuracy(graph: Graph, test: Samples) -> float:
    return float((_predictions(graph, test.images) == test.labels).double().mean())


def _row(
    kind: Kind, networks: Mapping[str, Graph], right: Mapping[str, Sequence[int]], test: Samples
) -> dict[str, Any]:
    images = test.images.numpy()
    row: dict[str, Any] = {"family": kind.family, "title": kind.title}
    row["strength"] = strength(kind, [images[at] for at in sorted(set().union(*right.values()))])
    row["networks"] = {
        name: _asked(kind, graph, [(images[at], int(test.labels[at])) for at in right[name]])
        for name, graph in networks.items()
    }
    print(row, flush=True)
    return row


def _asked(kind: Kind, graph: Graph, cases: Sequence[tuple[Picture, int]]) -> dict[str, Any]:
    """Ask about whole paths and about those that are cut; what ends before the cut is asked about once."""
    program = prepare(graph if kind.front is None else composed(kind.front, graph))
    whole = _answers(program, [(kind.road(image, 1.0), label) for image, label in cases])
    cuts = {at: kind.share_at(image, DISTANCE) for at, (image, _) in enumerate(cases)}
    places = [at for at, share in cuts.items() if share is not None]
    shorter = _answers(program, [(kind.road(cases[at][0], cuts[at] or 0.0), cases[at][1]) for at in places])
    equal = {**dict(enumerate(whole)), **dict(zip(places, shorter, strict=True))}
    return {
        "own": _outcome(whole),
        "equal": _outcome([equal[at] for at in range(len(cases))]),
        "far_enough": len(places),
    }


def _answers(program: Program, paths: Sequence[tuple[Any, int]]) -> list[tuple[SegmentReport, float]]:
    return asked(program, paths, Analysis.QUANTITATIVE, GAP, SECONDS)


def _outcome(answers: Sequence[tuple[SegmentReport, float]]) -> dict[str, Any]:
    masses = [report.robust_mass for report, _ in answers]
    return {**Outcome.of(answers).to_json(), "largest_gap": max(one.upper - one.lower for one in masses)}


def strength(kind: Kind, images: Sequence[Picture]) -> dict[str, float]:
    """Return how far the far ends are from the pictures: means of the Euclidean length, PSNR and SSIM.

    Of a style network also how far both are from what it was to learn.
    """
    ends = torch.from_numpy(np.stack([kind.changed(image, 1.0) for image in images]))
    starts = torch.from_numpy(np.stack(images)).double()
    learnt = {}
    if kind.target is not None:
        wanted = kind.target(starts.float()).double()
        learnt = {
            "picture_to_target": float(psnr(starts, wanted).mean()),
            "end_to_target": float(psnr(ends, wanted).mean()),
        }
    return {
        "length": float((ends - starts).flatten(1).norm(dim=1).mean()),
        "psnr": float(psnr(ends, starts).mean()),
        "ssim": float(ssim(ends, starts).mean()),
        **learnt,
    }


def _strip(kind: Kind, image: Picture) -> tuple[str, list[Any]]:
    """Return one picture along a kind, to its own end, under its title."""
    shares = np.linspace(0, 1, 9)
    return f"{kind.family}: {kind.title}", [kind.changed(image, float(share)) for share in shares]


if __name__ == "__main__":
    sys.exit(main())
