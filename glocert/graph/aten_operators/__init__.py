"""What every TorchScript operator means, one function each; importing this package fills the registry."""

from glocert.graph.aten_operators import arithmetic, layers, movement, scalars, windows

__all__ = ["arithmetic", "layers", "movement", "scalars", "windows"]
