"""From an ordinary network to one whose bound is worth something: what a run starts from and learns.

The uploaded function is the start. The radius grows from a hundredth of its target while the weights follow,
so that labels are never unlearned. Where there are no labels, the network's own answers before the first
step stand for them.
"""

from __future__ import annotations

import torch

from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples
from glocert.gloro.trainable import TrainableGraph
from glocert.graph.ir import Graph
from glocert.graph.run import run


def fine_tuning(graph: Graph, seed: int) -> TrainableGraph:
    """Return the network as it starts to learn.

    Args:
        graph: from raw inputs to scores, preprocessing included.
        seed: of the power iterations.

    Raises:
        UnsupportedOperators: a node cannot be trained; all are named.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TrainableGraph(graph)


def own_answers(graph: Graph, images: torch.Tensor) -> Samples:
    """Return unlabelled images with the probabilities that the network gives them.

    Args:
        graph: from raw inputs to scores.
        images: float32, shape (N, *input shape).
    """
    with torch.no_grad():
        scores = torch.cat([run(graph, part) for part in torch.split(images, 256)])
    return Samples(images, torch.softmax(scores, dim=1))


def recipe(epsilon: float, **changes: float | int | str | bool) -> Recipe:
    """Return the recipe that is used unless a user says otherwise.

    Args:
        epsilon: radius to be certified, raw units, l2.
        changes: members of the recipe that are to be others.
    """
    base = Recipe(epsilon=epsilon, overshoot=1.2, ramp=0.6, weight=1.0, epochs=80, batch=128, shift=1)
    return Recipe.from_json(base.to_json() | changes)
