"""The access token of a request."""

import pytest

from lamplighter.errors import MissingToken
from lamplighter.web.auth import access_token


@pytest.mark.parametrize(
    ("header", "query", "token"),
    [
        (b"Bearer abc", b"", "abc"),
        (b"bearer abc", b"", "abc"),
        (b"Bearer   abc ", b"", "abc"),
        (b"Bearer \xff", b"", "\xff"),
        (None, b"access_token=abc", "abc"),
        (None, b"a=b&access_token=a%2Bb%20c", "a+b c"),
        (b"Bearer header", b"access_token=query", "header"),
    ],
)
def test_the_token_stands_in_the_header_or_in_the_query(
    header: bytes | None, query: bytes, token: str
) -> None:
    """A token comes from the Authorization header or, without one, from the query."""
    headers = [(b"host", b"x")] + ([(b"authorization", header)] if header else [])
    assert access_token(headers, query) == token


@pytest.mark.parametrize(
    ("header", "query"),
    [
        (None, b""),
        (None, b"access_token="),
        (None, b"my_access_token=abc"),
        (None, b"access_token=a&access_token=b"),
        (b"", b""),
        (b"Bearer", b""),
        (b"Bearer ", b""),
        (b"abc", b""),
        (b"Basic abc", b""),
        (b"Basic abc", b"access_token=abc"),
        (b"Bearerabc", b""),
    ],
)
def test_a_malformed_token_is_a_missing_one(header: bytes | None, query: bytes) -> None:
    """No token, two tokens, or an Authorization of another form: the token is missing."""
    headers = [] if header is None else [(b"authorization", header)]
    with pytest.raises(MissingToken):
        access_token(headers, query)
