"""Which headers go on."""

import pytest

from lamplighter.homeserver.upstream.headers import end_to_end, forwarded_headers
from lamplighter.web.http.request import Headers

CLIENT = "192.0.2.7"
PROXY = "10.0.0.1"


def fields(text: str) -> Headers:
    """Return the fields that *text* writes, one a line."""
    pairs = [line.strip().partition(": ") for line in text.strip().splitlines()]
    return [(name.encode(), value.encode()) for name, _, value in pairs]


def forwarded(text: str, peer: str = CLIENT) -> Headers:
    """Return what goes to the homeserver of a request from *peer* with the fields in *text*."""
    return forwarded_headers(fields(text), peer, "https", lambda it: it == PROXY)


@pytest.mark.parametrize(
    "ending",
    [
        "connection: close",
        "connection: Keep-Alive\nkeep-alive: timeout=5",
        "connection: x-b , X-C,, x-d\nx-b: 1\nx-c: 2\nx-d: 3\nx-b: 4",
        "connection: x-b\nconnection: x-c\nx-b: 1\nx-c: 2",
        "te: trailers\ntrailer: x-e",
        "transfer-encoding: chunked",
        "connection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: AAA",
        "proxy-authorization: x\nproxy-authenticate: y\nproxy-connection: close",
    ],
)
def test_hop_by_hop_headers(ending: str) -> None:
    """Headers about the connection, and those that it names, end here; all others stay in order."""
    assert end_to_end(fields(f"x-a: 1\n{ending}\nx-a: 2\ncookie: a=b")) == fields(
        "x-a: 1\nx-a: 2\ncookie: a=b"
    )


def test_what_a_client_says_of_itself() -> None:
    """What a client writes about its own address is replaced by what is known of it."""
    text = """
        host: hs.example
        x-forwarded-for: 1.1.1.1
        x-forwarded-proto: http
        x-forwarded-host: evil.example
        x-real-ip: 1.1.1.1
        forwarded: for=1.1.1.1
        x-forwarded-for: 2.2.2.2
        x-a: b
    """
    known = f"x-forwarded-for: {CLIENT}\nx-forwarded-proto: https\nx-forwarded-host: hs.example"
    assert forwarded(text) == fields(f"host: hs.example\nx-a: b\n{known}")


def test_what_a_trusted_proxy_says() -> None:
    """What a trusted proxy writes of its client goes on; what it leaves out is added."""
    text = """
        host: hs.example
        x-forwarded-for: 1.1.1.1, 203.0.113.9
        forwarded: for=203.0.113.9
        x-real-ip: 203.0.113.9
        x-forwarded-proto: http
    """
    assert forwarded(text, PROXY) == fields(f"{text.strip()}\nx-forwarded-host: hs.example")
    assert forwarded("x-a: b", PROXY) == fields(
        f"x-a: b\nx-forwarded-for: {PROXY}\nx-forwarded-proto: https"
    )


def test_what_cannot_be_hop_by_hop() -> None:
    """A client cannot take away what its proxy has written, nor say that the host is hop-by-hop."""
    text = "host: a\nx-forwarded-for: 203.0.113.9\nx-forwarded-proto: http\nx-forwarded-host: a"
    named = "connection: host, x-forwarded-for, X-Forwarded-Proto, x-forwarded-host"
    assert forwarded(f"{named}\n{text}", PROXY) == fields(text)


def test_expectations_end_here() -> None:
    """`Expect: 100-continue` is answered by this server."""
    assert forwarded("expect: 100-continue\nx-a: b", "") == fields(
        "x-a: b\nx-forwarded-proto: https"
    )
