"""Activities: what a person does at a device, as far as presence wants to know of it."""

from collections.abc import Callable

from starlette.requests import Request

from lamplighter.errors import UnknownToken
from lamplighter.ports import Requester
from lamplighter.web.auth import Authenticator

__all__ = ["ActivityNotes"]


class ActivityNotes:
    """Gives the requesters of what was done to *acted*."""

    def __init__(self, authenticator: Authenticator, acted: Callable[[Requester], None]) -> None:
        self._authenticator = authenticator
        self._acted = acted

    async def note(self, request: Request) -> None:
        """Take note of the request, which has been granted.

        Of a device that has logged out while that took its time there is nothing to note.
        """
        try:
            requester = await self._authenticator.requester(request)
        except UnknownToken:
            return
        self._acted(requester)
