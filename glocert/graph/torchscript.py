"""TorchScript -> Graph: the inlined graph is read node by node, and no operator of it runs meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.jit._recursive import wrap_cpp_module

from glocert.errors import (
    InvalidGraph,
    ModelTooLarge,
    Offence,
    UnreadableModel,
    UnsupportedInput,
    UnsupportedOperators,
    UnsupportedOutput,
)
from glocert.graph.aten_lists import FirstLayer
from glocert.graph.aten_program import Program
from glocert.graph.aten_reader import Reader, read_for_any_batch
from glocert.graph.compare import Batch as Rows
from glocert.graph.compare import Original, OriginalFailed
from glocert.graph.imported import Imported, Output, Tail, only_output
from glocert.graph.limits import Limits
from glocert.graph.refusals import Refusals
from glocert.graph.shapes import Shape
from glocert.graph.torchscript_archive import check_archive, traced_shape
from glocert.graph.torchscript_inlining import check_inlined
from glocert.graph.torchscript_program import decode
from glocert.graph.values import Activation, Batch, Constant, Unsupported
from glocert.graph.wrapped import NETWORK, NOTE, OUTPUTS, WRAPPED_BUFFERS, is_wrapped

RUNTIME = f"torch.jit {torch.__version__}"
_LARGEST_SIDE = 256
_SHOWN = 3
_AROUND = 20  # constants, lists and attributes that come with every operation


def read_torchscript(
    data: bytes,
    *,
    input_shape: Sequence[int] | None = None,
    limits: Limits | None = None,
    output: str | None = None,
) -> tuple[Imported, Original]:
    """Translate a traced or scripted module.

    Args:
        data: the whole file.
        input_shape: shape of one sample; without it, that of the traced example or the only one that fits.
        limits: what must not be exceeded.
        output: position of the tensor to take, needed where the model returns several; a wrapped network
            gives the scores inside.

    Returns:
        The import, and a function that runs the module itself for comparison.

    Raises:
        ModelRejected: one of its subclasses; offences name every node at fault.
    """
    limits = limits or Limits()
    check_archive(data, limits)
    unit, loaded = _loaded(data)
    module, wrapped = _inside(loaded, output)
    output = None if wrapped else output
    graph = _forward(module, unit, limits)
    count = _returned(graph)
    names = [str(position) for position in range(count or 1)]
    choice = only_output(names, output)
    program = _decoded(graph, limits, choice if count else None)
    dtype = _dtype(module, program)
    survey = Reader.over(program, None, dtype, limits, module=module._c).read()
    survey.refuse_unknown()
    survey.refusals.raise_any()
    shape = tuple(input_shape) if input_shape is not None else traced_shape(data)

    def prepared(shape: Shape, *, alone: bool) -> Reader:
        return Reader.over(program, shape, dtype, limits, module=module._c, alone=alone)

    reader, note = _with_shape(prepared, shape, survey.first)
    notes = [note] if note and input_shape is None else []
    notes += [NOTE] if wrapped else []
    if len(names) == 1:
        return _finished(reader, notes, ()), _original(module, choice)
    notes.append(f"Of {len(names)} outputs number {choice}, counted from 0, is used.")
    outputs = tuple(Output(name, None, position == choice) for position, name in enumerate(names))
    return _finished(reader, notes, outputs), _original(module, choice)


def _decoded(graph: Any, limits: Limits, choice: int | None) -> Program:
    """Return the instructions of a graph.

    Raises:
        InvalidGraph: it holds something that is none.
    """
    try:
        return decode(graph, limits, choice)
    except Unsupported as refusal:
        raise InvalidGraph(f"The module cannot be read: {refusal.detail}.") from None


def _loaded(data: bytes) -> tuple[Any, Any]:
    """Load an archive that passed the gate, in evaluation mode; return its functions and its module.

    This is what ``torch.jit.load`` does, which keeps the functions for itself.
    """
    unit = torch._C.CompilationUnit()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load: Any = torch._C.import_ir_module_from_buffer
            found = load(unit, data, torch.device("cpu"), {}, False)
            module = wrap_cpp_module(found)  # type: ignore[no-untyped-call]
            return unit, module.eval()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the loader raises whatever its parser meets
        raise UnreadableModel("The file is not a readable TorchScript archive.") from None


def _inside(module: Any, output: str | None) -> tuple[Any, bool]:
    """Return the network inside a wrapped one, and whether there was one; any other module as it is."""
    inner = dict(module.named_children()).get(NETWORK)
    kept = {name for name, _ in module.named_buffers(recurse=False)}
    wrapped = inner is not None and kept == WRAPPED_BUFFERS and is_wrapped(OUTPUTS, output)
    return (inner, True) if wrapped else (module, False)


def _dtype(module: Any, program: Program) -> str:
    """Return the one float type of the weights, or of the tensors that a trace or a freeze wrote down."""
    kinds = {tensor.dtype for tensor in module.parameters() if tensor.dtype.is_floating_point}
    if not kinds:
        literals = [instruction.literal for instruction in program.body.everything()]
        written = [entry.array for entry in literals if isinstance(entry, Constant) and entry.is_float]
        kinds = {torch.from_numpy(array).dtype for array in written if array.ndim}
    if kinds - {torch.float32, torch.float64} or len(kinds) > 1:
        names = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        raise UnsupportedInput(f"The weights are {names}; all of them must be float32 or all float64.")
    return "float64" if kinds == {torch.float64} else "float32"


def _forward(module: Any, unit: Any, limits: Limits) -> Any:
    """Return the inlined graph of ``forward`` once its size and its signature are known to fit."""
    if module._c._get_forward_hooks() or module._c._get_forward_pre_hooks():
        hook = Offence("module", "it has forward hooks", "prim::CallMethod", "Remove them before exporting.")
        raise UnsupportedOperators("Forward hooks are not supported.", [hook])
    check_inlined(unit, f"{module._c._type().annotation_str}.forward", _AROUND * limits.nodes)
    try:
        graph = module.inlined_graph
    except (AttributeError, RuntimeError):
        raise UnreadableModel("The TorchScript module has no forward method.") from None
    inputs = list(graph.inputs())[1:]
    if len(inputs) != 1 or inputs[0].type().kind() != "TensorType":
        names = ", ".join(value.debugName() for value in inputs) or "none"
        raise UnsupportedInput(f"Exactly one input is supported, a tensor; found {names}.")
    return graph


def _returned(graph: Any) -> int:
    """Return how many tensors the model returns as a tuple, 0 where it returns one tensor by itself."""
    outputs = list(graph.outputs())
    kind = outputs[0].type() if len(outputs) == 1 else None
    if kind is not None and kind.kind() == "TensorType":
        return 0
    parts = kind.elements() if kind is not None and kind.kind() == "TupleType" else []
    if not parts or any(part.kind() != "TensorType" for part in parts):
        raise UnsupportedOutput("The model must return one tensor, or a tuple of tensors.")
    return len(parts)


def _with_shape(
    prepared: Callable[..., Reader], shape: Shape | None, first: FirstLayer | None
) -> tuple[Reader, str]:
    """Read the graph with a known shape, or with the only one of the plausible shapes that fits."""
    if shape is not None:
        if not shape or min(shape) < 1:
            raise UnsupportedInput("The given `input_shape` must be a list of positive lengths.")
        reader = read_for_any_batch(lambda alone: prepared(shape, alone=alone), Batch())
        reader.refusals.raise_any()
        return reader, f"The input shape {list(shape)} is that of the example the model was traced with."
    fitting, tried = _fitting(prepared, first, alone=False)
    if tried and all(refusals.operators for refusals in tried):
        fitting, _ = _fitting(prepared, first, alone=True)
        if not fitting:
            tried[-1].raise_any()  # whatever the shape
    if len(fitting) != 1 or first is None:
        found = " or ".join(str(list(candidate)) for candidate, _ in fitting) or "none that fits"
        raise UnsupportedInput(
            f"TorchScript does not tell its input shape (found {found}). "
            "Give `input_shape`, the shape of one sample."
        )
    candidate, reader = fitting[0]
    return reader, f"The input shape {list(candidate)} was inferred from the layers."


def _fitting(
    prepared: Callable[..., Reader], first: FirstLayer | None, *, alone: bool
) -> tuple[list[tuple[Shape, Reader]], list[Refusals]]:
    """Return the first few shapes that fit, and everything that was refused on the way."""
    fitting: list[tuple[Shape, Reader]] = []
    tried: list[Refusals] = []
    for candidate in _candidates(first):
        try:
            reader = prepared(candidate, alone=alone).read()
        except ModelTooLarge:
            if not tried:
                raise
            break  # the larger ones are too large as well
        if reader.is_readable() if alone else not reader.refusals.found:
            fitting.append((candidate, reader))
        tried.append(reader.refusals)
        if len(fitting) == _SHOWN:
            break
    return fitting, tried


def _candidates(first: FirstLayer | None) -> list[Shape]:
    """Return the shapes worth trying: the width of a dense layer, or every square image."""
    if first is None:
        return [(8,), (1, 8, 8)]  # only to see what is wrong with any of them
    if first.spatial == 0:
        return [(first.features,)]
    return [(first.features, *[side] * first.spatial) for side in range(1, _LARGEST_SIDE + 1)]


def _finished(reader: Reader, notes: list[str], outputs: tuple[Output, ...]) -> Imported:
    value, tails = reader.result()
    if not isinstance(value, Activation):
        raise UnsupportedOutput("The output does not depend on the input.")
    cut = tuple(Tail(operator) for operator in tails)
    notes = notes + reader.notes + [tail.note() for tail in cut]
    return Imported(
        graph=reader.builder.finish(value.name, notes),
        format="torchscript",
        opset=None,
        producer="pytorch",
        operators=dict(sorted(reader.counts.items())),
        tails=cut,
        batch=reader.batch,
        dtype=reader.dtype,
        output=reader.program.result,
        outputs=outputs,
    )


def _original(module: Any, choice: int) -> Original:
    """Return a function that runs the module on copies of its input, and takes one of its outputs."""

    def compute(x: Rows) -> Rows:
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = module(torch.from_numpy(x.copy()))
            tensor: torch.Tensor = result[choice] if isinstance(result, tuple) else result
            return tensor.numpy()
        except RuntimeError as failure:
            raise OriginalFailed("it raises an error when it is run") from failure

    return compute
