"""Answers about small networks, compared with exact arithmetic and with what the competition agreed on."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.budget import Budget
from glocert.errors import InvalidSpec
from glocert.graph.export import to_onnx
from glocert.vnnlib import Network, Result, decide, read_property
from glocert.vnnlib import witness as witnesses
from tests.glocert.boxes.planes import network, scores
from tests.glocert.segments.networks import Draft
from tests.glocert.segments.rational import Exact


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def declared(inputs: int, outputs: int) -> str:
    names = [*(f"X_{i}" for i in range(inputs)), *(f"Y_{j}" for j in range(outputs))]
    return "".join(f"(declare-const {name} Real)" for name in names)


def grid_of(lower, upper, steps: int) -> Exact:
    ways = [
        [low + (high - low) * Fraction(n, steps) for n in range(steps + 1)]
        for low, high in zip(lower, upper, strict=True)
    ]
    return np.array(np.meshgrid(*ways, indexing="ij"), dtype=object).reshape(len(ways), -1).T


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1))
def test_answers_agree_with_exact_arithmetic(seed):
    rng = np.random.default_rng(seed)
    graph, size = network(rng, 2), float(rng.choice([0.05, 0.5, 2.0]))
    centre = [round(float(x), 3) for x in rng.standard_normal(2)]
    level = round(float(rng.standard_normal()), 2)
    text = declared(2, 3) + "".join(
        f"(assert (<= {x - size:.4f} X_{i} {x + size:.4f}))" for i, x in enumerate(centre)
    )
    text += f"(assert (or (and (<= Y_0 Y_1) (<= (+ Y_0 X_0) {level})) (> Y_2 (* 3 Y_0))))"
    question = read_property(text.encode())
    data = to_onnx(graph)
    answer = decide(Network.read(data), question, Budget(pieces=4000))
    (region,) = question.regions
    points = grid_of(region.lower, region.upper, 12)
    y = scores(graph, points)
    broken = any(region.unsafe.holds(x, row) for x, row in zip(points, y, strict=True))
    if answer.result is Result.UNSAT:
        assert not broken
    if answer.result is Result.SAT:
        _check_witness(data, graph, region, answer)
    assert answer.result is not Result.TIMEOUT


def _check_witness(data, graph, region, answer):
    """Read the result as the competition does, and check it without tolerance."""
    text = answer.text()
    assert text.startswith("sat\n((X_0 ")
    values = dict(re.findall(r"\((\w_\d+) ([^)]+)\)", text))
    x = [Fraction(values[f"X_{i}"]) for i in range(len(region.lower))]
    assert all(a <= v <= b for a, v, b in zip(region.lower, x, region.upper, strict=True))
    assert region.unsafe.holds(x, scores(graph, np.array([x], dtype=object))[0])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    batch = np.array([[np.float32(float(v)) for v in x]], np.float32)
    (found,) = session.run(None, {session.get_inputs()[0].name: batch})
    y = [Fraction(float(v)) for v in found.ravel()]
    assert [Fraction(float(values[f"Y_{j}"])) for j in range(len(y))] == y
    assert region.unsafe.holds(x, y)


def sum_of_two() -> Network:
    draft = Draft(2)
    return Network.read(to_onnx(draft.graph(draft.gemm("x", [[1.0, 1.0]], [0.0]))))


def ask(network: Network, box: str, rest: str):
    text = f"{declared(2, 1)}(assert (<= 0 X_0 {box}))(assert (<= 0 X_1 {box}))(assert {rest})"
    return decide(network, read_property(text.encode()), Budget(pieces=2000))


def test_a_violation_at_a_single_corner_is_found():
    answer = ask(sum_of_two(), "0.5", "(>= Y_0 0.99999999)")
    assert answer.result is Result.SAT
    assert answer.witness.inputs == ("0.5", "0.5")
    assert answer.text() == "sat\n((X_0 0.5)\n(X_1 0.5)\n(Y_0 1.0))\n"


def test_what_only_rounding_could_break_is_not_claimed():
    """The largest sum is exactly 0.2, at a corner that no float32 number reaches."""
    assert ask(sum_of_two(), "0.1", "(> Y_0 0.2000001)").result is Result.UNSAT
    assert ask(sum_of_two(), "0.1", "(>= Y_0 0.2)").result is Result.UNKNOWN


def test_inputs_that_do_not_vary_may_be_any_decimal():
    text = f"{declared(2, 1)}(assert (<= 0.1 X_0 0.1))(assert (<= 0.3 X_1 0.3))(assert (<= Y_0 0.5))"
    answer = decide(sum_of_two(), read_property(text.encode()), Budget(pieces=50))
    assert answer.result is Result.SAT
    assert answer.witness.inputs == ("0.1", "0.3")


def test_contradicting_conditions_are_unsat():
    assert ask(sum_of_two(), "1", "(and (<= X_0 0.5) (>= X_0 0.75))").result is Result.UNSAT


def test_no_time_is_a_timeout():
    network = sum_of_two()
    text = f"{declared(2, 1)}(assert (<= 0 X_0 1))(assert (<= 0 X_1 1))(assert (>= Y_0 1.5))"
    answer = decide(network, read_property(text.encode()), Budget(deadline=-math.inf))
    assert answer.result is Result.TIMEOUT
    assert answer.text() == "timeout\n"


def test_a_property_of_another_network_is_refused():
    draft = Draft(3)
    network = Network.read(to_onnx(draft.graph(draft.gemm("x", [[1.0, 1.0, 1.0]], [0.0]))))
    with pytest.raises(InvalidSpec, match="2 inputs and 1 outputs, the network 3 and 1"):
        ask(network, "1", "(>= Y_0 1)")


def test_a_point_that_only_onnxruntime_breaks_is_no_witness(monkeypatch: pytest.MonkeyPatch):
    """float32(0.1) is above 0.1: at inputs that are exactly 0.1 the runtime sees more than 0.2."""
    text = f"{declared(2, 1)}(assert (<= 0.1 X_0 0.1))(assert (<= 0.1 X_1 0.1))(assert (> Y_0 0.2))"
    question = read_property(text.encode())
    assert decide(sum_of_two(), question, Budget(pieces=50)).result is not Result.SAT
    monkeypatch.setattr(witnesses, "_proven", lambda *_: True)
    assert decide(sum_of_two(), question, Budget(pieces=50)).result is Result.SAT, "planted"


QUICK = ("acasxu_1_1__prop_1", "acasxu_1_1__prop_2", "acasxu_1_1__prop_3", "acasxu_3_3", "prop_0_input",
         "prop_1_input", "test_nano", "mnist_fc_256x2__prop_0", "mnist_fc_256x2__prop_14",
         "mnist_fc_256x6__prop_7")  # fmt: skip


@pytest.mark.shared
def test_the_competition_agrees(shared_data: Path) -> None:
    cases = json.loads((shared_data / "manifest.json").read_text())["vnnlib"]
    chosen = [case for case in cases if any(name in case["vnnlib"] for name in QUICK)]
    assert len(chosen) == 12
    for case in chosen:
        network = Network.read((shared_data / "models" / f"{case['model']}.onnx").read_bytes())
        question = read_property((shared_data / case["vnnlib"]).read_bytes())
        answer = decide(network, question, Budget(pieces=20_000))
        assert answer.result.value == case["expected"], case["vnnlib"]
        assert (answer.witness is not None) == (case["expected"] == "sat")
