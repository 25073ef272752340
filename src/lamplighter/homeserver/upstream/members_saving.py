"""Stores who is joined to which room, in the background: many memberships in one commit.

Nobody waits for it. A join that is lost in a crash is asked for again when its user appears. A
leave that is lost is a stored membership that no longer holds: after the start it is asked for
again, as all of them are (`rooms.py`).

On many nodes, the one that has found something out stores it once it was told. So the database is
never ahead of what the nodes believe: what was not told differs from what the homeserver says, and
the next node that starts finds that out. With the memberships goes how the nodes were told, for a
node that starts when the log has lost its data.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, milliseconds, sleep
from lamplighter.cluster.positions import at_time
from lamplighter.database.known_members import KnownMembers
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import JoinedMember, MembershipChange
from lamplighter.service.background import Background

__all__ = ["KEPT", "MembersSaving"]

_log = structlog.get_logger(__name__)

#: How long what nodes have told each other is kept, in positions of the log: ten minutes.
KEPT: Final = at_time(Timestamp(milliseconds(timedelta(minutes=10))))
#: How many memberships one commit has at most: what else is written waits for it.
_MOST_AT_ONCE: Final = 1_000
_PAUSE: Final = timedelta(seconds=30)


class MembersSaving:
    """What is not stored yet, the newest of each membership; a task that stores it."""

    def __init__(self, store: KnownMembers, clock: Clock, background: Background) -> None:
        self._store = store
        self._clock = clock
        self._background = background
        self._unsaved: dict[tuple[RoomId, UserId], Timestamp | None] = {}
        #: What was told and is not stored yet, by its position in the log.
        self._told: dict[StreamPosition, bytes] = {}
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> Sequence[JoinedMember]:
        """Return what was stored; raise `StorageUnavailable`."""
        return await self._store.load()

    async def told_lately(self) -> Mapping[StreamPosition, bytes]:
        """Return what is stored as told, the oldest first; raise `StorageUnavailable`."""
        return await self._store.told_lately()

    def told(self, position: StreamPosition, news: bytes) -> None:
        """Store, with what is noted next, that nodes were told *news* at *position*."""
        self._told[position] = news
        while (oldest := next(iter(self._told))) < position - KEPT:  # the database is away
            del self._told[oldest]

    def note(self, changes: Sequence[MembershipChange], now: Timestamp) -> None:
        """Store soon that users have joined and left *now*."""
        for it in changes:
            self._unsaved[it.room_id, it.user_id] = now if it.joined else None
        if self._unsaved and (self._task is None or self._task.done()):
            self._task = self._background.run(self._save_all())

    async def stop(self) -> None:
        """Store the rest, once; the background has ended."""
        try:
            while self._unsaved:
                await self._save_some()
        except StorageUnavailable as problem:
            _log.error("who is in which room could not be saved", problem=str(problem))

    async def _save_all(self) -> None:
        while self._unsaved:
            try:
                await self._save_some()
            except StorageUnavailable as problem:
                _log.error("who is in which room could not be saved", problem=str(problem))
                await sleep(self._clock, _PAUSE)

    async def _save_some(self) -> None:
        saving = dict(islice(self._unsaved.items(), _MOST_AT_ONCE))
        told = dict(self._told)
        await self._store.save(saving, told)
        for membership, since in saving.items():
            if self._unsaved[membership] == since:
                del self._unsaved[membership]
        for position in told:
            self._told.pop(position, None)
