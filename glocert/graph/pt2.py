"""``torch.export`` program -> Graph: the JSON is read node by node, and nothing of it runs meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from glocert.errors import (
    Offence,
    UnsupportedInput,
    UnsupportedOperators,
    UnsupportedOutput,
)
from glocert.graph.aten_operators.registry import Scores
from glocert.graph.aten_reader import Reader, read_for_any_batch
from glocert.graph.compare import Original
from glocert.graph.imported import Imported, Output, Tail, only_output
from glocert.graph.limits import Limits
from glocert.graph.onnx_input import resolve_shape
from glocert.graph.pt2_archive import FLOATS, Archive, Malformed, open_archive, unreadable
from glocert.graph.pt2_arguments import flat_names, literal, one_of
from glocert.graph.pt2_program import decode
from glocert.graph.pt2_runtime import RUNTIME, original
from glocert.graph.values import Activation, Constant, Unsupported
from glocert.graph.wrapped import SCORES, is_wrapped

__all__ = ["RUNTIME", "read_pt2"]

_STORED = {
    "parameter": ("weights", "parameter_name"),
    "buffer": ("weights", "buffer_name"),
    "tensor_constant": ("constants", "tensor_constant_name"),
}


@dataclass(slots=True)
class _Signature:
    """What a program takes and returns.

    Attributes:
        inputs: name of every input, and whether it is a tensor.
        weights: name of an input that is known -> tensor; None for one that is no tensor.
        entry: the one input that varies.
        outputs: names of the returned tensors.
    """

    inputs: list[tuple[str, bool]]
    weights: dict[str, Constant | None]
    entry: str
    outputs: list[str]


def read_pt2(
    data: bytes,
    *,
    input_shape: Sequence[int] | None = None,
    limits: Limits | None = None,
    output: str | None = None,
) -> tuple[Imported, Callable[[str], Original]]:
    """Translate a program that ``torch.export.save`` wrote.

    Args:
        data: the whole file.
        input_shape: shape of one sample; needed where another axis than that of the batch is symbolic.
        limits: what must not be exceeded.
        output: name or position of the output to take, needed where there are several; a wrapped network
            gives the scores inside.

    Returns:
        The import, and what makes a function that computes a tensor of the program by its name.

    Raises:
        ModelRejected: one of its subclasses; offences name every node at fault.
    """
    limits = limits or Limits()
    archive = open_archive(data, limits)
    try:
        graph = archive.program["graph_module"]["graph"]
        signature = _signature(archive)
        declared, dtype = _declared(graph, signature)
    except Malformed:
        raise unreadable() from None
    except Unsupported as refusal:
        raise UnsupportedInput(f"The program cannot be read: {refusal.detail}.") from None
    shape, batch = resolve_shape(signature.entry, declared, input_shape)
    inner = _inside(graph, signature.outputs, output)
    result = SCORES if inner else signature.outputs[only_output(signature.outputs, output)]
    graph = inner or graph
    program, bound, names = decode(graph, signature.inputs, signature.entry, result, limits)
    weights = {bound[name]: weight for name, weight in signature.weights.items()}
    prepared = partial(Reader.over, program, shape, dtype, limits, weights=weights, batch=batch)
    survey = prepared()
    survey.refuse_unknown()
    survey.refusals.raise_any()
    reader = read_for_any_batch(lambda alone: prepared(alone=alone), batch)
    reader.refusals.raise_any()
    outputs = tuple(Output(name, None, name == result) for name in signature.outputs)
    imported = _finished(reader, names, outputs if len(outputs) > 1 else ())
    return imported, partial(original, graph, signature.weights, signature.entry)


def _inside(graph: Mapping[str, Any], outputs: Sequence[str], wanted: str | None) -> Mapping[str, Any] | None:
    """Return the program up to the scores inside a wrapped network, None where it is no such program."""
    if not is_wrapped(outputs, wanted):
        return None
    try:
        nodes = graph["nodes"]
        made = [place for place, node in enumerate(nodes) if SCORES in flat_names(node["outputs"])]
    except Malformed:
        raise unreadable() from None
    return {**graph, "nodes": nodes[: made[0] + 1]} if made else None


def _signature(archive: Archive) -> _Signature:
    """Sort the inputs into weights, which are fetched, and the one that varies."""
    description = archive.program["graph_module"]["signature"]
    found = _Signature([], {}, "", [])
    varying = []
    for spec in description["input_specs"]:
        kind, value = one_of(spec)
        if kind == "user_input":
            varying += _user_input(found, value)
        elif kind == "constant_input":
            found.inputs.append((value["name"], False))
            found.weights[value["name"]] = None
        elif kind in _STORED:
            folder, key = _STORED[kind]
            folder = "constants" if value.get("persistent") is False else folder
            found.inputs.append((value["arg"]["name"], True))
            found.weights[value["arg"]["name"]] = archive.tensor(folder, value[key])
        else:
            detail = "it holds an object that is no tensor"
            raise UnsupportedOperators(f"The program cannot be read: {detail}.", [Offence(kind, detail)])
    if len(varying) != 1:
        names = ", ".join(varying) or "none"
        offences = [Offence(name, "one of several inputs") for name in varying]
        raise UnsupportedInput(f"Exactly one input is supported; found {names}.", offences)
    found.entry = varying[0]
    found.outputs = _outputs(description["output_specs"])
    return found


def _user_input(found: _Signature, value: Mapping[str, Any]) -> list[str]:
    """Note an argument of the model; one that is no tensor was fixed when the model was exported."""
    kind, argument = one_of(value["arg"])
    if kind == "as_tensor":
        found.inputs.append((argument["name"], True))
        return [argument["name"]]
    if kind in {"as_sym_int", "as_sym_float", "as_sym_bool"}:
        raise Unsupported("it takes a number as an input")
    literal(kind, argument)
    return []


def _outputs(specs: Sequence[Any]) -> list[str]:
    """Return the names of the returned tensors; a model that changes its own state is refused."""
    names = []
    for spec in specs:
        kind, value = one_of(spec)
        if kind != "user_output":
            detail = "it changes its own state or its input when it is run"
            raise UnsupportedOutput(f"The model is no function: {detail}.", [Offence(kind, detail)])
        inner, argument = one_of(value["arg"])
        if inner == "as_tensor":
            names.append(argument["name"])
    if not names:
        raise UnsupportedOutput("The model must return a tensor.")
    return names


def _declared(graph: Mapping[str, Any], signature: _Signature) -> tuple[list[int | None], str]:
    """Return the lengths of the input, None for symbolic ones, and the one float type.

    Raises:
        UnsupportedInput: the input or the weights are of another type.
    """
    meta = graph["tensor_values"][signature.entry]
    dtype = FLOATS.get(meta["dtype"], "")
    if dtype not in {"float32", "float64"}:
        raise UnsupportedInput(f"Input {signature.entry!r} must be float32 or float64.")
    kinds = {str(weight.array.dtype) for weight in signature.weights.values() if weight and weight.is_float}
    if kinds - {dtype}:
        names = ", ".join(sorted(kinds | {dtype}))
        raise UnsupportedInput(f"The weights are {names}; all of them must be float32 or all float64.")
    lengths = [one_of(size) for size in meta["sizes"]]
    if any(kind == "as_int" and (type(size) is not int) for kind, size in lengths):
        raise ValueError
    return [size if kind == "as_int" else None for kind, size in lengths], dtype


def _finished(reader: Reader, names: Sequence[str], outputs: tuple[Output, ...]) -> Imported:
    value, tails = reader.result()
    if not isinstance(value, Activation):
        raise UnsupportedOutput("The output does not depend on the input.")
    cut = tuple(Tail(operator) for operator in tails)
    notes = reader.notes + [tail.note() for tail in cut]
    if len(outputs) > 1:
        left = len(outputs) - 1
        notes.insert(0, f"Of several outputs {reader.program.result!r} is used; {left} left out.")
    return Imported(
        graph=reader.builder.finish(value.name, notes),
        format="pt2",
        opset=None,
        producer="pytorch",
        operators=dict(sorted(reader.counts.items())),
        tails=cut,
        batch=reader.batch,
        dtype=reader.dtype,
        output=reader.program.result,
        scores=_scores(reader, names),
        outputs=outputs,
    )


def _scores(reader: Reader, names: Sequence[str]) -> str:
    """Return the name of the tensor that the functions that were cut off take."""
    name, value = reader.program.result, reader.returned()
    while isinstance(value, Scores):
        name = names[value.instruction.inputs[0]]
        value = value.value
    return name
