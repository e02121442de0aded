from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert_client.errors import ServiceError, ServiceUnreachable
from glocert_client.exchange import RETRIED, Answer, Request, pause_before_retry, seconds_of

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
GET = Request("GET", "/v1/models")


def answer(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("Fri, 20 Nov 2026 12:00:07 GMT", 7.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: float | None) -> None:
    assert seconds_of(header, NOON) == seconds


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=300)))
def test_a_date_in_the_future_is_never_negative_and_never_late(ahead: timedelta) -> None:
    header = (NOON + ahead).strftime("%a, %d %b %Y %H:%M:%S GMT")
    seconds = seconds_of(header, NOON)
    assert seconds is not None
    assert 0 <= ahead.total_seconds() - seconds < 1


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_a_busy_service_is_asked_again_after_the_time_it_names(status: int) -> None:
    assert pause_before_retry(GET, 1, answer(status, retry_after="4"), attempts=3) == 4.0


@pytest.mark.parametrize("status", [200, 202, 304, 400, 401, 404, 409, 413, 422, 500])
def test_other_answers_stand(status: int) -> None:
    assert pause_before_retry(GET, 1, answer(status), attempts=3) is None


def test_pauses_grow_and_end() -> None:
    pauses = [pause_before_retry(GET, attempt, None, attempts=4) for attempt in (1, 2, 3, 4)]
    assert pauses == [0.2, 0.4, 0.8, None]


def test_what_may_not_be_repeated_is_not() -> None:
    once = Request("POST", "/v1/api-keys", body={}, repeatable=False)
    assert pause_before_retry(once, 1, None, attempts=4) is None
    assert pause_before_retry(once, 1, answer(503, retry_after="1"), attempts=4) is None


def test_nobody_waits_an_hour_in_silence() -> None:
    assert pause_before_retry(GET, 1, answer(429, retry_after="3600"), attempts=4) is None


def test_a_problem_document_becomes_the_error() -> None:
    body = (
        b'{"type": "/problems/unsupported-operators", "title": "Unsupported", "status": 422,'
        b' "detail": "2 nodes", "errors": [{"where": "a"}, {"where": "b"}]}'
    )
    with pytest.raises(ServiceError, match="2 nodes") as caught:
        answer(422, body).checked()
    assert caught.value.code == "unsupported-operators"
    assert caught.value.status == 422
    assert [offence["where"] for offence in caught.value.offences] == ["a", "b"]


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[1]", b'{"weird": 1}', b"\xff"])
def test_an_error_without_a_problem_document_still_says_its_status(body: bytes) -> None:
    with pytest.raises(ServiceError, match="HTTP 502"):
        answer(502, body).checked()


def test_a_page_that_is_no_json_is_not_the_service() -> None:
    with pytest.raises(ServiceUnreachable, match="address of GloCert"):
        answer(200, b"<html>router</html>").json()
