"""The end of visibility: who may not see somebody any more is told that they are offline, once.

It tells nothing of the user. Whether it is told depends only on what the viewer could see before:
so the state at the end counts, unless a module shows the viewer another.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from lamplighter.delivery.endings import Endings
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
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


class VisibilityEnds:
    """Looks who has lost sight of whom, and lets them be told."""

    def __init__(
        self,
        server_name: ServerName,
        endings: Endings,
        former_rooms: FormerRooms,
        background: Background,
        *,
        roster: Roster,
        planner: Planner,
        router: ModuleRouter,
        interests: ModuleInterests,
        feed: Feed,
        deliverer: Deliverer,
    ) -> None:
        self._server_name = server_name
        self._roster = roster
        self._planner = planner
        self._router = router
        self._interests = interests
        self._feed = feed
        self._deliverer = deliverer
        self._background = background
        self._endings = endings
        self._former_rooms = former_rooms
        #: Whom modules that are in use no more showed otherwise than they were to somebody.
        self._once_altered: set[UserId] = set()

    def begin_to_look(self, viewers: Iterable[UserId], users: Iterable[UserId]) -> None:
        """Do as `look` does, without being waited for; at once where there are no modules."""
        viewers, users = frozenset(viewers), frozenset(users)
        if self._router.modules:
            self._background.run(self.look(viewers, users))
        else:
            self._end(viewers, self._roster.known_of(users), {})

    async def look(
        self,
        viewers: AbstractSet[UserId],
        users: AbstractSet[UserId],
        *,
        is_stale: bool = False,
    ) -> None:
        """Let each of *viewers* be told of the end who may see one of *users* no more.

        If it has ended some time ago (*is_stale*), nothing depends on what the users are by now.

        They may see whomever modules send them, so the modules are asked: once for all. What they
        do not answer shows nobody to anybody, here as in GET status.
        """
        states = self._roster.known_of(users)
        if is_stale:
            states = {user_id: self._roster.get(user_id) for user_id in users}
        out_of_sight = {
            user_id: state
            for user_id, state in states.items()
            if not all(self._planner.sees(viewer, user_id) for viewer in viewers)
        }
        if not out_of_sight:
            return
        known = list(self._roster.known_of(out_of_sight).values())
        routes = await self._router.routes(known, viewers) if known else {}
        routed = {
            viewer: {user_id for user_id, route in seen.items() if route.state is not None}
            for viewer, seen in routes.items()
            if viewer in viewers
        }
        self._end(viewers, out_of_sight, routed, is_stale=is_stale)

    def sent_by_old_modules(self, altered: AbstractSet[UserId]) -> None:
        """Let viewers be told of the users whom modules sent them that were replaced just now.

        Whoever is shown by the new ones as well is told as they are. Whom the old ones named is
        compared with what the new ones answer. *altered* are the users whom either showed
        otherwise than they were.
        """
        self._once_altered |= altered
        for viewer, users in self._feed.sent_by_modules().items():
            sent = {it for it in users if not self._interests.was_named(viewer, it)}
            self._end({viewer}, self._roster.known_of(sent), {})

    def of(self, viewer: UserId, after: StreamPosition) -> set[UserId]:
        """Return whom the viewer may have ceased to see since the position *after*."""
        seen = self._former_rooms.seen_before(viewer, after)
        return self._endings.after(viewer, after) | seen

    def left_former_room(self, room_id: RoomId, leaver: UserId) -> None:
        """Remember, by pairs, that the leaver and the other members saw each other by the room."""
        for one, other, ended in self._former_rooms.left(room_id, leaver):
            if server_of(one) == self._server_name and not self._planner.sees(one, other):
                self._endings.put(one, other, ended)

    def _end(
        self,
        viewers: AbstractSet[UserId],
        users: Mapping[UserId, UserPresenceState],
        routed: Mapping[UserId, AbstractSet[UserId]],
        *,
        is_stale: bool = False,
    ) -> None:
        """Note the end for each of *viewers* who sees one of *users* by nothing any more."""
        position = self._deliverer.advance()
        for user_id in users:
            state = self._roster.get(user_id)
            is_offline = state.state == Presence.OFFLINE and not state.status_msg
            last = self._roster.last(user_id).told
            shown = UserPresenceState.default(user_id)
            ending = Update(shown, (), position, position)
            for viewer in viewers:
                if user_id in routed.get(viewer, ()) or self._planner.sees(viewer, user_id):
                    continue
                if server_of(viewer) != self._server_name:
                    continue
                # Who was shown as offline as they were is no news to who has heard of that.
                is_news = is_stale or not is_offline or self._is_altered(viewer, user_id)
                self._endings.put(viewer, user_id, position if is_news else last)
                self._feed.end(viewer, ending, is_news=is_news)

    def _is_altered(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the viewer may have been shown another state of the user than theirs."""
        return user_id in self._once_altered or any(
            user_id in module.alters.get(viewer, ()) for module in self._router.modules
        )
