from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.segments.envelope import corners

numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-5, 5, width=32))
bundles = st.integers(1, 6).flatmap(
    lambda lines: st.lists(
        st.tuples(*[st.lists(numbers, min_size=lines, max_size=lines)] * 2), min_size=1, max_size=5
    )
)


@given(bundles)
def test_the_envelope_is_the_maximum_of_the_lines(pairs):
    left, right = (torch.tensor([pair[side] for pair in pairs], dtype=torch.float64) for side in (0, 1))
    bundle, ratio, line, first = corners(left, right)
    for row in range(len(pairs)):
        mine = bundle == row
        starts = np.append(0.0, ratio[mine].numpy())
        winners = np.append(first[row].numpy(), line[mine].numpy())
        assert (np.diff(starts) >= -1e-12).all()
        for s in np.linspace(0, 1, 41):
            winner = winners[np.searchsorted(starts, s, side="right") - 1]
            values = left[row] + s * (right[row] - left[row])
            assert values[winner] >= values.max() - 1e-12


def test_equal_lines_have_no_corner():
    lines = torch.ones(1, 3, dtype=torch.float64)
    assert len(corners(lines, lines)[0]) == 0


def test_of_lines_met_together_the_steepest_takes_over():
    left = torch.tensor([[0.0, -1.0, -2.0]], dtype=torch.float64)
    right = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64)
    bundle, ratio, line, first = corners(left, right)
    assert (bundle.tolist(), ratio.tolist(), line.tolist(), first.tolist()) == ([0], [0.5], [2], [0])


def test_lines_that_do_not_exist_never_win():
    left = torch.tensor([[-np.inf, -1.0, -2.0], [-np.inf, -np.inf, -5.0]], dtype=torch.float64)
    right = torch.tensor([[-np.inf, -2.0, -1.0], [-np.inf, -np.inf, 4.0]], dtype=torch.float64)
    bundle, ratio, line, first = corners(left, right)
    assert (bundle.tolist(), ratio.tolist(), line.tolist(), first.tolist()) == ([0], [0.5], [2], [1, 2])


def test_of_lines_that_start_together_the_steepest_is_first():
    left = torch.tensor([[3.0, 3.0, -1.0, 1.0]], dtype=torch.float64)
    right = torch.tensor([[-2.0, 0.0, 3.0, 0.0]], dtype=torch.float64)
    bundle, ratio, line, first = corners(left, right)
    assert (bundle.tolist(), line.tolist(), first.tolist()) == ([0], [2], [1])
    assert abs(float(ratio) - 4 / 7) < 1e-15
