from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest

from app.keys.service import SCOPES, NoKeys
from app.main import create_app
from app.settings import Settings
from models import ApiKey
from tests.app.serving import ADMIN_KEY, Served, code, serving

EVERYTHING = [scope for scope in SCOPES if scope != "admin"]


def make(
    keyed: Served, owner: str = "team", scopes: list[str] = EVERYTHING, **members: Any
) -> dict[str, Any]:
    body = {"name": "ci", "owner": owner, "scopes": scopes} | members
    answer = keyed.client.post("/v1/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def as_(keyed: Served, key: str) -> httpx.Client:
    return httpx.Client(base_url=keyed.url, headers={"Authorization": f"Bearer {key}"})


def test_a_key_is_shown_once_and_stored_as_a_digest(keyed: Served) -> None:
    made = make(keyed)
    assert made["key"].startswith("glc_")
    assert made["prefix"] == made["key"][:12]
    shown = keyed.client.get(f"/v1/api-keys/{made['id']}").json()
    assert shown == {name: value for name, value in made.items() if name != "key"}
    with keyed.session() as session:
        row = session.get_one(ApiKey, made["id"])
        assert row.sha256 == hashlib.sha256(made["key"].encode()).hexdigest()
    data = b"".join(path.read_bytes() for path in keyed.settings.data_dir.glob("glocert.sqlite3*"))
    assert made["key"].encode() not in data


def test_nothing_of_value_answers_without_a_key(keyed: Served) -> None:
    wrong = ["Bearer glc_wrong", f"Basic {ADMIN_KEY}", "Bearer", ADMIN_KEY, b"Bearer \xff"]
    for headers in [{}, *({"Authorization": value} for value in wrong)]:
        for path in ("/v1/models", "/v1/jobs", "/v1/api-keys", "/v1/capabilities", "/metrics"):
            answer = httpx.get(keyed.url + path, headers=headers)
            assert (answer.status_code, code(answer)) == (401, "unauthorized"), (path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_health_and_documentation_need_no_key(keyed: Served) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/problems/not-found"):
        assert httpx.get(keyed.url + path).status_code == 200


def test_revoked_and_expired_keys_open_nothing(keyed: Served) -> None:
    made = make(keyed)
    with as_(keyed, made["key"]) as client:
        assert client.get("/v1/jobs").status_code == 200
        assert keyed.client.delete(f"/v1/api-keys/{made['id']}").status_code == 204
        assert client.get("/v1/jobs").status_code == 401
    assert keyed.client.get(f"/v1/api-keys/{made['id']}").json()["revoked_at"] is not None
    soon = make(keyed, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    with as_(keyed, soon["key"]) as client:
        assert client.get("/v1/jobs").status_code == 200
        with keyed.session() as session:
            session.get_one(ApiKey, soon["id"]).expires_at = datetime.now(UTC)
        assert client.get("/v1/jobs").status_code == 401
    past = {"name": "x", "scopes": ["jobs:read"], "expires_at": "2020-01-01T00:00:00Z"}
    assert code(keyed.client.post("/v1/api-keys", json=past)) == "invalid-request"


def test_the_last_use_is_noted(keyed: Served) -> None:
    made = make(keyed)
    assert made["last_used_at"] is None
    with as_(keyed, made["key"]) as client:
        client.get("/v1/jobs")
    assert keyed.client.get(f"/v1/api-keys/{made['id']}").json()["last_used_at"] is not None


CALLS = {
    "models:read": ("GET", "/v1/models"), "models:write": ("DELETE", "/v1/models/x"),
    "datasets:read": ("GET", "/v1/datasets"), "datasets:write": ("DELETE", "/v1/datasets/x"),
    "jobs:read": ("GET", "/v1/jobs"), "jobs:write": ("POST", "/v1/jobs/x/cancel"),
    "metrics:read": ("GET", "/metrics"), "admin": ("GET", "/v1/api-keys"),
}  # fmt: skip


def test_a_scope_opens_what_it_names_and_nothing_else(keyed: Served) -> None:
    for scope in SCOPES:
        with as_(keyed, make(keyed, scopes=[scope])["key"]) as client:
            allowed = {name for name, call in CALLS.items() if client.request(*call).status_code != 403}
        assert allowed == (set(SCOPES) if scope == "admin" else {scope})


def test_uploads_and_jobs_need_the_scope_to_write(keyed: Served) -> None:
    reading = [scope for scope in SCOPES if scope.endswith(":read")]
    with as_(keyed, make(keyed, scopes=reading)["key"]) as client:
        answer = client.post("/v1/models", files={"file": ("f", b"x")})
        assert (answer.status_code, answer.json()["scope"]) == (403, "models:write")
        assert client.post("/v1/datasets", files={"file": ("f", b"x")}).json()["scope"] == "datasets:write"
        assert client.post("/v1/jobs", json={}).json()["scope"] == "jobs:write"
    assert keyed.blobs == []


def test_owners_see_only_what_is_theirs(keyed: Served) -> None:
    job = keyed.job(inputs={"limit": 1})
    model, dataset, here = job["model_id"], job["dataset_id"], f"/v1/jobs/{job['id']}"
    with as_(keyed, make(keyed)["key"]) as stranger:
        for path in ("/v1/models", "/v1/datasets", "/v1/jobs"):
            assert stranger.get(path).json()["items"] == []
        for path in (
            f"/v1/models/{model}", f"/v1/models/{model}/file", f"/v1/models/{model}?wait=5",
            f"/v1/datasets/{dataset}", f"/v1/datasets/{dataset}/items/0.png", here, f"{here}?wait=5",
            f"{here}/events", f"{here}/results", f"{here}/results/0", f"{here}/results/0/path.png",
            f"{here}/artifacts", f"{here}/artifacts/x", f"{here}/certificate", f"{here}/certificate.json",
        ):  # fmt: skip
            assert code(stranger.get(path)) == "not-found", path
        for path in (f"/v1/models/{model}", f"/v1/datasets/{dataset}"):
            assert code(stranger.delete(path)) == "not-found"
        assert code(stranger.post(f"{here}/cancel")) == "not-found"
        assert code(stranger.post(f"{here}/resume")) == "not-found"
        body = keyed.body(model_id=model, dataset_id=dataset)
        assert code(stranger.post("/v1/jobs", json=body)) == "not-found"


def test_the_same_bytes_of_two_owners_are_two_models_and_keys_do_not_meet(keyed: Served) -> None:
    mine, header = keyed.job(inputs={"limit": 1}), {"Idempotency-Key": "k"}
    keyed.client.post("/v1/jobs", json=keyed.body(), headers=header)
    with as_(keyed, make(keyed)["key"]) as stranger:
        theirs = stranger.post("/v1/models", files={"file": ("net.onnx", b"onnx")})
        assert theirs.status_code == 201
        assert theirs.json()["id"] != mine["model_id"]
        answer = stranger.post("/v1/jobs", json={**keyed.body()}, headers=header)
        assert code(answer) == "not-found"  # not the other owner's job
        stranger.delete(f"/v1/models/{theirs.json()['id']}")
    assert keyed.client.get(f"/v1/models/{mine['model_id']}/file").content == b"onnx"


def test_listing_keys_pages(keyed: Served) -> None:
    made = [make(keyed)["id"] for _ in range(3)]
    page = keyed.client.get("/v1/api-keys", params={"limit": 2}).json()
    assert [key["id"] for key in page["items"]] == made[:0:-1]
    rest = keyed.client.get("/v1/api-keys", params={"limit": 2, "cursor": page["next"]}).json()
    assert rest["items"][0]["id"] == made[0]


def test_without_keys_this_machine_is_let_in_and_told_so(served: Served) -> None:
    assert served.client.get("/v1/capabilities").json()["authentication"] == "open"
    assert served.client.get("/v1/jobs").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "glocert.example.org"},
        {"Host": "[::"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_open_mode_answers_no_page_of_another_site(steady: Served, headers: dict[str, str]) -> None:
    answer = steady.client.get("/v1/models", headers=headers)
    assert (answer.status_code, code(answer)) == (403, "foreign-origin")
    local = steady.client.get(
        "/v1/models", headers={"Host": "localhost:1", "Origin": "http://127.0.0.1:8321"}
    )
    assert local.status_code == 200


def test_keys_close_the_open_mode_at_the_next_start(settings: Settings) -> None:
    with serving(settings) as first:
        key = first.client.post("/v1/api-keys", json={"name": "a", "scopes": ["admin"]}).json()
    assert key["owner"] == "local"
    with serving(settings) as second:
        assert second.client.get("/v1/models").status_code == 401
        with as_(second, key["key"]) as client:
            assert client.get("/v1/models").status_code == 200
            assert client.get("/v1/capabilities").json()["authentication"] == "keys"


def test_it_refuses_to_start_where_others_can_reach_it_without_keys(settings: Settings) -> None:
    for members, word in (({}, "there is no API key"), ({"admin_key": "short"}, "easy to guess")):
        app = create_app(settings.model_copy(update={"host": "0.0.0.0"} | members))
        with pytest.raises(NoKeys, match=word):
            _run_lifespan(app)
    keyed = settings.model_copy(update={"host": "0.0.0.0", "admin_key": ADMIN_KEY})
    _run_lifespan(create_app(keyed))
    _run_lifespan(
        create_app(settings.model_copy(update={"host": "0.0.0.0"}))
    )  # the key of before is still there


def _run_lifespan(app: Any) -> None:
    async def run() -> None:
        async with app.router.lifespan_context(app):
            pass

    anyio.run(run)
