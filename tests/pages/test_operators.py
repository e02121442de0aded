"""The page of operators, and what the ONNX standard's own test cases say about the importer."""

from __future__ import annotations

import numpy as np
import torch

from glocert.errors import GlocertError
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from pages import operators, samples
from pages.__main__ import PAGES, ROOT

OTHERWISE = {
    "test_l2normalization_axis_0": "a division of zero by zero, which the standard calls zero",
    "test_resize_downsample_scales_cubic_align_corners": "onnxruntime computes it as we do",
    "test_resize_downsample_scales_linear_align_corners": "onnxruntime computes it as we do",
}
LEAST = 300
"""test cases that are imported as networks of one input"""


def test_the_pages_are_current_and_every_operator_has_a_sample():
    stale = [name for name, page in PAGES.items() if (ROOT / name).read_text() != page()]
    assert stale == [], "run `python3 dev.py docs`"
    assert operators.uncovered() == []


def test_imported_test_cases_of_the_standard_compute_what_it_says():
    wrong, right = [], 0
    for name, model, x, expected in samples.standard():
        try:
            imported = read_onnx(model.SerializeToString(), input_shape=x.shape)
        except GlocertError:
            continue
        scores = run(imported.graph, torch.from_numpy(x[None].copy()))
        for tail in reversed(imported.tails):
            scores = tail.apply(scores.flatten(1))
        found = scores[0].numpy()
        if found.size == expected.size and np.allclose(
            found.reshape(expected.shape), expected, rtol=1e-3, atol=1e-5
        ):
            right += 1
        else:
            wrong.append(name)
    assert set(wrong) == set(OTHERWISE)
    assert right >= LEAST
