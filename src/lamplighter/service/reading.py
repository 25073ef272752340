"""The answers to viewers: to a `/sync`, with a token or without, and to GET status.

Nearly every poll has its answer at hand, in an outbox (`news_at_once`). What is not at hand is read
from scratch (`views.py`), by what the token says:

- no token, or one of another epoch (`tokens.py`): everybody whom the viewer may see;
- a token from between the last saved change and this start: a crash may have undone what it told
  of, so it is answered like one of another epoch;
- a token ahead of this node: another node has given it, and its entries are still to come; or the
  clock was set back while this node did not run. The node waits for the position, at most
  `MOST_WAITED`, and answers in full if it does not come;
- a token from before a snapshot that the viewer is owed: everybody online, and what is new;
- any other: what is new since then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, after
from lamplighter.cluster.positions import BEGINNING, instant_of
from lamplighter.cluster.stream import Stream
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
from lamplighter.errors import Forbidden
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.reasons import Reasons
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.publisher import Publisher
from lamplighter.service.scopes import everything, first_sync, online_or_since, since
from lamplighter.service.snapshots import Snapshots
from lamplighter.service.switched_off import SwitchedOff
from lamplighter.service.views import INTEREST_KEPT, PresenceAnswer, Views
from lamplighter.service.visibility_memory import VisibilityMemory

__all__ = ["MOST_WAITED", "PresenceReader"]

#: A request whose token is ahead of this node waits this long for the token's position.
MOST_WAITED: Final = timedelta(seconds=2)


@dataclass(eq=False)
class PresenceReader:
    """Answers viewers."""

    feed: Feed
    stream: Stream
    publisher: Publisher
    router: ModuleRouter
    views: Views
    snapshots: Snapshots
    memory: VisibilityMemory
    clock: Clock
    #: Answers polls while presence is off; None while it is on.
    switched_off: SwitchedOff | None
    #: The positions at which something may have been told that a crash has undone.
    unsure: range
    include_offline_users_on_sync: bool = False

    @property
    def position(self) -> StreamPosition:
        """Up to where everything is in the outboxes: the beginning, where presence is off."""
        return self.feed.position if self.switched_off is None else BEGINNING

    @property
    def asks_first(self) -> bool:
        """Whether an answer that does not wait has to ask first where the stream ends."""
        return not self.stream.is_current and self.switched_off is None

    @property
    def is_fresh(self) -> bool:
        """Whether this node has heard some milliseconds ago of all that had happened by then."""
        return self.stream.is_fresh or self.switched_off is not None

    async def read_first(
        self, viewer: UserId, position: StreamPosition | None = None
    ) -> PresenceAnswer:
        """Return what a first `/sync` shows; *position* is that of a token that there is yet."""
        if self.switched_off is not None:
            told = () if position is None else self.switched_off.told(viewer, position)
            return PresenceAnswer(told, BEGINNING)
        await self.caught_up()
        if position is not None:
            await self._recall(viewer, position)
        if self.include_offline_users_on_sync:
            return await self.views.read(viewer, everything(position), unknown_users=True)
        return await self.views.read(viewer, first_sync(viewer, position))

    async def read_everybody(self, viewer: UserId) -> PresenceAnswer:
        """Return everybody whom the viewer may see, those too who are offline or unheard of."""
        if self.switched_off is not None:
            return PresenceAnswer((), BEGINNING)
        await self.caught_up()
        return await self.views.read(viewer, everything(), unknown_users=True)

    async def read_since(self, viewer: UserId, position: StreamPosition | None) -> PresenceAnswer:
        """Return what is new after a token's *position*; everything for one that says nothing."""
        if self.switched_off is not None:
            return PresenceAnswer(self.switched_off.told(viewer, position), BEGINNING)
        is_ahead = position is not None and not await self.feed.reach(position, MOST_WAITED)
        await self.caught_up()
        at_once = self.news_at_once(viewer, position)
        if at_once is not None:
            return PresenceAnswer(at_once, self.feed.position)
        await self._recall(viewer, None if is_ahead else position)
        if position is None or is_ahead:
            return await self.views.read(viewer, everything(BEGINNING))
        if position in self.unsure:  # told, and then lost: of some users nothing else is known
            return await self.views.read(viewer, everything(BEGINNING), unknown_users=True)
        if self.snapshots.is_owed(viewer, position):
            return await self.views.read(viewer, online_or_since(position))
        return await self.views.read(viewer, since(position))

    def news_at_once(
        self, viewer: UserId, position: StreamPosition | None, seen: StreamPosition | None = None
    ) -> Sequence[Update] | None:
        """Return the updates that `read_since` would; None where it would wait, or compute much.

        Nearly every poll calls this, so it takes no task and no cycle of the loop. What it
        returns leads to `position`. It would wait for what the client has *seen* at another node.
        """
        if self.switched_off is not None:
            return () if position == BEGINNING else None
        if position is None or position > self.feed.position or position in self.unsure:
            return None
        if seen is not None and seen > self.feed.position:
            return None
        known = self.feed.viewers.get(viewer)
        if known is None or position < known.outbox.since:
            return None
        if self.snapshots.are_owed and self.snapshots.is_owed(viewer, position):
            return None
        if not self.publisher.is_published:
            return None
        if self.router.modules and not self.views.knows_interest(viewer):
            return None
        return known.outbox.after(position) if position < self.feed.position else ()

    async def status(self, viewer: UserId, user_id: UserId) -> UserPresenceState:
        """Return the user's presence as the viewer may see it.

        Raises:
            Forbidden: they may not; the same for users that do not exist.

        """
        seen = await self.seen(viewer, user_id)
        if seen is None:
            raise Forbidden(f"You may not see the presence of {user_id}")
        return seen[0]

    async def seen(
        self, viewer: UserId, user_id: UserId
    ) -> tuple[UserPresenceState, Reasons] | None:
        """Return what the viewer sees of the user, and why; None if they may not."""
        await self.caught_up()
        update = await self.views.see(viewer, user_id)
        return (update.state, update.reasons) if update is not None else None

    async def _recall(self, viewer: UserId, position: StreamPosition | None) -> None:
        """Find out, where it matters, whom modules named for a viewer at another node.

        A node that a viewer has just left tells all nodes whom it hides from then on. The viewer
        may have left long ago if the token has no *position*.
        """
        is_of_long_ago = (
            position is None or after(instant_of(position), INTEREST_KEPT) <= self.clock.now()
        )
        knows = self.stream.is_current or self.views.knows_interest(viewer)
        if is_of_long_ago and not knows:
            await self.memory.recall(viewer)

    async def caught_up(self) -> None:
        """Return once everything that has happened so far, on any node, is in the outboxes."""
        await self.publisher.published()
        if not self.stream.is_current:
            await self.stream.catch_up()
