"""The network that says whether two pictures show one person, and how it learns."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.study import classifiers
from experiments.study.habits import RELATIVES
from experiments.study.kept import kept
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.graph.torchscript import read_torchscript

DIFFERENT, SAME = 0, 1
"""What the network answers."""
KINDS = {"same": SAME, "different": DIFFERENT}
BATCH, RATE, BETAS = 64, 2e-4, (0.5, 0.999)
"""As the paper's network learns."""


class Scores(nn.Module):
    """The logit beside a zero: ``SAME`` wins where the sigmoid is above one half."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        last = body[-1]
        assert isinstance(last, nn.Linear)
        both = nn.Linear(last.in_features, 2)
        with torch.no_grad():
            both.weight[DIFFERENT], both.bias[DIFFERENT] = 0.0, 0.0
            both.weight[SAME], both.bias[SAME] = last.weight[0], last.bias[0]
        self.body = nn.Sequential(*body[:-1], both)

    def forward(self, pair: Tensor) -> Tensor:
        """Return scores, shape (N, 2)."""
        scores: Tensor = self.body(pair)
        return scores


def trained(name: str, images: Tensor, *, folder: Path, epochs: int, seed: int = 0) -> Graph:
    """Train the network, or read the one that the same call made before.

    Every picture is an anchor once an epoch, with another picture of the same person and one of somebody
    else, every second time a relative: the loss is the cross-entropy of both, as in the paper.

    Args:
        name: of its file.
        images: float32, shape (people, looks, 3, H, W), in [0, 1]; at least two of both.
        folder: where it is kept.
        epochs: over all pictures.
        seed: of weights and order.

    Returns:
        Pairs, shape (N, 6, H, W), to scores of ``DIFFERENT`` and ``SAME``.
    """

    def graph() -> bytes:
        module = Scores(_learn(images, epochs, seed)).eval()
        pair = torch.cat([images[0, :1], images[0, 1:2]], 1)
        stream = io.BytesIO()
        torch.jit.save(torch.jit.trace(module, pair), stream)
        imported, _ = read_torchscript(stream.getvalue(), input_shape=tuple(pair.shape[1:]))
        return as_classifier(imported.graph).to_bytes()

    return Graph.from_bytes(kept(folder / f"{name}.safetensors", graph))


def partners(person: Tensor, look: Tensor, people: int, looks: int, draw: torch.Generator) -> Tensor:
    """Return for every picture another one of the same person, and one of a relative or of anybody else.

    Args:
        person: int64, shape (N,).
        look: of this person, likewise.
        people: how many there are, whole families.
        looks: how many pictures each has.
        draw: random numbers.

    Returns:
        int64, shape (2, 2, N): same and different; person and look.
    """
    count = len(person)

    def upto(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (count,), generator=draw)

    anybody = (person + upto(1, people)) % people
    member = person % RELATIVES
    relative = person - member + (member + upto(1, RELATIVES)) % RELATIVES
    somebody = torch.where(upto(0, 2) == 0, anybody, relative)
    other = (look + upto(1, looks)) % looks
    return torch.stack([torch.stack([person, other]), torch.stack([somebody, upto(0, looks)])])


def accuracy(network: Graph, pairs: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the share of pairs, shape (N, 6, H, W), that are answered rightly, of either kind."""
    with torch.no_grad():
        right = (run(network, pairs).argmax(1) == truth).double()
    return {name: float(right[truth == kind].mean()) for name, kind in KINDS.items()}


def _learn(images: Tensor, epochs: int, seed: int) -> nn.Sequential:
    people, looks = images.shape[:2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = classifiers.comparing()
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(body.parameters(), lr=RATE, betas=BETAS)
    for _ in range(epochs):
        for chosen in torch.randperm(people * looks, generator=draw).split(BATCH):
            person, look = chosen // looks, chosen % looks
            same, different = partners(person, look, people, looks, draw)
            anchors = images[person, look]
            pairs = torch.cat([torch.cat([anchors, images[who[0], who[1]]], 1) for who in (same, different)])
            logits = body(pairs).flatten()
            truth = (torch.arange(len(pairs)) < len(anchors)).float()
            loss = functional.binary_cross_entropy_with_logits(logits, truth)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    return body
