"""GET and PUT /presence/{userId}/status.

Implements <https://spec.matrix.org/latest/client-server-api/#presence>.
Guests may do neither: <https://spec.matrix.org/latest/client-server-api/#guest-access> does not
list these requests. They see others, and are seen, by `/sync`.
Clients set their status far more often than they ask for others': so the PUT is a direct endpoint.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.clock import Clock
from lamplighter.errors import ShuttingDown
from lamplighter.ports import Requester, RequestHead
from lamplighter.presence.status_message import MAX_STATUS_MSG, parse_status_msg
from lamplighter.service.background import Background
from lamplighter.service.intake import Intake
from lamplighter.service.reading import PresenceReader
from lamplighter.web.auth import Authenticator
from lamplighter.web.body import bounded, decode
from lamplighter.web.client.presence_events import presence_content
from lamplighter.web.fields import PresenceNames, own, text, user_id
from lamplighter.web.http.exchange import Exchange
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, decoded, json_response

__all__ = ["PresenceStatus"]


class _Status(msgspec.Struct):
    presence: str
    status_msg: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PresenceStatus:
    """Reads and sets the presence of single users."""

    authenticator: Authenticator
    reader: PresenceReader
    intake: Intake
    names: PresenceNames
    limiter: Limiter
    background: Background
    clock: Clock

    def routes(self) -> list[Route]:
        return [ClientRoute("GET", "/presence/{user_id}/status", self.get)]

    async def get(self, request: Request) -> Response:
        """Return the user's presence, if the requester may see it; else 403, user or no user."""
        requester = await self.authenticator.requester(request)
        self.authenticator.refuse_guest(requester)
        state = await self.reader.status(requester.user_id, user_id(request))
        return json_response(presence_content(state, self.clock.now()))

    def put(self, user: str, exchange: Exchange) -> None:
        """Set the requester's own presence; answered once it would survive a crash.

        *user* is from the path, percent-encoded. All of the body has come: whoever logged out or
        was logged out while it came sets nothing.
        """
        try:
            now, requester = self.clock.now(), None
            if self.reader.is_fresh:  # else another node may have heard of a log-out
                requester = self.authenticator.requester_in_use(exchange, now)
            if requester is None:
                head = RequestHead(exchange.headers, exchange.peer)
                self.background.run(self._identify(user, exchange, head))
            else:
                self._set(user, exchange, requester)
        except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
            exchange.refuse(error)

    async def _identify(self, user: str, exchange: Exchange, head: RequestHead) -> None:
        """Take a request with a token that must be looked up."""
        try:
            self._set(user, exchange, await self.authenticator.requester_of(exchange, head))
        except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
            exchange.refuse(error)

    def _set(self, user: str, exchange: Exchange, requester: Requester) -> None:
        self.authenticator.refuse_guest(requester)
        status = decode(bounded(exchange.body), _Status)
        own(decoded("user_id", user), requester)
        self.limiter.take(requester)
        presence = self.names.parse("presence", status.presence)
        message = parse_status_msg(text("status_msg", status.status_msg or "", MAX_STATUS_MSG))
        saved = self.intake.set_status(requester, presence, message)
        saved.add_done_callback(partial(_answer, exchange))


def _answer(exchange: Exchange, saved: "asyncio.Future[None]") -> None:
    try:
        saved.result()
    except asyncio.CancelledError:
        exchange.refuse(ShuttingDown())
    except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
        exchange.refuse(error)
    else:
        exchange.answer(200, b"{}")
