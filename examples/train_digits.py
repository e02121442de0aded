"""Train the small digit classifier that the demo certifies, and write it as ONNX and as TorchScript.

``python -m examples.train_digits [FOLDER]`` from the repository's root writes ``digits.onnx``,
``digits.torchscript.pt`` and ``digits.npz`` (60 digits that the training has not seen) into
``examples/digits``.

A second run writes the same bytes. Seeds and one thread make it so on one machine; on another one the last
bits of a sum may differ, so the training runs in float64 and the weights are rounded to multiples of 2**-12
before they are stored as float32: differences of the last bits almost never survive that.
"""

from __future__ import annotations

import io
import sys
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from glocert.graph.export import to_onnx
from glocert.graph.ir import Attribute, Graph, Node

HELD_BACK, SHIPPED = 360, 60
EPOCHS, BATCH, RATE, SEED = 40, 64, 0.01, 20
_GRID = 4096


@dataclass(frozen=True, slots=True)
class Digits:
    """Images uint8 ``(n, 8, 8)`` in 0..255, labels int64 ``(n,)``; the first ``HELD_BACK`` test it."""

    images: Tensor
    labels: Tensor


def classifier() -> nn.Sequential:
    """Return an untrained network: 1 x 8 x 8 pixels in [0, 1] to ten scores."""
    layers = OrderedDict(
        conv1=nn.Conv2d(1, 8, 3, padding=1),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(8, 16, 3, stride=2, padding=1),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        fc1=nn.Linear(256, 32),
        relu3=nn.ReLU(),
        fc2=nn.Linear(32, 10),
    )
    return nn.Sequential(layers)


def digits() -> Digits:
    """Return scikit-learn's 1,797 digits in a fixed random order, their 17 levels spread over 0..255."""
    bundled = load_digits()
    order = np.argsort(np.random.PCG64(SEED).random_raw(len(bundled.target)), kind="stable")
    levels = np.rint(bundled.images[order] * (255 / 16)).astype(np.uint8)
    return Digits(torch.from_numpy(levels), torch.from_numpy(bundled.target[order].astype(np.int64)))


def pixels(images: Tensor) -> Tensor:
    """Return uint8 images as the network sees them: float32 in [0, 1], with a channel axis."""
    return (images.to(torch.float32) / 255)[:, None]


def train(data: Digits) -> nn.Sequential:
    """Train on everything that is not held back; the same weights every time."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    network = classifier().double()
    images, labels = pixels(data.images[HELD_BACK:]).double(), data.labels[HELD_BACK:]
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimiser.step()
        schedule.step()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_((weight * _GRID).round() / _GRID)
    return network.float().eval()


def accuracy(network: nn.Sequential, data: Digits) -> float:
    """Return the share of held-back digits that the network gets right."""
    with torch.no_grad():
        found = network(pixels(data.images[:HELD_BACK])).argmax(dim=1)
    return float((found == data.labels[:HELD_BACK]).double().mean())


def graph(network: nn.Sequential) -> Graph:
    """Write the classifier down as a graph of canonical operators."""
    conv: dict[str, Attribute] = {"dilations": (1, 1), "group": 1, "pads": (1, 1, 1, 1)}
    layers: list[tuple[str, str, tuple[int, ...], dict[str, Attribute]]] = [
        ("conv1", "Conv", (8, 8, 8), {**conv, "strides": (1, 1)}),
        ("relu1", "Relu", (8, 8, 8), {}),
        ("conv2", "Conv", (16, 4, 4), {**conv, "strides": (2, 2)}),
        ("relu2", "Relu", (16, 4, 4), {}),
        ("flatten", "Reshape", (256,), {"shape": (256,)}),
        ("fc1", "Gemm", (32,), {}),
        ("relu3", "Relu", (32,), {}),
        ("fc2", "Gemm", (10,), {}),
    ]
    parameters = {name: weight.detach().numpy() for name, weight in network.named_parameters()}
    nodes, last = [], "pixels"
    for name, operator, _, attributes in layers:
        weights = [f"{name}.{part}" for part in ("weight", "bias") if f"{name}.{part}" in parameters]
        nodes.append(Node(name, operator, (last, *weights), name, attributes, operator))
        last = name
    shapes = {"pixels": (1, 8, 8), **{name: shape for name, _, shape, _ in layers}}
    return Graph("pixels", last, tuple(nodes), parameters, shapes)


def torchscript(network: nn.Sequential) -> bytes:
    """Return the traced network without its debug records, which name files of the machine."""
    buffer, example = io.BytesIO(), torch.zeros(1, 1, 8, 8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\.", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network, example), buffer)
    written = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(written, "w") as target:
        for member in source.infolist():
            if not member.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(member.filename), source.read(member))
    return written.getvalue()


def write(folder: Path) -> float:
    """Train, write the three files and return the accuracy on the held-back digits."""
    data = digits()
    network = train(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits.onnx").write_bytes(to_onnx(graph(network)))
    (folder / "digits.torchscript.pt").write_bytes(torchscript(network))
    np.savez_compressed(
        folder / "digits.npz", images=data.images[:SHIPPED].numpy(), labels=data.labels[:SHIPPED].numpy()
    )
    return accuracy(network, data)


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "digits"
    print(f"{write(where):.1%} of {HELD_BACK} held-back digits right; files in {where}")
