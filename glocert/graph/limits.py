"""How large an uploaded network may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glocert.errors import ModelTooLarge

SETTINGS: Mapping[str, str] = {
    "file_bytes": "max_model_bytes",
    "nodes": "max_nodes",
    "parameters": "max_parameters",
    "tensor": "max_tensor",
    "activation": "max_activation",
    "rank": "max_rank",
    "name": "max_name",
    "initializers": "max_initializers",
    "attributes": "max_attributes",
    "inputs": "max_graph_inputs",
    "outputs": "max_graph_outputs",
    "nesting": "max_nesting",
    "fields": "max_fields",
    "members": "max_members",
    "unpacked_bytes": "max_model_unpacked_bytes",
    "expansion": "max_expansion",
}
"""Limit -> setting of the service that holds it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Checked before the memory in question is allocated.

    Attributes:
        file_bytes: size of the upload; of a compressed one, also of what it holds.
        nodes: operations of the upload, and of the imported graph.
        parameters: numbers in the weights, all tensors together.
        tensor: numbers in one stored tensor.
        activation: elements of one activation per sample.
        rank: axes of a tensor.
        name: characters of a name.
        initializers: stored tensors of an ONNX graph.
        attributes: attributes of one node.
        inputs: declared inputs of a graph; old exporters list the weights among them.
        outputs: declared outputs of a graph.
        nesting: how deep messages lie in one another.
        fields: fields of an ONNX file, all messages together.
        unpacked_bytes: size of an archive once unpacked.
        members: files in an archive.
        expansion: largest ratio of a compressed member's size to the bytes that it takes in the archive.
    """

    file_bytes: int = 512 * 2**20
    nodes: int = 5_000
    parameters: int = 200_000_000
    tensor: int = 100_000_000
    activation: int = 50_000_000
    rank: int = 16
    name: int = 1_000
    initializers: int = 20_000
    attributes: int = 100
    inputs: int = 20_000
    outputs: int = 1_000
    nesting: int = 32
    fields: int = 300_000
    unpacked_bytes: int = 2**30
    members: int = 20_000
    expansion: int = 200

    def exceeded(self, detail: str, limit: str) -> ModelTooLarge:
        """Return the error for more than a limit, which it names with its value.

        Args:
            detail: what there is too much of, a clause that "more than" can follow.
            limit: name of the attribute.
        """
        return ModelTooLarge(f"{detail}, more than {getattr(self, limit)} (setting {SETTINGS[limit]}).")
