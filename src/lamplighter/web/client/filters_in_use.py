"""The cache of uploaded filters, as far as they concern presence.

A client uploads its filter once and names the filter's ID with every poll. A filter never changes,
and its ID never comes to mean another. So a poll whose filter was named before looks nothing up
and parses nothing.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import msgspec

from lamplighter.errors import InvalidParam, NotFound
from lamplighter.ids import UserId
from lamplighter.ports import (
    Requester,
    RequestHead,
    RoomsHalf,
    SyncRequest,
)
from lamplighter.web.client.filters import PresenceFilter, presence_filter

__all__ = ["MOST_BYTES", "MOST_OF_A_USER", "FiltersInUse"]

#: Bytes of memory for all of them, by the estimate below.
MOST_BYTES: Final = 64 * 1024 * 1024
#: A device uses one filter, or two. So no user's filters push out those of others.
MOST_OF_A_USER: Final = 10
#: Longer ones, in bytes of JSON, are looked up with each poll.
_LONGEST: Final = 16 * 1024

#: Bytes of an entry without its filter, and of a filter without its text.
_BYTES_OF_AN_ENTRY: Final = 800
_BYTES_OF_A_FILTER: Final = 1_000
#: Bytes of memory for a byte of JSON at worst: a short ID is a string and a place in a set.
_BYTES_OF_A_BYTE: Final = 32


@dataclass(eq=False, slots=True)
class _Shared:
    """One meaning, shared by all users whose filters say the same of presence."""

    text: bytes
    meaning: PresenceFilter
    users: int = 0

    @property
    def size(self) -> int:
        return _BYTES_OF_A_FILTER + _BYTES_OF_A_BYTE * len(self.text)


class FiltersInUse:
    """The filters of users who poll. The users who polled longest ago are forgotten first."""

    def __init__(self, rooms: RoomsHalf, *, most_bytes: int = MOST_BYTES) -> None:
        self._rooms = rooms
        self._most_bytes = most_bytes
        #: By the ID, of each user; the user who polled last is last.
        self._of_user: OrderedDict[UserId, dict[str, _Shared]] = OrderedDict()
        self._by_text: dict[bytes, _Shared] = {}
        #: Bytes of memory that the cache takes, by the estimate.
        self.bytes = 0

    def known(self, user_id: UserId, filter_id: str) -> PresenceFilter | None:
        """Return the user's filter of that ID, if it is known without looking it up."""
        own = self._of_user.get(user_id)
        if own is None:
            return None
        shared = own.get(filter_id)
        if shared is None:
            return None
        self._of_user.move_to_end(user_id)
        return shared.meaning

    async def look_up(
        self, requester: Requester, request: SyncRequest, head: RequestHead, filter_id: str
    ) -> PresenceFilter:
        """Return the requester's filter of that ID; raise `InvalidParam` if there is none."""
        try:
            definition = await self._rooms.filter(requester, request, head, filter_id)
        except NotFound:
            raise InvalidParam("filter: no filter has this ID") from None
        text = msgspec.json.encode(definition.get("presence", {}), order="deterministic")
        shared = self._by_text.get(text) or _Shared(text, presence_filter(definition))
        if len(shared.text) <= _LONGEST:
            self._keep(requester.user_id, filter_id, shared)
        return shared.meaning

    def _keep(self, user_id: UserId, filter_id: str, shared: _Shared) -> None:
        own = self._of_user.setdefault(user_id, {})
        if filter_id in own:
            return  # another poll has looked it up meanwhile
        if len(own) == MOST_OF_A_USER:
            self._drop(own.pop(next(iter(own))))
        own[filter_id] = shared
        self.bytes += _BYTES_OF_AN_ENTRY
        if not shared.users:
            self._by_text[shared.text] = shared
            self.bytes += shared.size
        shared.users += 1
        while self.bytes > self._most_bytes:
            _, others = self._of_user.popitem(last=False)
            for filter_of_others in others.values():
                self._drop(filter_of_others)

    def _drop(self, shared: _Shared) -> None:
        self.bytes -= _BYTES_OF_AN_ENTRY
        shared.users -= 1
        if not shared.users:
            del self._by_text[shared.text]
            self.bytes -= shared.size
