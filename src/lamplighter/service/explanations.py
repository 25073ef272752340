"""Does a viewer see somebody, why, and what would have to change.

Every answer is a view from scratch (`Views.glances`), as GET status is: the same plan, the same
modules. Nothing here decides anything; it only says what was decided, and what was near at hand.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from lamplighter.config import PresenceMode
from lamplighter.ids import RoomId, ServerName, UserId, server_of
from lamplighter.ports import Lookups, Membership
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import Reasons, SharedRoom
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.hints import Hint
from lamplighter.service.publisher import Publisher
from lamplighter.service.room_names import RoomNames
from lamplighter.service.roster import Roster
from lamplighter.service.server_sights import ServerSights
from lamplighter.service.views import Glance, Views

__all__ = ["Explanation", "Explanations", "RoutingFacts", "Showing", "Sight", "SightPage"]


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """What the configuration says about who sees whom."""

    server_name: ServerName
    mode: PresenceMode = PresenceMode.TRACKED
    shared_rooms: bool = True
    exclude_rooms: frozenset[RoomId] = frozenset()
    #: Whether another server may be told anything.
    admits: Callable[[ServerName], bool] = lambda _server_name: False


class Showing(StrEnum):
    """How a viewer is shown somebody."""

    AS_IT_IS = "as it is"
    #: A module shows this viewer something else.
    ALTERED = "altered"
    #: Who usually alters it has not answered.
    WITHHELD = "withheld"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Sight:
    """What one viewer sees of one subject, and why."""

    viewer: UserId
    subject: UserId
    reasons: Reasons
    #: The subject's presence as it is.
    actual: UserPresenceState
    #: As this viewer sees it; None if they do not.
    seen: UserPresenceState | None
    showing: Showing
    #: The modules that send the viewer the subject's presence, or withhold it.
    modules: tuple[str, ...] = ()
    #: Those that have altered what is seen, or withhold it.
    altered_by: tuple[str, ...] = ()
    #: Those that have altered it otherwise: a later module in the configuration decides.
    overruled: tuple[str, ...] = ()

    @property
    def sees(self) -> bool:
        """Whether the viewer sees the subject."""
        return self.seen is not None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A sight, with what matters to it."""

    sight: Sight
    #: For a no, what would have to change; for a yes, what may be missing from it.
    hints: tuple[Hint, ...]
    #: What the rooms named here are called; None where nobody has given them a name.
    room_names: Mapping[RoomId, str | None]


@dataclass(frozen=True, slots=True)
class SightPage:
    """A part of all sights of one viewer, or of one subject, in the order of user IDs."""

    sights: Sequence[Sight]
    room_names: Mapping[RoomId, str | None]
    #: After whom the next part begins; None at the end. A part may be empty before the end.
    next_from: UserId | None


