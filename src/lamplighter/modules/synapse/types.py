"""The values that modules and the server exchange (`synapse.types`).

A class that is an attrs class in Synapse is one here, because modules use functions of attrs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

import attrs

from lamplighter.ids import is_user_id
from lamplighter.modules.synapse.errors import Codes, SynapseError

__all__ = [
    "DomainSpecificString",
    "EventBase",
    "JsonDict",
    "JsonMapping",
    "ProfileInfo",
    "Requester",
    "RoomAlias",
    "RoomID",
    "StateMap",
    "UserID",
    "UserInfo",
    "create_requester",
    "get_domain_from_id",
    "get_localpart_from_id",
]

V = TypeVar("V")
JsonDict: TypeAlias = dict[str, Any]
JsonMapping: TypeAlias = Mapping[str, Any]
#: Room state by (event type, state key).
StateMap: TypeAlias = Mapping[tuple[str, str], V]


@attrs.frozen(order=True)
class DomainSpecificString:
    """An identifier in its two parts; `str(it)` and `to_string()` return the whole."""

    SIGIL: ClassVar[str]

    localpart: str
    domain: str

    @classmethod
    def from_string(cls, s: str) -> Self:
        """Parse an identifier; raise `SynapseError` (400) if *s* is not valid."""
        if not cls.is_valid(s):
            message = f"{s!r} is not of the form {cls.SIGIL}localpart:server.name"
            raise SynapseError(400, message, Codes.INVALID_PARAM)
        localpart, _, domain = s[1:].partition(":")
        return cls(localpart, domain)

    @classmethod
    def is_valid(cls, s: object) -> bool:
        """Tell whether *s* is a valid identifier."""
        return isinstance(s, str) and s.startswith(cls.SIGIL) and bool(s.partition(":")[2])

    def to_string(self) -> str:
        """Return the identifier."""
        return f"{self.SIGIL}{self.localpart}:{self.domain}"

    def __str__(self) -> str:
        return self.to_string()


class UserID(DomainSpecificString):
    """A user ID."""

    SIGIL = "@"

    @classmethod
    def is_valid(cls, s: object) -> bool:
        return is_user_id(s)


class RoomAlias(DomainSpecificString):
    """A room alias."""

    SIGIL = "#"


class RoomID(DomainSpecificString):
    """A room ID; in newer room versions it has no domain."""

    SIGIL = "!"

    @classmethod
    def is_valid(cls, s: object) -> bool:
        return isinstance(s, str) and len(s) > 1 and s.startswith(cls.SIGIL)

    def to_string(self) -> str:
        return f"!{self.localpart}:{self.domain}" if self.domain else f"!{self.localpart}"


@attrs.frozen(order=True)
class Requester:
    """The sender of a request, as returned by `get_user_by_req`."""

    user: UserID
    device_id: str | None = None
    is_guest: bool = False
    access_token_id: int | None = None
    shadow_banned: bool = False
    scope: frozenset[str] = frozenset()
    app_service: None = None
    authenticated_entity: str = ""


@attrs.frozen(order=True)
class UserInfo:
    """An account of this server."""

    user_id: UserID
    is_admin: bool
    is_deactivated: bool
    #: In seconds since the epoch, as in Synapse.
    creation_ts: int
    is_guest: bool = False
    is_shadow_banned: bool = False
    appservice_id: int | None = None
    user_type: str | None = None
    approved: bool = True
    locked: bool = False
    suspended: bool = False


@attrs.frozen(order=True)
class ProfileInfo:
    """A user's profile; None stands for a field that is not set."""

    avatar_url: str | None
    display_name: str | None

    @property
    def displayname(self) -> str | None:
        """The display name, by the specification's name."""
        return self.display_name


@dataclass(frozen=True, slots=True)
class EventBase:
    """An event of a room; its fields are attributes and items: `event.type`, `event["type"]`."""

    event: JsonDict

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def state_key(self) -> str:
        """The state key; raises `AttributeError` for an event that is not room state."""
        if not self.is_state():
            raise AttributeError("state_key")
        return str(self.event["state_key"])

    @property
    def sender(self) -> str:
        return str(self.event["sender"])

    @property
    def room_id(self) -> str:
        return str(self.event["room_id"])

    @property
    def event_id(self) -> str:
        return str(self.event["event_id"])

    @property
    def origin_server_ts(self) -> int:
        """When the event was sent, in milliseconds since the epoch."""
        return int(self.event["origin_server_ts"])

    @property
    def content(self) -> JsonDict:
        return dict(self.event["content"])

    @property
    def membership(self) -> str:
        """The membership of an `m.room.member` event."""
        return str(self.event["content"]["membership"])

    def is_state(self) -> bool:
        """Tell whether the event is a state event."""
        return "state_key" in self.event

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field, or *default*."""
        return self.event.get(key, default)

    def get_dict(self) -> JsonDict:
        """Return the whole event."""
        return dict(self.event)

    def __getitem__(self, key: str) -> Any:
        return self.event[key]

    def __contains__(self, key: object) -> bool:
        return key in self.event

    def __iter__(self) -> Iterator[str]:
        return iter(self.event)


def create_requester(
    user_id: "str | UserID", device_id: str | None = None, *, is_guest: bool = False
) -> Requester:
    """Return a requester for *user_id*."""
    user = user_id if isinstance(user_id, UserID) else UserID.from_string(user_id)
    return Requester(user, device_id, is_guest, authenticated_entity=user.to_string())


def get_domain_from_id(string: str) -> str:
    """Return the server name in an identifier; raise `SynapseError` (400) if there is none."""
    domain = string.partition(":")[2]
    if not domain:
        raise SynapseError(400, f"{string!r} names no server", Codes.INVALID_PARAM)
    return domain


def get_localpart_from_id(string: str) -> str:
    """Return the part before the server name; raise `SynapseError` (400) if there is none."""
    get_domain_from_id(string)
    return string[1:].partition(":")[0]
