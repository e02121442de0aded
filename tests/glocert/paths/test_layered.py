from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.boxes import certify
from glocert.errors import InvalidSpec
from glocert.paths import layered, patterns
from glocert.paths.items import Items
from glocert.paths.layered import Layered
from glocert.paths.motions import Rotation, Translation
from glocert.paths.request import box
from glocert.spec import Mutation, Preprocessing, Verdict
from tests.glocert.paths.warping import excess, true_pixel
from tests.glocert.segments.networks import Draft
from tests.glocert.segments.rational import exactly

STORED = np.random.default_rng(5).integers(0, 256, (4, 6, 5), dtype=np.uint8)
ITEMS = Items(STORED, (1, 6, 5), Preprocessing())
SHAPE = (1, 6, 5)
BRIGHTNESS = {"type": "brightness", "from": -0.1, "to": 0.3}
CONTRAST = {"type": "contrast", "from": 0.6, "to": 1.4, "about": 0.3}
LAYERS = [
    BRIGHTNESS,
    CONTRAST,
    {"type": "noise", "from": 0.0, "to": 0.1, "seed": 3},
    {"type": "fog", "from": 0.0, "to": 0.7, "seed": 2},
    {"type": "blend", "from": 0.1, "to": 0.5, "overlay": {"level": 0.25}},
    {"type": "chord", "from": 0.0, "to": 1.0, "item": 3},
]
ROTATION = {"type": "rotation", "from": -10.0, "to": 25.0}


def box_of(*requests) -> Layered:
    return box([Mutation.from_json(request) for request in requests], ITEMS[1], items=ITEMS)


def applied(request, x, share):
    """What a mutation does to exact numbers, written again."""
    start, stop = Fraction(request["from"]), Fraction(request["to"])
    p = start + share * (stop - start)
    if request["type"] == "brightness":
        return x + p
    if request["type"] == "contrast":
        about = Fraction(request["about"])
        return about + p * (x - about)
    if request["type"] == "noise":
        return x + p * exactly(patterns.signs(request["seed"], SHAPE))
    if request["type"] == "chord":
        other = exactly(ITEMS[3].astype(np.float64))
    elif request["type"] == "blend":
        other = exactly(np.full(SHAPE, request["overlay"]["level"]))
    else:
        other = exactly(patterns.fog(request["seed"], *SHAPE[1:]))
    return (1 - p) * x + p * other


def random_box(rng, k):
    middle = rng.random(k)
    half = np.minimum(np.minimum(middle, 1 - middle), rng.choice([0.5, 0.1, 1e-3, 1e-9, 0.0], k))
    return torch.from_numpy(middle)[None], torch.from_numpy(half)[None]


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), chosen=st.lists(st.sampled_from(LAYERS), min_size=2, max_size=3))
def test_exact_images_are_in_the_enclosure(seed, chosen):
    rng = np.random.default_rng(seed)
    path = box_of(*chosen)
    middle, half = random_box(rng, len(chosen))
    found = path.loaded(torch.device("cpu")).enclose(middle, half)
    lines, error = exactly(found.lines[:, 0].numpy()), exactly(found.error[0].numpy())
    for _ in range(4):
        u = [Fraction(int(n), 2) for n in rng.integers(-2, 3, len(chosen))]
        x = exactly(ITEMS[1].astype(np.float64))
        for request, m, h, v in zip(chosen, middle[0].tolist(), half[0].tolist(), u, strict=True):
            x = applied(request, x, Fraction(m) + Fraction(h) * v)
        line = lines[0] + sum(s * v for s, v in zip(lines[1:], u, strict=True))
        assert (abs(x - line) <= error).all()


