"""How large an uploaded data set may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataLimits:
    """Checked before the memory in question is allocated.

    Attributes:
        items: rows of the data set.
        unpacked_bytes: everything in an archive, inflated; also what the inputs take once they are plain
            arrays.
        members: files in an archive.
        expansion: largest ratio of a member's size to the bytes that it takes in the archive, from one MiB
            on.
        item_elements: numbers in one item.
        block_bytes: how much is read at a time.
    """

    items: int = 200_000
    unpacked_bytes: int = 4 * 2**30
    members: int = 200_010
    expansion: int = 250
    item_elements: int = 16 * 2**20
    block_bytes: int = 2**20
