"""Requests that write to rooms and account data: their limit, and which of them are activities.

The limit counts the requests of a user by number and size.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from starlette.requests import Request

from lamplighter.errors import UnknownToken
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ports import Requester
from lamplighter.web.auth import Authenticator
from lamplighter.web.body import MAX_BODY, announced_length
from lamplighter.web.limits import Limiter

__all__ = ["MeteredAuthenticator"]

T = TypeVar("T")

#: Bytes of a body that count as one more request.
_PIECE: Final = 4096


class MeteredAuthenticator(Authenticator):
    """An `Authenticator` for writes: it counts each request with a body for its user.

    A body of unknown length counts as the longest one. Raises `LimitExceeded`, too.
    """

    def __init__(
        self, directory: SqlDirectory, limiter: Limiter, acted: Callable[[Requester], None]
    ) -> None:
        """*acted* is told of each device that does something which counts for presence."""
        super().__init__(directory)
        self._limiter = limiter
        self._acted = acted

    async def requester_and_body(
        self, request: Request, shape: type[T], *, may_be_empty: bool = False
    ) -> tuple[Requester, T]:
        requester, body = await super().requester_and_body(
            request, shape, may_be_empty=may_be_empty
        )
        self._limiter.take(requester.user_id, _weight(request))
        return requester, body

    async def note_activity(self, request: Request) -> None:
        """Count the request, which has been granted, as an activity.

        A device that has logged out meanwhile is not counted.
        """
        try:
            requester = await self.requester(request)
        except UnknownToken:
            return
        self._acted(requester)


def _weight(request: Request) -> int:
    length = announced_length(request)
    if length is None:
        length = 0 if request.headers.get("transfer-encoding") is None else MAX_BODY
    return 1 + length // _PIECE
