"""Since tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.cluster.positions import RECORD
from lamplighter.delivery.tokens import SinceToken, Tokens, epoch_of_name
from lamplighter.ids import ServerName, StreamEpoch, StreamPosition

NOTHING = SinceToken(None, None)
POSITION = StreamPosition((1704067200000 << 20) + 7)

tokens = Tokens(StreamEpoch("d642dfa0"))
positions = st.integers(0, (10**13 << 20) - 1).map(StreamPosition)


def test_how_a_token_looks() -> None:
    """A token is the rooms part, the position, and the epoch."""
    assert tokens.write("s17", POSITION, POSITION) == "s17~1704067200000-7-d642dfa0"


@given(st.text(), positions)
def test_reading_what_was_written(rooms: str, position: StreamPosition) -> None:
    """A written token reads as what went in, whatever the rooms part holds."""
    assert tokens.read(tokens.write(rooms, position, position)) == SinceToken(rooms, position)


def test_a_token_of_a_node() -> None:
    """The token of a node names the node where its position is the node's own, and an earlier
    position for the others where the node has something to tell: each node reads what it may. The
    others learn as well up to where something was told.
    """
    epoch, record = StreamEpoch("d642dfa0"), StreamPosition(POSITION - 7)
    here, other = Tokens(epoch, "1f"), Tokens(epoch, "20")
    earlier = StreamPosition(record - 1)
    before = StreamPosition(record - RECORD)
    for told_until, text, elsewhere, seen in (
        (record, "s17~1704067200000-0-d642dfa0", record, None),
        (POSITION, "s17~1704067200000-7-1f-d642dfa0", record, None),
        (earlier, "s17~1704067200000-7-1f-1704067199999-983040-d642dfa0", before, record),
    ):
        position = record if told_until == record else POSITION
        assert here.write("s17", position, told_until) == text
        assert here.read(text) == SinceToken("s17", position)
        assert other.read(text) == SinceToken("s17", elsewhere, seen)
    assert other.read("s17~1704067200000-7-1f-x-d642dfa0") == SinceToken("s17", None, record)


@given(st.text(), positions, st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_a_foreign_token(rooms: str, position: StreamPosition, epoch: str) -> None:
    """The token of another epoch says nothing."""
    read = tokens.read(Tokens(StreamEpoch(epoch)).write(rooms, position, position))
    assert (read == NOTHING) is (epoch != "d642dfa0")


def test_before_epochs() -> None:
    """A server that kept no epoch named itself, by a checksum."""
    assert epoch_of_name(ServerName("demo")) == "d642dfa0"


@given(st.text() | st.from_regex(r"s\d*~?\d*-?\d*-?[0-9a-f]*", fullmatch=True))
def test_any_text(text: str) -> None:
    """No text is an error; one without the epoch says nothing."""
    if not text.endswith("-d642dfa0"):
        assert tokens.read(text) == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s17~1704067200000-7",
        "s17~1704067200000-7-d642dfa0 ",
        "s17~1704067200000-7-D642DFA0",
        "1704067200000-7-d642dfa0",
        "s17~1704067200000-7-d642dfa0~",
        "\ud800",
    ],
)
def test_garbage(text: str) -> None:
    """Garbage says nothing."""
    assert tokens.read(text) == NOTHING


def test_a_mangled_position() -> None:
    """A token with the epoch and without a position still has its rooms part."""
    assert tokens.read("s17~x-d642dfa0") == SinceToken("s17", None)
