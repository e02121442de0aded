"""A ``torch.export`` archive taken apart: JSON and raw numbers, checked before they are read, and no pickle.

Format: ``torch/export/pt2_archive`` and ``torch/_export/serde/schema.py`` of PyTorch 2.8 and later.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import GlocertError, InvalidGraph, ModelTooLarge, Offence, UnreadableModel
from glocert.graph.limits import Limits
from glocert.graph.torchscript_archive import DAMAGED, check_members, inner_name
from glocert.graph.values import Constant, Unsupported

_NO_PROGRAM = "The file is not a readable torch.export program."
_AGAIN = "Export it with torch 2.9 or later (torch.export.save), or as ONNX."
_JSON_BYTES = 32 * 2**20
_VERSION = 8
_PAYLOAD = re.compile(r"\w+")
_DTYPES: Mapping[int, type[np.generic]] = {
    1: np.uint8,
    2: np.int8,
    3: np.int16,
    4: np.int32,
    5: np.int64,
    7: np.float32,
    8: np.float64,
    12: np.bool_,
}
FLOATS: Mapping[int, str] = {6: "float16", 7: "float32", 8: "float64", 13: "bfloat16"}
"""Numbers of the float types in the format."""

Malformed = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a program raises that does not follow the format."""


def unreadable() -> UnreadableModel:
    """Return the error for a file that does not follow the format."""
    return UnreadableModel(_NO_PROGRAM)


def holds_program(data: bytes) -> bool:
    """Whether the bytes are a zip that ``torch.export.save`` may have written, of any version."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except DAMAGED:
        return False
    marks = {"archive_format", "serialized_exported_program.json"}
    return any(inner_name(name).startswith(("models/", "data/aotinductor")) for name in names) or bool(
        marks & {name.rpartition("/")[2] for name in names}
    )


@dataclass(frozen=True, slots=True)
class Archive:
    """What a program's file holds.

    Attributes:
        program: the JSON of the one program.
        limits: what must not be exceeded.
    """

    program: Mapping[str, Any]
    limits: Limits
    _members: Mapping[str, bytes]
    _configs: Mapping[str, Mapping[str, Any]]
    _numbers: list[int] = field(default_factory=lambda: [0])

    def tensor(self, folder: str, name: str) -> Constant:
        """Return a stored tensor.

        Args:
            folder: ``weights`` or ``constants``.
            name: as the signature calls it.

        Raises:
            InvalidGraph: it is missing, or lies outside the bytes of its member.
            ModelTooLarge: all tensors together have too many numbers.
            Unsupported: it is pickled, or of a kind that cannot be computed with.
        """
        entry = self._configs[folder].get(name)
        if entry is None:
            raise _missing(name)
        path = entry["path_name"]
        if entry["use_pickle"] is not False:
            raise Unsupported(f"the tensor {name!r} is pickled", _AGAIN)
        data = self._members.get(f"data/{folder}/{path}") if _PAYLOAD.fullmatch(path) else None
        if data is None:
            raise _missing(name)
        return Constant(self._viewed(name, entry["tensor_meta"], data), name)

    def _viewed(self, name: str, meta: Mapping[str, Any], data: bytes) -> NDArray[Any]:
        """Lay the numbers of a member out as the file says, without reading beyond them."""
        if meta["layout"] != 7 or meta["dtype"] not in _DTYPES:
            kind = FLOATS.get(meta["dtype"], f"number {meta['dtype']}")
            raise Unsupported(f"the tensor {name!r} is of a kind that is not supported ({kind})")
        dtype = np.dtype(_DTYPES[meta["dtype"]])
        shape = tuple(whole(size["as_int"]) for size in meta["sizes"])
        strides = tuple(whole(stride["as_int"]) for stride in meta["strides"])
        offset = whole(meta["storage_offset"]["as_int"])
        if len(shape) != len(strides) or len(shape) > self.limits.rank:
            raise ValueError
        self._numbers[0] += math.prod(shape)
        if self._numbers[0] > self.limits.parameters:
            raise self.limits.exceeded("The model has too many weights", "parameters")
        reach = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
        if 0 not in shape and reach > len(data) // dtype.itemsize:
            detail = f"its shape {list(shape)} needs more numbers than the file holds for it"
            raise InvalidGraph(f"Tensor {name!r}: {detail}.", [Offence(name, detail)])
        if 0 in shape:
            return np.zeros(shape, dtype)
        flat = np.frombuffer(data, dtype, len(data) // dtype.itemsize)
        steps = tuple(stride * dtype.itemsize for stride in strides)
        view = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(shape)


def whole(value: Any) -> int:
    """Return a number that must be whole and not negative.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _missing(name: str) -> InvalidGraph:
    detail = "the file holds no numbers for it"
    return InvalidGraph(f"Tensor {name!r}: {detail}.", [Offence(name, detail)])


