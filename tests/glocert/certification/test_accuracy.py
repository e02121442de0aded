from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glocert.certification.accuracy import clean_accuracy, near_chance
from glocert.spec import Preprocessing


def test_accuracy_of_the_sample_in_both_formats(digits):
    outcomes = [clean_accuracy(case, range(60)) for case in digits.values()]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]["clean_accuracy"] == outcomes[0]["correct"] / 60 >= 0.9
    assert "warning" not in outcomes[0]


def test_batches_and_selections_count_the_same(digits):
    case = digits["onnx"]
    whole = clean_accuracy(case, range(60))["correct"]
    parts = [clean_accuracy(case, range(first, first + 20))["correct"] for first in (0, 20, 40)]
    assert sum(parts) == whole
    assert clean_accuracy(case, range(60), batch_bytes=1)["correct"] == whole


@pytest.mark.parametrize("wrong", [Preprocessing(mean=(-5.0,)), Preprocessing(mean=(10.0,), std=(0.1,))])
def test_a_wrong_normalisation_is_warned_of(digits, wrong):
    outcome = clean_accuracy(replace(digits["onnx"], preprocessing=wrong), range(60))
    assert outcome["clean_accuracy"] < 0.3
    assert "scale, mean, std, layout" in outcome["warning"]


def test_forgotten_scaling_is_warned_of(digits):
    outcome = clean_accuracy(replace(digits["onnx"], preprocessing=Preprocessing(scale=False)), range(60))
    assert "60 of 60 inputs leave the domain [0, 1]" in outcome["warning"]


def test_unlabelled_data_have_no_accuracy(digits):
    outcome = clean_accuracy(replace(digits["onnx"], labels=None), range(10))
    assert outcome == {"clean_accuracy": None, "inputs": 10, "correct": None}


def test_no_input_no_accuracy(digits):
    assert clean_accuracy(digits["onnx"], []) == {"clean_accuracy": None, "inputs": 0, "correct": None}


@pytest.mark.parametrize(
    ("correct", "inputs", "classes", "expected"),
    [
        (98, 100, 10, False),
        (20, 100, 10, False),
        (18, 100, 10, True),
        (140, 1000, 10, True),
        (151, 1000, 10, False),
        (5, 10, 2, True),
        (10, 10, 2, False),
        (0, 1, 10, True),
        (1, 1, 10, False),
    ],
)
def test_where_chance_ends(correct, inputs, classes, expected):
    assert near_chance(correct, inputs, classes) is expected


def test_scores_that_are_not_finite_are_no_answers(make_case, affine):
    case = make_case(affine([[1e300], [-1e300]], [0.0, 0.0]), np.ones((3, 1), np.float32), [0, 0, 0])
    assert clean_accuracy(case, range(3))["correct"] == 0
