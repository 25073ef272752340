"""Which nodes say that a device polls: the polls of all nodes are those of one device."""

import pytest

from lamplighter.cluster.log import Lease, NodeName
from lamplighter.ids import DeviceId
from lamplighter.presence.events import Activity, DeviceGone, Event, SyncEnded, Syncing
from lamplighter.presence.state import Presence
from lamplighter.service.vouchers import Vouchers
from tests.routing.people import ALICE, BOB

A, B = Lease(NodeName("a"), 1), Lease(NodeName("b"), 2)
PHONE, LAPTOP = DeviceId("PHONE"), DeviceId("LAPTOP")
ONLINE = Syncing(BOB, PHONE, Presence.ONLINE)
AWAY = Syncing(BOB, PHONE, Presence.UNAVAILABLE)
ENDED = SyncEnded(BOB, PHONE)


@pytest.fixture
def vouchers() -> Vouchers:
    """What an owner knows at which nothing was said yet."""
    return Vouchers()


def ends(vouchers: Vouchers) -> list[Event]:
    """Return what follows if all nodes are dead."""
    return vouchers.died(lambda _lease: True)


def test_the_last_node_counts(vouchers: Vouchers) -> None:
    """A device that polls at two nodes goes on polling until the last of them says that it ends."""
    said = [vouchers.merge(A, ONLINE), vouchers.merge(B, ONLINE)]
    assert said == [ONLINE, ONLINE]
    assert [vouchers.merge(A, ENDED), vouchers.merge(B, ENDED)] == [None, ENDED]


def test_the_highest_counts(vouchers: Vouchers) -> None:
    """What polls say at one node does not hide what is higher at another, until that has ended."""
    vouchers.merge(A, ONLINE)
    assert vouchers.merge(B, AWAY) == ONLINE
    assert vouchers.merge(A, ENDED) == AWAY


def test_an_end_that_is_repeated(vouchers: Vouchers) -> None:
    """The end at a node which has said nothing of the device ends nothing elsewhere."""
    vouchers.merge(A, ONLINE)
    assert vouchers.merge(B, ENDED) is None
    assert vouchers.merge(A, ENDED) == ENDED
    assert vouchers.merge(A, ENDED) == ENDED


def test_a_node_dies(vouchers: Vouchers) -> None:
    """With a lease ends what was said with it: devices that poll nowhere else have stopped."""
    vouchers.merge(A, ONLINE)
    vouchers.merge(A, Syncing(BOB, LAPTOP))
    vouchers.merge(B, AWAY)
    assert vouchers.died(lambda lease: lease == A) == [AWAY, SyncEnded(BOB, LAPTOP)]
    assert ends(vouchers) == [ENDED]


def test_a_device_is_gone(vouchers: Vouchers) -> None:
    """A device that is logged out polls nowhere, whatever nodes have said."""
    vouchers.merge(A, ONLINE)
    gone = DeviceGone(BOB, PHONE)
    assert vouchers.merge(B, gone) == gone
    assert ends(vouchers) == []


def test_other_owners(vouchers: Vouchers) -> None:
    """Users who get another owner are forgotten here, and no others."""
    vouchers.merge(A, ONLINE)
    vouchers.merge(B, Syncing(ALICE, PHONE))
    vouchers.forget(lambda user_id: user_id == BOB)
    assert ends(vouchers) == [SyncEnded(ALICE, PHONE)]


def test_other_events(vouchers: Vouchers) -> None:
    """Events that are not about polls mean what they say."""
    assert vouchers.merge(A, Activity(BOB, PHONE)) == Activity(BOB, PHONE)
    assert ends(vouchers) == []
