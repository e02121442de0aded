from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.generators.decoder import Decoder
from glocert.generators.independency import POINTS, independency
from tests.glocert.generators.decoders import linear
from tests.glocert.segments.networks import Draft

ORIGIN = torch.zeros(1, 2, dtype=torch.float64)
AXES = torch.eye(2, dtype=torch.float64)


def test_directions_of_one_matrix_are_coupled_as_its_columns_are() -> None:
    weight = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    found = independency(linear(weight), ORIGIN, AXES, torch.ones(2))
    np.testing.assert_allclose(found.coupling.numpy(), [[1.0, 0.5**0.5], [0.5**0.5, 1.0]], atol=1e-12)
    np.testing.assert_allclose(found.along.numpy(), [0.5**0.5] * 2, atol=1e-12)
    np.testing.assert_allclose(found.gram.numpy(), np.eye(2))
    assert found.leakage is None
    assert "leakage_along" not in found.of(0)


def test_what_is_independent_at_the_code_may_not_be_along_the_segment() -> None:
    """Beyond x = 1 the first direction moves the pixel of the second, too."""
    draft = Draft(2)
    late = draft.relu(draft.gemm("x", np.array([[1.0, 0.0]]), np.array([-1.0])))
    both = draft.node("Concat", ["x", late], [3], axis=0)
    decoder = Decoder(draft.graph(draft.gemm(both, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 2.0]]))))
    found = independency(decoder, ORIGIN, AXES, torch.tensor([3.0, 3.0]), np.array([True, False]))
    np.testing.assert_allclose(found.coupling.numpy(), np.eye(2), atol=1e-12)
    assert float(found.along[0]) == pytest.approx(2 / 5**0.5)
    assert float(found.along[1]) == 0.0
    assert found.leakage is not None
    assert found.leakage.shape == (2, POINTS)
    np.testing.assert_allclose(found.leakage[0].numpy(), [0.0, 0.0, 0.8, 0.8, 0.8, 0.8], atol=1e-12)
    np.testing.assert_allclose(found.leakage[1].numpy(), np.ones(POINTS))


def test_a_direction_that_moves_nothing_is_coupled_with_nothing() -> None:
    found = independency(linear(np.array([[1.0, 0.0]])), ORIGIN, AXES, torch.ones(2), np.array([True]))
    assert found.coupling.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert found.leakage is not None
    assert float(found.leakage.abs().max()) == 0.0
    assert torch.isfinite(found.along).all()


def test_one_direction_has_no_other() -> None:
    found = independency(linear(np.ones((3, 2))), ORIGIN, AXES[:1], torch.ones(1))
    assert found.of(0)["coupling_along"] == 0.0
