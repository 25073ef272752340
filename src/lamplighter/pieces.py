"""JSON that is large: made bit by bit while it is sent, and never there as a whole."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

__all__ = ["PORTION", "Pieces", "portions"]

#: About how many bytes are made and sent at a time.
PORTION: Final = 64 * 1024


class Pieces:
    """Bytes that are made anew each time that they are gone through."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pieces) and bytes(self) == bytes(other)

    __hash__ = None  # type: ignore[assignment]  # what is equal is not known before it is made

    def __bytes__(self) -> bytes:
        return b"".join(self._make())


def portions(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join *pieces* until they have `PORTION` bytes together, again and again."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PORTION:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)
