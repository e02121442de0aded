from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec
from glocert.paths.chain import Chain
from glocert.paths.items import Items
from glocert.paths.request import TYPES, path
from glocert.paths.segment import Segment
from glocert.spec import MUTATION_UNITS, Mutation, Preprocessing

STORED = np.random.default_rng(5).integers(0, 256, (4, 6, 5), dtype=np.uint8)
REQUESTS = [
    {"type": "brightness", "from": 0.0, "to": 0.2},
    {"type": "rotation", "from": -20.0, "to": 20.0},
    {"type": "scaling", "from": 1.0, "to": 1.3},
    {"type": "shear", "from": 0.0, "to": 0.4},
    {"type": "translation", "x": 1.5, "y": -1.0},
    {"type": "blur", "sigma": 0.8},
    {
        "type": "composite",
        "steps": [
            {"type": "rotation", "from": 0.0, "to": 20.0},
            {"type": "brightness", "from": 0.0, "to": 0.2},
            {"type": "blur", "sigma": 0.8},
            {"type": "chord", "from": 0.0, "to": 1.0, "item": 3},
        ],
    },
]


def _path(request, domain=(0.0, 1.0)):
    items = Items(STORED, (1, 6, 5), Preprocessing(lower=domain[0], upper=domain[1]))
    return path(Mutation.from_json(request), items[1], items=items), items


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request["type"])
def test_every_type_becomes_a_path_that_encloses_its_images(request_):
    found, _ = _path(request_)
    assert (found.shape, found.dimensions) == ((1, 6, 5), 1)
    middle = torch.linspace(0.02, 0.98, 13, dtype=torch.float64)[:, None]
    enclosure = found.loaded(torch.device("cpu")).enclose(middle, torch.full_like(middle, 0.02))
    for u in (-1.0, 0.3, 1.0):
        images = np.stack([found.at([t + 0.02 * u]) for t in middle[:, 0].tolist()])
        away = np.abs(images - (enclosure.lines[0] + enclosure.lines[1] * u).numpy())
        assert (away <= enclosure.error.numpy() + 1e-14).all()


def test_every_type_of_the_vocabulary_has_a_path():
    assert MUTATION_UNITS.keys() == TYPES


def test_a_box_has_a_parameter_for_each_of_its_mutations():
    found, items = _path({"type": "box", "mutations": [REQUESTS[0], REQUESTS[1]]})
    assert (found.shape, found.dimensions) == ((1, 6, 5), 2)
    turned, _ = _path(REQUESTS[1])
    assert np.allclose(found.at([0.25, 0.75]), turned.at([0.75]) + 0.25 * 0.2, atol=1e-12)
    assert np.allclose(found.at([0.0, 0.5]), items[1], atol=1e-12)


def test_a_path_starts_at_from_and_the_middle_of_minus_and_plus_is_the_item():
    found, items = _path({"type": "rotation", "from": -20.0, "to": 20.0})
    assert np.allclose(found.at([0.5]), items[1], atol=1e-12)
    assert not np.allclose(found.at([0.0]), items[1], atol=1e-2)


def test_a_composite_ends_where_its_last_step_ends():
    found, items = _path(REQUESTS[-1])
    assert isinstance(found, Chain)
    assert {0.25, 0.5, 0.75} <= set(found.joints)
    assert np.allclose(found.at([1.0]), items[3], atol=1e-12)
    assert isinstance(found.steps[1], Segment)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"type": "rain", "from": 0, "to": 1}, "no mutation 'rain'"),
        ({"type": "scaling", "from": -1, "to": 1}, "factors above 0"),
        (
            {"type": "composite", "steps": [REQUESTS[0], {"type": "contrast", "from": 0.9, "to": 1.2}]},
            "step 1 does not start",
        ),
    ],
)
def test_what_cannot_be_a_path_is_refused(request_, message):
    with pytest.raises(InvalidSpec, match=message):
        _path(request_)


@pytest.mark.parametrize("kind", ["rotation", "blur"])
def test_data_without_rows_cannot_be_moved(kind):
    items = Items(np.zeros((2, 7), np.float32), (7,), Preprocessing())
    request = {"type": kind, "from": 0, "to": 1, "sigma": 1}
    with pytest.raises(InvalidSpec, match="only images"):
        path(Mutation.from_json(request), items[0], items=items)
