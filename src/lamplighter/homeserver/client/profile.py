"""GET /profile/{userId}, GET/PUT /profile/{userId}/{displayname,avatar_url}.

And POST /user_directory/search.

Implements <https://spec.matrix.org/latest/client-server-api/#profiles> and
<https://spec.matrix.org/latest/client-server-api/#user-directory>.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import display_name, own_user_id, text, user_id
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Handler, Route, json_response

__all__ = ["ProfileEndpoints"]

T = TypeVar("T")

#: Users in one answer to a search, at most.
_MOST: Final = 50
_DEFAULT_LIMIT: Final = 10


class _Displayname(msgspec.Struct):
    displayname: str | None


class _AvatarUrl(msgspec.Struct):
    avatar_url: str | None


class _Search(msgspec.Struct):
    search_term: str
    limit: Annotated[int, msgspec.Meta(ge=0)] = _DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class ProfileEndpoints:
    """Profiles, and the search for users.

    Anybody may read a profile, with a token or without. Writes and searches are limited per user:
    a write changes all rooms of the user, and a search looks at all names.
    """

    authenticator: Authenticator
    directory: SqlDirectory
    limiter: Limiter

    def routes(self) -> list[Route]:
        fields = ("displayname", "avatar_url")
        one = "/profile/{user_id}"
        return [
            ClientRoute("GET", one, self._getter(fields)),
            *(ClientRoute("GET", f"{one}/{field}", self._getter((field,))) for field in fields),
            ClientRoute("PUT", f"{one}/displayname", self.put_displayname),
            ClientRoute("PUT", f"{one}/avatar_url", self.put_avatar_url),
            ClientRoute("POST", "/user_directory/search", self.search),
        ]

    async def put_displayname(self, request: Request) -> Response:
        """Change the requester's display name; null takes it away."""
        own, body = await self._own(request, _Displayname)
        await self.directory.set_displayname(own, display_name("displayname", body.displayname))
        return json_response({})

    async def put_avatar_url(self, request: Request) -> Response:
        """Change the requester's avatar; null takes it away."""
        own, body = await self._own(request, _AvatarUrl)
        await self.directory.set_avatar_url(own, display_name("avatar_url", body.avatar_url))
        return json_response({})

    async def search(self, request: Request) -> Response:
        """Return users who share a room with the requester, or are in a published one."""
        requester, body = await self.authenticator.requester_and_body(request, _Search)
        term = text("search_term", body.search_term)
        self.limiter.take(("user_directory", requester.user_id))
        limit = min(body.limit, _MOST)
        people, limited = await self.directory.search_people(requester.user_id, term, limit)
        return json_response({"results": people, "limited": limited})

    def _getter(self, fields: Sequence[str]) -> Handler:
        """Return what answers with those of *fields* that are set."""

        async def get(request: Request) -> Response:
            profile = await self.directory.profile(user_id(request))
            values = {field: getattr(profile, field) for field in fields}
            return json_response({name: it for name, it in values.items() if it is not None})

        return get

    async def _own(self, request: Request, shape: type[T]) -> tuple[UserId, T]:
        """Return the requester, whose profile the request changes, and the body."""
        requester, body = await self.authenticator.requester_and_body(request, shape)
        own = own_user_id(request, requester)
        self.limiter.take(("profile", own))
        return own, body
