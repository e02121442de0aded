from __future__ import annotations

import pytest

from tests.app.serving import Served, code, row


@pytest.fixture
def job_id(on_each_database: Served) -> str:
    job_id = str(on_each_database.job()["id"])
    rows = [row(4, "falsified"), row(0), row(3, "skipped", reason="misclassified"), row(2, "falsified")]
    on_each_database.work(job_id, rows)
    on_each_database.picture(job_id, 4, "counterexample.png", b"\x89PNG 4")
    on_each_database.picture(job_id, 4, "path.png", b"\x89PNG path")
    on_each_database.picture(job_id, 2, "counterexample.png", b"\x89PNG 2")
    on_each_database.picture(job_id, -1, "log.txt", b"words")
    return job_id


def test_rows_are_there_by_index_while_the_job_runs(on_each_database: Served, job_id: str) -> None:
    page = on_each_database.client.get(f"/v1/jobs/{job_id}/results", params={"limit": 3}).json()
    assert [item["index"] for item in page["items"]] == [0, 2, 3]
    on_each_database.work(job_id, [row(1), row(5)])
    rest = on_each_database.client.get(f"/v1/jobs/{job_id}/results", params={"cursor": page["next"]}).json()
    assert ([item["index"] for item in rest["items"]], rest["next"]) == ([4, 5], None)


def test_rows_filter_by_verdict(on_each_database: Served, job_id: str) -> None:
    query = {"verdict": "falsified", "limit": 1}
    page = on_each_database.client.get(f"/v1/jobs/{job_id}/results", params=query).json()
    assert [item["index"] for item in page["items"]] == [2]
    query["cursor"] = page["next"]
    page = on_each_database.client.get(f"/v1/jobs/{job_id}/results", params=query).json()
    assert ([item["index"] for item in page["items"]], page["next"]) == ([4], None)


def test_pictures_have_addresses_that_answer(on_each_database: Served, job_id: str) -> None:
    here = f"/v1/jobs/{job_id}/results/4"
    found = on_each_database.client.get(here).json()
    assert found["counterexample"]["image"] == f"{here}/counterexample.png"
    assert found["files"] == {name: f"{here}/{name}" for name in ("counterexample.png", "path.png")}
    picture = on_each_database.client.get(found["counterexample"]["image"])
    assert (picture.content, picture.headers["content-type"]) == (b"\x89PNG 4", "image/png")
    assert on_each_database.client.get(f"{here}/path.png").content == b"\x89PNG path"


def test_members_that_a_row_has_not_are_left_out(on_each_database: Served, job_id: str) -> None:
    skipped = on_each_database.client.get(f"/v1/jobs/{job_id}/results/3").json()
    assert skipped == row(3, "skipped", reason="misclassified") | {"files": {}}


def test_artifacts_are_listed_with_digests(on_each_database: Served, job_id: str) -> None:
    address = f"/v1/jobs/{job_id}/artifacts"
    page = on_each_database.client.get(address, params={"limit": 2}).json()
    rest = on_each_database.client.get(address, params={"limit": 2, "cursor": page["next"]}).json()
    files = page["items"] + rest["items"]
    assert [(file["index"], file["name"]) for file in files] == [
        (None, "log.txt"), (2, "counterexample.png"), (4, "counterexample.png"), (4, "path.png"),
    ]  # fmt: skip
    assert files[0]["href"] == f"{address}/log.txt"
    for file in files:
        answer = on_each_database.client.get(file["href"])
        assert (len(answer.content), answer.headers["etag"]) == (file["size_bytes"], f'"{file["sha256"]}"')


@pytest.mark.parametrize(
    "path",
    ["results/1", "results/-1", "results/x", "results/99999999999", "results/4/other.png", "results/4/..%2fx",
     "results/1/path.png", "artifacts/path.png", "artifacts/%00"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(on_each_database: Served, job_id: str, path: str) -> None:
    assert code(on_each_database.client.get(f"/v1/jobs/{job_id}/{path}")) == "not-found"
