"""A gzip upload, unpacked piece by piece; what its header and trailer claim decides nothing."""

from __future__ import annotations

import io
import zlib

from glocert.errors import UnreadableModel
from glocert.graph.limits import Limits

MAGIC = b"\x1f\x8b"
_PIECE = 2**20
_GZIP = 16 + zlib.MAX_WBITS


def unpacked(data: bytes, limits: Limits) -> bytes:
    """Return what a gzip file holds; several members are put one after the other, as gzip does.

    Args:
        data: the whole file.
        limits: ``file_bytes`` bounds the result; no more than that is ever unpacked.

    Raises:
        UnreadableModel: it breaks off, its checksum is wrong, or something else follows it.
        ModelTooLarge: it holds more than the limit.
    """
    whole = io.BytesIO()
    rest: bytes = data
    while rest:
        rest = _member(rest, whole, limits)
        if rest and not rest.startswith(MAGIC):
            if rest.strip(b"\0"):
                raise UnreadableModel("Something that is no gzip data follows the gzip data of the file.")
            break  # padding, as tapes have it
    return whole.getvalue()


def _member(data: bytes, whole: io.BytesIO, limits: Limits) -> bytes:
    """Unpack one member and return what follows it."""
    stream = zlib.decompressobj(_GZIP)
    try:
        while not stream.eof:
            piece = stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
            whole.write(piece)
            if whole.tell() > limits.file_bytes:
                raise limits.exceeded("The gzip file unpacks to too many bytes", "file_bytes")
            if not piece and not data and not stream.eof:
                raise UnreadableModel("The gzip data of the file break off.")
    except zlib.error:
        raise UnreadableModel("The gzip data of the file are damaged.") from None
    return stream.unused_data
