"""Laws of a path's parameter: proven bounds on the probability of a union of intervals."""

from glocert.laws.law import Law as Law
from glocert.laws.law import Span as Span
from glocert.laws.making import law_of as law_of
from glocert.laws.uniform import UNIFORM as UNIFORM

__all__ = ["UNIFORM", "Law", "Span", "law_of"]
