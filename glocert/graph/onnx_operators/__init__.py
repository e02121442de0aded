"""What every ONNX operator means, one function each; importing this package fills the registry."""

from glocert.graph.onnx_operators import arithmetic, constants, layers, movement, windows

__all__ = ["arithmetic", "constants", "layers", "movement", "windows"]
