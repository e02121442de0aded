"""Reading an upload in a child that has locked itself in before it opens the file.

Everything is imported first: behind the wall only upload, interpreter and output folder can be opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.conversation import Message
from workers.process import die_with_conversation


def inspect_network(command: Message) -> Iterator[Message]:
    """Turn an uploaded network into an inert graph."""
    from glocert.certification.admission import admission
    from glocert.graph.inspect import inspect_network as inspect
    from glocert.graph.limits import Limits
    from glocert.graph.purpose import Purpose

    layers = _lock(command)
    report = inspect(
        Path(command["path"]),
        Path(command["out"]),
        format=command["format"],
        input_shape=command["input_shape"],
        output=command["output"],
        purpose=Purpose(**command["purpose"]),
        limits=Limits(**command["limits"]),
        admit=admission,
    )
    yield _inspected(report, layers)


def inspect_dataset(command: Message) -> Iterator[Message]:
    """Turn an uploaded data set into plain arrays."""
    from glocert.data.inspect import inspect_dataset as inspect
    from glocert.data.limits import DataLimits

    layers = _lock(command)
    report = inspect(
        Path(command["path"]),
        Path(command["out"]),
        filename=command["filename"],
        limits=DataLimits(**command["limits"]),
    )
    yield _inspected(report, layers)


def _lock(command: Message) -> dict[str, Any]:
    import numpy  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import PIL.Image  # noqa: F401
    import safetensors.numpy  # noqa: F401
    import torch

    from workers.lockdown import lock

    torch.set_num_threads(1)
    layers = lock(
        [Path(command["path"]), *(Path(path) for path in command["read"])],
        [Path(command["out"])],
        memory_bytes=command["memory_bytes"],
        cpu_s=command["cpu_s"],
        file_bytes=command["file_bytes"],
        policy=command["policy"],
    )
    die_with_conversation(command["conversation"])
    return layers


def _inspected(report: dict[str, Any], layers: dict[str, Any]) -> Message:
    return {"event": "inspected", "report": report | {"sandbox": layers}}
