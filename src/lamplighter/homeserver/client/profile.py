"""GET /profile/{userId}, GET/PUT /profile/{userId}/{displayname,avatar_url}.

Implements <https://spec.matrix.org/latest/client-server-api/#profiles>.
"""

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import display_name, own_user_id, user_id
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["ProfileEndpoints"]

T = TypeVar("T")


class _Displayname(msgspec.Struct):
    displayname: str | None


class _AvatarUrl(msgspec.Struct):
    avatar_url: str | None


class ProfileEndpoints:
    """What users show of themselves: to anybody, token or not; writes are limited per user."""

    def __init__(
        self, authenticator: Authenticator, accounts: SqlDirectory, limiter: Limiter
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._limiter = limiter

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/profile/{user_id}", self.get),
            ClientRoute("GET", "/profile/{user_id}/displayname", self.get_displayname),
            ClientRoute("PUT", "/profile/{user_id}/displayname", self.put_displayname),
            ClientRoute("GET", "/profile/{user_id}/avatar_url", self.get_avatar_url),
            ClientRoute("PUT", "/profile/{user_id}/avatar_url", self.put_avatar_url),
        ]

    async def get(self, request: Request) -> Response:
        """Return the whole profile."""
        return json_response(await self._fields(request))

    async def get_displayname(self, request: Request) -> Response:
        """Return the display name, if there is one."""
        return json_response(_only("displayname", await self._fields(request)))

    async def get_avatar_url(self, request: Request) -> Response:
        """Return the avatar, if there is one."""
        return json_response(_only("avatar_url", await self._fields(request)))

    async def put_displayname(self, request: Request) -> Response:
        """Change the requester's display name; null takes it away."""
        own, body = await self._own(request, _Displayname)
        name = display_name("displayname", body.displayname)
        await self._accounts.set_displayname(own, name)
        return json_response({})

    async def put_avatar_url(self, request: Request) -> Response:
        """Change the requester's avatar; null takes it away."""
        own, body = await self._own(request, _AvatarUrl)
        await self._accounts.set_avatar_url(own, display_name("avatar_url", body.avatar_url))
        return json_response({})

    async def _own(self, request: Request, shape: type[T]) -> tuple[UserId, T]:
        """Return who changes their own profile, and to what."""
        requester, body = await self._authenticator.requester_and_body(request, shape)
        own = own_user_id(request, requester)
        self._limiter.take(("profile", own))
        return own, body

    async def _fields(self, request: Request) -> dict[str, Any]:
        profile = await self._accounts.profile(user_id(request))
        fields = {"displayname": profile.displayname, "avatar_url": profile.avatar_url}
        return {name: value for name, value in fields.items() if value is not None}


def _only(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields[name]} if name in fields else {}
