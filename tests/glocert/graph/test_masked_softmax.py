"""Constant masks of -inf in front of a Softmax, in both worlds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from glocert.errors import NonFiniteWeights, UnsupportedOperators
from tests.glocert.graph.agreement import agree, operators
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node
from tests.glocert.graph.torch_forms import Wrapped, example, exported, from_pt2, from_torchscript, traced

torch.set_num_threads(1)
NO = -np.inf
KEYS = np.array([0.0, NO, 0.0, NO], np.float32)
BIASED = np.array([[0.5, NO, -1.0, 2.0]], np.float32)
CAUSAL = np.where(np.tri(4, dtype=bool), 0.25, NO).astype(np.float32)
TURNED = CAUSAL[[2, 0, 1, 2]]
HEADS = np.stack([np.zeros((4, 4)), CAUSAL]).astype(np.float32)
HIDDEN = np.array([[0.0] * 4, [NO] * 4, [0.0] * 4, [0.0] * 4], np.float32)


def masked(mask: np.ndarray, axis: int = -1) -> object:
    nodes = [node("Add", ["x", "m"], "s"), node("Softmax", ["s"], "p", axis=axis), node("Neg", ["p"], "y")]
    return model(nodes, {"m": mask}, shape=["N", 2, 4, 4])


@pytest.mark.parametrize("mask", [KEYS, BIASED, CAUSAL, TURNED], ids=["keys", "biased", "causal", "turned"])
def test_what_a_mask_hides_has_probability_zero(mask: np.ndarray) -> None:
    graph = agree(masked(mask)).graph
    assert "Softmax" in operators(graph)
    assert all(np.isfinite(array).all() for array in graph.parameters.values())
    function = Wrapped(lambda x: -torch.softmax(x + torch.from_numpy(mask), -1)).eval()
    x = example((2, 4, 4))
    from_torchscript(traced(function, x))
    from_pt2(exported(function, x, dynamic=True))


def test_an_axis_that_is_not_the_last() -> None:
    agree(masked(np.array([[0.0], [NO], [1.0], [NO]], np.float32), axis=2))


@pytest.mark.parametrize("mask", [HEADS, HIDDEN], ids=["heads", "hidden"])
def test_other_masks_are_refused_by_name(mask: np.ndarray) -> None:
    error = refusal(UnsupportedOperators, masked(mask))
    assert [offence.operator for offence in error.offences] == ["ai.onnx::Softmax"]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_other_numbers_that_are_not_finite_stay_so(number: float) -> None:
    refusal(NonFiniteWeights, masked(np.array([0.0, NO, number, 0.0], np.float32)))


def test_a_mask_that_something_else_reads_is_refused() -> None:
    nodes = [node("Add", ["x", "m"], "s"), node("Softmax", ["s"], "p"), node("Mul", ["p", "s"], "y")]
    refusal(NonFiniteWeights, model(nodes, {"m": KEYS}, shape=["N", 2, 4, 4]))


def test_a_causal_attention_of_pytorch() -> None:
    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
            self.register_buffer("mask", torch.nn.Transformer.generate_square_subsequent_mask(5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attend(x, x, x, attn_mask=self.mask)[0].flatten(1)

    torch.manual_seed(3)
    assert from_torchscript(traced(Causal().eval(), example((5, 8)))).batch.size == 1
