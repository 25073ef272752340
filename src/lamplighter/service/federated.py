"""The front door's part for other servers: what is heard of them, and told to them unasked."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.publisher import Publisher
from lamplighter.service.remotes import RemoteUsers
from lamplighter.service.views import Views

__all__ = ["FederatedPresence"]


class FederatedPresence:
    """Knows whose word counts, and what other servers may have missed."""

    def __init__(
        self,
        server_name: ServerName,
        tracker: PresenceTracker,
        views: Views,
        publisher: Publisher,
        federation_timeout: timedelta,
    ) -> None:
        """*federation_timeout* is how long other servers believe what they were told."""
        self._server_name = server_name
        self._tracker = tracker
        self._views = views
        self._publisher = publisher
        self._federation_timeout = federation_timeout
        self._users = RemoteUsers(it for it in self._known_users() if not self.is_mine(it))

    def is_mine(self, user_id: UserId) -> bool:
        """Tell whether the user is one of this server."""
        return server_of(user_id) == self._server_name

    def admitted(self, updates: Iterable[RemoteUpdate]) -> Iterator[RemoteUpdate]:
        """Yield the *updates* that change anything here, to be fed to the tracker one by one.

        Somebody unheard of who is offline is nobody to remember.
        """
        for update in updates:
            if self._tracker.user(update.user_id) is None:
                if update.presence is Presence.OFFLINE and not update.status_msg:
                    continue
                if not self._users.admit(update.user_id):
                    continue
            yield update

    def recently_told(self, now: Timestamp) -> Sequence[UserPresenceState]:
        """Return our own users whom other servers may still believe to be what they last were.

        What was on its way to them when the process ended is lost, and this makes up for it.
        """
        silent_since = now - milliseconds(self._federation_timeout)
        return [state for state in self._own() if state.last_federation_update_ts > silent_since]

    async def show_online(self, viewers: AbstractSet[UserId]) -> None:
        """Send the servers of *viewers*, remote users, what each may see of who is online."""
        if not viewers:
            return
        for viewer in viewers:
            self._views.forget_interest(viewer)
            await self._views.ask_interest(viewer)
        online = [state for state in self._own() if state.state != Presence.OFFLINE]
        await self._publisher.show(viewers, online)

    def _own(self) -> Iterator[UserPresenceState]:
        known = self._tracker.known()
        return (state for state in known if self.is_mine(UserId(state.user_id)))

    def _known_users(self) -> Iterator[UserId]:
        return (UserId(state.user_id) for state in self._tracker.known())
