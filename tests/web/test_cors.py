"""The headers that let web clients in."""

from lamplighter.web.cors import CORS_HEADERS


def test_the_headers_are_those_of_the_specification() -> None:
    """Any origin, all methods the client API has, and the headers that clients send."""
    assert dict(CORS_HEADERS) == {
        b"access-control-allow-origin": b"*",
        b"access-control-allow-methods": b"GET, POST, PUT, DELETE, OPTIONS",
        b"access-control-allow-headers": b"X-Requested-With, Content-Type, Authorization",
    }
