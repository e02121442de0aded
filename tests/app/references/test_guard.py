from __future__ import annotations

import pytest

from app.errors import ReferenceForbidden
from app.references.guard import is_listed, is_public
from app.references.uris import check_allowed

PRIVATE = """
    127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1
    ::1 :: fe80::1%eth0 fd00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1::
    2001:0:53aa:64c:0:0:80ff:fffe
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_on_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


def test_a_leading_dot_means_all_below() -> None:
    entries = [".hf.co", "exact.org"]
    hosts = ("a.hf.co", "hf.co", "evilhf.co", "exact.org", "sub.exact.org")
    assert [host for host in hosts if is_listed(host, entries)] == ["a.hf.co", "exact.org"]


@pytest.mark.parametrize(
    ("uri", "prefixes", "allowed"),
    [
        ("hf://org/repo/a", "hf://org", True),
        ("hf://org/repo/a", "hf://org/", True),
        ("hf://org/repo@main/a", "hf://org/repo", True),
        ("hf://organisation/repo/a", "hf://org", False),
        ("models:/digits@champion", "models:/digits", True),
        ("models:/digits2@champion", "models:/digits", False),
        ("models:/digits@champion", "s3://x/, models:/ ", True),
        ("models:/digits@champion", "models:/digits@champ", False),
        ("s3://bucket/a", "", False),
        ("s3://bucket/a", ",", False),
    ],
)
def test_prefixes_end_where_parts_end(uri: str, prefixes: str, allowed: bool) -> None:
    if allowed:
        check_allowed(uri, prefixes)
    else:
        with pytest.raises(ReferenceForbidden):
            check_allowed(uri, prefixes)
