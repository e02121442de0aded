"""``python3 dev.py bench [NAME ...]``: one of the benchmarks in ``NAMES``, or all but the ``LONG`` ones.

Options of one benchmark follow its name: ``python3 dev.py bench models mnist_tiny_20 --points 1000``.
Figures are printed and kept under ``benchmarks/results``; ``docs/benchmarks.md`` with its pictures,
``docs/models.md`` and ``docs/hostile.md`` are written anew. ``hostile``, ``latency``, ``cancel`` and
``gloro`` do without the shared data.
"""

from __future__ import annotations

import runpy
import sys

from benchmarks import page, page_imports

NAMES = (
    "curve",
    "loop",
    "throughput",
    "latent",
    "growth",
    "rotation",
    "agreement",
    "latency",
    "cancel",
    "control",
    "models",
    "imports",
    "hostile",
    "lipschitz",
    "gloro",
    "gloro_wrap",
    "vnnlib",
)
LONG = ("agreement",)
"""campaigns of hours"""


def main(arguments: list[str]) -> int:
    """Run one benchmark with its options, or all of them."""
    if arguments and arguments[0] not in NAMES:
        sys.stderr.write(f"no benchmark {arguments[0]!r}: choose from {', '.join(NAMES)}\n")
        return 2
    chosen = (
        [(arguments[0], arguments[1:])] if arguments else [(name, []) for name in NAMES if name not in LONG]
    )
    worst = max(_run(name, options) for name, options in chosen)
    page.main()
    page_imports.main()
    return worst


def _run(name: str, options: list[str]) -> int:
    print(f"== {name}", flush=True)
    sys.argv = [f"benchmarks.{name}", *options]
    try:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
