"""Transfers of forms; importing the package fills the registry."""

from glocert.forms.ops import affine, convolution, kinks, layout, maxima, pooling

__all__ = ["affine", "convolution", "kinks", "layout", "maxima", "pooling"]
