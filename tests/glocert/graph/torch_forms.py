"""The forms in which a module of PyTorch can be saved."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn

from glocert.graph import pt2
from glocert.graph.compare import Comparison, compare
from glocert.graph.imported import Imported
from glocert.graph.torchscript import read_torchscript


class Wrapped(nn.Module):
    """A function as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[operator,no-any-return]


def example(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, rows: int = 3) -> Tensor:
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


def traced(module: nn.Module, x: Tensor) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _saved(torch.jit.trace(module, x, check_trace=False))


def scripted(module: nn.Module) -> bytes:
    return _saved(torch.jit.script(module))


def _saved(module: torch.jit.ScriptModule) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


def exported(module: nn.Module, x: Tensor, *, dynamic: bool = False, core: bool = False) -> bytes:
    """Save with ``torch.export``; ``core`` breaks operators down first."""
    return saved(program_of(module, x, dynamic=dynamic), core=core)


def program_of(module: nn.Module, x: Tensor, *, dynamic: bool = False) -> torch.export.ExportedProgram:
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, (x,), dynamic_shapes=shapes)


def saved(program: torch.export.ExportedProgram, *, core: bool = False) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program.run_decompositions() if core else program, buffer)
    return buffer.getvalue()


def from_torchscript(data: bytes, shape: tuple[int, ...] | None = None, **options: object) -> Imported:
    """Import, and check against TorchScript."""
    imported, original = read_torchscript(data, input_shape=shape, **options)
    compare(imported, original, "torch.jit")
    return imported


def from_pt2(data: bytes, **options: object) -> Imported:
    """Import, and check against the interpreter, the scores before a Softmax as well."""
    imported, original = pt2.read_pt2(data, **options)
    for name in {imported.output, imported.scores}:
        checked(imported, original, name)
    return imported


def checked(imported: Imported, original: object, name: str) -> Comparison:
    from dataclasses import replace

    tails = imported.tails if name == imported.output else ()
    return compare(replace(imported, tails=tails), original(name), pt2.RUNTIME)  # type: ignore[operator]
