from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.budget import Budget
from glocert.errors import DeadlineExceeded
from glocert.graph.run import run as execute
from glocert.segments import prepare, trace
from glocert.segments.curve import joined
from glocert.segments.pieces import Run
from tests.glocert.segments.invariant import assert_sound, runs_of, worst_share
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import ExactCurve, exact_curve

F32 = np.float32


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from([2**6, 2**12, 2**26]))
def test_the_truth_is_within_the_radius_at_every_t(seed, whole, block_bytes):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    segment = random_segment(rng, graph.input_shape, whole)
    assert_sound(graph, segment, Budget(block_bytes=block_bytes))


@pytest.mark.parametrize("seed", range(80))
def test_random_networks_are_followed_soundly(seed):
    rng = np.random.default_rng([7, seed])
    graph = Wild(rng, whole=seed % 3 == 0).build(int(rng.integers(2, 5)))
    assert_sound(graph, random_segment(rng, graph.input_shape, seed % 3 == 0))


@pytest.mark.parametrize("seed", range(12))
def test_random_points_of_larger_networks_are_within_the_radius(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 30, 60, 60, 60, 5)
    segment = random_segment(rng, (30,))
    curve = trace(graph, segment)
    t = rng.random(2000)
    points = torch.from_numpy(segment.start + (segment.stop - segment.start) * t[:, None])
    error = np.abs(execute(graph, points).numpy() - curve.at(t))
    assert (error <= curve.radius + 1e-12).all()
    assert error.max() <= 1e-9 * np.abs(curve.scores).max()
    assert curve.radius.max() < 1e-6


def test_an_affine_network_is_one_piece():
    rng = np.random.default_rng(0)
    draft = Draft(2, 4, 4)
    x = draft.conv("x", rng.standard_normal((3, 2, 3, 3)).astype(F32), pads=(1, 1, 1, 1))
    x = draft.pool("AveragePool", x, (2, 2), (2, 2), count_include_pad=1)
    graph = draft.graph(draft.gemm(draft.flat(x), rng.standard_normal((3, 12)).astype(F32)))
    segment = random_segment(rng, (2, 4, 4))
    curve = trace(graph, segment)
    ends = execute(graph, torch.from_numpy(np.stack([segment.start, segment.stop]))).numpy()
    assert curve.pieces == 1
    np.testing.assert_allclose(curve.scores, ends, rtol=1e-12)


@pytest.mark.parametrize(
    ("operator", "attributes", "slope", "shift", "expected"),
    [
        ("Relu", {}, 1, -0.3, [0.3]),
        ("LeakyRelu", {"alpha": 0.1}, 1, -0.3, [0.3]),
        ("LeakyRelu", {"alpha": -1.0}, 1, -0.3, [0.3]),
        ("Clip", {"min": 0.0, "max": 1.0}, 3, -1.0, [1 / 3, 2 / 3]),
        ("Clip", {"min": -1.0, "max": 1.0}, 4, -2.0, [0.25, 0.75]),
        ("Clip", {"min": 0.0, "max": float("inf")}, 4, -2.0, [0.5]),
        ("Clip", {"min": 2.0, "max": 1.0}, 4, -2.0, []),
        ("Relu", {}, 1, 0.0, []),
        ("Relu", {}, 1, -1.0, []),
    ],
)
def test_functions_of_one_number_bend_where_they_should(operator, attributes, slope, shift, expected):
    draft = Draft(1)
    x = draft.gemm("x", np.array([[float(slope)]]), np.array([shift]))
    graph = draft.graph(draft.same(operator, x, **attributes))
    t = trace(graph, scalar_line()).t[1:-1]
    assert len(t) == len(expected)
    assert (np.abs(t - expected) <= np.spacing(expected)).all()
    assert_sound(graph, scalar_line())


