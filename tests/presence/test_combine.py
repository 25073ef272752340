"""How devices become the user's presence."""

import itertools

import pytest

from lamplighter.presence.combine import combine
from lamplighter.presence.state import Presence
from tests.presence.people import BUSY, OFFLINE, ONLINE, UNAVAILABLE


def test_without_a_device_the_user_is_offline() -> None:
    """A user without a device is offline."""
    assert combine([]) is OFFLINE


@pytest.mark.parametrize(
    ("lower", "higher"), list(itertools.combinations([OFFLINE, UNAVAILABLE, ONLINE, BUSY], 2))
)
def test_the_higher_of_two_wins(lower: Presence, higher: Presence) -> None:
    """Busy > online > unavailable > offline, in either order of the devices."""
    assert [combine([lower, higher]), combine([higher, lower])] == [higher, higher]


@pytest.mark.parametrize("presence", list(Presence))
def test_devices_that_agree_are_believed(presence: Presence) -> None:
    """Devices with the same presence give the user this presence."""
    assert combine(iter([presence, presence])) is presence
