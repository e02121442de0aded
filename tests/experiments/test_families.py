"""The parts of the study of families and of enabled mutations that its figures hang on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from experiments.study import explained, filters
from experiments.study.families import DISTANCE, strength
from experiments.study.generators import Generator, Way
from experiments.study.kinds import explicit, latent, rendered, styled
from glocert.generators.directions.velocity import motion
from glocert.generators.training.chain import Chain, Shaped
from glocert.generators.training.families import learner
from glocert.spec import Mutation
from glocert.spec_generator import Recipe

SHAPE = (3, 8, 8)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0.2, 0.6, SHAPE).astype(np.float32)


@pytest.fixture
def generator():
    """A generator of codes of four numbers, and an encoder, both affine."""
    torch.manual_seed(0)
    decoder = Chain((4,), [nn.Linear(4, 192), Shaped(*SHAPE)])
    encoder = Chain(SHAPE, [Shaped(192), nn.Linear(192, 4)])
    return Generator(decoder.graph(), encoder.graph(), [])


def kinds(generator):
    painter = learner(Recipe(family="style", architecture="residual", width=2), SHAPE, torch.rand(4, *SHAPE))
    vector = np.array([0.6, 0.8, 0.0, 0.0])
    return [
        explicit("geometric", "scaling", Mutation("scaling", 1.0, 1.2)),
        explicit("geometric", "translation", Mutation("translation", 0.0, 3.0, {"x": 3.0, "y": 0.0})),
        explicit("weather", "fog", Mutation("fog", 0.0, 0.6)),
        rendered("weather", "snow", filters.snow),
        styled("style", "untrained", painter.graphs()[0]),
        latent("local", "a direction", generator, Way(vector, 2.0)),
    ]


def test_every_kind_starts_at_the_picture_and_goes_on(image, generator):
    for kind in kinds(generator):
        assert kind.changed(image, 0.0) == pytest.approx(image, abs=1e-6), kind.title
        near, far = (np.linalg.norm(kind.changed(image, share) - image) for share in (0.2, 1.0))
        assert 0 < near < far, kind.title


def test_a_share_of_a_path_is_its_beginning(image, generator):
    for kind in kinds(generator):
        part, whole = kind.road(image, 0.25), kind.road(image, 1.0)
        assert part.at([1.0]) == pytest.approx(whole.at([0.25]), abs=1e-6), kind.title


def test_a_cut_is_where_the_picture_has_changed_so_much(image, generator):
    for kind in kinds(generator):
        distance = 0.4 * np.linalg.norm(kind.changed(image, 1.0) - image)
        share = kind.share_at(image, distance)
        assert np.linalg.norm(kind.changed(image, share) - image) == pytest.approx(distance, rel=1e-4)
        assert kind.share_at(image, 100.0) is None


def test_strength_is_that_of_a_known_change(image):
    brighter = explicit("weather", "brighter", Mutation("brightness", 0.0, 0.1))
    found = strength(brighter, [image])
    assert found["length"] == pytest.approx(0.1 * np.sqrt(192), rel=1e-5)
    assert found["psnr"] == pytest.approx(20.0, abs=1e-4)
    assert pytest.approx(0.1 * np.sqrt(3 * 32 * 32)) == DISTANCE


@pytest.mark.parametrize("name", ["rain", "snow", "ink", "mosaic"])
def test_filters_are_fixed_functions_into_the_domain(name):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    made = getattr(filters, name)(images)
    assert made.shape == images.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    assert torch.equal(made, getattr(filters, name)(images.clone()))
    assert float((made - images).abs().mean()) > 0.02


def test_flakes_are_white_and_leave_the_rest(image):
    black = torch.zeros(1, 3, 32, 32)
    cover = filters.snow(black)[0, 0]
    assert float(cover.max()) == pytest.approx(0.9)
    assert 0.05 < float((cover == 0).double().mean()) < 0.95
    assert filters.ink(torch.full((1, 3, 8, 8), 0.34)).unique().tolist() == pytest.approx([1 / 3])


def test_what_steps_of_the_code_make_is_explained(generator):
    codes = torch.randn(3, 4, dtype=torch.float64)
    weights = torch.from_numpy(generator.picture.parameters["layer0.weight"]).double()
    inside = (weights @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)).expand(3, -1)
    basis = torch.linalg.svd(weights, full_matrices=True).U[:, 4:]
    outside = (basis @ torch.ones(188, dtype=torch.float64)).expand(3, -1)
    outside = outside * inside[0].norm() / outside[0].norm()
    for wanted, share in ((inside, 1.0), (outside, 0.0), (inside + outside, 0.5)):
        assert explained.explained(generator, codes, wanted.view(3, *SHAPE)) == pytest.approx(share, abs=1e-9)


def test_smaller_pictures_are_enlarged_before_they_are_compared(generator):
    codes = torch.zeros(1, 4, dtype=torch.float64)
    weights = torch.from_numpy(generator.picture.parameters["layer0.weight"]).double()
    large = explained.resized(weights[:, 0].view(1, *SHAPE), 16)
    assert explained.explained(generator, codes, large) == pytest.approx(1.0, abs=1e-9)
    checked = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(8, 8).expand(1, 3, 16, 16)
    assert explained.explained(generator, codes, checked) < 0.05


def test_resizing_down_takes_means():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert explained.resized(image, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert explained.resized(image, 4) is image


@pytest.mark.parametrize(
    ("values", "place"), [([-1, 1, 1], 0.0), ([1, -1, 5], 0.5), ([3, 1, -1], 1.5), ([1, 1, 1], 2.0)]
)
def test_a_crossing_is_the_first_one(values, place):
    assert explained.crossing([0.0, 1.0, 2.0], values) == pytest.approx(place)


def test_the_velocity_of_brightness_is_one_where_nothing_is_clamped():
    way = motion(Mutation("brightness", 0.0, 1.0))
    images = torch.full((1, 1, 8, 8), 0.4)
    assert explained.velocities(way, images, 0.1).numpy() == pytest.approx(1.0)
    assert explained.velocities(way, images, 0.9).numpy() == pytest.approx(0.0)


def test_the_middle_of_codes_is_compared_with_half_the_mutation():
    """The identity as a generator: its middle is the blend of pixels, and brightness is a blend."""
    shape = (1, 8, 8)
    same = Chain(shape, [Shaped(64)]).graph(), Chain((64,), [Shaped(*shape)]).graph()
    generator = Generator(same[1], same[0], [])
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) / 2
    bright = explained.halfway(generator, motion(Mutation("brightness", 0.0, 1.0)), images, 0.3)
    assert bright["middle"] == pytest.approx(bright["blend"])
    assert min(bright.values()) > 90
    turned = explained.halfway(generator, motion(Mutation("rotation", 0.0, 1.0)), images, 40.0)
    assert turned["middle"] == pytest.approx(turned["blend"])
    assert turned["end"] > 90 > 40 > turned["middle"]
