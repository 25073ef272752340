"""The viewer of a rooms half: the device, its filter, and its answer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from lamplighter.homeserver.sql.account_data import AccountDataByRoom
from lamplighter.homeserver.sql.filtering import EventFilter, RoomFilter
from lamplighter.pieces import Pieces
from lamplighter.ports import Json, Requester, RoomsAnswer

__all__ = ["Viewer"]

#: A longer timeline than this is not cached, but read for each client.
_LONGEST_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Viewer:
    """A device that syncs, its token, and its filter."""

    requester: Requester
    #: The position in the stream that the client knows; None if it knows nothing.
    since: int | None
    #: The serial number up to which the client knows of typing; -1 if that may be wrong.
    typing_since: int
    full_state: bool
    filter: RoomFilter
    timeline: EventFilter
    state: EventFilter
    account_data: EventFilter
    room_account_data: EventFilter
    ephemeral: EventFilter

    @classmethod
    def of(
        cls,
        requester: Requester,
        filter: RoomFilter,
        since: int | None,
        typing_since: int,
        *,
        full_state: bool,
    ) -> "Viewer":
        """Return the viewer with a filter; raise `InvalidParam` for one that is too large."""
        return cls(
            requester,
            since,
            typing_since,
            full_state,
            filter,
            EventFilter.of(filter.timeline),
            EventFilter.of(filter.state),
            EventFilter.of(filter.account_data),
            EventFilter.of(filter.room_account_data),
            EventFilter.of(filter.ephemeral),
        )

    @property
    def begins(self) -> bool:
        """Whether the client knows nothing, and does not ask for rooms that the user has left."""
        return self.since is None and not self.filter.include_leave

    def wants_room(self, room_id: str) -> bool:
        """Tell whether the client wants the room at all."""
        rooms = self.filter.rooms
        return room_id not in self.filter.not_rooms and (rooms is None or room_id in rooms)

    def wanted_data(self, room_id: str, data: Iterable[Json]) -> list[Json]:
        """Return the part of a room's account data that the client wants."""
        wanted = self.room_account_data
        if not wanted.admits_room(room_id):
            return []
        return [event for event in data if wanted.admits_type(event["type"])]

    def wants_ephemeral(self, room_id: str, event_type: str) -> bool:
        """Tell whether the client wants ephemeral events of this type."""
        return self.ephemeral.admits_room(room_id) and self.ephemeral.admits_type(event_type)

    def page_limit(self, room_id: str) -> int | None:
        """Return the length of the timeline, if a page of the room has all that the client wants.

        None if the client wants other events than the last ones and all state before them.
        """
        limit = self.filter.timeline_limit
        wants_all = self.timeline.admits_all and self.state.admits_all
        admits = self.timeline.admits_room(room_id) and self.state.admits_room(room_id)
        return limit if wants_all and admits and limit <= _LONGEST_PAGE else None

    def answer(self, token: str, rooms: Pieces | None, data: AccountDataByRoom) -> RoomsAnswer:
        """Return the answer: *rooms*, by the user's membership, and account data."""
        admits = self.account_data.admits_type
        events = [event for event in data.get("", ()) if admits(event["type"])]
        if rooms is None and not events:
            return RoomsAnswer(token)
        return RoomsAnswer(token, Pieces(partial(_in_pieces, rooms, events)))


def _in_pieces(rooms: Pieces | None, account_data: Sequence[Json]) -> Iterator[bytes]:
    if rooms is not None:
        yield b'{"rooms":'
        yield from rooms
    if account_data:
        yield b'{"account_data":{"events":[' if rooms is None else b',"account_data":{"events":['
        for number, event in enumerate(account_data):
            yield (b"," if number else b"") + msgspec.json.encode(event)
        yield b"]}"
    yield b"}"
