"""One function per kind of reference: from its parts to a file and to what it is called for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from app.errors import ReferenceUnresolved
from app.limits import Limit
from app.references.fetching import Fetcher
from app.references.signing import signed
from app.references.uris import HubFile, RegisteredModel, StoredObject, WebFile, check_allowed, parse
from app.settings import Settings
from app.storage import Incoming
from glocert.errors import Offence

SUFFIXES = (".onnx", ".onnx.gz", ".pt", ".pt2", ".ts", ".torchscript", ".zip")
"""of files in an MLflow model that may be the network; ``.pth`` and ``.pkl`` are pickles"""
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
REGISTRY = "/api/2.0/mlflow"
_COMMIT_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference is turned into.

    Attributes:
        resolved: the reference with what may change replaced by what does not.
        filename: last part of the path.
    """

    resolved: str
    filename: str


@dataclass(frozen=True, slots=True)
class Errand:
    """What a registry needs to fetch a file."""

    fetcher: Fetcher
    settings: Settings
    file: Incoming
    limit: Limit

    def download(self, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Write the body of ``url`` to the file and return the headers of the answer."""
        return self.fetcher.download(url, headers, self.file, self.limit)


def fetch_web(wanted: WebFile, errand: Errand) -> Target:
    """Fetch a file from an address; nothing is sent along."""
    errand.download(wanted.url, {})
    return Target(wanted.url, _last(urlsplit(wanted.url).path))


def fetch_hub(wanted: HubFile, errand: Errand) -> Target:
    """Fetch a file from the Hugging Face Hub, at the commit that the revision means now."""
    endpoint, token = errand.settings.hf_endpoint.rstrip("/"), errand.settings.hf_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    revision = quote(wanted.revision, safe="")
    found = errand.fetcher.document(f"{endpoint}/api/models/{wanted.repository}/revision/{revision}", headers)
    commit = found.get("sha")
    if not isinstance(commit, str) or len(commit) != _COMMIT_DIGITS or not commit.isalnum():
        raise ReferenceUnresolved("The Hub does not say which commit the revision means.")
    errand.download(f"{endpoint}/{wanted.repository}/resolve/{commit}/{quote(wanted.path)}", headers)
    return Target(wanted.at(commit), _last(wanted.path))


def fetch_stored(wanted: StoredObject, errand: Errand) -> Target:
    """Fetch an object from an S3 store."""
    settings = errand.settings
    path, query = quote(wanted.key), f"?versionId={quote(wanted.version, safe='')}" if wanted.version else ""
    if settings.s3_endpoint:
        url = f"{settings.s3_endpoint.rstrip('/')}/{wanted.bucket}/{path}{query}"
    else:
        url = f"https://{wanted.bucket}.s3.{settings.s3_region}.amazonaws.com/{path}{query}"
    headers = errand.download(url, signed(url, settings))
    version = headers.get("x-amz-version-id", "") or wanted.version
    resolved = f"s3://{wanted.bucket}/{wanted.key}"
    return Target(f"{resolved}?versionId={version}" if version else resolved, _last(wanted.key))


def fetch_registered(wanted: RegisteredModel, errand: Errand) -> Target:
    """Fetch a file of a model version from an MLflow server."""
    tracking = errand.settings.mlflow_tracking_uri.rstrip("/")
    if not tracking:
        raise ReferenceUnresolved("The setting GLOCERT_MLFLOW_TRACKING_URI names no MLflow server.")
    headers = _mlflow_headers(errand.settings)
    version = wanted.version or _aliased(wanted, tracking, headers, errand)
    query = {"name": wanted.name, "version": version}
    found = errand.fetcher.document(f"{tracking}{REGISTRY}/model-versions/get-download-uri", headers, query)
    folder = found.get("artifact_uri")
    if not isinstance(folder, str):
        raise ReferenceUnresolved("The MLflow server does not say where the version lies.")
    if folder.startswith("s3://"):
        path = _from_bucket(wanted, folder, errand)
    else:
        root = _proxied(folder, tracking)
        path = wanted.path or _only_model(root, f"{tracking}{ARTIFACTS}", headers, errand)
        errand.download(f"{tracking}{ARTIFACTS}/{quote(f'{root}/{path}')}", headers)
    return Target(f"models:/{quote(wanted.name, safe='')}/{version}#{path}", _last(path))


def _mlflow_headers(settings: Settings) -> dict[str, str]:
    return {"Authorization": settings.mlflow_authorization} if settings.mlflow_authorization else {}


def _aliased(wanted: RegisteredModel, tracking: str, headers: Mapping[str, str], errand: Errand) -> str:
    query = {"name": wanted.name, "alias": wanted.alias}
    url = f"{tracking}{REGISTRY}/registered-models/alias"
    found = errand.fetcher.document(url, headers, query).get("model_version")
    version = str(found.get("version", "")) if isinstance(found, dict) else ""
    if not version.isdecimal():
        raise ReferenceUnresolved("The MLflow server does not say which version the alias means.")
    return version


def _proxied(folder: str, tracking: str) -> str:
    """Return the path of a folder that the MLflow server itself serves."""
    place = urlsplit(folder)
    if place.scheme != "mlflow-artifacts" or place.netloc not in {"", urlsplit(tracking).netloc}:
        raise ReferenceUnresolved(
            "The files of the version lie where this service cannot fetch them.",
            [Offence("/uri", f"It lies in {place.scheme or 'a folder'}: storage of that kind is not read.")],
        )
    parts = place.path.strip("/").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ReferenceUnresolved("The MLflow server names an odd folder.")
    return "/".join(parts)


def _only_model(root: str, artifacts: str, headers: Mapping[str, str], errand: Errand) -> str:
    """Return the one file of the folder, or of ``data`` in it, that may be a network."""
    found = []
    for inner in ("", "data"):
        names = _names(f"{root}/{inner}".rstrip("/"), artifacts, headers, errand)
        found += [f"{inner}/{name}".lstrip("/") for name in names if name.lower().endswith(SUFFIXES)]
        if "data" not in names:
            break
    if len(found) != 1:
        shown = ", ".join(found[:8]) or "none"
        detail = f"Its folder must hold one network ({', '.join(SUFFIXES)}); there is: {shown}."
        way_out = "Name the file: models:/name/version#path."
        raise ReferenceUnresolved(
            "The version has no single network.", [Offence("/uri", detail, way_out=way_out)]
        )
    return found[0]


def _names(folder: str, artifacts: str, headers: Mapping[str, str], errand: Errand) -> list[str]:
    files = errand.fetcher.document(artifacts, headers, {"path": folder}).get("files")
    entries: list[Any] = files if isinstance(files, list) else []
    names = [_last(str(entry.get("path", ""))) for entry in entries if isinstance(entry, dict)]
    return [name for name in names if name not in {"", ".", ".."}]


def _from_bucket(wanted: RegisteredModel, folder: str, errand: Errand) -> str:
    """Fetch a file of a version that lies in a bucket, if references to that bucket are allowed."""
    if not wanted.path:
        detail = "The version lies in a bucket; name its file: models:/name/version#path."
        raise ReferenceUnresolved("The version has no single network.", [Offence("/uri", detail)])
    uri = f"{folder.rstrip('/')}/{wanted.path}"
    check_allowed(uri, errand.settings.references)
    stored = parse(uri)
    if not isinstance(stored, StoredObject):
        raise ReferenceUnresolved("The MLflow server names an odd folder.")
    fetch_stored(stored, errand)
    return wanted.path


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2][-200:] or "model"


FETCHERS: Mapping[type, Callable[..., Target]] = {
    WebFile: fetch_web,
    HubFile: fetch_hub,
    StoredObject: fetch_stored,
    RegisteredModel: fetch_registered,
}
