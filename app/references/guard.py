"""Which addresses the service may speak to when it follows a reference.

A reference comes from a user: a name in it, or in a redirect, may mean a machine that only the service can
reach. Names are resolved here, once, and the connection goes to the address that was looked at.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from app.errors import ReferenceForbidden
from glocert.errors import Offence


class GuardedTransport(httpx.BaseTransport):
    """Connects to public addresses only, save for hosts that the operator has named.

    Args:
        private_hosts: hosts that may have any address.
    """

    def __init__(self, private_hosts: Collection[str]) -> None:
        self._private_hosts = frozenset(private_hosts)
        # The default context of Python, so that SSL_CERT_FILE of the environment holds.
        self._inner = httpx.HTTPTransport(verify=ssl.create_default_context())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to an address of its host.

        Raises:
            ReferenceForbidden: the host has a private address.
            httpx.ConnectError: no address answers.
        """
        host = request.url.host
        failure: httpx.TransportError = httpx.ConnectError("the name has no address")
        for address in self._addresses(host, request.url.port):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return self._inner.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()

    def _addresses(self, host: str, port: int | None) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError("the name cannot be resolved") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if host not in self._private_hosts and not all(map(is_public, addresses)):
            detail = f"{host} is not on the public internet."
            way_out = "GLOCERT_REFERENCE_PRIVATE_HOSTS can allow it."
            raise ReferenceForbidden(
                f"The service does not follow the reference: {detail}",
                [Offence("/uri", detail, way_out=way_out)],
                extra={"setting": "reference_private_hosts"},
            )
        return addresses


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet; one that carries another is judged by that."""
    address = ip_address(text.partition("%")[0])
    return all(inner.is_global and not inner.is_multicast for inner in (address, *_carried(address)))


def _carried(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses inside an IPv6 one: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return []
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address.packed[:12] == bytes.fromhex("0064ff9b") + bytes(8):
        inside.append(IPv4Address(address.packed[12:]))
    return [inner for inner in inside if inner is not None]


def listed(setting: str) -> list[str]:
    """Return the entries of a setting with commas."""
    return [entry.strip().lower() for entry in setting.split(",") if entry.strip()]


def is_listed(host: str, entries: Collection[str]) -> bool:
    """Whether a host is one of the entries, or below one that begins with a dot."""
    return any(host == entry or (entry.startswith(".") and host.endswith(entry)) for entry in entries)
