"""The rooms half of a `/sync`, by the built-in homeserver.

Most polls are of users without news. Such a poll costs one call of `RoomStream.is_quiet`, which
reads memory: no task, no SQL statement, no parsing of a filter.
"""

import asyncio
from typing import Final

import msgspec

from lamplighter.errors import ShuttingDown
from lamplighter.homeserver.filters import parse_filter, read_inline_filter
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.ports import (
    Json,
    Requester,
    RequestHead,
    RoomsAnswer,
    SyncRequest,
)
from lamplighter.recent import Recent
from lamplighter.service.background import Background

__all__ = ["SqlRoomsHalf"]

#: Bytes of JSON of the uploaded filters that are cached; in memory they are 32 times as large.
_MOST_CACHED: Final = 2 * 1024 * 1024

_EVERYTHING: Final = RoomFilter()


class SqlRoomsHalf:
    """A `RoomsHalf` that reads the built-in homeserver's database."""

    def __init__(self, directory: SqlDirectory, background: Background) -> None:
        self.directory = directory
        self.background = background
        #: By the ID, a digest of the filter: it means the same for every user.
        self._filters: Recent[str, RoomFilter] = Recent(_MOST_CACHED)

    def begin(
        self, requester: Requester, request: SyncRequest, _head: RequestHead, /
    ) -> "_Pending":
        return _Pending(self, requester, request)

    async def filter(
        self, requester: Requester, _request: SyncRequest, _head: RequestHead, filter_id: str, /
    ) -> Json:
        return await self.directory.filter(requester.user_id, filter_id)

    async def wanted(self, requester: Requester, filter_id: str) -> RoomFilter:
        """Return what the requester's uploaded filter says of rooms; raise `NotFound`."""
        wanted = self._filters.get(filter_id)
        if wanted is None:
            definition = await self.directory.filter(requester.user_id, filter_id)
            wanted = parse_filter(definition)
            self._filters.put(filter_id, wanted, len(msgspec.json.encode(definition)))
        return wanted


class _Pending:
    """One request. Changes that the client does not want are read once."""

    __slots__ = (
        "_answer", "_failure", "_filter", "_half", "_must_read", "_reading", "_request",
        "_requester", "_since", "quiet_token",
    )  # fmt: skip

    def __init__(self, half: SqlRoomsHalf, requester: Requester, request: SyncRequest) -> None:
        self._half = half
        self._requester = requester
        self._request = request
        #: None where the request is answered in full.
        self._since = self.quiet_token = None if request.full_state else request.since
        #: On many nodes, only the database holds what was written anywhere before the request.
        self._must_read = not request.timeout and half.directory.is_one_of_many()
        #: None until an uploaded filter is read.
        self._filter: RoomFilter | None = None
        if request.filter is None:
            self._filter = _EVERYTHING
        elif request.filter.startswith("{"):
            self._filter = read_inline_filter(request.filter)
        self._reading: asyncio.Task[None] | None = None
        self._answer: RoomsAnswer | None = None
        self._failure: Exception | None = None

    def take(self) -> RoomsAnswer | None:
        if self._failure is not None:
            raise self._failure
        if self._answer is not None or self._reading is not None:
            return self._answer
        directory, user_id = self._half.directory, self._requester.user_id
        is_quiet = self._since is not None and directory.rooms_are_quiet(user_id, self._since)
        if self._must_read or not is_quiet:
            self._must_read = False
            self.quiet_token = None
            self._reading = self._half.background.run(self._read())
        return None

    def cancel(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        request, half = self._request, self._half
        try:
            if self._filter is None:
                assert request.filter is not None  # else everything is wanted
                self._filter = await half.wanted(self._requester, request.filter)
            since = self._since or request.since
            answer = await half.directory.sync_rooms(
                self._requester, since, self._filter, full_state=request.full_state
            )
        except Exception as error:  # noqa: BLE001 - the caller of take gets it
            self._failure = error
        except asyncio.CancelledError:
            self._failure = ShuttingDown()
            raise
        else:
            if self._since is None or answer.body != b"{}":
                self._answer = answer
            else:
                self._since = answer.next_batch
        finally:
            self._reading = None
            self.quiet_token = self._since
            half.directory.tell_news((self._requester.user_id,))
