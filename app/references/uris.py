"""References as text: their schemes, their parts, and whether the settings allow them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from app.errors import InvalidRequest, ReferenceForbidden
from glocert.errors import Offence

SCHEMES = ("https://", "hf://", "s3://", "models:/")
_HUB = re.compile(r"hf://(?P<org>[\w.-]+)/(?P<repo>[\w.-]+)(@(?P<revision>[^/@]+))?/(?P<path>.+)", re.ASCII)
_MLFLOW = re.compile(r"models:/(?P<name>[^/@#]+)(@(?P<alias>[^/@#]+)|/(?P<version>\d{1,18}))(#(?P<path>.+))?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository on the Hugging Face Hub."""

    repository: str
    revision: str
    path: str

    def at(self, commit: str) -> str:
        """Return the reference with the commit that the revision means."""
        return f"hf://{self.repository}@{commit}/{self.path}"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A version of a model in an MLflow registry; without ``path`` the only network in its folder."""

    name: str
    alias: str
    version: str
    path: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in an S3 bucket."""

    bucket: str
    key: str
    version: str


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file behind an address."""

    url: str


Reference = HubFile | RegisteredModel | StoredObject | WebFile


def parse(uri: str) -> Reference:
    """Read a reference.

    Raises:
        InvalidRequest: the scheme is unknown, or parts are missing or lead elsewhere.
    """
    if _CONTROL.search(uri):
        raise _invalid("It holds spaces, backslashes or control characters.")
    if uri.startswith("hf://"):
        return _hub(uri)
    if uri.startswith("models:/"):
        return _registered(uri)
    if uri.startswith("s3://"):
        return _stored(uri)
    if uri.startswith("https://"):
        return _web(uri)
    raise _invalid(f"Its scheme is not one of {', '.join(SCHEMES)}.")


def check_allowed(uri: str, prefixes: str) -> None:
    """Refuse a reference outside the allow-list.

    Args:
        uri: a reference that ``parse`` read.
        prefixes: the setting ``references``. A prefix ends where a part of the path ends: ``hf://org`` allows
            nothing of ``hf://organisation``.

    Raises:
        ReferenceForbidden: naming the setting.
    """
    for prefix in filter(None, map(str.strip, prefixes.split(","))):
        if uri.startswith(prefix) and (prefix[-1] in "/@#" or uri[len(prefix) : len(prefix) + 1] in _ENDS):
            return
    raise ReferenceForbidden(
        "The service does not follow this reference: the setting GLOCERT_REFERENCES does not list it.",
        [Offence("/uri", "No prefix in GLOCERT_REFERENCES allows it.", way_out="Upload the file instead.")],
        extra={"setting": "references"},
    )


_ENDS = frozenset({"", "/", "@", "#", "?"})


def _hub(uri: str) -> HubFile:
    parts = _HUB.fullmatch(uri)
    if parts is None:
        raise _invalid("It must be hf://organisation/repository@revision/path.")
    path = _inside(parts["path"])
    if ".." in {parts["org"], parts["repo"]} or "." in {parts["org"], parts["repo"]}:
        raise _invalid("Its repository has no such name.")
    return HubFile(f"{parts['org']}/{parts['repo']}", unquote(parts["revision"] or "main"), path)


def _registered(uri: str) -> RegisteredModel:
    parts = _MLFLOW.fullmatch(uri)
    if parts is None:
        raise _invalid("It must be models:/name@alias or models:/name/version.")
    path = _inside(parts["path"]) if parts["path"] else ""
    return RegisteredModel(
        unquote(parts["name"]), unquote(parts["alias"] or ""), parts["version"] or "", path
    )


def _stored(uri: str) -> StoredObject:
    bucket, _, rest = uri.removeprefix("s3://").partition("/")
    key, _, query = rest.partition("?")
    if not _BUCKET.fullmatch(bucket) or not key or (query and not query.startswith("versionId=")):
        raise _invalid("It must be s3://bucket/key or s3://bucket/key?versionId=version.")
    return StoredObject(bucket, _inside(key), query.removeprefix("versionId="))


def _web(uri: str) -> WebFile:
    try:
        address = urlsplit(uri)
        known = address.port
    except ValueError:
        raise _invalid("It is no address.") from None
    if not address.hostname or address.username or address.fragment or known == 0:
        raise _invalid("It must be https://host/path without user, password and fragment.")
    _inside(unquote(address.path).lstrip("/"))
    return WebFile(uri)


def _inside(path: str) -> str:
    """Return a path of plain parts: ``..`` would lead out of the prefixes that are allowed."""
    if any(part in {"", ".", ".."} for part in unquote(path).split("/")):
        raise _invalid("Its path has empty parts, . or ..")
    return path


def _invalid(detail: str) -> InvalidRequest:
    return InvalidRequest("The reference cannot be read.", [Offence("/uri", detail)])
