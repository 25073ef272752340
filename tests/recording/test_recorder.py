"""The witness that records decisions."""

import asyncio
import threading
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import running_server
from lamplighter.ids import RoomId, ServerName, StreamPosition
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.recording.events import (
    AS_THEY_ARE,
    Away,
    Known,
    Met,
    Moved,
    RecordedBatch,
    RecordedEvent,
    RecordedLate,
    Viewed,
    seen_in,
    told_in,
)
from lamplighter.recording.files import RecordWriter, read_record
from lamplighter.recording.recorder import Recorder
from lamplighter.routing.reasons import Module, SharedRoom
from lamplighter.service.witness import Published
from tests.compat.modules.held import Held
from tests.compat.world import UNSEEN
from tests.routing.callbacks import turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state


def recorded(path: Path, *kinds: type) -> list[RecordedEvent]:
    """Return the recorded events of these kinds."""
    return [event for event in read_record(path) if isinstance(event, kinds)]


def options(path: Path) -> str:
    """Return the configuration of a server that records."""
    return f"routing: {{record: {path}}}\n"


async def test_a_batch(tmp_path: Path) -> None:
    """A batch has the changes, the recipients with the reasons, and the alterations."""
    path = tmp_path / "log"
    shown = {ALICE: [BOB], DORA: [BOB]}
    async with running_server([(Held, {"routes": shown, "say": "x"})], config=options(path)) as s:
        alice, bob, charlie = [await s.register(name) for name in ("alice", "bob", "charlie")]
        room = await s.room(bob, charlie)
        for person in (alice, charlie):
            await person.sync(**UNSEEN)
        await bob.set_status("online", "brb")
    [batch] = recorded(path, RecordedBatch)
    assert isinstance(batch, RecordedBatch)
    altered = (("status_msg", "x"),)
    assert [it.status_msg for it in batch.states] == ["brb"]
    assert told_in(batch.told) == {
        BOB: {
            CHARLIE: (AS_THEY_ARE, (SharedRoom(RoomId(room)),)),
            ALICE: (altered, (Module("Held"),)),
            DORA: (altered, (Module("Held"),)),
        }
    }


async def test_a_late_answer(tmp_path: Path) -> None:
    """A late answer of a module is recorded with the position of its batch."""
    path = tmp_path / "log"
    module = (Held, {"routes": {ALICE: [BOB]}, "named": {}})
    async with running_server([module], config=options(path)) as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        held = server.module(Held)
        await alice.sync(**UNSEEN)
        held.waits = {"get_users_for_states"}
        await bob.set_status("online", "brb")
        held.let_go()
        await server.settled()
    batch, late = recorded(path, RecordedBatch, RecordedLate)
    assert isinstance(batch, RecordedBatch)
    assert isinstance(late, RecordedLate)
    assert (batch.told, late.about) == ([], batch.position)
    assert told_in(late.told) == {BOB: {ALICE: (AS_THEY_ARE, (Module("Held"),))}}


async def test_views(tmp_path: Path) -> None:
    """An answer from scratch is recorded: about all users, or about the one of a GET."""
    path = tmp_path / "log"
    async with running_server(config=options(path)) as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        await bob.set_status("online")
        await server.room(alice, bob)
        await alice.sync(**UNSEEN)
        await alice.status_of(bob)
    first, asked = recorded(path, Viewed)
    assert isinstance(first, Viewed)
    assert isinstance(asked, Viewed)
    assert (first.viewer, first.looks, first.users) == (ALICE, True, None)
    assert (asked.viewer, asked.looks, asked.users) == (ALICE, False, [BOB])
    assert list(seen_in(first.seen)) == list(seen_in(asked.seen)) == [BOB]


