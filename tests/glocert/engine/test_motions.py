"""Certified motions of real images, sampled densely: nothing contradicts the answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from glocert import engine
from glocert.budget import Budget
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.paths.items import Items
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.request import path
from glocert.spec import Analysis, Mutation, Preprocessing

pytestmark = pytest.mark.shared
CASES = [
    ("mnist_conv_small", "mnist_test", {"type": "rotation", "from": -45.0, "to": 45.0}),
    ("mnist_conv_small", "mnist_test", {"type": "translation", "x": 2.0, "y": -1.0}),
    ("mnist_conv_small", "mnist_test", {"type": "scaling", "from": 0.8, "to": 1.2}),
    ("mnist_conv_small", "mnist_test", {"type": "shear", "from": 0.0, "to": 0.4}),
    ("mnist_conv_small", "mnist_test", {"type": "blur", "sigma": 1.5}),
    (
        "mnist_conv_small",
        "mnist_test",
        {
            "type": "composite",
            "steps": [
                {"type": "rotation", "from": 0.0, "to": 15.0},
                {"type": "brightness", "from": 0.0, "to": 0.1},
                {"type": "blur", "sigma": 0.7},
            ],
        },
    ),
    ("cifar_resnet2b", "cifar10_test", {"type": "rotation", "from": -5.0, "to": 5.0}),
]
SAMPLES = 10_000


@pytest.mark.parametrize(("name", "data", "request_"), CASES, ids=lambda part: str(part)[:40])
def test_no_sample_contradicts_what_is_decided(name, data, request_, shared_data):
    entries = {
        entry["name"]: entry for entry in json.loads((shared_data / "manifest.json").read_text())["models"]
    }
    recipe = entries[name]["preprocess_spec"]
    mean, std = (tuple(map(float, np.atleast_1d(recipe[key]))) for key in ("mean", "std"))
    graph = read_onnx((shared_data / "models" / f"{name}.onnx").read_bytes()).graph
    stored = np.load(shared_data / "datasets" / f"{data}.npz")
    items = Items(stored["images"], graph.input_shape, Preprocessing(mean=mean, std=std))
    network = prepend_preprocessing(graph, items.shape, items.preprocessing)
    moved, label = path(Mutation.from_json(request_), items[1], items=items), int(stored["labels"][1])
    report = engine.certify(
        engine.prepare(network), moved, label, analysis=Analysis.QUANTITATIVE, partition=True,
        budget=Budget.seconds(60),
    )  # fmt: skip
    assert report.robust_mass.upper - report.robust_mass.lower <= 0.001
    ratios = np.sort(np.random.default_rng(0).random(SAMPLES if "mnist" in name else SAMPLES // 10))
    right = np.concatenate([_right(network, moved, part, label) for part in np.array_split(ratios, 40)])
    assert right[ratios <= report.certified_to - 1e-9].all()
    for part in report.partition:
        inside = (ratios > part.start + 1e-9) & (ratios < part.stop - 1e-9)
        assert (right[inside] == (part.label == label)).all()
    assert report.robust_mass.lower - 0.02 <= right.mean() <= report.robust_mass.upper + 0.02


def _right(network, moved, ratios, label):
    images = torch.from_numpy(np.stack([moved.at([t]) for t in ratios]))
    return run(network, images).flatten(1).argmax(1).numpy() == label
