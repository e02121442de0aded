"""Prechecks of networks whose right settings are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glocert.certification.case import Case
from glocert.certification.precheck import Wanted, finished, precheck
from glocert.data.inspect import inspect_dataset
from glocert.data.limits import DataLimits
from glocert.errors import InvalidSpec
from glocert.graph.inspect import inspect_network
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.purpose import Purpose
from glocert.spec import Mutation, Preprocessing

ALL = Wanted(range(60), estimate_seconds=1.0)


@pytest.fixture(scope="module")
def found(digits, tmp_path_factory):
    """Pixels of the digits are divided by 255, and nothing else."""
    return finished(precheck(digits["onnx"], ALL, tmp_path_factory.mktemp("precheck")))


def named(document: dict, name: str) -> dict:
    return next(guess for guess in document["guesses"] if guess["name"] == name)


def current(document: dict) -> dict:
    return next(guess for guess in document["guesses"] if guess["current"])


def test_right_settings_are_left_alone(found) -> None:
    assert found["recommended"] is None
    assert found["warnings"] == []
    assert found["rearranged"] == []
    assert current(found)["accuracy"] >= 0.95
    assert current(found)["leads"]
    accuracies = [guess["accuracy"] for guess in found["guesses"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len(accuracies) >= 5


def test_a_precheck_is_plain_json(found) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_model_and_data_are_described(found, digits) -> None:
    graph = Graph.from_bytes(digits["onnx"].graph.read_bytes())
    assert found["model"]["parameters"] == graph.parameter_count
    assert found["model"]["methods"]["segment"]["admitted"] == "exact"
    assert found["model"]["outputs"] == 10
    assert found["fit"]["item_shape"] == [8, 8]
    assert found["fit"]["layouts"][0] == "NCHW"
    assert found["fit"]["problems"] == []
    assert sum(found["labels"]["counts"]) == 60


def test_the_cost_is_measured(found) -> None:
    cost = found["estimate"]
    assert cost["mutation"] == {"type": "brightness", "from": 0.0, "to": 0.1}
    assert cost["measured"] == 3
    spread = cost["seconds_per_input"]
    assert 0 < spread["least"] <= spread["median"] <= spread["most"]
    assert cost["seconds"] == pytest.approx(60 * spread["median"])


@pytest.mark.parametrize("wrong", [Preprocessing(mean=(-5.0,)), Preprocessing(mean=(10.0,), std=(0.1,))])
def test_a_wrong_normalisation_is_found_and_named(digits, tmp_path, wrong) -> None:
    found = finished(precheck(replace(digits["onnx"], preprocessing=wrong), ALL, tmp_path))
    assert found["recommended"]["preprocessing"] == Preprocessing().to_json()
    assert any("upload the model with the recommended preprocessing" in text for text in found["warnings"])
    assert any("cannot be told from guessing" in text for text in found["warnings"])
    assert found["estimate"]["measured"] == 3  # of the recommended settings


def test_data_outside_the_domain_are_pointed_out(digits, tmp_path) -> None:
    unscaled = replace(digits["onnx"], preprocessing=Preprocessing(scale=False))
    found = finished(precheck(unscaled, ALL, tmp_path))
    assert any("leave preprocessing.domain [0, 1]" in text for text in found["fit"]["problems"])


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)], ids=["unit", "signed", "bytes"]
)
def test_floats_of_any_usual_range_find_their_scale(digits, tmp_path, low, high) -> None:
    pixels = np.load(digits["onnx"].inputs).astype(np.float64) / 255
    np.save(tmp_path / "floats.npy", (low + (high - low) * pixels).astype(np.float32))
    case = replace(
        digits["onnx"], inputs=tmp_path / "floats.npy", preprocessing=Preprocessing(mean=(9.0,), std=(0.01,))
    )
    found = finished(precheck(case, ALL, tmp_path))
    settings = Preprocessing.from_json(found["recommended"]["preprocessing"])
    mean, std = (settings.mean or (0.0,))[0], (settings.std or (1.0,))[0]
    assert (mean, std) == (low, high - low)
    assert (settings.lower, settings.upper) == (low, high)
    assert named(found, found["recommended"]["name"])["accuracy"] >= 0.95


def colour_case(tmp_path: Path, order: tuple[int, ...], flip: bool) -> Case:
    """Make a network that says which channel is brightest, and data stored in some order of axes."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 80)
    images = rng.integers(0, 120, (80, 3, 4, 4))
    images[np.arange(80), labels] += 100
    images = images[:, ::-1] if flip else images
    weight = np.zeros((3, 48))
    for channel in range(3):
        weight[channel, 16 * channel : 16 * channel + 16] = 1.0
    nodes = (Node("flat", "Reshape", ("x",), "flat", {"shape": (48,)}), Node("y", "Gemm", ("flat", "w"), "y"))
    shapes = {"x": (3, 4, 4), "flat": (48,), "y": (3,)}
    (tmp_path / "graph").write_bytes(Graph("x", "y", nodes, {"w": weight}, shapes).to_bytes())
    np.save(tmp_path / "inputs.npy", np.ascontiguousarray(images.transpose(0, *order)).astype(np.uint8))
    np.save(tmp_path / "labels.npy", labels)
    return Case(tmp_path / "graph", tmp_path / "inputs.npy", tmp_path / "labels.npy", Preprocessing())


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 3, 1)], ids=["channels first", "channels last"])
def test_channels_are_found_first_or_last(tmp_path, order) -> None:
    found = finished(precheck(colour_case(tmp_path, order, flip=False), Wanted(range(80)), tmp_path))
    assert found["fit"]["layouts"][0] == "NCHW"
    assert found["fit"]["image_shape"] == [3, 4, 4]
    assert current(found)["accuracy"] == 1.0
    assert found["rearranged"] == []


