"""Operators whose result shares memory with their argument: a change in place is right or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from glocert.errors import ModelRejected
from glocert.graph.aten_lists import ON_LISTS
from glocert.graph.aten_operators.registry import OPERATORS
from glocert.graph.pt2_archive import holds_program
from glocert.graph.run import run
from tests.glocert.graph.torch_forms import (
    Wrapped,
    example,
    exported,
    from_pt2,
    from_torchscript,
    scripted,
    traced,
)

View = Callable[[Tensor], Tensor]
VIEWS: dict[str, View] = {
    "chunk": lambda h: h.chunk(2, 1)[1],
    "contiguous": lambda h: h.contiguous(),
    "detach": lambda h: h.detach(),
    "dropout": lambda h: nn.functional.dropout(h, training=False),
    "expand": lambda h: h.unsqueeze(1).expand(-1, 1, -1, -1),
    "flatten": lambda h: h.flatten(1),
    "movedim": lambda h: h.movedim(1, 2),
    "narrow": lambda h: h.narrow(1, 0, 2),
    "permute": lambda h: h.permute(0, 2, 1),
    "reshape": lambda h: h.reshape(-1, 8),
    "select": lambda h: h.select(1, 1),
    "slice": lambda h: h[:, 1:],
    "slice of all": lambda h: h[:, :],
    "split": lambda h: h.split(1, 2)[0],
    "squeeze": lambda h: h.unsqueeze(1).squeeze(1),
    "to": lambda h: h.to(torch.float32),
    "transpose": lambda h: h.transpose(1, 2),
    "type_as": lambda h: h.type_as(h),
    "unbind": lambda h: h.unbind(1)[0],
    "unflatten": lambda h: h.unflatten(1, (2, 2)),
    "unsqueeze": lambda h: h.unsqueeze(2),
    "view": lambda h: h.view(-1, 8),
    "view_as": lambda h: h.view_as(h),
}


def through_view(view: View) -> View:
    def change(x: Tensor) -> Tensor:
        h = x * 2.0
        view(h).relu_()
        return h - 1.0

    return change


def under_view(view: View) -> View:
    def change(x: Tensor) -> Tensor:
        h = x * 2.0
        seen = view(h)
        h.relu_()
        return seen - 1.0

    return change


def beside_view(view: View) -> View:
    def change(x: Tensor) -> Tensor:
        h = x * 2.0
        first, second = view(h), view(h)
        first.mul_(3.0)
        return second - 1.0

    return change


def of_view(view: View) -> View:
    def change(x: Tensor) -> Tensor:
        seen = view(x * 2.0)
        return seen.relu_() - 1.0

    return change


@pytest.mark.parametrize("form", ["traced", "pt2"])
@pytest.mark.parametrize("change", [through_view, under_view, beside_view, of_view])
@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_change_through_a_view_is_right_or_refused(
    view: str, change: Callable[[View], View], form: str
) -> None:
    module, x = Wrapped(change(VIEWS[view])).eval(), example((4, 2))
    data = traced(module, x) if form == "traced" else exported(module, x)
    right_or_refused(data, module, x, refusable=change is not of_view)


def right_or_refused(data: bytes, module: nn.Module, x: Tensor, *, refusable: bool = True) -> None:
    """Import a module; it computes what PyTorch does, or the change in place is why it is refused."""
    try:
        graph = (from_pt2(data) if holds_program(data) else from_torchscript(data, tuple(x.shape[1:]))).graph
    except ModelRejected as error:
        refusal = error
    else:
        torch.testing.assert_close(run(graph, x), module(x.clone()))
        return
    assert refusable
    assert "in place" in str(refusal.detail) + str(refusal.offences)


class Listed(nn.Module):
    """The variable that is changed is an entry of a list."""

    def forward(self, x: Tensor) -> Tensor:
        h = x * 2.0
        parts = [h, x]
        parts[0].relu_()
        return h


class Taken(nn.Module):
    """The part that is changed is an entry of a list of views."""

    def forward(self, x: Tensor) -> Tensor:
        h = x * 2.0
        parts = h.split(2, 1)
        for part in parts[:1]:
            part.relu_()
        return h


class Appended(nn.Module):
    """The tensor that is changed was put into a list before."""

    def forward(self, x: Tensor) -> Tensor:
        h = x * 2.0
        parts: list[Tensor] = []
        parts.append(h)
        h.relu_()
        return parts[-1] + list(parts)[-1]


@pytest.mark.parametrize("module", [Listed(), Taken(), Appended()], ids=lambda module: type(module).__name__)
def test_entries_of_lists_stay_the_variables_that_they_are(module: nn.Module) -> None:
    x = example((4, 2))
    right_or_refused(scripted(module), module, x)


def test_a_list_does_not_hide_a_change() -> None:
    graph = from_torchscript(scripted(Listed()), (4, 2)).graph
    assert graph.operators == {"Mul": 1, "Relu": 1}


def test_every_operator_that_pytorch_calls_a_view_is_known_to_share() -> None:
    views = {
        schema.name
        for schema in torch._C._jit_get_all_schemas()
        if schema.name in OPERATORS.keys() - ON_LISTS | {"aten::slice"}
        and any(value.alias_info is not None and not value.alias_info.is_write for value in schema.returns)
    }
    assert {"aten::view", "aten::select", "aten::split", "aten::unbind", "aten::expand"} <= views
    assert {name for name in views if not OPERATORS[name].shares} == set()
