"""What Lamplighter asks the homeserver as an application service.

Implements the parts that it needs of <https://spec.matrix.org/latest/application-service-api/>. As
an application service it may read the members of every room with a local user, and act as every
local user. So its token goes with its own questions only, never with a client's request.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from lamplighter.errors import Forbidden, HomeserverUnreachable, NotFound
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import UpstreamAnswer
from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId, is_user_id, server_of
from lamplighter.ports import Json, Profile

__all__ = ["AppService"]

T = TypeVar("T")

_CLIENT: Final = "/_matrix/client/v3"
_TIME_LIMIT: Final = timedelta(seconds=30)
#: The members of a room of 100,000, with their profiles.
_MOST: Final = 64 * 1024 * 1024


class _JoinedRooms(msgspec.Struct):
    joined_rooms: list[RoomId] = []


class _JoinedMembers(msgspec.Struct):
    joined: dict[UserId, msgspec.Raw] = {}


class _Profile(msgspec.Struct):
    displayname: str | None = None
    avatar_url: str | None = None


class _Resolved(msgspec.Struct):
    room_id: RoomId


class AppService:
    """Asks the homeserver, with the token of the registration.

    Each method raises `HomeserverUnreachable` or `HomeserverTooSlow`, `Forbidden` and `NotFound`.
    """

    def __init__(
        self,
        client: UpstreamClient,
        as_token: str,
        server_name: ServerName,
        refused: Callable[[], None],
    ) -> None:
        """*refused* is called each time the homeserver does not know the token."""
        self._client = client
        self._refused = refused
        self._headers = [
            (b"authorization", b"Bearer " + as_token.encode()),
            (b"accept-encoding", b"identity"),
        ]
        self._server_name = server_name

    async def joined_rooms(self, user_id: UserId) -> frozenset[RoomId]:
        """Return the rooms to which a local user is joined."""
        found = await self._get(f"{_CLIENT}/joined_rooms", _JoinedRooms, user_id=user_id)
        return frozenset(found.joined_rooms)

    def is_local(self, user_id: UserId) -> bool:
        """Tell whether the service may act as a user, if there is such a user."""
        return server_of(user_id) == self._server_name

    async def joined_members(self, room_id: RoomId) -> frozenset[UserId]:
        """Return who is joined to a room; nobody if no local user is."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/joined_members"
        try:
            found = await self._get(path, _JoinedMembers)
        except (Forbidden, NotFound):
            return frozenset()
        return frozenset(filter(is_user_id, found.joined))

    async def profile(self, user_id: UserId) -> Profile:
        """Return a user's profile."""
        path = f"{_CLIENT}/profile/{quote(user_id, safe='')}"
        found = await self._get(path, _Profile)
        return Profile(found.displayname, found.avatar_url)

    async def exists(self, user_id: UserId) -> bool:
        """Tell whether a local user exists: only then the service may act as the user."""
        if not self.is_local(user_id):
            return False
        try:
            await self._get(f"{_CLIENT}/account/whoami", Json, user_id=user_id)
        except (Forbidden, NotFound):
            return False
        return True

    async def state(self, room_id: RoomId, member: UserId) -> list[Json]:
        """Return the state of a room, as a local *member* sees it: the service is in no room."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/state"
        return await self._get(path, list[Json], user_id=member)

    async def state_content(self, room_id: RoomId, member: UserId, event_type: str) -> Json:
        """Return the content of a state event with an empty state key, as a local *member*."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/state/{quote(event_type, safe='')}"
        return await self._get(path, Json, user_id=member)

    async def resolve(self, alias: RoomAlias) -> RoomId:
        """Return the room that an alias names."""
        path = f"{_CLIENT}/directory/room/{quote(alias, safe='')}"
        return (await self._get(path, _Resolved)).room_id

    async def account_data(self, user_id: UserId, room_id: RoomId | None, kind: str) -> Json | None:
        """Return a local user's account data of a kind; None if there is none."""
        try:
            return await self._get(_account_data(user_id, room_id, kind), Json, user_id=user_id)
        except NotFound:
            return None

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, kind: str, content: Json
    ) -> None:
        """Set a local user's account data of a kind."""
        path = _account_data(user_id, room_id, kind)
        await self._ask("PUT", path, Json, content, {"user_id": user_id})

    async def _get(self, path: str, kind: type[T], **query: str) -> T:
        return await self._ask("GET", path, kind, None, query)

    async def _ask(
        self, method: str, path: str, kind: type[T], content: Any, query: Mapping[str, str]
    ) -> T:
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        target = f"{path}?{pairs}" if pairs else path
        body, headers = b"", self._headers
        if content is not None:
            body = msgspec.json.encode(content)
            headers = [*headers, (b"content-type", b"application/json")]
        answer = await self._client.fetch(
            method, target.encode(), headers, body, time_limit=_TIME_LIMIT, most=_MOST
        )
        if answer.status == 401:
            self._refused()
        if answer.status != 200:
            raise _refusal(answer)
        return answer.content(kind)


def _account_data(user_id: UserId, room_id: RoomId | None, kind: str) -> str:
    room = "" if room_id is None else f"/rooms/{quote(room_id, safe='')}"
    return f"{_CLIENT}/user/{quote(user_id, safe='')}{room}/account_data/{quote(kind, safe='')}"


def _refusal(answer: UpstreamAnswer) -> Exception:
    """Return the error that stands for an answer other than 200."""
    if answer.status == 401:  # it is no answer to the question: the token is not known yet
        return HomeserverUnreachable("The homeserver does not know the registration")
    if answer.status == 403:
        return Forbidden("The homeserver refuses this question of Lamplighter's")
    if answer.status == 404:
        return NotFound("The homeserver does not have it")
    return HomeserverUnreachable(f"The homeserver answered {answer.status}")
