"""Events are values."""

import typing
from dataclasses import FrozenInstanceError

import pytest

from lamplighter.presence.events import (
    Activity,
    DeviceEvent,
    DeviceGone,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    SyncEnded,
    Syncing,
)
from tests.presence.people import ALICE, DAVE, ONLINE, PHONE


def test_what_is_not_said_is_none() -> None:
    """Fields that are not given are None; polls without set_presence say `online`."""
    assert Syncing(ALICE, PHONE) == Syncing(
        ALICE, PHONE, set_presence=ONLINE, is_first=False, is_activity=False
    )
    assert StatusSet(ALICE, PHONE, ONLINE) == StatusSet(ALICE, PHONE, ONLINE, status_msg=None)
    assert SetByModule(ALICE, ONLINE) == SetByModule(ALICE, ONLINE, status_msg=None)
    assert RemoteUpdate(DAVE, ONLINE) == RemoteUpdate(
        DAVE, ONLINE, status_msg=None, last_active_ago=None, currently_active=False
    )


def test_an_event_does_not_change() -> None:
    """An event is immutable."""
    event = Activity(ALICE, PHONE)

    with pytest.raises(FrozenInstanceError):
        event.device_id = PHONE  # type: ignore[misc]


def test_device_events_are_those_that_name_a_device() -> None:
    """`DeviceEvent` is the union of all that happens on a device."""
    assert set(typing.get_args(DeviceEvent)) == {
        Syncing,
        SyncEnded,
        StatusSet,
        Activity,
        DeviceGone,
    }
