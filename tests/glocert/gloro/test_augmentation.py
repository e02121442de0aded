"""Variants of images: what moves, what stays, and that a seed decides all of it."""

from __future__ import annotations

import torch

from glocert.gloro.augmentation import shifted, varied, warped
from glocert.gloro.recipe import Recipe


def spot(count: int, side: int = 9) -> torch.Tensor:
    images = torch.zeros(count, 1, side, side)
    images[:, 0, side // 2, side // 2 + 3] = 1.0
    return images


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shifted_images_keep_their_pixels() -> None:
    images = torch.zeros(200, 1, 5, 5)
    images[:, 0, 2, 2] = 1.0
    moved = shifted(images, 2, draws())
    assert moved.shape == images.shape
    assert torch.equal(moved.flatten(1).sum(1), torch.ones(200))
    assert len({tuple(row.nonzero().flatten().tolist()) for row in moved.flatten(1)}) == 25


def test_nothing_asked_for_changes_nothing_and_features_stay() -> None:
    images = torch.rand(4, 2, 5, 6)
    assert torch.equal(varied(images, Recipe(), draws()), images)
    torch.testing.assert_close(warped(images, 0.0, 0.0, 0, draws()), images)
    features = torch.rand(4, 7)
    assert torch.equal(varied(features, Recipe(shift=2, flip=True, rotate=10.0), draws()), features)


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    images = torch.rand(400, 1, 3, 4)
    found = varied(images, Recipe(flip=True), draws())
    same = (found == images).flatten(1).all(1)
    assert 150 < int(same.sum()) < 250
    assert torch.equal(found[~same], images[~same].flip(3))


def test_turned_images_turn_about_their_middle_by_no_more_than_asked() -> None:
    found = warped(spot(300), 30.0, 0.0, 0, draws())
    axis = torch.arange(9.0) - 4
    mass = found.sum((1, 2, 3))
    across = (found[:, 0].sum(1) * axis).sum(1) / mass
    down = (found[:, 0].sum(2) * axis).sum(1) / mass
    angle = torch.rad2deg(torch.atan2(down, across))
    assert 25.0 < float(angle.abs().max()) < 33.0
    assert float(angle.mean().abs()) < 4.0
    assert torch.allclose(torch.hypot(across, down), torch.tensor(3.0), atol=0.35)


def test_resized_images_grow_and_shrink_by_no_more_than_asked() -> None:
    found = warped(spot(300), 0.0, 0.3, 0, draws())
    axis = torch.arange(9.0) - 4
    across = (found[:, 0].sum(1) * axis).sum(1) / found.sum((1, 2, 3))
    assert 3.6 < float(across.max()) < 4.0
    assert 1.999 < float(across.min()) < 2.3


def test_the_same_seed_draws_the_same() -> None:
    recipe = Recipe(shift=2, flip=True, rotate=9.0, zoom=0.2)
    images = torch.rand(20, 3, 8, 8)
    first, again, other = (varied(images, recipe, draws(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
