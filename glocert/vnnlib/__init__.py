"""VNN-LIB: properties of networks as text, decided by branch and bound over boxes of inputs.

``python -m glocert.vnnlib MODEL PROPERTY`` answers one; ``read_property`` and ``decide`` are for programs.
"""

from glocert.vnnlib.decide import Answer as Answer
from glocert.vnnlib.decide import Result as Result
from glocert.vnnlib.decide import decide as decide
from glocert.vnnlib.network import Network as Network
from glocert.vnnlib.reader import Property as Property
from glocert.vnnlib.reader import read_property as read_property

__all__ = ["Answer", "Network", "Property", "Result", "decide", "read_property"]
