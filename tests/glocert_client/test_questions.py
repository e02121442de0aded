"""Properties, laws and pairs from the command line to a worker and back."""

from __future__ import annotations

import json
from pathlib import Path

from tests.glocert_client.test_cli import glocert


def test_a_rank_under_a_law_is_certified(service_url: str, threshold_model: Path, levels: Path) -> None:
    done = glocert(
        "certify", threshold_model, "--data", levels, "--mutation", "brightness=0.2", "--property", "top-k=1",
        "--law", "triangular=0", "--json", url=service_url,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    job = json.loads(done.stdout)["jobs"][0]["job"]
    assert job["request"]["property"] == {"type": "top_k", "k": 1}
    assert job["request"]["law"] == {"type": "triangular", "mode": 0.0}
    assert (job["summary"]["certified"], job["summary"]["falsified"]) == (2, 1)
    t = (0.5 - 115 / 255) / 0.2  # where the second image becomes bright
    exact = (2 + 1 - (1 - t) ** 2) / 3
    mass = job["summary"]["robust_mass"]
    assert mass["law"] == "triangular"
    assert mass["lower"] - 1e-6 <= exact <= mass["upper"] + 1e-6


def test_what_does_not_fit_names_the_member(service_url: str, threshold_model: Path, levels: Path) -> None:
    for option, member in (
        ("--property=top-k=2", "/property/k"),
        ("--law=triangular=9", "/law/mode"),
        ("--paired", "/paired"),
    ):
        done = glocert(
            "certify",
            threshold_model,
            "--data",
            levels,
            "--mutation",
            "brightness=0.2",
            option,
            url=service_url,
        )
        assert done.returncode == 4
        assert member in done.stderr