def test_reversed_channels_are_found(tmp_path) -> None:
    found = finished(precheck(colour_case(tmp_path, (1, 2, 3), flip=True), Wanted(range(80)), tmp_path))
    assert current(found)["accuracy"] < 0.6
    assert [trial["name"].rpartition(", ")[2] for trial in found["rearranged"]] == ["channels reversed (BGR)"]
    assert found["rearranged"][0]["accuracy"] == 1.0
    assert found["recommended"] is None


def test_unlabelled_data_show_what_is_answered_and_recommend_nothing(digits, tmp_path) -> None:
    wrong = replace(digits["onnx"], labels=None, preprocessing=Preprocessing(mean=(-5.0,)))
    found = finished(precheck(wrong, ALL, tmp_path))
    assert found["recommended"] is None
    assert found["labels"] == {
        "labelled": False, "problems": ["The data have no labels: no accuracy can be measured."],
    }  # fmt: skip
    seen = current(found)
    assert (seen["right"], seen["accuracy"], seen["interval"]) == (None, None, None)
    assert sum(seen["labels"].values()) == 60
    assert seen["label_entropy"] < named(found, "values in [0, 1]")["label_entropy"]


def test_labels_that_no_score_stands_for(make_case, affine, tmp_path) -> None:
    inputs = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    case = make_case(affine([[1.0], [-1.0], [0.0]], [0.5, 0.5, -9.0]), inputs, [0, 0, 7, 1, -1, 0])
    found = finished(precheck(case, Wanted(range(6), estimate_seconds=0.5), tmp_path))
    labels = found["labels"]
    assert labels["counts"] == [3, 1, 0]
    assert labels["missing"] == [2]
    assert labels["outside"] == [{"index": 2, "label": 7}, {"index": 4, "label": -1}]
    assert len(labels["problems"]) == 2


def test_a_constant_answer_is_warned_of(make_case, affine, tmp_path) -> None:
    inputs = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    case = make_case(affine([[0.0], [0.0]], [0.0, 1.0]), inputs, [0, 1, 0, 1, 0, 1])
    found = finished(precheck(case, Wanted(range(6), estimate_seconds=0.5), tmp_path))
    assert "The model's own settings give label 1 to every item." in found["warnings"]


