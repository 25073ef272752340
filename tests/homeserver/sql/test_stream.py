"""The stream of news: tokens, and who may have news."""

import pytest

from lamplighter.homeserver.sql.stream import RoomStream
from lamplighter.ids import UserId

ALICE = UserId("@alice:lamp.test")
BOB = UserId("@bob:lamp.test")


def test_tokens() -> None:
    """A token is read back as the position it was made of."""
    stream = RoomStream("c0ffee", 7)
    assert [stream.parse(stream.token(position)) for position in (0, 3, 7)] == [0, 3, 7]


@pytest.mark.parametrize(
    "token",
    [None, "", "7", "c0ffee_", "c0ffee_8", "c0ffee_-1", "c0ffee_ 7", "c0ffee_7\n", "c0ffee_\u0667",
     "beef_7", "_7", "c0ffee_7_7_7", "c0ffee_7_", "C0FFEE_7"],
)  # fmt: skip
def test_foreign_tokens(token: str | None) -> None:
    """The stream refuses a token that it cannot have given out by now."""
    assert RoomStream("c0ffee", 7).parse(token) is None


def test_news() -> None:
    """Only who was told something after a position may have news since then."""
    stream = RoomStream("c0ffee", 7)
    stream.tell(9, [ALICE])
    stream.tell(10, [])
    assert [stream.is_quiet(ALICE, f"c0ffee_{since}") for since in (6, 8, 9, 10, 11)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert [stream.is_quiet(BOB, f"c0ffee_{since}") for since in (6, 7, 9)] == [False, True, True]


@pytest.mark.parametrize("token", [None, "", "nonsense", "other_8", "c0ffee_", "c0ffee_99"])
def test_a_token_that_says_nothing(token: str | None) -> None:
    """After a token that the stream cannot have given out, nothing is certain."""
    assert not RoomStream("c0ffee", 9).is_quiet(ALICE, token)


def test_the_stream_never_goes_back() -> None:
    """Learning of an earlier position changes nothing."""
    stream = RoomStream("c0ffee", 7)
    stream.advance(5)
    assert stream.position == 7
