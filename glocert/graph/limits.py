"""How large an uploaded network may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Checked before the memory in question is allocated.

    Attributes:
        file_bytes: size of the upload.
        nodes: operations of the upload, and of the imported graph.
        parameters: numbers in the weights, all tensors together.
        activation: elements of one activation per sample.
        name: characters of a name.
        unpacked_bytes: size of an archive once unpacked.
        members: files in an archive.
        expansion: largest ratio of a compressed member's size to the bytes that it takes in the archive.
    """

    file_bytes: int = 512 * 2**20
    nodes: int = 5_000
    parameters: int = 200_000_000
    activation: int = 50_000_000
    name: int = 1_000
    unpacked_bytes: int = 2**30
    members: int = 20_000
    expansion: int = 200
