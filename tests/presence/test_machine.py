"""One user: how events and time change devices and presence.

The tables below are examples. `test_reference_model.py` compares the machine with a slow and
obvious model in random stories.
"""

from datetime import timedelta
from typing import Final, cast

import pytest

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId
from lamplighter.presence.device import RESTORED, Device
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
from lamplighter.presence.machine import (
    Rules,
    StateSource,
    SyncIsActivity,
    TrackedUser,
    apply,
    deadline,
    elapse,
)
from lamplighter.presence.state import Presence, UserPresenceState
from tests.presence.people import (
    ALICE,
    BUSY,
    DAVE,
    LAPTOP,
    OFFLINE,
    ONLINE,
    PHONE,
    START,
    UNAVAILABLE,
    at,
)

RULES: Final = Rules()


def events_of(device_id: DeviceId) -> dict[str, Event]:
    """Return what can happen on a device, by the words of the tables below."""
    return {
        "polls": Syncing(ALICE, device_id),
        "first": Syncing(ALICE, device_id, is_first=True),
        "explicit": Syncing(ALICE, device_id, is_activity=True),
        "ends": SyncEnded(ALICE, device_id),
        "acts": Activity(ALICE, device_id),
        "leaves": DeviceGone(ALICE, device_id),
        **{f"polls:{it.name.lower()}": Syncing(ALICE, device_id, it) for it in Presence},
        **{f"puts:{it.name.lower()}": StatusSet(ALICE, device_id, it, "hi") for it in Presence},
        "puts": StatusSet(ALICE, device_id, ONLINE),
    }


EVENTS: Final = {
    **events_of(PHONE),
    **{f"laptop:{name}": event for name, event in events_of(LAPTOP).items()},
    **{f"module:{it.name.lower()}": SetByModule(ALICE, it, "set") for it in Presence},
    "deactivated": AccountDeactivated(ALICE),
}
#: What happens on a phone, each step at its second; the phone's presence after that ("gone": the
#: phone was dropped), and the second of the user's last activity.
PHONES: Final = """
  a PUT is activity, offline included
    puts:offline@1                                             | offline      1
    puts:unavailable@1                                         | unavailable  1
    puts:busy@1                                                | busy         1
  an absent device takes what its polls say
    puts:online@0 wait@30 polls:online@39                      | online       39
    puts:online@0 wait@30 polls:unavailable@39                 | unavailable  0
    puts:online@0 wait@30 polls:busy@39                        | busy         0
  the first poll of a new user is activity
    polls:unavailable@5                                        | unavailable  5
    polls:busy@5                                               | busy         5
  polls that say the same again change nothing
    polls@0 wait@300 polls@301                                 | unavailable  0
    polls:unavailable@0 acts@10 polls:unavailable@20           | online       10
    polls:unavailable@0 acts@10 polls:unavailable@20 wait@310  | unavailable  10
    polls@0 puts:offline@10 polls@20 ends@21                   | offline      10
  polls that say something new end an older PUT
    polls:unavailable@0 puts:offline@10 polls@20               | online       20
    polls:unavailable@0 puts:unavailable@10 polls@20           | online       20
    polls@0 puts:offline@10 polls:unavailable@20               | unavailable  10
    polls@0 polls:unavailable@10 polls@20                      | online       20
  a first sync says something new
    polls@0 puts:offline@10 first@11                           | online       11
    polls@0 puts:unavailable@10 first@11                       | online       11
  a poll after ten seconds without any says something new
    polls@0 puts:offline@19 ends@20 polls@29.999               | offline      19
    polls@0 puts:offline@19 ends@20 polls@30                   | online       30
  a PUT of offline before the first poll of all hides nothing
    puts:offline@0 polls@1                                     | online       1
    puts:offline@0 first@1                                     | online       1
  explicit online is activity, ends idleness, and leaves a PUT alone
    polls@0 explicit@10                                        | online       10
    polls@0 wait@300 explicit@301                              | online       301
    polls@0 wait@300 polls@301 explicit@310                    | online       310
    polls@0 puts:offline@10 explicit@20 explicit@1000          | offline      10
    polls@0 puts:unavailable@10 explicit@20 explicit@1000      | unavailable  10
    polls@0 puts:unavailable@10 acts@20 wait@320 explicit@330  | online       330
  activity makes an unavailable device online, and leaves online and busy ones so
    puts:unavailable@0 acts@10                                 | online       10
    puts:online@0 acts@10                                      | online       10
    puts:busy@0 acts@10                                        | busy         10
  a device that a PUT has set to offline is not brought back by activity, but by another PUT
    polls@0 puts:offline@10 acts@20                            | offline      10
    polls@0 puts:offline@10 puts:busy@20                       | busy         20
  a device that does not exist does not act
    polls@0 leaves@1 acts@2 ends@3                             | gone         0
  a device is dropped 30 s after its last poll or PUT, and never during a poll
    polls@0 ends@100 wait@129.999                              | online       0
    polls@0 ends@100 wait@130                                  | gone         0
    puts:offline@0 wait@29.999                                 | offline      0
    puts:offline@0 wait@30                                     | gone         0
    polls@0 wait@1000000                                       | unavailable  0
  a device is idle five minutes after the last activity
    polls@0 acts@10 wait@309.999                               | online       10
    polls@0 acts@10 wait@310                                   | unavailable  10
  a busy device is never idle, has an hour of grace, and stays busy, whatever its polls say
    puts:busy@0 wait@3599.999                                  | busy         0
    puts:busy@0 wait@3600                                      | gone         0
    puts:busy@0 first@1 polls:unavailable@30                   | busy         0
    puts:busy@0 puts:offline@10                                | offline      10
"""
#: What happens to a user; the state after that, what determines it, and the status message.
USERS: Final = """
  the state follows the highest device, down as well as up
    laptop:puts:busy@0 polls:unavailable@0                     | busy         devices  hi
    laptop:puts:busy@0 polls@0 laptop:puts:offline@1           | online       devices  hi
    polls@0 laptop:polls:unavailable@0 leaves@1                | unavailable  devices  -
    polls@0 leaves@1                                           | offline      devices  -
  only a PUT without a message and a deactivation clear the message
    puts:online@0 puts@1                                       | online       devices  -
    puts:online@0 polls:unavailable@1                          | unavailable  devices  hi
    puts:online@0 leaves@1                                     | offline      devices  hi
    puts:online@0 wait@100000                                  | offline      devices  hi
    puts:online@0 module:busy@1 deactivated@2                  | offline      devices  -
  a module's state stands while no device changes its presence
    polls@0 module:busy@10 polls@20 first@21 explicit@22       | busy         module   set
    polls@0 module:busy@10 ends@20 acts@21 laptop:leaves@22    | busy         module   set
    module:unavailable@0 wait@1000000                          | unavailable  module   set
  it ends when a device changes its presence, or with a PUT
    polls@0 module:busy@10 polls:unavailable@20                | unavailable  devices  set
    polls@0 module:busy@10 laptop:polls@20                     | online       devices  set
    polls@0 module:busy@10 leaves@20                           | offline      devices  set
    polls@0 module:busy@10 puts:online@20                      | online       devices  hi
    polls@0 module:busy@10 wait@299.999                        | busy         module   set
    polls@0 module:busy@10 wait@300                            | unavailable  devices  set
"""


