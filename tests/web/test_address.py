"""From where a request comes."""

import pytest
from starlette.requests import Request

from lamplighter.web.address import client_address


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", b"203.0.113.9", "192.0.2.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", b"", "127.0.0.1"),
        ("127.0.0.1", b"203.0.113.9", "203.0.113.9"),
        ("::1", b"1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (None, b"203.0.113.9", ""),
    ],
)
def test_only_a_proxy_on_this_machine_is_believed(
    peer: str | None, forwarded: bytes | None, address: str
) -> None:
    """X-Forwarded-For counts from the loopback address alone, and only its last entry."""
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded)]
    client = None if peer is None else (peer, 1)
    assert (
        client_address(Request({"type": "http", "headers": headers, "client": client})) == address
    )
