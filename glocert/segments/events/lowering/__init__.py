"""Operators as layers. Importing the package fills the registry."""

from glocert.segments.events.lowering import affine, kinks, layout, windows

__all__ = ["affine", "kinks", "layout", "windows"]
