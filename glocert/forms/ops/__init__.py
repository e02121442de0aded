"""Transfers of forms; importing the package fills the registry."""

from glocert.forms.ops import (
    affine,
    convolution,
    functions,
    kinks,
    layout,
    maxima,
    pooling,
    products,
    softmax,
)

__all__ = [
    "affine",
    "convolution",
    "functions",
    "kinks",
    "layout",
    "maxima",
    "pooling",
    "products",
    "softmax",
]
