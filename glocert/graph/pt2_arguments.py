"""Arguments of the nodes of a ``torch.export`` program, as the JSON stores them.

Format: ``torch/_export/serde/schema.py`` of PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

_ON_NUMBERS = {
    "add": "aten::add",
    "sub": "aten::sub",
    "mul": "aten::mul",
    "neg": "aten::neg",
    "floordiv": "aten::floordiv",
    "mod": "aten::remainder",
    "truediv": "aten::div",
    "eq": "aten::eq",
    "ne": "aten::ne",
    "lt": "aten::lt",
    "le": "aten::le",
    "gt": "aten::gt",
    "ge": "aten::ge",
}
_SIZES = {"aten::sym_size": "aten::size"}


def one_of(union: Any) -> tuple[str, Any]:
    """Return the kind and the value of an argument, which the format stores under its kind.

    Raises:
        ValueError: not exactly one.
    """
    pairs = [(kind, value) for kind, value in union.items() if value is not None or len(union) == 1]
    if len(pairs) != 1:
        raise ValueError
    return pairs[0]


def operator_of(target: str) -> tuple[str, str]:
    """Return kind and overload of a target such as ``torch.ops.aten.flatten.using_ints``."""
    parts = target.split(".")
    if parts[:2] == ["torch", "ops"] and len(parts) == 5:
        kind = f"{parts[2]}::{parts[3]}"
        return _SIZES.get(kind, kind), "" if parts[4] == "default" else parts[4]
    if parts[:2] == ["torch", "ops"] and len(parts) == 4:
        return f"{parts[2]}::{parts[3]}", ""
    if parts[0] == "_operator" and parts[-1] in _ON_NUMBERS:
        return _ON_NUMBERS[parts[-1]], ""
    return f"python::{target}", ""


def c10_type(number: int) -> int:
    """Return the number that operators have for a scalar type; the format counts from one."""
    return 15 if number == 13 else number - 1


def flat_names(outputs: Sequence[Any]) -> Iterator[str]:
    """Yield the names of outputs, those of lists one by one."""
    for output in outputs:
        kind, value = one_of(output)
        if kind == "as_tensors":
            yield from (entry["name"] for entry in value)
        else:
            yield name_of(output)


def name_of(union: Any) -> str:
    """Return the name of an argument that is a variable."""
    _, value = one_of(union)
    name = value.get("name") or value["as_name"]
    if not isinstance(name, str):
        raise TypeError
    return name


def literal(kind: str, value: Any) -> Any:
    """Return what an argument that is no tensor means to an operator.

    Raises:
        ValueError: it is of a kind that no operator takes.
    """
    if kind == "default":
        return value
    if kind == "as_none":
        return None
    if kind == "as_float":
        return _number(value)
    if kind == "as_floats":
        return [_number(entry) for entry in value]
    if kind == "as_scalar_type":
        return c10_type(value)
    if kind == "as_sym_int":
        return int(value["as_int"])
    expected = {"as_int": int, "as_bool": bool, "as_string": str, "as_memory_format": int, "as_layout": int}
    if kind in expected and type(value) is expected[kind]:
        return value
    if kind in {"as_ints", "as_bools", "as_strings"} and isinstance(value, list):
        return list(value)
    if kind == "as_device":
        return "device"
    raise ValueError


def _number(value: Any) -> float:
    """Read a number; JSON has no infinity, which is stored as text."""
    if isinstance(value, str) and value not in {"Infinity", "-Infinity", "NaN"}:
        raise ValueError
    return float(value)
