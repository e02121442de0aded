from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.app.serving import Served, code

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.onnx"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


def post(served: Served, content: Any, kind: str = "multipart/form-data; boundary=b") -> httpx.Response:
    return served.client.post("/v1/models", content=content, headers={"Content-Type": kind})


def part(name: str, value: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value + b"\r\n"


def test_the_parts_may_come_in_any_order_and_in_any_pieces(served: Served) -> None:
    body = part("name", b"mine") + HEAD + b"data--b\r\n--" + b"\r\n" + part("role", b"encoder") + b"--b--\r\n"
    answer = post(served, iter([body[i : i + 1] for i in range(len(body))]))
    assert answer.status_code == 201, answer.text
    model = answer.json()
    assert (model["name"], model["role"]) == ("mine", "encoder")
    assert served.client.get(f"/v1/models/{model['id']}/file").content == b"data--b\r\n--"


@pytest.mark.parametrize(
    ("content", "status", "problem"),
    [
        (HEAD + TAIL, 422, "invalid-request"),
        (part("name", b"x") + b"--b--\r\n", 422, "invalid-request"),
        (HEAD + b"x\r\n" + HEAD + b"y" + TAIL, 422, "invalid-request"),
        (part("name", b"x") + part("name", b"y") + HEAD + b"z" + TAIL, 422, "invalid-request"),
        (part("name", b"\xff") + HEAD + b"z" + TAIL, 422, "invalid-request"),
        (part("name", b"x" * 70_000) + HEAD + b"z" + TAIL, 413, "payload-too-large"),
        (HEAD + b"breaks off", 400, "malformed-request"),
        (b"no boundary at all", 400, "malformed-request"),
        (b"", 400, "malformed-request"),
        (b"--b\r\nX: y\r\n\r\nz" + TAIL, 400, "malformed-request"),
        (b"--b\r\n" + b"X: y\r\n" * 5000 + b"\r\nz" + TAIL, 400, "malformed-request"),
        (part("name", b"x") * 40, 422, "invalid-request"),
    ],
)
def test_forms_that_are_not_right(steady: Served, content: bytes, status: int, problem: str) -> None:
    answer = post(steady, content)
    assert (answer.status_code, code(answer)) == (status, problem)
    assert (steady.blobs, steady.incoming) == ([], [])
    assert steady.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "multipart/mixed; boundary=b", "application/octet-stream"])
def test_other_media_types_are_refused(steady: Served, kind: str) -> None:
    answer = post(steady, HEAD + b"x" + TAIL, kind)
    assert (answer.status_code, code(answer)) == (415, "unsupported-media-type")


def test_a_boundary_is_needed_and_may_not_be_endless(steady: Served) -> None:
    assert code(post(steady, HEAD, "multipart/form-data")) == "malformed-request"
    assert code(post(steady, HEAD, f"multipart/form-data; boundary={'b' * 5000}")) == "malformed-request"


def test_a_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(served: Served) -> None:
    assert served.model(b"x" * 2**16)["size_bytes"] == 2**16
    answer = post(served, HEAD + b"x" * (2**16 + 1) + TAIL)
    assert (answer.status_code, code(answer)) == (413, "payload-too-large")
    assert (answer.json()["limit_bytes"], answer.json()["setting"]) == (2**16, "max_model_bytes")
    assert (len(served.blobs), served.incoming) == (1, [])


def test_a_body_over_the_limit_is_refused_while_it_streams(served: Served) -> None:
    """The client never ends its body: only a server that answers before that can be heard."""
    with _connection(served) as connection:
        head = b"Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + _chunk(HEAD))
        sent = _send_until_refused(connection, at_most=64 * 2**20)
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert b"/problems/payload-too-large" in answer
    assert sent < 16 * 2**20
    assert _eventually_empty(served)


@pytest.mark.parametrize("before", [b"", HEAD + b"x" + TAIL])
def test_what_stands_before_and_after_the_form_is_limited_too(served: Served, before: bytes) -> None:
    with _connection(served) as connection:
        head = b"Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
        connection.sendall(_chunk(before) if before else b"")
        sent = _send_until_refused(connection, at_most=64 * 2**20, piece=b"\r\n" * 2**15)
        answer = _read_all(connection)
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
    assert sent < 16 * 2**20
    assert _eventually_empty(served)


def test_a_declared_length_over_the_limit_is_refused_before_the_body(served: Served) -> None:
    with _connection(served) as connection:
        head = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {2**40}\r\n\r\n"
        connection.sendall(b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head.encode())
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_json_body_over_the_limit_is_refused_while_it_streams(served: Served) -> None:
    with _connection(served) as connection:
        head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
        sent = _send_until_refused(connection, at_most=64 * 2**20)
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 16 * 2**20


def test_an_upload_that_breaks_off_leaves_nothing(served: Served) -> None:
    with _connection(served) as connection:
        head = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n"
        connection.sendall(b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + HEAD + b"x" * 100)
        _until(lambda: bool(served.incoming))
    assert _eventually_empty(served)


def test_who_may_not_upload_is_told_before_the_body(keyed: Served) -> None:
    with _connection(keyed) as connection:
        head = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n"
        connection.sendall(b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
        assert _read_all(connection).startswith(b"HTTP/1.1 401 ")


def _connection(served: Served) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", httpx.URL(served.url).port or 0))
    connection.settimeout(20)
    return connection


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _send_until_refused(connection: socket.socket, at_most: int, piece: bytes = b"x" * 2**16) -> int:
    piece, sent = _chunk(piece), 0
    connection.settimeout(2)
    while sent < at_most:
        try:
            sent += connection.send(piece)
        except OSError:
            break
    connection.settimeout(20)
    return sent


def _read_all(connection: socket.socket) -> bytes:
    return b"".join(_pieces(connection))


def _pieces(connection: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            piece = connection.recv(2**16)
        except ConnectionResetError:
            return
        if not piece:
            return
        yield piece


def _until(holds: Any, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(holds())


def _eventually_empty(served: Served) -> bool:
    return _until(lambda: served.incoming == [] and served.blobs == [])
