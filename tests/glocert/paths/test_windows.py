from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.paths.windows import Windows


@pytest.mark.parametrize("reach", [0.3, 1.0, 1.01, 2.0, 3.7, 4.0, 9.0, float("inf"), float("nan")])
def test_the_range_covers_every_pixel_in_reach(reach):
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.standard_normal((2, 9, 7)))
    windows = Windows.of(image, torch.zeros_like(image), 9)
    for row, column in ((0, 0), (4, 3), (8, 6)):
        place = torch.tensor([row * 7 + column])
        centre, error = windows.range(place, torch.tensor([reach], dtype=torch.float64))
        far = int(np.ceil(reach)) if np.isfinite(reach) else 99
        part = image[:, max(0, row - far) : row + far + 1, max(0, column - far) : column + far + 1].flatten(1)
        assert bool((centre[:, 0] - error[:, 0] <= part.amin(1)).all())
        assert bool((centre[:, 0] + error[:, 0] >= part.amax(1)).all())


def test_a_radius_below_rounding_is_not_lost():
    image = torch.full((1, 3, 3), 0.7, dtype=torch.float64)
    windows = Windows.of(image, torch.full_like(image, 1e-18), 3)
    _, error = windows.range(torch.tensor([4]), torch.tensor([1.0], dtype=torch.float64))
    assert float(error) >= 1e-18


def test_nothing_is_known_exactly_where_there_is_nothing():
    image = torch.zeros(1, 3, 3, dtype=torch.float64)
    windows = Windows.of(image, torch.zeros_like(image), 3)
    _, error = windows.range(torch.tensor([4]), torch.tensor([1.0], dtype=torch.float64))
    assert float(error) == 0.0
