"""The gate in front of ``torch.jit.load``: what an archive holds, without unpickling anything."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from glocert.errors import ModelTooLarge, Offence, UnreadableModel, UnsupportedOperators
from glocert.graph.limits import Limits
from glocert.graph.torchscript_code import LINES, check_code
from glocert.graph.torchscript_storages import check_storages

_CODE_BYTES = 16 * 2**20
_WAY_OUT = "Upload TorchScript (torch.jit.trace(model, example).save(path)) or ONNX."
_ALLOWED_MODULES = re.compile(r"__torch__(\.[\w.]+)?|torch\.jit\._pickle")
_FORBIDDEN_CLASSES = re.compile(r"__torch__\.torch\.classes(\.|$)")
_ALLOWED_GLOBALS = frozenset({("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2")})
_STORAGE = re.compile(r"(Float|Double|Half|Long|Int|Short|Char|Byte|Bool)Storage")
DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip
"""what zipfile raises for archives whose directory or data lie"""
_RUNS_AT_LOAD = re.compile(r"def\s+(__setstate__|__getstate__)\b")


def check_archive(data: bytes, limits: Limits) -> None:
    """Refuse everything that is not a plain TorchScript archive of acceptable size.

    Args:
        data: the whole file.
        limits: what must not be exceeded.

    Raises:
        UnreadableModel: no such archive; a state_dict and a pickled module are called by their names.
        ModelTooLarge: too many members, or too large once unpacked.
        UnsupportedOperators: its classes run code while they are loaded.
    """
    if not data:
        raise UnreadableModel("The file is empty.")
    if len(data) > limits.file_bytes:
        raise limits.exceeded(f"The file has {len(data)} bytes", "file_bytes")
    if data[:1] == b"\x80":
        raise UnreadableModel(f"The file is a pickled Python object, not a TorchScript archive. {_WAY_OUT}")
    if data[:2] != b"PK":
        raise UnreadableModel(f"The file is not a TorchScript archive. {_WAY_OUT}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_members(archive, limits, compressible="code/")
            _check_kind(archive)
            _check_pickles(archive)
            _check_tensors(archive)
            _check_code(archive)
    except DAMAGED:
        raise UnreadableModel("The file is not a readable TorchScript archive.") from None


def check_members(archive: zipfile.ZipFile, limits: Limits, *, compressible: str = "") -> None:
    """Refuse an archive whose directory announces too much, or names that lead somewhere else.

    Args:
        archive: opened, nothing read.
        limits: ``members``, ``unpacked_bytes`` and ``expansion`` bound it.
        compressible: folder whose members may be compressed; none where empty.

    Raises:
        UnreadableModel: encrypted or compressed members, two of one name, or paths outside the one folder.
        ModelTooLarge: too many members, or too large once unpacked.
    """
    members = archive.infolist()
    if len(members) > limits.members:
        raise limits.exceeded(f"The archive has {len(members)} members", "members")
    if sum(member.file_size for member in members) > limits.unpacked_bytes:
        raise limits.exceeded("The archive expands to too many bytes", "unpacked_bytes")
    names = [member.filename for member in members]
    if len({name.casefold() for name in names}) < len(names):  # PyTorch's reader tells no case apart
        raise UnreadableModel("The archive holds two members of one name.")
    roots = {PurePosixPath(name).parts[:1] for name in names}
    if len(roots) != 1 or any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in names):
        raise UnreadableModel("The archive holds paths outside its folder.")
    for member in members:
        _check_member(member, limits, compressible)


def _check_member(member: zipfile.ZipInfo, limits: Limits, compressible: str) -> None:
    """Tensors are never compressed by PyTorch; code may be, within reason."""
    if member.flag_bits & 1:
        raise UnreadableModel("The archive is encrypted.")
    if member.compress_type == zipfile.ZIP_STORED:
        return
    inner = inner_name(member.filename)
    if member.compress_type != zipfile.ZIP_DEFLATED or not (compressible and inner.startswith(compressible)):
        raise UnreadableModel(
            f"Compressed members such as {inner!r} are not accepted: they might expand too much."
        )
    if member.file_size > _CODE_BYTES:
        raise ModelTooLarge(f"Member {inner!r} of the archive expands too much.")
    if member.file_size > limits.expansion * max(1, member.compress_size):
        raise limits.exceeded(f"Member {inner!r} of the archive expands too much", "expansion")


def inner_name(name: str) -> str:
    """Return a member's name within the one folder of the archive."""
    return name.partition("/")[2]


