"""Elementary functions of float64 tensors with proven error bounds.

``name(x)`` returns an ``Enclosed``: ``|f(x) - value| <= error`` for the exact number x, elementwise. The
proofs rest on IEEE 754's ``+ - * / sqrt`` only; nothing is assumed about the system's own exp, log or sin.
"""

from glocert.elementary.enclosed import Enclosed
from glocert.elementary.error_function import erf, normal
from glocert.elementary.exponential import exp, exp_of, expm1, gaussian
from glocert.elementary.logarithm import log, log1p
from glocert.elementary.logistic import logistic, sigmoid, softplus, tanh
from glocert.elementary.roots import power, reciprocal, sqrt
from glocert.elementary.trigonometric import cos, sin

__all__ = [
    "Enclosed",
    "cos",
    "erf",
    "exp",
    "exp_of",
    "expm1",
    "gaussian",
    "log",
    "log1p",
    "logistic",
    "normal",
    "power",
    "reciprocal",
    "sigmoid",
    "sin",
    "softplus",
    "sqrt",
    "tanh",
]
