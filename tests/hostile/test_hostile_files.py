"""Every hostile file that is made here: refused by the locked-down child itself, in little memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.registry import Hostile, files
from tests.inspecting import ACCEPTED, Inspector

LARGEST_BYTES = 2**30


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(inspection_s=60) as made:
        yield made


@pytest.mark.parametrize("file", files(), ids=lambda file: file.name)
def test_it_is_refused(inspector: Inspector, file: Hostile):
    data = file.make()
    shape = None if file.input_shape is None else list(file.input_shape)
    if file.is_data:
        outcome = inspector.dataset(data, file.name)
    else:
        outcome = inspector.model(data, file.name, input_shape=shape)
    assert outcome.end != ACCEPTED
    assert outcome.detail
    assert outcome.orderly, outcome
    assert outcome.peak_bytes < LARGEST_BYTES


def test_each_says_what_is_wrong_with_it():
    assert len(files()) > 150
    assert not [file.name for file in files() if not file.wrong]


def test_a_good_model_is_taken_after_all_that(inspector: Inspector):
    from tests.glocert.graph.onnx_models import dense

    assert inspector.model(dense().SerializeToString()).end == ACCEPTED
