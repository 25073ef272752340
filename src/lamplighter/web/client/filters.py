"""The part of a client's filter that concerns presence.

Implements <https://spec.matrix.org/latest/client-server-api/#filtering>, as far as presence goes.
The rooms half of a `/sync` is given the filter as it was sent, for the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, TypeVar

import msgspec

from lamplighter.errors import BadJson, InvalidId, InvalidParam, NotJson
from lamplighter.globs import Globs
from lamplighter.ids import parse_user_id
from lamplighter.ports import Json
from lamplighter.web.body import convert, decode

__all__ = [
    "ALL_PRESENCE",
    "EventFilterShape",
    "PresenceFilter",
    "check_ids",
    "inline_reader",
    "presence_filter",
    "read_inline",
]

T = TypeVar("T")

#: Parsed filters that are cached, and the longest text of one: clients of a kind ask alike.
_MOST_KEPT: Final = 200
_LONGEST_KEPT: Final = 4_096


@dataclass(frozen=True, slots=True)
class PresenceFilter:
    """The presence that a client wants; by default all of it."""

    #: Whether `m.presence` is admitted by `types` and `not_types`.
    wanted: bool = True
    #: None admits all.
    senders: frozenset[str] | None = None
    not_senders: frozenset[str] = frozenset()
    #: How many at once; None is no limit.
    limit: int | None = None

    def admits(self, sender: str) -> bool:
        """Tell whether the client wants presence of *sender*. The caller applies `limit`."""
        return (
            self.wanted
            and sender not in self.not_senders
            and (self.senders is None or sender in self.senders)
        )


#: The filter of a client that sends none.
ALL_PRESENCE: Final = PresenceFilter()


class EventFilterShape(msgspec.Struct):
    """An `EventFilter` of the specification."""

    types: list[str] | None = None
    not_types: list[str] | None = None
    senders: list[str] | None = None
    not_senders: list[str] | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def check_senders(self, name: str) -> None:
        """Raise `InvalidParam` for a sender that is no user ID; *name* is this filter's own."""
        check_ids(f"{name}.senders", self.senders, parse_user_id)
        check_ids(f"{name}.not_senders", self.not_senders, parse_user_id)


class _Filter(msgspec.Struct):
    presence: EventFilterShape = msgspec.field(default_factory=EventFilterShape)


def presence_filter(definition: Json) -> PresenceFilter:
    """Return what *definition* says of presence.

    Raises `BadJson` or `InvalidParam`, which name the field. Unknown fields are ignored.
    """
    shape = convert(definition, _Filter).presence
    shape.check_senders("presence")
    found = PresenceFilter(
        wanted=(shape.types is None or Globs(shape.types).match("m.presence"))
        and not Globs(shape.not_types or ()).match("m.presence"),
        senders=None if shape.senders is None else frozenset(shape.senders),
        not_senders=frozenset(shape.not_senders or ()),
        limit=shape.limit,
    )
    return ALL_PRESENCE if found == ALL_PRESENCE else found  # which needs no look


def inline_reader(parse: Callable[[Json], T]) -> Callable[[str], T]:
    """Return a function that reads the filter whose JSON stands in a query, with *parse*.

    The function raises `NotJson`, `BadJson`, and what *parse* raises. It caches what it returns.
    """

    def read(text: str) -> T:
        try:
            definition: Json = decode(text.encode(), Json)
        except NotJson:
            raise NotJson("filter: not JSON") from None
        except BadJson:
            raise BadJson("filter: nested too deeply") from None
        return parse(definition)

    cached = lru_cache(_MOST_KEPT)(read)
    return lambda text: cached(text) if len(text) <= _LONGEST_KEPT else read(text)


#: Returns what a filter in a query says of presence; raises as `presence_filter` does, and
#: `NotJson`.
read_inline: Final = inline_reader(presence_filter)


def check_ids(name: str, ids: list[str] | None, parse: Callable[[str], str]) -> None:
    """Raise `InvalidParam` for the first of *ids* that *parse* refuses."""
    try:
        for text in ids or ():
            parse(text)
    except InvalidId as error:
        raise InvalidParam(f"{name}: {error}") from None
