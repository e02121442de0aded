"""The classifiers that the study looks at, and how they learn."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.study.kept import kept
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph
from glocert.graph.torchscript import read_torchscript

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
SHAPE = (1, 32, 32)


def f1(classes: int) -> nn.Module:
    """Fully connected: 20 ReLUs."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(1024, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, classes)
    )


def f2(classes: int, channels: int = 1) -> nn.Module:
    """Two convolutions: 4,608 ReLUs."""
    return nn.Sequential(
        *_block(channels, 16, 4, 2, 1), *_block(16, 32, 4, 4, 0), nn.Flatten(), nn.Linear(512, classes)
    )


def f3(classes: int) -> nn.Module:
    """Four convolutions: 7,188 ReLUs."""
    return nn.Sequential(
        *_block(1, 16, 4, 2, 1), *_block(16, 32, 4, 2, 1), *_block(32, 64, 4, 2, 1), *_block(64, 10, 4, 1, 0),
        nn.Flatten(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, classes),
    )  # fmt: skip


def comparing() -> nn.Sequential:
    """The face network at 32 pixels: two pictures, one behind the other, to one logit."""
    return nn.Sequential(
        *_block(6, 16, 4, 2, 1), *_block(16, 32, 4, 2, 1), *_block(32, 64, 4, 2, 1),
        *_block(64, 100, 4, 1, 0), nn.Flatten(), nn.Linear(100, 1),
    )  # fmt: skip


def _block(inputs: int, outputs: int, kernel: int, stride: int, pad: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU()


def trained(
    name: str,
    make: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    *,
    folder: Path,
    epochs: int,
    seed: int = 0,
    augment: Augmentation | None = None,
) -> Graph:
    """Train a classifier, or read the one that the same call made before.

    Args:
        name: of its file.
        make: a new module of random weights.
        images: float32, shape (N, C, H, W), in [0, 1].
        labels: int64, shape (N,).
        folder: where it is kept.
        epochs: over all images, batches of 64, Adam with one cycle of the learning rate.
        seed: of weights, order and augmentation.
        augment: changes a batch of images.
    """

    def graph() -> bytes:
        module = _learn(make, images, labels, epochs, seed, augment).eval()
        stream = io.BytesIO()
        torch.jit.save(torch.jit.trace(module, images[:1]), stream)
        imported, _ = read_torchscript(stream.getvalue(), input_shape=tuple(images.shape[1:]))
        return as_classifier(imported.graph).to_bytes()

    return Graph.from_bytes(kept(folder / f"{name}.safetensors", graph))


def _learn(
    make: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    epochs: int,
    seed: int,
    augment: Augmentation | None,
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = make()
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
    steps = epochs * (len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)[: len(images) // 64 * 64]
        for chosen in order.view(-1, 64):
            batch = images[chosen] if augment is None else augment(images[chosen], generator)
            loss = functional.cross_entropy(module(batch), labels[chosen])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return module
