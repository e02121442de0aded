from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.certification.confirmation import ATTEMPTS, confirm, image_at, violates
from glocert.certification.runtimes import NO_LABEL, Runtimes, predictions
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.segment import Segment
from glocert.spec import Preprocessing

UNIT = Preprocessing()


def loses(label: int, margin: float = 0.0) -> Callable[[np.ndarray], bool]:
    return partial(violates, label=label, margin=margin)


def path(start: float, stop: float) -> Segment:
    return Segment(np.array([start]), np.array([stop]), np.zeros(1))


@pytest.fixture
def step(affine):
    """Class 1 wins above 0.5."""
    return Runtimes(prepend_preprocessing(affine([[0.0], [1.0]], [0.5, 0.0]), (1,), UNIT))


def test_the_first_witness_that_both_runtimes_show_is_taken(step):
    found = confirm(step, path(0, 1), [0.4, 0.5, 0.7, 0.9], wrong=loses(0, 0.0), domain=UNIT)
    assert found is not None
    assert (found.t, found.predicted, found.runtimes) == (0.7, 1, ("torch", "onnxruntime"))
    assert found.image.dtype == np.float32
    assert found.image.tolist() == [np.float32(0.7)]


def test_ties_and_right_answers_confirm_nothing(step):
    assert confirm(step, path(0, 1), [0.5, 0.2], wrong=loses(0, 0.0), domain=UNIT) is None
    assert confirm(step, path(0, 1), [], wrong=loses(0, 0.0), domain=UNIT) is None


def test_no_more_than_a_few_witnesses_are_tried(step):
    witnesses = [0.1] * ATTEMPTS + [0.9]
    assert confirm(step, path(0, 1), witnesses, wrong=loses(0, 0.0), domain=UNIT) is None
    assert confirm(step, path(0, 1), witnesses[1:], wrong=loses(0, 0.0), domain=UNIT) is not None


class Apart:
    """Two runtimes of which only one sees class 1 win, as rounding can have it."""

    def __init__(self, *rows: list[float]) -> None:
        self.rows = tuple(np.array(row, np.float32) for row in rows)

    def scores(self, _: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.rows


@pytest.mark.parametrize(
    "rows", [([0, 1], [1, 0]), ([1, 0], [0, 1]), ([0, 1], [1, 1]), ([0, 1], [0, np.nan])]
)
def test_a_runtime_that_disagrees_vetoes(rows):
    assert confirm(Apart(*rows), path(0, 1), [0.9], wrong=loses(0, 0.0), domain=UNIT) is None
    assert confirm(Apart(rows[0], rows[0]), path(0, 1), [0.9], wrong=loses(1, 9.0), domain=UNIT) is not None


@given(t=st.floats(0, 1), a=st.floats(-2, 2), b=st.floats(-2, 2))
def test_images_are_clamped_float32_points_of_the_path(t, a, b):
    image = image_at(path(a, b), t, UNIT)
    assert image.dtype == np.float32
    assert 0 <= image[0] <= 1
    assert image[0] == pytest.approx(np.clip(a + t * (b - a), 0, 1), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "margin", "expected"),
    [
        ([1.0, 2.0], 0.0, True),
        ([2.0, 2.0], 0.0, False),
        ([2.0, 1.0], 0.0, False),
        ([2.0, 1.0], 1.5, True),
        ([2.0, 1.0], 1.0, False),
        ([np.nan, 1.0], 0.0, False),
        ([0.0, np.inf], 0.0, False),
    ],
)
def test_what_counts_as_a_violation(scores, margin, expected):
    assert violates(np.array(scores, np.float32), 0, margin) is expected


def test_rows_with_a_number_that_is_not_finite_have_no_label():
    rows = np.array([[1, 3, 2], [np.nan, 0, 0], [0, np.inf, 0], [2, 2, 1]], np.float32)
    assert predictions(rows).tolist() == [1, NO_LABEL, NO_LABEL, 0]
