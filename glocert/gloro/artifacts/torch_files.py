"""A wrapped network as TorchScript (traced) and as a program of ``torch.export``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from glocert.gloro.artifacts.decision import Answer, decide
from glocert.gloro.artifacts.wrapped import Wrapped
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.graph.wrapped import INPUT, OUTPUTS, SCORES


class Network(nn.Module):
    """An inert graph as a module; its parameters are buffers."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        self._names = sorted(graph.parameters)
        for name in self._names:
            self.register_buffer(name, torch.tensor(graph.parameters[name]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        return run(self._graph, x, {name: self.get_buffer(name) for name in self._names})


class Decision(nn.Module):
    """A network and what decides about its scores; the part ``network`` is readable by itself.

    ``epsilon`` is a buffer: whoever asks for another radius fills it.
    """

    pairs: Tensor
    terms: Tensor
    epsilon: Tensor

    def __init__(self, wrapped: Wrapped) -> None:
        super().__init__()
        self.network = Network(wrapped.network)
        self.register_buffer("pairs", torch.tensor(wrapped.pairs))
        self.register_buffer("terms", torch.tensor(wrapped.terms))
        self.register_buffer("epsilon", torch.tensor(wrapped.epsilon))

    def forward(self, x: Tensor) -> Answer:
        """Return ``logits_bot``, ``label``, ``certified`` and ``radius`` of a batch."""
        return decide(x, self.network(x), self.pairs, self.terms, self.epsilon)


def to_torchscript(wrapped: Wrapped) -> bytes:
    """Return the traced module, free of control flow, as an archive."""
    file = io.BytesIO()
    with torch.no_grad(), _quiet():
        traced = torch.jit.trace(Decision(wrapped).eval(), _example(wrapped), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, file)
    return file.getvalue()


def to_pt2(wrapped: Wrapped) -> bytes:
    """Return the exported program as an archive; scores and outputs bear their names."""
    batch = torch.export.Dim("batch")
    file = io.BytesIO()
    with torch.no_grad(), _quiet():
        module = Decision(wrapped).eval()
        program = torch.export.export(module, (_example(wrapped),), dynamic_shapes={INPUT: {0: batch}})
        _name(program)
        torch.export.save(program, file)
    return file.getvalue()


def _name(program: torch.export.ExportedProgram) -> None:
    """Call the scores and the outputs by their names."""
    nodes = {node.name: node for node in program.graph.nodes}
    best = next(node for node in nodes.values() if node.target is torch.ops.aten.argmax.default)
    best.args[0].name = SCORES
    for spec, name in zip(program.graph_signature.output_specs, OUTPUTS, strict=True):
        assert spec.arg.name is not None
        node = nodes[spec.arg.name]
        node.name = name
        spec.arg.name = name


def _example(wrapped: Wrapped) -> Tensor:
    return torch.zeros(2, *wrapped.network.input_shape)


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch warns of shapes that become constants, which they are, and of the age of TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
