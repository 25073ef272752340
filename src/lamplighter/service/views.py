"""What a viewer sees who asks afresh: a first sync, an old token, GET status, a snapshot.

Every answer stands on the same three facts: the position of each user's last change, whom the
viewer may see, and since which position. Outboxes only make it faster.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from lamplighter.clock import Clock, Timestamp, milliseconds
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.plan import Planner, Routes, Telling
from lamplighter.routing.router import PresenceRouter
from lamplighter.routing.visibility import ModuleInterests
from lamplighter.service.publisher import Publisher

__all__ = [
    "INTEREST_KEPT",
    "Reading",
    "Scope",
    "Views",
    "everything",
    "first_sync",
    "online_or",
    "since",
]

#: An answer of `get_interested_users` is kept at most this long.
INTEREST_KEPT: Final = timedelta(seconds=60)

#: Whether a user's state belongs into an answer: by the state, the position of its last change,
#: and since which position the viewer may see the user (None: by a route only).
Scope: TypeAlias = Callable[[UserPresenceState, StreamPosition, StreamPosition | None], bool]


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer to one `/sync`: the updates, newest first, and the position they lead to."""

    updates: Sequence[Update]
    position: StreamPosition


def first_sync(viewer: UserId) -> Scope:
    """Whoever is not offline, offline users with a status message, and oneself."""
    return lambda state, _changed, _visible: (
        state.state != Presence.OFFLINE or bool(state.status_msg) or state.user_id == viewer
    )


def everything() -> Scope:
    """Everybody: the answer to a token that says nothing to us."""
    return lambda _state, _changed, _visible: True


def since(position: StreamPosition) -> Scope:
    """Whoever has changed, or come into sight, after *position*."""
    return lambda _state, changed, visible: (
        changed > position or (visible is not None and visible > position)
    )


def online_or(scope: Scope) -> Scope:
    """Whoever is not offline, besides those of *scope*."""
    return lambda state, changed, visible: (
        state.state != Presence.OFFLINE or scope(state, changed, visible)
    )


