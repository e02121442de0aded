"""``python3 dev.py docs [--check]``: write the generated pages, or say which are not current."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pages import operators

ROOT = Path(__file__).parents[1]
PAGES: Mapping[str, Callable[[], str]] = {
    "docs/operators.md": operators.page,
    "app/capabilities/operators.py": operators.module,
}


def main(arguments: list[str]) -> int:
    """Write the pages; with ``--check`` compare only."""
    stale = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text)
    if stale and "--check" in arguments:
        sys.stderr.write(f"not current: {', '.join(stale)}; run `python3 dev.py docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
