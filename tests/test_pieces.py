"""JSON made bit by bit."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.pieces import PORTION, Pieces, portions


def test_pieces_are_made_when_they_are_wanted() -> None:
    """Nothing is made before it is gone through, and no more than was asked for."""
    made: list[int] = []

    def make() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    pieces = Pieces(make)
    assert made == []
    assert next(iter(pieces)) == b"0"
    assert made == [0]
    assert bytes(pieces) == b"012"
    assert pieces == Pieces(make)
    assert pieces != Pieces(lambda: iter((b"01",)))


@given(st.lists(st.integers(0, 2 * PORTION).map(lambda size: b"x" * size), max_size=8))
def test_portions(pieces: list[bytes]) -> None:
    """Portions hold all that the pieces hold, none is small but the last, and none is huge."""
    found = list(portions(pieces))
    assert b"".join(found) == b"".join(pieces)
    assert all(len(portion) >= PORTION for portion in found[:-1])
    longest = max(map(len, pieces), default=0)
    assert all(len(portion) < PORTION + longest for portion in found[:-1])