def test_a_planted_mistake_is_seen(monkeypatch: pytest.MonkeyPatch):
    """Without the mixed term of two parameters, corners are outside."""
    honest = layered._applied

    def careless(image, gain, shift):
        found = honest(image, gain, shift)
        mixed = gain.lines[1].abs() * image.lines[1:].abs().sum(0)
        return layered.Enclosure(found.lines, found.error - mixed)

    monkeypatch.setattr(layered, "_applied", careless)
    with pytest.raises(AssertionError):
        test_exact_images_are_in_the_enclosure.hypothesis.inner_test(0, [CONTRAST, LAYERS[3]])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_true_rotations_with_contrast_are_in_the_enclosure(order):
    """The motion acts first wherever it is listed, and parameters keep their places."""
    requests = [ROTATION, CONTRAST]
    path = box_of(*(requests[at] for at in order))
    rng = np.random.default_rng(1)
    image, motion = ITEMS[1].astype(np.float64), Rotation(-10.0, 25.0)
    for _ in range(12):
        middle, half = random_box(rng, 2)
        found = path.loaded(torch.device("cpu")).enclose(middle, half)
        u = [Fraction(int(n), 2) for n in rng.integers(-2, 3, 2)]
        t = [
            Fraction(float(m)) + Fraction(float(h)) * v for m, h, v in zip(middle[0], half[0], u, strict=True)
        ]
        place = tuple(int(rng.integers(n)) for n in SHAPE)
        turned = true_pixel(image, motion, [t[order.index(0)]], place)
        p = Fraction(0.6) + t[order.index(1)] * (Fraction(1.4) - Fraction(0.6))
        factor = float(p)  # the pixel has forty digits, the factor sixteen: far below any error here
        truth = float(Fraction(0.3)) + factor * (turned - float(Fraction(0.3)))
        if float(half.max()) > 1e-6:
            assert excess(found, 0, place, u, truth) <= 1.0
    near = path.at([0.25, 0.75])
    centre = path.loaded(torch.device("cpu")).enclose(
        torch.tensor([[0.25, 0.75]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    )
    assert (abs(near - centre.lines[0, 0].numpy()) <= centre.error[0].numpy() + 1e-12).all()


def test_two_translations_are_one_motion_of_two_parameters():
    path = box_of({"type": "translation", "x": 2.0, "y": 0.0}, {"type": "translation", "x": 0.0, "y": 1.5})
    middle = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    found = path.loaded(torch.device("cpu")).enclose(middle, torch.full_like(middle, 0.01))
    image = ITEMS[1].astype(np.float64)
    moved = Translation((0.0, 0.0), (1.0, 0.375))
    for place in np.ndindex(*SHAPE):
        assert (
            excess(found, 0, place, [Fraction(0)] * 2, true_pixel(image, moved, [Fraction(1)], place)) <= 1.0
        )


def test_the_corner_of_neutral_parameters_is_the_item():
    path = box_of({**BRIGHTNESS, "from": 0.0}, {"type": "rotation", "from": 0.0, "to": 20.0})
    assert np.allclose(path.at([0.0, 0.0]), ITEMS[1], atol=1e-12)


@pytest.mark.parametrize(
    "requests",
    [
        [BRIGHTNESS],
        [BRIGHTNESS] * 4,
        [ROTATION, {"type": "blur", "sigma": 1.0}],
        [{"type": "blur", "sigma": 1.0}] * 2,
        [{"type": "composite", "steps": [BRIGHTNESS]}, BRIGHTNESS],
    ],
)
def test_what_cannot_be_had_at_once_is_refused(requests):
    with pytest.raises(InvalidSpec, match="at once"):
        box_of(*requests)


def test_a_network_is_certified_on_rotation_times_brightness():
    """A network that compares the upper half with the lower one keeps its answer while little is turned."""
    half = np.where(np.arange(30) < 15, 1.0, -1.0)
    draft = Draft(*SHAPE)
    level = draft.gemm(draft.flat("x"), np.stack([half, -half]), [0.0, 0.0])
    graph = draft.graph(draft.relu(level))
    path = box_of({"type": "rotation", "from": 0.0, "to": 8.0}, {**BRIGHTNESS, "from": 0.0})
    scores = half @ path.at([0.0, 0.0]).ravel()
    report = certify(graph, path, int(scores < 0), gap=0.05)
    assert report.verdict in (Verdict.CERTIFIED, Verdict.FALSIFIED)
    assert report.robust_mass.upper - report.robust_mass.lower <= 0.05
    rng = np.random.default_rng(0)
    t = rng.random((300, 2))
    truth = [((half @ path.at(row).ravel()) < 0) == (scores < 0) for row in t]
    slack = 5 * 0.5 / np.sqrt(len(t))
    assert report.robust_mass.lower - slack <= np.mean(truth) <= report.robust_mass.upper + slack
