"""Retries against a real server on a real socket that misbehaves as it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glocert_client import Client, ClientError, ServiceError, ServiceUnreachable
from glocert_client.exchange import Request
from glocert_client.transport import Transport, checked, is_loopback
from tests.moody import Moody

OK = (200, {}, {"id": "x", "status": "ready"})


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def transport(moody: Moody, pauses: list[float]) -> Iterator[Transport]:
    with Transport(moody.url, "glc_secret", attempts=4, sleep=pauses.append) as transport:
        yield transport


@pytest.mark.parametrize("mood", ["hang up", "half an answer"])
def test_broken_connections_are_tried_again(
    moody: Moody, transport: Transport, pauses: list[float], mood: str
) -> None:
    moody.moods = [mood, mood, OK]
    assert transport.send(Request("GET", "/v1/models/x")).json()["id"] == "x"
    assert len(moody.seen) == 3
    assert pauses == [0.2, 0.4]


def test_retry_after_is_honoured(moody: Moody, transport: Transport, pauses: list[float]) -> None:
    moody.moods = [(429, {"Retry-After": "7"}, {"title": "Too many"}), (503, {}, {}), OK]
    transport.send(Request("GET", "/v1/models/x"))
    assert pauses == [7.0, 0.4]


def test_a_refusal_is_final(moody: Moody, transport: Transport, pauses: list[float]) -> None:
    problem = {"type": "/problems/not-found", "title": "There is no such thing", "detail": "No model x."}
    moody.moods = [(404, {}, problem)]
    with pytest.raises(ServiceError, match="No model x") as caught:
        transport.send(Request("GET", "/v1/models/x"))
    assert caught.value.problem == problem
    assert pauses == []


def test_patience_ends(moody: Moody, transport: Transport) -> None:
    moody.moods = ["hang up"] * 4
    with pytest.raises(ServiceUnreachable, match="does not answer"):
        transport.send(Request("GET", "/v1/models/x"))
    assert len(moody.seen) == 4


def test_what_may_not_be_repeated_is_sent_once(moody: Moody, transport: Transport) -> None:
    moody.moods = ["hang up", OK]
    with pytest.raises(ServiceUnreachable):
        transport.send(Request("POST", "/v1/api-keys", body={}, repeatable=False))
    assert len(moody.seen) == 1


def test_a_repeated_job_carries_the_same_idempotency_key(moody: Moody) -> None:
    job = (202, {"ETag": '"1"'}, {"id": "job_1", "status": "queued"})
    moody.moods = ["hang up", job, job]
    mutation = {"type": "brightness", "from": 0.0, "to": 0.2}
    with Client(moody.url) as client:
        client.certify("mdl_1", "dat_1", mutation)
        client.certify("mdl_1", "dat_1", mutation)
    first, again, other = (headers["Idempotency-Key"] for _, _, headers, _ in moody.seen)
    assert first == again
    assert other != first
    assert moody.seen[0][3] == moody.seen[1][3]


def test_a_repeated_upload_sends_the_whole_file_again(moody: Moody, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(bytes(range(256)) * 40)
    moody.moods = ["hang up", (201, {}, {"id": "mdl_1", "status": "uploaded"})]
    with Client(moody.url) as client:
        assert not client.upload_model(path, name="n").known
    assert all(path.read_bytes() in body for *_, body in moody.seen)
    assert len(moody.seen) == 2


def test_the_key_is_sent_to_the_service(moody: Moody, transport: Transport) -> None:
    moody.moods = [OK]
    transport.send(Request("GET", "/v1/models/x"))
    assert moody.seen[0][2]["Authorization"] == "Bearer glc_secret"


def test_a_redirect_does_not_carry_the_key_away(moody: Moody, transport: Transport) -> None:
    moody.moods = [(307, {"Location": "http://127.0.0.1:1/steal"}, {})]
    with pytest.raises(ServiceError, match="HTTP 307"):
        transport.send(Request("GET", "/v1/models/x"))
    assert len(moody.seen) == 1


def test_unseen_states_are_not_sent_twice(moody: Moody) -> None:
    moody.moods = [
        (200, {"ETag": '"1"'}, {"id": "job_1", "status": "running"}),
        (304, {"ETag": '"1"'}, {}),
        (200, {"ETag": '"2"'}, {"id": "job_1", "status": "succeeded"}),
    ]
    with Client(moody.url) as client:
        assert client.job("job_1").wait(poll_s=0.01).status == "succeeded"
    assert [headers.get("If-None-Match") for _, _, headers, _ in moody.seen] == [None, '"1"', '"1"']


def test_pages_are_followed_to_the_end(moody: Moody) -> None:
    moody.moods = [
        (200, {}, {"id": "job_1", "status": "succeeded"}),
        (200, {}, {"items": [{"index": 0}, {"index": 1}], "next": "a b&c"}),
        (200, {}, {"items": [{"index": 2}], "next": None}),
    ]
    with Client(moody.url) as client:
        rows = list(client.job("job_1").results(verdict="falsified"))
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert moody.seen[1][1] == "/v1/jobs/job_1/results?verdict=falsified"
    assert moody.seen[2][1].endswith(("cursor=a%20b%26c", "cursor=a+b%26c"))


@pytest.mark.parametrize("href", ["http://127.0.0.1:1/x", "//127.0.0.1:1/x", "x"])
def test_files_of_other_hosts_are_not_fetched(moody: Moody, href: str) -> None:
    moody.moods = [(200, {}, {"id": "job_1", "status": "succeeded"})]
    with Client(moody.url) as client, pytest.raises(ClientError, match="does not lie on this service"):
        client.job("job_1").download(href)
    assert len(moody.seen) == 1


@pytest.mark.parametrize("url", ["", "127.0.0.1:8321", "ftp://x", "http://", "http://[::1", "http://a:b"])
def test_an_address_that_cannot_be_one_is_named(url: str) -> None:
    with pytest.raises(ServiceUnreachable, match="is not an address"):
        Client(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8321", True),
        ("http://localhost:8321", True),
        ("http://localhost.example.org", False),
        ("https://glocert.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback_needs_no_proxy(url: str, expected: bool) -> None:
    assert is_loopback(checked(url)) is expected