@pytest.mark.parametrize("k", range(1, 11))
def test_stacked_tents_have_two_to_the_k_pieces_bit_exactly(k):
    draft, x = Draft(1), "x"
    for _ in range(k):
        slopes = draft.relu(draft.gemm(x, np.array([[2.0], [4.0]]), np.array([0.0, -2.0])))
        x = draft.gemm(slopes, np.array([[1.0, -1.0]]))
    curve = trace(draft.graph(x), scalar_line())
    np.testing.assert_array_equal(curve.t, np.arange(2**k + 1) / 2**k)
    np.testing.assert_array_equal(curve.scores[:, 0], np.arange(2**k + 1) % 2)


def test_a_maximum_then_a_relu_bends_at_both_zeros():
    draft = Draft(1)
    lines = draft.reshape(draft.gemm("x", np.array([[-4.0], [4.0]]), np.array([1.0, -3.0])), 1, 1, 2)
    graph = draft.graph(draft.relu(draft.pool("MaxPool", lines, (1, 2), (1, 1))))
    curve = trace(graph, scalar_line())
    assert {0.25, 0.75} <= set(curve.t)
    np.testing.assert_array_equal(curve.at(np.array([0.0, 0.25, 0.5, 0.75, 1.0]))[:, 0], [1, 0, 0, 0, 1])


def test_a_maximum_that_starts_with_a_tie_follows_the_steeper_line():
    left, right = np.array([3.0, 3.0, -1.0, 1.0]), np.array([-2.0, 0.0, 3.0, 0.0])
    draft = Draft(1)
    lines = draft.reshape(draft.gemm("x", (right - left)[:, None], left), 1, 1, 4)
    curve = joined(runs_of(draft.graph(draft.pool("MaxPool", lines, (1, 4), (1, 1))), scalar_line()))
    np.testing.assert_allclose(curve.t, [0, 4 / 7, 1], rtol=1e-15)


@pytest.mark.parametrize("seed", range(10))
def test_batch_normalisation_equals_its_folded_form(seed):
    rng = np.random.default_rng(seed)
    weight, bias = rng.standard_normal((6, 1, 3, 3)), rng.standard_normal(6)
    scale, shift, mean = (rng.standard_normal(6) for _ in range(3))
    variance = rng.random(6) + 0.1
    last = rng.standard_normal((3, 24))

    def network(folded: bool):
        draft = Draft(1, 4, 4)
        factor = scale / np.sqrt(variance + 1e-3)
        kernel = weight * factor[:, None, None, None] if folded else weight
        x = draft.conv("x", kernel, (bias - mean) * factor + shift if folded else bias)
        if not folded:
            x = draft.same("BatchNormalization", x, scale, shift, mean, variance, epsilon=1e-3)
        return draft.graph(draft.gemm(draft.flat(draft.relu(x)), last))

    segment = random_segment(rng, (1, 4, 4))
    explicit, folded = trace(network(False), segment), trace(network(True), segment)
    np.testing.assert_allclose(explicit.t, folded.t, atol=1e-12)
    np.testing.assert_allclose(explicit.scores, folded.scores, atol=1e-12)


def conv_network(rng, residual=True):
    draft = Draft(2, 8, 8)
    x = draft.relu(draft.conv("x", rng.standard_normal((6, 2, 3, 3)).astype(F32) / 2, pads=(1, 1, 1, 1)))
    inner = draft.relu(draft.conv(x, rng.standard_normal((6, 6, 3, 3)).astype(F32) / 5, pads=(1, 1, 1, 1)))
    inner = draft.conv(inner, rng.standard_normal((6, 6, 3, 3)).astype(F32) / 5, pads=(1, 1, 1, 1))
    x = draft.relu(draft.node("Add", [inner, x], (6, 8, 8)) if residual else inner)
    x = draft.pool("MaxPool", x, (2, 2), (2, 2))
    x = draft.relu(draft.gemm(draft.flat(x), rng.standard_normal((20, 96)).astype(F32) / 7))
    return draft.graph(draft.gemm(x, rng.standard_normal((4, 20)).astype(F32)))


