"""A forward pass, kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glocert.forms.backward.peaks import peak
from glocert.forms.backward.registry import Local, Reverse
from glocert.forms.form import Form


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """The forms of all activations on some rows.

    Attributes:
        forms: name of an activation -> its form.
        scores: the output's form, flattened, shape (rows, classes).
        locals: name of a node's output -> the node between lines; filled when it is first needed.
        chosen: the rows of ``forms`` that count, int64; None for all. Nothing is copied for the others.
    """

    forms: dict[str, Form]
    scores: Form
    locals: dict[str, Local] = field(default_factory=dict, repr=False)
    chosen: Tensor | None = None

    def rows(self, index: Tensor) -> Tape:
        """Return the tape of some rows.

        Args:
            index: their positions, int64, or a mask.
        """
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(1)
        known = {name: local.rows(index) for name, local in self.locals.items()}
        chosen = index if self.chosen is None else self.chosen[index]
        return Tape(self.forms, self.scores.rows(index), known, chosen)

    def form(self, name: str) -> Form:
        """Return an activation on the rows that count."""
        return self.forms[name] if self.chosen is None else self.forms[name].rows(self.chosen)

    def peak(self, name: str) -> Tensor:
        """Return a bound on the absolute values of an activation on the rows that count."""
        return peak(self.forms[name], self.index(name))[0]

    def index(self, name: str) -> Tensor:
        """Return the rows of an activation that count."""
        return torch.arange(len(self.forms[name].centre)) if self.chosen is None else self.chosen

    def local(self, output: str, node: Reverse, inputs: Sequence[str]) -> Local:
        """Return a node between lines."""
        if output not in self.locals:
            quick = getattr(node, "in_one_pass", None)
            made = quick(self.forms[inputs[0]], self.index(inputs[0])) if quick else None
            self.locals[output] = made or node.local([self.form(name) for name in inputs])
        return self.locals[output]
