"""The presence router: asks the callbacks of all modules, and merges their answers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lamplighter.clock import Clock
from lamplighter.ids import UserId
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.guard import GuardedModule, GuardSettings
from lamplighter.routing.loop_time import LoopTime
from lamplighter.routing.merging import Conflicts, Merging
from lamplighter.routing.plan import Routes
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.routing.registrations import Registrations, Shadow
from lamplighter.routing.visibility import Interest

__all__ = ["Inquiry", "ModuleRouter"]


class ModuleRouter:
    """The modules in use."""

    def __init__(self, clock: Clock, metrics: Metrics, settings: GuardSettings) -> None:
        self._clock = clock
        self._loop_time = LoopTime(clock)
        self._metrics = metrics
        self._settings = settings
        self._conflicts = Conflicts(clock)
        self._registrations = self.prepare()
        #: The modules in config order. After `adopt` it is another object, by which callers see
        #: that the modules were replaced. Every poll reads it.
        self.modules = self._registrations.modules
        #: What waits for `go_on`; None if nobody has to.
        self._held: asyncio.Future[None] | None = None

    def prepare(self) -> Registrations:
        """Return an object in which another set of modules can register before `adopt`."""
        return Registrations(self._clock, self._loop_time, self._metrics, self._settings)

    def adopt(self, registrations: Registrations) -> None:
        """Replace the modules by those of *registrations*."""
        for module in self.modules:
            self._metrics.breaker(module.name, open=False)
        self._registrations = registrations
        self.modules = registrations.modules

    def hold(self) -> None:
        """Let nobody have what `completed` returns, until `go_on`: it may be about to be wrong."""
        if self._held is None:
            self._held = asyncio.get_running_loop().create_future()

    def go_on(self) -> None:
        """End `hold`."""
        if self._held is not None:
            self._held.set_result(None)
            self._held = None

    @property
    def shadows(self) -> Sequence[Shadow]:
        """The modules whose answers do not count."""
        return self._registrations.shadows

    def inquire(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> "Inquiry":
        """Ask every module who else receives *states*, without waiting for the answers.

        If the server asks for certain *viewers*, the answers are incomplete for all others.
        """
        answers = [(module, module.users_for_states(states, viewers)) for module in self.modules]
        about = {UserId(state.user_id): state for state in states}
        return Inquiry(answers, about, self._conflicts)

    async def completed(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> "Inquiry":
        """Ask all modules about *states* and wait; ask again if the modules were replaced."""
        while True:
            asked = self.modules
            inquiry = self.inquire(states, viewers)
            await inquiry.complete()
            if self._held is not None:
                await asyncio.shield(self._held)
            if asked is self.modules:
                return inquiry

    async def routes(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> Routes:
        """Return the merged routes of `completed`."""
        return (await self.completed(states, viewers)).routes()

    async def interested_users(self, viewer: UserId) -> Interest:
        """Return the users whom all modules together name for *viewer*."""
        asked = self.modules
        answers = [module.interested_users(viewer) for module in asked]
        named: dict[UserId, tuple[Module, ...]] = {}
        all_users: list[AllUsers] = []
        lost: set[str] = set()
        for module, answer in zip(asked, answers, strict=False):  # one more may register meanwhile
            checked = await answer
            if checked.failed or checked.faults:
                lost.add(module.name)
            for user_id in checked.named:
                named[user_id] = (*named.get(user_id, ()), module.reason)
            if checked.all_users:
                all_users.append(AllUsers(module.name))
        return Interest(named, tuple(all_users), frozenset(lost))


class Inquiry:
    """One question to all modules, and the answers that have come."""

    def __init__(
        self,
        answers: Sequence[tuple[GuardedModule, "asyncio.Future[CheckedRoutes]"]],
        about: Mapping[UserId, UserPresenceState],
        conflicts: Conflicts | None = None,
    ) -> None:
        """*about* are the states that the modules are asked about."""
        self._answers = answers
        self._about = about
        self._conflicts = conflicts

    def including(self, shadow: Shadow, answer: "asyncio.Future[CheckedRoutes]") -> "Inquiry":
        """Return this inquiry with the answer of a module in the shadow, as if it counted."""
        answers = list(self._answers)
        answers.insert(shadow.place, (shadow.module, answer))
        return Inquiry(answers, self._about)

    async def complete(self) -> Routes:
        """Wait until every module has answered or failed; return the merged routes."""
        for _, answer in self._answers:
            await answer
        return self.routes()

    def routes(self) -> Routes:
        """Return the answers that have come, merged (`merging.py` has the rules)."""
        return self._merged(lambda checked: checked)

    def routes_to(self, viewer: UserId) -> Routes:
        """Return those of `routes` that are for *viewer*, with work in proportion to these."""
        return self._merged(lambda checked: checked.to(viewer))

    def _merged(self, part: Callable[[CheckedRoutes], CheckedRoutes]) -> Routes:
        merging = Merging(self._about)
        for module, answer in self._answers:
            if answer.done():
                merging.add(module.reason, module.alters, part(answer.result()))
        if self._conflicts is not None:
            self._conflicts.report(merging.conflicts)
        return merging.routes

    def lost(self) -> frozenset[str]:
        """Return the modules whose answers were lost so far, as a whole or in part."""
        answers = [(it, answer.result()) for it, answer in self._answers if answer.done()]
        return frozenset(it.name for it, said in answers if said.unanswered or said.faults)

    def awaited(self) -> Mapping[str, frozenset[UserId]]:
        """Return each module that has not answered yet, with the viewers who must wait for it.

        The module has altered states for them before, so the real state may be what it hides.
        """
        awaited: dict[str, frozenset[UserId]] = {}
        for module, answer in self._answers:
            if not answer.done():
                awaited[module.name] = awaited.get(module.name, frozenset()) | module.alters.keys()
        return awaited

    @property
    def is_pending(self) -> bool:
        """Whether some answers have not come yet."""
        return any(not answer.done() for _, answer in self._answers)

    def pending(self) -> "Sequence[asyncio.Future[CheckedRoutes]]":
        """Return the answers that have not come yet."""
        return [answer for _, answer in self._answers if not answer.done()]
