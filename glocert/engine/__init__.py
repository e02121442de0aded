"""The certification engine: one question about one path, answered by the domains that suit network and path.

``prepare`` makes a program of a graph, ``certify`` decides one path.
"""

from glocert.engine.program import Program as Program
from glocert.engine.program import prepare as prepare
from glocert.engine.verdicts import certify as certify

__all__ = ["Program", "certify", "prepare"]
