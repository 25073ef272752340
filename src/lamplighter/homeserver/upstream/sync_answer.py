"""What the homeserver answers to a `/sync`: cut open at the top level, and no deeper.

Its members reach the client as they are, but for two: `next_batch` becomes a part of our token, and
presence that the homeserver still has (it writes everybody offline when presence is switched off
there) never reaches a client. In sliding sync the two are `pos` and `extensions.presence`.

The members of a large answer are not copied: they are cut out of it while they are sent. A small
answer is often the same as that to another device, to the byte, and is then not read again.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Final

import msgspec

from lamplighter.ids import RoomId
from lamplighter.pieces import PORTION, Pieces
from lamplighter.ports import RoomsAnswer

__all__ = [
    "RoomsHalfAnswer",
    "RoomsOfAnswer",
    "SlidingRoomsAnswer",
    "read_sliding_answer",
    "read_sync_answer",
]

#: The counts of keys that the homeserver has of the device. They stand in every answer.
_COUNTS: Final = (
    "device_one_time_keys_count",
    "device_unused_fallback_key_types",
    "org.matrix.msc2732.device_unused_fallback_key_types",
)
#: Small answers that are remembered, and how long they may be, in bytes.
_SMALL_KEPT: Final = 256
_LONGEST_KEPT: Final = 1_024
#: From this size on, in bytes, the members are not copied.
_LARGE: Final = 2 * PORTION
#: How much of a member is cut out at a time, in bytes: each cut is a turn of the event loop.
_CUT: Final = 4 * PORTION
#: A member with less in it than this may be empty, in bytes: `{"join":{},"invite":{}}` for example.
_MOST_OF_NOTHING: Final = 200


class _Event(msgspec.Struct, frozen=True):
    type: str = ""


class _Timeline(msgspec.Struct, frozen=True):
    events: list[_Event] = []
    #: Whether there is a gap before it: what has changed in the gap stands in the room's state.
    limited: bool = False


class _JoinedRoom(msgspec.Struct, frozen=True):
    timeline: _Timeline = _Timeline()


class _Room(msgspec.Struct, frozen=True):
    join: dict[RoomId, msgspec.Raw] = {}
    leave: dict[RoomId, msgspec.Raw] = {}


class RoomsOfAnswer(msgspec.Struct, frozen=True):
    """What an answer says of memberships: hints, for the truth is asked."""

    #: Rooms to which the user is joined.
    joined: frozenset[RoomId] = frozenset()
    #: Rooms that the user has left.
    left: frozenset[RoomId] = frozenset()
    #: Rooms in which the membership of somebody has changed.
    changed: frozenset[RoomId] = frozenset()


class RoomsHalfAnswer(msgspec.Struct, frozen=True):
    """An answer, apart from its presence."""

    answer: RoomsAnswer
    #: Whether nothing is in it but counts of keys.
    is_empty: bool = False
    #: The counts of keys, as they stand in it.
    counts: bytes = b""
    rooms: RoomsOfAnswer = RoomsOfAnswer()


class SlidingRoomsAnswer(RoomsAnswer, frozen=True):
    """An answer to sliding sync, apart from `pos` and presence. It has no `body`."""

    members: Mapping[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    #: The members of `extensions`, which is not one of `members`.
    extensions: Mapping[str, msgspec.Raw] = msgspec.field(default_factory=dict)


_MEMBERSHIP: Final = b'"m.room.member"'
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROOMS: Final = msgspec.json.Decoder(_Room)


def read_sync_answer(body: bytes, *, is_first: bool = False) -> RoomsHalfAnswer:
    """Return what is in *body*; raise `ValueError` if it is no answer to a `/sync`.

    The answer to a first sync tells all members of all rooms, who are known: nothing has changed.
    """
    read = _read_small if len(body) <= _LONGEST_KEPT else _read
    return read(body, is_first=is_first)


def _read(body: bytes, *, is_first: bool) -> RoomsHalfAnswer:
    try:
        members = _MEMBERS.decode(body)
        next_batch = msgspec.json.decode(members.pop("next_batch", msgspec.Raw(b"")), type=str)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(f"no answer to /sync: {error}") from None
    members.pop("presence", None)
    counts = b",".join(b"%b" % bytes(members[it]) for it in _COUNTS if it in members)
    is_empty = all(it in _COUNTS or _is_empty(value) for it, value in members.items())
    rooms = RoomsOfAnswer() if is_empty else _rooms_in(members.get("rooms"), is_first=is_first)
    written = partial(_written, members)
    made = Pieces(written) if members and len(body) > _LARGE else b"".join(written())
    return RoomsHalfAnswer(RoomsAnswer(next_batch, made), is_empty, counts, rooms)


_read_small: Final = lru_cache(_SMALL_KEPT)(_read)


def _written(members: Mapping[str, msgspec.Raw]) -> Iterator[bytes]:
    """Yield a JSON object of *members*."""
    opening = b"{"
    for name, value in members.items():
        yield b"%b%b:" % (opening, msgspec.json.encode(name))
        opening = b","
        view = memoryview(value)
        for start in range(0, len(view), _CUT):
            yield bytes(view[start : start + _CUT])
    yield b"}" if members else b"{}"


def read_sliding_answer(body: bytes) -> RoomsHalfAnswer:
    """Return what is in *body*; raise `ValueError` if it is no answer to sliding sync."""
    try:
        members = _MEMBERS.decode(body)
        pos = msgspec.json.decode(members.pop("pos", msgspec.Raw(b"")), type=str)
        extensions = _MEMBERS.decode(members.pop("extensions", msgspec.Raw(b"{}")))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(f"no answer to sliding sync: {error}") from None
    extensions.pop("presence", None)
    return RoomsHalfAnswer(SlidingRoomsAnswer(pos, members=members, extensions=extensions))


def _is_empty(value: msgspec.Raw) -> bool:
    """Tell whether there is nothing in a member but empty objects and lists."""
    text = bytes(value) if len(memoryview(value)) < _MOST_OF_NOTHING else b"1"
    try:
        content = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError):  # for example, a number that no float holds
        return False
    members = content.values() if isinstance(content, dict) else [content]
    return all(it in ({}, []) for it in members)


def _rooms_in(value: msgspec.Raw | None, *, is_first: bool) -> RoomsOfAnswer:
    try:
        rooms = _ROOMS.decode(value) if value is not None else _Room()
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return RoomsOfAnswer()  # the client may understand what we do not
    changed = [it for it, room in rooms.join.items() if not is_first and _has_changed(bytes(room))]
    return RoomsOfAnswer(frozenset(rooms.join), frozenset(rooms.leave), frozenset(changed))


def _has_changed(room: bytes) -> bool:
    """Tell whether somebody has joined or left; members that are told with a message have not."""
    if _MEMBERSHIP not in room:
        return False
    try:
        timeline = msgspec.json.decode(room, type=_JoinedRoom).timeline
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return True
    return timeline.limited or any(it.type == "m.room.member" for it in timeline.events)
