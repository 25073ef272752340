"""Replaces the modules: new modules are tried first, and asked from one instant on.

A state for which only the old modules were a reason is not delivered any more, and a state for
which the new modules are a reason is news to its recipients. So nothing that the old modules said
is kept: outboxes begin anew, cached and late answers are dropped, what waits for other servers is
taken back, and every viewer is answered from scratch.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, islice
from typing import Final

from lamplighter.clock import Clock, after
from lamplighter.cluster.entries import ModulesSwapped
from lamplighter.cluster.stream import Stream
from lamplighter.delivery.feed import Feed
from lamplighter.errors import ModuleError
from lamplighter.futures import fail, finish
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.guard import GuardedModule
from lamplighter.routing.problems import TIMEOUT
from lamplighter.routing.registrations import Registrations
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.background import Background
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.keeper import Keeper
from lamplighter.service.late import LateAnswers
from lamplighter.service.publisher import Publisher
from lamplighter.service.reminders import Reminders
from lamplighter.service.remotes import Remotes
from lamplighter.service.roster import Roster
from lamplighter.service.shadow import ShadowModules
from lamplighter.service.views import Views

__all__ = ["ModuleSwap"]

#: New modules are asked about no more users once a trial has taken so long: a reload of many nodes
#: waits a minute for it.
_LONGEST_TRIAL: Final = timedelta(seconds=20)
#: At once, as in a large batch.
_USERS_AT_ONCE: Final = 100
_MOST_VIEWERS: Final = 20


@dataclass(eq=False)
class ModuleSwap:
    """Tries new modules, and puts them in the place of the old ones."""

    clock: Clock
    stream: Stream
    router: ModuleRouter
    roster: Roster
    feed: Feed
    views: Views
    publisher: Publisher
    late: LateAnswers
    reminders: Reminders
    keeper: Keeper
    remotes: Remotes
    shadows: ShadowModules
    background: Background
    ends: VisibilityEnds
    #: Where the stream was when modules were tried that are not in use; None if there are none.
    _tried_at: StreamPosition | None = field(init=False, default=None)
    #: About whom one of these modules has given no answer: it may alter them.
    _untried: set[UserId] = field(init=False, default_factory=set)

    def prepare(self) -> Registrations:
        """Return what new modules register in, before anybody asks them."""
        return self.router.prepare()

    def adopt(self, registrations: Registrations) -> None:
        """Ask the modules of *registrations* from now on: the first ones of this server."""
        self.router.adopt(registrations)

    def left_undone(self, module: str, call: str) -> None:
        """Count what a module in the shadow wanted to do."""
        self.shadows.left_undone(module, call)

    async def try_out(self, registrations: Registrations) -> None:
        """Ask new modules about all users, and some viewers; the answers are not delivered.

        Raises `ModuleError`, with module and problem, where one costs time, or answers rightly
        about nobody: where it fails for some people only, that is perhaps their doing. Afterwards
        each remembers for whom it alters whom, so that nobody is shown what it hides while it
        thinks, and that these are told anew.
        """
        self._tried_at = self.stream.position
        self._untried.clear()
        until = after(self.clock.now(), _LONGEST_TRIAL)
        viewers = list(islice(self.feed.viewers, _MOST_VIEWERS))
        batches = list(self._trial_batches())
        for module in registrations.modules:
            is_right = False
            for states in batches:
                if self.clock.now() >= until:
                    self._untried.update(UserId(it.user_id) for it in states)
                    continue
                checked = await module.users_for_states(states)
                self._untried |= checked.unanswered
                is_right |= _is_right(checked, len(states))
                _check(module, may_fail=True)
            _check(module, may_fail=is_right or not batches)
            is_right = False
            for viewer in viewers:
                interest = await module.interested_users(viewer)
                is_right |= bool(interest.named or not (interest.failed or interest.faults))
                _check(module, may_fail=True)
            _check(module, may_fail=is_right or not viewers)

    async def swap(self, registrations: Registrations, along: Callable[[], None]) -> None:
        """Ask the modules of *registrations* from one instant on; call *along* at that instant."""
        swapped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def work() -> None:
            try:
                altered = self._altered(registrations)
                self.router.adopt(registrations)
                self.late.give_up()
                self.stream.append(ModulesSwapped(altered))
                along()
            except Exception as error:  # noqa: BLE001 - a batch is being published; who waits gets it
                fail(swapped, error)
            else:
                finish(swapped)

        self.publisher.between_batches(work)
        await swapped

    async def hold(self, registrations: Registrations) -> frozenset[UserId]:
        """Return once nothing is asked of modules, and nothing is appended that they have said.

        That remains so until `go_on`. Returns the users whom the modules, or those of
        *registrations*, have shown to somebody in an altered state.
        """
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.router.hold()
        self.publisher.hold(lambda: held.set_result(None))
        await asyncio.shield(held)
        self.late.give_up()
        return self._altered(registrations)

    def go_on(self) -> None:
        """End `hold`: ask the modules, or those that were adopted meanwhile."""
        self.router.go_on()
        self.publisher.go_on()

    def swapped(self, position: StreamPosition, entry: ModulesSwapped) -> None:
        """Begin anew with everything that the old modules have said."""
        altered = entry.altered
        self.views.forget_interests()
        self.shadows.begin_anew()
        # By a room they may have been visible all the time, but perhaps in another state. Of those
        # who have changed since the new modules were tried, these may alter what they did not then;
        # and anybody about whom they have not answered.
        untried, self._untried = self._untried, set()
        known = self.roster.known_of({*altered, *self._changed_since_trial(), *untried})
        for user_id in known:
            self.roster.told_late(user_id, position)
        if known:
            self.keeper.keep(known)
        self.ends.sent_by_old_modules(altered)
        self.feed.renew(self.feed.viewers.keys())
        if not self.stream.is_current:
            self.background.run(self._compare())
        untold = [self.roster.get(user_id) for user_id in self.remotes.take_back()]
        self.background.run(self.reminders.remind(untold))

    def _changed_since_trial(self) -> Iterable[UserId]:
        """Return who has changed since the modules were tried that are in use from now on."""
        tried_at, self._tried_at = self._tried_at, None
        return () if tried_at is None else list(self.roster.told_after(tried_at))

    async def _compare(self) -> None:
        """Find out whom the new modules name no more for viewers who may be at other nodes."""
        for viewer in list(self.feed.viewers):
            if not self.feed.is_waiting(viewer) and self.views.interests.remembers(viewer):
                await self.views.ask_interest_once_more(viewer)

    def _altered(self, registrations: Registrations) -> frozenset[UserId]:
        return frozenset(_altered([*self.router.modules, *registrations.modules]))

    def _trial_batches(self) -> Iterator[Sequence[UserPresenceState]]:
        altered = self.roster.known_of(_altered(self.router.modules))
        others = (it for it in self.roster.known() if it.user_id not in altered)
        states = list(chain(altered.values(), others))
        return (states[at : at + _USERS_AT_ONCE] for at in range(0, len(states), _USERS_AT_ONCE))


def _check(module: GuardedModule, *, may_fail: bool) -> None:
    """Raise `ModuleError` if the module has failed; where it *may*, only if it did not answer."""
    last = module.health.last_failure
    if last is not None and (last.kind == TIMEOUT or not may_fail):
        raise ModuleError(f"module {module.name} fails when it is tried: {module.problem}")


def _is_right(checked: CheckedRoutes, asked: int) -> bool:
    """Tell whether an answer about *asked* users is right about one of them."""
    return bool(checked.routes or (len(checked.unanswered) < asked and not checked.faults))


def _altered(modules: Iterable[GuardedModule]) -> set[UserId]:
    """Return whom *modules* show otherwise than they are to somebody."""
    return set[UserId]().union(*(users for it in modules for users in it.alters.values()))
