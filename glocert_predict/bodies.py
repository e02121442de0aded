"""Bodies of requests: read within a limit, and turned into arrays."""

from __future__ import annotations

import io
import json
import math
from typing import Any, NoReturn

import numpy as np
from fastapi import Request
from numpy.lib import format as npy
from numpy.typing import NDArray

from glocert_predict.problems import Problem

JSON = "application/json"
NPY = "application/octet-stream"


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: it is larger than ``limit`` bytes, whatever its header says.
    """
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit:
            raise Problem(413, "body-too-large", f"The body has more than {limit} bytes.")
    return bytes(data)


def parse(data: bytes, media_type: str) -> NDArray[np.generic]:
    """Return the inputs that a body holds.

    Args:
        data: the body.
        media_type: ``application/json`` or, for an ``.npy`` file, ``application/octet-stream``.

    Raises:
        Problem: another media type, or no such body.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind == NPY or data.startswith(b"\x93NUMPY"):
        return _array(data)
    if kind == JSON:
        return _listed(data)
    raise Problem(415, "unsupported-media-type", f"Send {JSON}, or an .npy file as {NPY}.")


def _listed(data: bytes) -> NDArray[np.generic]:
    try:
        body: Any = json.loads(data, parse_constant=_refuse)
        if not isinstance(body, dict) or set(body) != {"inputs"}:
            raise ValueError
        return np.array(body["inputs"], dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError):
        detail = 'The body must be {"inputs": [...]}, nested lists of numbers of one shape.'
        raise Problem(422, "invalid-body", detail) from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _array(data: bytes) -> NDArray[np.generic]:
    """Read an ``.npy`` file whose header does not announce more than there is."""
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
            raise ValueError
        file.seek(0)
        array: NDArray[np.generic] = npy.read_array(file, allow_pickle=False)
    except (ValueError, TypeError, EOFError, OverflowError, SyntaxError):
        raise Problem(422, "invalid-body", "The body is no readable .npy file.") from None
    return array
