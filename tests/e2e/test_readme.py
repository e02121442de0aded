"""The commands of the README, as they stand there, against the real service."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.embedded import ROOT, embedded_service

TESTED = re.compile(r"^<!-- tested -->\n```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "URL=http://127.0.0.1:8321\n"
PAGES = ("README.md", "docs/index.md", "docs/tutorial.md", "docs/pipelines.md", "docs/limits.md")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")


@pytest.fixture
def readme() -> str:
    return (ROOT / "README.md").read_text()


def test_the_commands_lead_to_verdicts_picture_and_certificate(readme: str, tmp_path: Path) -> None:
    blocks = TESTED.findall(readme)
    assert len(blocks) == 7, "a step of the README has lost its mark"
    assert ADDRESS in blocks[0]
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(ROOT / "examples/digits", work / "examples/digits")
    with embedded_service(tmp_path / "data") as url:
        script = "set -euo pipefail\n" + "\n".join(blocks).replace(ADDRESS, f"URL={url}\n")
        done = subprocess.run(["bash", "-c", script], cwd=work, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout.splitlines()
    job = json.loads((work / "job.json").read_text())
    assert job["summary"]["inputs"] == 20
    assert (work / "counterexample.png").read_bytes().startswith(b"\x89PNG")
    certificate = (work / "certificate.json").read_bytes()
    assert hashlib.sha256(certificate).hexdigest() == job["certificate"]["sha256"]
    assert job["certificate"]["sha256"] in done.stdout


@pytest.mark.parametrize(
    "page", ["README.md", "docs/index.md", "docs/tutorial.md", "docs/pipelines.md", "docs/limits.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    missing = [link for link in LINK.findall(text) if not ((ROOT / page).parent / link).exists()]
    assert missing == []