@pytest.mark.parametrize("kind", ["conv", "deep", "wide"])
def test_small_blocks_give_the_same_curve(kind):
    """Up to the last bits, in which some processors' matrix products depend on the number of rows."""
    rng = np.random.default_rng(0)
    graph = {
        "conv": lambda: conv_network(rng),
        "deep": lambda: mlp(rng, 20, 50, 50, 50, 50, 4),
        "wide": lambda: mlp(rng, 20, 784, 256, 4),
    }[kind]()
    segment = random_segment(rng, graph.input_shape)
    whole = joined(runs_of(graph, segment, Budget(block_bytes=2**40)))
    for block_bytes in (2**14, 2**18):
        parts = runs_of(graph, segment, Budget(block_bytes=block_bytes))
        assert len(parts) > 1 or block_bytes > 2**14
        curve = joined(parts)
        assert curve.t.shape == whole.t.shape
        np.testing.assert_allclose(curve.t, whole.t, rtol=0, atol=1e-13)
        np.testing.assert_allclose(curve.scores, whole.scores, rtol=1e-12, atol=1e-12)


def test_pieces_are_bounded_by_the_product_of_the_layers_and_grow_with_depth():
    rng = np.random.default_rng(3)
    graph = mlp(rng, 4, 6, 5, 4, 3)
    segment = random_segment(rng, (4,))
    counts = []
    for last in ("gemm0", "gemm2", "gemm4", "gemm6"):
        part = type(graph)("x", last, graph.nodes, graph.parameters, graph.shapes)
        counts.append(trace(part, segment).pieces)
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert all(count <= bound for count, bound in zip(counts[1:], [7, 7 * 6, 7 * 6 * 5], strict=True))


@pytest.mark.parametrize("offset", [0.0, 1e-17])
def test_a_line_through_the_origin_of_a_network_without_biases(offset):
    rng = np.random.default_rng(1)
    graph = mlp(rng, 6, 40, 40, 40, 3, bias=False)
    end = rng.standard_normal(6)
    segment = line(-end + offset, 2 * end)
    curve = trace(graph, segment)
    t = np.linspace(0, 1, 501)
    points = torch.from_numpy(segment.start + (segment.stop - segment.start) * t[:, None])
    assert (np.abs(execute(graph, points).numpy() - curve.at(t)) <= curve.radius + 1e-12).all()
    assert curve.pieces < 100
    small = mlp(rng, 3, 5, 4, 2, bias=False)
    assert_sound(small, line([-1.0, 0.5, 0.25], [2.0, -1.0, -0.5]))


def test_a_segment_without_length_is_one_piece():
    graph = mlp(np.random.default_rng(0), 4, 8, 3)
    curve = trace(graph, line(np.ones(4), np.ones(4)))
    assert curve.pieces == 1
    np.testing.assert_array_equal(curve.scores[0], curve.scores[1])


@pytest.mark.parametrize("scale", [1e-310, 1e-160, 1e-30, 1e30, 1e150])
def test_huge_and_denormal_weights_stay_within_the_radius(scale):
    rng = np.random.default_rng(5)
    draft = Draft(3)
    x = draft.relu(draft.gemm("x", rng.standard_normal((4, 3)) * scale, rng.standard_normal(4) * scale))
    graph = draft.graph(draft.gemm(draft.relu(draft.gemm(x, rng.standard_normal((3, 4)))), np.eye(3)))
    assert_sound(graph, random_segment(rng, (3,)))


@pytest.mark.parametrize("where", ["weights", "input", "inside"])
def test_overflow_leaves_no_finite_radius(where):
    draft = Draft(2)
    big = np.array([[1e300, 1.0], [1e300, 2.0]])
    x = draft.relu(draft.gemm("x", big if where == "weights" else -big * (where == "inside") + np.eye(2)))
    x = draft.relu(draft.gemm(x, big))
    graph = draft.graph(draft.gemm(x, np.eye(2)))
    ends = {"weights": [3.0, 1.0], "input": [np.inf, 1.0], "inside": [-3e10, 1.0]}[where]
    runs = runs_of(graph, line([1.0, 1.0], ends))
    assert not np.isfinite(runs[0].radius).any()


