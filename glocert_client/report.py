"""Saves everything that a job has to show to a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glocert_client.errors import ClientError
from glocert_client.job import Job


def save(job: Job, folder: Path) -> list[Path]:
    """Write job, results, certificate and pictures; return the paths.

    Certificate and pictures are compared with the digests that the service gives for them.

    Raises:
        ClientError: a file is not what the service says it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write(folder / "job.json", _pretty(job.data))]
    written.append(_write(folder / "results.json", _pretty(list(job.results()))))
    if job.data.get("certificate"):
        certificate = _checked(job.certificate_bytes(), job.data["certificate"]["sha256"], "the certificate")
        written.append(_write(folder / "certificate.json", certificate))
    return written + [_artifact(job, folder, artifact) for artifact in job.artifacts()]


def safe_name(name: str) -> str:
    """Return a file name without any folder: what a service calls a file must not choose where it goes."""
    return "-".join(part for part in name.replace("\\", "/").split("/") if part.strip(".")) or "unnamed"


def _artifact(job: Job, folder: Path, artifact: Mapping[str, Any]) -> Path:
    content = _checked(job.download(artifact["href"]), artifact["sha256"], artifact["href"])
    index = artifact.get("index")
    place = folder / "artifacts" if index is None else folder / "inputs" / str(int(index))
    return _write(place / safe_name(str(artifact["name"])), content)


def _checked(content: bytes, sha256: str, what: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ClientError(f"{what} does not have the digest that the service gives for it")
    return content


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _pretty(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
