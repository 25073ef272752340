"""The front door of presence: what requests, modules and the directory may do and ask."""

import asyncio
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Final

import structlog

from lamplighter.clock import Clock, Timer, Timestamp
from lamplighter.cluster.positions import BEGINNING
from lamplighter.config import PresenceMode
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
from lamplighter.errors import Forbidden, StorageUnavailable
from lamplighter.ids import DeviceId, StreamPosition, UserId
from lamplighter.ports import MembershipChange, Requester
from lamplighter.presence.events import (
    AccountDeactivated,
    Activity,
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
)
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.routing.reasons import Reasons
from lamplighter.service.background import Background
from lamplighter.service.batch import done
from lamplighter.service.connections import Connections, Polls
from lamplighter.service.federated import FederatedPresence
from lamplighter.service.memberships import Memberships
from lamplighter.service.publisher import Publisher
from lamplighter.service.settings import CoreSettings
from lamplighter.service.subscribers import PresenceCallback, Subscribers
from lamplighter.service.switched_off import SwitchedOff
from lamplighter.service.views import (
    Reading,
    Scope,
    Views,
    everything,
    first_sync,
    online_or_since,
    since,
)
from lamplighter.service.visibility_memory import VisibilityMemory
from lamplighter.service.witness import Witnesses

__all__ = ["PresenceService"]

_log = structlog.get_logger(__name__)

#: So many viewers may be owed a snapshot; beyond that, those owed longest get none.
_MOST_SNAPSHOTS: Final = 20_000


