"""Following a reference."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from app.limits import Limit
from app.references.fetching import Fetcher
from app.references.registries import FETCHERS, Errand
from app.references.uris import check_allowed, parse
from app.settings import Settings
from app.storage import Incoming


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched, and what is recorded about it."""

    filename: str
    reference: dict[str, str]


def fetch(uri: str, settings: Settings, file: Incoming, limit: Limit) -> Fetched:
    """Write what a reference means to a file.

    Args:
        uri: the reference.
        settings: what may be followed, and how.
        file: where the bytes go.
        limit: of the file.

    Raises:
        InvalidRequest: it cannot be read.
        ReferenceForbidden: the settings do not allow it, or an address that it leads to.
        ReferenceUnresolved: there is no such file.
        ReferenceUnavailable: the registry does not answer.
        PayloadTooLarge: the file is larger than the limit.
    """
    wanted = parse(uri)
    check_allowed(uri, settings.references)
    with closing(Fetcher(settings)) as fetcher:
        target = FETCHERS[type(wanted)](wanted, Errand(fetcher, settings, file, limit))
    return Fetched(target.filename, {"uri": uri, "resolved": target.resolved, "sha256": file.sha256})
