"""Saves the presence of the users that this node owns."""

import asyncio
from collections.abc import Iterable

import structlog

from lamplighter.errors import StorageUnavailable
from lamplighter.ids import UserId
from lamplighter.ports import PresenceStore, SavedPresence
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.roster import Roster

__all__ = ["Keeper", "log_failure"]

_log = structlog.get_logger(__name__)


class Keeper:
    """Saves users with the position at which their last change was told."""

    def __init__(self, tracker: PresenceTracker, roster: Roster, store: PresenceStore) -> None:
        self._tracker = tracker
        self._roster = roster
        self._store = store
        #: Whether the last save has failed.
        self.is_failing = False
        #: Return once every save so far is done, or has failed.
        self.settle = store.settle

    def keep(self, user_ids: Iterable[UserId]) -> "asyncio.Future[None]":
        """Save the users as they are; if that fails, the log says so."""
        tracker = self._tracker
        users = (tracker.user(it) for it in user_ids if tracker.decides_for(it))
        saving = self._save(user for user in users if user is not None)
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
        self.is_failing = saving.cancelled() or saving.exception() is not None


def log_failure(work: "asyncio.Future[None]") -> None:
    """Log the failure of *work*, which is over."""
    if work.cancelled() or (failure := work.exception()) is None:
        return
    if isinstance(failure, StorageUnavailable):
        # The database has said so once. Each request that waits for the save says so again.
        _log.debug("presence could not be saved; it is kept in memory", problem=str(failure))
    else:
        _log.error("publishing failed", exc_info=failure)