class Views:
    """Computes what single viewers see."""

    def __init__(
        self,
        *,
        clock: Clock,
        tracker: PresenceTracker,
        planner: Planner,
        router: PresenceRouter,
        interests: ModuleInterests,
        feed: Feed,
        publisher: Publisher,
        module_timeout: timedelta,
    ) -> None:
        self._clock = clock
        # Asked again a time-out early: an answer in use is never older than it may be.
        self._fresh = max(INTEREST_KEPT - module_timeout, INTEREST_KEPT / 2)
        self._tracker = tracker
        self._planner = planner
        self._router = router
        self._interests = interests
        self._feed = feed
        self._publisher = publisher
        #: One question per viewer at a time, whoever waits for it.
        self._asking: dict[UserId, asyncio.Task[None]] = {}

    async def read(
        self,
        viewer: UserId,
        scope: Scope,
        *,
        after: StreamPosition | None = None,
        unknown_users: bool = False,
    ) -> Reading:
        """Return everybody of *scope* whom the viewer may see, and what the outbox has *after*.

        With *unknown_users*, also those of whom nothing was ever heard: they are offline.
        """
        while True:
            outbox = self._feed.open(viewer)
            began = self._feed.position
            await self.ask_interest(viewer)
            # Only what the modules are asked about is told: they might alter anything else.
            asked = {UserId(state.user_id): state for state in self._tracker.known()}
            routes = await self._routes(asked.values())
            if self._feed.outbox(viewer) is outbox:  # else it missed what was published meanwhile
                break
        tellings = self._planner.plan(
            self._candidates(viewer, asked, unknown_users), routes, {viewer}
        )
        updates = {update.state.user_id: update for update in self._updates(tellings, viewer)}
        chosen = {
            user_id: update
            for user_id, update in updates.items()
            if scope(update.state, update.position, self._visible_since(viewer, UserId(user_id)))
        }
        for update in outbox.after(began if after is None else after):
            user_id = update.state.user_id
            fresh = updates.get(user_id, update)
            # What was published while the modules thought is newer than what they were asked about.
            is_newer = update.position > began and update.about >= fresh.about
            chosen[user_id] = update if is_newer else fresh
        newest_first = sorted(chosen.values(), key=lambda it: it.about, reverse=True)
        return Reading(newest_first, self._feed.position)

    async def see(self, viewer: UserId, user_id: UserId) -> Update | None:
        """Return what the viewer sees of the user, or None if they may not see them."""
        await self.ask_interest(viewer)
        state = self._tracker.get(user_id)
        # Modules are not asked about people who were never heard of: whoever asks chooses the name.
        routes = await self._routes([state] if self._tracker.user(user_id) else [])
        tellings = self._planner.plan([state], routes, {viewer})
        about_user = [telling for telling in tellings if telling.user_id == user_id]
        return next(self._updates(about_user, viewer), None)

    async def ask_interest(self, viewer: UserId) -> None:
        """Make sure that the modules' answer for the viewer is not older than it may be."""
        while self._is_due(viewer):
            await self.ask_interest_anew(viewer)

    async def ask_interest_anew(self, viewer: UserId) -> None:
        """Ask the modules for the viewer; whom they name newly, all the viewer's tokens tell of."""
        task = self._asking.get(viewer)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask_interest(viewer))
            self._asking[viewer] = task
        await asyncio.shield(task)

    def knows_interest(self, viewer: UserId) -> bool:
        """Tell whether a viewer's outbox holds all they may see: else the modules must be asked."""
        return not self._router.modules or self._interests.asked_at(viewer) is not None

    def forget_interest(self, viewer: UserId) -> None:
        """Forget what the modules answered for the viewer: the next question goes to them."""
        self._interests.forget(viewer)
        self._asking.pop(viewer, None)  # that question was asked too early

    async def introduce(self, viewers: Iterable[UserId], users: Iterable[UserId]) -> None:
        """Tell *viewers* of *users* who have come into their sight, if ever heard of."""
        known = [user_id for user_id in users if self._tracker.user(user_id) is not None]
        states = [self._tracker.get(user_id) for user_id in known]
        viewing = self._feed.viewers & set(viewers)
        if not states or not viewing:
            return
        about = self._feed.position  # what changes while the modules think is newer than this
        routes = await self._routes(states)
        wanted = {state.user_id for state in states}
        tellings = self._planner.plan(states, routes, viewing)
        self._publisher.tell([it for it in tellings if it.user_id in wanted], about)

    def due_for_interest(self) -> Sequence[UserId]:
        """Return the viewers whose answers will soon be older than they may be."""
        return self._interests.asked_before(self._stale())

    async def _ask_interest(self, viewer: UserId) -> None:
        interest = await self._router.interested_users(viewer)
        if self._asking.get(viewer) is not asyncio.current_task():
            return  # forgotten before it came
        del self._asking[viewer]
        knew = self.knows_interest(viewer)
        position = self._publisher.advance()
        self._interests.keep(viewer, interest, position, self._clock.now())
        if not knew or self._interests.names_anybody_since(viewer, position):
            self._feed.outdate(viewer)

    async def _routes(self, states: Iterable[UserPresenceState]) -> Routes:
        asked = list(states)
        if not self._router.modules or not asked:
            return {}
        return await self._router.inquire(asked).complete()

    def _candidates(
        self, viewer: UserId, known: Mapping[UserId, UserPresenceState], unknown_users: bool
    ) -> list[UserPresenceState]:
        users = self._planner.candidates(viewer)
        if self._planner.sees_all(viewer):
            users |= known.keys()
        if unknown_users:
            unheard = {user_id for user_id in users if self._tracker.user(user_id) is None}
        else:
            unheard = {viewer} if self._tracker.user(viewer) is None else set()
        return [
            *(known[user_id] for user_id in users & known.keys()),
            *(UserPresenceState.default(user_id) for user_id in unheard),
        ]

    def _updates(self, tellings: Iterable[Telling], viewer: UserId) -> Iterator[Update]:
        for telling in tellings:
            told, changed = (
                self._publisher.told_at(telling.user_id),
                self._publisher.changed_at(telling.user_id),
            )
            yield Update(telling.state, telling.recipients[viewer], told, changed)

    def _visible_since(self, viewer: UserId, user_id: UserId) -> StreamPosition | None:
        return self._planner.visible_since(viewer, user_id)

    def _is_due(self, viewer: UserId) -> bool:
        asked_at = self._interests.asked_at(viewer)
        return bool(self._router.modules) and (asked_at is None or asked_at <= self._stale())

    def _stale(self) -> Timestamp:
        return Timestamp(self._clock.now() - milliseconds(self._fresh))
