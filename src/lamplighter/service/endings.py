"""The end of visibility: a viewer who may not see a user any more is told `offline`, once.

The update says nothing of how the user is. Whether the viewer gets it depends only on what the
viewer could see before: if the user was offline at the end, as the viewer knows, there is nothing
to say, unless a module has shown the viewer another state.

A leave is heard by every node, and each node finds out what it ends. What modules show no more is
known where they were asked; that node tells all (`VisibilityEnded`).

Modules may think while a user goes offline. The viewer is not told of that, because the visibility
has ended: so the end is news to the viewer, too, if the user has changed since.

When many users leave a large room at once, the pairs of viewer and user are the square of their
number. `_PAIRS_AT_ONCE` are looked at in one cycle of the event loop, and the others in later ones:
a node that is busy for seconds loses its lease.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from lamplighter.clock import next_turn
from lamplighter.cluster.entries import EverybodyBut, VisibilityEnded
from lamplighter.cluster.positions import BEGINNING
from lamplighter.delivery.endings import Endings
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
from lamplighter.delivery.unsettled import Unsettled
from lamplighter.errors import ClusterUnavailable
from lamplighter.futures import finish
from lamplighter.ids import RoomId, ServerName, StreamPosition, UserId, server_of
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.counting import FormerRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import ModuleInterests
from lamplighter.service.background import Background, Burst
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.roster import Roster

__all__ = ["VisibilityEnds"]

#: So many users, if they are more than half of all, are told by who is not among them.
_MANY: Final = 1_000
#: So many pairs take about ten milliseconds.
_PAIRS_AT_ONCE: Final = 10_000


@dataclass(eq=False)
class VisibilityEnds:
    """Finds the viewers who may not see a user any more, and notes the end for them."""

    server_name: ServerName
    endings: Endings
    former_rooms: FormerRooms
    background: Background
    roster: Roster
    planner: Planner
    router: ModuleRouter
    interests: ModuleInterests
    feed: Feed
    deliverer: Deliverer
    unsettled: Unsettled
    #: The users whom modules that were replaced have shown to somebody in an altered state.
    _once_altered: set[UserId] = field(init=False, default_factory=set)
    #: The pairs that were looked at in this cycle of the event loop.
    _burst: Burst = field(init=False, default_factory=lambda: Burst(_PAIRS_AT_ONCE))
    #: The work that is put off is done one after the other.
    _put_off: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    #: By viewer, whose ends the other nodes may not have heard of: their entries are lost.
    _unheard: dict[UserId, set[UserId]] = field(init=False, default_factory=dict)

    def begin_to_look(self, viewers: Iterable[UserId], users: Iterable[UserId]) -> None:
        """Call `look` in the background; note the ends at once if that is little work."""
        # Viewers of other servers have no client here.
        viewers = frozenset(it for it in viewers if server_of(it) == self.server_name)
        users = frozenset(filter(self.roster.knows, users))
        since = self.feed.position
        if self.router.modules or self._burst.cycles(len(viewers) * len(users)):
            work = self.background.run(self.look(viewers, users, since))
            self.unsettled.until_done(work, viewers, since)
        else:
            self._end(viewers, users, {}, since)

    async def look(
        self, viewers: AbstractSet[UserId], users: AbstractSet[UserId], since: StreamPosition
    ) -> None:
        """Note the end, at *since*, for each of *viewers* who may not see one of *users* any more.

        All of *users* were heard of. A viewer may see the users whose states modules send, so the
        modules are asked, once for all. A lost answer makes nobody visible, here as in GET status.
        """
        invisible = await self._invisible(viewers, users)
        if invisible:
            routed = await self._routed(viewers, invisible)
            async with self._put_off:
                async for seen in _by_turns(invisible, 1):
                    async for seeing in _by_turns(viewers, len(seen)):
                        self._end(seeing, seen, routed, since)

    async def shown_no_more(
        self, viewer: UserId, users: AbstractSet[UserId], *, is_stale: bool
    ) -> None:
        """Have all nodes note the end for *viewer* of those of *users* who are not visible.

        *is_stale* is whether visibility has ended some time ago: then nothing depends on how the
        users are by now. Returns once this node has noted it, or cannot tell the others: then none
        notes it before `say_again`.
        """
        since = None if is_stale else self.feed.position
        known = users if is_stale else self.roster.known_of(users).keys()
        invisible = await self._invisible({viewer}, known)
        if not invisible:
            return
        ended = invisible - (await self._routed({viewer}, invisible)).get(viewer, frozenset())
        if not ended:
            return
        entry = VisibilityEnded(viewer, self._told(ended), is_stale, since)
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def lost(_error: ClusterUnavailable) -> None:
            self._unheard.setdefault(viewer, set()).update(ended)
            finish(noted)

        self.deliverer.stream.append(entry, lambda _position: finish(noted), lost)
        await noted

    def ended(self, position: StreamPosition, entry: VisibilityEnded) -> None:
        """Note the end for the viewer of those users who are not visible here either.

        Of many nodes, none knows what the viewer has heard of the users at the others.
        """
        is_stale = entry.is_stale or not self.deliverer.stream.is_current
        since = BEGINNING if is_stale else entry.since or position
        if isinstance(entry.users, EverybodyBut):
            self._end_crowd(entry.viewer, frozenset(entry.users.users), since)
        else:
            self._end({entry.viewer}, entry.users, {}, since)
        if unheard := self._unheard.get(entry.viewer):  # one of its entries was written after all
            told = entry.users
            unheard -= unheard if isinstance(told, EverybodyBut) else frozenset(told)

    async def say_again(self) -> None:
        """Tell all nodes, this one too, of the ends whose entries are lost."""
        unheard, self._unheard = self._unheard, {}
        for viewer, users in unheard.items():
            await self.shown_no_more(viewer, users, is_stale=True)

    def _told(self, ended: AbstractSet[UserId]) -> tuple[UserId, ...] | EverybodyBut:
        """Return how an entry names *ended*: in the shorter way, if they are many."""
        if len(ended) >= _MANY:
            known = self._everybody()
            if ended <= known and 2 * len(ended) > len(known):
                return EverybodyBut(tuple(known - ended))
        return tuple(ended)

    def _everybody(self) -> frozenset[UserId]:
        return frozenset(UserId(it.user_id) for it in self.roster.known())

    async def _invisible(
        self, viewers: AbstractSet[UserId], users: Collection[UserId]
    ) -> AbstractSet[UserId]:
        """Return those of *users* whom not all of *viewers* see."""
        sees, invisible = self.planner.sees, set[UserId]()
        async for some in _by_turns(users, len(viewers)):
            invisible |= {it for it in some if not all(sees(viewer, it) for viewer in viewers)}
        return invisible

    async def _routed(
        self, viewers: AbstractSet[UserId], users: AbstractSet[UserId]
    ) -> Mapping[UserId, AbstractSet[UserId]]:
        """Return whom of *users* modules send to each of *viewers*."""
        known = list(self.roster.known_of(users).values())
        routes = await self.router.routes(known, viewers) if known else {}
        return {
            viewer: {user_id for user_id, route in seen.items() if route.state is not None}
            for viewer, seen in routes.items()
            if viewer in viewers
        }

    def sent_by_old_modules(self, altered: AbstractSet[UserId]) -> None:
        """Note the end for viewers of the users whose states only the old modules sent.

        A user whom the new modules show as well is delivered again. The users whom the old modules
        named are compared with the answers of the new ones. *altered* are the users whom either
        have shown in an altered state.
        """
        self._once_altered |= altered
        for viewer, users in self.feed.sent_by_modules().items():
            sent = {it for it in users if not self.interests.was_named(viewer, it)}
            self._end({viewer}, self.roster.known_of(sent), {}, self.feed.position)
            if sent and not self.deliverer.stream.is_current:
                self.background.run(self.shown_no_more(viewer, sent, is_stale=True))

    def of(self, viewer: UserId, after: StreamPosition) -> set[UserId]:
        """Return the users who have ceased to be visible to the viewer after *after*."""
        seen = self.former_rooms.seen_before(viewer, after)
        return self.endings.after(viewer, after) | seen

    def room_ceased(
        self, room_id: RoomId, members: Iterable[UserId], position: StreamPosition
    ) -> None:
        """Note the end, at *position*, for each member of a room that does not count any more."""
        for user_id in members:
            if not self.roster.knows(user_id):
                ended = BEGINNING
            elif self.router.modules or not self._is_offline(user_id):
                ended = position
            else:  # viewers who have heard that the user is offline get no news
                ended = self.roster.last(user_id).told
            self.former_rooms.joined(room_id, user_id, ended)

    def room_began(self, room_id: RoomId) -> None:
        """Forget a room that counts again: whoever returns is told how its members are."""
        self.former_rooms.forget(room_id)

    def left_former_room(self, room_id: RoomId, leavers: Iterable[UserId]) -> None:
        """Remember, by pairs, that the leavers and the other members saw each other by the room."""
        members = dict(self.former_rooms.members(room_id))
        left = {it: members[it] for it in leavers if it in members}
        if left:
            self.background.run(self._leave_former_room(room_id, left, members))

    async def _leave_former_room(
        self,
        room_id: RoomId,
        leavers: Mapping[UserId, StreamPosition],
        members: Mapping[UserId, StreamPosition],
    ) -> None:
        async with self._put_off:
            async for some in _by_turns(leavers, len(members)):
                self._remember(some, members)
            async for some in _by_turns(members.keys() - leavers.keys(), len(leavers)):
                self._remember(some, leavers)
        for leaver, ended in leavers.items():
            self.former_rooms.left(room_id, leaver, ended)

    def _remember(self, viewers: Iterable[UserId], seen: Mapping[UserId, StreamPosition]) -> None:
        """Remember until when *viewers* saw each of the users *seen*, if they do not see them."""
        sees = self.planner.sees
        for viewer in viewers:
            if server_of(viewer) == self.server_name:
                until = ((it, at) for it, at in seen.items() if at > BEGINNING)
                if ended := {it: at for it, at in until if not sees(viewer, it)}:
                    self.endings.put(viewer, ended)

    def _end(
        self,
        viewers: Iterable[UserId],
        users: Iterable[UserId],
        routed: Mapping[UserId, AbstractSet[UserId]],
        since: StreamPosition,
    ) -> None:
        """Note the end, at *since*, for each of *viewers* who has no reason to see one of *users*.

        *routed* are those of *users* whom modules send to each viewer.
        """
        position, sees = self.deliverer.advance(), self.planner.sees
        ends = [(it, _ending(it, position), self._is_news(it, since)) for it in users]
        for viewer in viewers:
            if server_of(viewer) != self.server_name:
                continue
            sent, ended = routed.get(viewer, frozenset()), dict[UserId, StreamPosition]()
            for user_id, ending, is_news_to_all in ends:
                if user_id in sent or sees(viewer, user_id):
                    continue
                is_news = is_news_to_all or self._is_altered(viewer, user_id)
                ended[user_id] = position if is_news else self.roster.last(user_id).told
                self.feed.end(viewer, ending, is_news=is_news)
            if ended:
                self.endings.put(viewer, ended)

    def _end_crowd(
        self, viewer: UserId, spared: AbstractSet[UserId], since: StreamPosition
    ) -> None:
        """Note the end for *viewer* of everybody but *spared*, and those who are visible here.

        A client that returns is told so of all of them, however they were.
        """
        position, everybody = self.deliverer.advance(), self._everybody()
        self.endings.put_crowd(viewer, everybody, spared, position)
        if self.feed.outbox(viewer) is None:
            return
        for user_id in everybody - spared:
            if not self.planner.sees(viewer, user_id):
                is_news = self._is_news(user_id, since) or self._is_altered(viewer, user_id)
                self.feed.end(viewer, _ending(user_id, position), is_news=is_news)

    def _is_news(self, user_id: UserId, since: StreamPosition) -> bool:
        """Tell whether a viewer may show something else than that the user is offline.

        A viewer who does not see the user since *since* was not told what has changed since then.
        """
        return (
            since == BEGINNING
            or not self._is_offline(user_id)
            or self.roster.has_changed_since(user_id, since)
        )

    def _is_offline(self, user_id: UserId) -> bool:
        state = self.roster.get(user_id)
        return state.state == Presence.OFFLINE and not state.status_msg

    def _is_altered(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the viewer may have been shown another state of the user than theirs."""
        return user_id in self._once_altered or any(
            user_id in module.alters.get(viewer, ()) for module in self.router.modules
        )


async def _by_turns(items: Collection[UserId], others: int) -> AsyncIterator[Sequence[UserId]]:
    """Yield parts of *items*, each in a later cycle of the event loop.

    With so many *others*, no part has more than `_PAIRS_AT_ONCE` pairs.
    """
    ordered, size = list(items), max(1, _PAIRS_AT_ONCE // max(1, others))
    for start in range(0, len(ordered), size):
        if start:
            await next_turn()
        yield ordered[start : start + size]


def _ending(user_id: UserId, position: StreamPosition) -> Update:
    return Update(UserPresenceState.default(user_id), (), position, position)
