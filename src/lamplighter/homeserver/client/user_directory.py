"""POST /user_directory/search.

Implements <https://spec.matrix.org/latest/client-server-api/#user-directory>.
"""

from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import text
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["UserDirectory"]

#: Users in one answer, at most.
_MOST: Final = 50
_DEFAULT_LIMIT: Final = 10


class _Body(msgspec.Struct):
    search_term: str
    limit: Annotated[int, msgspec.Meta(ge=0)] = _DEFAULT_LIMIT


class UserDirectory:
    """Finds users; limited per user, since every search looks at all names."""

    def __init__(
        self, authenticator: Authenticator, directory: SqlDirectory, limiter: Limiter
    ) -> None:
        self._authenticator = authenticator
        self._directory = directory
        self._limiter = limiter

    def routes(self) -> list[Route]:
        return [ClientRoute("POST", "/user_directory/search", self.search)]

    async def search(self, request: Request) -> Response:
        """Return users who share a room with the requester, or are in a published one."""
        requester, body = await self._authenticator.requester_and_body(request, _Body)
        term = text("search_term", body.search_term)
        self._limiter.take(("user_directory", requester.user_id))
        found = await self._directory.search_people(requester.user_id, term, min(body.limit, _MOST))
        return json_response({"results": list(found.people), "limited": found.limited})
