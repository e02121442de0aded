"""Numbers that an ONNX model keeps in other files, copied into the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import onnx

from glocert.errors import Offence, UnreadableModel
from glocert.graph.limits import Limits
from glocert.graph.onnx_file import is_external, message, tensors

Open = Callable[[], bytes]
_SHOWN = 8
_KEYS = frozenset({"location", "offset", "length", "checksum"})


def fill_in(data: bytes, files: Mapping[str, Open], limits: Limits) -> tuple[bytes, list[str]]:
    """Return the model with its weights inside, and a note for files that nothing names.

    Args:
        data: the ONNX file.
        files: name relative to the model -> reads the file.
        limits: what must not be exceeded.

    Raises:
        UnreadableModel: not an ONNX file, or a tensor names no file, or a place outside its file; all such
            tensors are named.
        ModelTooLarge: the tensors together take more than ``limits.file_bytes``.
    """
    model = message(data, limits)
    if model is None:
        raise UnreadableModel("The .onnx file of the archive is not a readable ONNX model.")
    wanted: dict[str, list[onnx.TensorProto]] = {}
    offences: list[Offence] = []
    for tensor in tensors(model.graph):
        if is_external(tensor):
            location = _location(tensor)
            if location not in files:
                offences.append(Offence(tensor.name, f"its file {location!r} is not in the archive"))
            wanted.setdefault(location, []).append(tensor)
    if not offences:
        offences = _copied(wanted, files, limits)
    if offences:
        raise UnreadableModel("The archive does not hold the numbers of every tensor.", offences)
    unused = sorted(set(files) - set(wanted))
    shown = ", ".join(unused[:_SHOWN]) + (", …" if len(unused) > _SHOWN else "")
    notes = [f"The archive holds files that the model does not name: {shown}."] if unused else []
    return model.SerializeToString(), notes


def _location(tensor: onnx.TensorProto) -> str:
    """Return the name of the file as the archive would call it, without a leading ``./``."""
    named = _entries(tensor).get("location", "")
    return str(PurePosixPath(named)) if named else ""


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _copied(
    wanted: Mapping[str, list[onnx.TensorProto]], files: Mapping[str, Open], limits: Limits
) -> list[Offence]:
    """Copy the numbers, file by file so that only one is unpacked at a time; return what does not fit."""
    offences, total = [], 0
    for name, group in wanted.items():
        content = files[name]()
        for tensor in group:
            place = _place(tensor, len(content))
            if place is None:
                offences.append(Offence(tensor.name, f"its place is not inside {name!r}"))
                continue
            total += place[1] - place[0]
            if total > limits.file_bytes:
                raise limits.exceeded("The tensors in the data files take too many bytes", "file_bytes")
            tensor.raw_data = content[slice(*place)]
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return offences


def _place(tensor: onnx.TensorProto, size: int) -> tuple[int, int] | None:
    """Return where a tensor begins and ends in a file of ``size`` bytes; None: not inside it."""
    entries = _entries(tensor)
    numbers = [entries.get("offset", "0"), entries.get("length", "")]
    if not set(entries) <= _KEYS or any(text and not _is_number(text) for text in numbers):
        return None
    begin = int(numbers[0] or 0)
    end = begin + int(numbers[1]) if numbers[1] else size
    return (begin, end) if begin <= end <= size else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18
