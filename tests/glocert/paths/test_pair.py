from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec
from glocert.paths.items import Items
from glocert.paths.mutations import segment
from glocert.paths.pair import Fronts, Pair, halves, paired
from glocert.paths.segment import Segment
from glocert.spec import Mutation, Preprocessing

RNG = np.random.default_rng(0)
STORED = RNG.integers(0, 256, size=(4, 6, 5, 7), dtype=np.uint8)
ITEMS = Items(STORED, (6, 5, 7), Preprocessing())


def path(kind: str, options: dict[str, object]) -> Segment:
    front, back = halves(ITEMS[0])
    found = paired(segment(Mutation(kind, 0.0, 0.5, options), front, items=Fronts.of(ITEMS)), back)
    assert isinstance(found, Segment)
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("brightness", {}), ("contrast", {}), ("fog", {"seed": 3}), ("haze", {"seed": 3}),
        ("noise", {"seed": 1}), ("blend", {"overlay": {"item": 2}}), ("blend", {"overlay": {"level": 0.5}}),
        ("chord", {"item": 1}),
    ],
)  # fmt: skip
def test_every_mutation_changes_the_first_image_and_leaves_the_second(kind, options):
    found = path(kind, options)
    front, back = halves(ITEMS[0])
    alone = segment(Mutation(kind, 0.0, 0.5, options), front, items=Fronts.of(ITEMS))
    assert found.shape == (6, 5, 7)
    for t in (0.0, 0.3, 1.0):
        assert (found.at([t])[:3] == alone.at([t])).all()
        assert (found.at([t])[3:].astype(np.float32) == back).all()
    assert (found.radius[3:] == 0).all()
    assert (found.start[3:] == found.stop[3:]).all()
    assert not (found.start[:3] == found.stop[:3]).all()


def test_other_items_are_taken_by_their_first_image():
    far = path("chord", {"item": 1}).at([1.0])[:3]
    front, other = ITEMS[0][:3].astype(float), ITEMS[1][:3].astype(float)
    np.testing.assert_allclose(far, 0.5 * front + 0.5 * other, rtol=1e-15)
    assert Fronts.of(ITEMS).shape == (3, 5, 7)
    assert len(Fronts.of(ITEMS)) == 4


def test_any_path_can_have_an_image_behind_it():
    """A path that is no straight line, seen through the interface: same bounds in front, none lost behind."""
    front, back = halves(ITEMS[0])
    inner = segment(Mutation("brightness", 0.0, 0.5), front, items=Fronts.of(ITEMS))
    pair, line = Pair(inner, back.astype(np.float64)), paired(inner, back)
    assert (pair.shape, pair.dimensions, pair.joints) == (line.shape, 1, ())
    assert (pair.at([0.25]) == line.at([0.25])).all()
    middle, half = torch.tensor([[0.25], [0.5]]).double(), torch.tensor([[0.25], [0.0]]).double()
    one = pair.loaded(torch.device("cpu")).enclose(middle, half)
    other = line.loaded(torch.device("cpu")).enclose(middle, half)
    assert torch.equal(one.lines, other.lines)
    assert torch.equal(one.error, other.error)
    assert (one.error[:, 3:] == 0).all()


@pytest.mark.parametrize("shape", [(3, 4, 4), (8,)])
def test_what_does_not_hold_two_images_is_refused(shape):
    with pytest.raises(InvalidSpec, match="two images"):
        halves(np.zeros(shape, np.float32))
