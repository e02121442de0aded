"""Real networks: the curve against an ordinary run, and numbers that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.graph.onnx import read_onnx
from glocert.graph.run import run as execute
from glocert.paths.segment import Segment
from glocert.segments import certify, trace
from glocert.spec import Verdict

pytestmark = pytest.mark.shared
NETWORKS = [
    "acasxu_1_1",
    "cifar_conv_small_pgd",
    "cifar_resnet2b",
    "mnist_avgpool",
    "mnist_conv_small",
    "mnist_fc_256x6",
    "mnist_keras_nhwc",
    "mnist_lenet_maxpool",
    "nn4sys_lindex",
    "test_small",
]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_curve_of_a_real_network_is_an_ordinary_run_everywhere(name, shared_data):
    graph = read_onnx((shared_data / "models" / f"{name}.onnx").read_bytes()).graph
    rng = np.random.default_rng(0)
    start = rng.random(graph.input_shape)
    segment = Segment(start, start + 0.02 * rng.random(start.shape), np.zeros_like(start))
    curve = trace(graph, segment)
    t = np.sort(np.concatenate([rng.random(150), curve.t[:: max(1, len(curve.t) // 50)]]))
    points = start + t.reshape(-1, *[1] * start.ndim) * (segment.stop - start)
    scores = execute(graph, torch.from_numpy(points)).flatten(1).numpy()
    scale = np.abs(scores).max()
    assert np.abs(scores - curve.at(t)).max() <= 1e-11 * scale
    assert curve.radius.max() <= 1e-6 * scale
    if len(curve.radius) > 1:
        report = certify(graph, segment, int(scores[0].argmax()), partition=True)
        changed = bool((scores.argmax(axis=1) != scores[0].argmax()).any())
        assert report.verdict in ({Verdict.FALSIFIED} if changed else {Verdict.CERTIFIED, Verdict.FALSIFIED})
        assert report.pieces == curve.pieces
