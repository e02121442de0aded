from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.forms.form import Form
from tests.glocert.forms.exactness import member, outside, parameters, random_form
from tests.glocert.segments.rational import exactly


@pytest.mark.parametrize("slopes", [1, 2, 3])
def test_lines_of_a_form_made_of_lines_are_not_copied(slopes):
    lines = torch.rand(1 + slopes, 4, 2, 3, dtype=torch.float64)
    for stored in (lines, lines.permute(0, 1, 3, 2), lines[:, ::2]):
        form = Form.of(stored, torch.zeros_like(stored[0]))
        assert form.lines().data_ptr() == stored.data_ptr()
        assert torch.equal(form.lines(), stored)


@pytest.mark.parametrize("slopes", [1, 2])
def test_a_flat_form_finds_its_way_back(slopes):
    lines = torch.rand(1 + slopes, 4, 2, 3, 5, dtype=torch.float64)
    for stored in (lines, lines.permute(0, 1, 4, 2, 3), lines[..., ::2], lines[:, :, :1]):
        form = Form.of(stored, stored.sum(0).contiguous())
        flat, restored = form.flat()
        assert flat.centre.shape == flat.error.shape == (form.centre.numel(),)
        again = restored(Form.of(flat.lines() * 2, flat.error + 1))
        assert torch.equal(again.lines(), stored * 2)
        assert torch.equal(again.error, form.error + 1)


def test_lines_of_separate_tensors_are_joined():
    centre, slopes = torch.rand(4, 3, dtype=torch.float64), torch.rand(2, 4, 3, dtype=torch.float64)
    form = Form(centre, slopes, torch.zeros_like(centre))
    assert torch.equal(form.lines(), torch.cat([centre[None], slopes]))


def test_parts_of_one_tensor_that_do_not_follow_each_other_are_joined():
    block = torch.rand(5, 4, 3, dtype=torch.float64)
    for centre, slopes in ((block[0], block[2:]), (block[4], block[:2]), (block[0], block[1::2])):
        form = Form(centre, slopes, torch.zeros_like(centre))
        assert torch.equal(form.lines(), torch.cat([centre[None], slopes]))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_bounds_hold_for_every_member(seed, dtype):
    rng = np.random.default_rng(seed)
    form = random_form(rng, (5,), slopes=seed % 3 + 1, dtype=dtype)
    low, high = (exactly(end.double().numpy()) for end in form.bounds())
    peak, reach = exactly(form.peak().double().numpy()), exactly(form.reach().double().numpy())
    magnitude, centre = exactly(form.magnitude().double().numpy()), exactly(form.centre.double().numpy())
    for _ in range(10):
        exact = member(rng, form, parameters(rng, len(form.slopes)))
        assert (low <= exact).all()
        assert (exact <= high).all()
        assert (abs(exact) <= peak).all()
        assert (abs(exact - centre) <= reach).all()
    assert (magnitude >= abs(exactly(form.lines().double().numpy())).sum(axis=0)).all()


@pytest.mark.parametrize("field", ["centre", "slopes", "error"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_bound_nothing(field, value):
    form = random_form(np.random.default_rng(0), (2,))
    getattr(form, field).fill_(value)
    low, high = form.bounds()
    assert not (torch.isfinite(low) & torch.isfinite(high)).any()
    assert not ((low >= 0) & (high <= 1e300)).any()
    assert not (high <= 0).any()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shrunk", [1.0, 1e-30, 1e-45, 1e-60])
def test_rounding_to_float32_keeps_every_member(seed, shrunk):
    rng = np.random.default_rng(seed)
    wide = random_form(rng, (5,), slopes=seed % 3 + 1)
    wide = Form.of(wide.lines() * shrunk, wide.error * shrunk)
    narrow = wide.to(torch.float32)
    for _ in range(5):
        u = parameters(rng, len(wide.slopes))
        assert outside(narrow, member(rng, wide, u), u) <= 1.0
    again = narrow.to(torch.float64)
    assert torch.equal(again.lines().float(), narrow.lines())
    assert torch.equal(again.error.float(), narrow.error)


def test_numbers_that_float32_does_not_have_are_not_known():
    narrow = Form.of(torch.full((2, 1, 1), 1e39, dtype=torch.float64), torch.zeros(1, 1).double())
    assert not torch.isfinite(narrow.to(torch.float32).error).any()