def open_archive(data: bytes, limits: Limits) -> Archive:
    """Check a file and take it apart.

    Args:
        data: the whole file.
        limits: what must not be exceeded.

    Raises:
        UnreadableModel: no such archive, or one of another version; a compiled one is called so.
        ModelTooLarge: too many members or bytes, or too large a program.
    """
    if len(data) > limits.file_bytes:
        raise limits.exceeded(f"The file has {len(data)} bytes", "file_bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_version(archive)
            check_members(archive, limits)
            return _taken_apart(archive, limits)
    except GlocertError:
        raise
    except (*DAMAGED, *Malformed, RecursionError):
        raise unreadable() from None


def _check_version(archive: zipfile.ZipFile) -> None:
    """Tell the layouts that cannot be read by their names."""
    names = archive.namelist()
    if any(name.rpartition("/")[2] == "serialized_exported_program.json" for name in names):
        raise UnreadableModel(f"The torch.export program was written by torch before 2.8. {_AGAIN}")
    inner = {inner_name(name) for name in names}
    if any(re.fullmatch(r"data/(weights|constants)/[^/]*\.pt", name) for name in inner):
        raise UnreadableModel(f"The torch.export program keeps its weights in a pickle. {_AGAIN}")
    if not any(name.startswith("models/") for name in inner):
        raise UnreadableModel(f"The torch.export archive holds compiled code and no program. {_AGAIN}")


def _taken_apart(archive: zipfile.ZipFile, limits: Limits) -> Archive:
    names = {inner_name(member.filename): member for member in archive.infolist()}
    models = [name for name in names if re.fullmatch(r"models/[^/]+\.json", name)]
    if len(models) != 1:
        raise UnreadableModel(f"The torch.export archive holds {len(models)} programs; it must be one.")
    if archive.read(names["byteorder"]) != b"little":
        raise UnreadableModel("The weights of the torch.export program are not little-endian.")
    version = archive.read(names["archive_version"])
    if version.strip() != b"0":
        raise UnreadableModel(f"The torch.export archive is of version {version[:8]!r}, not 0. {_AGAIN}")
    stem = models[0].removeprefix("models/").removesuffix(".json")
    program = _json(archive, names[models[0]])
    if program["schema_version"]["major"] != _VERSION:
        found = program["schema_version"]["major"]
        raise UnreadableModel(f"The torch.export program is of schema {found!r}, not {_VERSION}. {_AGAIN}")
    configs = {
        folder: _json(archive, names[f"data/{folder}/{stem}_{folder}_config.json"])["config"]
        for folder in ("weights", "constants")
    }
    payloads = {
        name: archive.read(member)
        for name, member in names.items()
        if name.startswith(("data/weights/", "data/constants/")) and not name.endswith(".json")
    }
    return Archive(program, limits, payloads, configs)


def _json(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    """Parse a member, in which no key may occur twice."""
    if member.file_size > _JSON_BYTES:
        raise ModelTooLarge(f"The torch.export program is larger than {_JSON_BYTES} bytes.")
    content = json.loads(archive.read(member), object_pairs_hook=_unique)
    if not isinstance(content, dict):
        raise TypeError
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError
    return result
