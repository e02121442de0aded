"""TorchScript archives for tests, and what the importer makes of them."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from glocert.errors import (
    GlocertError,
)
from glocert.graph.compare import compare
from glocert.graph.imported import Imported
from glocert.graph.torchscript import read_torchscript

torch.set_num_threads(1)


def saved(module: torch.jit.ScriptModule) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


def scripted(network: nn.Module) -> bytes:
    return saved(torch.jit.script(network))


def traced(network: nn.Module, *shape: int) -> bytes:
    return saved(torch.jit.trace(network, torch.rand(shape), check_trace=False))


def imported(data: bytes, shape: tuple[int, ...] | None = None) -> Imported:
    """Import, and check against TorchScript."""
    result, original = read_torchscript(data, input_shape=shape)
    compare(result, original, "torch.jit")
    return result


def refusal(kind: type[GlocertError], data: bytes, **options: object) -> GlocertError:
    with pytest.raises(kind) as caught:
        read_torchscript(data, **options)
    return caught.value
