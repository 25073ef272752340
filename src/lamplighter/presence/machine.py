"""One user: how an event, or time, changes the user's devices and presence.

`apply` and `elapse` take a `TrackedUser` and return the next one. They do not decide who is told.

Polls. A client sends one `/sync` after the other, and each says a presence in `set_presence`. A
device therefore takes the presence of its polls only where they say something new: the
`set_presence` differs from that of the polls before, or the poll is a first sync (it has no since
token), or the device had no poll for ten seconds. A poll that says the same again changes nothing.

For example, a phone polls without `set_presence`, which says `online`: the phone is online. The
user does nothing for five minutes: the phone becomes unavailable, and the polls that follow do not
change that. The app goes to the background and polls with `set_presence=unavailable`, which is new
but makes no difference. The app comes back and polls without `set_presence`: this is new as well,
so the phone is online again.

Activity. A poll may itself count as activity (`SyncIsActivity`). It ends idleness, and it renews
the last activity of an online or busy device. It does not undo a PUT: if the user set the phone to
unavailable, polls that go on saying `online` leave it unavailable.

Source. The user's state normally follows from the devices. A module may set another state
(`StateSource.MODULE`), which stands until the presence of a device changes or the user sends a PUT.
"""

from enum import StrEnum
from functools import singledispatch

import msgspec

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.ids import DeviceId
from lamplighter.presence import timers
from lamplighter.presence.combine import combine
from lamplighter.presence.device import RESTORED, Device, Devices
from lamplighter.presence.events import (
    AccountDeactivated,
    Activity,
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    SyncEnded,
    Syncing,
)
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import Timers, earliest
from lamplighter.presence.transitions import Signal, next_presence

__all__ = [
    "Rules",
    "StateSource",
    "SyncIsActivity",
    "TrackedUser",
    "apply",
    "deadline",
    "elapse",
    "presences",
]


class SyncIsActivity(StrEnum):
    """Which polls count as activity of the user."""

    #: Polls with `set_presence=online` in the query.
    EXPLICIT = "explicit"
    #: Polls without `set_presence` as well, as in Synapse.
    ALWAYS = "always"
    #: No poll.
    NEVER = "never"

    def counts(self, set_presence: Presence | None) -> bool:
        """Tell whether a poll with this `set_presence` counts; None: the query has none."""
        if self is SyncIsActivity.ALWAYS:
            return set_presence in (None, Presence.ONLINE)
        return self is SyncIsActivity.EXPLICIT and set_presence is Presence.ONLINE


class Rules(msgspec.Struct, frozen=True):
    """The settings of the operator."""

    timers: Timers = Timers()
    sync_is_activity: SyncIsActivity = SyncIsActivity.EXPLICIT


class StateSource(StrEnum):
    """What determines a user's state."""

    DEVICES = "the user's devices"
    SERVER = "the user's server"
    #: Stands until the presence of a device changes, or the user's server sends an update.
    MODULE = "a module"


class TrackedUser(msgspec.Struct, frozen=True):
    """Everything that the machine knows about one user."""

    state: UserPresenceState
    source: StateSource
    devices: Devices = ()


def apply(user: TrackedUser, event: Event, now: Timestamp, rules: Rules) -> TrackedUser:
    """Return *user* after *event*."""
    return _refresh(_apply(event, user, now, rules), now, rules)


