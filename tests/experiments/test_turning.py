"""The study of latent rotation: what it follows, and how it compares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.study import rectangles, turning
from experiments.study.asking import PLAIN, Classifier, asked
from experiments.study.courses import Course, agreement
from experiments.study.generators import Generator
from glocert.generators.training.chain import Chain, Shaped
from glocert.graph.ir import Graph
from glocert.paths.generated import picturing
from glocert.paths.segment import Segment
from glocert.spec import Analysis

ANGLES = np.arange(0.0, 31.0, 3.0)


def bars(angles: np.ndarray) -> np.ndarray:
    still = np.full(len(angles), 16.0)
    return rectangles.pictures(still, still, 0 * still + 20.0, 0 * still + 7.0, angles) / 255.0


@pytest.mark.parametrize("follow", [Course.of_smallest, Course.of_all])
def test_a_bar_turns_as_far_as_it_is_turned(follow):
    found = follow(bars(ANGLES))
    assert found.turned == pytest.approx(30.0, abs=1.5)
    assert found.forward(0.5)
    np.testing.assert_allclose(found.angles - found.angles[0], ANGLES, atol=1.5)
    assert not follow(bars(ANGLES[::-1])).forward(0.5)
    assert not follow(bars(np.array([0.0, 9.0, 3.0, 15.0]))).forward(0.5)


def test_what_disappears_does_not_turn():
    for follow in (Course.of_smallest, Course.of_all):
        gone = follow([*bars(ANGLES[:3]), np.zeros((32, 32))])
        assert (gone.turned, gone.forward(1.0)) == (0.0, False)


def test_courses_are_compared_from_their_own_starts():
    one, other = Course(np.array([5.0, 10.0, 20.0])), Course(np.array([40.0, 47.0, 55.0]))
    assert agreement([one, one], [one, other]) == pytest.approx(1.0)
    assert agreement([one], [other]) == 2.0


def plain(shape: tuple[int, ...], *layers: torch.nn.Module) -> Graph:
    return Chain(shape, layers).graph()


def test_of_a_generator_that_copies_a_latent_rotation_is_a_cross_fade():
    """Codes are images here: the answers must be those of the segment between a digit and its mutant."""
    torch.manual_seed(0)
    digits = torch.from_numpy(bars(np.array([5.0, 40.0]))[:, None, 2:30, 2:30]).float()
    size = 28 * 28
    copies = Generator(
        picturing(plain((size,), Shaped(1, 28, 28)), turning.SHAPE, PLAIN),
        plain(turning.SHAPE, Shaped(size)),
        [],
    )
    hidden = [Shaped(size), torch.nn.Linear(size, 30), torch.nn.ReLU(), torch.nn.Linear(30, 3)]
    classifier = Classifier(plain(turning.SHAPE, *hidden), turning.SHAPE)
    pairs = turning._encoded(
        copies, classifier, digits, torch.from_numpy(classifier.predictions(digits.numpy()))
    )
    assert len(pairs.labels) == 2
    followed = turning._followed(pairs)
    assert followed["turned"]["true"] == pytest.approx(30.0, abs=1.5)
    by_step = followed["psnr_by_step"]
    assert min(by_step[0], by_step[-1]) > 60 > 25 > by_step[turning.STEPS // 2]
    answers = turning._answers(copies, classifier, pairs)
    chords = [
        (Segment(start.numpy(), stop.numpy(), np.zeros(turning.SHAPE)), label)
        for start, stop, label in zip(
            pairs.true[:, :1], pairs.true[:, -1:], pairs.labels.tolist(), strict=True
        )
    ]
    expected = asked(classifier.program, chords, Analysis.QUANTITATIVE)
    for (found, _), (report, _) in zip(answers["latent"], expected, strict=True):
        assert found.verdict == report.verdict
        assert found.robust_mass.lower == pytest.approx(report.robust_mass.lower, abs=2e-3)
    compared = turning._compared(answers)
    assert sum(compared["both"].values()) == 2
    assert 0 <= compared["largest_gap"] <= 1e-3


def test_digits_that_the_generator_cannot_make_do_not_count():
    black = Generator(
        picturing(plain((2,), torch.nn.Linear(2, 784), Shaped(1, 28, 28)), turning.SHAPE, PLAIN),
        plain(turning.SHAPE, Shaped(784), torch.nn.Linear(784, 2)),
        [],
    )
    classifier = Classifier(plain(turning.SHAPE, Shaped(784), torch.nn.Linear(784, 3)), turning.SHAPE)
    digits = torch.rand(3, *turning.SHAPE)
    labels = torch.from_numpy(classifier.predictions(digits.numpy()))
    with pytest.raises(SystemExit, match="needs more epochs"):
        turning._encoded(black, classifier, digits, labels)
