"""The end of visibility: a viewer who may not see a user any more is told `offline`, once.

The update says nothing of how the user is. Whether the viewer gets it depends only on what the
viewer could see before: if the user was offline at the end, as the viewer knows, there is nothing
to say, unless a module has shown the viewer another state.

A leave is heard by every node, and each node finds out what it ends. What modules show no more is
known where they were asked; that node tells all (`VisibilityEnded`).
"""

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

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
from lamplighter.service.background import Background
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.roster import Roster

__all__ = ["VisibilityEnds"]

#: So many users, if they are more than half of all, are told by who is not among them.
_MANY: Final = 1_000


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
    #: By viewer, whose ends the other nodes may not have heard of: their entries are lost.
    _unheard: dict[UserId, set[UserId]] = field(init=False, default_factory=dict)

    def begin_to_look(self, viewers: Iterable[UserId], users: Iterable[UserId]) -> None:
        """Call `look` in the background; note the ends at once if there are no modules."""
        # Viewers of other servers have no client here.
        viewers = frozenset(it for it in viewers if server_of(it) == self.server_name)
        users = frozenset(users)
        if self.router.modules:
            work = self.background.run(self.look(viewers, users))
            self.unsettled.until_done(work, viewers, self.feed.position)
        else:
            self._end(viewers, self.roster.known_of(users), {})

    async def look(self, viewers: AbstractSet[UserId], users: AbstractSet[UserId]) -> None:
        """Note the end for each of *viewers* who may not see one of *users* any more.

        A viewer may see the users whose states modules send, so the modules are asked, once for
        all. A lost answer makes nobody visible, here as in GET status.
        """
        invisible = self._invisible(viewers, self.roster.known_of(users))
        if invisible:
            self._end(viewers, invisible, await self._routed(viewers, invisible))

    async def shown_no_more(
        self, viewer: UserId, users: AbstractSet[UserId], *, is_stale: bool
    ) -> None:
        """Have all nodes note the end for *viewer* of those of *users* who are not visible.

        *is_stale* is whether visibility has ended some time ago: then nothing depends on how the
        users are by now. Returns once this node has noted it, or cannot tell the others: then none
        notes it before `say_again`.
        """
        known = users if is_stale else self.roster.known_of(users).keys()
        invisible = self._invisible({viewer}, known)
        if not invisible:
            return
        ended = invisible - (await self._routed({viewer}, invisible)).get(viewer, frozenset())
        if not ended:
            return
        entry = VisibilityEnded(viewer, self._told(ended), is_stale)
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def lost(_error: ClusterUnavailable) -> None:
            self._unheard.setdefault(viewer, set()).update(ended)
            finish(noted)

        self.deliverer.stream.append(entry, lambda _position: finish(noted), lost)
        await noted

    def ended(self, _position: StreamPosition, entry: VisibilityEnded) -> None:
        """Note the end for the viewer of those users who are not visible here either.

        Of many nodes, none knows what the viewer has heard of the users at the others.
        """
        is_stale = entry.is_stale or not self.deliverer.stream.is_current
        self._note(entry, is_stale=is_stale)
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

    def _note(self, entry: VisibilityEnded, *, is_stale: bool) -> None:
        if isinstance(entry.users, EverybodyBut):
            self._end_crowd(entry.viewer, frozenset(entry.users.users), is_stale=is_stale)
        else:
            self._end({entry.viewer}, entry.users, {}, is_stale=is_stale)

    def _everybody(self) -> frozenset[UserId]:
        return frozenset(UserId(it.user_id) for it in self.roster.known())

    def _invisible(
        self, viewers: AbstractSet[UserId], users: Iterable[UserId]
    ) -> AbstractSet[UserId]:
        sees = self.planner.sees
        return {it for it in users if not all(sees(viewer, it) for viewer in viewers)}

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
            self._end({viewer}, self.roster.known_of(sent), {})
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

    def left_former_room(self, room_id: RoomId, leaver: UserId) -> None:
        """Remember, by pairs, that the leaver and the other members saw each other by the room."""
        for one, other, ended in self.former_rooms.left(room_id, leaver):
            is_mine = server_of(one) == self.server_name
            if ended > BEGINNING and is_mine and not self.planner.sees(one, other):
                self.endings.put(one, other, ended)

    def _end(
        self,
        viewers: AbstractSet[UserId],
        users: Iterable[UserId],
        routed: Mapping[UserId, AbstractSet[UserId]],
        *,
        is_stale: bool = False,
    ) -> None:
        """Note the end for each of *viewers* who has no reason left to see one of *users*."""
        position = self.deliverer.advance()
        for user_id in users:
            last = self.roster.last(user_id).told
            ending = _ending(user_id, position)
            for viewer in viewers:
                if user_id in routed.get(viewer, ()) or self.planner.sees(viewer, user_id):
                    continue
                if server_of(viewer) != self.server_name:
                    continue
                is_news = is_stale or self._is_news(viewer, user_id)
                self.endings.put(viewer, user_id, position if is_news else last)
                self.feed.end(viewer, ending, is_news=is_news)

    def _end_crowd(self, viewer: UserId, spared: AbstractSet[UserId], *, is_stale: bool) -> None:
        """Note the end for *viewer* of everybody but *spared*, and those who are visible here.

        A client that returns is told so of all of them, however they were.
        """
        position, everybody = self.deliverer.advance(), self._everybody()
        self.endings.put_crowd(viewer, everybody, spared, position)
        if self.feed.outbox(viewer) is None:
            return
        for user_id in everybody - spared:
            if not self.planner.sees(viewer, user_id):
                is_news = is_stale or self._is_news(viewer, user_id)
                self.feed.end(viewer, _ending(user_id, position), is_news=is_news)

    def _is_news(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the viewer may show something else than that the user is offline."""
        return not self._is_offline(user_id) or self._is_altered(viewer, user_id)

    def _is_offline(self, user_id: UserId) -> bool:
        state = self.roster.get(user_id)
        return state.state == Presence.OFFLINE and not state.status_msg

    def _is_altered(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the viewer may have been shown another state of the user than theirs."""
        return user_id in self._once_altered or any(
            user_id in module.alters.get(viewer, ()) for module in self.router.modules
        )


def _ending(user_id: UserId, position: StreamPosition) -> Update:
    return Update(UserPresenceState.default(user_id), (), position, position)
