"""The command as a program: exit codes, forms of output, and messages."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from glocert_client import Client

GLOCERT = [sys.executable, "-W", "error", "-m", "glocert_client.cli"]
BRIGHTNESS = ("--mutation", "brightness=0.2")
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])")


def glocert(*arguments: object, url: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "COLUMNS": "160", **environment}
    if url:
        settings["GLOCERT_URL"] = url
    return subprocess.run(
        [*GLOCERT, *map(str, arguments)], env=settings, capture_output=True, text=True, timeout=200
    )


def test_certify_fails_on_a_counterexample_and_says_where(
    service_url: str, threshold_model: Path, levels: Path, tmp_path: Path
) -> None:
    junit = tmp_path / "reports" / "glocert.xml"
    done = glocert(
        "certify", threshold_model, "--data", levels, "--mutation", "brightness=0.2",
        "--mutation", "contrast=0.9", "--junit", junit, "--json", url=service_url,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert answer["decision"] == "fail"
    assert answer["exit_code"] == 1
    assert [entry["decision"] for entry in answer["jobs"]] == ["fail", "pass"]
    assert answer["jobs"][0]["job"]["summary"]["falsified"] == 1
    root = ElementTree.parse(junit).getroot()
    assert [suite.get("name") for suite in root] == [
        "threshold brightness=0:0.2",
        "threshold contrast=1:0.9,about=0.5",
    ]
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
    }


def test_the_table_is_for_people_and_the_bars_are_not_in_it(
    service_url: str, threshold_model: Path, levels: Path
) -> None:
    done = glocert(
        "certify",
        threshold_model,
        "--data",
        levels,
        "--mutation",
        "brightness=0.2",
        "--limit",
        1,
        url=service_url,
    )
    assert done.returncode == 0, done.stderr
    header, row, ground = done.stdout.splitlines()
    assert header.split()[:5] == ["mutation", "certified", "falsified", "undecided", "skipped"]
    assert row.split() == [
        "brightness=0:0.2",
        "1",
        "0",
        "0",
        "0",
        "100.0%",
        "1.0000",
        row.split()[-2],
        "pass",
    ]
    assert "all 1 inputs certified" in ground
    assert "inputs" in done.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--min-certified-rate", "0.5"], 0),
        (["--min-certified-rate", "0.6"], 1),
        (["--limit", "1"], 0),
        (["--limit", "1", "--seconds-per-input", "1e-9"], 2),
        (["--limit", "1", "--seconds-per-input", "1e-9", "--allow-inconclusive"], 0),
        (["--deadline", "1e-6"], 3),
        (["--deadline", "1e-6", "--allow-inconclusive"], 3),
        (["--margin", "-1"], 4),
        (["--analysis", "sometimes"], 4),
    ],
)
def test_exit_codes(
    service_url: str, threshold_model: Path, levels: Path, options: list[str], code: int
) -> None:
    done = glocert(
        "certify",
        threshold_model,
        "--data",
        levels,
        "--mutation",
        "brightness=0.2",
        *options,
        url=service_url,
    )
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], ""),
        (["bogus"], "No such command"),
        (["certify"], "Missing argument 'MODEL'"),
        (["certify", "m.onnx", "--data", "d.npz"], "give --mutation or --epsilon"),
        (["certify", "m.onnx", "--data", "d", "--mutation", "brightness"], "TYPE=TO"),
        (
            ["certify", "m.onnx", "--data", "d", "--mutation", "fog=1", "--limit", "0"],
            "greater than or equal to 1",
        ),
        (["certify", "m.onnx", "--data", "d", "--mutation", "fog=1", "--mean", "a"], "not a list of numbers"),
        (["certify", "m.onnx", "--data", "d", "--mutation", "fog=1", "--std", "inf"], "not finite"),
        (["certify", "m.onnx", "--data", "d", "--mutation", "fog=1", "--input-shape", "-1,2"], "not a shape"),
        (["certify", "m.onnx", "--data", "d", "--mutation", "fog=1", "--tag", "x"], "NAME=VALUE"),
        (["certify", "./m.onnx", "--data", "d", "--mutation", "fog=1"], "neither a file nor an id"),
        (["watch", "job_1", "--server", "localhost"], "is not an address"),
    ],
)
def test_usage_errors_are_4(arguments: list[str], message: str) -> None:
    done = glocert(*arguments)
    assert done.returncode == 4
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_no_error() -> None:
    assert glocert("--help").returncode == 0
    assert "--min-certified-rate" in glocert("certify", "--help").stdout


def test_a_service_that_is_not_there_is_4() -> None:
    done = glocert("watch", "job_1", url="http://127.0.0.1:1")
    assert done.returncode == 4
    assert "does not answer" in done.stderr


def test_a_refused_model_is_shown_with_every_node(service_url: str, refused_model: Path) -> None:
    done = glocert("push", refused_model, "--json", url=service_url)
    assert done.returncode == 4
    for expected in ("unsupported-operators", "bend", "Hardmax", "wave", "RandomNormalLike"):
        assert expected in done.stderr
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == 4
    assert {entry["where"] for entry in answer["problem"]["errors"]} == {"bend", "wave"}


def test_a_field_that_the_service_refuses_is_named(
    service_url: str, threshold_model: Path, levels: Path
) -> None:
    done = glocert(
        "certify", threshold_model, "--data", levels, "--mutation", "fog=2", "--gap", "7", url=service_url
    )
    assert done.returncode == 4
    assert "/gap" in done.stderr
    assert "/mutation" in done.stderr


@pytest.mark.shared
def test_hostile_uploads_are_refused_in_words(service_url: str, shared_data: Path) -> None:
    files = sorted((shared_data / "hostile/onnx").iterdir())[:6]
    assert files
    for path in files:
        done = glocert("push", path, url=service_url)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0 or (done.returncode == 4 and done.stderr.startswith(("error:", "model")))


def test_push_prints_the_id_and_knows_a_file_again(
    service_url: str, threshold_model: Path, levels: Path
) -> None:
    first, again = (glocert("push", threshold_model, url=service_url) for _ in range(2))
    assert first.stdout == again.stdout
    assert "known already" in again.stderr
    done = glocert(
        "certify", first.stdout.strip(), "--data", levels, "--mutation", "brightness=0.2", "--limit", 1,
        url=service_url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_detached_job_is_watched_read_and_saved(
    service_url: str, threshold_model: Path, levels: Path, tmp_path: Path
) -> None:
    started = glocert(
        "certify",
        threshold_model,
        "--data",
        levels,
        "--mutation",
        "brightness=0.2",
        "--detach",
        url=service_url,
    )
    assert started.returncode == 0, started.stderr
    job = started.stdout.strip()
    assert glocert("watch", job, url=service_url).returncode == 1
    rows = glocert("results", job, "--verdict", "falsified", "--json", url=service_url)
    assert [row["index"] for row in json.loads(rows.stdout)] == [1]
    assert "classified 1 instead of 0" in glocert("results", job, url=service_url).stdout
    saved = glocert("report", job, "--out", tmp_path / "report", url=service_url)
    assert saved.returncode == 0, saved.stderr
    assert all(Path(path).is_file() for path in saved.stdout.splitlines())
    names = {path.name for path in (tmp_path / "report").rglob("*")}
    assert {"job.json", "results.json", "certificate.json"} <= names
    assert list((tmp_path / "report").rglob("*.png"))
    finished = glocert("cancel", job, url=service_url)
    assert finished.returncode == 4
    assert "job-finished" in finished.stderr
    again = glocert("resume", job, url=service_url)
    assert again.returncode == 4
    assert "job-not-resumable" in again.stderr


def test_an_interrupted_run_cancels_its_jobs(
    service_url: str, client: Client, slow_model: Path, noise: Path
) -> None:
    command = [
        "certify",
        str(slow_model),
        "--data",
        str(noise),
        "--mutation",
        "noise=1",
        "--tag",
        "case=interrupt",
    ]
    process = subprocess.Popen(
        [*GLOCERT, *command, "--server", service_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    job = _job_with_tag(client, "case:interrupt")
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert f"job {job} is being cancelled" in messages
    assert _final_status(client, job) == "cancelled"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_honoured_on_a_terminal(
    service_url: str, threshold_model: Path, levels: Path, no_color: str, coloured: bool
) -> None:
    settings = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color, "GLOCERT_URL": service_url}
    command = ["certify", str(threshold_model), "--data", str(levels), "--mutation", "brightness=0.2"]
    shown = _on_a_terminal([*GLOCERT, *command], settings)
    assert b"falsified" in shown
    assert bool(COLOUR.search(shown)) is coloured


def test_a_reader_that_has_gone_is_neither_a_crash_nor_a_verdict(
    service_url: str, threshold_model: Path, levels: Path
) -> None:
    started = glocert("certify", threshold_model, "--data", levels, *BRIGHTNESS, "--detach", url=service_url)
    script = f"{' '.join(GLOCERT)} results {started.stdout.strip()} --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "GLOCERT_URL": service_url}, capture_output=True, text=True
    )
    assert done.returncode == 4
    assert done.stderr == ""


def _job_with_tag(client: Client, tag: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [job for job in client.jobs(tag=tag) if job.status == "running"]
        if found:
            return found[0].id
        time.sleep(0.05)
    raise AssertionError(f"no running job with tag {tag}")


def _final_status(client: Client, job: str) -> str:
    deadline = time.monotonic() + 60
    while not client.job(job).finished and time.monotonic() < deadline:
        time.sleep(0.05)
    return client.job(job).status


def _on_a_terminal(command: list[str], settings: dict[str, str]) -> bytes:
    master, slave = pty.openpty()
    process = subprocess.Popen(command, env=settings, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:
        pass  # how Linux says that the other side has closed
    finally:
        os.close(master)
    process.wait(60)
    return shown
