"""The OpenAPI document: ``python -m app.openapi`` writes ``docs/openapi.json``, ``--check`` compares it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from app.main import create_app
from app.settings import Settings

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def render() -> str:
    """Return the text of the committed file."""
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(data_dir=Path(folder))).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or compare the file; 1 when it is not up to date."""
    text = render()
    if "--check" not in arguments:
        FILE.write_text(text)
        return 0
    if FILE.exists() and FILE.read_text() == text:
        return 0
    sys.stderr.write("docs/openapi.json is out of date: run python -m app.openapi\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
