"""In which order the nodes of an ONNX graph can be read, without recursion."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx

from glocert.errors import InvalidGraph, Offence
from glocert.graph.imported import Tail

_SHAPING = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def producers(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the position of the node that makes each tensor.

    Raises:
        InvalidGraph: a node without an output.
    """
    nameless = [
        _where(graph, position) for position, node in enumerate(graph.node) if not any(node.output[:1])
    ]
    if nameless:
        raise InvalidGraph(
            "A node has no output.", [Offence(where, "it has no output") for where in nameless]
        )
    return {name: position for position, node in enumerate(graph.node) for name in node.output if name}


def live_nodes(
    graph: onnx.GraphProto, makers: Mapping[str, int], known: Collection[str], output: str
) -> list[int]:
    """Return the positions of the nodes that ``output`` needs, every node after those that it reads.

    Raises:
        InvalidGraph: an undefined tensor or a cycle, with every node concerned.
    """
    if output not in makers and output not in known:
        detail = f"graph output {output!r} is undefined: no node makes it"
        raise InvalidGraph(f"The {detail}.", [Offence(output, detail)])
    _check_defined(graph, makers, known)
    live = _ancestors(graph, makers, output)
    waiting = {
        position: {makers[name] for name in graph.node[position].input if name in makers} for position in live
    }
    readers: dict[int, list[int]] = {position: [] for position in live}
    for position, sources in waiting.items():
        for source in sources:
            readers[source].append(position)
    ready = [position for position in sorted(live, reverse=True) if not waiting[position]]
    order: list[int] = []
    while ready:
        position = ready.pop()
        order.append(position)
        for reader in readers[position]:
            waiting[reader].discard(position)
            if not waiting[reader]:
                ready.append(reader)
    if len(order) < len(live):
        stuck = sorted(live - set(order))
        raise InvalidGraph(
            "The graph has a cycle.",
            [Offence(_where(graph, node), "it is on or behind a cycle") for node in stuck],
        )
    return order


def trailing(graph: onnx.GraphProto, makers: Mapping[str, int], output: str) -> set[int]:
    """Return the positions of the nodes behind which nothing but order-keeping functions follows.

    Nodes that only give the scores another shape are among them: a function of every score, or of the one set
    of scores that there is, may be left out before them as well.
    """
    found: set[int] = set()
    while output in makers and makers[output] not in found:
        node = graph.node[makers[output]]
        if node.op_type not in Tail.OPERATORS | _SHAPING or not node.input:
            break
        found.add(makers[output])
        output = node.input[0]
    return found


def _check_defined(graph: onnx.GraphProto, makers: Mapping[str, int], known: Collection[str]) -> None:
    offences = [
        Offence(_where(graph, position), f"it reads the undefined tensor {name!r}")
        for position, node in enumerate(graph.node)
        for name in node.input
        if name and name not in makers and name not in known
    ]
    if offences:
        raise InvalidGraph(f"{offences[0].where}: {offences[0].detail}.", offences)


def _ancestors(graph: onnx.GraphProto, makers: Mapping[str, int], output: str) -> set[int]:
    found: set[int] = set()
    stack = [makers[output]] if output in makers else []
    while stack:
        position = stack.pop()
        if position not in found:
            found.add(position)
            stack += [makers[name] for name in graph.node[position].input if name in makers]
    return found


def _where(graph: onnx.GraphProto, position: int) -> str:
    node = graph.node[position]
    return node.name or f"node {position} ({node.op_type})"
