"""Typing notices, across restarts and in bounded memory."""

from datetime import timedelta

from lamplighter.database.memory import open_memory
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.typing_notices import TypingNotices
from tests.contract.directories import ALICE, BOB, subject_beside, subject_in

TEN_SECONDS = timedelta(seconds=10)


async def test_a_restart_ends_typing() -> None:
    """After a restart, a viewer who saw somebody type learns that nobody does."""
    database, clock = open_memory(), FakeClock()
    async with subject_in(database, "alice", "bob", clock=clock) as tested:
        room, quiet = await tested.room(ALICE, BOB), await tested.room(ALICE)
        untold = (await tested.sync(ALICE)).next_batch
        await tested.directory.set_typing(BOB, room, TEN_SECONDS)
        told = (await tested.sync(ALICE)).next_batch
        clock.advance(seconds=1)
        restarted = await subject_beside(database, clock)
        answer = await restarted.sync(ALICE, told)
        events = {it: answer.rooms["join"][it]["ephemeral"]["events"] for it in (room, quiet)}
        nobody = [{"type": "m.typing", "content": {"user_ids": []}}]
        assert events == {room: nobody, quiet: nobody}
        assert restarted.directory.rooms_are_quiet(ALICE, untold)
        assert restarted.directory.rooms_are_quiet(ALICE, answer.next_batch)


async def test_rooms_are_forgotten() -> None:
    """Of many rooms the one that changed longest ago is forgotten; then any may have changed."""
    database, clock = open_memory(), FakeClock()
    async with subject_in(database, "alice", clock=clock) as tested:
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
