"""The TorchScript importer: against TorchScript on random modules, and case by case."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from glocert.errors import (
    InvalidGraph,
    ModelTooLarge,
    NonFiniteWeights,
    UnreadableModel,
    UnsupportedInput,
    UnsupportedOperators,
    UnsupportedOutput,
)
from glocert.graph.compare import compare, inputs
from glocert.graph.export import to_onnx
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.graph.torchscript import read_torchscript
from tests.glocert.graph.random_modules import modules
from tests.glocert.graph.torchscripts import imported, refusal, saved, scripted, traced

torch.set_num_threads(1)


@settings(max_examples=60)
@given(modules(), st.booleans())
def test_random_modules_are_imported_exactly(drawn: tuple[nn.Module, tuple[int, ...]], script: bool) -> None:
    network, shape = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = scripted(network) if script else traced(network, 2, *shape)
    graph = imported(data, shape if script else None).graph
    x = torch.from_numpy(inputs(shape, 8, "float64"))
    bare = network[:-1] if graph.notes and "removed" in graph.notes[-1] else network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = bare.double()(x.clone())
    torch.testing.assert_close(run(graph, x), expected, rtol=1e-5, atol=1e-5)
    again = read_onnx(to_onnx(graph)).graph
    torch.testing.assert_close(run(again, x), run(graph, x), rtol=1e-4, atol=1e-4)


def test_batch_normalisation_is_not_folded_into_the_convolution() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()
    graph = imported(scripted(network), (1, 4, 4)).graph
    assert graph.operators == {"BatchNormalization": 1, "Conv": 1, "Gemm": 1, "Reshape": 1}
    np.testing.assert_array_equal(graph.parameters["0.weight"], network[0].weight.detach().numpy())


def test_a_module_in_training_mode_is_read_in_evaluation_mode() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3)).train()
    assert imported(scripted(network)).graph.operators == {"BatchNormalization": 1, "Gemm": 2}


class TrainingForEver(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, training=True)


def test_dropout_that_stays_on_is_refused() -> None:
    error = refusal(UnsupportedOperators, scripted(TrainingForEver()), input_shape=(3,))
    assert "random" in error.offences[0].detail


def test_the_shape_is_that_of_the_traced_example_or_the_only_one_that_fits() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    result = imported(traced(flat, 5, 2, 3))
    assert result.graph.input_shape == (2, 3)
    assert "traced" in result.graph.notes[0]
    assert imported(scripted(flat)).graph.input_shape == (6,)
    image = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 25, 3))
    assert imported(scripted(image)).graph.input_shape == (1, 7, 7)


def test_an_ambiguous_shape_must_be_given() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    error = refusal(UnsupportedInput, scripted(network))
    assert "[1, 6, 6] or [1, 7, 7]" in error.detail
    assert "input_shape" in error.detail
    assert imported(scripted(network), (1, 7, 6)).graph.input_shape == (1, 7, 6)


def test_a_wrong_shape_is_refused_at_the_layer() -> None:
    error = refusal(InvalidGraph, scripted(nn.Sequential(nn.Linear(4, 3))), input_shape=(5,))
    assert error.offences[0].operator == "aten::linear"


class Sneaky(nn.Module):
    """A forbidden call in a branch that is never taken."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            torch.save(x, "out")
        return torch.relu(x)


def test_a_forbidden_call_in_a_dead_branch_is_refused() -> None:
    error = refusal(UnsupportedOperators, scripted(Sneaky()), input_shape=(4,))
    assert [offence.operator for offence in error.offences] == ["aten::save"]


