"""An ONNX model with its data files in one zip: checked before it is unpacked, then made a single file.

Nothing is ever written to a disk, and no location in the model is opened as a path: it is looked up among the
names of the archive.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from functools import partial
from pathlib import PurePosixPath

from glocert.errors import UnreadableModel
from glocert.graph.limits import Limits
from glocert.graph.onnx_external import fill_in

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KIND, _REGULAR = 0o170000, 0o100000
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError)
"""what zipfile raises for archives whose directory or data lie"""


def holds_onnx(data: bytes) -> bool:
    """Whether the bytes are a zip with an ONNX file in it, and not an archive of PyTorch's own."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [PurePosixPath(name).name for name in archive.namelist()]
    except _DAMAGED:
        return False
    return any(name.endswith(".onnx") for name in names) and not {"data.pkl", "archive_format"} & set(names)


def single_file(data: bytes, limits: Limits) -> tuple[bytes, list[str]]:
    """Return the model as one ONNX file with its weights inside, and notes for the user.

    Args:
        data: the whole zip: one ``.onnx`` and the data files that it names, in one folder.
        limits: ``members``, ``file_bytes`` (unpacked) and ``expansion`` bound the archive.

    Raises:
        UnreadableModel: a damaged or encrypted archive, a name that leads out of it, a link, not exactly one
            model, or a tensor whose place is not inside a data file.
        ModelTooLarge: too many members, too large once unpacked, or compressed too well.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _checked(archive, limits)
            model = next(name for name in members if name.endswith(".onnx"))
            content = _read(archive, members.pop(model))
            files = {name: partial(_read, archive, member) for name, member in members.items()}
            return fill_in(content, files, limits)
    except _DAMAGED:
        raise UnreadableModel("The file is not a readable zip archive.") from None


def _checked(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """Return the files by their names in the folder of the model, after the directory was checked."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(archive.infolist()) > limits.members:
        raise limits.exceeded(f"The archive has {len(archive.infolist())} members", "members")
    for member in members:
        _check_member(member, limits)
    if sum(member.file_size for member in members) > limits.file_bytes:
        raise limits.exceeded("The archive unpacks to too many bytes", "file_bytes")
    models = [PurePosixPath(member.filename) for member in members if member.filename.endswith(".onnx")]
    if len(models) != 1:
        raise UnreadableModel(f"The archive must hold exactly one .onnx file; it has {len(models)}.")
    named: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name = _within(PurePosixPath(member.filename), models[0].parent)
        if name in named:
            raise UnreadableModel("The archive holds two members of one name.")
        named[name] = member
    return named


def _check_member(member: zipfile.ZipInfo, limits: Limits) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
        raise UnreadableModel("The archive holds paths outside its folder.")
    if len(member.filename) > limits.name:
        raise limits.exceeded(f"A name in the archive has {len(member.filename)} characters", "name")
    if member.flag_bits & 1:
        raise UnreadableModel("The archive is encrypted.")
    if (member.external_attr >> 16) & _KIND not in {0, _REGULAR}:
        raise UnreadableModel(f"Member {member.filename!r} of the archive is a link or no regular file.")
    if member.compress_type not in _METHODS:
        raise UnreadableModel(f"Member {member.filename!r} must be stored or deflated.")
    if member.file_size > limits.expansion * max(1, member.compress_size):
        raise limits.exceeded(f"Member {member.filename!r} of the archive expands too much", "expansion")


def _within(path: PurePosixPath, folder: PurePosixPath) -> str:
    """Return the name that the model would use for a file; one elsewhere cannot be meant by it."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else f"/{path}"


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Unpack a member; ``zipfile`` stops at the size that the directory claims, which was checked."""
    with archive.open(member) as file:
        data = file.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise UnreadableModel(f"Member {member.filename!r} is not as long as the archive says.")
    return data
