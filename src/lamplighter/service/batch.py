"""The changes of one cycle of the event loop: first they are published, and then saved."""

import asyncio
from collections.abc import Callable, Sequence

from lamplighter.ids import UserId
from lamplighter.presence.changes import Change
from lamplighter.presence.state import UserPresenceState

__all__ = ["ChangeBatch", "done"]


class ChangeBatch:
    """Changes that are published together, and what waits for them.

    Its futures are shared by all who wait, and there is one of each however many these are: who
    awaits one in a task that may be cancelled, shields it.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.changes: list[Change] = []
        #: States that differ in nothing that is announced, and are handed on after the changes.
        self.refreshed: dict[UserId, UserPresenceState] = {}
        #: The newest announced state of each user, once the modules are asked.
        self.states: Sequence[UserPresenceState] = ()
        #: Done once the changes are in the outboxes.
        self.published: asyncio.Future[None] = loop.create_future()
        #: Done once they would survive the process's death; or fails.
        self.saved: asyncio.Future[None] = loop.create_future()
        #: What waits for the outboxes, in order.
        self.then: list[Callable[[], None]] = []

    def supersede(self, changes: Sequence[Change]) -> None:
        """Hand on nothing of the users of *changes*, which are newer and hold all of it."""
        for change in changes:
            self.refreshed.pop(UserId(change.new.user_id), None)

    @property
    def is_lost(self) -> bool:
        """Whether the changes could not be saved."""
        saved = self.saved
        return saved.done() and (saved.cancelled() or saved.exception() is not None)


def done() -> "asyncio.Future[None]":
    """Return what is done already."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
