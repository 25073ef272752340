"""What a direct endpoint sees of a request: no task, no middleware, an answer whenever it comes."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

__all__ = ["Direct", "Exchange", "Headers"]

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class Exchange(Protocol):
    """A request, and the way to answer it."""

    method: str
    path: str
    #: As it was sent, percent-encoded, without the `?`.
    query: str
    #: Names in lower case.
    headers: Headers
    #: The header of that name.
    authorization: bytes | None
    #: Called once if the client goes before the answer.
    when_gone: Callable[[], None] | None

    def answer(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a whole JSON response; nothing if there was one before, or nobody is there."""


#: An endpoint that is called as soon as a request is there; it must neither wait nor raise.
Direct: TypeAlias = Callable[[Exchange], None]
