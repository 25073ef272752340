"""Whether a viewer sees a user, why, and what would have to change.

Every answer is a view from scratch (`Views.explained`), as GET status is: the same plan, the same
modules. Nothing here decides anything: it reports the decision and what stands behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from lamplighter.config import PresenceMode
from lamplighter.ids import RoomId, ServerName, UserId, server_of
from lamplighter.ports import Lookups, Membership
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import Reasons, SharedRoom
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.hints import Hint, HintKind
from lamplighter.service.room_names import RoomNames
from lamplighter.service.roster import Roster
from lamplighter.service.server_visibility import ServerVisibility
from lamplighter.service.views import ExplainedView, Views

__all__ = ["Explanation", "Explanations", "RoutingFacts", "SeenPage", "SeenUser", "ShownAs"]


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """The configuration's part in visibility."""

    server_name: ServerName
    mode: PresenceMode = PresenceMode.TRACKED
    shared_rooms: bool = True
    exclude_rooms: frozenset[RoomId] = frozenset()
    #: How many members a room has at most that counts, None for any number; and why, in words.
    most_members: int | None = None
    members_rule: str = ""
    #: Whether anything may be sent to another server.
    admits: Callable[[ServerName], bool] = lambda _server_name: False


class ShownAs(StrEnum):
    """How a viewer is shown somebody."""

    AS_IT_IS = "as it is"
    #: A module shows this viewer something else.
    ALTERED = "altered"
    #: A module that usually alters it has not answered.
    WITHHELD = "withheld"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class SeenUser:
    """The state of one subject that one viewer sees, and why."""

    viewer: UserId
    subject: UserId
    reasons: Reasons
    #: The subject's presence as it is.
    actual: UserPresenceState
    #: As this viewer sees it; None if they do not.
    seen: UserPresenceState | None
    showing: ShownAs
    #: The modules that send the viewer the subject's presence, or withhold it.
    modules: tuple[str, ...] = ()
    #: The modules that have altered it, or withhold it.
    altered_by: tuple[str, ...] = ()
    #: The modules that have altered it otherwise: a later module in the configuration decides.
    overruled: tuple[str, ...] = ()

    @property
    def sees(self) -> bool:
        """Whether the viewer sees the subject."""
        return self.seen is not None


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer, with the hints and room names that belong to it."""

    answer: SeenUser
    #: For a no, what would have to change; for a yes, what may be missing from it.
    hints: tuple[Hint, ...]
    #: The names of the rooms above; None for a room without one.
    room_names: Mapping[RoomId, str | None]


@dataclass(frozen=True, slots=True)
class SeenPage:
    """A part of whom one viewer sees, or of who sees one subject, in the order of user IDs."""

    answers: Sequence[SeenUser]
    room_names: Mapping[RoomId, str | None]
    #: After whom the next part begins; None at the end. A part may be empty before the end.
    next_from: UserId | None


@dataclass(eq=False)
class Explanations:
    """Explains who sees whom."""

    facts: RoutingFacts
    lookups: Lookups
    membership: Membership
    roster: Roster
    router: ModuleRouter
    #: Returns once everything is known that has happened so far, on any node.
    caught_up: Callable[[], Awaitable[None]]
    views: Views
    servers: ServerVisibility
    room_names: RoomNames
    rooms: SharedRooms

    async def explain(self, viewer: UserId, subject: UserId) -> Explanation:
        """Tell whether *viewer* sees *subject*, why, and what would have to change."""
        await self.caught_up()
        if not await self._may_see(viewer):
            return await self._explained(self._nothing(viewer, subject), frozenset())
        view = (await self._explained_views([viewer], {subject}))[viewer]
        return await self._explained(self._answer(viewer, subject, view), view.lost)

    async def sees(self, viewer: UserId, after: UserId | None, limit: int) -> SeenPage:
        """Return whom *viewer* sees: at most *limit* of them, from behind *after* on."""
        await self.caught_up()
        if not await self._may_see(viewer):
            return SeenPage((), {}, None)
        await self._ask_interest([viewer])
        view = (await self._explained_views([viewer], self.views.perhaps_visible(viewer)))[viewer]
        answers = [self._answer(viewer, subject, view) for subject in sorted(view.visible.reasons)]
        ahead = [it for it in answers if it.sees and (after is None or it.subject > after)]
        next_from = ahead[limit - 1].subject if len(ahead) > limit else None
        return SeenPage(ahead[:limit], await self._names_in(ahead[:limit]), next_from)

    async def seen_by(self, subject: UserId, after: UserId | None, limit: int) -> SeenPage:
        """Return who of the next *limit* possible viewers behind *after* sees *subject*."""
        await self.caught_up()
        possible = await self._possible_viewers(subject, after, limit)
        viewers = [viewer for viewer in possible if possible[viewer]]
        explained = await self._explained_views(viewers, {subject})
        answers = [self._answer(viewer, subject, explained[viewer]) for viewer in viewers]
        seeing = [answer for answer in answers if answer.sees]
        next_from = max(possible) if len(possible) == limit else None
        return SeenPage(seeing, await self._names_in(seeing), next_from)

    # --- possible viewers -------------------------------------------------------------------

    async def _may_see(self, viewer: UserId) -> bool:
        if self.facts.mode is PresenceMode.OFF:
            return False
        if not self._is_mine(viewer):
            return self.facts.admits(server_of(viewer))
        account = await self.lookups.account(viewer)
        return account is not None and not account.is_deactivated

    async def _possible_viewers(
        self, subject: UserId, after: UserId | None, limit: int
    ) -> dict[UserId, bool]:
        """Return the next *limit* users behind *after*, and whether each may see anybody."""
        if self.facts.mode is PresenceMode.OFF:
            return {}
        accounts = await self.lookups.accounts(after, limit)
        users = {account.user_id: not account.is_deactivated for account in accounts}
        routes = await self.views.routes_of({subject})
        for viewer in routes.keys() | self.servers.viewers_by_rooms(subject):
            if not self._is_mine(viewer) and (after is None or viewer > after):
                users[viewer] = self.facts.admits(server_of(viewer))
        return dict(sorted(users.items())[:limit])

    async def _explained_views(
        self, viewers: Collection[UserId], users: AbstractSet[UserId]
    ) -> Mapping[UserId, ExplainedView]:
        """Return what each of *viewers* may see of *users*, by one and the same set of modules."""
        while True:
            modules = self.router.modules
            await self._ask_interest(viewers)
            explained = await self.views.explained(frozenset(viewers), users)
            explained = await self.servers.shown(explained, users)
            if modules is self.router.modules:
                return explained

    async def _ask_interest(self, viewers: Iterable[UserId]) -> None:
        """Ask the modules whom our own *viewers* may see; for others that decides nothing."""
        local = filter(self._is_mine, viewers)
        await asyncio.gather(*(self.views.ask_interest(viewer) for viewer in local))

    # --- what they see --------------------------------------------------------------------

    def _answer(self, viewer: UserId, subject: UserId, view: ExplainedView) -> SeenUser:
        actual = view.states.get(subject) or self.roster.get(subject)
        route = view.routes.get(subject)
        if not self._is_mine(viewer) and not self._is_mine(subject):
            return self._nothing(viewer, subject)
        if route is not None and route.state is None:
            return SeenUser(viewer, subject, (), actual, None, ShownAs.WITHHELD, *_by(route))
        reasons = view.visible.reasons.get(subject)
        if reasons is None:
            return self._nothing(viewer, subject)
        seen = view.visible.states[subject]
        showing = ShownAs.AS_IT_IS if seen == actual else ShownAs.ALTERED
        by = _by(route) if route else ()
        return SeenUser(viewer, subject, reasons, actual, seen, showing, *by)

    def _nothing(self, viewer: UserId, subject: UserId) -> SeenUser:
        return SeenUser(viewer, subject, (), self.roster.get(subject), None, ShownAs.NOTHING)

    # --- what would have to change --------------------------------------------------------

    async def _explained(self, answer: SeenUser, lost: frozenset[str]) -> Explanation:
        hints = tuple(await self._hints(answer, lost))
        rooms = {room for hint in hints for room in hint.rooms} | _rooms_of(answer.reasons)
        return Explanation(answer, hints, await self.room_names.of(rooms))

    async def _hints(self, answer: SeenUser, lost: frozenset[str]) -> list[Hint]:
        viewer, subject = answer.viewer, answer.subject
        hint = partial(Hint.about, viewer=viewer, subject=subject)
        if self.facts.mode is PresenceMode.OFF:
            return [hint(HintKind.PRESENCE_DISABLED)]
        kinds: list[HintKind] = []
        if not self._is_mine(viewer):
            admits = self.facts.admits(server_of(viewer))
            kinds.append(HintKind.VIEWER_ELSEWHERE if admits else HintKind.NOTHING_IS_SENT)
        elif not await self._may_see(viewer):
            kinds.append(HintKind.UNKNOWN_VIEWER)
        if not self.roster.knows(subject):
            exists = await self.lookups.account(subject) is not None
            kinds.append(HintKind.NEVER_HEARD_OF if exists else HintKind.UNKNOWN_SUBJECT)
        if not self._is_mine(viewer) and not self._is_mine(subject):
            kinds.append(HintKind.NOT_OURS_TO_TELL)
        hints = [hint(kind) for kind in kinds]
        if answer.showing is ShownAs.NOTHING and self._is_mine(viewer):
            hints += await self._hints_on_rooms(viewer, subject)
        modules = self._hints_on_modules(answer, lost)
        return [*hints, *(hint(kind, modules=names) for kind, names in modules)]

    async def _hints_on_rooms(self, viewer: UserId, subject: UserId) -> list[Hint]:
        hint = partial(Hint.about, viewer=viewer, subject=subject)
        rooms = set(await self.membership.joined_rooms(viewer))
        shared = rooms.intersection(await self.membership.joined_rooms(subject))
        if not self.facts.shared_rooms:
            return [hint(HintKind.ROOMS_DO_NOT_COUNT, rooms=shared)]
        excluded = shared & self.facts.exclude_rooms
        hints = [hint(HintKind.EXCLUDED_ROOMS, rooms=excluded)] if excluded else []
        hints += self._hints_on_large_rooms(shared)
        return [*hints, hint(HintKind.NO_SHARED_ROOM)] if hints or not shared else []

    def _hints_on_large_rooms(self, shared: AbstractSet[RoomId]) -> Iterator[Hint]:
        most = self.facts.most_members
        for room_id in sorted(shared) if most is not None else ():
            members = self.rooms.apart(room_id)
            if members is not None and most is not None:
                yield Hint.of_large_room(room_id, len(members), most, self.facts.members_rule)

    def _hints_on_modules(
        self, answer: SeenUser, lost: frozenset[str]
    ) -> Iterator[tuple[HintKind, Collection[str]]]:
        modules = {module.name: module for module in self.router.modules}
        if answer.showing is ShownAs.WITHHELD:
            yield HintKind.WITHHELD, answer.altered_by
        elif not answer.sees and not modules:
            yield HintKind.NO_MODULE, ()
        elif not answer.sees:
            yield HintKind.NOT_NAMED, modules
        paused = [name for name, module in modules.items() if module.is_paused]
        for name in paused:
            yield HintKind.MODULE_PAUSED, (name,)
        for name in modules:
            if name in lost and name not in paused:
                yield HintKind.MODULE_FAILED, (name,)

    async def _names_in(self, answers: Iterable[SeenUser]) -> Mapping[RoomId, str | None]:
        return await self.room_names.of(
            it for answer in answers for it in _rooms_of(answer.reasons)
        )

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self.facts.server_name


def _by(route: Route) -> tuple[tuple[str, ...], ...]:
    """Return the names of the modules that send or withhold, alter, and are overruled."""
    sending = (*route.modules, *(it for it in route.altering if it not in route.modules))
    # Whom nobody was asked about may be shown otherwise without a module known for altering it.
    by = sending, route.altering or route.modules, route.overruled
    return tuple(tuple(module.name for module in modules) for modules in by)


def _rooms_of(reasons: Reasons) -> set[RoomId]:
    return {reason.room_id for reason in reasons if isinstance(reason, SharedRoom)}
