"""Answers from scratch: a first sync, an old token, GET status, a snapshot.

Every answer stands on the same three facts: the position of each user's last change, whom the
viewer may see, and since which position. Outboxes only make it faster.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from operator import attrgetter
from typing import Final

from lamplighter.clock import Clock, Timestamp, milliseconds
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Outbox, Update
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.plan import Planner, Route, Routes, VisibleStates
from lamplighter.routing.router import Inquiry, ModuleRouter
from lamplighter.routing.visibility import ModuleInterests, NoLongerNamed
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.roster import KnownUser, Roster
from lamplighter.service.scopes import Scope
from lamplighter.service.shared_questions import SharedQuestions
from lamplighter.service.witness import FreshView, Witness

__all__ = [
    "INTEREST_KEPT",
    "ExplainedView",
    "PresenceAnswer",
    "Views",
]

#: An answer of `get_interested_users` is used at most this long.
INTEREST_KEPT: Final = timedelta(seconds=60)

#: A module-level name: attribute access on an enumeration is slow in the loop of `_chosen`.
_OFFLINE: Final = Presence.OFFLINE

#: A question about more users is shared with other viewers, who may have to wait for each other.
_MOST_ALONE: Final = 100


@dataclass(frozen=True, slots=True)
class PresenceAnswer:
    """An answer to one `/sync`: the updates, newest first, and the position they lead to."""

    updates: Sequence[Update]
    position: StreamPosition


@dataclass(frozen=True, slots=True)
class ExplainedView:
    """The users whom one viewer may see at this moment, with states, routes and lost answers."""

    #: The users who were asked about, as they are.
    states: Mapping[UserId, UserPresenceState]
    #: The states that modules send the viewer.
    routes: Mapping[UserId, Route]
    visible: VisibleStates
    #: The modules whose answer was lost, whole or in part: they might have said more.
    lost: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Found:
    """What an answer is made of."""

    #: Everything up to here is in the states, and what came later is in the outbox.
    position: StreamPosition
    #: The users whom the viewer may see, and perhaps others, as they were at that position.
    known: Mapping[UserId, KnownUser]
    #: Those of whom the client learns that it may not see them any more.
    ended: AbstractSet[UserId]
    routes: Routes


_NOBODY_ASKED: Final = Inquiry((), {})
_about: Final = attrgetter("about")


@dataclass(eq=False)
class Views:
    """Computes what single viewers see."""

    clock: Clock
    roster: Roster
    planner: Planner
    router: ModuleRouter
    interests: ModuleInterests
    feed: Feed
    deliverer: Deliverer
    ends: VisibilityEnds
    shared: SharedQuestions
    module_timeout: timedelta
    witness: Witness
    #: One question per viewer at a time, for all who wait for it.
    _asking: dict[UserId, asyncio.Task[None]] = field(init=False, default_factory=dict)

    async def read(
        self, viewer: UserId, scope: Scope, *, unknown_users: bool = False
    ) -> PresenceAnswer:
        """Return everybody of *scope* whom the viewer may see, and what the outbox has to add.

        With *unknown_users*, also those of whom nothing was ever heard: they are offline.
        """
        while True:
            outbox = self.feed.open(viewer)
            await self.ask_interest(viewer)
            found = await self._found(viewer, scope, outbox)
            if self.feed.outbox(viewer) is outbox:  # else it missed what was published meanwhile
                break
        began, known, ended, routes = found.position, found.known, found.ended, found.routes
        asked = {user_id: it.state for user_id, it in known.items()}
        asked.update(self._unheard(viewer, everybody=unknown_users))
        visible = self.planner.view(viewer, asked, routes)
        is_whole = scope.online or scope.after is None
        self.witness.viewed(FreshView(viewer, True, is_whole, asked, visible))
        chosen = self._chosen(viewer, scope, visible, known)
        chosen.update({it: self._update(it, visible) or self._ending(it) for it in ended})
        for update in outbox.after(began if scope.after is None else scope.after):
            user_id = UserId(update.state.user_id)
            fresh = self._update(user_id, visible) or update
            # A change that was published before the modules answered is newer than their answer.
            is_newer = update.position > began and update.about >= fresh.about
            if is_newer and not update.reasons and self.planner.sees(viewer, user_id):
                is_newer = False  # the user is visible again
            newest = update if is_newer else fresh
            if newest.reasons or scope.ended is not None:
                chosen[user_id] = newest
            else:  # the client shows nobody of whom it could have ended
                chosen.pop(user_id, None)
        newest_first = sorted(chosen.values(), key=_about, reverse=True)
        return PresenceAnswer(newest_first, self.feed.position)

    async def see(self, viewer: UserId, user_id: UserId) -> Update | None:
        """Return what the viewer sees of the user, or None if they may not see them."""
        while True:
            modules = self.router.modules
            await self.ask_interest(viewer)
            if not self.roster.knows(user_id):
                await self._ask_in_their_place(viewer)
            view = (await self.explained({viewer}, {user_id}))[viewer]
            if modules is self.router.modules:  # else others may answer otherwise
                break
        if self.roster.knows(user_id):
            self.witness.viewed(FreshView(viewer, False, False, view.states, view.visible))
        return self._update(user_id, view.visible)

    async def _ask_in_their_place(self, viewer: UserId) -> None:
        """Ask the modules about *viewer* in the place of a user who was never heard of.

        Otherwise the time of the answer would reveal whether the user was ever here, because
        modules take time for users who were. They are not asked about the name itself, because the
        requester chooses it.
        """
        if self.router.modules:
            await self.router.completed([self.roster.get(viewer)], {viewer})

    async def explained(
        self, viewers: AbstractSet[UserId], users: Iterable[UserId]
    ) -> Mapping[UserId, ExplainedView]:
        """Return what each of *viewers*, after `ask_interest`, may see of *users*.

        Offline are those who were never heard of.
        """
        states = {user_id: self.roster.get(user_id) for user_id in users}
        # Modules are not asked about users who were never heard of: the requester chooses the name.
        known = list(self.roster.known_of(states).values())
        inquiry = await self.router.completed(known, viewers) if known else _NOBODY_ASKED
        routes = inquiry.routes()
        return {
            viewer: ExplainedView(
                states,
                routes.get(viewer, {}),
                self.planner.view(viewer, states, routes),
                inquiry.lost() | self.interests.lost_for(viewer),
            )
            for viewer in viewers
        }

    def perhaps_visible(self, viewer: UserId) -> set[UserId]:
        """Return everybody whom the viewer, after `ask_interest`, may see, and perhaps others."""
        # Modules may send anybody's presence to anybody.
        known = self.roster.known() if self.router.modules else ()
        return {UserId(it.user_id) for it in known} | self.planner.candidates(viewer)

    async def routes_of(self, users: AbstractSet[UserId]) -> Routes:
        """Return what modules would send of *users* to whom, if they changed now."""
        return await self._routes(self.roster.known_of(users).values())

    async def ask_interest(self, viewer: UserId) -> None:
        """Make sure that the modules' answer for the viewer is not older than it may be."""
        while self._is_due(viewer):
            await self.ask_interest_anew(viewer)

    async def ask_interest_anew(self, viewer: UserId) -> None:
        """Ask the modules for the viewer; the users whom they name newly are news to all tokens."""
        task = self._asking.get(viewer)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask_interest(viewer))
            self._asking[viewer] = task
        await asyncio.shield(task)

    async def ask_interest_once_more(self, viewer: UserId) -> None:
        """Find out whom the modules name no more for a viewer who may have gone to another node.

        The other node does not know whom they have named here.
        """
        await self.ask_interest_anew(viewer)
        if not self.feed.is_waiting(viewer):
            self.forget_interest(viewer)

    def knows_interest(self, viewer: UserId) -> bool:
        """Tell whether a viewer's outbox holds all they may see: else the modules must be asked."""
        return not self.router.modules or self.interests.asked_at(viewer) is not None

    def forget_interest(self, viewer: UserId) -> None:
        """Forget what the modules answered for the viewer: the next question goes to them."""
        self.interests.forget(viewer)
        self.witness.away((viewer,))
        self._asking.pop(viewer, None)  # that question was asked too early

    def forget_interests(self) -> None:
        """Forget what the modules answered for anybody, and since when: all of it is news again."""
        self.interests.clear()
        self._asking.clear()
        self.shared.begin_anew()
        self.witness.away(list(self.feed.viewers))

    async def deliver_states(self, viewers: Iterable[UserId], users: Iterable[UserId]) -> None:
        """Deliver the states of *users*, who have become visible to *viewers*, if ever heard of."""
        known = [user_id for user_id in users if self.roster.knows(user_id)]
        states = [self.roster.get(user_id) for user_id in known]
        viewing = self.feed.viewers.keys() & set(viewers)
        if not states or not viewing:
            return
        about = self.feed.position  # what changes while the modules think is newer than this
        routes = await self._routes(states, viewing)
        wanted = {state.user_id for state in states}
        deliveries = self.planner.plan(states, routes, viewing)
        self.deliverer.deliver_here([it for it in deliveries if it.user_id in wanted], about)

    def due_for_interest(self) -> Sequence[UserId]:
        """Return the viewers whose answers will soon be older than they may be."""
        return self.interests.asked_before(self._stale())

    async def _ask_interest(self, viewer: UserId) -> None:
        try:
            interest = await self.router.interested_users(viewer)
        finally:  # also after a failure, which those who come later are not to share
            is_forgotten = self._asking.get(viewer) is not asyncio.current_task()
            if not is_forgotten:
                del self._asking[viewer]
        if is_forgotten:
            return  # before the answer came
        knew = self.knows_interest(viewer)
        position = self.deliverer.advance()
        unnamed = self.interests.cache(viewer, interest, position, self.clock.now())
        if not knew or self.interests.names_anybody_since(viewer, position):
            self.feed.outdate(viewer)
        if unnamed:
            await self.end_unnamed(viewer, unnamed)

    async def end_unnamed(self, viewer: UserId, unnamed: NoLongerNamed) -> None:
        """Have all nodes note the end for *viewer* of those whom modules do not name any more."""
        known = (UserId(it.user_id) for it in self.roster.known())
        users = {*known} if unnamed.all_users else unnamed.users
        await self.ends.shown_no_more(viewer, users, is_stale=unnamed.is_stale)

    async def _found(self, viewer: UserId, scope: Scope, outbox: Outbox) -> "_Found":
        """Find out who is in question, how they are, and what modules send of them."""
        # The answer holds only what modules are asked about: they might alter anything else.
        ended = self._ended(viewer, scope)
        users = self._in_question(viewer, scope, outbox)
        if self.router.modules and (users is None or len(users) + len(ended) > _MOST_ALONE):
            return await self._found_by_sharing(viewer, scope, users, ended)
        position = self.feed.position
        everybody = self.planner.candidates(viewer) if users is None else users
        known = self.roster.last_of({*everybody, *ended})
        routes = await self._routes([it.state for it in known.values()], {viewer})
        return _Found(position, known, ended, routes)

    async def _found_by_sharing(
        self,
        viewer: UserId,
        scope: Scope,
        users: AbstractSet[UserId] | None,
        ended: AbstractSet[UserId],
    ) -> "_Found":
        """Do as `_found` does, with a question that other viewers share.

        The work is in proportion to whom the viewer may see.
        """
        if users is None or scope.after is None:
            answer = await self.shared.about_everybody(viewer)
        else:
            answer = await self.shared.about(viewer, scope.after, {*users, *ended})
        routes = answer.inquiry.routes_to(viewer)
        ended = self._ended(viewer, scope)
        known = answer.known
        if self.planner.sees_all_since(viewer) is None:
            reach = {*self.planner.candidates(viewer), *routes.get(viewer, ()), *ended}
            known = {user_id: known[user_id] for user_id in reach & known.keys()}
        return _Found(answer.position, known, ended, routes)

    def _ended(self, viewer: UserId, scope: Scope) -> AbstractSet[UserId]:
        return frozenset() if scope.ended is None else self.ends.of(viewer, scope.ended)

    async def _routes(
        self, states: Iterable[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> Routes:
        if not self.router.modules:
            return {}
        asked = list(states)
        if not asked:
            return {}
        return await self.router.routes(asked, viewers)

    def _in_question(
        self, viewer: UserId, scope: Scope, outbox: Outbox
    ) -> AbstractSet[UserId] | None:
        """Return everybody of *scope* whom the viewer may see, and perhaps others.

        None is everybody: if modules are asked, all who were heard of, else the candidates.
        """
        if scope.after is None or scope.online:
            return None
        newer = self._newer(viewer, scope.after)
        if newer is None:
            return None
        told = (UserId(update.state.user_id) for update in outbox.after(scope.after))
        return {*newer, *told}

    def _newer(self, viewer: UserId, position: StreamPosition) -> AbstractSet[UserId] | None:
        """Return who is new, None for everybody.

        The work is in proportion to all news, or to who is in reach if less. If modules are asked,
        those who have changed may be left out where there are more than `_MOST_ALONE`.
        """
        all_since = self.planner.sees_all_since(viewer)
        if all_since is not None and all_since > position:
            return None
        most = _MOST_ALONE + 1 if self.router.modules else self.planner.max_candidates(viewer)
        changed = set(islice(self.roster.told_after(position), most))
        if len(changed) == most and not self.router.modules:
            return None
        return changed | self.planner.became_visible(viewer, position)

    def _unheard(self, viewer: UserId, *, everybody: bool) -> dict[UserId, UserPresenceState]:
        users = self.planner.candidates(viewer) if everybody else {viewer}
        return {
            user_id: UserPresenceState.default(user_id)
            for user_id in users
            if not self.roster.knows(user_id)
        }

    def _chosen(
        self,
        viewer: UserId,
        scope: Scope,
        visible: VisibleStates,
        known: Mapping[UserId, KnownUser],
    ) -> dict[UserId, Update]:
        # This loop runs for each of 5,000 users: the first of these questions decides for most.
        states, online, known_of = visible.states, scope.online, known.get
        chosen: dict[UserId, Update] = {}
        for user_id, reasons in visible.reasons.items():
            state, last = states[user_id], known_of(user_id) or self.roster.last(user_id)
            if (
                (online and state.state != _OFFLINE)
                or scope.admits_state(state)
                or scope.admits_news(last.told)
                or (
                    scope.after is not None
                    and scope.admits_news(self.planner.visible_since(viewer, user_id))
                )
            ):
                chosen[user_id] = Update(state, reasons, last.told, last.changed)
        return chosen

    def _ending(self, user_id: UserId) -> Update:
        """Return the update for a user who is not visible any more: it has no reasons."""
        position = self.feed.position
        return Update(UserPresenceState.default(user_id), (), position, position)

    def _update(self, user_id: UserId, visible: VisibleStates) -> Update | None:
        reasons = visible.reasons.get(user_id)
        if reasons is None:
            return None
        last = self.roster.last(user_id)
        return Update(visible.states[user_id], reasons, last.told, last.changed)

    def _is_due(self, viewer: UserId) -> bool:
        asked_at = self.interests.asked_at(viewer)
        if not self.router.modules:  # but there were some, whose last answer is not ended yet
            return self.interests.remembers(viewer)
        return asked_at is None or asked_at <= self._stale()

    def _stale(self) -> Timestamp:
        # Asked again two time-outs early: an answer in use is never older than it may be, although
        # it may be in use while a shared question waits for another one.
        fresh = max(INTEREST_KEPT - 2 * self.module_timeout, INTEREST_KEPT / 2)
        return Timestamp(self.clock.now() - milliseconds(fresh))
