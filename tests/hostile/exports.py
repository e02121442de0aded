"""torch.export archives that lie about their weights, their graph or themselves."""

from __future__ import annotations

import functools
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

from tests.fuzz.seeds import archive, own
from tests.hostile.registry import hostile

WEIGHTS, GRAPH = "model_weights_config.json", "models/model.json"


@functools.cache
def _members() -> dict[str, bytes]:
    data = next(seed.data for seed in own() if seed.name == "dense.pt2")
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        return {name: found.read(name) for name in found.namelist()}


def _replaced(ending: str, content: bytes) -> bytes:
    name = next(name for name in _members() if name.endswith(ending))
    return archive(_members() | {name: content})


def _edited(ending: str, edit: Callable[[Any], None]) -> bytes:
    """Return the dense network with one JSON member edited."""
    name = next(name for name in _members() if name.endswith(ending))
    document = json.loads(_members()[name])
    edit(document)
    return archive(_members() | {name: json.dumps(document).encode()})


def _first_weight(edit: Callable[[dict[str, Any]], None]) -> bytes:
    return _edited(WEIGHTS, lambda document: edit(document["config"]["0.weight"]))


def _first_node(edit: Callable[[dict[str, Any]], None]) -> bytes:
    return _edited(GRAPH, lambda document: edit(document["graph_module"]["graph"]["nodes"][0]))


@hostile("weights-elsewhere.pt2")
def elsewhere() -> bytes:
    """A weight whose file climbs out of the archive."""
    return _first_weight(lambda weight: weight.update(path_name="../../../../../etc/passwd"))


@hostile("weights-absolute.pt2")
def absolute() -> bytes:
    """A weight whose file is the environment of the process."""
    return _first_weight(lambda weight: weight.update(path_name="/proc/self/environ"))


@hostile("weights-missing.pt2")
def missing() -> bytes:
    """A weight whose file is not there."""
    return _first_weight(lambda weight: weight.update(path_name="weight_99"))


@hostile("weights-pickled.pt2")
def pickled() -> bytes:
    """A weight that says it is a pickle, and is one that calls eval."""
    name = next(name for name in _members() if name.endswith("weight_0"))
    config = next(name for name in _members() if name.endswith(WEIGHTS))
    document = json.loads(_members()[config])
    document["config"]["0.weight"]["use_pickle"] = True
    evil = b"c__builtin__\neval\n(X\x03\x00\x00\x001+1tR."
    return archive(_members() | {name: evil, config: json.dumps(document).encode()})


def _meta(**changes: Any) -> bytes:
    return _first_weight(lambda weight: weight["tensor_meta"].update(changes))


@hostile("weights-longer.pt2")
def longer() -> bytes:
    """A weight of more numbers than its file holds."""
    return _meta(sizes=[{"as_int": 60}, {"as_int": 4}])


@hostile("weights-huge.pt2")
def huge() -> bytes:
    """A weight of 2^62 numbers, all of them the same one."""
    return _meta(sizes=[{"as_int": 2**31}, {"as_int": 2**31}], strides=[{"as_int": 0}, {"as_int": 0}])


@hostile("weights-strides.pt2")
def strides() -> bytes:
    """A weight whose rows lie far beyond its file."""
    return _meta(strides=[{"as_int": 10**9}, {"as_int": 1}])


@hostile("weights-backwards.pt2")
def backwards() -> bytes:
    """A weight that begins in front of its file."""
    return _meta(storage_offset={"as_int": -4})


@hostile("weights-symbolic.pt2")
def symbolic() -> bytes:
    """A weight whose length is an expression."""
    expression = {"as_expr": {"expr_str": "__import__('os').system('id')", "hint": {"as_int": 6}}}
    return _meta(sizes=[expression, {"as_int": 4}])


@hostile("weights-type.pt2")
def of_type() -> bytes:
    """A weight of a type that nobody knows."""
    return _meta(dtype=999)


@hostile("weights-short.pt2")
def short() -> bytes:
    """A weight whose file has four bytes."""
    return _replaced("weight_0", b"\0\0\x80\x3f")


@hostile("weights-nan.pt2")
def nan() -> bytes:
    """A weight of NaNs."""
    return _replaced("weight_0", b"\0\0\xc0\x7f" * 24)


@hostile("graph-deep.pt2")
def deep() -> bytes:
    """A graph of JSON lists in lists, a million deep."""
    return _replaced(GRAPH, b"[" * 1_000_000 + b"]" * 1_000_000)


@hostile("graph-number.pt2")
def number() -> bytes:
    """A graph that says a number of a million digits."""
    return _replaced(GRAPH, b'{"graph_module": ' + b"9" * 1_000_000 + b"}")


@hostile("graph-not-json.pt2")
def not_json() -> bytes:
    """A graph that is a pickle."""
    return _replaced(GRAPH, pickle.dumps({"graph_module": {}}))


@hostile("graph-empty.pt2")
def empty() -> bytes:
    """A graph with nothing in it."""
    return _replaced(GRAPH, b"{}")


@hostile("graph-target.pt2")
def target() -> bytes:
    """A node that calls os.system."""
    return _first_node(lambda node: node.update(target="os.system"))


@hostile("graph-target-dunder.pt2")
def dunder() -> bytes:
    """A node that calls an attribute of an attribute of an operator."""
    return _first_node(lambda node: node.update(target="torch.ops.aten.linear.__class__.__init__"))


@hostile("graph-file.pt2")
def from_file() -> bytes:
    """A node that reads a file."""

    def edit(node: dict[str, Any]) -> None:
        argument = {"name": "filename", "arg": {"as_string": "/etc/passwd"}, "kind": 1}
        node.update(target="torch.ops.aten.from_file.default", inputs=[argument])

    return _first_node(edit)


@hostile("graph-cycle.pt2")
def cycle() -> bytes:
    """A node that reads what it makes."""
    return _first_node(lambda node: node["inputs"][0].update(arg={"as_tensor": {"name": "linear"}}))


@hostile("graph-nodes.pt2")
def nodes() -> bytes:
    """Two hundred thousand nodes."""

    def edit(document: Any) -> None:
        graph = document["graph_module"]["graph"]
        relu = graph["nodes"][1]
        graph["nodes"] += [
            relu | {"name": f"r{n}", "outputs": [{"as_tensor": {"name": f"r{n}"}}]} for n in range(200_000)
        ]

    return _edited(GRAPH, edit)


@hostile("graph-expand.pt2")
def expand() -> bytes:
    """A node that repeats its input a trillion times."""

    def edit(node: dict[str, Any]) -> None:
        sizes = {"name": "size", "arg": {"as_ints": [10**12, 4]}, "kind": 1}
        node.update(target="torch.ops.aten.expand.default", inputs=[node["inputs"][0], sizes])

    return _first_node(edit)


@hostile("format-other.pt2")
def other() -> bytes:
    """An archive of a version from the future."""
    return _replaced("archive_version", b"999999")
