"""Transfers of the canonical operators, one file per family; importing the package fills the registry."""

from glocert.segments.ops import affine, convolution, kinks, layout, maxima, pooling

__all__ = ["affine", "convolution", "kinks", "layout", "maxima", "pooling"]
