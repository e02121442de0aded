"""Functions that exporters write as several nodes, said in one again.

An enclosure of one function of one number is much tighter than that of its parts: ``x sigmoid(x)`` as a
product forgets that both factors are functions of the same ``x``. A rewrite is made only where the two sides
are the same function of real numbers with the constants as they are stored. Hence a Gelu that was exported
with erf stays a product: the stored root of two is not the root of two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from glocert.graph.ir import Attribute, Graph, Node


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a node is replaced by.

    Attributes:
        operator: canonical operator.
        input: the one activation that it reads, of the shape of the node's output.
        attributes: canonical attributes.
    """

    operator: str
    input: str
    attributes: Mapping[str, Attribute]


@dataclass(slots=True)
class View:
    """A graph as the patterns look at it."""

    graph: Graph
    makers: dict[str, Node]

    def made_by(self, name: str, *operators: str) -> Node | None:
        """Return the node that makes an activation, if its operator is one of these."""
        node = self.makers.get(name)
        return node if node is not None and node.operator in operators else None

    def with_number(self, name: str, operator: str, value: float) -> str | None:
        """Return ``z`` where ``name`` is ``z operator value``, entry by entry."""
        node = self.makers.get(name)
        return None if node is None else self.operand(node, operator, value)

    def operand(self, node: Node, operator: str, value: float) -> str | None:
        """Return ``z`` where the node is ``z operator value``; an Add or a Mul may be the other way round."""
        if node.operator != operator:
            return None
        pairs = [node.inputs, node.inputs[::-1]] if operator in {"Add", "Mul"} else [node.inputs]
        for varying, fixed in pairs:
            array = self.graph.parameters.get(fixed)
            if array is None or self.graph.shapes.get(varying) != self.graph.shapes[node.output]:
                continue
            if (array == value).all():
                return varying
        return None

    def function_of(self, name: str, operator: str, **attributes: float) -> str | None:
        """Return ``z`` where ``name`` is ``operator(z)`` with these attributes."""
        node = self.made_by(name, operator)
        if node is None or any(node.attributes[key] != value for key, value in attributes.items()):
            return None
        return node.inputs[0]


Pattern = Callable[[View, Node], Rewrite | None]
_PATTERNS: dict[str, list[Pattern]] = {}


def pattern(*operators: str) -> Callable[[Pattern], Pattern]:
    """Register a pattern that ends in one of ``operators``."""

    def register(function: Pattern) -> Pattern:
        for operator in operators:
            _PATTERNS.setdefault(operator, []).append(function)
        return function

    return register


def recognised(graph: Graph) -> Graph:
    """Return the same function with every known pattern said in one node.

    Args:
        graph: any graph; not changed.

    Returns:
        ``graph`` itself where nothing was recognised. Names of nodes and outputs stay.
    """
    view = View(graph, {})
    nodes = []
    for node in graph.nodes:
        changed = _rewritten(view, node)
        view.makers[node.output] = changed
        nodes.append(changed)
    if all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    return _pruned(graph, nodes)


def _rewritten(view: View, node: Node) -> Node:
    """Apply patterns until none fits; each makes the node simpler."""
    while True:
        found = next(filter(None, (match(view, node) for match in _PATTERNS.get(node.operator, ()))), None)
        if found is None:
            return node
        node = replace(node, operator=found.operator, inputs=(found.input,), attributes=found.attributes)


def _pruned(graph: Graph, nodes: list[Node]) -> Graph:
    """Drop what nobody reads any more."""
    wanted, kept = {graph.output}, []
    for node in reversed(nodes):
        if node.output in wanted:
            wanted |= set(node.inputs)
            kept.append(node)
    shapes = {name: shape for name, shape in graph.shapes.items() if name in wanted or name == graph.input}
    parameters = {name: array for name, array in graph.parameters.items() if name in wanted}
    return Graph(graph.input, graph.output, tuple(kept[::-1]), parameters, shapes, graph.notes)


def _exponent(node: Node) -> float:
    """Return the exponent of a node that is a power."""
    return {"Sqrt": 0.5, "Reciprocal": -1.0}.get(node.operator) or node.number("exponent")


def _power(name: str, exponent: float) -> Rewrite:
    named = {0.5: "Sqrt", -1.0: "Reciprocal"}
    if exponent in named:
        return Rewrite(named[exponent], name, {})
    return Rewrite("Pow", name, {"exponent": exponent})


@pattern("Mul")
def _square(view: View, node: Node) -> Rewrite | None:
    """Say ``x x`` as a square."""
    x, y = node.inputs
    return _power(x, 2.0) if x == y and view.graph.is_activation(x) else None


