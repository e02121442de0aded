"""The checker accepts what the engine proves and rejects what has been tampered with (A24)."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.paths.segment import Segment
from glocert.segments import prepare
from glocert.segments.proof import prove
from glocert_check.check import Rejected, check
from tests.glocert.segments.networks import Draft, Wild, random_segment, scalar_line

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_onnx((DIGITS / "digits.onnx").read_bytes()).graph


@pytest.fixture(scope="module")
def proofs(graph: Graph) -> list[dict[str, Any]]:
    """Proofs about chords between digits and short steps along them: some hold, some are refuted."""
    with np.load(DIGITS / "digits.npz") as arrays:
        images = (arrays["images"].astype(np.float32) / np.float32(255)).astype(np.float64)
        labels = arrays["labels"]
    program, found = prepare(graph), []
    for index in range(6):
        start, stop = (images[i].reshape(graph.input_shape) for i in (index, index + 7))
        for share in (0.1, 1.0):
            segment = Segment(start, start + share * (stop - start), np.zeros(graph.input_shape))
            found.append(prove(program, segment, int(labels[index])))
    return found


def test_every_proof_of_the_engine_is_accepted(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    for proof in proofs:
        check(graph.to_bytes(), proof)

    verdicts = Counter(proof["verdict"] for proof in proofs)
    assert min(verdicts["certified"], verdicts["falsified"]) >= 3


def test_a_breakpoint_moved_by_a_thousandth_is_seen(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    for proof in proofs:
        moved = copy.deepcopy(proof)
        pieces = moved["pieces"]
        place = next(
            k for k in range(len(pieces) // 2, len(pieces) - 1) if pieces[k + 1][1] - pieces[k][1] > 2e-3
        )
        pieces[place][1] = pieces[place + 1][0] = pieces[place][1] + 1e-3
        with pytest.raises(Rejected, match=r"error reaches|another label"):
            check(graph.to_bytes(), moved)


def test_a_changed_label_is_seen(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    for proof in proofs:
        changed = copy.deepcopy(proof)
        piece = changed["pieces"][len(changed["pieces"]) // 2]
        piece[2] = (piece[2] + 1) % 10
        with pytest.raises(Rejected, match="another label"):
            check(graph.to_bytes(), changed)


def test_a_gap_is_seen(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    gone = copy.deepcopy(proofs[0])
    del gone["pieces"][len(gone["pieces"]) // 2]
    with pytest.raises(Rejected, match="gap"):
        check(graph.to_bytes(), gone)
    short = copy.deepcopy(proofs[0])
    short["pieces"] = short["pieces"][:-1]
    with pytest.raises(Rejected, match="reach from 0 to 1"):
        check(graph.to_bytes(), short)


def test_another_graph_is_seen(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    other = Graph(graph.input, graph.output, graph.nodes, graph.parameters, graph.shapes, ("another",))
    with pytest.raises(Rejected, match="another graph"):
        check(other.to_bytes(), proofs[0])


def test_a_refuted_path_cannot_be_called_certified(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    for proof in proofs:
        if proof["verdict"] == "falsified":
            with pytest.raises(Rejected, match="not proven to win"):
                check(graph.to_bytes(), proof | {"verdict": "certified"})


def test_a_proven_path_cannot_be_called_falsified(graph: Graph, proofs: list[dict[str, Any]]) -> None:
    for proof in proofs:
        if proof["verdict"] == "certified":
            with pytest.raises(Rejected, match="nowhere proven to lose"):
                check(graph.to_bytes(), proof | {"verdict": "falsified"})


def test_the_checker_needs_numpy_and_nothing_of_ours() -> None:
    code = "import sys, glocert_check.check; print(' '.join({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "numpy" in loaded.stdout.split()
    assert not {"torch", "glocert", "onnx", "app"} & set(loaded.stdout.split())


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_of_every_operator_are_accepted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole=seed % 3 == 0).build(int(rng.integers(1, 4)))
    segment = random_segment(rng, graph.input_shape)
    label = int(rng.integers(int(np.prod(graph.output_shape))))

    check(graph.to_bytes(), prove(prepare(graph), segment, label))


def test_a_bend_that_no_score_shows_is_in_the_proof() -> None:
    """The checker inserts no vertices: without this one the unit behind it might be on."""
    draft = Draft(1)
    first = draft.relu(draft.gemm("x", np.array([[2.0], [1.0]]), np.array([-1.0, 0.0])))
    dead = draft.relu(draft.gemm(first, np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([-1.25, 0.0])))
    graph = draft.graph(draft.gemm(dead, np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([1.5, 0.0])))
    proof = prove(prepare(graph), scalar_line(), 0)
    assert [piece[1] for piece in proof["pieces"]] == [0.5, 1.0]
    check(graph.to_bytes(), proof)
