from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.boxes import symbols
from glocert.boxes.boxes import Boxes
from glocert.boxes.symbols import Naming, promoted, scores
from glocert.forms import prepare
from glocert.forms.form import Form
from tests.glocert.boxes.planes import network, random_plane
from tests.glocert.boxes.planes import scores as exact_scores
from tests.glocert.forms.exactness import ROWS, random_form
from tests.glocert.segments.rational import exactly


@given(seed=st.integers(0, 2**32 - 1), most=st.integers(0, 5))
def test_every_row_keeps_its_range(seed, most):
    rng = np.random.default_rng(seed)
    form = random_form(rng, (2, 3), slopes=2)
    named, origin = promoted(form, Naming(most, float(rng.random())), 2)
    extra = exactly(named.slopes[2:].numpy())
    total = exactly(named.error.numpy()) + abs(extra).sum(axis=0)
    assert (total == exactly(form.error.numpy())).all()
    assert torch.equal(named.lines()[:3], form.lines())
    assert (extra != 0).sum(axis=(2, 3)).max(initial=0) <= 1, "a symbol is one number of a row"
    assert origin.shape == (2, len(extra), ROWS)
    assert (origin.sum(0) <= 1 + 1e-12).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), most=st.sampled_from([0, 1, 3, 50]))
def test_scores_hold_everywhere_on_boxes(seed, most):
    rng = np.random.default_rng(seed)
    plane, graph = random_plane(rng, 2, 3), network(rng, 3)
    boxes = Boxes.whole(2)
    for _ in range(int(rng.integers(0, 5))):
        boxes = boxes.halves(rng.integers(0, 2, len(boxes)))
    enclosed = plane.enclose(torch.from_numpy(boxes.middle), torch.from_numpy(boxes.half))
    named = scores(prepare(graph), Form.of(enclosed.lines, enclosed.error), Naming(most, 1.0))
    centre, slopes = exactly(named.form.centre.numpy()), exactly(named.form.slopes.numpy())
    rest = abs(slopes[2:]).sum(axis=0) + exactly(named.form.error.numpy())
    for _ in range(5):
        u = exactly(rng.integers(-2, 3, boxes.lower.shape).astype(object)) / 2
        t = exactly(boxes.middle) + u * exactly(boxes.half)
        truth = exact_scores(graph, plane.exact(t))
        line = centre + (slopes[:2] * u.T[:, :, None]).sum(axis=0)
        assert (abs(truth - line) <= rest).all()


def test_symbols_cancel_where_two_branches_meet():
    """``relu(x) - relu(x)`` written as two branches of one activation is zero, not twice the error."""
    rng = np.random.default_rng(0)
    plane, graph = random_plane(rng, 2, 3), network(rng, 3)
    enclosed = plane.enclose(torch.full((1, 2), 0.5).double(), torch.full((1, 2), 0.5).double())
    form = Form.of(enclosed.lines, enclosed.error)
    program = prepare(graph)
    plain, named = (scores(program, form, Naming(most, 1.0)).form for most in (0, 50))
    widths = [(high - low).sum() for low, high in (plain.bounds(), named.bounds())]
    assert widths[1] < widths[0]


def test_a_planted_mistake_is_seen(monkeypatch: pytest.MonkeyPatch):
    """Symbols of two branches that are given the same place cancel although they are strangers."""
    monkeypatch.setattr(symbols, "padded", lambda form, slopes: form)

    def wrong(seed: int) -> bool:
        try:
            test_scores_hold_everywhere_on_boxes.hypothesis.inner_test(seed, 3)
        except (AssertionError, RuntimeError):
            return True
        return False

    assert any(wrong(seed) for seed in range(10))
