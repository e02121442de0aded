from __future__ import annotations

from tests.app.serving import Served, row

LAW = {"type": "truncated-normal", "mean": 0.0, "std": 0.1}


def test_a_job_under_a_law_says_so_everywhere(served: Served) -> None:
    job = served.job(inputs={"indices": [0]}, law=LAW)
    assert job["request"]["law"] == LAW
    mass = {"lower": 0.75, "upper": 0.875, "law": "truncated-normal"}
    served.work(job["id"], [row(0, robust_mass=mass)])
    served.finish(job["id"])
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["summary"]["robust_mass"] == mass
    assert served.client.get(f"/v1/jobs/{job['id']}/results/0").json()["robust_mass"] == mass
    certificate = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()["predicate"]
    assert certificate["property"]["law"] == LAW
    assert "probability" in certificate["property"]["robust_mass"]
    assert any("the law describes" in text for text in certificate["claims_not_made"])


def test_without_a_law_the_mass_is_a_share_of_the_path(served: Served) -> None:
    job = served.job(inputs={"indices": [0]})
    served.work(job["id"], [row(0)])
    served.finish(job["id"])
    certificate = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()["predicate"]
    assert certificate["property"]["law"] == {"type": "uniform"}
    assert "share of t" in certificate["property"]["robust_mass"]
