"""Values that the endpoints of the built-in homeserver and its directory exchange."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from lamplighter.ids import DeviceId, RoomAlias, UserId
from lamplighter.ports import Json

__all__ = [
    "MAX_PASSWORD",
    "InitialState",
    "Login",
    "MemberState",
    "MessagesQuery",
    "NewRoom",
    "Receipt",
]

#: How long a password may be, in bytes.
MAX_PASSWORD: Final = 512


class MemberState(StrEnum):
    """The value of a membership."""

    JOIN = "join"
    INVITE = "invite"
    LEAVE = "leave"
    BAN = "ban"


@dataclass(frozen=True, slots=True)
class Login:
    """A device that has just logged in, with the only copy of its access token."""

    user_id: UserId
    device_id: DeviceId
    access_token: str


class InitialState(msgspec.Struct, frozen=True):
    """A state event with which a room is created."""

    type: str
    content: Json
    state_key: str = ""


@dataclass(frozen=True, slots=True)
class NewRoom:
    """The checked body of a `POST /createRoom`."""

    preset: str
    visibility: str = "private"
    name: str | None = None
    topic: str | None = None
    alias: RoomAlias | None = None
    invite: Sequence[UserId] = ()
    initial_state: Sequence[InitialState] = ()
    creation_content: Json = field(default_factory=dict)
    power_level_content_override: Json = field(default_factory=dict)
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class MessagesQuery:
    """The query of `GET /rooms/{roomId}/messages`. Its tokens are rooms parts of since tokens."""

    #: None is the end of the room if read backwards, and its beginning if read forwards.
    start: str | None
    until: str | None
    backwards: bool
    limit: int
    #: A `RoomEventFilter`.
    filter: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A user has read a room up to an event."""

    event_id: str
    #: Whether only the user's own devices see it.
    is_private: bool = False
    #: `main`, or the ID of the event that a thread begins with; None is a receipt without thread.
    thread_id: str | None = None
