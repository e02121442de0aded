"""Geometric mutations, complete: does convolution help, does depth, does augmentation?

``python -m experiments.study.geometric --data FOLDER``: F1, F2 and F3 on MNIST at 32 x 32 pixels, each
trained as it is and with images that are turned, moved, stretched and slanted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from experiments.study import classifiers
from experiments.study.asking import Classifier, mutated
from experiments.study.digits import Digits, digits
from experiments.study.logs import keep, options
from glocert.spec import Mutation

NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "F1": classifiers.f1,
    "F2": classifiers.f2,
    "F3": classifiers.f3,
}
MUTATIONS = {
    "rotation to 30°": Mutation("rotation", 0.0, 30.0),
    "translation by 3 px": Mutation("translation", 0.0, 3.0, {"x": 3.0, "y": 0.0}),
    "scaling to 1.2": Mutation("scaling", 1.0, 1.2),
    "shear to 0.2": Mutation("shear", 0.0, 0.2),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, ask, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=60, help="test images of each row")
    parser.add_argument("--epochs", type=int, default=8)
    chosen = options(parser, arguments)
    learnt, test = digits(chosen.data / "mnist_train_large.npz"), digits(chosen.data / "mnist_test.npz")
    rows = []
    for name, make in NETWORKS.items():
        for augmented in (False, True):
            title = f"{name}, augmented" if augmented else name
            graph = classifiers.trained(
                f"digits-{name}{'-augmented' if augmented else ''}-{chosen.epochs}",
                lambda make=make: make(10),
                learnt.images,
                learnt.labels,
                folder=chosen.out,
                epochs=chosen.epochs,
                augment=varied if augmented else None,
            )
            rows.append(_row(title, Classifier(graph, classifiers.SHAPE), test, chosen.images))
            print(rows[-1], flush=True)
    keep("geometric", {"images": chosen.images, "epochs": chosen.epochs, "rows": rows})
    return 0


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, move, stretch and slant every image by as much as the study asks about, or less."""
    count = len(images)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle, scale, shear = torch.deg2rad(between(-30, 30)), between(0.8, 1.2), between(-0.2, 0.2)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    shift = 2 * 3 / images.shape[-1]
    rows = [
        torch.stack([cosine, shear * cosine - sine, between(-shift, shift)], dim=1),
        torch.stack([sine, shear * sine + cosine, between(-shift, shift)], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, align_corners=True)


def _row(title: str, classifier: Classifier, test: Digits, count: int) -> dict[str, Any]:
    images: NDArray[np.float32] = test.images.numpy()
    labels = test.labels.numpy()
    return {
        "network": title,
        "relus": _relus(classifier),
        "accuracy": classifier.accuracy(images, labels),
        "mutations": {
            name: mutated(classifier, mutation, images[:count], labels[:count]).to_json()
            for name, mutation in MUTATIONS.items()
        },
    }


def _relus(classifier: Classifier) -> int:
    graph = classifier.graph
    return sum(int(np.prod(graph.shapes[node.output])) for node in graph.nodes if node.operator == "Relu")


if __name__ == "__main__":
    sys.exit(main())
