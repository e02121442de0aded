"""Every format of a network file: how it is recognised and who reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from glocert.errors import UnreadableModel
from glocert.graph import onnx_runtime, pt2, torchscript
from glocert.graph.compare import Original
from glocert.graph.gzipped import MAGIC, unpacked
from glocert.graph.imported import Imported
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_archive import holds_onnx, single_file
from glocert.graph.onnx_file import message
from glocert.graph.pt2_archive import holds_program

_FOREIGN = {
    b"\x89HDF": "an HDF5 file, as Keras writes; convert it with tf2onnx",
    b"GGUF": "a GGUF file, which holds a language model",
    b"\x93NUM": "a NumPy array, not a network",
    b"\x80": "a pickled Python object; upload TorchScript (torch.jit.trace) or ONNX",
}
_ZIP = b"PK"


@dataclass(frozen=True, slots=True)
class Read:
    """An import and the upload itself, to be compared with it.

    Attributes:
        imported: see there.
        original: name of a tensor of the upload -> what computes it.
        runtime: what ``original`` runs in.
        shows_inside: whether ``original`` knows other tensors than the output.
        notes: what the user should know about the file.
    """

    imported: Imported
    original: Callable[[str], Original]
    runtime: str
    shows_inside: bool = False
    notes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says about a file, and the limits that hold for it."""

    claimed: str | None
    input_shape: Sequence[int] | None
    output: str | None
    limits: Limits


def read(
    data: bytes,
    claimed: str | None,
    *,
    input_shape: Sequence[int] | None,
    output: str | None,
    limits: Limits,
) -> Read:
    """Import a file, which may be gzipped.

    Args:
        data: the whole file.
        claimed: one of ``FORMATS``; None recognises it by content.
        input_shape: shape of one sample, where the file leaves it open.
        output: name or position of the output to use; the first by default.
        limits: what must not be exceeded.

    Raises:
        ModelRejected: one of its subclasses.
    """
    if data.startswith(MAGIC):
        data = unpacked(data, limits)
    return FORMATS[claimed or _recognised(data)](data, Wanted(claimed, input_shape, output, limits))


def _onnx(data: bytes, wanted: Wanted) -> Read:
    notes: list[str] = []
    if data.startswith(_ZIP):
        data, notes = single_file(data, wanted.limits)
    try:
        imported = read_onnx(data, input_shape=wanted.input_shape, output=wanted.output, limits=wanted.limits)
    except UnreadableModel:
        # A file that nobody called ONNX and that is none is called neither.
        if wanted.claimed is None and message(data, wanted.limits) is None:
            raise UnreadableModel(
                "The file is neither a readable ONNX model nor a TorchScript archive."
            ) from None
        raise
    return Read(imported, partial(onnx_runtime.original, data), onnx_runtime.RUNTIME, True, notes)


def _torchscript(data: bytes, wanted: Wanted) -> Read:
    imported, original = torchscript.read_torchscript(
        data, input_shape=wanted.input_shape, output=wanted.output, limits=wanted.limits
    )
    return Read(imported, lambda _: original, torchscript.RUNTIME)


def _pt2(data: bytes, wanted: Wanted) -> Read:
    imported, original = pt2.read_pt2(
        data, input_shape=wanted.input_shape, output=wanted.output, limits=wanted.limits
    )
    return Read(imported, original, pt2.RUNTIME, True)


FORMATS: Mapping[str, Callable[[bytes, Wanted], Read]] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
    "pt2": _pt2,
}


def _recognised(data: bytes) -> str:
    """Return the format that the first bytes tell.

    Raises:
        UnreadableModel: none of them.
    """
    if not data:
        raise UnreadableModel("The file is empty.")
    for magic, kind in _FOREIGN.items():
        if data.startswith(magic):
            raise UnreadableModel(
                f"The file is neither an ONNX model nor a TorchScript archive: it is {kind}."
            )
    if data.startswith(_ZIP):
        return "onnx" if holds_onnx(data) else "pt2" if holds_program(data) else "torchscript"
    return "onnx"