def stories(table: str) -> list[str]:
    """Return the rows of a table."""
    return [line.strip() for line in table.splitlines() if "|" in line]


def nobody(user_id: str, source: StateSource = StateSource.DEVICES) -> TrackedUser:
    """Return a user about whom nothing is known."""
    return TrackedUser(UserPresenceState.default(user_id), source)


def user_after(steps: str) -> TrackedUser:
    """Return the user after *steps*, written as in the tables."""
    user = nobody(ALICE)
    for what, _, seconds in (step.rpartition("@") for step in steps.split()):
        now = at(float(seconds))
        user = elapse(user, now, RULES) if what == "wait" else apply(user, EVENTS[what], now, RULES)
    return user


@pytest.mark.parametrize("story", stories(PHONES))
def test_phones(story: str) -> None:
    """After each story, the phone has this presence, and the user this last activity."""
    steps, _, end = story.partition("|")
    presence, seconds = end.split()
    user = user_after(steps)
    device = next((it for it in user.devices if it.device_id == PHONE), None)
    assert (device.presence.name.lower() if device else "gone") == presence
    assert user.state.last_active_ts == at(float(seconds))


@pytest.mark.parametrize("story", stories(USERS))
def test_users(story: str) -> None:
    """After each story, the user has this state, with this source and message."""
    steps, _, end = story.partition("|")
    user = user_after(steps)
    told = [Presence(user.state.state).name, user.source.name, user.state.status_msg or "-"]
    assert [it.lower() for it in told] == end.split()


def test_a_poll_brings_an_absent_device_online() -> None:
    """A poll without set_presence makes an absent device online, which is an activity."""
    assert user_after("polls@0") == TrackedUser(
        UserPresenceState(ALICE, ONLINE, at(0), 0, at(0), None, True),
        StateSource.DEVICES,
        (Device(PHONE, ONLINE, at(0), at(0), set_presence=ONLINE, is_polling=True),),
    )


@pytest.mark.parametrize("presence", list(Presence))
def test_steady_polling_changes_nothing(presence: Presence) -> None:
    """The presence of a PUT stays while the polls say the same; they are no activity."""
    user = user_after(f"polls@0 puts:{presence.name.lower()}@1 polls@10 ends@20")
    assert user == TrackedUser(
        UserPresenceState(ALICE, presence, at(1), 0, at(20), "hi", presence is ONLINE),
        StateSource.DEVICES,
        (Device(PHONE, presence, at(1), at(20), set_presence=ONLINE),),
    )


