"""One user: what polls make of devices and presence."""

from typing import Final

import pytest

from lamplighter.presence.device import Device
from lamplighter.presence.events import DeviceGone, Event, Syncing
from lamplighter.presence.machine import StateSource, SyncIsActivity, TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from tests.presence.people import (
    ACTIVE,
    ACTS,
    ALICE,
    BEGINS,
    BUSY,
    ENDS,
    FIRST,
    ONLINE,
    PHONE,
    UNAVAILABLE,
    Person,
    at,
    polling,
    puts,
    says,
)

EVENTS: Final[dict[str, Event]] = {
    "polls": BEGINS,
    "first": FIRST,
    "explicit": ACTIVE,
    "ends": ENDS,
    "acts": ACTS,
    "leaves": DeviceGone(ALICE, PHONE),
    **{f"polls:{it.name.lower()}": says(it) for it in Presence},
    **{f"puts:{it.name.lower()}": puts(it) for it in Presence},
}
#: What happens on a phone, each step at its second; the phone's presence after that ("gone": the
#: phone was dropped), and the second of the user's last activity.
STORIES: Final = """
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
    polls@0 puts:offline@10 explicit@20 explicit@1000          | offline      10
    polls@0 puts:unavailable@10 explicit@20 explicit@1000      | unavailable  10
    polls@0 puts:unavailable@10 acts@20 wait@320 explicit@330  | online       330
  a device that a PUT has set to offline is not brought back by activity, but by another PUT
    polls@0 puts:offline@10 acts@20                            | offline      10
    polls@0 puts:offline@10 puts:busy@20                       | busy         20
  a device is dropped 30 s after its last poll or PUT, and never during a poll
    polls@0 ends@100 wait@129.999                              | online       0
    polls@0 ends@100 wait@130                                  | gone         0
    puts:offline@0 wait@29.999                                 | offline      0
    puts:offline@0 wait@30                                     | gone         0
    polls@0 wait@1000000                                       | unavailable  0
  a device is idle five minutes after the last activity
    polls@0 acts@10 wait@309.999                               | online       10
    polls@0 acts@10 wait@310                                   | unavailable  10
  a busy device is never idle, and has an hour of grace
    puts:busy@0 wait@3599.999                                  | busy         0
    puts:busy@0 wait@3600                                      | gone         0
    puts:busy@0 puts:offline@10                                | offline      10
"""


def person_after(steps: str) -> Person:
    """Return the user after *steps*, written as in `STORIES`."""
    person = Person()
    for what, _, seconds in (step.partition("@") for step in steps.split()):
        if what == "wait":
            person.waits_until(float(seconds))
        else:
            person.hears(EVENTS[what], float(seconds))
    return person


@pytest.mark.parametrize("story", [it.strip() for it in STORIES.splitlines() if "|" in it])
def test_story(story: str) -> None:
    """After what happens on a phone it has this presence, and the user this last activity."""
    steps, _, end = story.partition("|")
    presence, seconds = end.split()
    person = person_after(steps)
    device = person.presences.get(PHONE)
    assert (device.name.lower() if device else "gone") == presence
    assert person.state.last_active_ts == at(float(seconds))


def test_a_poll_brings_an_absent_device_online() -> None:
    """A poll without set_presence makes an absent device online, which is an activity."""
    assert polling().user == TrackedUser(
        UserPresenceState(ALICE, ONLINE, at(0), 0, at(0), None, True),
        StateSource.DEVICES,
        (Device(PHONE, ONLINE, at(0), at(0), set_presence=ONLINE, is_polling=True),),
    )


@pytest.mark.parametrize("presence", list(Presence))
def test_steady_polling_changes_nothing(presence: Presence) -> None:
    """The presence of a PUT stays while the polls say the same; they are no activity."""
    person = polling().hears(puts(presence), 1).hears(BEGINS, 10).hears(ENDS, 20)

    assert person.user == TrackedUser(
        UserPresenceState(ALICE, presence, at(1), 0, at(20), None, presence is ONLINE),
        StateSource.DEVICES,
        (Device(PHONE, presence, at(1), at(20), set_presence=ONLINE),),
    )


def test_to_the_background_and_back() -> None:
    """A client that polls with unavailable, and then without set_presence, is online again."""
    person = polling().hears(says(UNAVAILABLE), 10)
    assert person.device == Device(
        PHONE, UNAVAILABLE, at(0), at(10), set_presence=UNAVAILABLE, is_polling=True
    )
    assert person.hears(BEGINS, 20).device == Device(
        PHONE, ONLINE, at(20), at(20), set_presence=ONLINE, is_polling=True
    )


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


@pytest.mark.parametrize("event", [BEGINS, FIRST, ACTIVE, says(UNAVAILABLE)], ids=str)
def test_a_sync_cannot_override_busy(event: Syncing) -> None:
    """A busy device stays busy, whatever its polls say, also if they say something new."""
    person = Person().hears(puts(BUSY)).hears(event, 10).hears(ENDS, 11).hears(event, 30)

    assert person.state.state == BUSY
