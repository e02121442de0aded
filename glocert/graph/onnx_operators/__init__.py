"""What every ONNX operator means, one function each; importing this package fills the registry."""

from glocert.graph.onnx_operators import (
    arithmetic,
    attention,
    constants,
    einsum,
    folding,
    functions,
    layers,
    movement,
    normalisation,
    quantised,
    reductions,
    resampling,
    selection,
    windows,
)

__all__ = [
    "arithmetic",
    "attention",
    "constants",
    "einsum",
    "folding",
    "functions",
    "layers",
    "movement",
    "normalisation",
    "quantised",
    "reductions",
    "resampling",
    "selection",
    "windows",
]
