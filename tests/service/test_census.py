"""How many there are of everything."""

from lamplighter.clock import Timestamp
from lamplighter.delivery.feed import WaitingPoll
from lamplighter.ids import DeviceId
from lamplighter.presence.state import Presence
from lamplighter.service.census import Census, Figures
from tests.routing.people import ALICE, BOB
from tests.service.parts import Parts


class Poll(WaitingPoll):
    """A poll that finds nothing."""

    def look(self, _now: Timestamp) -> None:
        """Nothing is there."""


async def test_figures() -> None:
    """The figures have what there is at this moment, and what was counted since the start."""
    parts = Parts()
    parts.feed.open(ALICE)
    await parts.publish(ALICE, "here")
    await parts.publish(BOB, "here")
    parts.metrics.syncs += 1
    parts.feed.wait(ALICE, Poll(DeviceId("PHONE")))
    census = Census(
        clock=parts.clock,
        roster=parts.roster,
        feed=parts.feed,
        metrics=parts.metrics,
        cpu_seconds=lambda: 1.5,
    )
    users = {Presence.ONLINE: 2, Presence.UNAVAILABLE: 0, Presence.OFFLINE: 0, Presence.BUSY: 0}
    assert census.take() == Figures(
        at=parts.clock.now(),
        users=users,
        outboxes=1,
        polls=1,
        delivered=1,
        syncs=1,
        cpu_seconds=1.5,
        position=parts.feed.position,
    )
