from __future__ import annotations

from tests.app.serving import Served, row


def test_the_certificate_of_a_rank_says_which(served: Served) -> None:
    job = served.job(inputs={"indices": [0]}, property={"type": "top_k", "k": 2})
    served.work(job["id"], [row(0)])
    served.finish(job["id"])
    certificate = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()["predicate"]
    assert certificate["property"]["k"] == 2
    assert "k-th largest score of the other classes" in certificate["property"]["formula"]


def test_a_job_about_pairs_says_so(served: Served) -> None:
    """Items of four channels of four, as the network's shape has them."""
    data = served.ready_dataset(shape=(6, 4, 2, 2))
    model = served.ready_model(
        b"pairs", report={"input": {"name": "x", "shape": [4, 2, 2], "dtype": "float32"}}
    )
    job = served.job(model_id=model, dataset_id=data, inputs={"indices": [0]}, paired=True)
    assert job["request"]["paired"] is True
    served.work(job["id"], [row(0)])
    served.finish(job["id"])
    certificate = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()["predicate"]
    assert "two images on the channel axis" in certificate["domain"]["paired"]