class Restored(nn.Module):
    """Code of its own runs while the file is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False

    @torch.jit.export
    def __getstate__(self) -> int:
        return 3

    @torch.jit.export
    def __setstate__(self, state: int) -> None:
        self.training = state > 0

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


def test_code_that_runs_at_load_is_refused_before() -> None:
    error = refusal(UnsupportedOperators, scripted(Restored()), input_shape=(4,))
    assert "loaded" in error.offences[0].detail


def test_a_function_between_layers_stays_and_one_at_the_end_goes() -> None:
    network = nn.Sequential(nn.Sigmoid(), nn.Softmax(1), nn.Linear(4, 3), nn.Softmax(1))
    result = imported(scripted(network), (4,))
    assert result.graph.operators == {"Gemm": 1, "Sigmoid": 1, "Softmax": 1}
    assert [tail.operator for tail in result.tails] == ["Softmax"]
    across = nn.Sequential(nn.Linear(4, 3), nn.Softmax(0))
    error = refusal(UnsupportedOperators, scripted(across), input_shape=(4,))
    assert [offence.operator for offence in error.offences] == ["aten::softmax"]


class Changed(nn.Module):
    """The scores are changed through another name after the last function was taken."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.softmax(x * 2.0, 1)
        y.view(-1, 4).relu_()
        return y.clone()


def test_scores_that_were_changed_in_place_are_not_returned() -> None:
    with pytest.raises(UnsupportedOperators, match="changed in place"):
        read_torchscript(scripted(Changed()), input_shape=(4,))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2.0, torch.relu(x)


class Listed(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x]


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_one_tensor_in_and_one_out() -> None:
    refusal(UnsupportedOutput, scripted(Listed()), input_shape=(4,))
    refusal(UnsupportedInput, scripted(TwoInputs()), input_shape=(4,))


@pytest.mark.parametrize(("output", "operator"), [("0", "Mul"), ("1", "Relu")])
def test_one_of_several_outputs_is_taken(output: str, operator: str) -> None:
    result, original = read_torchscript(scripted(Pair()), input_shape=(4,), output=output)
    assert result.graph.operators == {operator: 1}
    assert [choice.used for choice in result.outputs] == [operator == "Mul", operator == "Relu"]
    compare(result, original, "torch.jit")
    assert "2 outputs" in result.graph.notes[0]
    for wrong in (None, "2"):
        refusal(UnsupportedOutput, scripted(Pair()), input_shape=(4,), output=wrong)


def hook(module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
    return (arguments[0] * 2.0,)


def test_hooks_are_refused() -> None:
    network = nn.ReLU()
    network.register_forward_pre_hook(hook)
    error = refusal(UnsupportedOperators, scripted(network), input_shape=(4,))
    assert "hooks" in error.detail


def test_weights_must_be_finite_and_of_one_float_type() -> None:
    network = nn.Linear(4, 3)
    with torch.no_grad():
        network.weight[1, 2] = torch.nan
    assert refusal(NonFiniteWeights, scripted(network)).offences[0].where == "weight"
    refusal(UnsupportedInput, scripted(nn.Linear(4, 3).half()))
    result = imported(scripted(nn.Linear(4, 3).double()))
    assert result.dtype == "float64"
    assert result.graph.parameters["weight"].dtype == np.float64


@pytest.mark.parametrize(
    "limits", [Limits(parameters=10), Limits(nodes=1), Limits(activation=5), Limits(name=1)]
)
def test_limits(limits: Limits) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 6))
    refusal(ModelTooLarge, scripted(network), limits=limits)


def test_a_broken_archive_is_unreadable() -> None:
    data = scripted(nn.Linear(4, 3))
    broken = data.replace(b"torch.linear", b"torch.\x00inear") if b"torch.linear" in data else data[:-30]
    refusal(UnreadableModel, broken)


def test_a_frozen_module_is_read_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    frozen = torch.jit.freeze(torch.jit.script(network))
    assert imported(saved(frozen), (4,)).graph.operators == {"Gemm": 2, "Relu": 1}


class Adaptive(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x, (2, 2)).flatten(1)


def test_even_adaptive_pooling_is_one_node() -> None:
    assert imported(scripted(Adaptive()), (1, 4, 6)).graph.operators == {"AveragePool": 1, "Reshape": 1}
    assert imported(scripted(Adaptive()), (1, 5, 6)).graph.operators["Concat"] == 2
