"""What a network is used for: outputs, thresholds, the smallest score, numbers, pictures."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from glocert.errors import ImportMismatch, UnsupportedOutput
from glocert.graph.inspect import GRAPH_FILE, Limits, Purpose, inspect_network
from glocert.graph.ir import Graph
from glocert.graph.run import run
from tests.glocert.graph.onnx_models import dense, model, node, weights

torch.set_num_threads(1)
X = torch.from_numpy(np.random.default_rng(3).normal(size=(200, 4)))


@pytest.fixture
def inspected(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], Graph]]:
    def inspect(content: onnx.ModelProto | bytes, **options: Any) -> tuple[dict[str, Any], Graph]:
        path = tmp_path / "upload"
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        purpose = {name: options.pop(name) for name in ("role", "threshold", "decision") if name in options}
        arguments = {"format": None, "input_shape": None, "limits": Limits()} | options
        report = inspect_network(path, tmp_path, purpose=Purpose(**purpose), **arguments)
        assert json.loads(json.dumps(report)) == report
        return report, Graph.from_bytes((tmp_path / GRAPH_FILE).read_bytes())

    return inspect


def one_score(*tail: str, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """A network with one output, and functions behind it."""
    nodes = [node("Gemm", ["x", "W", "b"], "z", transB=1)]
    for number, operator in enumerate(tail):
        nodes.append(node(operator, [nodes[-1].output[0]], f"s{number}"))
    nodes[-1].output[0] = "y"
    dtype = np.float64 if kind == TensorProto.DOUBLE else np.float32
    proto = model(nodes, kind=kind)
    stored = {"W": weights(1, 4).astype(dtype), "b": weights(1).astype(dtype)}
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in stored.items())
    return proto


def plain(graph: Graph) -> np.ndarray:
    """The single output of the network without its head, in float64."""
    weight, bias = (graph.parameters[name].astype(np.float64) for name in ("W", "b"))
    return X.numpy() @ weight[0] + bias[0]


Inspect = Callable[..., tuple[dict[str, Any], Graph]]


def test_one_score_is_refused_with_both_ways_out(inspected: Inspect) -> None:
    with pytest.raises(UnsupportedOutput, match="at least two classes") as caught:
        inspected(one_score())
    (error,) = caught.value.to_problem()["errors"]
    assert "threshold" in error["way_out"]
    assert "role=regressor" in error["way_out"]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
@pytest.mark.parametrize("threshold", [0.0, 0.5, -1.25, 0.1])
def test_a_threshold_makes_two_classes_with_unchanged_numbers(
    inspected: Inspect, threshold: float, kind: int
) -> None:
    report, graph = inspected(one_score(kind=kind), threshold=threshold)
    scores = run(graph, X).numpy()
    used = threshold if kind == TensorProto.DOUBLE else float(np.float32(threshold))
    assert scores.shape == (200, 2)
    assert_array_equal(scores[:, 0], np.full(200, used))
    np.testing.assert_allclose(scores[:, 1], plain(graph), rtol=0, atol=1e-12)
    assert_array_equal(scores.argmax(1), scores[:, 1] > used)
    assert set(graph.operators) <= {"Gemm", "MatMul", "Add"}
    assert (report["outputs"], report["family"]) == ([{"name": "y", "shape": [2], "used": True}], "exact")
    assert any("greater than" in note for note in report["notes"])
    assert any("next to it" in note for note in report["notes"]) == (used != threshold)


def test_a_number_as_large_as_floats_go_keeps_its_score(inspected: Inspect) -> None:
    """Multiplying by 0 and 1 and adding 0 changes nothing, whatever the size."""
    _, graph = inspected(one_score(), threshold=3.0)
    scores = run(graph, X * 1e300).numpy()
    assert_array_equal(scores[:, 0], np.full(200, 3.0))
    assert np.isfinite(scores).all()


def test_half_behind_a_sigmoid_is_zero_in_front_of_it(inspected: Inspect) -> None:
    report, graph = inspected(one_score("Sigmoid"), threshold=0.5)
    scores = run(graph, X).numpy()
    assert_array_equal(scores[:, 0], np.zeros(200))
    probability = 1 / (1 + np.exp(-plain(graph)))
    assert_array_equal(scores.argmax(1), probability > 0.5)
    assert (report["family"], report["piecewise_linear"]) == ("exact", True)
    assert "Sigmoid" not in graph.operators
    assert any("exceeds 0" in note for note in report["notes"])


@pytest.mark.parametrize(("tails", "threshold"), [(("Sigmoid",), 0.3), (("Sigmoid", "Sigmoid"), 0.5)])
def test_any_other_threshold_keeps_the_sigmoid_inside(
    inspected: Inspect, tails: tuple[str, ...], threshold: float
) -> None:
    report, graph = inspected(one_score(*tails), threshold=threshold)
    expected = plain(graph)
    for _ in tails:
        expected = 1 / (1 + np.exp(-expected))
    scores = run(graph, X).numpy()
    np.testing.assert_allclose(scores[:, 1], expected, atol=1e-12)
    assert_array_equal(scores[:, 0], np.full(200, float(np.float32(threshold))))
    assert graph.operators["Sigmoid"] == len(tails)
    assert (report["family"], report["piecewise_linear"]) == ("enclosure", False)
    assert [found["detail"] for found in report["methods"]["segment"]["nodes"]] == [
        "it is not piecewise linear"
    ] * len(tails)
    assert not any("was removed" in note for note in report["notes"])


def test_a_threshold_is_for_single_numbers(inspected: Inspect) -> None:
    with pytest.raises(UnsupportedOutput, match="a threshold is for a single number"):
        inspected(dense(), threshold=0.5)
    with pytest.raises(UnsupportedOutput, match="does not fit float32"):
        inspected(one_score(), threshold=1e300)


def test_the_smallest_score_decides_where_it_is_asked_for(inspected: Inspect) -> None:
    _, largest = inspected(dense())
    report, smallest = inspected(dense(), decision="min")
    assert_array_equal(run(smallest, X).numpy(), -run(largest, X).numpy())
    assert_array_equal(run(smallest, X).argmax(1), run(largest, X).argmin(1))
    assert smallest.operators["Mul"] == 1
    assert any("smallest score decides" in note for note in report["notes"])


def test_the_smallest_score_in_front_of_a_softmax(inspected: Inspect) -> None:
    proto = dense()
    proto.graph.node[-1].output[0] = "z"
    proto.graph.node.append(node("Softmax", ["z"], "y", axis=1))
    _, graph = inspected(proto, decision="min")
    _, plainly = inspected(dense())
    assert_array_equal(run(graph, X).argmax(1), run(plainly, X).argmin(1))
    assert "Softmax" not in graph.operators


@pytest.mark.parametrize("tail", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_a_regressor_keeps_what_its_network_ends_with(inspected: Inspect, tail: str) -> None:
    proto = dense()
    proto.graph.node[-1].output[0] = "z"
    proto.graph.node.append(node(tail, ["z"], "y"))
    _, scores = inspected(dense())
    report, graph = inspected(proto, role="regressor")
    z = run(scores, X)
    expected = {
        "Softmax": torch.softmax(z, 1), "LogSoftmax": torch.log_softmax(z, 1), "Sigmoid": torch.sigmoid(z)
    }[tail]  # fmt: skip
    torch.testing.assert_close(run(graph, X), expected, rtol=1e-9, atol=1e-9)
    assert report["family"] == "enclosure"
    assert not any("removed" in note for note in report["notes"])


def test_a_regressor_has_numbers_in_a_row(inspected: Inspect) -> None:
    report, graph = inspected(one_score(), role="regressor")
    assert graph.output_shape == (1,)
    nodes = [*dense().graph.node, node("Reshape", ["y", "shape"], "table")]
    proto = model(nodes, {t.name: numpy_helper.to_array(t) for t in dense().graph.initializer}
                  | {"shape": np.array([-1, 3, 1])}, outputs=["table"])  # fmt: skip
    report, graph = inspected(proto, role="regressor")
    assert (graph.output_shape, report["outputs"][0]["shape"]) == ((3,), [3])


@pytest.mark.parametrize("role", ["generator", "encoder"])
def test_generators_and_encoders_have_any_shape_and_their_last_function(
    inspected: Inspect, role: str
) -> None:
    nodes = [node("Gemm", ["x", "W"], "z", transB=1), node("Reshape", ["z", "shape"], "p")]
    nodes.append(node("Tanh", ["p"], "y"))
    proto = model(nodes, {"W": weights(12, 4), "shape": np.array([-1, 3, 2, 2])})
    report, graph = inspected(proto, role=role)
    assert graph.output_shape == (3, 2, 2)
    assert report["outputs"] == [{"name": "y", "shape": [3, 2, 2], "used": True}]
    with pytest.raises(UnsupportedOutput, match="one vector of class scores") as caught:
        inspected(proto)
    assert "role" in caught.value.offences[0].way_out
    single, _ = inspected(one_score("Sigmoid"), role=role)
    assert (single["family"], single["outputs"][0]["shape"]) == ("enclosure", [1])


def test_new_names_do_not_meet_those_of_the_upload(inspected: Inspect) -> None:
    """A network whose tensors are called as the head would call its own."""
    nodes = [node("Gemm", ["x", "W", "b"], "y/select", transB=1), node("Relu", ["y/select"], "y/threshold"),
             node("Sub", ["y/threshold", "one"], "y")]  # fmt: skip
    tensors = {"W": weights(1, 4), "b": weights(1), "one": np.ones(1, np.float32)}
    _, graph = inspected(model(nodes, tensors), threshold=0.0)
    scores = run(graph, X).numpy()
    np.testing.assert_allclose(scores[:, 1], np.maximum(plain(graph), 0) - 1, atol=1e-12)
    assert len({entry.name for entry in graph.nodes}) == len(graph.nodes)


def two_outputs() -> onnx.ModelProto:
    """Scores and, wrongly declared, what they are made of; a third output cannot be imported."""
    proto = dense()
    proto.graph.node.append(node("NonZero", ["r"], "places"))
    proto.graph.output.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [128, 3200]))
    proto.graph.output.append(helper.make_tensor_value_info("places", TensorProto.INT64, None))
    return proto


def test_the_first_output_is_used_and_the_others_are_listed(inspected: Inspect) -> None:
    report, graph = inspected(two_outputs())
    assert report["outputs"] == [
        {"name": "y", "shape": [3], "used": True},
        {"name": "r", "shape": [3200], "used": False},
        {"name": "places", "shape": None, "used": False},
    ]
    assert any("'y' is used" in note and "'r', 'places' left out" in note for note in report["notes"])
    assert graph.digest() != inspected(dense())[1].digest()  # by its notes
    assert graph.nodes == inspected(dense())[1].nodes


@pytest.mark.parametrize("output", ["r", "1"])
def test_an_output_is_chosen_by_name_or_position(inspected: Inspect, output: str) -> None:
    report, graph = inspected(two_outputs(), output=output)
    assert [entry["used"] for entry in report["outputs"]] == [False, True, False]
    assert report["outputs"][1]["shape"] == list(graph.output_shape) == [5]
    assert graph.operators == {"Gemm": 1, "Relu": 1}
    assert report["comparison"]["max_rel_difference"] < 1e-6


def test_a_name_goes_before_a_position(inspected: Inspect) -> None:
    proto = two_outputs()
    for entry in (proto.graph.node[2], proto.graph.output[0]):
        (entry.output if hasattr(entry, "op_type") else [None])[0] = "1"
    proto.graph.output[0].name = "1"
    _, graph = inspected(proto, output="1")
    assert graph.output_shape == (3,)


@pytest.mark.parametrize("output", ["Y", "3", "-1", "", "٣", "9" * 5000])
def test_an_output_that_is_not_there_is_refused_with_the_choices(inspected: Inspect, output: str) -> None:
    with pytest.raises(UnsupportedOutput, match="There is no output") as caught:
        inspected(two_outputs(), output=output)
    assert "'y', 'r', 'places'" in str(caught.value)


def test_numbers_of_the_report(inspected: Inspect) -> None:
    report, _ = inspected(dense())
    assert report["nonlinear_units_by_operator"] == {"Relu": 5}
    assert (report["nonlinear_units"], report["parameters"], report["family"]) == (5, 43, "exact")
    assert report["methods"]["segment"]["nodes"] == []


def test_the_engines_are_asked_where_they_are_at_hand(inspected: Inspect) -> None:
    told = {"family": "exact", "methods": {"segment": {"admitted": "no", "because": "asked", "nodes": []}}}
    asked: list[Graph] = []
    report, graph = inspected(dense(), admit=lambda graph: asked.append(graph) or told)
    assert (report["methods"], [entry.digest() for entry in asked]) == (told["methods"], [graph.digest()])


def test_a_product_of_two_activations_is_named(inspected: Inspect) -> None:
    nodes = [*dense().graph.node, node("Mul", ["y", "y"], "square")]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in dense().graph.initializer}
    report, _ = inspected(model(nodes, tensors, outputs=["square"]))
    (obstacle,) = report["methods"]["segment"]["nodes"]
    assert obstacle["where"] == "make square"
    assert report["methods"]["segment"]["admitted"] == "enclosure"
    assert not report["piecewise_linear"]


def test_notes_of_the_file_reach_the_graph_and_gzip_goes_around_zip(inspected: Inspect) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net.onnx", dense().SerializeToString())
        archive.writestr("notes.txt", "hello")
    report, graph = inspected(gzip.compress(buffer.getvalue()))
    assert any("notes.txt" in note for note in report["notes"])
    assert list(graph.notes) == report["notes"]


def test_a_network_that_returns_something_else_is_still_caught(inspected: Inspect) -> None:
    """The comparison is of the network itself, behind whatever was put back."""
    proto = one_score("Sigmoid")
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((1, 4), 3e38, np.float32), "W"))
    with pytest.raises(ImportMismatch):
        inspected(proto, threshold=0.5)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["acasxu_1_1", "acasxu_3_3"])
def test_acas_xu_takes_the_smallest(name: str, shared_data: Path, inspected: Inspect) -> None:
    content = (shared_data / "models" / f"{name}.onnx").read_bytes()
    _, graph = inspected(content, decision="min")
    _, largest = inspected(content)
    x = torch.rand(50, *graph.input_shape, generator=torch.Generator().manual_seed(1)) - 0.5
    assert_array_equal(run(graph, x).argmax(1), run(largest, x).argmin(1))


@pytest.mark.shared
@pytest.mark.parametrize("output", [None, "1"])
def test_the_two_outputs_of_the_fashion_net(
    output: str | None, shared_data: Path, inspected: Inspect
) -> None:
    content = (shared_data / "models/fashion_cnn_two_outputs.onnx").read_bytes()
    report, graph = inspected(content, output=output, role="classifier" if output is None else "encoder")
    assert graph.output_shape == ((10,) if output is None else (3200,))
    assert [entry["used"] for entry in report["outputs"]] == [output is None, output is not None]
    assert report["parameters"] == (914698 if output is None else 92672)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["onnx/output_single_score.onnx"])
def test_the_single_score_of_the_hostile_files(name: str, shared_data: Path, inspected: Inspect) -> None:
    content = (shared_data / "hostile" / name).read_bytes()
    with pytest.raises(UnsupportedOutput, match="at least two classes"):
        inspected(content)
    assert inspected(content, threshold=0.0)[1].output_shape == (2,)
    assert inspected(content, role="regressor")[1].output_shape == (1,)
