"""Statuses wait while it is in doubt whether the database can be written.

On many nodes a status that cannot be saved is told to nobody: its request is answered with 503. A
node learns from a save that the database works. If the last save has failed, or nothing was heard
of the database for a second, a status waits until the database has answered. So do later events of
the same user, which keep their order.

    bob sets a status; the last save was a minute ago; the database is asked whether it is there
    bob types, which waits behind the status
    the database does not answer: the status fails, and that bob types is decided
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import structlog

from lamplighter.clock import Clock
from lamplighter.cluster.log import Lease
from lamplighter.errors import StorageUnavailable
from lamplighter.futures import fail, retrieve, settle
from lamplighter.ids import UserId
from lamplighter.presence.events import Event, StatusSet
from lamplighter.service.keeper import Keeper

__all__ = ["DoubtedEvents"]

#: Takes in an event that a node has heard, as `Intake.decide` does.
_Decide: TypeAlias = Callable[[Lease, Event], "asyncio.Future[None]"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Doubted:
    by: Lease
    event: Event
    decided: "asyncio.Future[None]"


@dataclass(eq=False)
class DoubtedEvents:
    """The events that wait for the database, in the order in which they came."""

    clock: Clock
    keeper: Keeper
    decide: _Decide
    _waiting: list[_Doubted] = field(init=False, default_factory=list)
    _users: set[UserId] = field(init=False, default_factory=set)
    _asking: "asyncio.Task[None] | None" = field(init=False, default=None)

    def has_to_wait(self, event: Event) -> bool:
        """Tell whether *event* may not be decided before the database has answered."""
        if event.user_id in self._users:
            return True
        return isinstance(event, StatusSet) and self.keeper.is_in_doubt(self.clock.now())

    def wait(self, by: Lease, event: Event) -> "asyncio.Future[None]":
        """Decide later about *event*, which the node *by* has heard; return what `decide` returns.

        It fails with `StorageUnavailable` if it is a status, and the database does not answer.
        """
        decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        decided.add_done_callback(retrieve)
        self._waiting.append(_Doubted(by, event, decided))
        self._users.add(event.user_id)
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        return decided

    async def settled(self) -> None:
        """Return once nothing waits any more."""
        while self._asking is not None:
            await asyncio.wait([self._asking])

    async def _ask(self) -> None:
        problem: Exception | None = None
        try:
            await self.keeper.try_again()
        except StorageUnavailable as error:
            problem = error
        except Exception as error:  # noqa: BLE001 - a defect: those who wait get it
            _log.exception("the database could not be asked whether it can be written")
            problem = error
        waiting, self._waiting = self._waiting, []
        self._users.clear()
        self._asking = None
        for it in waiting:
            if problem is not None and isinstance(it.event, StatusSet):
                fail(it.decided, problem)
                continue
            try:
                decided = self.decide(it.by, it.event)
            except Exception as error:  # noqa: BLE001 - a defect: the later ones are decided
                _log.exception("an event could not be decided", user_id=it.event.user_id)
                fail(it.decided, error)
            else:
                decided.add_done_callback(partial(settle, it.decided))