def test_data_that_do_not_fit_are_said_so(digits, tmp_path) -> None:
    np.save(tmp_path / "inputs.npy", np.zeros((60, 8, 7), np.uint8))
    found = finished(precheck(replace(digits["onnx"], inputs=tmp_path / "inputs.npy"), ALL, tmp_path))
    assert found["guesses"] == []
    assert found["fit"]["layouts"] == []
    assert "do not fit the model's input of shape [1, 8, 8]" in found["fit"]["problems"][0]
    assert found["estimate"]["measured"] == 0


def test_values_are_no_scores(make_case, affine, tmp_path) -> None:
    inputs = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    case = make_case(affine([[2.0], [1.0]], [0.0, 1.0]), inputs, None)
    wanted = Wanted(range(6), Mutation("noise", 0.0, 0.3), classifier=False, estimate_seconds=0.5)
    found = finished(precheck(case, wanted, tmp_path))
    assert found["guesses"] == []
    assert found["model"]["output_kind"] == "values"
    assert found["outputs"] == {"items": 6, "lowest": [0.0, 1.0], "highest": [2.0, 2.0]}
    assert found["estimate"]["mutation"]["type"] == "noise"
    assert found["estimate"]["measured"] == 3


def test_items_outside_the_data_set(digits, tmp_path) -> None:
    with pytest.raises(InvalidSpec, match="input 60 does not exist"):
        finished(precheck(digits["onnx"], Wanted([60]), tmp_path))


def test_the_share_done_grows_to_one(digits, tmp_path) -> None:
    shares = list(precheck(digits["onnx"], ALL, tmp_path))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) >= 5


def shared_case(shared_data: Path, model: str, data: str, out: Path) -> Case:
    inspect_network(
        shared_data / f"models/{model}.onnx", out, format=None, input_shape=None, limits=Limits(),
        purpose=Purpose(),
    )  # fmt: skip
    inspect_dataset(shared_data / f"datasets/{data}.npz", out, filename=f"{data}.npz", limits=DataLimits())
    return Case(out / "graph.safetensors", out / "inputs.npy", out / "labels.npy", Preprocessing())


CIFAR = (0.4914, 0.4822, 0.4465)


@pytest.mark.parametrize(
    ("model", "data", "items", "mean", "std", "right", "before"),
    [
        ("mnist_spectral_mlp_b", "mnist_test", 1000, (0.1307,), (0.3081,), 954, 760),
        ("cifar_resnet2b", "cifar10_test", 500, CIFAR, (0.2471, 0.2435, 0.2616), 345, 108),
        ("cifar_cnn_a_adv", "cifar10_test", 200, CIFAR, (0.2023, 0.1994, 0.2010), None, None),
    ],
)
def test_published_settings_of_real_networks_are_recommended(
    shared_data, tmp_path, model, data, items, mean, std, right, before
) -> None:
    wanted = Wanted(range(items), estimate_seconds=0.5)
    found = finished(precheck(shared_case(shared_data, model, data, tmp_path), wanted, tmp_path))
    settings = Preprocessing.from_json(found["recommended"]["preprocessing"])
    assert (settings.mean, settings.std) == (mean, std)
    if right is not None:
        assert named(found, found["recommended"]["name"])["right"] == right
        assert current(found)["right"] == before


def test_a_keras_network_is_seen_to_take_channels_last(shared_data, tmp_path) -> None:
    case = shared_case(shared_data, "mnist_keras_nhwc", "mnist_test", tmp_path)
    found = finished(precheck(case, Wanted(range(200), estimate_seconds=0.5), tmp_path))
    assert found["fit"]["layouts"][0] == "NHWC"
    wrong = replace(case, preprocessing=Preprocessing(mean=(0.5,), std=(0.5,)))
    found = finished(precheck(wrong, Wanted(range(200), estimate_seconds=0.5), tmp_path))
    assert found["recommended"]["preprocessing"] == Preprocessing(layout="NHWC").to_json()
