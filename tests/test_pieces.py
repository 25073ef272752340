"""JSON made in pieces."""

from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.pieces import PORTION, Pieces, portions, written


def test_pieces_are_made_when_they_are_wanted() -> None:
    """Pieces are made during the iteration, and no more than needed."""
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
    """Portions hold all pieces; only the last is small, and none is much larger than needed."""
    found = list(portions(pieces))
    assert b"".join(found) == b"".join(pieces)
    assert all(len(portion) >= PORTION for portion in found[:-1])
    longest = max(map(len, pieces), default=0)
    assert all(len(portion) < PORTION + longest for portion in found[:-1])


async def each(*elements: object) -> AsyncIterator[object]:
    """Yield the elements."""
    for element in elements:
        yield element


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        ({}, {}),
        ({"a": 1, "b": {"c": [2], "d": map(str, [3])}}, {"a": 1, "b": {"c": [2], "d": ["3"]}}),
        (iter([]), []),
        (map(str, []), []),
        (each(), []),
        (each(1, {"a": iter([2])}), [1, {"a": [2]}]),
        (iter([{"a": [1]}, "é"]), [{"a": [1]}, "é"]),
    ],
)
async def test_written(content: object, plain: object) -> None:
    """An iterator is written as the same JSON as a list of its elements, in more pieces."""
    pieces = [piece async for piece in written(content)]
    assert b"".join(pieces) == msgspec.json.encode(plain)


async def test_written_one_by_one() -> None:
    """Each element of a list is made once the one before it is taken."""
    made: list[int] = []

    def note(number: int) -> int:
        made.append(number)
        return number

    pieces = written({"chunk": map(note, range(3))})
    assert [await anext(pieces) for _ in range(2)] == [b'{"chunk":', b"[0"]
    assert made == [0]
