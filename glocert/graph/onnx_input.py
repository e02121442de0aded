"""Which shape one sample has, and where the batch axis is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx
from onnx import TensorProto

from glocert.errors import Offence, UnsupportedInput
from glocert.graph.shapes import Shape
from glocert.graph.values import Batch

LONGEST = 16
_GIVE = "Give `input_shape`, the shape of one sample."


def only_input(graph: onnx.GraphProto, constants: Collection[str]) -> onnx.ValueInfoProto:
    """Return the one input that is no initialiser.

    Args:
        graph: of the file.
        constants: names of its initialisers.

    Raises:
        UnsupportedInput: there is another number of inputs, or it holds no float32 or float64.
    """
    entries = [entry for entry in graph.input if entry.name not in constants]
    if len(entries) != 1:
        names = ", ".join(entry.name for entry in entries) or "none"
        offences = [Offence(entry.name, "one of several inputs") for entry in entries]
        raise UnsupportedInput(f"Exactly one input is supported; found {names}.", offences)
    entry: onnx.ValueInfoProto = entries[0]
    kind = entry.type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise UnsupportedInput(
            f"Input {entry.name!r} must be float32 or float64.", [Offence(entry.name, "wrong type")]
        )
    return entry


def resolve_input(entry: onnx.ValueInfoProto, given: Sequence[int] | None) -> tuple[Shape, Batch]:
    """Return the per-sample shape and what is known about the batch axis.

    Args:
        entry: the declared input; axes without a number are symbolic.
        given: what the user says, without the batch axis.

    Raises:
        UnsupportedInput: the shape is missing, open, empty or not what the user says.
    """
    name = str(entry.name)
    if given is not None and (not given or min(given) < 1):
        raise _refused(name, "The given `input_shape` must be a list of positive lengths.")
    if not entry.type.tensor_type.HasField("shape"):
        if given is None:
            raise _refused(name, "The input shape is missing.", _GIVE)
        return tuple(given), Batch()
    declared = [
        axis.dim_value if axis.HasField("dim_value") else None for axis in entry.type.tensor_type.shape.dim
    ]
    return resolve_shape(name, declared, given)


def resolve_shape(name: str, declared: list[int | None], given: Sequence[int] | None) -> tuple[Shape, Batch]:
    """Return the per-sample shape and what is known about the batch axis.

    Args:
        name: of the input.
        declared: its lengths, None where they are open.
        given: what the user says, without the batch axis.

    Raises:
        UnsupportedInput: the shape is open, empty or not what the user says.
    """
    if given is not None and (not given or min(given) < 1):
        raise _refused(name, "The given `input_shape` must be a list of positive lengths.")
    if len(declared) > LONGEST:
        raise _refused(name, f"The input has {len(declared)} axes, which no network needs.")
    if any(size is not None and size < 1 for size in declared):
        raise _refused(name, f"The input shape {_shown(declared)} has a zero or negative dimension.")
    if not declared:
        raise _refused(name, "The input is a single number without an axis.")
    return _matched(name, declared, given)


def _matched(name: str, declared: list[int | None], given: Sequence[int] | None) -> tuple[Shape, Batch]:
    if given is None:
        return _declared(name, declared)
    if _fits(declared, given):
        return tuple(given), Batch(present=False)
    if len(declared) > 1 and _fits(declared[1:], given):
        return tuple(given), Batch(size=declared[0])
    raise _refused(
        name, f"The given `input_shape` {list(given)} is not that of the input, {_shown(declared)}."
    )


def _declared(name: str, declared: list[int | None]) -> tuple[Shape, Batch]:
    alone = len(declared) == 1
    inner = declared if alone else declared[1:]
    known = tuple(size for size in inner if size is not None)
    if len(known) < len(inner):
        detail = f"The input shape {_shown(declared)} must be known apart from the batch axis."
        raise _refused(name, detail, _GIVE)
    return known, Batch(present=not alone, size=None if alone else declared[0])


def _fits(declared: Sequence[int | None], given: Sequence[int]) -> bool:
    return len(declared) == len(given) and all(
        size is None or size == wanted for size, wanted in zip(declared, given, strict=True)
    )


def _shown(declared: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in declared) + "]"


def _refused(name: str, detail: str, way_out: str = "") -> UnsupportedInput:
    return UnsupportedInput(f"{detail} {way_out}".strip(), [Offence(name, detail, way_out=way_out)])
