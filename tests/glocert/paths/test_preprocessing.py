from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph, Node
from glocert.graph.run import run
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

RNG = np.random.default_rng(11)


def linear(shape: tuple[int, ...], name: str = "input") -> Graph:
    """Return a network that numbers its inputs in its own order: scores = W x."""
    size = int(np.prod(shape))
    weights = np.random.default_rng(3).normal(size=(4, size))
    nodes = (
        Node("flat", "Reshape", (name,), "flat", {"shape": (size,)}),
        Node("scores", "Gemm", ("flat", "w"), "scores"),
    )
    return Graph(name, "scores", nodes, {"w": weights}, {name: shape, "flat": (size,), "scores": (4,)})


def scores(graph: Graph, x: np.ndarray) -> np.ndarray:
    return run(graph, torch.from_numpy(x[None])).numpy()[0]


@given(
    lower=st.floats(-1, 0.2),
    upper=st.floats(0.5, 2),
    mean=st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    std=st.lists(st.floats(0.1, 2), min_size=3, max_size=3),
    layout=st.sampled_from(["NCHW", "NHWC"]),
)
def test_the_new_network_is_the_old_one_on_preprocessed_images(lower, upper, mean, std, layout):
    x = np.random.default_rng(2).normal(size=(3, 4, 5))
    network = linear((4, 5, 3) if layout == "NHWC" else (3, 4, 5))
    joined = prepend_preprocessing(
        network, x.shape, Preprocessing(True, (*mean,), (*std,), layout, lower, upper)
    )
    prepared = (np.clip(x, lower, upper) - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    if layout == "NHWC":
        prepared = np.ascontiguousarray(prepared.transpose(1, 2, 0))
    assert joined.input_shape == (3, 4, 5)
    np.testing.assert_allclose(scores(joined, x), scores(network, prepared), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("item", "network"),
    [((1, 4, 4), (16,)), ((1, 4, 4), (16, 1)), ((16,), (16, 1)), ((1, 4, 4), (4, 4)), ((2, 2, 4), (16,))],
)
def test_images_are_reshaped_to_the_networks_input(item, network):
    x = RNG.uniform(size=item)
    joined = prepend_preprocessing(linear(network), item, Preprocessing())
    np.testing.assert_allclose(
        scores(joined, x), scores(linear(network), x.reshape(network)), rtol=1e-12, atol=1e-12
    )


def test_only_what_is_needed_is_added_and_numbers_keep_float64():
    joined = prepend_preprocessing(linear((1, 4, 4)), (1, 4, 4), Preprocessing(mean=(0.1307,), std=(0.3081,)))
    assert joined.operators == {"Clip": 1, "Div": 1, "Gemm": 1, "Reshape": 1, "Sub": 1}
    added = [value for name, value in joined.parameters.items() if name.startswith("preprocessing.")]
    assert sorted(float(value.item()) for value in added) == [0.1307, 0.3081]
    assert {value.dtype for value in added} == {np.dtype(np.float64)}


def test_names_that_are_taken_are_avoided():
    first = prepend_preprocessing(
        linear((1, 4, 4), "preprocessing.clip"), (1, 4, 4), Preprocessing(mean=(0.5,))
    )
    twice = prepend_preprocessing(first, (1, 4, 4), Preprocessing(mean=(0.25,)))
    x = RNG.uniform(size=(1, 4, 4))
    inner = np.clip(np.clip(x, 0, 1) - 0.25, 0, 1) - 0.5
    np.testing.assert_allclose(scores(twice, x), scores(linear((1, 4, 4)), inner), rtol=1e-12, atol=1e-12)
    assert len({node.name for node in twice.nodes}) == len(twice.nodes)
    assert {Graph.from_bytes(twice.to_bytes()).digest() for _ in range(20)} == {twice.digest()}


def test_a_network_that_returns_its_input_is_still_one():
    identity = Graph("x", "x", (), {}, {"x": (3,)})
    joined = prepend_preprocessing(identity, (3,), Preprocessing())
    assert scores(joined, np.array([-1.0, 0.5, 2.0])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("item", "network", "preprocessing", "message"),
    [
        ((1, 27, 28), (1, 28, 28), Preprocessing(), r"\(1, 27, 28\) do not fit .* \(1, 28, 28\)"),
        ((28,), (1, 28, 28), Preprocessing(), "do not fit"),
        ((3, 8, 8), (8, 8, 3), Preprocessing(), "layout"),
        ((3, 8, 8), (3, 8, 8), Preprocessing(layout="NHWC"), "layout"),
        ((3, 8, 4), (3, 4, 8), Preprocessing(), "layout"),
        ((3, 8, 8), (3, 8, 8), Preprocessing(mean=(0.1, 0.2)), "mean has 2 values"),
        ((3, 8, 8), (3, 8, 8), Preprocessing(std=(0.1, 0.0, 0.2)), "std must be finite and positive"),
        ((3, 8, 8), (3, 8, 8), Preprocessing(mean=(float("nan"),)), "mean must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(item, network, preprocessing, message):
    with pytest.raises(InvalidSpec, match=message):
        prepend_preprocessing(linear(network), item, preprocessing)
