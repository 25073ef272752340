"""Activities: actions of a person at a device that count for presence."""

from collections.abc import Callable

from starlette.requests import Request

from lamplighter.errors import UnknownToken
from lamplighter.ports import Requester
from lamplighter.web.auth import Authenticator

__all__ = ["ActivityNotes"]


class ActivityNotes:
    """Tells *acted* of the device that has done something."""

    def __init__(self, authenticator: Authenticator, acted: Callable[[Requester], None]) -> None:
        self._authenticator = authenticator
        self._acted = acted

    async def note(self, request: Request) -> None:
        """Count the request, which has been granted, as an activity.

        A device that has logged out meanwhile is not counted.
        """
        try:
            requester = await self._authenticator.requester(request)
        except UnknownToken:
            return
        self._acted(requester)
