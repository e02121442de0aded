"""What every ATen operator means, one function each; importing this package fills the registry."""

from glocert.graph.aten_operators import (
    arithmetic,
    attention,
    conditions,
    constants,
    folding,
    functions,
    layers,
    movement,
    reduce,
    resample,
    scalars,
    select,
    transformer,
    windows,
)

__all__ = [
    "arithmetic",
    "attention",
    "conditions",
    "constants",
    "folding",
    "functions",
    "layers",
    "movement",
    "reduce",
    "resample",
    "scalars",
    "select",
    "transformer",
    "windows",
]
