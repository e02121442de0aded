from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.boxes.groups import Groups, weighted
from glocert.boxes.unsafe import Inequality, Unsafe
from glocert.forms.form import Form
from tests.glocert.forms.exactness import member, model, parameters, random_form
from tests.glocert.segments.rational import exactly


def unsafe(*groups: tuple[int, ...], strict: tuple[bool, ...] = (False,) * 3) -> Unsafe:
    each = tuple(Inequality({j: Fraction(1)}, {}, Fraction(0), strict[j]) for j in range(3))
    return Unsafe(each, groups)


@given(seed=st.integers(0, 2**32 - 1))
def test_weighted_sums_hold(seed):
    rng = np.random.default_rng(seed)
    form = random_form(rng, (3,), slopes=2)
    weights = torch.from_numpy(rng.random((3, 3)))
    total = weighted(form.lines(), form.error, weights)
    for _ in range(4):
        u = parameters(rng, 2)
        truth = (member(rng, form, u) * exactly(weights.numpy())).sum(axis=1)
        assert (abs(truth - model(total, u)) <= exactly(total.error.numpy())).all()


@given(seed=st.integers(0, 2**32 - 1), strict=st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_what_is_excluded_never_happens_and_what_is_reached_always_does(seed, strict):
    rng = np.random.default_rng(seed)
    form = random_form(rng, (3,), slopes=2)
    question = unsafe((0,), (0, 1), (0, 1, 2), strict=strict)
    groups = Groups.of(question, torch.device("cpu"))
    low, high = form.bounds()
    excluded, reached = groups.excluded(form, low).numpy(), groups.reached(high).numpy()
    for _ in range(8):
        values = member(rng, form, parameters(rng, 2))
        for row, group in np.ndindex(excluded.shape):
            held = all(question.inequalities[i].holds((), values[row]) for i in question.groups[group])
            assert not (excluded[row, group] and held)
            assert held or not reached[row, group]


def test_a_sum_excludes_what_no_single_inequality_does():
    """``u <= -1/2`` and ``-u <= -1/2`` are both possible, not together."""
    lines = torch.tensor([[[0.5, 0.5]], [[1.0, -1.0]]], dtype=torch.float64)
    form = Form.of(lines, torch.zeros(1, 2, dtype=torch.float64))
    pair = Unsafe(unsafe((0,)).inequalities[:2], ((0, 1), (0,)))
    groups = Groups.of(pair, torch.device("cpu"))
    assert groups.excluded(form, form.bounds()[0]).tolist() == [[True, False]]


def test_equality_is_inside_unless_strict():
    form = Form.of(torch.zeros(1, 1, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64))
    zero = torch.zeros(1, 3, dtype=torch.float64)
    for strict in (False, True):
        groups = Groups.of(unsafe((0,), strict=(strict,) * 3), torch.device("cpu"))
        assert bool(groups.reached(zero)) is not strict
        assert bool(groups.excluded(form, zero)) is strict
