"""The manual at ``/docs`` shows itself without anything from elsewhere."""

from __future__ import annotations

import re

import httpx

from tests.app.serving import Served


def test_the_bare_address_leads_to_the_manual(steady: Served) -> None:
    answer = httpx.get(steady.url)

    assert answer.status_code == 307
    assert answer.headers["location"] == "/docs"


def test_the_manual_needs_nothing_from_elsewhere(steady: Served) -> None:
    page = httpx.get(f"{steady.url}/docs")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert len(linked) == 3
    for address in linked:
        assert address.startswith("/docs/assets/")
        asset = httpx.get(steady.url + address)
        assert asset.status_code == 200
        assert len(asset.content) > 500


def test_the_policy_of_the_manual_names_no_other_host(steady: Served) -> None:
    policy = httpx.get(f"{steady.url}/docs").headers["content-security-policy"]

    assert "http" not in policy
    assert "default-src 'self'" in policy
