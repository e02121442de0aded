"""Operators substituted backwards; importing the package fills the registry."""

from glocert.forms.backward.ops import affine, convolution, functions, kinks, layout, maxima, pooling

__all__ = ["affine", "convolution", "functions", "kinks", "layout", "maxima", "pooling"]
