"""What a wrapped network looks like: how readers find the network inside it.

A wrapped network answers ``OUTPUTS``, always in this order. What makes them out of the scores (an argmax, a
selection by index) is no part of a network that anything here bounds, so readers take the scores inside.
They are the tensor ``SCORES`` in an ONNX file or an exported program, and what the part ``NETWORK`` returns
in TorchScript.
"""

from __future__ import annotations

from collections.abc import Sequence

OUTPUTS = ("logits_bot", "label", "certified", "radius")
INPUT = "x"
SCORES = "logits"
NETWORK = "network"
EPSILON = "epsilon"
WRAPPED_BUFFERS = frozenset({EPSILON, "pairs", "terms"})
NOTE = "The file is a wrapped network: what it decides is left out, and the scores inside are used."


def is_wrapped(outputs: Sequence[str], wanted: str | None) -> bool:
    """Whether a file of these outputs is a wrapped network of which no single output was asked for."""
    return tuple(outputs) == OUTPUTS and wanted in {None, SCORES, OUTPUTS[0]}
