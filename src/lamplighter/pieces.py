"""Large JSON that is made in pieces while it is sent, and is never in memory as a whole."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

__all__ = ["PORTION", "Pieces", "portions"]

#: About how many bytes are made and sent at once.
PORTION: Final = 64 * 1024


class Pieces:
    """Bytes in pieces. Each iteration makes them again."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pieces) and bytes(self) == bytes(other)

    __hash__ = None  # type: ignore[assignment]  # equal pieces may not be made yet

    def __bytes__(self) -> bytes:
        return b"".join(self._make())


def portions(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *pieces* joined to portions of at least `PORTION` bytes; the last may be smaller."""
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
