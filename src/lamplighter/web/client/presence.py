"""GET and PUT /presence/{userId}/status.

Implements <https://spec.matrix.org/latest/client-server-api/#presence>.
"""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.clock import Clock
from lamplighter.service import PresenceService
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.presence_events import presence_content
from lamplighter.web.client.presence_names import PresenceNames
from lamplighter.web.fields import own_user_id, text, user_id
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["PresenceStatus"]

#: How long a status message may be, in bytes.
MAX_STATUS_MSG: Final = 1024


class _Status(msgspec.Struct):
    presence: str
    status_msg: str | None = None


class PresenceStatus:
    """Reads and sets the presence of single users."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        presence: PresenceService,
        names: PresenceNames,
        limiter: Limiter,
        clock: Clock,
    ) -> None:
        self._authenticator = authenticator
        self._presence = presence
        self._names = names
        self._limiter = limiter
        self._clock = clock

    def routes(self) -> list[Route]:
        path = "/presence/{user_id}/status"
        return [ClientRoute("GET", path, self.get), ClientRoute("PUT", path, self.put)]

    async def get(self, request: Request) -> Response:
        """Return the user's presence, if the requester may see it; else 403, user or no user."""
        requester = await self._authenticator.requester(request)
        state = await self._presence.status(requester.user_id, user_id(request))
        return json_response(presence_content(state, self._clock.now()))

    async def put(self, request: Request) -> Response:
        """Set the requester's own presence; answered once it would survive a crash."""
        requester, status = await self._authenticator.requester_and_body(request, _Status)
        own_user_id(request, requester)
        self._limiter.take(requester)
        presence = self._names.parse("presence", status.presence)
        message = text("status_msg", status.status_msg or "", MAX_STATUS_MSG) or None
        await self._presence.set_status(requester, presence, message)
        return json_response({})
