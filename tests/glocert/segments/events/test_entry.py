"""How paths enter a network, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from glocert.paths.segment import Segment
from glocert.segments.events import network
from glocert.segments.events.entry import lines
from tests.glocert.segments.networks import Draft


def image_network():
    """Channels lie last in memory, so inputs come in another order."""
    draft = Draft(2, 3, 4)
    weight = np.ones((1, 2, 2, 2), np.float32)
    return network.prepare(draft.graph(draft.flat(draft.relu(draft.conv("x", weight, None)))))


def test_every_point_of_the_stored_path_is_within_the_error():
    rng = np.random.default_rng(0)
    made = image_network()
    shape, wide = (2, 3, 4), rng.standard_normal((3, 2, 3, 4)) * 10.0 ** rng.integers(-8, 8, (3, 2, 3, 4))
    paths = [Segment(wide[at], rng.standard_normal(shape), np.full(shape, at * 2.0**-60)) for at in range(3)]
    found = [part.tolist() for part in lines(made, paths)]
    for at, path in enumerate(paths):
        for i, place in enumerate(made.entry.tolist()):
            a, b, radius = (Fraction(part.flat[place]) for part in (path.start, path.stop, path.radius))
            start, change, off = (Fraction(part[at][i]) for part in found)
            for t in (Fraction(0), Fraction(1, 3), Fraction(1)):
                assert abs(start + t * change - (a + t * (b - a))) + radius <= off
            assert off <= radius + (abs(a) + abs(b)) * Fraction(2.0**-48)


def test_arrays_of_any_layout_enter():
    made, stored = image_network(), np.arange(24.0).reshape(4, 3, 2)
    view = stored.transpose(2, 1, 0)
    still = np.broadcast_to(np.float64(0.0), view.shape)
    start, change, _ = lines(made, [Segment(view, view[::-1], still)])
    assert start[0].tolist() == view.reshape(-1)[made.entry].tolist()
    assert change[0].tolist() == (view[::-1] - view).reshape(-1)[made.entry].tolist()
