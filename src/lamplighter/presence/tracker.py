"""All users: the tracker gets events and the time, and returns the changes to announce."""

from collections.abc import Callable, Iterable

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
from lamplighter.presence.timers import earliest, pings_at

__all__ = ["PresenceTracker"]


class PresenceTracker:
    """The presence of every known user.

    The tracker never awaits and never reads a clock, and valid events never raise. Every announced
    change is a result of `feed` or `expire`. Changes that are not announced (the time of a sync, a
    second activity) are in the results of `take_unsaved` and `take_unannounced`.
    """

    def __init__(self, server_name: ServerName, rules: Rules) -> None:
        self._server_name = server_name
        self._rules = rules
        self._users: dict[UserId, TrackedUser] = {}
        #: The state of each user that was announced last.
        self._told: dict[UserId, UserPresenceState] = {}
        self._unsaved: set[UserId] = set()
        #: The users with a change that was not announced, since the last `take_unannounced`.
        self._unannounced: dict[UserId, None] = {}
        self._deadlines: Deadlines[UserId] = Deadlines()
        #: The users for whom another node decides.
        self._followed: set[UserId] = set()

    @property
    def rules(self) -> Rules:
        """The settings of the operator."""
        return self._rules

    def feed(self, event: Event, now: Timestamp) -> list[Change]:
        """Return the changes that *event* makes."""
        user = self._users.get(event.user_id) or self._new_user(event.user_id)
        after = machine.apply(user, event, now, self._rules)
        forced = ChangeReason.FORCED if isinstance(event, SetByModule) else None
        return self._advance(event.user_id, after, now, forced)

    def expire(self, now: Timestamp) -> list[Change]:
        """Return the changes that time has made until *now*."""
        changes: list[Change] = []
        for user_id in self._deadlines.due(now):
            user = self._users[user_id]
            pings = self._pings_at(user)
            ping = ChangeReason.FEDERATION_PING if pings is not None and pings <= now else None
            after = machine.elapse(user, now, self._rules)
            changes += self._advance(user_id, after, now, ping)
        return changes

    def next_deadline(self) -> Timestamp | None:
        """Return when to call `expire` next, perhaps a little early; None if never."""
        return self._deadlines.next()

    def get(self, user_id: UserId) -> UserPresenceState:
        """Return the user's state; of an unknown user the default one."""
        user = self._users.get(user_id)
        return user.state if user else UserPresenceState.default(user_id)

    def known(self) -> Iterable[UserPresenceState]:
        """Return the states of all known users."""
        return [user.state for user in self._users.values()]

    def known_of(self, user_ids: Iterable[UserId]) -> dict[UserId, UserPresenceState]:
        """Return the states of those of *user_ids* that are known."""
        users = self._users
        return {user_id: users[user_id].state for user_id in user_ids if user_id in users}

    def device(self, user_id: UserId, device_id: DeviceId) -> Device | None:
        """Return a device; None if it does not exist.

        The result is the same object until the device changes.
        """
        user = self._users.get(user_id)
        for device in user.devices if user else ():
            if device.device_id == device_id:
                return device
        return None

    def is_transition(self, event: Syncing, now: Timestamp) -> bool:
        """Tell whether *event* would create the device or change its presence."""
        before = self.device(event.user_id, event.device_id)
        user = self._users.get(event.user_id)
        if user is None or before is None:
            return True
        changed = machine.apply(user, event, now, self._rules)
        return machine.presences(changed.devices).get(event.device_id) is not before.presence

    def user(self, user_id: UserId) -> TrackedUser | None:
        """Return the user with the devices; None if the user is unknown."""
        return self._users.get(user_id)

    def restore(self, users: Iterable[TrackedUser], now: Timestamp) -> None:
        """Add the users from before a restart; the grace of restored devices begins *now*."""
        for user in users:
            user_id = UserId(user.state.user_id)
            self._users[user_id] = _restored(user, now)
            self._told[user_id] = user.state
            self._schedule(user_id)

    # --- of a cluster, where each user has one node that decides --------------------------

    def decides_for(self, user_id: UserId) -> bool:
        """Tell whether this node decides for a known user: on a single node, always."""
        return user_id not in self._followed

    def follow(self, users: Iterable[TrackedUser]) -> None:
        """Take in how users are for whom another node decides."""
        for user in users:
            user_id = UserId(user.state.user_id)
            self._users[user_id] = user
            if user_id not in self._followed:
                self._hand_over(user_id)

    def hand_over(self, is_theirs: Callable[[UserId], bool]) -> None:
        """Let another node decide from now on for the users of whom *is_theirs* is true."""
        for user_id in filter(is_theirs, self._users):
            self._hand_over(user_id)

    def take_over(
        self,
        is_mine: Callable[[UserId], bool],
        told: Callable[[UserId], UserPresenceState],
        now: Timestamp,
    ) -> list[Change]:
        """Decide from now on for the users of whom *is_mine* is true; the grace begins *now*.

        A device counts as polling again once a node says so. Returns the changes from what was
        *told* of each user to what the owner before had decided and could not tell.
        """
        changes: list[Change] = []
        for user_id in [it for it in self._followed if is_mine(it)]:
            self._followed.discard(user_id)
            user = self._users[user_id]
            devices = tuple(
                msgspec.structs.replace(it, is_polling=False, last_sync_ts=now)
                for it in user.devices
            )
            user = self._users[user_id] = msgspec.structs.replace(user, devices=devices)
            self._told[user_id] = told(user_id)
            changes += self._advance(user_id, user, now, None)
        return changes

    def _hand_over(self, user_id: UserId) -> None:
        self._followed.add(user_id)
        self._told.pop(user_id, None)
        self._deadlines.drop(user_id)
        self._unsaved.discard(user_id)
        self._unannounced.pop(user_id, None)

    # --------------------------------------------------------------------------------------

    def forget(self, user_id: UserId) -> None:
        """Remove a user, who is unknown from now on."""
        for memory in (self._users, self._told):
            memory.pop(user_id, None)
        self._followed.discard(user_id)
        self._deadlines.drop(user_id)
        self._unsaved.discard(user_id)
        self._unannounced.pop(user_id, None)

    def take_unannounced(self) -> list[UserPresenceState]:
        """Return the states of users with a change that was not announced, since the last call."""
        if not self._unannounced:
            return []
        states = [self.get(user_id) for user_id in self._unannounced]
        self._unannounced.clear()
        return states

    def take_unsaved(self) -> list[TrackedUser]:
        """Return the users with a change that was not announced, since the last call."""
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
        if reason is not ChangeReason.FEDERATION_PING:  # local viewers get no pings
            self._told[user_id] = user.state
        self._unsaved.discard(user_id)
        self._unannounced.pop(user_id, None)
        self._schedule(user_id)
        return [Change(told, user.state, reason)]

    def _schedule(self, user_id: UserId) -> None:
        user = self._users[user_id]
        due = earliest((machine.deadline(user, self._rules), self._pings_at(user)))
        if due is not None:
            self._deadlines.put(user_id, due)

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
    # The `set_presence` of the polls is not stored. Most say `online`, which then is nothing new.
    device = Device(
        RESTORED,
        Presence(user.state.state),
        last_active_ts,
        last_sync_ts=now,
        set_presence=Presence.ONLINE,
    )
    return TrackedUser(user.state, user.source, (device,))
