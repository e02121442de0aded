"""Writes ``docs/operators.md``: every operator that an upload may use, what it becomes, and what follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from glocert.forms.ops.registry import REGISTRY as FORMS
from glocert.graph.aten_operators.registry import OPERATORS as ATEN
from glocert.graph.imported import Tail
from glocert.graph.onnx import OPERATORS as ONNX
from glocert.segments.ops.registry import REGISTRY as SEGMENTS
from pages.samples import Seen, aten_operators, onnx_operators, versions

HEAD = """# Operators

Made by `python3 dev.py docs` from the tables of the code and from importing samples; not written by hand.

An upload's operator becomes one or more *canonical* operators of the inert graph. What can be said about a
network follows from those:

- **exact**: affine, or continuous and piecewise linear: followed exactly along the whole segment;
- **enclosure**: smooth, a product of two activations, or not continuous: bounded on parts of the segment,
  as closely as time allows. "exact; enclosure" depends on the inputs: a product with a constant is affine, a
  product of two activations is not;
- **nothing**: it costs nothing: it is folded away while the model is read, moves no number, or is left out at
  the very end (Softmax, LogSoftmax and Sigmoid keep the order of the scores, and the model says so).

Whatever is not in these tables is refused with the name of the node. The same holds for attributes and
shapes that are not supported. Operators on constants alone are folded wherever no rounding is hidden by it.
Lipschitz certificates are not available yet, for any of them.

*Samples* counts the networks with the operator that were imported for this page: test cases of the ONNX
standard with one input made the network's and the others constant, and the functions of the importers' own
tests, which compare every one of them with onnxruntime or torch.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, _onnx(), _aten(), _canonical()])


def module() -> str:
    """Return ``app/capabilities/operators.py``: the API's process cannot load the tables themselves."""
    names = "\n".join(f'    "{name}",' for name in sorted({*ONNX, *Tail.OPERATORS}))
    return f'''"""Operators of uploaded networks; written by ``python3 dev.py docs``."""

from __future__ import annotations

OPERATORS = (
{names}
)
"""of ONNX; some on constants only, LogSoftmax, Sigmoid and Softmax are left out where they come last"""
'''


def _onnx() -> str:
    seen = onnx_operators()
    rows = [(name, versions(name), *_what(seen[name])) for name in sorted(ONNX) if name in seen]
    return f"""## ONNX, opsets 7 to 23

{_table(("operator", "opsets", "becomes", "segment", "samples"), rows)}
"""


def _aten() -> str:
    seen = aten_operators()
    rows = [(f"`{name}`", *_what(seen[name])) for name in sorted(ATEN) if name in seen]
    others = ", ".join(f"`{name}`" for name in sorted(ATEN) if name not in seen)
    return f"""## PyTorch: TorchScript and torch.export

The forms in place (`aten::relu_`) follow from the others.

{_table(("operator", "becomes", "segment", "samples"), rows)}

Without a sample on this page, mostly because they compute with numbers and lists that are known while the
model is read, or are other names of operators above: {others}.
"""


def _canonical() -> str:
    names = sorted({*SEGMENTS, *FORMS})
    rows = [(name, "yes" if name in SEGMENTS else "", "yes" if name in FORMS else "") for name in names]
    return f"""## Canonical operators

{_table(("operator", "exact engine", "enclosing engine"), rows)}
"""


def _what(seen: Seen) -> tuple[str, str, str]:
    """Return what an operator becomes, how a network with it is followed, and how many samples say so."""
    kinds = [kind for kind, known in (("exact", seen.exact), ("enclosure", seen.enclosed)) if known]
    return ", ".join(sorted(seen.becomes)) or "nothing", "; ".join(kinds) or "none yet", str(seen.imported)


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join(_lines(titles, rows))


def _lines(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = list(titles)
    yield f"| {' | '.join(titles)} |"
    yield f"| {' | '.join('---' for _ in titles)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def uncovered() -> list[str]:
    """Return the ONNX operators of which no sample was imported."""
    return sorted(set(ONNX) - set(onnx_operators()))
