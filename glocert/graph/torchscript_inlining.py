"""How many nodes the code of a TorchScript module has once every call is replaced by what it calls.

Thirty functions that each call the one before twice are thirty short texts, and a billion nodes once they are
inlined. PyTorch inlines without asking; here the calls are only counted, each function once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glocert.errors import ModelTooLarge

DEEPEST = 200
"""calls within calls"""
_CALLS = {"prim::CallMethod", "prim::CallFunction"}


def check_inlined(unit: Any, method: str, limit: int) -> None:
    """Count the nodes of a method with everything that it calls in place.

    Args:
        unit: ``torch._C.CompilationUnit`` of the archive: its methods and functions by qualified name.
        method: qualified name, such as ``__torch__.Net.forward``.
        limit: largest number of nodes.

    Raises:
        ModelTooLarge: more nodes than that, or calls that are nested too deep or never end.
    """
    if _size(unit, method, {}, 0) > limit:
        detail = f"The code of the archive has more than {limit} nodes once its calls are inlined."
        raise ModelTooLarge(detail)


def _size(unit: Any, name: str, known: dict[str, int], depth: int) -> int:
    """Return the inlined size of one function; what is not in the archive is a single node."""
    if name in known:
        return known[name]
    if depth > DEEPEST:
        raise ModelTooLarge("The calls in the code of the archive are nested too deep, or never end.")
    function = unit.find_function(name)
    total = 1
    if function is not None:
        total += sum(
            _size(unit, called, known, depth + 1) if called else 1 for called in _calls(function.graph)
        )
    known[name] = total
    return total


def _calls(block: Any) -> Iterator[str]:
    """Yield for every node the qualified name of what it calls, empty for one that calls nothing."""
    for node in block.nodes():
        if node.kind() in _CALLS:
            kind = node.inputsAt(0).type().annotation_str
            yield f"{kind}.{node.s('name')}" if node.kind() == "prim::CallMethod" else kind
        else:
            yield ""
        for inner in node.blocks():
            yield from _calls(inner)
