"""Models of every role and origin, from the client and the command line to verdicts."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from glocert_client import Client
from glocert_client.errors import ServiceError, UploadRejected
from glocert_client.uploads import is_reference, model_request
from tests.app.references.registry import COMMIT, TOKEN, Registry, running
from tests.embedded import embedded_service
from tests.glocert_client.test_cli import BRIGHTNESS, glocert

VERDICTS = ["certified", "falsified", "certified", "skipped"]


def network(sign: float, outputs: int, *tail: str) -> onnx.ModelProto:
    """One score, above zero where the mean of the pixels is above 0.5, or two, the first its negative.

    All scores are multiplied by ``sign``.
    """
    rows = [np.full(16, 1 / 16)] if outputs == 1 else [np.full(16, -1 / 16), np.full(16, 1 / 16)]
    bias = [-0.5] if outputs == 1 else [0.5, -0.5]
    weights = {"w": sign * np.stack(rows), "b": sign * np.array(bias)}
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]),
             helper.make_node("Gemm", ["flat", "w", "b"], ["h0"], transB=1)]  # fmt: skip
    nodes += [helper.make_node(operator, [f"h{n}"], [f"h{n + 1}"]) for n, operator in enumerate(tail)]
    nodes[-1].output[0] = "y"
    entry, end = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (("x", (1, 4, 4)), ("y", (outputs,)))
    )
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tests", [entry], [end], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(proto: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("proto", "settings"),
    [
        (network(1, 1), {"threshold": 0.0}),
        (network(1, 1, "Sigmoid"), {"threshold": 0.5}),
        (network(-1, 2), {"decision": "min"}),
    ],
    ids=["threshold", "behind a Sigmoid", "minimum"],
)
def test_the_same_decision_written_otherwise_has_the_same_verdicts(
    proto: onnx.ModelProto, settings: dict[str, object], client: Client, levels: Path, tmp_path: Path
) -> None:
    model = client.wait_ready(client.upload_model(saved(proto, tmp_path), **settings))  # type: ignore[arg-type]
    assert {name: model.data[name] for name in settings} == settings
    job = client.certify(
        model, client.wait_ready(client.upload_dataset(levels)), {"type": "brightness", "to": 0.2}
    )
    job.wait(timeout_s=120)
    assert [row["verdict"] for row in job.results()] == VERDICTS
    (falsified,) = job.results(verdict="falsified")
    assert falsified["certified_to"]["value"] == pytest.approx(0.5 - 115 / 255, abs=1e-6)


def test_settings_make_another_model_and_one_score_alone_is_refused(client: Client, tmp_path: Path) -> None:
    path = saved(network(1, 1), tmp_path)
    ids = {client.upload_model(path, threshold=threshold).id for threshold in (0.0, 0.25)}
    ids |= {client.upload_model(path, role="regressor").id, client.upload_model(path, output="y").id}
    assert len(ids) == 4
    with pytest.raises(UploadRejected, match="at least two classes"):
        client.wait_ready(client.upload_model(path))
    regressor = client.wait_ready(client.upload_model(path, role="regressor"))
    assert regressor.data["outputs"] == [{"name": "y", "shape": [1], "used": True}]


def test_gzip_and_archives_with_data_files(client: Client, tmp_path: Path) -> None:
    path = saved(network(1, 2), tmp_path)
    plain = client.wait_ready(client.upload_model(path))
    packed = tmp_path / "net.onnx.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    onnx.save_model(network(1, 2), tmp_path / "big.onnx", save_as_external_data=True, size_threshold=0,
                    location="big.data")  # fmt: skip
    whole = tmp_path / "big.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for name in ("big.onnx", "big.data"):
            archive.write(tmp_path / name, name)
    for upload in (packed, whole):
        model = client.wait_ready(client.upload_model(upload))
        assert model.data["graph_sha256"] == plain.data["graph_sha256"]
        assert model.data["sha256"] != plain.data["sha256"]
    with pytest.raises(UploadRejected, match=r"upload a \.zip"):
        client.wait_ready(client.upload_model(tmp_path / "big.onnx"))


def test_the_command_line_takes_the_same_settings(service_url: str, levels: Path, tmp_path: Path) -> None:
    path = saved(network(1, 1), tmp_path)
    common = ("--data", levels, *BRIGHTNESS, "--limit", 1)
    done = glocert("certify", path, *common, "--threshold", "0", url=service_url)
    assert done.returncode == 0, done.stderr
    path = saved(network(-1, 2), tmp_path)
    done = glocert("certify", path, *common, "--decision", "min", "--output", "y", url=service_url)
    assert done.returncode == 0, done.stderr
    done = glocert("push", path, "--output", "scores", url=service_url)
    assert (done.returncode, "Name one of 'y'" in done.stderr) == (4, True)
    done = glocert("push", path, "--role", "generator", "--json", url=service_url)
    assert json.loads(done.stdout)["role"] == "generator"


def test_a_reference_is_refused_where_the_service_follows_none(service_url: str) -> None:
    with Client(service_url) as client, pytest.raises(ServiceError, match="GLOCERT_REFERENCES"):
        client.upload_model("hf://org/repo@main/net.onnx")
    done = glocert("push", "models:/digits@champion", url=service_url)
    assert (done.returncode, "GLOCERT_REFERENCES" in done.stderr) == (4, True)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running() as registry:
        yield registry


def test_a_reference_is_certified_by_the_digest_that_it_meant(
    registry: Registry, levels: Path, tmp_path: Path
) -> None:
    registry.files = {"org/repo/net.onnx": network(1, 2).SerializeToString()}
    settings = {
        "GLOCERT_REFERENCES": "hf://org/",
        "GLOCERT_REFERENCE_PRIVATE_HOSTS": "localhost",
        "GLOCERT_HF_ENDPOINT": registry.url,
        "GLOCERT_HF_TOKEN": TOKEN,
    }
    uri = "hf://org/repo@main/net.onnx"
    with embedded_service(tmp_path / "service", settings) as url:
        done = glocert("certify", uri, "--data", levels, *BRIGHTNESS, "--limit", 1, "--json", url=url)
        assert done.returncode == 0, done.stderr
        job = json.loads(done.stdout)["jobs"][0]["job"]
        with Client(url) as client:
            model = client.model(job["model_id"])
            again = client.upload_model(uri, name="again")
    assert model.data["reference"]["resolved"] == f"hf://org/repo@{COMMIT}/net.onnx"
    assert model.data["reference"]["sha256"] == model.data["sha256"]
    assert (again.id, again.known) == (model.id, True)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("hf://a/b/c", True),
        ("s3://b/k", True),
        ("models:/a@b", True),
        ("https://h/f", True),
        ("models/a.onnx", False),
        ("net.onnx", False),
        ("http://h/f", False),
    ],
)
def test_what_is_a_reference_and_what_a_file(text: str, reference: bool) -> None:
    assert is_reference(text) == reference


def test_a_reference_is_sent_as_json_without_what_was_not_given() -> None:
    request = model_request(
        "hf://a/b/c",
        name=None,
        role="regressor",
        format=None,
        input_shape=[3],
        classes=None,
        preprocessing=None,
    )
    assert request.body == {"uri": "hf://a/b/c", "role": "regressor", "input_shape": [3]}
    assert request.file is None
