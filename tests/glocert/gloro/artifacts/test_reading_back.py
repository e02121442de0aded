"""Our own importers find the network inside a wrapped file, and bound it as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from glocert.errors import ModelRejected
from glocert.gloro.artifacts.wrapped import Wrapped
from glocert.gloro.wrap import WRITERS
from glocert.graph.formats import read
from glocert.graph.limits import Limits
from glocert.graph.normal import normal_digest
from glocert.graph.run import run
from glocert.lipschitz.network import bound

from .conftest import network


@pytest.mark.parametrize("output", [None, "logits", "logits_bot"])
@pytest.mark.parametrize("kind", WRITERS)
def test_the_scores_inside_are_imported(
    folder: Path, summary: dict[str, Any], wrapped: Wrapped, kind: str, output: str | None
) -> None:
    data = (folder / WRITERS[kind][0]).read_bytes()
    imported = read(data, None, input_shape=None, output=output, limits=Limits()).imported
    graph = imported.graph
    assert imported.format == kind
    assert graph.output_shape == (5,)
    x = torch.rand(16, 1, 6, 6)
    assert torch.allclose(run(graph, x), run(wrapped.network, x), atol=1e-6)
    assert normal_digest(graph) == normal_digest(wrapped.network)
    assert any("used" in note for note in graph.notes)


@pytest.mark.parametrize("kind", WRITERS)
def test_sorted_pairs_keep_their_constant(
    folder: Path, summary: dict[str, Any], wrapped: Wrapped, kind: str
) -> None:
    data = (folder / WRITERS[kind][0]).read_bytes()
    found = bound(read(data, None, input_shape=None, output=None, limits=Limits()).imported.graph)
    assert [part.norm.method for part in found.parts].count("sorts pairs") == 2
    assert torch.allclose(found.pairs, wrapped.bound.pairs, rtol=1e-9)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("output", ["label", "radius"])
def test_other_outputs_are_refused_by_name(
    folder: Path, summary: dict[str, Any], kind: str, output: str
) -> None:
    if kind == "torchscript":
        output = {"label": "1", "radius": "3"}[output]
    data = (folder / WRITERS[kind][0]).read_bytes()
    with pytest.raises(ModelRejected):
        read(data, None, input_shape=(1, 6, 6), output=output, limits=Limits())


def test_a_module_that_only_has_a_part_of_that_name_is_read_as_a_whole() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x) * 2

    import io

    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(Twice().eval(), torch.zeros(1, 1, 6, 6)), file)
    graph = read(file.getvalue(), None, input_shape=(1, 6, 6), output=None, limits=Limits()).imported.graph
    x = torch.rand(4, 1, 6, 6)
    assert torch.allclose(run(graph, x), network()(x) * 2, atol=1e-5)
