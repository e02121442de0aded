from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.segments import prepare
from glocert.segments.knots import Knots
from tests.glocert.segments.networks import Draft

GEOMETRIES = [
    {"kernel": (2, 2), "strides": (2, 2)},
    {"kernel": (3, 3), "strides": (1, 2), "pads": (1, 0, 1, 1)},
    {"kernel": (2, 3), "strides": (2, 2), "extra": (1, 1)},
    {"kernel": (2, 2), "strides": (1, 1), "dilations": (2, 1)},
    {"kernel": (2, 2), "strides": (3, 3)},
]


def network(geometry) -> Graph:
    draft = Draft(3, 5, 6)
    return draft.graph(draft.pool("MaxPool", "x", **geometry))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_windows_that_were_never_cut_are_charged_what_they_hide(geometry):
    rng = np.random.default_rng(0)
    graph = network(geometry)
    program = prepare(graph)
    images, incoming = rng.standard_normal((6, 3, 5, 6)), rng.random((3, 5, 6)) * 0.05
    rows = torch.stack([program.load(image) for image in images])
    bent = program.steps[0].transfer.bend(Knots(rows, program.load(incoming)), owned=False)
    values, radius = (part.index_select(-1, program.exit).numpy() for part in (bent.values, bent.radius))
    np.testing.assert_array_equal(values, execute(graph, torch.from_numpy(images)).flatten(1).numpy())
    worst = np.zeros(len(radius))
    for share in np.linspace(0, 1, 51):
        for noise in (0, 1, -1):
            moved = images[:-1] + share * (images[1:] - images[:-1]) + noise * incoming
            exact = execute(graph, torch.from_numpy(moved)).flatten(1).numpy()
            model = values[:-1] + share * (values[1:] - values[:-1])
            worst = np.maximum(worst, np.abs(exact - model).max(axis=0))
    assert (worst <= radius + 1e-15).all()
    assert worst.max() > 0.1


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_cuts_leave_nothing_to_charge(geometry):
    rng = np.random.default_rng(1)
    program = prepare(network(geometry))
    kink = program.steps[0].transfer
    rows = torch.stack([program.load(rng.standard_normal((3, 5, 6))) for _ in range(2)])
    still = torch.zeros(90, dtype=torch.float64)
    cuts = kink.cuts(torch.tensor([0.0, 1.0], dtype=torch.float64), Knots(rows, still))
    assert len(cuts) > 0
    grid = torch.cat([torch.tensor([0.0, 1.0], dtype=torch.float64), cuts]).unique()[:, None]
    refined = rows[:1] + grid * (rows[1:] - rows[:1])
    assert kink.bend(Knots(refined, still), owned=False).radius.max() < 1e-13
    assert kink.bend(Knots(refined[::2], still), owned=False).radius.max() > 1e-3
