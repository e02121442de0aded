"""The gate in front of PyTorch's parser: what is nested too deep for its stack does not get there."""

from __future__ import annotations

import pytest

from glocert.errors import ModelTooLarge
from glocert.graph.torchscript_code import check_code

GOOD = """class Block(Module):
  __parameters__ = ["weight", ]
  def forward(self: __torch__.Block,
    x: Tensor) -> Tensor:
    _0 = "a text with ((( brackets and \\" a quote"  # and a (((( comment
    _1 = torch.conv2d(x, self.weight, None, [1, 1], [0, 0], [1, 1])
    if torch.gt(torch.dim(x), -3):
      y = torch.add(_1, x)
    else:
      y = x
    return y
"""


def test_what_pytorch_writes_passes():
    check_code("a.py", GOOD)
    check_code("a.py", GOOD * 1_000)


@pytest.mark.parametrize(
    "code",
    [
        "y = " + "(" * 101 + "x" + ")" * 101,
        "y = " + "[" * 101 + "x",
        "y = " + "-" * 2_001 + "x",
        "y = x" + ".T" * 2_001,
        "y = x" + " + x" * 2_001,
        "y = " + "not " * 2_001 + "x",
        "y = (x,\n" + " + x\n" * 2_001 + ")",
        "\n" + " " * 201 + "y = x",
        '_ = "' + "(" * 4_000 + '"',
        "#" + "(" * 4_000,
    ],
)
def test_what_is_nested_too_deep_does_not(code):
    with pytest.raises(ModelTooLarge, match=r"'a\.py'"):
        check_code("a.py", code)
