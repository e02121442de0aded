"""The other side: one server that speaks as the Hugging Face Hub, an MLflow server and an S3 store do."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_token-of-the-tests"
BASIC = "Basic bWxmbG93OnNlY3JldA=="
ACCESS, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI-EXAMPLEKEY", "eu-central-1"


@dataclass
class Registry:
    """What it holds and what it was asked.

    Attributes:
        files: path -> bytes, of repositories (``org/repo/path``), runs (``0/run/artifacts/…``) and buckets.
        redirects: path -> Location.
        asked: paths with the headers of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    artifact_uri: str = "mlflow-artifacts:/0/run/artifacts/model"
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def headers_of(self, path: str) -> dict[str, str]:
        return next(headers for asked, headers in self.asked if asked.startswith(path))


class Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.registry.asked.append((self.path, headers))
        path = unquote(place.path)
        if path in self.registry.redirects:
            self.answer(302, b"", {"Location": self.registry.redirects[path]})
        elif path.startswith("/api/2.0/"):
            self.mlflow(path, {name: values[0] for name, values in parse_qs(place.query).items()})
        elif path.startswith("/api/models/"):
            self.commit(path)
        elif "/resolve/" in path:
            self.resolve(path)
        elif path.startswith("/bucket/"):
            self.stored(path)
        else:
            self.file(path.lstrip("/"))

    def commit(self, path: str) -> None:
        if headers_token(self) != f"Bearer {TOKEN}":
            return self.answer(401, b"who is it? " + (headers_token(self) or "").encode())
        known = path == "/api/models/org/repo/revision/main" or path.endswith("/revision/refs/pr/1")
        return self.document({"sha": COMMIT}) if known else self.answer(404, b"{}")

    def resolve(self, path: str) -> None:
        repository, _, rest = path.lstrip("/").partition("/resolve/")
        commit, _, inner = rest.partition("/")
        return self.file(f"{repository}/{inner}") if commit == COMMIT else self.answer(404, b"")

    def mlflow(self, path: str, query: dict[str, str]) -> None:
        if headers_token(self) != BASIC:
            return self.answer(403, b"{}")
        route = path.removeprefix("/api/2.0/")
        if route == "mlflow/registered-models/alias":
            found = (query["name"], query["alias"]) == ("digits", "champion")
            version = {"model_version": {"name": "digits", "version": "3"}}
            return self.document(version) if found else self.answer(404, b"{}")
        if route == "mlflow/model-versions/get-download-uri":
            return self.document({"artifact_uri": self.registry.artifact_uri})
        folder = "mlflow-artifacts/artifacts"
        if route == folder:
            return self.document({"files": self.listed(query["path"])})
        return self.file(route.removeprefix(folder).lstrip("/"))

    def listed(self, folder: str) -> list[dict[str, object]]:
        inside = [path[len(folder) + 1 :] for path in self.registry.files if path.startswith(f"{folder}/")]
        names = sorted({path.partition("/")[0] for path in inside})
        return [{"path": name, "is_dir": name not in inside} for name in names]

    def stored(self, path: str) -> None:
        if not self.signature_fits():
            return self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        return self.file(path.lstrip("/"), {"x-amz-version-id": "v7"})

    def signature_fits(self) -> bool:
        """Check AWS Signature Version 4 as the public description of it says."""
        given = headers_token(self) or ""
        parts = dict(part.strip().split("=", 1) for part in given.partition(" ")[2].split(",") if "=" in part)
        date, signed = self.headers["X-Amz-Date"], parts["SignedHeaders"].split(";")
        place = urlsplit(self.path)
        lines = [f"{name}:{self.headers[name].strip()}" for name in signed]
        canonical = "\n".join(
            ["GET", quote(unquote(place.path)), place.query, *lines, "", parts["SignedHeaders"],
             self.headers["X-Amz-Content-SHA256"]]
        )  # fmt: skip
        scope = f"{date[:8]}/{REGION}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{SECRET}".encode()
        for step in scope.split("/"):
            key = hmac.digest(key, step.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
        expected = hmac.new(key, text.encode(), "sha256").hexdigest()
        return parts["Credential"] == f"{ACCESS}/{scope}" and parts["Signature"] == expected

    def file(self, path: str, headers: dict[str, str] | None = None) -> None:
        content = self.registry.files.get(path)
        return self.answer(404, b"") if content is None else self.answer(200, content, headers)

    def document(self, content: object) -> None:
        self.answer(200, json.dumps(content).encode())

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def headers_token(handler: BaseHTTPRequestHandler) -> str | None:
    return handler.headers["Authorization"]


@contextmanager
def running(certificate: Path | None = None) -> Iterator[Registry]:
    """Run a registry on a free port of this machine; over TLS with a certificate and key in one file."""
    registry = Registry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"registry": registry}))
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    registry.url = f"{scheme}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
