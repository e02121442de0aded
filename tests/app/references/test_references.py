"""References through the whole API, against a server that speaks as the registries do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.app.references.registry import ACCESS, BASIC, COMMIT, SECRET, TOKEN, Registry, running
from tests.app.serving import Served, code, serving

NET = b"bytes of a network"
DIGEST = hashlib.sha256(NET).hexdigest()
MODEL = "0/run/artifacts/model"


def post(served: Served, uri: str, **members: Any) -> httpx.Response:
    return served.client.post("/v1/models", json={"uri": uri} | members)


@pytest.mark.parametrize(
    ("uri", "path", "resolved"),
    [
        ("hf://org/repo@main/nets/a.onnx", "org/repo/nets/a.onnx", f"hf://org/repo@{COMMIT}/nets/a.onnx"),
        ("hf://org/repo/a.onnx", "org/repo/a.onnx", f"hf://org/repo@{COMMIT}/a.onnx"),
        ("hf://org/repo@refs%2Fpr%2F1/a.onnx", "org/repo/a.onnx", f"hf://org/repo@{COMMIT}/a.onnx"),
        ("models:/digits@champion", f"{MODEL}/a.onnx", "models:/digits/3#a.onnx"),
        ("models:/digits/2", f"{MODEL}/data/a.pt", "models:/digits/2#data/a.pt"),
        ("models:/digits/2#data/a.bin", f"{MODEL}/data/a.bin", "models:/digits/2#data/a.bin"),
        ("s3://bucket/nets/a b.onnx".replace(" ", "+"), "bucket/nets/a+b.onnx", "s3://bucket/nets/a+b.onnx?versionId=v7"),
    ],
)  # fmt: skip
def test_a_reference_becomes_a_model_with_its_origin(
    served: Served, registry: Registry, uri: str, path: str, resolved: str
) -> None:
    registry.files = {path: NET, f"{MODEL}/MLmodel": b"flavors:"}
    answer = post(served, uri, name="mine", preprocessing={"mean": [0.5]}, input_shape=[1, 2, 2])
    model = answer.json()
    assert answer.status_code == 201, model
    assert model["reference"] == {"uri": uri, "resolved": resolved, "sha256": DIGEST}
    assert (model["sha256"], model["size_bytes"], model["name"]) == (DIGEST, len(NET), "mine")
    assert (model["filename"], model["input_shape"]) == (path.rpartition("/")[2], [1, 2, 2])
    assert served.client.get(f"/v1/models/{model['id']}").json()["reference"]["resolved"] == resolved
    assert served.client.get(f"/v1/models/{model['id']}/file").content == NET


def test_the_same_bytes_are_the_same_model_and_get_the_origin(served: Served, registry: Registry) -> None:
    registry.files = {"org/repo/a.onnx": NET}
    first = served.model(NET)
    assert first["reference"] is None
    again = post(served, "hf://org/repo/a.onnx")
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again.json()["reference"]["sha256"] == DIGEST
    other = post(served, "hf://org/repo/a.onnx", role="regressor")
    assert (other.status_code, len(served.blobs)) == (201, 1)


@pytest.mark.parametrize(
    "uri",
    [
        "hf://organisation/repo/a.onnx",
        "s3://bucket/other/a.onnx",
        "s3://bucket2/nets/a.onnx",
        "https://localhost/a.onnx",
    ],
)
def test_what_the_settings_do_not_list_is_not_followed(served: Served, registry: Registry, uri: str) -> None:
    answer = post(served, uri)
    assert (answer.status_code, code(answer)) == (403, "reference-forbidden")
    assert (answer.json()["setting"], answer.json()["errors"][0]["pointer"]) == ("references", "/uri")
    assert "GLOCERT_REFERENCES" in answer.json()["detail"]
    assert (registry.asked, served.blobs, served.incoming) == ([], [], [])


@pytest.mark.parametrize(
    "uri",
    [
        "hf://org/../other/a.onnx",
        "hf://org/repo@main/../../x",
        "hf://org/repo@main/%2e%2e/x",
        "hf://org/repo",
        "models:/digits",
        "models:/digits/latest",
        "s3://bucket/nets/../other/a.onnx",
        "s3://bucket/nets/a.onnx?acl",
        "file:///etc/passwd",
        "http://localhost/a",
        "https://user@localhost/a",
        "https://localhost:x/a",
        "ftp://localhost/a",
        "hf://org/repo/a b",
        "\\\\host\\share",
        "",
    ],
)
def test_what_is_no_reference_is_refused_before_anything_is_asked(
    served: Served, registry: Registry, uri: str
) -> None:
    answer = post(served, uri)
    assert (answer.status_code, code(answer)) == (422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/uri"
    assert registry.asked == []


def test_members_are_checked_before_anything_is_asked(served: Served, registry: Registry) -> None:
    answer = post(served, "hf://org/repo/a.onnx", input_shape=[0], colour="red")
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert (answer.status_code, pointers) == (422, {"/input_shape/0", "/colour"})
    broken = served.client.post("/v1/models", content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, code(broken)) == (400, "malformed-request")
    assert registry.asked == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("hf://org/repo@gone/a.onnx", "no such thing"),
        ("hf://org/repo/absent.onnx", "no such thing"),
        ("models:/digits@nobody", "no such thing"),
        ("models:/digits/1", "there is: a.onnx, b.onnx"),
        ("models:/digits/1#c.onnx", "no such thing"),
        ("s3://bucket/nets/absent.onnx", "no such thing"),
        ("hf://org/repo/empty.onnx", "no bytes"),
    ],
)
def test_what_is_not_there_is_said_so(served: Served, registry: Registry, uri: str, words: str) -> None:
    registry.files = {f"{MODEL}/a.onnx": NET, f"{MODEL}/b.onnx": NET, "org/repo/empty.onnx": b""}
    answer = post(served, uri)
    assert (answer.status_code, code(answer)) == (422, "reference-unresolved")
    assert words in answer.text
    assert (served.blobs, served.incoming) == ([], [])


@pytest.mark.parametrize("place", ["file:///srv/model", "dbfs:/model", "mlflow-artifacts://else:1/0", "/srv"])
def test_versions_in_other_storage_are_not_fetched(served: Served, registry: Registry, place: str) -> None:
    registry.artifact_uri = place
    answer = post(served, "models:/digits/1")
    assert (answer.status_code, code(answer)) == (422, "reference-unresolved")


def test_a_version_in_a_bucket_needs_the_bucket_to_be_allowed(served: Served, registry: Registry) -> None:
    registry.artifact_uri = "s3://bucket/nets/model"
    registry.files = {"bucket/nets/model/a.onnx": NET, "bucket/other/a.onnx": NET}
    assert post(served, "models:/digits/1#a.onnx").json()["sha256"] == DIGEST
    registry.artifact_uri = "s3://bucket/other"
    assert code(post(served, "models:/digits/1#a.onnx")) == "reference-forbidden"


def test_a_file_over_the_limit_is_refused_while_it_comes(served: Served, registry: Registry) -> None:
    registry.files = {"org/repo/a.onnx": b"x" * (2**16 + 1)}
    answer = post(served, "hf://org/repo/a.onnx")
    assert (answer.status_code, answer.json()["setting"]) == (413, "max_model_bytes")
    assert (served.blobs, served.incoming) == ([], [])


def test_credentials_go_to_their_registry_and_nowhere_else(referring: Settings, registry: Registry) -> None:
    with running() as other:
        other.files = {"elsewhere/a.onnx": NET}
        registry.redirects = {f"/org/repo/resolve/{COMMIT}/a.onnx": f"{other.url}/elsewhere/a.onnx"}
        with serving(referring) as served:
            refused = post(served, "hf://org/repo/a.onnx")
            assert (refused.status_code, refused.json()["setting"]) == (403, "reference_hosts")
            assert other.asked == []
            registry.redirects = {f"/org/repo/resolve/{COMMIT}/a.onnx": "/moved/a.onnx"}
            registry.files = {"moved/a.onnx": NET}
            assert post(served, "hf://org/repo/a.onnx").json()["sha256"] == DIGEST
    assert registry.headers_of("/moved/")["authorization"] == f"Bearer {TOKEN}"


def test_a_listed_host_gets_no_credentials(
    referring: Settings, registry: Registry, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(certificate) as store:
        store.files = {"cdn/a.onnx": NET}
        registry.redirects = {f"/org/repo/resolve/{COMMIT}/a.onnx": f"{store.url}/cdn/a.onnx"}
        with serving(referring.model_copy(update={"reference_hosts": ".example,localhost"})) as served:
            assert post(served, "hf://org/repo/a.onnx").json()["sha256"] == DIGEST
    assert "authorization" not in store.headers_of("/cdn/")
    assert registry.headers_of("/org/")["authorization"] == f"Bearer {TOKEN}"


def test_endless_redirects_end(served: Served, registry: Registry) -> None:
    registry.redirects = {f"/org/repo/resolve/{COMMIT}/a.onnx": f"/org/repo/resolve/{COMMIT}/a.onnx"}
    assert code(post(served, "hf://org/repo/a.onnx")) == "reference-unresolved"
    assert len(registry.asked) < 10


def test_private_addresses_are_not_spoken_to(referring: Settings, registry: Registry) -> None:
    with serving(referring.model_copy(update={"reference_private_hosts": ""})) as served:
        answer = post(served, "hf://org/repo/a.onnx")
    assert (answer.status_code, code(answer)) == (403, "reference-forbidden")
    assert answer.json()["setting"] == "reference_private_hosts"
    assert registry.asked == []


def test_files_behind_an_address_need_a_valid_certificate(
    referring: Settings, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(certificate) as store:
        store.files = {"nets/a.onnx": NET}
        allowed = referring.model_copy(update={"references": f"{store.url}/nets/"})
        uri = f"{store.url}/nets/a.onnx"
        with serving(allowed) as served:
            assert (refused := post(served, uri)).status_code == 502
            assert code(refused) == "reference-unavailable"
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            assert post(served, uri).json()["reference"]["resolved"] == uri


def test_no_credential_is_ever_shown(referring: Settings, registry: Registry) -> None:
    """Whatever a registry answers, also where it repeats what it was sent."""
    wrong = {
        "hf_token": "hf_wrong-token",
        "mlflow_authorization": "Basic d3Jvbmc=",
        "s3_secret_access_key": "wrong-secret",
    }
    with serving(referring.model_copy(update=wrong)) as served:
        for uri in ("hf://org/repo/a.onnx", "models:/digits/1", "s3://bucket/nets/a.onnx"):
            answer = post(served, uri)
            assert (answer.status_code, code(answer)) == (422, "reference-unresolved")
            assert "does not give it" in answer.text
            for secret in (*wrong.values(), TOKEN, BASIC, SECRET, ACCESS, "who is it"):
                assert secret not in answer.text


def test_a_registry_that_is_away_is_said_so(referring: Settings) -> None:
    with running() as gone:
        url = gone.url
    with serving(referring.model_copy(update={"hf_endpoint": url, "mlflow_tracking_uri": ""})) as served:
        answer = post(served, "hf://org/repo/a.onnx")
        assert (answer.status_code, code(answer)) == (502, "reference-unavailable")
        assert "GLOCERT_MLFLOW_TRACKING_URI" in post(served, "models:/digits/1").text


def test_without_the_setting_nothing_is_followed(settings: Settings) -> None:
    with serving(settings) as served:
        answer = post(served, "models:/digits@champion")
    assert (answer.status_code, answer.json()["setting"]) == (403, "references")
