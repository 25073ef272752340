"""The interface of presence for modules."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from lamplighter.cluster.entries import SnapshotFor
from lamplighter.cluster.stream import Stream
from lamplighter.ids import UserId, server_of
from lamplighter.presence.events import SetByModule
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.intake import Intake
from lamplighter.service.publisher import Publisher
from lamplighter.service.reminders import Reminders
from lamplighter.service.roster import Roster
from lamplighter.service.settings import CoreSettings
from lamplighter.service.subscribers import PresenceCallback, Subscribers
from lamplighter.service.views import Views

__all__ = ["PresenceForModules"]


@dataclass(eq=False)
class PresenceForModules:
    """The `PresenceHost` of a server's modules."""

    settings: CoreSettings
    tracker: PresenceTracker
    roster: Roster
    intake: Intake
    publisher: Publisher
    stream: Stream
    views: Views
    reminders: Reminders
    subscribers: Subscribers

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        """Set presence because a module says so; it is announced in any case."""
        if self.settings.is_off:
            return
        for user_id, (presence, status_msg) in users.items():
            self.intake.accept(SetByModule(user_id, presence, status_msg))
        await self.publisher.published()

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        """Show each of *users* who is online: local ones with their next `/sync`.

        The servers of the others are sent what each may see of our own users.
        """
        self.stream.append(SnapshotFor(tuple(filter(self._is_mine, users))))
        elsewhere = {user_id for user_id in users if not self._is_mine(user_id)}
        if not elsewhere:
            return
        for viewer in elsewhere:
            self.views.forget_interest(viewer)
            await self.views.ask_interest(viewer)
        online = [state for state in self.roster.known() if self._is_online(state)]
        await self.reminders.show(elsewhere, online)

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        """Return the user's presence; no visibility is checked.

        A module that is asked about a change finds the change here, though it is not published yet:
        the node that owns a user, and asks the modules, has the newest state.
        """
        user = self.tracker.user(user_id)
        return user.state if user else self.roster.get(user_id)

    def subscribe(self, callback: PresenceCallback, module: str) -> Callable[[], None]:
        """Call *callback* with each batch of announced states; return what ends that."""
        return self.subscribers.subscribe(callback, module)

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self.settings.server_name

    def _is_online(self, state: UserPresenceState) -> bool:
        return state.state != Presence.OFFLINE and self._is_mine(UserId(state.user_id))
