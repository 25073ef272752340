"""Saves the presence of the users that this node owns."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import UserId
from lamplighter.ports import PresenceStore, SavedPresence
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.roster import Roster

__all__ = ["Keeper", "log_failure"]

#: A database that has saved something so shortly before can be written.
_KNOWN_FOR: Final = timedelta(seconds=1)

_log = structlog.get_logger(__name__)


class Keeper:
    """Saves users with the position at which their last change was told."""

    def __init__(
        self, clock: Clock, tracker: PresenceTracker, roster: Roster, store: PresenceStore
    ) -> None:
        self._clock = clock
        self._tracker = tracker
        self._roster = roster
        self._store = store
        #: When the last save has succeeded; the beginning of time if it has failed.
        self._saved_at = Timestamp(0)
        #: Return once every save so far is done, or has failed.
        self.settle = store.settle

    def keep(self, user_ids: Iterable[UserId]) -> "asyncio.Future[None]":
        """Save the users as they are; if that fails, the log says so."""
        tracker = self._tracker
        users = [tracker.user(it) for it in user_ids if tracker.decides_for(it)]
        saving = self._save([user for user in users if user is not None])
        saving.add_done_callback(log_failure)
        return saving

    def forget(self, user_id: UserId) -> None:
        """Have the next commit delete what is stored of a user, if this node decides for them."""
        if self._tracker.decides_for(user_id):
            self._store.forget(user_id)
        else:
            self._tracker.forget(user_id)

    def try_again(self) -> "asyncio.Future[None]":
        """Save what could not be written before; `StorageUnavailable` if that fails again."""
        return self._watched(self._store.save(()))

    def is_in_doubt(self, now: Timestamp) -> bool:
        """Tell whether it is unknown if the database can be written."""
        return now > after(self._saved_at, _KNOWN_FOR)

    async def save_unannounced(self) -> None:
        """Save the users who have changed without being announced, and what failed before."""
        try:
            await self._save(self._tracker.take_unsaved())
        except StorageUnavailable as problem:
            _log.error("presence could not be saved; it is kept in memory", problem=str(problem))

    def _save(self, users: Iterable[TrackedUser]) -> "asyncio.Future[None]":
        last = self._roster.last
        saved = [SavedPresence(user, last(UserId(user.state.user_id)).told) for user in users]
        return self._watched(self._store.save(saved))

    def _watched(self, saving: "asyncio.Future[None]") -> "asyncio.Future[None]":
        saving.add_done_callback(self._learn)
        return saving

    def _learn(self, saving: "asyncio.Future[None]") -> None:
        has_failed = saving.cancelled() or saving.exception() is not None
        self._saved_at = Timestamp(0) if has_failed else self._clock.now()


def log_failure(work: "asyncio.Future[None]") -> None:
    """Log the failure of *work*, which is over."""
    if work.cancelled() or (failure := work.exception()) is None:
        return
    if isinstance(failure, StorageUnavailable):
        # The database has said so once. Each request that waits for the save says so again.
        _log.debug("presence could not be saved; it is kept in memory", problem=str(failure))
    else:
        _log.error("publishing failed", exc_info=failure)
