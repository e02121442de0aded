"""Files that once ended an inspection badly, or nearly did: kept, and inspected again with every test run."""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parent / "found"
_OF_DATA = (".npz", ".npy", ".csv", "pictures.zip")


def kept() -> list[Path]:
    """Return the files, in a fixed order."""
    return sorted(CORPUS.iterdir())


def is_data(path: Path) -> bool:
    """Whether a kept file was uploaded as a data set."""
    return path.name.endswith(_OF_DATA)
