from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image

from tests.app.serving import Served, code


def test_inspection_shows_on_the_data_set(on_each_database: Served) -> None:
    dataset_id = on_each_database.ready_dataset()
    dataset = on_each_database.client.get(f"/v1/datasets/{dataset_id}", params={"wait": 5}).json()
    assert (dataset["status"], dataset["items"], dataset["filename"]) == ("ready", 6, "data.npz")
    assert dataset["labels_sha256"] is not None
    listed = on_each_database.client.get("/v1/datasets", params={"status": "ready"}).json()
    assert [item["id"] for item in listed["items"]] == [dataset_id]


def test_the_same_bytes_are_the_same_data_set(served: Served) -> None:
    first = served.dataset(name="one")
    again = served.client.post("/v1/datasets", files={"file": ("x.npz", b"npz")}, data={"name": "two"})
    assert (again.status_code, again.json()["id"], again.json()["name"]) == (200, first["id"], "one")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 3, 5), "uint8"), ((2, 3, 5, 1), "uint8"), ((2, 1, 3, 5), "float32")]
)
def test_items_are_drawn(served: Served, shape: tuple[int, ...], dtype: str) -> None:
    dataset_id = served.ready_dataset(shape=shape, labels=None, dtype=dtype)
    answer = served.client.get(f"/v1/datasets/{dataset_id}/items/1.png")
    assert answer.headers["content-type"] == "image/png"
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    values = np.arange(15, 30).reshape(3, 5)
    expected = values if dtype == "uint8" else np.rint(values / 29 * 255)
    np.testing.assert_array_equal(picture, expected)


def test_colours_are_drawn_whatever_the_order_of_the_axes(served: Served) -> None:
    pixels = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3).astype("uint8")
    last = served.ready_dataset(b"last", shape=(2, 4, 5, 3), labels=None)
    answer = served.client.get(f"/v1/datasets/{last}/items/0.png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), pixels[0])
    first = served.ready_dataset(b"first", shape=(2, 3, 4, 5), labels=None)
    answer = served.client.get(f"/v1/datasets/{first}/items/0.png")
    expected = np.arange(60).reshape(3, 4, 5).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)


def test_what_cannot_be_drawn_is_refused(served: Served) -> None:
    images = served.ready_dataset(b"images")
    assert code(served.client.get(f"/v1/datasets/{images}/items/6.png")) == "not-found"
    assert code(served.client.get(f"/v1/datasets/{images}/items/-1.png")) == "not-found"
    assert code(served.client.get(f"/v1/datasets/{images}/items/x.png")) == "not-found"
    rows = served.ready_dataset(b"rows", shape=(6, 16))
    answer = served.client.get(f"/v1/datasets/{rows}/items/0.png")
    assert (answer.status_code, code(answer)) == (422, "not-a-picture")
    fresh = served.dataset(b"fresh")["id"]
    answer = served.client.get(f"/v1/datasets/{fresh}/items/0.png")
    assert (answer.status_code, code(answer)) == (409, "dataset-not-ready")


def test_deleting_takes_all_files_and_is_refused_while_a_job_needs_them(on_each_database: Served) -> None:
    served = on_each_database
    job = served.job(inputs={"limit": 2})
    dataset = f"/v1/datasets/{job['dataset_id']}"
    answer = served.client.delete(dataset)
    assert (answer.status_code, code(answer), answer.json()["jobs"]) == (409, "in-use", [job["id"]])
    served.client.post(f"/v1/jobs/{job['id']}/cancel")
    for path in served.blobs:
        os.utime(path, (0, 0))
    assert len(served.blobs) == 5
    assert served.client.delete(dataset).status_code == 204
    assert len(served.blobs) == 2  # the model and its graph
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["dataset_id"] == job["dataset_id"]


def test_the_number_of_data_sets_is_limited(served: Served) -> None:
    for n in range(5):
        served.dataset(bytes([n]))
    answer = served.client.post("/v1/datasets", files={"file": ("f", b"more")})
    assert (answer.status_code, answer.json()["setting"]) == (409, "max_datasets")
