"""Uploaded filters that polls name, as the server understands them.

A client uploads its filter once and names it with every poll. A filter never changes, and its ID
never comes to mean another (`Accounts.save_filter`). So a poll needs neither the database nor a
parser for a filter that was named before.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from lamplighter.errors import InvalidParam, NotFound
from lamplighter.ids import UserId
from lamplighter.ports import Json
from lamplighter.web.client.filters import ClientFilter, parse_filter

__all__ = ["MOST_BYTES", "MOST_OF_A_USER", "FiltersInUse", "Uploads"]

#: What all of them may take in memory, by the estimate below.
MOST_BYTES: Final = 64 * 1024 * 1024
#: A device uses one filter, or two; so nobody's filters push out those of everybody.
MOST_OF_A_USER: Final = 10
#: Longer ones, in bytes of JSON, are looked up with each poll.
_LONGEST: Final = 16 * 1024

#: What an entry takes beside the filter, and a filter beside what stands in it.
_BYTES_OF_AN_ENTRY: Final = 800
_BYTES_OF_A_FILTER: Final = 1_000
#: What a byte of JSON becomes at worst: a short ID is a string and a place in a set.
_BYTES_OF_A_BYTE: Final = 32


@dataclass(eq=False, slots=True)
class _Shared:
    """A filter, understood once for all users who have uploaded the same."""

    text: bytes
    meaning: ClientFilter
    users: int = 0

    @property
    def size(self) -> int:
        return _BYTES_OF_A_FILTER + _BYTES_OF_A_BYTE * len(self.text)


class Uploads(Protocol):
    """Of the accounts, what is asked for here."""

    async def filter(self, user_id: UserId, filter_id: str) -> Json:
        """Return a filter; raise `NotFound`."""


class FiltersInUse:
    """The filters of those who poll; the users who polled longest ago are forgotten first."""

    def __init__(self, uploads: Uploads, *, most_bytes: int = MOST_BYTES) -> None:
        self._uploads = uploads
        self._most_bytes = most_bytes
        #: By the ID, of each user; whoever polled last is last.
        self._of_user: OrderedDict[UserId, dict[str, _Shared]] = OrderedDict()
        self._by_text: dict[bytes, _Shared] = {}
        #: What is kept takes so much, by the estimate.
        self.bytes = 0

    def known(self, user_id: UserId, filter_id: str) -> ClientFilter | None:
        """Return the user's filter of that ID, if it is known without looking it up."""
        own = self._of_user.get(user_id)
        if own is None:
            return None
        shared = own.get(filter_id)
        if shared is None:
            return None
        self._of_user.move_to_end(user_id)
        return shared.meaning

    async def look_up(self, user_id: UserId, filter_id: str) -> ClientFilter:
        """Return the user's filter of that ID; raise `InvalidParam` if there is none."""
        try:
            definition = await self._uploads.filter(user_id, filter_id)
        except NotFound:
            raise InvalidParam("filter: no filter has this ID") from None
        shared = self._understood(definition)
        if len(shared.text) <= _LONGEST:
            self._keep(user_id, filter_id, shared)
        return shared.meaning

    def _understood(self, definition: Json) -> _Shared:
        text = msgspec.json.encode(definition, order="deterministic")
        return self._by_text.get(text) or _Shared(text, parse_filter(definition))

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
