"""Runtimes against certificates about every float32 execution, on paths that end where labels nearly change.

Paths that are not safe to their end are cut where the real margin is almost gone, and certified again about
executions. What is certified then is run in onnxruntime (the uploaded file), in torch (the traced file, where
there is one) and as the inert graph, with other thread counts and batch sizes: most points lie where the
margin is smallest. No label may differ anywhere.

``GLOCERT_TEST_EXECUTIONS=200`` asks for so many certified paths of each network; a few by default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from glocert import engine
from glocert.budget import Budget
from glocert.certification.case import Subject
from glocert.graph.run import run
from glocert.paths.mutations import segment
from glocert.paths.path import Path as ImagePath
from glocert.report import SegmentReport
from glocert.spec import Arithmetic, Mutation, Verdict
from tests.glocert.certification.test_real_models import Prepared, manifest, prepare

__all__ = ["prepare"]

pytestmark = pytest.mark.shared
ASKED = os.environ.get("GLOCERT_TEST_EXECUTIONS", "")
PATHS = int(ASKED or "2")
NETWORKS = {"mnist_conv_small": True, "mnist_fc_256x2": True, "mnist_avgpool": False}
"""name -> whether there is a traced file"""
if ASKED:
    NETWORKS |= {"mnist_fc_256x6": False, "cifar_conv_small_pgd": True, "cifar_resnet2b": True}
POINTS = 300
CUTS = (1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3)
Execute = Callable[[np.ndarray], np.ndarray]


def certified(prepared: Prepared) -> Iterator[tuple[ImagePath, int, SegmentReport]]:
    """Yield paths that are certified about executions and end close to a change of the label."""
    network = prepared.subject.network
    real = engine.prepare(network)
    executed = engine.prepare(network, arithmetic=Arithmetic.FLOAT32)
    for index in range(min(4 * PATHS, len(prepared.subject.items) - 20)):
        item = prepared.subject.item(index)
        label = prepared.subject.label(index)
        for mutation in (Mutation("brightness", 0.0, 0.4), Mutation("chord", 0.0, 1.0, {"item": index + 20})):
            whole = segment(mutation, item, items=prepared.subject.items)
            assert label is not None
            reach = engine.certify(real, whole, label, budget=Budget()).certified_to
            if 0.01 < reach < 1.0:
                yield from _cut(prepared, executed, mutation, reach, index)


def _cut(
    prepared: Prepared, program: engine.Program, mutation: Mutation, reach: float, index: int
) -> Iterator[tuple[ImagePath, int, SegmentReport]]:
    """Yield the longest path that is certified about executions."""
    item, label = prepared.subject.item(index), prepared.subject.label(index)
    assert label is not None
    for cut in CUTS:
        stop = mutation.stop * reach * (1 - cut)
        shorter = Mutation(mutation.type, 0.0, stop, mutation.options)
        path = segment(shorter, item, items=prepared.subject.items)
        report = engine.certify(program, path, label)
        if report.verdict is Verdict.CERTIFIED:
            yield path, label, report
            return
        assert report.verdict is Verdict.UNDECIDED
        assert report.reason == "numeric"
        assert "arithmetic real" in report.next_step


def points(path: ImagePath, report: SegmentReport, rng: np.random.Generator) -> np.ndarray:
    """Return float32 images of the path: everywhere, most of them near the smallest margin and the end."""
    near = report.min_margin_at + rng.choice([-1, 1], POINTS) * 10.0 ** rng.uniform(-10, -1, POINTS)
    end = 1 - 10.0 ** rng.uniform(-10, -1, POINTS)
    t = np.concatenate([rng.random(POINTS // 3), near, end, [0.0, 1.0]]).clip(0, 1)
    return np.stack([path.at([float(share)]) for share in t]).astype(np.float32)


def preprocessed(images: np.ndarray, subject: Subject, facts: dict[str, Any]) -> np.ndarray:
    """Return what a user would feed to the upload, computed in float32."""
    how, x = subject.items.preprocessing, images.clip(0, 1)
    if how.mean:
        x = x - np.asarray(how.mean, np.float32)[:, None, None]
    if how.std:
        x = x / np.asarray(how.std, np.float32)[:, None, None]
    assert x.dtype == np.float32
    return x.reshape(len(x), *facts["inputs"][0]["shape"][1:])


def executions(prepared: Prepared, folder: Path, name: str) -> Iterator[Execute]:
    """Yield ways of running a network on float32 images of the domain."""
    facts, subject = manifest(folder)[name], prepared.subject
    batch = facts["inputs"][0]["shape"][0]
    for optimised in (True, False):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if not optimised:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            folder / "models" / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
        )
        yield lambda x, session=session: _in_batches(
            lambda part: session.run(None, {session.get_inputs()[0].name: part})[0],
            preprocessed(x, subject, facts),
            batch if isinstance(batch, int) else 64,
        )
    if NETWORKS[name]:
        module = torch.jit.load(folder / "models" / f"{name}.pt")
        yield lambda x: _in_batches(_torch(module), preprocessed(x, subject, facts), 1)
        yield lambda x: _in_batches(_torch(module), preprocessed(x, subject, facts), 128)
    for threads, size in ((1, 1), (2, 33)):
        yield lambda x, threads=threads, size=size: _threaded(prepared, x, threads, size)


def _in_batches(function: Execute, x: np.ndarray, size: int) -> np.ndarray:
    parts = [function(x[start : start + size]) for start in range(0, len(x), size)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def _torch(module: Callable[[torch.Tensor], torch.Tensor]) -> Execute:
    def execute(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(x)).numpy()

    return execute


def _threaded(prepared: Prepared, x: np.ndarray, threads: int, size: int) -> np.ndarray:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _in_batches(_torch(lambda part: run(prepared.subject.network, part)), x, size)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_runtime_gives_another_label_where_executions_are_certified(prepare, shared_data, name):
    prepared, rng = prepare(name, "onnx"), np.random.default_rng(1)
    runs, margins = list(executions(prepared, shared_data, name)), []
    for path, label, report in certified(prepared):
        images = points(path, report, rng)
        for execute in runs:
            scores = execute(images)
            assert (scores.argmax(axis=1) == label).all()
            assert (np.delete(scores, label, 1).max(axis=1) < scores[:, label]).all()
        margins.append(report.min_margin)
        if len(margins) >= PATHS:
            break
    assert len(margins) >= min(PATHS, 2)
    assert min(margins) < 0.1