def test_a_module_s_state_leaves_devices_and_last_active_alone() -> None:
    """SetByModule changes state and message; devices and the last activity stay."""
    assert user_after("polls@0 module:busy@10") == TrackedUser(
        UserPresenceState(ALICE, BUSY, at(0), 0, at(0), "set", False),
        StateSource.MODULE,
        (Device(PHONE, ONLINE, at(0), at(0), set_presence=ONLINE, is_polling=True),),
    )


@pytest.mark.parametrize("event", ["polls", "acts", "puts"])
def test_the_first_device_takes_over_the_restored_one(event: str) -> None:
    """The first device that polls or acts takes over the restored one; the second is new."""
    state = UserPresenceState(ALICE, ONLINE, at(-1), 0, 0, None, True)
    restored = Device(RESTORED, ONLINE, at(-1), last_sync_ts=at(0), set_presence=ONLINE)
    user = TrackedUser(state, StateSource.DEVICES, (restored,))
    user = apply(user, EVENTS["leaves"], at(5), RULES)
    assert user.devices == (restored,)
    user = apply(apply(user, EVENTS[event], at(10), RULES), EVENTS["laptop:polls"], at(11), RULES)
    assert [it.device_id for it in user.devices] == [PHONE, LAPTOP]


@pytest.mark.parametrize(
    ("mode", "counting"),
    [
        (SyncIsActivity.EXPLICIT, {ONLINE}),
        (SyncIsActivity.ALWAYS, {None, ONLINE}),
        (SyncIsActivity.NEVER, set()),
    ],
)
def test_which_polls_are_activity(mode: SyncIsActivity, counting: set[Presence | None]) -> None:
    """Only polls that say online are activity, as far as the operator has them count."""
    assert {it for it in (None, *Presence) if mode.counts(it)} == counting


def remote(presence: Presence, ago: timedelta | None = None) -> TrackedUser:
    """Return a remote user of whom the server sent two updates, at 100 s and at 200 s."""
    user = nobody(DAVE, StateSource.SERVER)
    for update, seconds in (
        (RemoteUpdate(DAVE, ONLINE, "hi", timedelta(0), currently_active=True), 100),
        (RemoteUpdate(DAVE, presence, None, ago, currently_active=True), 200),
    ):
        user = apply(user, update, at(seconds), RULES)
    return user


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (remote(ONLINE, timedelta(seconds=40)), (ONLINE, at(160), True)),
        (remote(ONLINE), (ONLINE, at(100), True)),
        (remote(ONLINE, timedelta(days=10**5)), (ONLINE, 0, True)),
        *((remote(it), (it, at(100), False)) for it in (OFFLINE, UNAVAILABLE, BUSY)),
        (elapse(remote(ONLINE), at(1_999.999), RULES), (ONLINE, at(100), True)),
        (elapse(remote(ONLINE), at(2_000), RULES), (OFFLINE, at(100), False)),
    ],
)
def test_a_remote_user(user: TrackedUser, expected: tuple[Presence, int, bool]) -> None:
    """The last activity is an instant of our clock, the known one if the server gives none. Only
    online users are currently active. Silence for 30 minutes makes a user offline.
    """
    presence, active_ts, is_active = expected
    assert user == TrackedUser(
        UserPresenceState(DAVE, presence, active_ts, at(200), 0, None, is_active),
        StateSource.SERVER,
    )


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (nobody(ALICE), None),
        (user_after("polls@0 ends@0"), at(30)),  # the grace
        (user_after("polls@0"), at(60)),  # stops being currently active
        (user_after("polls@0 wait@60"), at(300)),  # idles
        (user_after("polls@0 wait@300"), None),
        (user_after("puts:busy@0"), at(3_600)),
        (user_after("puts:busy@0 polls@0"), None),
        (user_after("module:unavailable@0"), None),
        (remote(ONLINE), at(2_000)),
        (elapse(remote(ONLINE), at(2_000), RULES), None),
    ],
)
def test_the_deadline_is_the_first_instant_that_changes_something(
    user: TrackedUser, expected: Timestamp | None
) -> None:
    """Nothing changes before the deadline, and something does at it."""
    assert deadline(user, RULES) == expected
    if expected is not None:
        assert elapse(user, Timestamp(expected - 1), RULES) == user
        assert elapse(user, expected, RULES) != user


def test_what_is_no_event_is_an_error() -> None:
    """A programming error is not mistaken for an event."""
    with pytest.raises(TypeError, match="'hello' is not an event"):
        apply(nobody(ALICE), cast("Event", "hello"), START, RULES)
