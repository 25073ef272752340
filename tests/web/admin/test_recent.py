"""The batches that were published last."""

from collections.abc import Callable

from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Self
from lamplighter.service.witness import Published
from lamplighter.web.admin.recent import RecentBatches


class Publishing:
    """A publisher that can be observed."""

    def __init__(self) -> None:
        self.observers: list[Callable[[Published], None]] = []

    def observe(self, observer: Callable[[Published], None]) -> Callable[[], None]:
        self.observers.append(observer)
        return lambda: self.observers.remove(observer)

    def publish(self, number: int, recipients: int) -> None:
        """Publish a batch with this number of recipients."""
        told = {UserId(f"@user{it}:demo"): (Self(),) for it in range(recipients)}
        delivery = Delivery(UserPresenceState.default("@bob:demo"), dict(told))
        for observer in self.observers:
            observer(Published(StreamPosition(number), (), [delivery]))


def test_the_newest_batches() -> None:
    """The last 200 batches are remembered, the newest first."""
    publishing = Publishing()
    recent = RecentBatches(publishing.observe)
    for number in range(300):
        publishing.publish(number, recipients=1)
    assert [it.position for it in recent.newest_first()] == list(range(299, 99, -1))


def test_many_recipients() -> None:
    """Of batches with many recipients fewer are remembered, but always the newest one."""
    publishing = Publishing()
    recent = RecentBatches(publishing.observe)
    for number in range(10):
        publishing.publish(number, recipients=5_000)
    assert [it.position for it in recent.newest_first()] == [9, 8, 7, 6]
    publishing.publish(10, recipients=30_000)
    assert [it.position for it in recent.newest_first()] == [10]
    publishing.publish(11, recipients=1)
    assert [it.position for it in recent.newest_first()] == [11]