class PresenceService:
    """Strings the parts together; decides nothing about presence itself."""

    def __init__(
        self,
        *,
        clock: Clock,
        tracker: PresenceTracker,
        feed: Feed,
        publisher: Publisher,
        views: Views,
        memberships: Memberships,
        federated: FederatedPresence,
        subscribers: Subscribers,
        background: Background,
        settings: CoreSettings,
        switched_off: SwitchedOff | None,
        memory: VisibilityMemory,
        unsure: range,
        allows: Callable[[Requester], bool],
        witness: Witnesses,
    ) -> None:
        """String the parts together.

        *allows* tells whether a device may change its presence by polling once more.

        *switched_off* is what answers polls while there is no presence.

        *unsure* are the positions between the last saved change and this start: tokens from there
        may have told of changes that a crash has undone.
        """
        self._clock = clock
        self._tracker = tracker
        self._feed = feed
        self._publisher = publisher
        self._views = views
        self._memberships = memberships
        self._federated = federated
        self._subscribers = subscribers
        self._background = background
        self._settings = settings
        self._switched_off = switched_off
        self._memory = memory
        self._unsure = unsure
        self._witness = witness
        self._deadline: tuple[Timestamp, Timer] | None = None
        #: Viewers who get one snapshot, for tokens before the position.
        self._snapshots: dict[UserId, StreamPosition] = {}
        self._connections = Connections(tracker, clock, self._feed_tracker, allows)
        self._hears_clients = settings.mode is PresenceMode.TRACKED
        #: Let a poll look at each news of the viewer's, until `release`.
        self.wait = feed.wait
        #: End a poll.
        self.release = feed.release
        #: A poll that `connect` began is over.
        self.disconnect = self._connections.end
        #: Let an observer see everything that is published; it must return at once.
        self.observe = witness.observe

    # --- what clients do ------------------------------------------------------------------

    def connect(
        self, requester: Requester, set_presence: Presence | None, *, is_first: bool = False
    ) -> Polls | None:
        """Count the requester's device as connected until `disconnect`.

        `offline` leaves its presence alone. *is_first* is whether the poll has no since token.
        """
        if set_presence is Presence.OFFLINE or not self._hears_clients:
            return None
        return self._connections.begin(requester, set_presence, is_first=is_first)

    def set_status(
        self, requester: Requester, presence: Presence, status_msg: str | None
    ) -> "asyncio.Future[None]":
        """Set the requester's presence; return what is done once that survives the process's death.

        It holds `StorageUnavailable` if it cannot be kept. Others may have been given the same.
        """
        if not self._hears_clients:
            return done()
        user_id, device_id = requester.user_id, requester.device_id
        self._feed_tracker(StatusSet(user_id, device_id, presence, status_msg))
        return self._publisher.saved()

    def acted(self, requester: Requester) -> None:
        """The requester typed, read, or sent an event."""
        if self._hears_clients:
            self._feed_tracker(Activity(requester.user_id, requester.device_id))

    # --- what clients ask -----------------------------------------------------------------

    async def read_first(self, viewer: UserId, position: StreamPosition | None = None) -> Reading:
        """Return what a first `/sync` shows; *position* is that of a token that there is yet."""
        if self._switched_off is not None:
            told = () if position is None else self._switched_off.told(viewer, position)
            return Reading(told, BEGINNING)
        await self._publisher.published()
        if self._settings.include_offline_users_on_sync:
            return await self._read(viewer, everything(position), unknown_users=True)
        return await self._read(viewer, first_sync(viewer, position))

    async def read_everybody(self, viewer: UserId) -> Reading:
        """Return everybody whom the viewer may see, those too who are offline or unheard of."""
        if self._switched_off is not None:
            return Reading((), BEGINNING)
        await self._publisher.published()
        return await self._read(viewer, everything(), unknown_users=True)

    async def read_since(self, viewer: UserId, position: StreamPosition | None) -> Reading:
        """Return what is new after a token's *position*; everything for one that says nothing."""
        if self._switched_off is not None:
            return Reading(self._switched_off.told(viewer, position), BEGINNING)
        await self._publisher.published()
        at_once = self.news_at_once(viewer, position)
        if at_once is not None:
            return Reading(at_once, self._feed.position)
        if position is None or position > self._feed.position or position in self._unsure:
            return await self._read(viewer, everything(BEGINNING))
        if position < self._snapshots.get(viewer, position):
            return await self._read(viewer, online_or_since(position))
        return await self._read(viewer, since(position))

    def news_at_once(
        self, viewer: UserId, position: StreamPosition | None
    ) -> Sequence[Update] | None:
        """Return the updates that `read_since` would; None where it would wait, or compute much.

        It is what nearly every poll needs, so it takes no task and no turn of the loop. What it
        returns leads to `position`.
        """
        if self._switched_off is not None:
            return () if position == BEGINNING else None
        if position is None or position > self._feed.position or position in self._unsure:
            return None
        outbox = self._feed.outbox(viewer)
        if outbox is None or position < outbox.since:
            return None
        if self._snapshots and position < self._snapshots.get(viewer, position):
            return None
        if not self._publisher.is_published or not self._views.knows_interest(viewer):
            return None
        return outbox.after(position) if position < self._feed.position else ()

    async def status(self, viewer: UserId, user_id: UserId) -> UserPresenceState:
        """Return the user's presence as the viewer may see it.

        Raises:
            Forbidden: they may not; the same for users that do not exist.

        """
        seen = await self.sight(viewer, user_id)
        if seen is None:
            raise Forbidden(f"You may not see the presence of {user_id}")
        return seen[0]

    async def sight(
        self, viewer: UserId, user_id: UserId
    ) -> tuple[UserPresenceState, Reasons] | None:
        """Return what the viewer sees of the user, and why; None if they may not."""
        await self._publisher.published()
        update = await self._views.see(viewer, user_id)
        return (update.state, update.reasons) if update is not None else None

    @property
    def position(self) -> StreamPosition:
        """Up to where everything is in the outboxes: the beginning, where presence is off."""
        return self._feed.position if self._switched_off is None else BEGINNING

    # --- what other servers say -----------------------------------------------------------

    def remote_updates(self, updates: Iterable[RemoteUpdate]) -> None:
        """Take in how other servers' users are; each update is about a user of its origin."""
        if not self._hears_clients:
            return
        for update in self._federated.admitted(updates):
            self._feed_tracker(update)

    # --- what modules do and ask ----------------------------------------------------------

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        """Set presence by a module's word; announced in any case."""
        if self._settings.mode is PresenceMode.OFF:
            return
        for user_id, (presence, status_msg) in users.items():
            self._feed_tracker(SetByModule(user_id, presence, status_msg))
        await self._publisher.published()

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        """Show each of *users* who is online: local ones with their next `/sync`.

        The servers of the others are sent what each may see of our own users.
        """
        position = self._publisher.advance()
        for user_id in users:
            if self._federated.is_mine(user_id):
                self._views.forget_interest(user_id)
                self._snapshots.pop(user_id, None)  # so that the new one stands at the end
                self._snapshots[user_id] = position
        for user_id in list(self._snapshots)[: max(0, len(self._snapshots) - _MOST_SNAPSHOTS)]:
            del self._snapshots[user_id]
        self._feed.wake(users)
        await self._federated.show_online(
            {user_id for user_id in users if not self._federated.is_mine(user_id)}
        )

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        """Return the user's presence, whoever asks."""
        return self._tracker.get(user_id)

    def subscribe(self, callback: PresenceCallback, module: str) -> Callable[[], None]:
        """Call *callback* with each batch of announced states; return what ends that."""
        return self._subscribers.subscribe(callback, module)

    # --- what the directory tells (ports.DirectoryListener) -------------------------------

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        """Let both sides of a join see each other, and end sight with a leave."""
        self._publisher.after_published(lambda: self._memberships.change(changes))

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Drop the devices at once, and tell them nothing more."""
        for device_id in device_ids:
            self._feed.revoke(user_id, device_id)
            self._connections.forget(user_id, device_id)
            self._feed_tracker(DeviceGone(user_id, device_id))

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Refuse the polls that were begun with the old tokens; presence stays as it is."""
        for device_id in device_ids:
            self._feed.revoke(user_id, device_id)

    def user_deactivated(self, user_id: UserId) -> None:
        """Drop what is left of the user's presence."""
        self._feed_tracker(AccountDeactivated(user_id))
        self._feed.forget(user_id)
        self._witness.away((user_id,))
        self._views.forget_interest(user_id)
        self._snapshots.pop(user_id, None)

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        """Let the users' polls look at their rooms."""
        self._feed.wake(user_ids)

    # --- time, start and stop -------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the time."""
        self._federated.restore(self._clock.now())
        self._background.every(self._settings.housekeeping, self._keep_house)
        self._background.every(self._settings.interest_check, self._refresh_interests)
        self._background.every(self._connections.lingering, self._connections.sweep)
        self._background.run(
            self._publisher.remind(self._federated.recently_told(self._clock.now()))
        )
        self._schedule()

    async def settled(self) -> None:
        """Return once all that has happened so far is told and would survive a crash.

        What modules are still thinking about is not waited for. Raises `StorageUnavailable`.
        """
        await asyncio.shield(self._publisher.saved())

    @property
    def is_reading(self) -> bool:
        """Whether polls, or modules, are about to say something as soon as they have read it."""
        return self._background.is_busy or self._publisher.waits_for_modules

    def answer_polls(self) -> None:
        """Answer every poll that waits, and let none wait from now on."""
        self._feed.close()

    async def stop(self) -> None:
        """Publish and save what is at hand; nothing is lost."""
        if self._deadline is not None:
            self._deadline[1].cancel()
        self._background.stop()
        await self._publisher.close()
        self._subscribers.close()
        await self._save_unsaved()
        await self._memory.save()

    # --- inside ---------------------------------------------------------------------------

    def _feed_tracker(self, event: Event) -> None:
        self._publisher.publish(self._tracker.feed(event, self._clock.now()))
        self._schedule()

    def _schedule(self) -> None:
        """Have the earliest deadline of any user wake us."""
        due = self._tracker.next_deadline()
        if due is None or (self._deadline is not None and self._deadline[0] <= due):
            return
        if self._deadline is not None:
            self._deadline[1].cancel()
        self._deadline = (due, self._clock.call_at(due, self._expire))

    def _expire(self) -> None:
        self._deadline = None
        self._publisher.publish(self._tracker.expire(self._clock.now()))
        self._schedule()

    async def _read(
        self,
        viewer: UserId,
        scope: Scope,
        *,
        unknown_users: bool = False,
    ) -> Reading:
        return await self._views.read(viewer, scope, unknown_users=unknown_users)

    def _keep_house(self) -> None:
        self._witness.away(self._feed.sweep())
        self._background.run(self._save_unsaved())
        self._background.run(self._memory.save())

    async def _save_unsaved(self) -> None:
        try:
            await self._publisher.save(self._tracker.take_unsaved())
        except StorageUnavailable as problem:
            _log.error("presence could not be saved; it is kept in memory", problem=str(problem))

    def _refresh_interests(self) -> None:
        """Ask the modules anew for those who wait; the others are answered from scratch."""
        for viewer in self._views.due_for_interest():
            if self._feed.is_waiting(viewer):
                self._background.run(self._views.ask_interest_anew(viewer))
            else:
                self._views.forget_interest(viewer)
