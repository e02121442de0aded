"""The SDK against the real service."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from glocert_client import (
    Client,
    ClientError,
    JobFailed,
    Preprocessing,
    ServiceError,
    UploadRejected,
    WaitTimeout,
)

BRIGHTNESS = {"type": "brightness", "from": 0.0, "to": 0.2}


class Forgetful(ThreadingHTTPServer):
    """Passes requests on to the service and loses the answer to the first job."""

    daemon_threads = True

    def __init__(self, service: str) -> None:
        super().__init__(("127.0.0.1", 0), ForgetfulHandler)
        self.service = urlsplit(service).netloc
        self.lost: list[bytes] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken connections are the point here."""


class ForgetfulHandler(BaseHTTPRequestHandler):
    server: Forgetful

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        with closing(http.client.HTTPConnection(self.server.service)) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        if self.command == "POST" and self.path == "/v1/jobs" and not self.server.lost:
            self.server.lost.append(content)
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        for name in ("Content-Type", "ETag"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = forward  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def forgetful(service_url: str) -> Iterator[Forgetful]:
    with Forgetful(service_url) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


def test_from_files_to_verdicts(client: Client, threshold_model: Path, levels: Path) -> None:
    model = client.wait_ready(client.upload_model(threshold_model))
    dataset = client.wait_ready(client.upload_dataset(levels))
    seen: list[tuple[int, int]] = []
    job = client.certify(model, dataset, BRIGHTNESS, tags={"commit": "abc"})
    job.wait(timeout_s=120, progress=lambda job: seen.append(job.progress))
    assert job.summary is not None
    assert job.data["tags"] == {"commit": "abc"}
    assert [row["verdict"] for row in job.results()] == ["certified", "falsified", "certified", "skipped"]
    (falsified,) = job.results(verdict="falsified")
    # The mean passes 0.5 where brightness does 0.5 - 115/255.
    assert falsified["certified_to"]["value"] == pytest.approx(0.5 - 115 / 255, abs=1e-6)
    assert job.picture(falsified["index"]).startswith(b"\x89PNG")
    assert seen[-1] == (4, 4)
    assert client.job(job.id).status == "succeeded"


def test_the_same_upload_is_the_same_model(client: Client, threshold_model: Path) -> None:
    first, again = client.upload_model(threshold_model), client.upload_model(threshold_model)
    other = client.upload_model(threshold_model, preprocessing=Preprocessing(mean=[0.1], std=[0.5]))
    assert again.id == first.id
    assert again.known
    assert other.id != first.id
    assert client.model(first.id).data["sha256"] == first.data["sha256"]


def test_a_refused_model_names_every_node(client: Client, refused_model: Path) -> None:
    with pytest.raises(UploadRejected) as caught:
        client.wait_ready(client.upload_model(refused_model))
    assert caught.value.code == "unsupported-operators"
    assert {offence["where"] for offence in caught.value.offences} == {"bend", "wave"}
    assert client.model(caught.value.id).status == "rejected"


def test_what_does_not_exist_is_said(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="mdl_nothing") as caught:
        client.model("mdl_nothing")
    assert caught.value.code == "not-found"
    with pytest.raises(ClientError, match=r"there is no file .*gone\.onnx"):
        client.upload_model(tmp_path / "gone.onnx")


def test_a_lost_answer_makes_no_second_job(
    forgetful: Forgetful, client: Client, threshold_model: Path, levels: Path
) -> None:
    model = client.wait_ready(client.upload_model(threshold_model, name="lost answers"))
    dataset = client.wait_ready(client.upload_dataset(levels))
    with Client(f"http://127.0.0.1:{forgetful.server_address[1]}") as unlucky:
        job = unlucky.certify(model, dataset, BRIGHTNESS, tags={"case": "lost-answer"})
        assert len(forgetful.lost) == 1
        assert job.id.encode() in forgetful.lost[0]
        job.wait(timeout_s=120)


def test_an_own_key_finds_the_first_job_again(client: Client, threshold_model: Path, levels: Path) -> None:
    model = client.wait_ready(client.upload_model(threshold_model))
    dataset = client.wait_ready(client.upload_dataset(levels))
    first = client.certify(model, dataset, BRIGHTNESS, idempotency_key="nightly-1")
    again = client.certify(model, dataset, BRIGHTNESS, idempotency_key="nightly-1")
    assert again.id == first.id
    with pytest.raises(ServiceError) as caught:
        client.certify(model, dataset, {**BRIGHTNESS, "to": 0.1}, idempotency_key="nightly-1")
    assert caught.value.code == "idempotency-mismatch"
    first.wait(timeout_s=120)


def test_pages_of_any_size_hold_the_same_rows(client: Client, threshold_model: Path, levels: Path) -> None:
    model = client.wait_ready(client.upload_model(threshold_model))
    job = client.certify(model, client.wait_ready(client.upload_dataset(levels)), BRIGHTNESS).wait(
        timeout_s=120
    )
    rows = list(job.results())
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert job.certificate()


def test_leaving_by_an_exception_cancels(client: Client, slow_model: Path, noise: Path) -> None:
    model = client.wait_ready(client.upload_model(slow_model))
    dataset = client.wait_ready(client.upload_dataset(noise))
    job = client.certify(model, dataset, {"type": "noise", "from": 0.0, "to": 1.0, "seed": 1})
    with pytest.raises(WaitTimeout), job:
        job.wait(timeout_s=0.3, poll_s=0.1)
    with pytest.raises(JobFailed) as caught:
        client.job(job.id).wait(timeout_s=60)
    assert caught.value.status == "cancelled"


def test_a_cancelled_job_is_resumed(client: Client, slow_model: Path, noise: Path) -> None:
    model, dataset = client.upload_model(slow_model), client.upload_dataset(noise)
    path = {"type": "noise", "from": 0.0, "to": 1.0, "seed": 2}
    job = client.certify(client.wait_ready(model), client.wait_ready(dataset), path).cancel()
    with pytest.raises(JobFailed):
        job.wait(timeout_s=60)
    assert client.resume(job.id).status in {"queued", "running"}
    assert not job.refresh().data["cancel_requested"]
    job.cancel()
