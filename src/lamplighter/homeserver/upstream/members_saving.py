"""Stores who is joined to which room, in the background: many memberships in one commit.

Nobody waits for it. A join that is lost in a crash is asked for again when its user appears. A
leave that is lost is a stored membership that no longer holds: after the start it is asked for
again, as all of them are (`rooms.py`).
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, sleep
from lamplighter.database.known_members import KnownMembers
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember
from lamplighter.service.background import Background

__all__ = ["MembersSaving"]

_log = structlog.get_logger(__name__)

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
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> Sequence[JoinedMember]:
        """Return what was stored; raise `StorageUnavailable`."""
        return await self._store.load()

    def note(self, room_id: RoomId, users: Iterable[UserId], since: Timestamp | None) -> None:
        """Store soon since when the users are joined; None if they no longer are."""
        self._unsaved.update({(room_id, it): since for it in users})
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
        await self._store.save(saving)
        for membership, since in saving.items():
            if self._unsaved[membership] == since:
                del self._unsaved[membership]
