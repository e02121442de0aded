"""GCert segment engine: exact analysis of a one-dimensional path through a network.

``prepare`` makes a program of a graph, ``certify`` decides one segment, ``trace`` returns the whole curve of
scores. How every number is proven is written down in ``docs/methods/segments.md``.
"""

from glocert.segments.curve import Curve as Curve
from glocert.segments.curve import trace as trace
from glocert.segments.many import Asked as Asked
from glocert.segments.many import certify_many as certify_many
from glocert.segments.program import Program as Program
from glocert.segments.program import prepare as prepare
from glocert.segments.verdicts import certify as certify

__all__ = ["Asked", "Curve", "Program", "certify", "certify_many", "prepare", "trace"]