def elapse(user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    """Return *user* after time has passed until *now*."""
    if user.devices:
        devices = tuple(d for d in (_aged(d, now, rules.timers) for d in user.devices) if d)
        user = _with_devices(user, devices)
    if user.source is StateSource.SERVER and _due(timers.silent_at(user.state, rules.timers), now):
        user = _replace_state(user, state=Presence.OFFLINE, currently_active=False)
    return _refresh(user, now, rules)


def deadline(user: TrackedUser, rules: Rules) -> Timestamp | None:
    """Return the first instant at which time alone changes *user*, apart from pings."""
    instants: list[Timestamp | None] = []
    if user.source is StateSource.SERVER:
        instants.append(timers.silent_at(user.state, rules.timers))
    elif user.state.currently_active:
        instants.append(timers.inactive_at(user.state, rules.timers))
    for device in user.devices:
        instants.append(timers.idles_at(device, rules.timers))
        instants.append(timers.lapses_at(device, rules.timers))
    return earliest(instants)


@singledispatch
def _apply(event: Event, user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    raise TypeError(f"{event!r} is not an event")


@_apply.register
def _syncing(event: Syncing, user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    device, others = _find(user.devices, event.device_id)
    if (
        device is None
        or event.is_first
        or event.set_presence is not device.set_presence
        or _due(timers.begins_anew_at(device), now)
    ):
        before, requested = device.presence if device else None, event.set_presence
        presence = next_presence(before, Signal.SET_PRESENCE, requested)
        # The first poll of a user who was never active is the user's first activity.
        is_new = device is None and not user.state.last_active_ts
        is_active = event.is_activity or presence is Presence.ONLINE or is_new
        is_idle = False
    else:
        is_active = event.is_activity and (
            device.is_idle or device.presence in (Presence.ONLINE, Presence.BUSY)
        )
        presence = next_presence(device.presence, Signal.ACTS) if is_active else device.presence
        is_idle = device.is_idle and not is_active
    assert presence is not None  # no poll removes a device
    polling = Device(
        event.device_id,
        presence,
        now if is_active else device.last_active_ts if device else Timestamp(0),
        last_sync_ts=now,
        set_presence=event.set_presence,
        is_polling=True,
        is_idle=is_idle,
    )
    user = _with_devices(user, (*others, polling))
    last_active_ts = Timestamp(max(user.state.last_active_ts, polling.last_active_ts))
    return _replace_state(user, last_user_sync_ts=now, last_active_ts=last_active_ts)


@_apply.register
def _sync_ended(event: SyncEnded, user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    device, others = _find(user.devices, event.device_id)
    if device is None or not device.is_polling:  # the device logged out during the poll
        return user
    ended_ts = now if event.ended_ts is None else min(event.ended_ts, now)
    ended = msgspec.structs.replace(
        device,
        last_sync_ts=max(device.last_sync_ts, ended_ts),
        is_polling=False,
    )
    user = _with_devices(user, (*others, ended))
    last_user_sync_ts = max(user.state.last_user_sync_ts, ended_ts)
    return _replace_state(user, last_user_sync_ts=last_user_sync_ts)


@_apply.register
def _status_set(event: StatusSet, user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    device, others = _find(user.devices, event.device_id)
    presence = next_presence(device.presence if device else None, Signal.PUTS, event.presence)
    assert presence is not None  # a PUT requests a presence
    changed = msgspec.structs.replace(
        device or Device(event.device_id, presence, now),
        device_id=event.device_id,
        presence=presence,
        last_active_ts=now,
        is_idle=False,
    )
    user = msgspec.structs.replace(user, devices=(*others, changed), source=StateSource.DEVICES)
    return _replace_state(user, status_msg=event.status_msg, last_active_ts=now)


@_apply.register
def _activity(event: Activity, user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    device, others = _find(user.devices, event.device_id)
    if device is None or device.presence is Presence.OFFLINE:  # a PUT hides it
        return user
    presence = next_presence(device.presence, Signal.ACTS)
    acting = msgspec.structs.replace(
        device,
        device_id=event.device_id,
        presence=presence,
        last_active_ts=now,
        is_idle=False,
    )
    return _replace_state(_with_devices(user, (*others, acting)), last_active_ts=now)


@_apply.register
def _device_gone(event: DeviceGone, user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    kept = tuple(
        device
        for device in user.devices
        if device.device_id != event.device_id
        or next_presence(device.presence, Signal.LEAVES) is not None
    )
    return _with_devices(user, kept)


@_apply.register
def _user_deactivated(
    event: AccountDeactivated, user: TrackedUser, now: Timestamp, rules: Rules
) -> TrackedUser:
    user = msgspec.structs.replace(user, devices=(), source=StateSource.DEVICES)
    return _replace_state(user, status_msg=None)


@_apply.register
def _remote_update(
    event: RemoteUpdate, user: TrackedUser, now: Timestamp, rules: Rules
) -> TrackedUser:
    last_active_ts = user.state.last_active_ts
    if event.last_active_ago is not None:
        last_active_ts = max(0, now - milliseconds(event.last_active_ago))
    state = user.state.copy_and_replace(
        state=event.presence,
        status_msg=event.status_msg,
        last_active_ts=last_active_ts,
        last_federation_update_ts=now,
        currently_active=event.currently_active and event.presence is Presence.ONLINE,
    )
    return TrackedUser(state, StateSource.SERVER)


@_apply.register
def _set_by_module(
    event: SetByModule, user: TrackedUser, now: Timestamp, rules: Rules
) -> TrackedUser:
    user = msgspec.structs.replace(user, source=StateSource.MODULE)
    return _replace_state(user, state=event.presence, status_msg=event.status_msg)


def _aged(device: Device, now: Timestamp, durations: Timers) -> Device | None:
    """Return *device* at *now*; None where its grace is over."""
    presence: Presence | None = device.presence
    is_idle = _due(timers.idles_at(device, durations), now)
    if is_idle:
        presence = next_presence(presence, Signal.IDLES)
    if _due(timers.lapses_at(device, durations), now):
        presence = next_presence(presence, Signal.LAPSES)
    if presence is None:
        return None
    if presence is device.presence:
        return device
    return msgspec.structs.replace(device, presence=presence, is_idle=is_idle)


def _find(devices: Devices, device_id: DeviceId) -> tuple[Device | None, Devices]:
    """Return the device and the others.

    After a restart, the first device that polls or acts takes over the restored device.
    """
    known = {device.device_id: device for device in devices}
    device = known.pop(device_id, None) or known.pop(RESTORED, None)
    return device, tuple(known.values())


def _with_devices(user: TrackedUser, devices: Devices) -> TrackedUser:
    """Return *user* with *devices*, which determine the state again if their presence differs."""
    changed = presences(devices) != presences(user.devices)
    source = StateSource.DEVICES if changed else user.source
    return msgspec.structs.replace(user, devices=devices, source=source)


def presences(devices: Devices) -> dict[DeviceId, Presence]:
    """Return the presence of each of *devices*."""
    return {device.device_id: device.presence for device in devices}


def _refresh(user: TrackedUser, now: Timestamp, rules: Rules) -> TrackedUser:
    """Return *user* with the fields of the state that follow from the others."""
    if user.source is StateSource.SERVER:
        return user
    state = user.state
    presence = state.state
    if user.source is StateSource.DEVICES:
        presence = combine(device.presence for device in user.devices)
    if presence != state.state:
        state = state.copy_and_replace(state=presence)
    active = presence == Presence.ONLINE and not _due(timers.inactive_at(state, rules.timers), now)
    if active != state.currently_active:
        state = state.copy_and_replace(currently_active=active)
    return user if state is user.state else msgspec.structs.replace(user, state=state)


def _replace_state(user: TrackedUser, **fields: object) -> TrackedUser:
    return msgspec.structs.replace(user, state=user.state.copy_and_replace(**fields))


def _due(instant: Timestamp | None, now: Timestamp) -> bool:
    return instant is not None and instant <= now
