"""A worker killed inside a latent job: every result once, and the rows of a job that nothing befell."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.fleet import ROOT, Fleet, computing, digits_data, digits_model, end, own_fleet, until

DIGITS = ROOT / "examples/digits"
INPUTS = 4
OWN = {"seconds", "files"}
"""members of a row that say how long it took, and where the pictures of its job are"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with own_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


def latent_jobs(system: Fleet) -> Iterator[str]:
    """Start jobs through the shipped generator, all the same."""
    generator, encoder = (
        system.api.upload("models", f"{role}.onnx", (DIGITS / f"{role}.onnx").read_bytes(), role=role)
        for role in ("generator", "encoder")
    )
    model = system.api.upload("models", "digits.onnx", digits_model())
    dataset = system.api.upload("datasets", "digits.npz", digits_data(INPUTS))
    found = json.loads((DIGITS / "leaning.json").read_text())
    mutation = {
        "type": "latent", "generator_id": generator, "encoder_id": encoder, "direction": found["vector"],
        "extent": found["extent"], "encoding": {"steps": 10, "restarts": 2},
    }  # fmt: skip
    while True:
        yield system.api.post_job(model, dataset, mutation=mutation)


def told(system: Fleet, job_id: str) -> list[dict[str, Any]]:
    """Return what the rows of a job say, without what differs from job to job."""
    rows = [{key: row[key] for key in row.keys() - OWN} for row in system.api.rows(job_id)]
    for row in rows:
        row.get("counterexample", {}).pop("image", None)
    return rows


def test_a_latent_job_goes_on_after_its_only_worker_was_killed(system: Fleet) -> None:
    victim = system.start_worker("victim")
    jobs = latent_jobs(system)
    cut = next(jobs)
    until("a third", lambda: system.api.done(cut) > INPUTS / 3)
    until("a child at work", lambda: computing(victim))
    end(victim, signal.SIGKILL)
    assert system.api.job(cut)["status"] == "running"
    before = {row["index"]: row for row in told(system, cut)}
    assert 0 < len(before) < INPUTS
    system.start_worker("second")
    whole = next(jobs)
    resumed, plain = (system.api.finished(job_id) for job_id in (cut, whole))
    assert (resumed["status"], plain["status"]) == ("succeeded", "succeeded")
    assert system.api.indices(cut) == list(range(INPUTS))
    rows = told(system, cut)
    assert [rows[index] for index in before] == list(before.values())
    assert rows == told(system, whole)
    counts = ("inputs", "certified", "falsified", "undecided", "skipped", "robust_mass")
    assert [resumed["summary"][name] for name in counts] == [plain["summary"][name] for name in counts]
    assert resumed["summary"]["certified"] > INPUTS / 2
