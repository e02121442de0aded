"""Branch and bound over boxes of parameters: paths of several parameters, and sets of linear inequalities.

``certify`` decides one path of k parameters, ``Search`` any unsafe set. How every number is proven is written
down in ``docs/methods/boxes.md``.
"""

from glocert.boxes.bounds import Bounding as Bounding
from glocert.boxes.search import Search as Search
from glocert.boxes.symbols import Naming as Naming
from glocert.boxes.unsafe import Inequality as Inequality
from glocert.boxes.unsafe import Unsafe as Unsafe
from glocert.boxes.verdicts import bounding_of as bounding_of
from glocert.boxes.verdicts import certify as certify

__all__ = ["Bounding", "Inequality", "Naming", "Search", "Unsafe", "bounding_of", "certify"]
