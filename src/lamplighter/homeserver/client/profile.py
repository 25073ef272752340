"""GET /profile/{userId}, GET/PUT /profile/{userId}/{displayname,avatar_url}.

Implements <https://spec.matrix.org/latest/client-server-api/#profiles>.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import display_name, own_user_id, user_id
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Handler, Route, json_response

__all__ = ["ProfileEndpoints"]

T = TypeVar("T")


class _Displayname(msgspec.Struct):
    displayname: str | None


class _AvatarUrl(msgspec.Struct):
    avatar_url: str | None


class ProfileEndpoints:
    """Profiles: anybody may read them, token or not; writes are limited per user."""

    def __init__(
        self, authenticator: Authenticator, accounts: SqlDirectory, limiter: Limiter
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._limiter = limiter

    def routes(self) -> list[Route]:
        fields = ("displayname", "avatar_url")
        one = "/profile/{user_id}"
        return [
            ClientRoute("GET", one, self._getter(fields)),
            *(ClientRoute("GET", f"{one}/{field}", self._getter((field,))) for field in fields),
            ClientRoute("PUT", f"{one}/displayname", self.put_displayname),
            ClientRoute("PUT", f"{one}/avatar_url", self.put_avatar_url),
        ]

    async def put_displayname(self, request: Request) -> Response:
        """Change the requester's display name; null takes it away."""
        own, body = await self._own(request, _Displayname)
        await self._accounts.set_displayname(own, display_name("displayname", body.displayname))
        return json_response({})

    async def put_avatar_url(self, request: Request) -> Response:
        """Change the requester's avatar; null takes it away."""
        own, body = await self._own(request, _AvatarUrl)
        await self._accounts.set_avatar_url(own, display_name("avatar_url", body.avatar_url))
        return json_response({})

    def _getter(self, fields: Sequence[str]) -> Handler:
        """Return what answers with those of *fields* that are set."""

        async def get(request: Request) -> Response:
            profile = await self._accounts.profile(user_id(request))
            values = {field: getattr(profile, field) for field in fields}
            return json_response({name: it for name, it in values.items() if it is not None})

        return get

    async def _own(self, request: Request, shape: type[T]) -> tuple[UserId, T]:
        """Return who changes their own profile, and to what."""
        requester, body = await self._authenticator.requester_and_body(request, shape)
        own = own_user_id(request, requester)
        self._limiter.take(("profile", own))
        return own, body