def test_negative_overflow_does_not_hide_behind_a_relu():
    """An infinite pre-activation may be wrong in truth: 1e308 * (10 - 10) is zero, not minus infinity."""
    draft = Draft(1)
    spread = draft.gemm("x", np.array([[1e308], [1e308], [1e308]]))
    x = draft.relu(draft.gemm(spread, np.array([[-1.5, -1.5, 2.9]])))
    graph = draft.graph(draft.gemm(x, np.array([[1.0], [0.0]])))
    radius = runs_of(graph, line([1.0], [1.0]))[0].radius
    assert not np.isfinite(radius[0])


def test_the_radius_of_the_path_is_carried_along():
    draft = Draft(2)
    graph = draft.graph(
        draft.gemm(draft.relu(draft.gemm("x", np.array([[1.0, -2.0], [3.0, 1.0]]))), np.eye(2))
    )
    curve = trace(graph, line([1.0, 0.0], [2.0, 0.0], radius=0.125))
    np.testing.assert_allclose(curve.radius, [0.375, 0.5], rtol=1e-12)
    for corner in ([0.125, -0.125], [-0.125, 0.125], [0.125, 0.125]):
        moved = exact_curve(graph, line(np.add([1.0, 0.0], corner), np.add([2.0, 0.0], corner)))
        assert worst_share(runs_of(graph, line([1.0, 0.0], [2.0, 0.0], radius=0.125)), moved) <= 1


def test_a_wrong_curve_is_noticed():
    """The check itself can fail: against a truth that is off by a millionth it does."""
    graph, segment = mlp(np.random.default_rng(0), 3, 5, 2), line([0.0, 1.0, 0.0], [1.0, 0.0, 1.0])
    truth = exact_curve(graph, segment)
    shifted = ExactCurve(truth.t, truth.scores + Fraction(1, 10**6))
    assert worst_share(runs_of(graph, segment), truth) <= 1
    assert worst_share(runs_of(graph, segment), shifted) > 1


def test_a_network_without_nodes_returns_the_path():
    curve = trace(Draft(3).graph("x"), line([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]))
    np.testing.assert_array_equal(curve.scores, [[1, 2, 3], [0, 0, 0]])
    assert (curve.radius == 0).all()


def test_a_program_is_reused_for_many_segments():
    rng = np.random.default_rng(2)
    graph = mlp(rng, 5, 9, 3)
    program = prepare(graph)
    for _ in range(3):
        segment = random_segment(rng, (5,))
        np.testing.assert_array_equal(trace(program, segment).t, trace(graph, segment).t)


def test_a_spent_budget_is_an_error_of_trace():
    budget = Budget(deadline=1.0, clock=lambda: 2.0)
    with pytest.raises(DeadlineExceeded):
        trace(mlp(np.random.default_rng(0), 3, 4, 2), line(np.zeros(3), np.ones(3)), budget)


def test_an_activation_read_under_two_names_is_not_overwritten():
    """Without a cut the ReLU sees the memory that the sum reads afterwards."""
    draft = Draft(2)
    h = draft.gemm("x", np.array([[1.0, 0.0], [0.0, -1.0]]))
    off = draft.reshape(draft.relu(draft.reshape(h, 2, 1)), 2)
    graph = draft.graph(draft.node("Add", [off, h], [2]))
    curve = trace(graph, line([1.0, 1.0], [2.0, 3.0]))
    np.testing.assert_array_equal(curve.scores, [[2, -1], [4, -3]])


def test_where_two_runs_meet_the_radius_covers_their_difference():
    ends = [[[0.0, 1.0], [1.0, 1.0]], [[1.5, 1.0], [2.0, 1.0]], [[1.75, 1.0], [3.0, 1.0]]]
    runs = [
        Run(np.array([k, k + 1.0]), np.array(end), np.array([0.125 * k, 0.5])) for k, end in enumerate(ends)
    ]
    curve = joined(runs)
    np.testing.assert_array_equal(curve.t, [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(curve.scores[:, 0], [0.0, 1.0, 2.0, 3.0])
    assert curve.radius[0] >= 0.25 + 0.5
    assert curve.radius[1] == pytest.approx(0.5)
    np.testing.assert_array_equal(joined(runs[:1]).radius, [0.0, 0.5])
