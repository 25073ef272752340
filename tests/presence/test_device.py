"""One device."""

from lamplighter.clock import Timestamp
from lamplighter.presence.device import RESTORED, Device
from tests.presence.people import ONLINE, PHONE, START


def test_a_device_begins_without_a_poll() -> None:
    """A device that has only spoken has never polled, and its polls have said nothing."""
    assert Device(PHONE, ONLINE, START) == Device(
        PHONE,
        ONLINE,
        START,
        last_sync_ts=Timestamp(0),
        set_presence=None,
        is_polling=False,
        is_idle=False,
    )


def test_no_client_s_device_is_called_like_the_restored_one() -> None:
    """The restored device's ID is empty, which no login gives."""
    assert RESTORED == ""
