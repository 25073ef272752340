"""Large JSON that is made in pieces while it is sent, and is never in memory as a whole."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

__all__ = ["PORTION", "Pieces", "portions", "written"]

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


async def written(content: Any) -> AsyncIterator[bytes]:
    """Yield *content* as JSON, in pieces.

    The members of an object are written one after the other, and so are the elements of an
    iterator. Everything else, such as each of these elements, is written at once; the elements of
    an asynchronous iterator are written as *content* is.
    """
    if isinstance(content, dict):
        opening = b"{"
        for name, value in content.items():
            yield b"%b%b:" % (opening, msgspec.json.encode(name))
            async for piece in written(value):
                yield piece
            opening = b","
        yield b"}" if content else b"{}"
    elif isinstance(content, Iterator):
        opening = b"["
        for element in content:
            yield opening + msgspec.json.encode(element)
            opening = b","
        yield b"[]" if opening == b"[" else b"]"
    elif isinstance(content, AsyncIterable):
        opening = b"["
        async for element in content:
            yield opening
            async for piece in written(element):
                yield piece
            opening = b","
        yield b"[]" if opening == b"[" else b"]"
    else:
        yield msgspec.json.encode(content)
