"""How an importer collects everything that is wrong before it says so."""

from __future__ import annotations

from dataclasses import dataclass, field

from glocert.errors import InvalidGraph, Offence, UnsupportedOperators


@dataclass(slots=True)
class Refusals:
    """Offences of both kinds, in the order of the graph."""

    operators: list[Offence] = field(default_factory=list)
    structure: list[Offence] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether anything was refused."""
        return bool(self.operators or self.structure)

    def raise_any(self) -> None:
        """Raise what was collected.

        Raises:
            UnsupportedOperators: with every node that cannot be represented.
            InvalidGraph: with every node whose inputs do not fit.
        """
        if self.operators:
            names = list(dict.fromkeys(offence.operator for offence in self.operators))
            shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            count = len(self.operators)
            nodes = f"{count} nodes are" if count > 1 else "1 node is"
            first = self.operators[0].detail
            detail = (
                f"{nodes} not supported: {shown} ({first})."
                if count == 1
                else f"{nodes} not supported: {shown}."
            )
            raise UnsupportedOperators(detail, self.operators)
        if self.structure:
            first_fault = self.structure[0]
            raise InvalidGraph(f"{first_fault.where}: {first_fault.detail}.", self.structure)
