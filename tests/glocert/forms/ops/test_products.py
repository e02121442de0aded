from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from glocert.forms.form import Form
from glocert.forms.ops import products
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Graph, Node
from tests.glocert.forms.ops.inside import elementwise, form, worst_share

BROADCAST = [((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((1,), (2, 2, 2)), ((2, 3), (2, 3))]
MATRICES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)),
    ((2, 2, 3), (3,)),
    ((2, 1, 2, 3), (2, 3, 2)),
]


def product_of(build, left, right, same=False, dtype=torch.float64):
    names = ("a", "a") if same else ("a", "b")
    output = (np.multiply if build is products.mul else np.matmul)(np.ones(left), np.ones(right)).shape
    node = Node("node", "Mul", names, "y")
    graph = Graph("a", "y", (node,), {}, {"a": left, "b": right, "y": output})
    return build(node, Site(graph, torch.device("cpu"), dtype)), output


def _matmul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(np.matmul(a, b)) for a, b in zip(x, y, strict=True)])


def _mul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([a * b for a, b in zip(x, y, strict=True)])


def centres(rng):
    return lambda size: rng.standard_normal(size) * 10.0 ** rng.integers(-2, 3, size)


@pytest.mark.parametrize(
    ("build", "exact", "shapes"),
    [(products.mul, _mul, shapes) for shapes in BROADCAST]
    + [(products.matmul, _matmul, s) for s in MATRICES],
)
@pytest.mark.parametrize(("k", "width"), list(product((1, 2, 3), (0.0, 1e-12, 1e-3, 1.0, 50.0))))
def test_exact_products_are_inside(build, exact, shapes, k, width):
    rng = np.random.default_rng(k)
    built, output = product_of(build, *shapes)
    for share in (0.0, 0.3, 1.0):
        x, y = (form(rng, k, 2, shape, centres(rng), width, share) for shape in shapes)
        result = built(x, y)
        assert result.shape == output
        assert result.slopes.shape == (k, 2, *output)
        assert torch.isfinite(result.error).all()
        assert worst_share(rng, (x, y), result, exact) <= 1


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("width", [0.0, 1e-9, 1e-2, 3.0])
def test_squares_are_inside_and_tighter_than_products(k, width):
    rng = np.random.default_rng(k)
    x = form(rng, k, 2, (7,), centres(rng), width, 0.3)
    square, _ = product_of(products.mul, (7,), (7,), same=True)
    own = square(x, x)
    assert worst_share(rng, (x,), own, lambda v: v * v) <= 1
    assert (own.error <= product_of(products.mul, (7,), (7,))[0](x, x).error * 1.01 + 1e-9).all()


@pytest.mark.parametrize("k", [1, 2])
def test_a_matrix_times_itself_is_inside(k):
    rng = np.random.default_rng(k)
    x = form(rng, k, 2, (3, 3), centres(rng), 0.3, 0.3)
    built, _ = product_of(products.matmul, (3, 3), (3, 3), same=True)
    assert worst_share(rng, (x,), built(x, x), lambda v: _matmul(v, v)) <= 1


@pytest.mark.parametrize("build", [products.mul, products.matmul])
@pytest.mark.parametrize("k", [1, 2])
def test_the_error_is_a_quarter_when_the_interval_is_half(build, k):
    rng = np.random.default_rng(2)
    x, y = (form(rng, k, 5, (4, 4), centres(rng), 0.1, 0.0) for _ in range(2))
    built, _ = product_of(build, (4, 4), (4, 4))
    halves = [Form(part.centre, part.slopes / 2, part.error) for part in (x, y)]
    assert (built(*halves).error <= built(x, y).error * 0.26 + 1e-11).all()


def test_for_one_parameter_only_half_of_the_square_is_lost():
    one = torch.ones(1, 1, dtype=torch.float64)
    x = Form(one, one[None], one * 0)
    result = product_of(products.mul, (1,), (1,))[0](x, x)
    low, high = result.centre - 2 - result.error, result.centre + 2 + result.error
    assert abs(low.item() + 1) < 1e-9
    assert abs(high.item() - 4) < 1e-9


@pytest.mark.parametrize("build", [products.mul, products.matmul])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_nothing_known_stays_nothing_known(build, bad):
    rng = np.random.default_rng(2)
    x, y = (form(rng, 1, 1, (2, 2), centres(rng), 0.1, 0.5) for _ in range(2))
    y.error[0, 1, 1] = bad
    for left, right in ((x, y), (y, x)):
        assert not torch.isfinite(product_of(build, (2, 2), (2, 2))[0](left, right).error[0, 1, 1])


@pytest.mark.parametrize(
    ("build", "exact", "shapes"),
    [(products.mul, _mul, ((2, 3), (3,))), (products.matmul, _matmul, ((2, 3), (3, 4)))],
)
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("width", [0.0, 1e-6, 1.0])
def test_exact_products_are_inside_in_float32(build, exact, shapes, k, width):
    rng = np.random.default_rng(k)
    built, _ = product_of(build, *shapes, dtype=torch.float32)
    for share in (0.0, 0.3, 1.0):
        x, y = (form(rng, k, 2, shape, centres(rng), width, share).to(torch.float32) for shape in shapes)
        assert worst_share(rng, (x, y), built(x, y), exact, 12) <= 1
    square, _ = product_of(products.mul, (3,), (3,), same=True, dtype=torch.float32)
    x = form(rng, k, 2, (3,), centres(rng), width, 0.3).to(torch.float32)
    assert worst_share(rng, (x,), square(x, x), elementwise(lambda v: v * v), 12) <= 1