async def test_joins_and_leaves(tmp_path: Path) -> None:
    """Joins and leaves are recorded, also of rooms that do not count and of earlier members, and
    so are the states that users get because of them.
    """
    path, data_dir = tmp_path / "log", tmp_path / "data"
    async with running_server(data_dir=data_dir) as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        before = await alice.create_room()
    config = f"routing: {{record: {path}, exclude_rooms: ['{before}']}}\n"
    async with running_server(config=config, data_dir=data_dir) as server:
        alice.reconnect(server.http)
        bob.reconnect(server.http)
        await bob.set_status("online")
        await alice.sync(**UNSEEN)
        room = await server.room(alice, bob)
        await server.settled()
        await bob.leave(room)
        await server.settled()
    moved = [
        (it.room_id, it.user_id, it.joined) for it in recorded(path, Moved) if isinstance(it, Moved)
    ]
    assert moved == [
        (before, ALICE, True), (room, ALICE, True), (room, BOB, True), (room, BOB, False)
    ]  # fmt: skip
    [met] = recorded(path, Met)
    assert isinstance(met, Met)
    assert told_in(met.told) == {BOB: {ALICE: (AS_THEY_ARE, (SharedRoom(RoomId(room)),))}}


async def test_a_viewer_goes_away(tmp_path: Path) -> None:
    """A viewer who has not polled for long is recorded as `Away`."""
    path = tmp_path / "log"
    async with running_server(config=options(path)) as server:
        alice = await server.register("alice")
        await alice.sync(**UNSEEN)
        await server.advance(minutes=7)
    assert [it.viewers for it in recorded(path, Away) if isinstance(it, Away)] == [[ALICE]]


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """If the record cannot be written, deliveries go on, and the log says it once."""
    path = tmp_path / "nowhere" / "log"
    with capture_logs() as lines:
        async with running_server(config=options(path)) as server:
            bob = await server.register("bob")
            for said in ("one", "two"):
                await bob.set_status("online", said)
                await server.advance(seconds=2)
            assert server.presence_of(bob).status_msg == "two"
    problems = [it["event"] for it in lines if it["log_level"] == "error"]
    assert problems == ["decisions are not recorded"]


class _SlowWriter(RecordWriter):
    """Waits until the test lets it write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 10**9, 1)
        self.allowed = threading.Event()

    def write(self, events: Iterable[RecordedEvent], now: Timestamp) -> None:
        self.allowed.wait()
        super().write(events, now)


async def test_a_stop_while_the_disk_hangs(tmp_path: Path) -> None:
    """A stop does not wait for a disk that hangs."""
    clock, writer = FakeClock(), _SlowWriter(tmp_path / "log")
    recorder = Recorder(clock, writer, ServerName("demo"), timedelta(seconds=5))
    recorder.begin((), (), ())
    closing = asyncio.ensure_future(recorder.close())
    await turns(5)
    assert not closing.done()
    clock.advance(seconds=3)
    await closing
    writer.allowed.set()


def published(number: int) -> Published:
    """Return a batch in which the number is bob's status message."""
    change = Change(state(BOB), state(BOB, str(number)), ChangeReason.STATUS_MSG)
    position = StreamPosition(number)
    return Published(position, [change], (), position, [change.new])


async def test_a_disk_that_hangs(tmp_path: Path) -> None:
    """While the disk hangs, a bounded number of decisions waits; the newest states are not lost."""
    path = tmp_path / "log"
    writer = _SlowWriter(path)
    recorder = Recorder(FakeClock(), writer, ServerName("demo"), timedelta(seconds=5))
    recorder.begin((), (), ())
    recorder.flush()
    await turns(1)
    with capture_logs() as lines:
        for number in range(20_010):
            recorder.published(published(number))
        writer.allowed.set()
        await recorder.close()
    [line] = [it for it in lines if it["log_level"] == "warning"]
    assert line["lost"] == 10
    *events, last = recorded(path, RecordedBatch, Known)
    assert len(events) == 20_001
    assert isinstance(last, Known)
    assert [it.status_msg for it in last.states] == ["20009"]
