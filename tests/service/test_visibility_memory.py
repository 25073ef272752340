"""What is stored of visibility over a restart."""

from structlog.testing import capture_logs

from lamplighter.clock import Timestamp
from lamplighter.delivery.endings import Endings
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.counting import Counting, CountingRooms
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.routing.visibility import Interest, ModuleInterests
from lamplighter.service.visibility_memory import VisibilityMemory
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, HALL
from tests.service.parts import FakeVisibilityStore

ONE = Module("One")


class Run:
    """One run of a server."""

    def __init__(self, store: FakeVisibilityStore, most: int = 100) -> None:
        self.endings, self.interests = Endings(), ModuleInterests()
        self.memory = VisibilityMemory(store, self.endings, self.interests, most)

    def named(self, viewer: UserId, *names: UserId, sees_all: bool = False) -> None:
        """Take in what modules answer for the viewer."""
        interest = Interest(dict.fromkeys(names, (ONE,)), (AllUsers("One"),) if sees_all else ())
        self.interests.cache(viewer, interest, StreamPosition(1), Timestamp(1))


async def test_over_a_restart() -> None:
    """Ends of visibility, named users, and viewers of all are restored after a restart."""
    store = FakeVisibilityStore()
    run = Run(store)
    run.endings.put(ALICE, {BOB: StreamPosition(7)})
    run.named(ALICE, CHARLIE)
    run.named(DORA, sees_all=True)
    await run.memory.save()
    again = Run(store)
    await again.memory.restore()
    assert again.endings.of(ALICE) == {BOB: StreamPosition(7)}
    assert again.interests.last(ALICE) == Interest({CHARLIE: (ONE,)})
    assert again.interests.last(DORA) == Interest({}, (AllUsers("One"),))
    assert again.interests.named_for(ALICE) == set()


async def test_which_rooms_count() -> None:
    """Which rooms count is there after a restart, and no user is told of it."""
    store = FakeVisibilityStore()
    run = Run(store)
    assert await run.memory.restore() is None
    rooms = CountingRooms.always(shared_rooms=True, excluded={HALL})
    await run.memory.save_rooms(rooms)
    again = Run(store)
    assert await again.memory.restore() == rooms
    assert len(again.endings) == 0


async def test_a_room_that_has_too_many_members() -> None:
    """That a room has ceased to count while the server ran is there after a restart."""
    store = FakeVisibilityStore()
    run = Run(store)
    await run.memory.save_rooms(CountingRooms.always(shared_rooms=True, excluded=set()))
    run.memory.room_counts(HALL, counts=False, position=StreamPosition(7))
    await run.memory.save()
    rooms = await Run(store).memory.restore()
    assert rooms is not None
    assert rooms.of(HALL) == Counting(counts=False, since=StreamPosition(7))


async def test_only_what_has_changed() -> None:
    """A viewer's content is saved only if it has changed."""
    store = FakeVisibilityStore()
    run = Run(store)
    run.named(ALICE, BOB)
    for _ in range(3):
        run.named(ALICE, BOB)
        await run.memory.save()
    assert store.saves == 1


async def test_nobody_named_any_more() -> None:
    """A viewer for whom there is nothing to remember takes no room."""
    store = FakeVisibilityStore()
    run = Run(store)
    run.named(ALICE, BOB)
    await run.memory.save()
    run.named(ALICE)
    await run.memory.save()
    assert store.contents == {}


async def test_a_disk_that_is_full() -> None:
    """Content that cannot be written is written the next time, and the log says so."""
    store = FakeVisibilityStore()
    run = Run(store)
    run.named(ALICE, BOB)
    store.works = False
    with capture_logs() as logs:
        await run.memory.save()
    assert [log["event"] for log in logs] == ["whom viewers see could not be saved"]
    store.works = True
    await run.memory.save()
    assert set(store.contents) == {ALICE}


async def test_there_is_only_so_much_room() -> None:
    """The number of saved pairs, of all viewers together, is limited."""
    store = FakeVisibilityStore()
    run = Run(store, most=3)
    run.named(ALICE, BOB, CHARLIE)
    run.named(BOB, ALICE, CHARLIE)
    run.named(DORA, ALICE)
    await run.memory.save()
    again = Run(store)
    await again.memory.restore()
    kept = (again.interests.last(it) for it in (ALICE, BOB, DORA))
    assert sum(len(interest.named) for interest in kept if interest) in (1, 2, 3)


async def test_two_nodes() -> None:
    """Nodes that save of one viewer keep each other's ends, and whom modules named where they were
    asked last.
    """
    store = FakeVisibilityStore()
    a, b = Run(store), Run(store)
    a.named(ALICE, CHARLIE)
    a.endings.put(ALICE, {BOB: StreamPosition(7)})
    await a.memory.save()
    b.endings.put(ALICE, {DORA: StreamPosition(8)})
    b.endings.put(ALICE, {BOB: StreamPosition(6)})
    await b.memory.save()
    again = Run(store)
    await again.memory.restore()
    assert again.endings.of(ALICE) == {BOB: StreamPosition(7), DORA: StreamPosition(8)}
    assert again.interests.last(ALICE) == Interest({CHARLIE: (ONE,)})
    b.named(ALICE, DORA)
    await b.memory.save()
    a.endings.put(ALICE, {DORA: StreamPosition(9)})
    await a.memory.save()
    again = Run(store)
    await again.memory.restore()
    assert again.interests.last(ALICE) == Interest({DORA: (ONE,)})


async def test_a_viewer_who_does_not_return() -> None:
    """What is forgotten of a viewer takes no room."""
    store = FakeVisibilityStore()
    run = Run(store)
    run.endings.put(ALICE, {BOB: StreamPosition(7)})
    await run.memory.save()
    run.endings.forget(ALICE)
    await run.memory.save()
    assert store.contents == {}


async def test_a_viewer_of_another_node() -> None:
    """A node finds out whom modules have named for a viewer at another node, unless the database is
    away.
    """
    store = FakeVisibilityStore()
    a, b = Run(store), Run(store)
    a.named(ALICE, CHARLIE)
    await a.memory.save()
    store.works = False
    await b.memory.recall(ALICE)
    assert b.interests.last(ALICE) is None
    store.works = True
    for viewer in (ALICE, BOB):
        await b.memory.recall(viewer)
    assert (b.interests.last(ALICE), b.interests.last(BOB)) == (Interest({CHARLIE: (ONE,)}), None)
