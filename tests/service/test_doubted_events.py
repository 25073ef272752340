"""Events that wait while it is in doubt whether the database can be written."""

import asyncio
from collections.abc import Sequence

from structlog.testing import capture_logs

from lamplighter.cluster.log import Lease, NodeName
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.events import Activity, Event, StatusSet
from lamplighter.presence.state import Presence
from lamplighter.service.batch import done
from lamplighter.service.doubted_events import DoubtedEvents
from lamplighter.service.keeper import Keeper
from tests.routing.people import ALICE, BOB
from tests.service.parts import PHONE, FakeStore, Parts

LEASE = Lease(NodeName("a"), 1)


class SlowStore(FakeStore):
    """Answers when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[asyncio.Future[None]] = []

    def save(self, states: Sequence[SavedPresence]) -> "asyncio.Future[None]":
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]


def status(user_id: UserId, message: str = "brb") -> StatusSet:
    """Return that a user sets a status."""
    return StatusSet(user_id, PHONE, Presence.ONLINE, message)


class Doubts:
    """The events of a node over a slow store."""

    def __init__(self) -> None:
        parts = Parts()
        self.clock, self.store = parts.clock, SlowStore()
        self.keeper = Keeper(parts.clock, parts.tracker, parts.roster, self.store)
        self.decided: list[Event] = []
        #: Whose events make `decide` fail.
        self.undecidable: set[UserId] = set()
        self.events = DoubtedEvents(parts.clock, self.keeper, self.decide)

    def decide(self, _by: Lease, event: Event) -> "asyncio.Future[None]":
        if event.user_id in self.undecidable:
            raise ZeroDivisionError
        self.decided.append(event)
        return done()

    def accept(self, event: Event) -> "asyncio.Future[None]":
        """Take in an event."""
        if self.events.has_to_wait(event):
            return self.events.wait(LEASE, event)
        return self.decide(LEASE, event)

    async def works(self) -> None:
        """Let the database answer what it was asked."""
        await turns_until_idle()
        for asked in self.store.asked:
            asked.set_result(None)
        self.store.asked.clear()
        await turns_until_idle()


async def test_a_status_after_silence() -> None:
    """The database is asked once for all statuses; for a second, what it has said is known."""
    doubts = Doubts()
    events = [status(ALICE), status(BOB)]
    answered = [doubts.accept(it) for it in events]
    await turns_until_idle()
    assert (len(doubts.store.asked), doubts.decided) == (1, [])
    await doubts.works()
    assert doubts.decided == events
    assert [it.exception() for it in answered] == [None, None]
    doubts.clock.advance(seconds=1)
    assert doubts.accept(status(ALICE, "at once")).done()
    doubts.clock.advance(milliseconds=1)
    assert not doubts.accept(status(ALICE, "later")).done()
    await doubts.works()


async def test_the_order_of_a_user() -> None:
    """What the user does after a status is decided after it; what others do waits for nothing."""
    doubts = Doubts()
    mine: list[Event] = [status(ALICE), Activity(ALICE, PHONE), status(ALICE, "back")]
    for event in (*mine, Activity(BOB, PHONE)):
        doubts.accept(event)
    assert doubts.decided == [Activity(BOB, PHONE)]
    await doubts.works()
    assert doubts.decided == [Activity(BOB, PHONE), *mine]
    await doubts.events.settled()


async def test_the_database_is_away() -> None:
    """Statuses fail, and are not decided; everything else is. The next status asks again."""
    doubts = Doubts()
    refused, taken = doubts.accept(status(ALICE)), doubts.accept(Activity(ALICE, PHONE))
    settled = asyncio.ensure_future(doubts.events.settled())
    await turns_until_idle()
    assert not settled.done()
    doubts.store.asked.pop().set_exception(StorageUnavailable("away"))
    await turns_until_idle()
    assert settled.done()
    assert isinstance(refused.exception(), StorageUnavailable)
    assert taken.exception() is None
    assert doubts.decided == [Activity(ALICE, PHONE)]
    assert not doubts.accept(status(ALICE)).done()
    await doubts.works()
    assert doubts.decided == [Activity(ALICE, PHONE), status(ALICE)]


async def test_a_defect_of_the_store() -> None:
    """Where the question to the database fails by a defect, statuses fail with it, everything else
    is decided, and the next status asks again.
    """
    doubts = Doubts()
    refused, taken = doubts.accept(status(ALICE)), doubts.accept(Activity(ALICE, PHONE))
    await turns_until_idle()
    with capture_logs() as logs:
        doubts.store.asked.pop().set_exception(ZeroDivisionError())
        await turns_until_idle()
    assert (refused.done(), taken.done()) == (True, True)
    assert (type(refused.exception()), taken.exception()) == (ZeroDivisionError, None)
    assert len(logs) == 1
    again = doubts.accept(status(ALICE))
    await doubts.works()
    assert (again.done(), doubts.decided) == (True, [Activity(ALICE, PHONE), status(ALICE)])


async def test_a_defect_of_one_event() -> None:
    """Where one event cannot be decided by a defect, it fails, and those behind it are decided."""
    doubts = Doubts()
    doubts.undecidable.add(ALICE)
    failed, taken = doubts.accept(status(ALICE)), doubts.accept(status(BOB))
    with capture_logs() as logs:
        await doubts.works()
    assert (failed.done(), taken.done()) == (True, True)
    assert (type(failed.exception()), taken.exception()) == (ZeroDivisionError, None)
    assert len(logs) == 1
