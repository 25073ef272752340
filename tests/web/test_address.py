"""From where a request comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from lamplighter.web.address import ClientAddress

LOOPBACK = ("127.0.0.0/8", "::1/128")


def limited_as(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = LOOPBACK) -> str:
    """Return by what a request from *peer* with these headers X-Forwarded-For is limited."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    client = None if peer is None else (peer, 1)
    return ClientAddress(trusted)(Request({"type": "http", "headers": headers, "client": client}))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["x" * 60_000], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (None, ["203.0.113.9"], ""),
    ],
)
def test_only_a_trusted_proxy_is_believed(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    """X-Forwarded-For counts from a trusted address alone, and only if it holds an address."""
    assert limited_as(peer, *forwarded) == address


def test_all_lines_are_one_list() -> None:
    """A client that sends a line of its own is limited by what the proxy has written after it."""
    assert limited_as("127.0.0.1", "1.1.1.1", "203.0.113.9") == "203.0.113.9"
    assert limited_as("127.0.0.1", "203.0.113.9", "127.0.0.1") == "203.0.113.9"


def test_the_last_address_that_is_no_proxy_counts() -> None:
    """Behind several trusted proxies the client is the one that reached the first of them."""
    trusted = ("10.0.0.0/8", "2001:db8:1::/48")
    chain = "6.6.6.6, 203.0.113.9, 10.0.0.7,2001:db8:1::5"
    assert limited_as("10.1.1.1", chain, trusted=trusted) == "203.0.113.9"
    assert limited_as("10.1.1.1", "10.0.0.7, 10.0.0.8", trusted=trusted) == "10.0.0.7"
    assert limited_as("127.0.0.1", chain, trusted=trusted) == "127.0.0.1"
    assert limited_as("127.0.0.1", chain, trusted=()) == "127.0.0.1"


@pytest.mark.parametrize(
    "text",
    ["203.0.113.9:4711", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:80", " 203.0.113.9 "],
)
def test_ways_to_write_an_address(text: str) -> None:
    """A port does not count, and IPv4 within IPv6 is IPv4."""
    assert limited_as("127.0.0.1", text) == "203.0.113.9"
    assert limited_as("::ffff:127.0.0.1", text) == "203.0.113.9"
    assert limited_as("127.0.0.1", text, trusted=("::ffff:127.0.0.0/104",)) == "203.0.113.9"


@pytest.mark.parametrize(
    "text", ["2001:db8::1", "[2001:db8::2]:443", "2001:db8:0:0:ffff::1", "2001:db8::1%eth0"]
)
def test_ipv6_is_limited_by_its_network(text: str) -> None:
    """All addresses of one customer's network have one limit together."""
    assert limited_as("127.0.0.1", text) == "2001:db8::/64"
    assert limited_as("2001:db8:0:1::7", text) == "2001:db8:0:1::/64"


def test_trusted_proxies() -> None:
    """A trusted proxy is known by its address; what is no address is none."""
    trusts = ClientAddress(LOOPBACK).trusts
    trusted = {
        it: trusts(it) for it in ("127.3.2.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "", "x")
    }
    assert trusted == {
        "127.3.2.1": True,
        "::1": True,
        "::ffff:127.0.0.1": True,
        "10.0.0.1": False,
        "": False,
        "x": False,
    }


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=300), max_size=5))
def test_what_is_kept_is_short(forwarded: list[str]) -> None:
    """Nothing longer than an address comes of any headers."""
    assert len(limited_as("127.0.0.1", *forwarded)) <= 43
