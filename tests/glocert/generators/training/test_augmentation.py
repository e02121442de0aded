"""The mutations of batches are those that are certified."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.generators.training.augmentation import drawn, mutated, varied
from glocert.paths.items import Items
from glocert.paths.request import path
from glocert.spec import Mutation, Preprocessing
from glocert.spec_ranges import EXPLICIT, Ranges

VALUES = {
    "brightness": 0.3, "contrast": 1.7, "noise": 0.2, "fog": 0.4, "haze": 0.6, "blur": 1.3, "rotation": 25.0,
    "scaling": 1.2, "shear": 0.3, "translation": (2.5, -1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLICIT)
@pytest.mark.parametrize("shape", [(1, 9, 12), (3, 10, 10)], ids=["grey", "colour"])
def test_a_batch_is_mutated_as_one_image_is(name, shape):
    image = np.random.default_rng(3).random(shape, dtype=np.float32)
    value = VALUES[name]
    if name == "translation":
        asked = Mutation.from_json({"type": name, "x": value[0], "y": value[1]})
    elif name == "blur":
        asked = Mutation.from_json({"type": name, "sigma": value})
    else:
        asked = Mutation(name, value, value)
    items = Items(image[None], shape, Preprocessing())
    expected = np.clip(path(asked, image, items=items).at([1.0]), 0.0, 1.0)
    found = mutated(torch.from_numpy(image)[None], name, torch.tensor([value]))
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-5)


def test_ends_only_are_drawn_on_request():
    draw = torch.Generator().manual_seed(0)
    ranges = Ranges({"rotation": (-30.0, 30.0), "scaling": (0.8, 1.2)}, endpoints=True)
    assert set(drawn("rotation", ranges, 200, draw).tolist()) == {-30.0, 0.0, 30.0}
    assert {round(value, 6) for value in drawn("scaling", ranges, 200, draw).tolist()} == {0.8, 1.0, 1.2}
    between = drawn("rotation", Ranges(ranges.ends), 200, draw)
    assert len(set(between.tolist())) > 190
    assert -30 <= float(between.min()) < -25
    assert 25 < float(between.max()) <= 30


def test_every_image_gets_its_own_parameter_and_the_same_draw_the_same():
    images = torch.rand(1, 1, 9, 9).expand(6, 1, 9, 9).contiguous()
    ranges = Ranges(Ranges.from_json({"rotation": 30, "brightness": 0.2}))
    first, second = (varied(images, ranges, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert len({image.numpy().tobytes() for image in first}) == 6
    assert torch.equal(varied(images, Ranges({}), torch.Generator()), images)
