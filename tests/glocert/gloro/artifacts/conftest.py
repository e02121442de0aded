"""A small network, wrapped and written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from glocert.certification.gloro_wrap import WrapSpec, item_shape, run
from glocert.gloro.artifacts.wrapped import Wrapped, wrap
from glocert.gloro.layers import Convolution, Dense, MinMax
from glocert.gloro.network import GloroNet
from glocert.graph.ir import Graph
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

PREPROCESSING = Preprocessing(mean=(0.25,), std=(0.5,))
EPSILON = 0.05


def network() -> GloroNet:
    torch.manual_seed(3)
    convolution = Convolution((1, 6, 6), 4, 4, 2, 1)
    hidden = Dense(convolution.output_shape, 8)
    return GloroNet([convolution, MinMax(convolution.output_shape), hidden, MinMax((8,)), Dense((8,), 5)])


def behind_preprocessing(graph: Graph) -> Graph:
    return prepend_preprocessing(graph, item_shape(graph, PREPROCESSING), PREPROCESSING)


@pytest.fixture(scope="session")
def wrapped() -> Wrapped:
    return wrap(behind_preprocessing(network().graph()), EPSILON)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifact")


@pytest.fixture(scope="session")
def summary(folder: Path) -> dict[str, Any]:
    return run(
        network().graph(), PREPROCESSING, WrapSpec(EPSILON), folder, date="2026-11-22T12:00:00Z", seconds=20
    )
