"""All users: feed it events and the time, and it returns the changes worth telling."""

from collections.abc import Iterable

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.deadlines import Deadlines
from lamplighter.ids import DeviceId, ServerName, UserId, server_of
from lamplighter.presence import machine
from lamplighter.presence.changes import Change, ChangeReason, reason_to_announce
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.events import Event, SetByModule, Syncing
from lamplighter.presence.machine import Rules, StateSource, TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import pings_at

__all__ = ["PresenceTracker"]


class PresenceTracker:
    """The presence of every user that was ever heard of.

    It never awaits and never looks at a clock. Legal events never raise. What `feed` and
    `expire` return is all that ever changes; what is not worth announcing (a sync's time, a
    second activity) is remembered, and handed out by `take_unsaved`.
    """

    def __init__(self, server_name: ServerName, rules: Rules) -> None:
        self._server_name = server_name
        self._rules = rules
        self._users: dict[UserId, TrackedUser] = {}
        #: What the world was last told of each user.
        self._told: dict[UserId, UserPresenceState] = {}
        self._unsaved: set[UserId] = set()
        #: Whose state differs from before, in nothing that is announced; since it was last taken.
        self._unannounced: dict[UserId, None] = {}
        self._deadlines: Deadlines[UserId] = Deadlines()

    @property
    def rules(self) -> Rules:
        """What the operator has set."""
        return self._rules

    def feed(self, event: Event, now: Timestamp) -> list[Change]:
        """Return what *event* changes, seen from outside."""
        user = self._users.get(event.user_id) or self._new_user(event.user_id)
        after = machine.apply(user, event, now, self._rules)
        forced = ChangeReason.FORCED if isinstance(event, SetByModule) else None
        return self._advance(event.user_id, after, now, forced)

    def expire(self, now: Timestamp) -> list[Change]:
        """Return what the passing of time until *now* has changed."""
        changes: list[Change] = []
        for user_id in self._deadlines.due(now):
            user = self._users[user_id]
            ping = ChangeReason.FEDERATION_PING if self._ping_is_due(user, now) else None
            after = machine.elapse(user, now, self._rules)
            changes += self._advance(user_id, after, now, ping)
        return changes

    def next_deadline(self) -> Timestamp | None:
        """Return when `expire` should be called next; None if time alone changes nothing.

        It may come a little early, never late.
        """
        return self._deadlines.next()

    def get(self, user_id: UserId) -> UserPresenceState:
        """Return the user's presence; that of an unknown user is the default one."""
        user = self._users.get(user_id)
        return user.state if user else UserPresenceState.default(user_id)

    def known(self) -> Iterable[UserPresenceState]:
        """Return the presence of everybody who was ever heard of."""
        return [user.state for user in self._users.values()]

    def known_of(self, user_ids: Iterable[UserId]) -> dict[UserId, UserPresenceState]:
        """Return the presence of those of *user_ids* who were ever heard of."""
        users = self._users
        return {user_id: users[user_id].state for user_id in user_ids if user_id in users}

    def device(self, user_id: UserId, device_id: DeviceId) -> Device | None:
        """Return what is known of a device; None if it is not there.

        It is the same object until something happens to that device.
        """
        user = self._users.get(user_id)
        for device in user.devices if user else ():
            if device.device_id == device_id:
                return device
        return None

    def is_transition(self, event: Syncing, now: Timestamp) -> bool:
        """Tell whether *event* would change the presence of the device, or make it appear."""
        before = self.device(event.user_id, event.device_id)
        user = self._users.get(event.user_id)
        if user is None or before is None:
            return True
        changed = machine.apply(user, event, now, self._rules)
        return machine.presences(changed.devices).get(event.device_id) is not before.presence

    def user(self, user_id: UserId) -> TrackedUser | None:
        """Return all that is known of the user, devices included; None if nothing is."""
        return self._users.get(user_id)

    def restore(self, users: Iterable[TrackedUser], now: Timestamp) -> None:
        """Take in what was saved before a restart; the grace of restored devices begins *now*."""
        for user in users:
            user_id = UserId(user.state.user_id)
            self._users[user_id] = _restored(user, now)
            self._told[user_id] = user.state
            self._schedule(user_id)

    def forget(self, user_id: UserId) -> None:
        """Remove a user; should anything be heard of them again, they are new."""
        for memory in (self._users, self._told):
            memory.pop(user_id, None)
        self._deadlines.drop(user_id)
        self._unsaved.discard(user_id)
        self._unannounced.pop(user_id, None)

    def take_unannounced(self) -> list[UserPresenceState]:
        """Return the states that differ, in nothing that is announced, since the last call."""
        if not self._unannounced:
            return []
        states = [self.get(user_id) for user_id in self._unannounced]
        self._unannounced.clear()
        return states

    def take_unsaved(self) -> list[TrackedUser]:
        """Return who has changed without being announced since the last call."""
        unsaved = [self._users[user_id] for user_id in self._unsaved]
        self._unsaved.clear()
        return unsaved

    def _advance(
        self, user_id: UserId, user: TrackedUser, now: Timestamp, forced: ChangeReason | None
    ) -> list[Change]:
        told = self._told.get(user_id) or UserPresenceState.default(user_id)
        granularity = self._rules.timers.last_active_granularity
        reason = reason_to_announce(told, user.state, granularity) or forced
        if reason is None:
            known = self._users.get(user_id)
            before = known or self._new_user(user_id)
            if (user.state, user.source) != (before.state, before.source):
                self._unsaved.add(user_id)
                self._unannounced[user_id] = None
            elif known is None:
                self._unannounced[user_id] = None
            self._users[user_id] = user
            self._schedule(user_id)
            return []
        if user.source is not StateSource.SERVER:
            state = user.state.copy_and_replace(last_federation_update_ts=now)
            user = msgspec.structs.replace(user, state=state)
        self._users[user_id] = user
        if reason is not ChangeReason.FEDERATION_PING:  # of which local viewers hear nothing
            self._told[user_id] = user.state
        self._unsaved.discard(user_id)
        self._unannounced.pop(user_id, None)
        self._schedule(user_id)
        return [Change(told, user.state, reason)]

    def _schedule(self, user_id: UserId) -> None:
        due = self._deadline(self._users[user_id])
        if due is not None:
            self._deadlines.put(user_id, due)

    def _deadline(self, user: TrackedUser) -> Timestamp | None:
        instants = (machine.deadline(user, self._rules), self._pings_at(user))
        return min((instant for instant in instants if instant is not None), default=None)

    def _ping_is_due(self, user: TrackedUser, now: Timestamp) -> bool:
        instant = self._pings_at(user)
        return instant is not None and instant <= now

    def _pings_at(self, user: TrackedUser) -> Timestamp | None:
        if not self._is_mine(UserId(user.state.user_id)):
            return None
        return pings_at(user.state, self._rules.timers)

    def _new_user(self, user_id: UserId) -> TrackedUser:
        source = StateSource.DEVICES if self._is_mine(user_id) else StateSource.SERVER
        return TrackedUser(UserPresenceState.default(user_id), source)

    def _is_mine(self, user_id: UserId) -> bool:
        return server_of(user_id) == self._server_name


def _restored(user: TrackedUser, now: Timestamp) -> TrackedUser:
    if user.source is not StateSource.DEVICES or user.state.state == Presence.OFFLINE:
        return TrackedUser(user.state, user.source)
    last_active_ts = Timestamp(user.state.last_active_ts)
    # What its polls said is not stored. Most say `online`, and going on with that changes nothing.
    device = Device(
        RESTORED,
        Presence(user.state.state),
        last_active_ts,
        last_sync_ts=now,
        set_presence=Presence.ONLINE,
    )
    return TrackedUser(user.state, user.source, (device,))
