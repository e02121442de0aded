"""Bounds of linear functionals of the scores, by substituting backwards through what a forward pass made.

``prepare`` makes a reversal of a program. Its ``record`` is the forward pass, kept; ``functionals`` goes back
through it. The proof is in ``docs/methods/forms.md``.
"""

from glocert.forms.backward.margins import open_margins as open_margins
from glocert.forms.backward.margins import tightened as tightened
from glocert.forms.backward.reversal import Reversal as Reversal
from glocert.forms.backward.reversal import prepare as prepare
from glocert.forms.backward.tape import Tape as Tape

__all__ = ["Reversal", "Tape", "open_margins", "prepare", "tightened"]
