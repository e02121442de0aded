"""Inspection: the shared models, the hostile files, and what the report says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glocert.errors import ModelRejected, ModelTooLarge, UnreadableModel, UnsupportedOutput
from glocert.graph.inspect import GRAPH_FILE, Limits, inspect_network
from glocert.graph.ir import Graph
from glocert.graph.run import run
from tests.glocert.graph.onnx_models import dense

torch.set_num_threads(1)

CLASSIFIERS = {
    "mnist_fc_256x2": ("onnx", "pt"),
    "mnist_fc_256x4": ("onnx",),
    "mnist_fc_256x6": ("onnx",),
    "mnist_conv_small": ("onnx", "pt", "scripted.pt"),
    "mnist_conv_small_dynamo": ("onnx",),
    "mnist_relu_6_100": ("onnx", "pt"),
    "mnist_a_adv": ("onnx", "pt"),
    "mnist_fc_3layer": ("onnx", "pt"),
    "mnist_cnn_small": ("onnx", "pt"),
    "mnist_spectral_mlp_b": ("onnx", "pt"),
    "mnist_tiny_20": ("onnx", "pt"),
    "mnist_avgpool": ("onnx",),
    "mnist_lenet_batch10": ("onnx",),
    "mnist_lenet_maxpool": ("onnx", "pt", "scripted.pt"),
    "mnist_keras_nhwc": ("onnx",),
    "fashion_cnn_two_outputs": ("onnx",),
    "cifar_conv_small_pgd": ("onnx", "pt"),
    "cifar_cnn_a_adv": ("onnx", "pt"),
    "cifar_resnet2b": ("onnx", "pt", "scripted.pt"),
    "cifar_resnet3b2": ("onnx",),
    "cifar_conv_sigmoid": ("onnx", "pt"),
    "cifar_vit_pgd_2_3_16": ("onnx",),
    "mnist_sigmoid_mlp": ("onnx",),
}
OF_ANOTHER_ROLE = ("cgan_32_1ch", "cgan_32_1ch_discriminator", "cgan_32_1ch_generator", "nn4sys_lindex")


def inspected(path: Path, out: Path, **options: Any) -> tuple[dict[str, Any], Graph]:
    """Inspect and read back what was stored."""
    arguments = {"format": None, "input_shape": None, "limits": Limits()} | options
    report = inspect_network(path, out, **arguments)
    return report, Graph.from_bytes((out / GRAPH_FILE).read_bytes())


def correct(graph: Graph, x: np.ndarray, labels: np.ndarray, batch: int | None) -> tuple[int, int]:
    """Count right answers; a fixed batch leaves the last incomplete one out, as the manifest does."""
    rows = len(x) - len(x) % (batch or 1)
    parts = [run(graph, torch.from_numpy(x[start : start + 100])) for start in range(0, rows, 100)]
    return int((torch.cat(parts).argmax(1).numpy() == labels[:rows]).sum()), rows


@pytest.mark.shared
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_accuracy_is_that_of_the_manifest_and_the_formats_agree(
    name: str,
    shared_data: Path,
    models: dict[str, dict[str, Any]],
    prepared: Callable[[str, dict[str, Any]], tuple[np.ndarray, np.ndarray]],
    tmp_path: Path,
) -> None:
    entry, scores = models[name], []
    for suffix in CLASSIFIERS[name]:
        shape = scores[0][1] if suffix == "scripted.pt" else None
        path = shared_data / "models" / f"{name}.{suffix}"
        report, graph = inspected(path, tmp_path, input_shape=shape)
        assert report["comparison"]["samples"] >= 20
        assert report["comparison"]["max_rel_difference"] < 1e-5
        for data, expected in entry["accuracy"].items():
            x, labels = prepared(data, entry["preprocess_spec"])
            answer = correct(graph, x, labels, 10 if "batch10" in name else None)
            assert answer == (expected["correct"], expected["n"])
        scores.append((run(graph, torch.from_numpy(x[:50])), graph.input_shape))
    for other, _ in scores[1:]:
        torch.testing.assert_close(other, scores[0][0], rtol=1e-4, atol=1e-4)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["acasxu_1_1", "acasxu_3_3", "nn4sys_pensieve_small", "rl_cartpole"])
def test_networks_without_labels_are_taken_too(name: str, shared_data: Path, tmp_path: Path) -> None:
    report, graph = inspected(shared_data / "models" / f"{name}.onnx", tmp_path)
    assert report["comparison"]["max_rel_difference"] < 1e-5
    assert graph.output_shape in {(5,), (6,), (2,)}


@pytest.mark.shared
@pytest.mark.parametrize("name", OF_ANOTHER_ROLE)
def test_networks_that_are_no_classifiers_are_refused_with_the_choice_of_a_role(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedOutput, match="role"):
        inspected(shared_data / "models" / f"{name}.onnx", tmp_path)
    assert not (tmp_path / GRAPH_FILE).exists()


HOSTILE = {
    "onnx/empty.onnx": "empty",
    "onnx/truncated.onnx": "neither a readable ONNX",
    "onnx/text_renamed.onnx": "neither a readable ONNX",
    "onnx/random_bytes.onnx": "neither a readable ONNX",
    "onnx/external_traversal.onnx": "External data is not accepted",
    "onnx/external_missing.onnx": "weights inside",
    "onnx/custom_domain_op.onnx": "com.example.custom::Backdoor",
    "onnx/unknown_op.onnx": "Frobnicate",
    "onnx/control_if.onnx": "ai.onnx::If",
    "onnx/control_loop_endless.onnx": "Loop is control flow",
    "onnx/bomb_constant_of_shape.onnx": "too large",
    "onnx/bomb_expand.onnx": "too large",
    "onnx/initializer_dims_huge.onnx": "declared shape does not match the data",
    "onnx/initializer_dims_negative.onnx": "negative dimension",
    "onnx/initializer_short_data.onnx": "declared shape does not match the data",
    "onnx/weights_nan.onnx": "NaN or infinity",
    "onnx/weights_inf.onnx": "NaN or infinity",
    "onnx/input_all_dynamic.onnx": "must be known apart from the batch axis",
    "onnx/input_no_shape.onnx": "input shape is missing",
    "onnx/input_wrong_rank.onnx": "shape mismatch at Gemm",
    "onnx/shape_mismatch.onnx": "shape mismatch at Gemm",
    "onnx/input_zero_dim.onnx": "zero or negative dimension",
    "onnx/two_inputs.onnx": "found x, x2",
    "onnx/input_int64.onnx": "must be float32",
    "onnx/input_string.onnx": "must be float32",
    "onnx/no_outputs.onnx": "no output",
    "onnx/output_single_score.onnx": "at least two classes",
    "onnx/output_undefined.onnx": "'nowhere' is undefined",
    "onnx/dangling_tensor.onnx": "undefined tensor 'ghost'",
    "onnx/cycle.onnx": "cycle",
    "onnx/opset_9999.onnx": "opset 9999",
    "onnx/ir_9999.onnx": "IR version 9999",
    "onnx/no_graph.onnx": "no graph",
    "onnx/random_op.onnx": "not a function of the input",
    "torch/empty.pt": "empty",
    "torch/text_renamed.pt": "TorchScript archive",
    "torch/pickle_runs_code.pt": "pickled Python object",
    "torch/pickle_runs_code_legacy.pt": "pickled Python object",
    "torch/torchscript_lookalike_pickle.pt": "not a readable TorchScript archive",
    "torch/state_dict.pt": "state_dict",
    "torch/whole_module_pickle.pt": "pickled module",
    "torch/truncated.pt": "not a readable TorchScript archive",
    "torch/zip_bomb_small.pt": "expand too much",
    "torch/ts_endless_loop.pt": "prim::Loop",
    "torch/ts_writes_file.pt": "aten::save",
    "torch/ts_data_dependent_if.pt": "prim::If",
    "torch/ts_tuple_output.pt": "one tensor",
    "torch/ts_two_inputs.pt": "Exactly one input",
    "torch/ts_raises.pt": "raises an error when it is run",
    "torch/ts_weights_nan.pt": "NaN or infinity",
}


@pytest.mark.shared
@pytest.mark.parametrize("told", [True, False], ids=["format given", "format found"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_for_their_reason_and_run_nothing(
    name: str, told: bool, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTILE_MARKER", str(tmp_path / "marker"))
    monkeypatch.chdir(tmp_path)
    kind = ("onnx" if name.startswith("onnx") else "torchscript") if told else None
    with pytest.raises(ModelRejected) as caught:
        inspected(shared_data / "hostile" / name, tmp_path, format=kind)
    reason = HOSTILE[name].replace(
        "neither a readable ONNX", "not a readable ONNX" if told else "neither a readable ONNX"
    )
    assert reason in str(caught.value.to_problem())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
def test_every_hostile_model_is_tried(shared_data: Path) -> None:
    files = json.loads((shared_data / "hostile/manifest.json").read_text())["files"]
    assert {entry["file"] for entry in files if entry["upload_as"] == "model"} == set(HOSTILE)


def test_the_report_is_plain_json_and_names_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(dense().SerializeToString())
    report, graph = inspected(path, tmp_path)
    assert json.loads(json.dumps(report)) == report
    assert report["format"] == "onnx"
    assert report["opset"] == 17
    assert report["operators"] == {"Gemm": 2, "Relu": 1}
    assert report["canonical_operators"] == {"Gemm": 2, "Relu": 1}
    assert report["parameters"] == 5 * 4 + 5 + 3 * 5 + 3
    assert report["nonlinear_units"] == 5
    assert report["input"] == {"name": "x", "shape": [4], "dtype": "float32"}
    assert report["outputs"] == [{"name": "y", "shape": [3], "used": True}]
    assert report["methods"]["segment"]["admitted"] == "exact"
    assert report["graph_sha256"] == graph.digest()
    assert report["comparison"]["runtime"].startswith("onnxruntime ")


def test_a_trained_softmax_is_compared_before_it_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(torchscript(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(1))))
    report, graph = inspected(path, tmp_path)
    assert graph.operators == {"Gemm": 1}
    assert "Softmax" in report["notes"][-1]
    assert report["comparison"]["runtime"].startswith("torch.jit ")


def torchscript(network: torch.nn.Module) -> bytes:
    """Trace a network of four inputs."""
    path = torch.jit.trace(network.eval(), torch.zeros(1, 4))
    return path.save_to_buffer()


@pytest.mark.parametrize("content", [b"\x89HDF\r\n", b"GGUF....", b"\x93NUMPY", b"plain text"])
def test_files_of_other_formats_are_told_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(UnreadableModel, match="neither"):
        inspected(path, tmp_path)


def test_a_large_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"\0" * 2000)
    with pytest.raises(ModelTooLarge):
        inspected(path, tmp_path, limits=Limits(file_bytes=1000))
