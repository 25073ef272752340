"""Who types, across restarts and in bounded memory."""

from datetime import timedelta
from pathlib import Path

from lamplighter.database.migrate import migrate
from lamplighter.database.sqlite import open_file
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.typing_notices import TypingNotices
from lamplighter.ids import ServerName
from tests.contract.directories import ALICE, BOB, Recorder, Subject

TEN_SECONDS = timedelta(seconds=10)


async def test_a_restart_ends_typing(tmp_path: Path) -> None:
    """Whoever was told that somebody types is told after a restart that nobody does."""
    clock = FakeClock()
    database = open_file(tmp_path / "a.db")
    await migrate(database)
    first = SqlDirectory(database, ServerName("lamp.test"), clock)
    await first.start()
    tested = Subject(first, clock, Recorder())
    await tested.users("alice", "bob")
    room, quiet = await tested.room(ALICE, BOB), await tested.room(ALICE)
    untold = (await tested.sync(ALICE)).next_batch
    await first.set_typing(BOB, room, TEN_SECONDS)
    told = (await tested.sync(ALICE)).next_batch
    clock.advance(seconds=1)
    second = SqlDirectory(database, ServerName("lamp.test"), clock)
    await second.start()
    tested = Subject(second, clock, Recorder())
    answer = await tested.sync(ALICE, told)
    events = {it: answer.rooms["join"][it]["ephemeral"]["events"] for it in (room, quiet)}
    nobody = [{"type": "m.typing", "content": {"user_ids": []}}]
    assert events == {room: nobody, quiet: nobody}
    assert second.rooms_are_quiet(ALICE, untold)
    assert second.rooms_are_quiet(ALICE, answer.next_batch)
    await database.close()


async def test_rooms_are_forgotten(tmp_path: Path) -> None:
    """Of many rooms the one that changed longest ago is forgotten; then any may have changed."""
    clock = FakeClock()
    database = open_file(tmp_path / "a.db")
    await migrate(database)
    directory = SqlDirectory(database, ServerName("lamp.test"), clock)
    await directory.start()
    tested = Subject(directory, clock, Recorder())
    await tested.users("alice")
    rooms = [await tested.room(ALICE) for _ in range(3)]
    ledger = Ledger(database, clock)
    await ledger.start()
    typing = TypingNotices(ledger, clock, most_rooms=2)
    serials = []
    for room in rooms:
        await typing.set_typing(ALICE, room, TEN_SECONDS)
        serials.append(ledger.stream.typing_told(ALICE) or 0)
    assert [typing.in_room(room) for room in rooms] == [[], [ALICE], [ALICE]]
    assert typing.changed_since(serials[0] - 1) is None
    assert typing.changed_since(serials[0]) == [rooms[2], rooms[1]]
    assert typing.changed_since(serials[2]) == []
    await database.close()
