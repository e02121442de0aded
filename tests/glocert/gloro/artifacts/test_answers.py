"""Every format answers what the library answers; bottom wins wherever nothing is proved (E1, E2, E4, A7)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from glocert.errors import ImportMismatch, InvalidSpec, UnsupportedOperators
from glocert.gloro.artifacts.decision import decide
from glocert.gloro.artifacts.onnx_file import PAIRS, to_wrapped_onnx
from glocert.gloro.artifacts.slack import REACH, slack_of
from glocert.gloro.artifacts.torch_files import Decision
from glocert.gloro.artifacts.trial import runner, session, trial
from glocert.gloro.artifacts.wrapped import Wrapped, wrap
from glocert.gloro.wrap import WRITERS
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.graph.wrapped import OUTPUTS
from glocert.lipschitz.execution import SINGLE, ledger
from glocert.lipschitz.radius import radii

KINDS = tuple(WRITERS)


def affine(rows: list[list[float]], bias: list[float], *more: str) -> Graph:
    """Return clamped inputs, times a matrix, and what else is to follow."""
    size = len(rows[0])
    builder = GraphBuilder.start("in", (size,), Limits())
    name = builder.add(Node("clip", "Clip", ("in",), "clip", {"min": -8.0, "max": 8.0}, "Clip"))
    weight = builder.parameter(np.array(rows, np.float32), "weight")
    offset = builder.parameter(np.array(bias, np.float32), "bias")
    name = builder.add(Node("gemm", "Gemm", (name, weight, offset), "gemm", {}, "Gemm"))
    for operator in more:
        name = builder.add(Node(operator, operator, (name,), operator, {}, operator))
    return builder.finish(name)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_ten_thousand_points_are_answered_alike(summary: dict[str, Any]) -> None:
    assert set(summary["checks"]) == set(KINDS)
    for check in summary["checks"].values():
        assert check["points"] == 10_000
        assert check["differences"] == 0
        assert 1000 < check["certified"] < 9990


def test_the_artifact_never_says_more_than_the_float64_radius(wrapped: Wrapped) -> None:
    x = torch.rand(2000, *wrapped.network.input_shape, generator=torch.Generator().manual_seed(1))
    scores = run(wrapped.network, x)
    _, label, certified, radius = Decision(wrapped)(x)
    exact = radii(scores.double(), wrapped.bound.pairs)
    assert (radius.double() <= exact.radius).all()
    assert certified.any()
    assert (label[certified] == exact.label[certified]).all()


def test_constants_are_not_below_the_proved_ones(
    folder: Path, summary: dict[str, Any], wrapped: Wrapped
) -> None:
    model = onnx.load(folder / "wrapped.onnx")
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == PAIRS]
    stored = numpy_helper.to_array(tensor).astype(np.float64)
    off = ~np.eye(len(stored), dtype=bool)
    assert (stored >= wrapped.bound.pairs.numpy())[off].all()
    assert (stored <= wrapped.bound.pairs.numpy() * 1.01 + wrapped.slack.rate * 1.01)[off].all()


def test_the_slack_is_that_of_the_ledger_or_more(wrapped: Wrapped) -> None:
    whole = ledger(wrapped.network)
    for norm in (0.0, 0.5, 3.0, 1e3, REACH):
        size = min(norm + wrapped.slack.added, wrapped.slack.limit)
        exact = float(whole.slack(torch.tensor(norm, dtype=torch.float64), SINGLE))
        assert wrapped.slack.fixed + wrapped.slack.rate * size >= exact


@pytest.mark.parametrize("size", [1, 3])
def test_nothing_awkward_is_answered(kind: str, wrapped: Wrapped, size: int) -> None:
    answer = runner(WRITERS[kind][1](wrapped), kind)
    for value in (np.nan, np.inf, -np.inf, 3e38):
        x = torch.full((size, *wrapped.network.input_shape), 0.5)
        x[:, 0, 0, 0] = value
        logits, label, certified, radius = answer(x)
        assert (label == -1).all()
        assert not certified.any()
        assert (radius == 0).all()
        assert (logits[:, :-1] == -np.inf).all()
        assert (logits[:, -1] == 0).all()


def test_ties_are_bottom_at_every_radius(kind: str) -> None:
    made = wrap(affine([[1, 0], [1, 0], [0, 1]], [0, 0, 0]), 0.0)
    logits, label, certified, radius = runner(WRITERS[kind][1](made), kind)(
        torch.tensor([[2.0, 1.0], [0.0, 0.0], [-1.0, 4.0]])
    )
    assert label.tolist() == [-1, -1, 2]
    assert certified.tolist() == [False, False, True]
    assert radius[:2].tolist() == [0, 0]
    assert logits.argmax(1).tolist() == [3, 3, 2]


def test_the_threshold_is_strict(kind: str) -> None:
    """The stored radius of the point is asked for: not certified; the next number below: certified."""
    graph = affine([[1, 0], [-1, 0]], [0, 0])
    x = torch.tensor([[3.0, 1.0]])
    radius = float(Decision(wrap(graph, 1.0))(x)[3])
    assert 2.999 < radius < 3
    below = float(np.nextafter(np.float32(radius), np.float32(0)))
    for epsilon, certified in ((radius, False), (below, True)):
        answer = runner(WRITERS[kind][1](wrap(graph, epsilon)), kind)(x)
        assert answer[2].tolist() == [certified]
        assert answer[0].argmax(1).tolist() == [0 if certified else 2]


def test_epsilon_can_be_given(wrapped: Wrapped) -> None:
    opened = session(to_wrapped_onnx(wrapped))
    x = np.full((4, 1, 6, 6), 0.5, np.float32)
    (radius,) = opened.run(["radius"], {"x": x})
    assert (radius > 0).all()
    asked = {0.0: True, float(radius[0]) * 2: False, -1.0: False, np.nan: False, np.inf: False}
    for epsilon, expected in asked.items():
        logits, label, certified, _ = opened.run(
            list(OUTPUTS), {"x": x, "epsilon": np.array(epsilon, np.float32)}
        )
        assert certified.all() == expected
        assert certified.any() == expected
        assert ((label >= 0) == expected).all()
        assert ((logits.argmax(1) == wrapped.classes) != expected).all()


def test_naive_argmax_is_bottom_for_random_scores() -> None:
    """E4 on 10^5 scores of all sizes, with ties, against the decision alone."""
    generator = torch.Generator().manual_seed(2)
    sizes = 10.0 ** torch.randint(-30, 17, (100_000, 1), generator=generator)
    scores = torch.randint(-4, 5, (100_000, 4), generator=generator) * sizes
    pairs = torch.rand(4, 4, generator=generator) * 3
    terms = torch.tensor([1e-6, 1e-3, 0.0, 8.0])
    logits, label, certified, radius = decide(
        torch.zeros(100_000, 2), scores, pairs, terms, torch.tensor(0.1)
    )
    assert 1000 < int(certified.sum()) < 99_000
    assert (logits.argmax(1) == torch.where(certified, label, 4)).all()
    assert (certified == (radius > 0.1)).all()
    exact = radii(scores.double(), pairs.double(), 1e-6).radius
    assert (radius.double() <= exact).all()


def test_a_file_that_answers_otherwise_is_caught(wrapped: Wrapped) -> None:
    changed = dataclasses.replace(wrapped, pairs=wrapped.pairs / 4)
    with pytest.raises(ImportMismatch):
        trial(wrapped, to_wrapped_onnx(changed), "onnx", points=500)


def test_functions_without_known_rounding_are_refused() -> None:
    with pytest.raises(UnsupportedOperators) as refusal:
        wrap(affine([[1, 0], [0, 1]], [0, 0], "Tanh", "Relu"), 0.1)
    assert [offence.operator for offence in refusal.value.offences] == ["Tanh"]


def test_a_trailing_softmax_is_left_out() -> None:
    graph = affine([[1, 0], [0, 1]], [0, 0])
    node = Node("soft", "Softmax", (graph.output,), "soft", {"axis": 0}, "Softmax")
    shapes = {**graph.shapes, "soft": (2,)}
    ending = dataclasses.replace(graph, nodes=(*graph.nodes, node), output="soft", shapes=shapes)
    made = wrap(ending, 0.1)
    assert made.stripped == ("soft",)
    assert (made.pairs == wrap(graph, 0.1).pairs).all()


@pytest.mark.parametrize("epsilon", [-0.1, float("nan"), float("inf")])
def test_what_is_no_radius_is_refused(epsilon: float) -> None:
    with pytest.raises(InvalidSpec):
        wrap(affine([[1, 0], [0, 1]], [0, 0]), epsilon)


def test_epsilon_is_never_rounded_down() -> None:
    graph = affine([[1, 0], [0, 1]], [0, 0])
    for epsilon in (0.1, 0.3, 36 / 255, 1.58, 1e-300):
        assert float(wrap(graph, epsilon).epsilon) >= epsilon


def test_equal_rows_are_still_bottom_on_a_tie_and_far_otherwise() -> None:
    """A3: class 1 can never overtake class 0; only rounding keeps the radius finite."""
    made = wrap(affine([[1, 0], [1, 0]], [1, 0]), 0.5)
    assert float(Decision(made)(torch.tensor([[1.0, 1.0]]))[3]) > 1e4


def test_without_a_clamp_the_slack_holds_for_every_answered_input() -> None:
    graph = affine([[1, 0], [-1, 0]], [0, 0])
    (gemm,) = [node for node in graph.nodes if node.operator == "Gemm"]
    bare = Graph(
        "in", graph.output, (dataclasses.replace(gemm, inputs=("in", *gemm.inputs[1:])),), graph.parameters,
        {name: shape for name, shape in graph.shapes.items() if name != "clip"},
    )  # fmt: skip
    slack = slack_of(bare)
    assert slack.limit >= 2 * REACH
    assert slack.rate > 0
