"""TorchScript with changes in place, branches, loops and state: followed exactly, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from glocert.errors import (
    InvalidGraph,
    ModelTooLarge,
    UnsupportedOperators,
)
from glocert.graph.run import run
from glocert.graph.single import NOTE as ONE
from glocert.graph.torchscript import read_torchscript
from tests.glocert.graph.torchscripts import imported, refusal, saved, scripted

torch.set_num_threads(1)


class ReadAfterChange(nn.Module):
    """The view is changed, and what it is a view of is read."""

    def forward(self, x: Tensor) -> Tensor:
        h = x * 2.0
        h.view(-1, 2, 2).relu_()
        return h


class ChangedInput(nn.Module):
    """Relu in place reaches the residual, too."""

    def forward(self, x: Tensor) -> Tensor:
        h = x * 2.0
        y = h.relu_()
        return y + h


def test_a_change_in_place_reaches_every_later_reader_or_is_refused() -> None:
    graph = imported(scripted(ChangedInput()), (4,)).graph
    x = torch.randn(5, 4)
    torch.testing.assert_close(run(graph, x), 2 * torch.relu(2 * x))
    with pytest.raises(InvalidGraph, match="changed in place"):
        read_torchscript(scripted(ReadAfterChange()), input_shape=(4,))


class ChangedWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        self.weight.add_(1)
        return x * self.weight


class OnValue(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x[:, 0].sum() > 0):
            return x * 2.0
        return x


class OnBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 3:
            return x * 2.0
        return x


class OnShape(nn.Module):
    """Decided by the shape, which is known."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2 or x.size(1) // 2 < 2:
            raise ValueError("wrong shape")
        return x * 2.0


class Looped(nn.Module):
    """How often it turns depends on the shape, which is known."""

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for turn in range(int(x.size(1)) - 2):
            x = torch.relu(x - turn)
            parts.append(x)
        return torch.cat(parts, 1)


class Endless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(int(x.size(0))):
            x = torch.relu(x)
        return x


class Waiting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while bool(x.sum() < 100.0):
            x = x * 2.0
        return x


class Jumping(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.round(torch.tanh(x * x) / x) + torch.rand_like(x) * torch.argmax(x, 1, keepdim=True)


@pytest.mark.parametrize(
    ("network", "operators"),
    [
        (ChangedWeight(), {"aten::add_"}),
        (OnValue(), {"aten::Bool", "prim::If"}),
        (Waiting(), {"aten::Bool", "prim::Loop"}),
        (Jumping(), {"aten::round", "aten::rand_like", "aten::argmax"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_depends_on_more_than_one_sample_of_input_is_refused(
    network: nn.Module, operators: set[str]
) -> None:
    error = refusal(UnsupportedOperators, scripted(network), input_shape=(4,))
    assert {offence.operator for offence in error.offences} == operators


@pytest.mark.parametrize(("network", "operators"), [(OnBatch(), {}), (Endless(), {"Relu": 1})])
def test_what_depends_on_the_length_of_the_batch_is_read_for_one(
    network: nn.Module, operators: dict[str, int]
) -> None:
    result = imported(scripted(nn.Sequential(network, nn.Linear(4, 2))), (4,))
    assert result.graph.operators == operators | {"Gemm": 1}
    assert (result.batch.size, ONE in result.graph.notes) == (1, True)


class Checked(nn.Module):
    """Raises for some batches, and computes the same for all others."""

    def forward(self, x: Tensor) -> Tensor:
        if (x.size(0) * 2 - 1) // 3 == 5:
            raise ValueError("not with this batch")
        if not x.size(0) != 9:
            raise ValueError("nor with this one")
        return x * 2.0


class Choosing(nn.Module):
    """Computes something else for some batches, and moves the batch axis so that one is no way out."""

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) * 2 > 6:
            return x * 2.0
        return torch.round(x)


@pytest.mark.parametrize("module", [Checked(), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4)], ids=str)
def test_a_check_of_the_batch_that_only_raises_is_passed(module: nn.Module) -> None:
    shape = (4,) if isinstance(module, Checked) else (4, 3)
    result = imported(scripted(module.eval()), shape)
    assert result.batch.size is None
    assert not result.graph.notes


def test_another_computation_for_other_batches_is_no_check() -> None:
    error = refusal(UnsupportedOperators, scripted(Choosing()), input_shape=(4,))
    assert error.offences[0].operator == "aten::round"


def test_a_branch_on_the_shape_is_followed() -> None:
    assert imported(scripted(OnShape()), (4,)).graph.operators == {"Mul": 1}
    error = refusal(UnsupportedOperators, scripted(OnShape()), input_shape=(3,))
    assert "raises an error" in error.offences[0].detail
    assert "wrong shape" not in str(error.to_problem())


def test_a_loop_of_known_length_is_followed() -> None:
    assert imported(scripted(Looped()), (4,)).graph.operators == {"Concat": 1, "Relu": 2, "Sub": 2}
    refusal(ModelTooLarge, scripted(Looped()), input_shape=(100_000,))


class Remembering(nn.Module):
    """A list that grows from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = [0]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(1)
        return x * float(len(self.seen))


def test_a_module_that_remembers_is_refused() -> None:
    network = torch.jit.script(Remembering())
    error = refusal(UnsupportedOperators, saved(network), input_shape=(4,))
    assert "aten::append" in {offence.operator for offence in error.offences}
