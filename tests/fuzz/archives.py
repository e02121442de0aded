"""Mutations of zip archives: TorchScript, torch.export and npz files, and models with external data."""

from __future__ import annotations

import io
import json
import lzma
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz import raw
from tests.fuzz.raw import INTEGERS, NUMBERS, TEXTS

Members = list[tuple[str, bytes, int]]
"""name, content, method of compression"""
_NUMBER = re.compile(rb"-?\b\d+(?:\.\d+)?(?:e-?\d+)?\b")
_WORD = re.compile(rb"\b[a-z_]{3,}\b")


def mutate(data: bytes, draw: Random, other: bytes) -> bytes | None:
    """Return the archive with one mutation; None where it is no archive, or the mutation has no place."""
    try:
        members = _unpacked(data)
        if not members:
            return None
        made = draw.choice(MUTATIONS)(members, draw)
        return _packed(made)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        IndexError,
        OSError,
    ):
        return None


def _unpacked(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        return [(info.filename, archive.read(info), info.compress_type) for info in infos]


def _packed(members: Members) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # two members of one name are what we want
        for name, content, method in members:
            archive.writestr(zipfile.ZipInfo(name or "?", (1980, 1, 1, 0, 0, 0)), content, method)
    return buffer.getvalue()


def _content(members: Members, draw: Random, wanted: str, change: Callable[[bytes], bytes]) -> Members:
    """Change the content of one member whose name matches."""
    places = [
        place for place, (name, content, _) in enumerate(members) if re.search(wanted, name) and content
    ]
    place = draw.choice(places)
    name, content, method = members[place]
    return [*members[:place], (name, change(content), method), *members[place + 1 :]]


def change_bytes(members: Members, draw: Random) -> Members:
    """Flip, cut or splice a member."""
    other = draw.choice(members)[1]
    return _content(members, draw, "", lambda content: raw.mutate(content, draw, other))


def change_pickle(members: Members, draw: Random) -> Members:
    """Do the same to a pickle, whose few bytes are seldom hit otherwise."""
    return _content(members, draw, r"\.pkl$", lambda content: raw.mutate(content, draw, b"\x80\x02N."))


def change_code(members: Members, draw: Random) -> Members:
    """Change a number, a word or a line of TorchScript code."""
    return _content(members, draw, r"\.py$", lambda content: _edited(content, draw))


def _edited(code: bytes, draw: Random) -> bytes:
    deed = draw.randrange(4)
    if deed == 0:
        lines = code.split(b"\n")
        place = draw.randrange(len(lines))
        lines[place : place + 1] = draw.choice(([], [lines[place]] * 2, [draw.choice(lines)]))
        return b"\n".join(lines)
    if deed == 1:
        found = draw.choice(list(_NUMBER.finditer(code)))
        new = str(draw.choice((*INTEGERS, *NUMBERS))).encode()
        return code[: found.start()] + new + code[found.end() :]
    words = list(_WORD.finditer(code))
    found = draw.choice(words)
    more = (b"sigmoid", b"add_", b"while True", b"_convolution", b"from_file", b"save", b"view", b"rand")
    new = draw.choice((*more, draw.choice(words)[0]))
    return code[: found.start()] + new + code[found.end() :]


def change_json(members: Members, draw: Random) -> Members:
    """Change something anywhere in a JSON member, as those of torch.export are."""
    return _content(members, draw, r"\.json$", lambda content: _rejoined(content, draw))


def _rejoined(content: bytes, draw: Random) -> bytes:
    document = json.loads(content)
    for _ in range(draw.choice((1, 1, 1, 3))):
        _replant(document, draw)
    return json.dumps(document).encode()


def _replant(document: Any, draw: Random) -> None:
    """Change one leaf or branch of a JSON tree."""
    places = list(_places(document))
    branch, key = draw.choice(places)
    deed, current = draw.randrange(6), branch[key]
    if deed == 0:
        del branch[key]
    elif deed == 1:
        other, name = draw.choice(places)
        branch[key] = json.loads(json.dumps(other[name]))
    elif deed == 2 and isinstance(branch, list):
        branch.append(current)
    elif isinstance(current, bool):
        branch[key] = not current
    elif isinstance(current, int | float):
        branch[key] = draw.choice((*INTEGERS, 0.5, 1e300, None))
    elif isinstance(current, str):
        branch[key] = draw.choice((*TEXTS, current[::-1], "torch.ops.aten.relu.default"))
    else:
        branch[key] = draw.choice((None, [], {}, 0, "x", {"as_int": 3}, {"as_tensor": {"name": "x"}}))


def _places(tree: Any) -> Any:
    """Yield every place of a tree as its branch and key."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from _places(tree[key])


def drop_member(members: Members, draw: Random) -> Members:
    """Leave one out."""
    place = draw.randrange(len(members))
    return members[:place] + members[place + 1 :]


def double_member(members: Members, draw: Random) -> Members:
    """Store one twice, under its own name or another's."""
    name, content, method = draw.choice(members)
    return [*members, (draw.choice((name, draw.choice(members)[0], f"{name}2")), content, method)]


def swap_members(members: Members, draw: Random) -> Members:
    """Exchange what two members hold."""
    one, two = draw.randrange(len(members)), draw.randrange(len(members))
    swapped = list(members)
    swapped[one] = (members[one][0], *members[two][1:])
    swapped[two] = (members[two][0], *members[one][1:])
    return swapped


def rename_member(members: Members, draw: Random) -> Members:
    """Give one a name that does not belong there."""
    place = draw.randrange(len(members))
    name, content, method = members[place]
    root, _, inner = name.partition("/")
    new = draw.choice(
        (f"../{name}", f"/{name}", f"{root}/../{inner}", f"{root}/{root}/{inner}", f"{name}/", inner)
    )
    return [*members[:place], (new, content, method), *members[place + 1 :]]


def compress_member(members: Members, draw: Random) -> Members:
    """Compress one, or make it long first."""
    place = draw.randrange(len(members))
    name, content, _ = members[place]
    content = content * draw.choice((1, 1, 50))
    method = draw.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    return [*members[:place], (name, content, method), *members[place + 1 :]]


Mutation = Callable[[Members, Random], Members]
MUTATIONS: tuple[Mutation, ...] = (
    change_bytes,
    change_bytes,
    change_pickle,
    change_code,
    change_code,
    change_code,
    change_json,
    change_json,
    change_json,
    drop_member,
    double_member,
    swap_members,
    rename_member,
    compress_member,
)
