"""The certification engine: one question about one path, answered by the domains that suit network and path.

``prepare`` makes a program of a graph, ``certify`` decides one path, ``certify_many`` many
together.
"""

from glocert.engine.program import Program as Program
from glocert.engine.program import prepare as prepare
from glocert.engine.question import Answer as Answer
from glocert.engine.question import Question as Question
from glocert.engine.verdicts import certify as certify
from glocert.engine.verdicts import certify_many as certify_many

__all__ = ["Answer", "Program", "Question", "certify", "certify_many", "prepare"]
