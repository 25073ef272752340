"""How devices become a user."""

import itertools

import pytest

from lamplighter.presence.combine import combine
from lamplighter.presence.state import Presence
from tests.presence.people import BUSY, OFFLINE, ONLINE, UNAVAILABLE


def test_without_a_device_the_user_is_offline() -> None:
    """No device is offline."""
    assert combine([]) is OFFLINE


@pytest.mark.parametrize(
    ("lower", "higher"), list(itertools.combinations([OFFLINE, UNAVAILABLE, ONLINE, BUSY], 2))
)
def test_the_higher_of_two_wins(lower: Presence, higher: Presence) -> None:
    """Busy > online > unavailable > offline, in whatever order the devices stand."""
    assert [combine([lower, higher]), combine([higher, lower])] == [higher, higher]


@pytest.mark.parametrize("presence", list(Presence))
def test_devices_that_agree_are_believed(presence: Presence) -> None:
    """Devices that say the same give just that."""
    assert combine(iter([presence, presence])) is presence
