"""What exactness costs against merging.

``python -m experiments.study.cost --data FOLDER``: paths through the digits' classifiers, exact and merged
into boxes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from math import fsum
from typing import Any

import numpy as np
import torch

from experiments.study import classifiers
from experiments.study.asking import Classifier, asked
from experiments.study.digits import digits
from experiments.study.geometric import NETWORKS
from experiments.study.logs import keep, options
from experiments.study.merging import Setting, merged
from glocert.paths.segment import Segment
from glocert.spec import Analysis

SETTINGS = {
    "merged": Setting(),
    "merged, 1,000 rows at most": Setting(long=200, share=0.1, parts=100, most=1000),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, time, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--paths", type=int, default=5, help="per row")
    parser.add_argument("--epochs", type=int, default=8, help="as in the geometric part")
    chosen = options(parser, arguments)
    learnt, test = digits(chosen.data / "mnist_train_large.npz"), digits(chosen.data / "mnist_test.npz")
    merging = []
    for name, make in NETWORKS.items():
        graph = classifiers.trained(
            f"digits-{name}-{chosen.epochs}",
            lambda make=make: make(10),
            learnt.images,
            learnt.labels,
            folder=chosen.out,
            epochs=chosen.epochs,
        )
        classifier = Classifier(graph, classifiers.SHAPE)
        merging += _compared(name, classifier, test.images.double().numpy()[: chosen.paths + 1], test.labels)
    keep("cost", {"paths": chosen.paths, "merging": merging})
    return 0


def _compared(
    name: str, classifier: Classifier, images: np.ndarray[Any, Any], labels: torch.Tensor
) -> list[dict[str, Any]]:
    """Ask for the robust mass of chords between neighbours, by the engine and by merging."""
    paths = [
        (Segment(images[at], images[at + 1], np.zeros_like(images[at])), int(labels[at]))
        for at in range(len(images) - 1)
    ]
    reports = asked(classifier.program, paths, Analysis.QUANTITATIVE)
    gaps = [report.robust_mass.upper - report.robust_mass.lower for report, _ in reports]
    rows = [_merging_row(name, "this engine, rounding proven", gaps, [seconds for _, seconds in reports], [])]
    for title, setting in SETTINGS.items():
        gaps, seconds, kept = [], [], []
        for (path, label), (report, _) in zip(paths, reports, strict=True):
            start, stop = torch.from_numpy(path.start), torch.from_numpy(path.stop)
            began = time.perf_counter()
            found = merged(classifier.graph, start, stop, label, setting)
            seconds.append(time.perf_counter() - began)
            gaps.append(found.upper - found.lower)
            kept.append(found.rows)
            overlap = min(found.upper, report.robust_mass.upper) - max(found.lower, report.robust_mass.lower)
            if overlap < -1e-9:
                raise AssertionError(f"{name}: {found} and {report.robust_mass} exclude each other")
        rows.append(_merging_row(name, title, gaps, seconds, kept))
    return rows


def _merging_row(
    network: str, method: str, gaps: Sequence[float], seconds: Sequence[float], rows: Sequence[int]
) -> dict[str, Any]:
    return {
        "network": network,
        "method": method,
        "gap": max(0.0, fsum(gaps) / len(gaps)),
        "largest_gap": max(gaps),
        "seconds": float(np.median(seconds)),
        "rows": float(np.median(rows)) if rows else None,
    }


if __name__ == "__main__":
    sys.exit(main())
