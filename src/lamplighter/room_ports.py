"""What only a homeserver of our own answers: history of rooms, searches, and new passwords.

`ports.Directory` is what presence needs of any homeserver. With another homeserver behind this
server, a client asks that one for what stands here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from lamplighter.ids import DeviceId, RoomAlias, RoomId, UserId
from lamplighter.ports import Directory, Json, Requester

__all__ = [
    "BuiltInDirectory",
    "FoundPeople",
    "MessagesQuery",
    "PublicRooms",
    "PublicRoomsQuery",
    "Receipt",
]


@dataclass(frozen=True, slots=True)
class MessagesQuery:
    """What `GET /rooms/{roomId}/messages` asks for. Tokens are rooms parts of since tokens."""

    #: None is the end of the room, backwards, and its beginning, forwards.
    start: str | None
    until: str | None
    backwards: bool
    limit: int
    #: A `RoomEventFilter`.
    filter: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a user has read a room up to an event."""

    event_id: str
    #: Whether only the user's own devices see it.
    is_private: bool = False
    #: `main`, or the ID of the event that a thread begins with; None is a receipt without thread.
    thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class PublicRoomsQuery:
    """Which rooms of the room directory somebody wants to see."""

    limit: int
    #: How many rooms come before the first one wanted.
    skip: int = 0
    #: A part of the name, the topic or the alias; empty admits all.
    search_term: str = ""


@dataclass(frozen=True, slots=True)
class PublicRooms:
    """A piece of the room directory, the largest rooms first."""

    rooms: Sequence[Json]
    #: How many rooms are found all in all.
    total: int


@dataclass(frozen=True, slots=True)
class FoundPeople:
    """Whom a search has found."""

    people: Sequence[Json]
    #: Whether there are more.
    limited: bool


class BuiltInDirectory(Directory, Protocol):
    """A `Directory` that is the homeserver itself."""

    async def set_password(
        self, user_id: UserId, password: str, *, log_out: bool, but: DeviceId | None = None
    ) -> None:
        """Replace a user's password, and with *log_out* delete all their devices *but* one.

        Raises `NotFound`, `UserDeactivated`, `TooLarge`, and `InvalidParam` for an empty one.
        """

    async def messages(self, requester: Requester, room_id: RoomId, query: MessagesQuery) -> Json:
        """Return a piece of a room's history, as `GET /rooms/{roomId}/messages` has it.

        Raises `InvalidParam` for a token that this directory has not given out.
        """

    async def event(self, requester: Requester, room_id: RoomId, event_id: str) -> Json:
        """Return one event; raise `NotFound` if the requester may not see such an event."""

    async def context(
        self, requester: Requester, room_id: RoomId, event_id: str, limit: int, filter: Json
    ) -> Json:
        """Return an event and its neighbours, as `GET /rooms/{roomId}/context/{eventId}` does."""

    async def set_receipt(self, user_id: UserId, room_id: RoomId, receipt: Receipt) -> None:
        """Keep that a member has read so far; one for an earlier event changes nothing.

        Raises `NotFound` for an event that is not in the room.
        """

    async def set_typing(self, user_id: UserId, room_id: RoomId, timeout: timedelta | None) -> None:
        """Let the members know that the user types, for at most *timeout*, or does no longer."""

    async def public_rooms(self, query: PublicRoomsQuery) -> PublicRooms:
        """Return rooms of the room directory."""

    async def is_published(self, room_id: RoomId) -> bool:
        """Tell whether the room stands in the room directory; raise `NotFound`."""

    async def publish(self, user_id: UserId, room_id: RoomId, *, published: bool) -> None:
        """Put a room into the room directory or take it out.

        Raises `Forbidden` unless the user may change the room's canonical alias.
        """

    async def room_aliases(self, user_id: UserId, room_id: RoomId) -> Sequence[RoomAlias]:
        """Return the aliases of a room, which the user is in."""

    async def search_people(self, user_id: UserId, term: str, limit: int) -> FoundPeople:
        """Return users whose name or ID has *term* in it.

        They are those who share a room with the user, or are in a room of the room directory.
        """