@pattern("Mul")
def _whole_power(view: View, node: Node) -> Rewrite | None:
    """Say ``x^n x`` as ``x^(n + 1)`` for whole ``n`` from 2 on, where both are defined everywhere."""
    for power, x in (node.inputs, node.inputs[::-1]):
        maker = view.made_by(power, "Pow")
        if maker is not None and maker.inputs[0] == x:
            exponent = maker.number("exponent")
            if exponent.is_integer() and 2 <= exponent < 2**20:
                return _power(x, exponent + 1)
    return None


@pattern("Reciprocal")
def _inverse_power(view: View, node: Node) -> Rewrite | None:
    """Say ``1 / x^p`` for ``p`` above zero as ``x^(-p)``: both are undefined where ``x^p`` is zero."""
    maker = view.made_by(node.inputs[0], "Pow", "Sqrt")
    if maker is None or _exponent(maker) <= 0:
        return None
    return _power(maker.inputs[0], -_exponent(maker))


@pattern("Mul")
def _gate(view: View, node: Node) -> Rewrite | None:
    """Say ``x sigmoid(x)`` as Silu and ``x tanh(softplus(x))`` as Mish."""
    for gate, x in (node.inputs, node.inputs[::-1]):
        if view.function_of(gate, "Sigmoid") == x:
            return Rewrite("Silu", x, {})
        inner = view.function_of(gate, "Tanh")
        if inner is not None and view.function_of(inner, "Softplus") == x:
            return Rewrite("Mish", x, {})
    return None


def _six_steps(view: View, name: str) -> str | None:
    """Return ``x`` where ``name`` is ``min(max(x + 3, 0), 6)``."""
    inner = view.function_of(name, "Clip", min=0.0, max=6.0)
    return None if inner is None else view.with_number(inner, "Add", 3.0)


def _hard_gate(view: View, name: str) -> str | None:
    """Return ``x`` where ``name`` is ``min(max(x / 6 + 1/2, 0), 1)`` in one of its spellings."""
    sixths = view.with_number(name, "Div", 6.0)
    if sixths is not None:
        return _six_steps(view, sixths)
    inner = view.function_of(name, "Clip", min=0.0, max=1.0)
    if inner is None:
        return None
    shifted = view.with_number(inner, "Add", 0.5)
    return None if shifted is None else view.with_number(shifted, "Div", 6.0)


@pattern("Mul")
def _hard_swish(view: View, node: Node) -> Rewrite | None:
    """Say ``x`` times its hard gate as HardSwish."""
    for gate, x in (node.inputs, node.inputs[::-1]):
        if view.graph.is_activation(x) and _hard_gate(view, gate) == x:
            return Rewrite("HardSwish", x, {})
    return None


@pattern("Div")
def _hard_swish_over_six(view: View, node: Node) -> Rewrite | None:
    """Say ``x min(max(x + 3, 0), 6) / 6`` as HardSwish."""
    product = view.operand(node, "Div", 6.0)
    maker = None if product is None else view.made_by(product, "Mul")
    if maker is None:
        return None
    for gate, x in (maker.inputs, maker.inputs[::-1]):
        if view.graph.is_activation(x) and _six_steps(view, gate) == x:
            return Rewrite("HardSwish", x, {})
    return None


@pattern("Reciprocal")
def _logistic(view: View, node: Node) -> Rewrite | None:
    """Say ``1 / (1 + exp(-x))`` as Sigmoid."""
    power = view.with_number(node.inputs[0], "Add", 1.0)
    inner = None if power is None else view.function_of(power, "Exp")
    x = None if inner is None else view.with_number(inner, "Mul", -1.0)
    return None if x is None else Rewrite("Sigmoid", x, {})


@pattern("Log")
def _soft_plus(view: View, node: Node) -> Rewrite | None:
    """Say ``log(1 + exp(x))`` as Softplus."""
    power = view.with_number(node.inputs[0], "Add", 1.0)
    x = None if power is None else view.function_of(power, "Exp")
    return None if x is None else Rewrite("Softplus", x, {})


@pattern("Mul")
def _soft_max(view: View, node: Node) -> Rewrite | None:
    """Say ``exp(x)`` over its sum along one axis as Softmax."""
    for power, inverse in (node.inputs, node.inputs[::-1]):
        x, total = view.function_of(power, "Exp"), view.function_of(inverse, "Reciprocal")
        kept = None if x is None or total is None else view.made_by(total, "Reshape")
        summed = None if kept is None else view.made_by(kept.inputs[0], "ReduceSum")
        if x is None or kept is None or summed is None or summed.inputs[0] != power:
            continue
        axes, shape = summed.ints("axes"), view.graph.shapes[power]
        if len(axes) == 1 and kept.ints("shape") == (*shape[: axes[0]], 1, *shape[axes[0] + 1 :]):
            return Rewrite("Softmax", x, {"axis": axes[0]})
    return None
