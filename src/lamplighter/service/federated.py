"""Users of other servers: what their servers say of them, and which are remembered."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.cluster.entries import Forgotten
from lamplighter.cluster.stream import Stream
from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.ports import Outgoing
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.machine import StateSource
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.intake import Intake
from lamplighter.service.publisher import Publisher
from lamplighter.service.remotes import RemoteUsers
from lamplighter.service.settings import CoreSettings

__all__ = ["MOST_SILENT", "FederatedPresence"]

#: A start forgets users of whom their server has sent nothing for this long.
MOST_SILENT: Final = timedelta(days=7)


@dataclass(eq=False)
class FederatedPresence:
    """Takes in what other servers say, and finds what they may have missed."""

    settings: CoreSettings
    tracker: PresenceTracker
    intake: Intake
    publisher: Publisher
    stream: Stream
    outgoing: Outgoing
    _users: RemoteUsers = field(init=False, default_factory=lambda: RemoteUsers(()))

    def remote_updates(self, updates: Iterable[RemoteUpdate]) -> None:
        """Take in how other servers' users are; each update is about a user of its origin."""
        if self.settings.hears_clients:
            for update in self.admitted(updates):
                self.intake.accept(update)

    def heard_from(self, server_name: ServerName) -> None:
        """Note that a server has sent a request, so that it is sent what waits for it soon."""
        self.outgoing.heard_from(server_name)

    def admitted(self, updates: Iterable[RemoteUpdate]) -> Iterator[RemoteUpdate]:
        """Yield the *updates* that change anything here, to be fed to the tracker one by one.

        Somebody unheard of who is offline is nobody to remember. Who gives up a place for another
        one is offline before they are forgotten.
        """
        for update in updates:
            if self.tracker.user(update.user_id) is not None:
                self._users.heard_of(update.user_id)
            elif update.presence is Presence.OFFLINE and not update.status_msg:
                continue
            else:
                forgotten = self._users.admit(update.user_id, self._is_offline)
                if forgotten is None:
                    continue
                for user_id in forgotten:
                    if not self._is_offline(user_id):
                        yield RemoteUpdate(user_id, Presence.OFFLINE)
                    self.publisher.after_published(partial(self._forget, user_id))
            yield update

    def restore(self, now: Timestamp) -> None:
        """Take in who was known before a restart; forget those who were silent for `MOST_SILENT`.

        As many as there are places for are taken in, the last heard of.
        """
        users = (self.tracker.user(UserId(it.user_id)) for it in self.tracker.known())
        heard_of = sorted(
            (
                user.state
                for user in users
                if user is not None
                and user.source is StateSource.SERVER
                and not self._is_mine(UserId(user.state.user_id))
            ),
            key=lambda state: state.last_federation_update_ts,
        )
        silent_since = now - milliseconds(MOST_SILENT)
        self._users = RemoteUsers(
            UserId(it.user_id) for it in heard_of if it.last_federation_update_ts > silent_since
        )
        for state in heard_of:
            self._forget(UserId(state.user_id))

    def recently_told(self, now: Timestamp) -> Sequence[UserPresenceState]:
        """Return our own users whom other servers may still believe to be what they last were.

        What was on its way to them when the process ended is lost, and this makes up for it.
        """
        silent_since = now - milliseconds(self.settings.rules.timers.federation_timeout)
        return [
            state
            for state in self.tracker.known()
            if self._is_mine(UserId(state.user_id))
            and self.tracker.decides_for(UserId(state.user_id))
            and state.last_federation_update_ts > silent_since
        ]

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self.settings.server_name

    def _is_offline(self, user_id: UserId) -> bool:
        return self.tracker.get(user_id).state == Presence.OFFLINE

    def _forget(self, user_id: UserId) -> None:
        """Forget a user who has no place, if they were not given one again."""
        if user_id not in self._users and self.tracker.decides_for(user_id):
            self.tracker.forget(user_id)
            self.stream.append(Forgotten(user_id))
