"""How places in the stream are counted and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp
from lamplighter.cluster.positions import (
    BEGINNING,
    at_time,
    following,
    format_position,
    instant_of,
    parse_position,
)
from lamplighter.ids import StreamPosition

instants = st.integers(0, 10**13 - 1).map(Timestamp)
positions = st.builds(
    lambda now, seq: StreamPosition(at_time(now) + seq), instants, st.integers(0, 2**20 - 1)
)


@given(positions)
def test_reading_what_was_written(position: StreamPosition) -> None:
    """A written position reads as itself."""
    assert parse_position(format_position(position)) == position


@given(instants)
def test_when_a_position_was_given(now: Timestamp) -> None:
    """A position tells the millisecond in which it was given."""
    assert instant_of(at_time(now)) == instant_of(following(at_time(now), now)) == now


@given(positions, positions)
def test_order(one: StreamPosition, other: StreamPosition) -> None:
    """Positions are ordered as the pairs that they are written as: instant, then number."""

    def pair(position: StreamPosition) -> list[int]:
        return [int(part) for part in format_position(position).split("-")]

    assert (one < other) == (pair(one) < pair(other))


@given(positions, instants)
def test_following(last: StreamPosition, now: Timestamp) -> None:
    """The next position is larger, whatever the clock says, and not before its own instant."""
    position = following(last, now)
    assert position > last
    assert position >= at_time(now)
    assert position in (last + 1, at_time(now))


@given(instants, instants)
def test_a_later_instant_is_a_later_position(one: Timestamp, other: Timestamp) -> None:
    """Positions at later instants are larger, and none is before the beginning."""
    assert (at_time(one) < at_time(other)) == (one < other)
    assert at_time(one) >= BEGINNING


@given(st.text() | st.from_regex(r"[0-9]*-[0-9]*", fullmatch=True))
def test_reading_anything(text: str) -> None:
    """Any text is a position that is written in no other way, up to leading zeros, or None."""
    position = parse_position(text)
    if position is not None:
        ms, _, seq = text.partition("-")
        assert format_position(position) == f"{int(ms)}-{int(seq)}"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0-0", 0),
        ("0-1", 1),
        ("1-0", 2**20),
        ("1704067200000-7", (1704067200000 << 20) + 7),
        ("0-1048575", 2**20 - 1),
        ("0-1048576", None),
        ("0-0\n", None),
        (" 0-0", None),
        ("-1-0", None),
        ("0-", None),
        ("-0", None),
        ("0", None),
        ("0-0-0", None),
        ("12345678901234-0", None),
        ("0x1-0", None),
        ("\u0661-\u0662", None),
        ("", None),
    ],
)
def test_what_is_a_position(text: str, position: int | None) -> None:
    """Milliseconds, a hyphen, and a number below 2^20 are a position; nothing else is."""
    assert parse_position(text) == position
