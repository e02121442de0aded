"""A forward pass, kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from glocert.forms.backward.registry import Local, Reverse
from glocert.forms.form import Form


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """The forms of all activations on some rows.

    Attributes:
        forms: name of an activation -> its form.
        scores: the output's form, flattened, shape (rows, classes).
        locals: name of a node's output -> the node between lines; filled when it is first needed.
    """

    forms: dict[str, Form]
    scores: Form
    locals: dict[str, Local] = field(default_factory=dict, repr=False)

    def rows(self, index: Tensor) -> Tape:
        """Return the tape of some rows.

        Args:
            index: their positions, int64, or a mask.
        """
        forms = {name: x.rows(index) for name, x in self.forms.items()}
        known = {name: local.rows(index) for name, local in self.locals.items()}
        return Tape(forms, self.scores.rows(index), known)

    def local(self, output: str, node: Reverse, inputs: tuple[str, ...]) -> Local:
        """Return a node between lines."""
        if output not in self.locals:
            self.locals[output] = node.local([self.forms[name] for name in inputs])
        return self.locals[output]
