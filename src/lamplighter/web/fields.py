"""Checks of single fields and path parameters."""

from typing import Final

from starlette.requests import Request

from lamplighter.errors import Forbidden, InvalidParam, MissingParam, TooLarge
from lamplighter.ids import DeviceId, RoomId, UserId, parse_room_id, parse_user_id
from lamplighter.ports import Requester
from lamplighter.presence.state import Presence

__all__ = [
    "LARGEST",
    "MAX_KEY",
    "MAX_NAME",
    "PresenceNames",
    "device_id",
    "display_name",
    "natural",
    "number",
    "own",
    "own_user_id",
    "query",
    "room_id",
    "text",
    "user_id",
]

#: How long event types, state keys, transaction IDs and device IDs may be, in bytes.
MAX_KEY: Final = 255
#: How long names of people and devices may be, and the addresses of avatars, in bytes.
MAX_NAME: Final = 1024
#: What `natural` returns for every number that is larger; milliseconds, far beyond any timeout.
LARGEST: Final = 10**15


def text(name: str, value: str, limit: int = MAX_KEY) -> str:
    """Return *value*; raise `TooLarge` beyond *limit* bytes, `InvalidParam` if it holds a NUL."""
    if len(value.encode()) > limit:
        raise TooLarge(f"{name}: longer than {limit} bytes")
    if "\0" in value:
        raise InvalidParam(f"{name}: must not contain a NUL")
    return value


def device_id(value: str | None, name: str = "device_id") -> DeviceId | None:
    """Return *value* as a device ID that a client may choose; None stays None."""
    if value == "":
        raise InvalidParam(f"{name}: must not be empty")
    return None if value is None else DeviceId(text(name, value))


def display_name(name: str, value: str | None) -> str | None:
    """Return *value* as a text that is shown to people; None stays None."""
    return None if value is None else text(name, value, MAX_NAME)


def natural(name: str, value: str) -> int:
    """Return the whole number, from 0 to `LARGEST`, that *value* writes in decimal digits.

    Every integer in a query is read here. Leading zeros are allowed. Raises `InvalidParam` for
    anything else: a sign, an underscore, a digit of another script.
    """
    if not (value.isascii() and value.isdecimal()):
        raise InvalidParam(f"{name}: {value[:60]!r} is not a whole number")
    digits = value.lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(LARGEST)) - 1 else LARGEST


def number(request: Request, name: str, default: int) -> int:
    """Return the query's whole number *name*, or *default*; raise what `natural` raises."""
    value = request.query_params.get(name)
    return natural(name, value) if value else default


def room_id(request: Request) -> RoomId:
    """Return the path's room ID."""
    return parse_room_id(request.path_params["room_id"])


def user_id(request: Request) -> UserId:
    """Return the path's user ID."""
    return parse_user_id(request.path_params["user_id"])


def own_user_id(request: Request, requester: Requester) -> UserId:
    """Return the path's user ID; raise `Forbidden` unless it is the requester's."""
    return own(request.path_params["user_id"], requester)


def own(text: str, requester: Requester) -> UserId:
    """Return *text* as a user ID; raise `Forbidden` unless it is the requester's."""
    if text != requester.user_id and parse_user_id(text):
        raise Forbidden(f"You may do this for {requester.user_id} only")
    return requester.user_id


def query(request: Request, name: str) -> str:
    """Return the query's parameter *name*; raise `MissingParam`."""
    value = request.query_params.get(name)
    if value is None:
        raise MissingParam(f"{name}: missing")
    return value


class PresenceNames:
    """Reads a presence by its name; `busy` only where the operator allows it."""

    def __init__(self, *, busy: bool) -> None:
        self._known = {
            str(presence): presence for presence in Presence if busy or presence != Presence.BUSY
        }

    def parse(self, field: str, name: str) -> Presence:
        """Return the presence that *name* names; raise `InvalidParam`, which names *field*."""
        presence = self._known.get(name)
        if presence is None:
            raise InvalidParam(f"{field}: {name[:60]!r} is none of {', '.join(self._known)}")
        return presence
