"""Prechecks through the client, the command, and a running service."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glocert_client import Client
from glocert_client.errors import ServiceError
from glocert_client.uploads import Preprocessing
from tests.glocert_client.test_cli import glocert


@pytest.fixture(scope="module")
def many_levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey squares as bytes, light ones labelled 1, none so near to the middle that a mean matters."""
    levels = np.r_[np.arange(20, 110, 3), np.arange(146, 236, 3)].astype(np.uint8)
    path = tmp_path_factory.mktemp("many") / "levels.npz"
    images = np.broadcast_to(levels[:, None, None], (len(levels), 4, 4))
    np.savez(path, images=images, labels=(levels > 127).astype(np.int64))
    return path


def test_a_wrong_mean_is_found_and_put_right(
    client: Client, threshold_model: Path, many_levels: Path
) -> None:
    wrong = Preprocessing(mean=[0.45])
    model = client.wait_ready(client.upload_model(threshold_model, preprocessing=wrong))
    data = client.wait_ready(client.upload_dataset(many_levels))
    job = client.precheck(model, data, mutation={"type": "brightness", "from": 0.0, "to": 0.05})
    assert client.precheck(model, data, mutation={"type": "brightness", "from": 0.0, "to": 0.05}).id == job.id
    found = job.wait(timeout_s=60).summary
    assert found is not None
    own = next(guess for guess in found["guesses"] if guess["current"])
    assert (own["accuracy"], own["items"]) == (0.5, 60)
    assert job.data["clean_accuracy"] == 0.5
    assert job.data["warnings"] == found["warnings"]
    assert "upload the model with the recommended preprocessing" in found["warnings"][0]
    settings = found["recommended"]["preprocessing"]
    better = client.wait_ready(
        client.upload_model(threshold_model, preprocessing=Preprocessing(**settings | {"domain": (0.0, 1.0)}))
    )
    again = client.precheck(better, data).wait(timeout_s=60).summary
    assert again is not None
    assert again["recommended"] is None
    assert next(guess for guess in again["guesses"] if guess["current"])["accuracy"] == 1.0
    assert found["estimate"]["mutation"]["to"] == 0.05
    assert found["estimate"]["measured"] == 3


def test_a_precheck_has_no_certificate_and_no_rows(
    client: Client, threshold_model: Path, many_levels: Path
) -> None:
    model = client.wait_ready(client.upload_model(threshold_model))
    data = client.wait_ready(client.upload_dataset(many_levels))
    job = client.precheck(model, data).wait(timeout_s=60)
    assert list(job.results()) == []
    with pytest.raises(ServiceError, match="A precheck certifies nothing"):
        job.certificate()
    assert job.progress == (60, 60)


def test_the_command_prints_a_table_and_the_options_to_use(
    service_url: str, threshold_model: Path, many_levels: Path
) -> None:
    arguments = ("precheck", threshold_model, "--data", many_levels, "--mean", "0.45")
    done = glocert(*arguments, url=service_url)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("settings of the model") and "50.0%" in line for line in lines)
    assert sum(line.rstrip().endswith("recommended") for line in lines) == 1
    assert any(line.startswith("recommended: ") for line in lines)
    assert any(line.startswith("cost   brightness=0:0.1: about ") for line in lines)
    machine = glocert(*arguments, "--json", url=service_url)
    assert json.loads(machine.stdout)["recommended"] is not None


def test_certify_leads_from_a_low_accuracy_to_the_precheck(
    service_url: str, threshold_model: Path, many_levels: Path
) -> None:
    done = glocert(
        "certify", threshold_model, "--data", many_levels, "--mutation", "brightness=0.01",
        "--mean", "0.45", url=service_url,
    )  # fmt: skip
    assert "cannot be told from guessing" in done.stdout
    assert "glocert precheck mdl_" in done.stdout


def test_a_service_of_its_own_ends_with_the_command(threshold_model: Path, many_levels: Path) -> None:
    done = glocert("precheck", threshold_model, "--data", many_levels, "--local", "--json", GLOCERT_URL="")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recommended"] is None


def test_bands_are_certified_from_the_command_line(
    service_url: str, threshold_model: Path, many_levels: Path, tmp_path: Path
) -> None:
    junit = tmp_path / "bands.xml"
    narrow = glocert(
        "certify", threshold_model, "--data", many_levels, "--limit", "10", "--mutation", "brightness=0.2",
        "--band", "0.1", "--junit", junit, url=service_url,
    )  # fmt: skip
    assert narrow.returncode == 1, narrow.stderr
    assert "an output leaves its band" in junit.read_text()
    wide = glocert(
        "certify", threshold_model, "--data", many_levels, "--limit", "10", "--mutation", "brightness=0.2",
        "--band", "0.3", "--json", url=service_url,
    )  # fmt: skip
    assert wide.returncode == 0, wide.stderr
    job = json.loads(wide.stdout)["jobs"][0]["job"]
    assert job["request"]["property"] == {"type": "band", "width": 0.3}
    assert job["summary"]["certified"] == 10
    rows = glocert("results", job["id"], url=service_url)
    assert rows.stdout.splitlines()[1].split()[:4] == ["0", "-", "-", "certified"]


def test_a_band_must_be_wide(threshold_model: Path, many_levels: Path) -> None:
    done = glocert(
        "certify", threshold_model, "--data", many_levels, "--mutation", "brightness=0.2", "--band", "0"
    )
    assert done.returncode == 4
    assert "greater than 0" in done.stderr
