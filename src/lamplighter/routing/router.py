"""The presence router: all modules' callbacks, asked together and merged in config order."""

import asyncio
from collections.abc import Mapping, Sequence
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
    """The registered callbacks, in config order."""

    def __init__(self, clock: Clock, metrics: Metrics, settings: GuardSettings) -> None:
        self._clock = clock
        self._loop_time = LoopTime(clock)
        self._metrics = metrics
        self._settings = settings
        self._conflicts = Conflicts(clock)
        self._registrations = self.prepare()
        #: The registrations, in config order; another object once others were adopted. It is
        #: looked at with every poll.
        self.modules = self._registrations.modules

    def prepare(self) -> Registrations:
        """Return what another set of modules can register in, without being asked yet."""
        return Registrations(self._clock, self._loop_time, self._metrics, self._settings)

    def adopt(self, registrations: Registrations) -> None:
        """Ask the modules of *registrations* from now on, and no others."""
        for module in self.modules:
            self._metrics.breaker(module.name, open=False)
        self._registrations = registrations
        self.modules = registrations.modules

    @property
    def shadows(self) -> Sequence[Shadow]:
        """The registrations whose answers do not count."""
        return self._registrations.shadows

    def inquire(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> "Inquiry":
        """Ask every module who else is told of *states*; nobody waits for the answers yet.

        Where it is for the sake of some *viewers*, the answers are incomplete for others.
        """
        answers = [(module, module.users_for_states(states, viewers)) for module in self.modules]
        about = {UserId(state.user_id): state for state in states}
        return Inquiry(answers, about, self._conflicts)

    async def completed(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> "Inquiry":
        """Return what all modules answer about *states*: those that are in use by then."""
        while True:
            asked = self.modules
            inquiry = self.inquire(states, viewers)
            await inquiry.complete()
            if asked is self.modules:
                return inquiry

    async def routes(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> Routes:
        """Return what those answers, merged, send to whom."""
        return (await self.completed(states, viewers)).routes()

    async def interested_users(self, viewer: UserId) -> Interest:
        """Return whom the modules, together, name for *viewer*; the first ALL_USERS counts."""
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
    """One question to all modules, and their answers as they come."""

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
        """Return this inquiry as it would be if the module in the shadow counted."""
        answers = list(self._answers)
        answers.insert(shadow.place, (shadow.module, answer))
        return Inquiry(answers, self._about)

    @property
    def is_complete(self) -> bool:
        """Whether every module has answered, failed, or is too late."""
        return all(answer.done() for _, answer in self._answers)

    async def complete(self) -> Routes:
        """Return what all modules answered, once they have."""
        for _, answer in self._answers:
            await answer
        return self.routes()

    def routes(self) -> Routes:
        """Return what the modules have answered so far, merged.

        Of a user's states that a viewer is sent, an altered one counts before one that is passed
        on as it is; of two altered ones that of the later module in config order. What a module
        usually alters is withheld where its answer is missing, as if it had altered it.
        """
        merging = Merging(self._about)
        for module, answer in self._answers:
            if answer.done():
                merging.add(module.reason, module.alters, answer.result())
        if self._conflicts is not None:
            self._conflicts.say(merging.conflicts)
        return merging.routes

    def lost(self) -> frozenset[str]:
        """Return the modules whose answer so far was lost, whole or in part."""
        answers = [(it, answer.result()) for it, answer in self._answers if answer.done()]
        return frozenset(it.name for it, said in answers if said.unanswered or said.faults)

    def awaited_by(self, viewers: AbstractSet[UserId]) -> AbstractSet[UserId]:
        """Return those of *viewers* for whom a module that still thinks has altered states before.

        They wait for it, because what they would be told meanwhile might be what it hides.
        """
        return frozenset().union(*(it.alters.keys() & viewers for it in self._thinking()))

    def awaited(self) -> AbstractSet[UserId]:
        """Return everybody for whom a module that still thinks has altered states before."""
        return frozenset().union(*(it.alters.keys() for it in self._thinking()))

    def pending(self) -> "Sequence[asyncio.Future[CheckedRoutes]]":
        """Return the answers that are still to come."""
        return [answer for _, answer in self._answers if not answer.done()]

    def _thinking(self) -> Sequence[GuardedModule]:
        return [module for module, answer in self._answers if not answer.done()]