class Explanations:
    """Explains who sees whom."""

    def __init__(
        self,
        *,
        facts: RoutingFacts,
        lookups: Lookups,
        membership: Membership,
        roster: Roster,
        router: ModuleRouter,
        publisher: Publisher,
        views: Views,
        servers: ServerSights,
        room_names: RoomNames,
    ) -> None:
        self._facts = facts
        self._lookups = lookups
        self._membership = membership
        self._roster = roster
        self._router = router
        self._publisher = publisher
        self._views = views
        self._servers = servers
        self._room_names = room_names

    async def explain(self, viewer: UserId, subject: UserId) -> Explanation:
        """Tell whether *viewer* sees *subject*, why, and what would have to change."""
        await self._publisher.published()
        if not await self._can_look(viewer):
            return await self._explained(self._nothing(viewer, subject), frozenset())
        glance = (await self._glances([viewer], {subject}))[viewer]
        return await self._explained(self._sight(viewer, subject, glance), glance.lost)

    async def sees(self, viewer: UserId, after: UserId | None, limit: int) -> SightPage:
        """Return whom *viewer* sees: at most *limit* of them, from behind *after* on."""
        await self._publisher.published()
        if not await self._can_look(viewer):
            return SightPage((), {}, None)
        await self._ask_interest([viewer])
        glance = (await self._glances([viewer], self._views.in_sight(viewer)))[viewer]
        sights = [self._sight(viewer, subject, glance) for subject in sorted(glance.sights.reasons)]
        ahead = [it for it in sights if it.sees and (after is None or it.subject > after)]
        next_from = ahead[limit - 1].subject if len(ahead) > limit else None
        return SightPage(ahead[:limit], await self._names_in(ahead[:limit]), next_from)

    async def seen_by(self, subject: UserId, after: UserId | None, limit: int) -> SightPage:
        """Return who of the next *limit* possible viewers behind *after* sees *subject*."""
        await self._publisher.published()
        possible = await self._possible_viewers(subject, after, limit)
        viewers = [viewer for viewer in possible if possible[viewer]]
        glances = await self._glances(viewers, {subject})
        sights = [self._sight(viewer, subject, glances[viewer]) for viewer in viewers]
        seeing = [sight for sight in sights if sight.sees]
        next_from = max(possible) if len(possible) == limit else None
        return SightPage(seeing, await self._names_in(seeing), next_from)

    # --- who could look on ----------------------------------------------------------------

    async def _can_look(self, viewer: UserId) -> bool:
        if self._facts.mode is PresenceMode.OFF:
            return False
        if not self._is_mine(viewer):
            return self._facts.admits(server_of(viewer))
        account = await self._lookups.account(viewer)
        return account is not None and not account.is_deactivated

    async def _possible_viewers(
        self, subject: UserId, after: UserId | None, limit: int
    ) -> dict[UserId, bool]:
        """Return the next *limit* users behind *after*, in order, and whether each may look on."""
        if self._facts.mode is PresenceMode.OFF:
            return {}
        accounts = await self._lookups.accounts(after, limit)
        users = {account.user_id: not account.is_deactivated for account in accounts}
        for viewer in await self._views.routes_of({subject}):
            if not self._is_mine(viewer) and (after is None or viewer > after):
                users[viewer] = self._facts.admits(server_of(viewer))
        return dict(sorted(users.items())[:limit])

    async def _glances(
        self, viewers: Collection[UserId], users: AbstractSet[UserId]
    ) -> Mapping[UserId, Glance]:
        """Return what each of *viewers* may see of *users*, by one and the same set of modules."""
        while True:
            modules = self._router.modules
            await self._ask_interest(viewers)
            glances = await self._views.glances(frozenset(viewers), users)
            glances = await self._servers.shown(glances, users)
            if modules is self._router.modules:
                return glances

    async def _ask_interest(self, viewers: Iterable[UserId]) -> None:
        """Ask the modules whom our own *viewers* may see; for others that decides nothing."""
        local = filter(self._is_mine, viewers)
        await asyncio.gather(*(self._views.ask_interest(viewer) for viewer in local))

    # --- what they see --------------------------------------------------------------------

    def _sight(self, viewer: UserId, subject: UserId, glance: Glance) -> Sight:
        actual = glance.states.get(subject) or self._roster.get(subject)
        route = glance.routes.get(subject)
        if not self._is_mine(viewer) and (route is None or not self._is_mine(subject)):
            return self._nothing(viewer, subject)
        if route is not None and route.state is None:
            return Sight(viewer, subject, (), actual, None, Showing.WITHHELD, *_by(route))
        reasons = glance.sights.reasons.get(subject)
        if reasons is None:
            return self._nothing(viewer, subject)
        seen = glance.sights.states[subject]
        showing = Showing.AS_IT_IS if seen == actual else Showing.ALTERED
        by = _by(route) if route else ()
        return Sight(viewer, subject, reasons, actual, seen, showing, *by)

    def _nothing(self, viewer: UserId, subject: UserId) -> Sight:
        return Sight(viewer, subject, (), self._roster.get(subject), None, Showing.NOTHING)

    # --- what would have to change --------------------------------------------------------

    async def _explained(self, sight: Sight, lost: frozenset[str]) -> Explanation:
        hints = tuple(await self._hints(sight, lost))
        rooms = {room for hint in hints for room in hint.rooms} | _rooms_of(sight.reasons)
        return Explanation(sight, hints, await self._room_names.of(rooms))

    async def _hints(self, sight: Sight, lost: frozenset[str]) -> list[Hint]:
        viewer, subject = sight.viewer, sight.subject
        if self._facts.mode is PresenceMode.OFF:
            return [Hint.presence_disabled()]
        hints = [*await self._hints_on_viewer(viewer), *await self._hints_on_subject(subject)]
        if not self._is_mine(viewer) and not self._is_mine(subject):
            hints.append(Hint.not_ours_to_tell(subject))
        if sight.showing is Showing.NOTHING and self._is_mine(viewer):
            hints += await self._hints_on_rooms(viewer, subject)
        return [*hints, *self._hints_on_modules(sight, lost)]

    async def _hints_on_viewer(self, viewer: UserId) -> list[Hint]:
        if self._is_mine(viewer):
            return [] if await self._can_look(viewer) else [Hint.unknown_viewer(viewer)]
        if not self._facts.admits(server_of(viewer)):
            return [Hint.nothing_is_sent(viewer)]
        return [Hint.viewer_elsewhere(viewer)]

    async def _hints_on_subject(self, subject: UserId) -> list[Hint]:
        if self._roster.knows(subject):
            return []
        if await self._lookups.account(subject) is None:
            return [Hint.unknown_subject(subject)]
        return [Hint.never_heard_of(subject)]

    async def _hints_on_rooms(self, viewer: UserId, subject: UserId) -> list[Hint]:
        rooms = set(await self._membership.joined_rooms(viewer))
        shared = rooms.intersection(await self._membership.joined_rooms(subject))
        if not self._facts.shared_rooms:
            return [Hint.rooms_do_not_count(shared)]
        excluded = shared & self._facts.exclude_rooms
        if excluded:
            return [Hint.excluded_rooms(excluded), Hint.no_shared_room()]
        return [] if shared else [Hint.no_shared_room()]

    def _hints_on_modules(self, sight: Sight, lost: frozenset[str]) -> list[Hint]:
        modules = {module.name: module for module in self._router.modules}
        paused = [name for name, module in modules.items() if module.is_paused]
        failed = [name for name in modules if name in lost and name not in paused]
        hints = [*map(Hint.module_paused, paused), *map(Hint.module_failed, failed)]
        if sight.showing is Showing.WITHHELD:
            return [Hint.withheld(sight.altered_by), *hints]
        if sight.sees:
            return hints
        if not modules:
            return [Hint.no_module()]
        return [Hint.not_named(sight.viewer, sight.subject, modules), *hints]

    async def _names_in(self, sights: Iterable[Sight]) -> Mapping[RoomId, str | None]:
        return await self._room_names.of(it for sight in sights for it in _rooms_of(sight.reasons))

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self._facts.server_name


def _by(route: Route) -> tuple[tuple[str, ...], ...]:
    """Return the names of the modules that send or withhold, alter, and are overruled."""
    sending = (*route.modules, *(it for it in route.altering if it not in route.modules))
    # Whom nobody was asked about may be shown otherwise without a module known for altering it.
    by = sending, route.altering or route.modules, route.overruled
    return tuple(tuple(module.name for module in modules) for modules in by)


def _rooms_of(reasons: Reasons) -> set[RoomId]:
    return {reason.room_id for reason in reasons if isinstance(reason, SharedRoom)}