def _check_kind(archive: zipfile.ZipFile) -> None:
    """Tell the files that people take for TorchScript by their names."""
    inner = {inner_name(name) for name in archive.namelist()}
    if "constants.pkl" in inner and "data.pkl" in inner and any(name.startswith("code/") for name in inner):
        return
    if "data.pkl" in inner:
        modules = {module for module, _ in _globals(_read(archive, "data.pkl"))}
        if modules <= {"collections", "torch", "torch._utils"}:
            raise UnreadableModel(f"The file is a state_dict: weights without a network. {_WAY_OUT}")
        if any(module.startswith("torch.nn") for module in modules):
            raise UnreadableModel(f"The file is a pickled module (torch.save(model)). {_WAY_OUT}")
        raise UnreadableModel(f"The file is a pickled Python object, not a TorchScript archive. {_WAY_OUT}")
    if any(name.startswith("models/") or name == "archive_format" for name in inner):
        raise UnreadableModel("The file is a torch.export program, not TorchScript; its format is `pt2`.")
    raise UnreadableModel(f"The file is not a TorchScript archive. {_WAY_OUT}")


def _read(archive: zipfile.ZipFile, inner: str) -> bytes:
    name = next(name for name in archive.namelist() if inner_name(name) == inner)
    return archive.read(name)


def _check_pickles(archive: zipfile.ZipFile) -> None:
    """List what the pickles would call; nothing is unpickled."""
    for name in archive.namelist():
        if not name.casefold().endswith(".pkl"):
            continue
        strangers = {reference for reference in _globals(archive.read(name)) if not _is_allowed(*reference)}
        if strangers:
            offences = [
                Offence(inner_name(name), f"its pickle calls {'.'.join(pair)!r}")
                for pair in sorted(strangers)
            ]
            raise UnreadableModel(
                "The file is not a readable TorchScript archive: it calls Python.", offences
            )


def _check_tensors(archive: zipfile.ZipFile) -> None:
    """Measure the tensors of the pickles that ``torch.jit.load`` unpickles."""
    sizes = {inner_name(member.filename): member.file_size for member in archive.infolist()}
    for pickle in ("data", "constants"):
        lengths = {
            name.removeprefix(f"{pickle}/"): size
            for name, size in sizes.items()
            if name.startswith(f"{pickle}/")
        }
        check_storages(f"{pickle}.pkl", _read(archive, f"{pickle}.pkl"), lengths)


def _is_allowed(module: str, what: str) -> bool:
    if (module, what) in _ALLOWED_GLOBALS or (module == "torch" and _STORAGE.fullmatch(what)):
        return True
    whole = f"{module}.{what}"
    return bool(_ALLOWED_MODULES.fullmatch(module)) and not _FORBIDDEN_CLASSES.match(whole)


def _globals(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield module and name of everything that a pickle refers to."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in {"GLOBAL", "INST"}:
                module, _, what = str(argument).partition(" ")
                yield module, what
            elif opcode.name in {"STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}:
                yield "pickle", opcode.name
    except (ValueError, IndexError, UnicodeError):
        raise UnreadableModel("The file is not a readable TorchScript archive.") from None


def _check_code(archive: zipfile.ZipFile) -> None:
    """Refuse methods that ``torch.jit.load`` itself would run, and code that its parser would not survive."""
    offences, lines = [], 0
    for name in archive.namelist():
        if inner_name(name).casefold().startswith("code/") and name.casefold().endswith(".py"):
            code = archive.read(name).decode()
            lines += code.count("\n")
            if lines > LINES:
                raise ModelTooLarge(f"The code of the archive has more than {LINES} lines.")
            check_code(inner_name(name), code)
            found = _RUNS_AT_LOAD.search(code)
            if found:
                detail = f"{found[1]} runs while the file is loaded"
                offences.append(Offence(inner_name(name), detail, f"prim::{found[1]}"))
    if offences:
        raise UnsupportedOperators("The model runs code of its own while it is loaded.", offences)


def traced_shape(data: bytes) -> tuple[int, ...] | None:
    """Return the per-sample shape of the example that an archive was traced with, if it holds one tensor.

    The pickle is only listed: behind its storage, a tensor is an offset, then lengths, then strides.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "traced_inputs.pkl" not in {inner_name(name) for name in archive.namelist()}:
            return None
        steps = [
            (opcode.name, argument)
            for opcode, argument, _ in pickletools.genops(_read(archive, "traced_inputs.pkl"))
            if not opcode.name.endswith("PUT") and opcode.name != "MEMOIZE"
        ]
    tensors = [index for index, (name, _) in enumerate(steps) if name == "BINPERSID"]
    if len(tensors) != 1:
        return None
    lengths = []
    for name, argument in steps[tensors[0] + 2 :]:
        if name.startswith("TUPLE"):
            break
        if isinstance(argument, int):
            lengths.append(argument)
    return tuple(lengths[1:]) if len(lengths) > 1 and min(lengths) > 0 else None
