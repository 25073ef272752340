"""Asks a module in one world after the other; the module starts anew in each."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from lamplighter.devtools.check.asking import Questioner, callback_place
from lamplighter.devtools.check.blocking import LoopWatch
from lamplighter.devtools.check.check_log import CheckLog
from lamplighter.devtools.check.complement import Case, RoomRules, disagreements
from lamplighter.devtools.check.findings import Callback, Place
from lamplighter.devtools.check.loading import Candidate, why_not_started
from lamplighter.devtools.check.population import Population
from lamplighter.devtools.check.simulation import Simulation, simulated
from lamplighter.devtools.check.waiting import WaitLimits
from lamplighter.devtools.check.worlds import World, first_world, state_of
from lamplighter.errors import ModuleError
from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes

__all__ = ["Trial"]

#: At most so many viewers whom answers name, and who do not live in the world, are asked about.
_MOST_STRANGERS: Final = 5
#: How often the search for named people is repeated: answers about them may name others.
_ROUNDS: Final = 3


class Trial:
    """A module, and all that is needed to ask it."""

    def __init__(
        self, found: Candidate, watch: LoopWatch, limits: WaitLimits, rooms: RoomRules
    ) -> None:
        self._found = found
        self._watch = watch
        self._limits = limits
        self._rooms = rooms
        #: Where the callbacks are defined; empty before the first world.
        self.places: dict[Callback, Place | None] = {}

    async def discover(self, people: Population, log: CheckLog) -> Population:
        """Return *people* and the people whom answers about them name."""
        for _ in range(_ROUNDS):
            world = first_world(people)
            states = [state_of(it, 0, world.now) for it in people.users]
            more = people.with_users(await self._named_in(world, states, log))
            if more == people or log.is_stuck:
                break
            people = more
        return people

    async def ask(
        self, world: World, states: Sequence[UserPresenceState], log: CheckLog
    ) -> Sequence[Case]:
        """Ask about all people, each alone and all together; return the disagreements."""
        cases: list[Case] = []
        try:
            async with simulated(self._found.entry, world) as simulation:
                questioner = self._questioner(simulation, log)
                interests: dict[UserId, CheckedInterest] = {}
                await _ask_interests(questioner, interests, world.users, log)
                for changes in [*([state] for state in states), states]:
                    if log.is_stuck:
                        break
                    routes = await questioner.routes(changes)
                    left = len(world.users) + _MOST_STRANGERS - len(interests)
                    strangers = (it for it in routes.routes if it not in interests)
                    await _ask_interests(questioner, interests, islice(strangers, left), log)
                    cases += [
                        Case(world, changes, it)
                        for it in disagreements(world, self._rooms, changes, routes, interests)
                    ]
        except ModuleError as failure:
            log.note(why_not_started(self._found, failure))
        return cases

    async def routes(
        self, world: World, asked: Iterable[Sequence[UserPresenceState]]
    ) -> Sequence[CheckedRoutes]:
        """Return the recipients for each of the lists of states in *asked*."""
        async with simulated(self._found.entry, world) as simulation:
            questioner = self._questioner(simulation, CheckLog())
            return [await questioner.routes(changes) for changes in asked]

    async def stands(self, case: Case) -> bool:
        """Tell whether the callbacks disagree in *case*, in a world of its own."""
        viewer = case.disagreement.viewer
        try:
            async with simulated(self._found.entry, case.world) as simulation:
                questioner = self._questioner(simulation, CheckLog())
                interests = {viewer: await questioner.interest(viewer)}
                routes = await questioner.routes(case.changes)
        except ModuleError:
            return False
        found = disagreements(case.world, self._rooms, case.changes, routes, interests)
        return case.disagreement in found

    async def _named_in(
        self, world: World, states: Sequence[UserPresenceState], log: CheckLog
    ) -> set[UserId]:
        """Return everybody whom an answer in this world names."""
        found: set[UserId] = set()
        async with simulated(self._found.entry, world) as simulation:
            self.places = {it: callback_place(simulation, it) for it in Callback}
            questioner = self._questioner(simulation, log)
            interests: dict[UserId, CheckedInterest] = {}
            await _ask_interests(questioner, interests, world.users, log)
            found.update(*(interest.named for interest in interests.values()))
            for state in states:
                if not log.is_stuck:
                    routes = (await questioner.routes([state])).routes
                    found.update(routes, *routes.values())
        return found

    def _questioner(self, simulation: Simulation, log: CheckLog) -> Questioner:
        return Questioner(simulation, self._watch, log, self._limits, self._found.files)


async def _ask_interests(
    questioner: Questioner,
    interests: dict[UserId, CheckedInterest],
    users: Iterable[UserId],
    log: CheckLog,
) -> None:
    """Ask for each of *users*, and put the answers into *interests*."""
    for user_id in list(users):
        if not log.is_stuck:
            interests[user_id] = await questioner.interest(user_id)
