"""The form domain: proven first-order bounds of every activation on parts of a path, for any network.

``prepare`` makes a program of a graph, ``certify`` decides one segment by bounding and splitting. How every
number is proven is written down in ``docs/methods/forms.md``.
"""

from glocert.forms.program import Program as Program
from glocert.forms.program import prepare as prepare
from glocert.forms.verdicts import certify as certify

__all__ = ["Program", "certify", "prepare"]
