"""Events as lines of JSON, which people can read with `zcat`.

A line has numbers instead of user and room IDs, because a record with IDs takes about three times
as much space, compressed or not. An earlier line of the same file gives the ID for each number. The
types of the events say where the IDs are.
"""

import dataclasses
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from lamplighter.errors import RecordUnreadable
from lamplighter.ids import RoomId, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording.events import VERSION, RecordedEvent

__all__ = ["Decoder", "Encoder"]

#: Returns the number of an ID, or the ID of a number.
_Swap: TypeAlias = Callable[[Any], Any]
#: Swaps all users and rooms in a value of some type, as `msgspec.to_builtins` returns it.
_Swapper: TypeAlias = Callable[[Any, _Swap], Any]

#: Begins a line with an ID: the next number stands for it.
_NEW: Final = "name"


class Encoder:
    """Writes the events of one file."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._encoder = msgspec.json.Encoder()

    def encode(self, event: RecordedEvent) -> bytes:
        """Return the line for *event*, after the lines for IDs that the file does not have yet."""
        numbers, known = self._numbers, len(self._numbers)
        line = _EVENT(msgspec.to_builtins(event), lambda it: numbers.setdefault(it, len(numbers)))
        new = [(_NEW, name) for name in list(numbers)[known:]] if len(numbers) > known else []
        return self._encoder.encode_lines([*new, line])


class Decoder:
    """Reads the events of one file."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def decode(self, line: bytes) -> RecordedEvent | None:
        """Return the event of *line*; None for a line with an ID.

        Raises `RecordUnreadable` for a line that no `Encoder` of this version has written.
        """
        try:
            match msgspec.json.decode(line):
                case [str(kind), name] if kind == _NEW:
                    self._names.append(msgspec.convert(name, str))
                    return None
                case ["began", int(), int(version), *_] if version != VERSION:
                    raise RecordUnreadable(
                        f"this record has the form {version} of an older or newer server; "
                        f"this server reads the form {VERSION}"
                    )
                case found:
                    event: RecordedEvent = msgspec.convert(_EVENT(found, self._name), RecordedEvent)
                    return event
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError) as error:
            raise RecordUnreadable(f"no line of a record: {error}") from None

    def _name(self, number: int) -> str:
        if number < 0:
            raise LookupError(f"no user or room has the number {number}")
        return self._names[number]


def _swapper(kind: Any) -> _Swapper | None:
    """Return the function that swaps the IDs in a value of type *kind*; None if it has none."""
    if kind in (UserId, RoomId):
        return lambda value, swap: swap(value)
    if kind is UserPresenceState:
        return _of_members({"user_id": _swapper(UserId)})
    if dataclasses.is_dataclass(kind):
        return _of_members({it: _swapper(hint) for it, hint in get_type_hints(kind).items()})
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        tag = [None] if kind.__struct_config__.tag else []
        return _of_places([*tag, *(_swapper(it.type) for it in msgspec.structs.fields(kind))])
    if get_origin(kind) in (list, tuple):
        each = _swapper(get_args(kind)[0])
        return each and (lambda value, swap: [each(it, swap) for it in value])
    if get_origin(kind) in (Union, UnionType):
        return _of_union([it for it in get_args(kind) if it is not NoneType])
    return None


def _of_members(members: dict[str, _Swapper | None]) -> _Swapper | None:
    found = {name: swapper for name, swapper in members.items() if swapper}
    if not found:
        return None
    return lambda value, swap: {
        **value,
        **{name: swapper(value[name], swap) for name, swapper in found.items()},
    }


def _of_places(places: list[_Swapper | None]) -> _Swapper | None:
    found = [(place, swapper) for place, swapper in enumerate(places) if swapper]

    def swap_each(value: list[Any], swap: _Swap) -> list[Any]:
        value = list(value)
        for place, swapper in found:
            value[place] = swapper(value[place], swap)
        return value

    return swap_each if found else None


def _of_union(kinds: list[Any]) -> _Swapper | None:
    """Return the function for one of *kinds*, chosen by the tag of the value, or for None."""
    if len(kinds) == 1:
        only = _swapper(kinds[0])
        return only and (lambda value, swap: None if value is None else only(value, swap))
    if not all(isinstance(it, type) and issubclass(it, msgspec.Struct) for it in kinds):
        return None
    by_tag = {it.__struct_config__.tag: _swapper(it) for it in kinds}

    def swap_by_tag(value: list[Any], swap: _Swap) -> list[Any]:
        swapper = by_tag[value[0]]
        return swapper(value, swap) if swapper else value

    return swap_by_tag


def _as_it_is(value: Any, _swap: _Swap) -> Any:
    return value


_EVENT: Final = _swapper(RecordedEvent) or _as_it_is
