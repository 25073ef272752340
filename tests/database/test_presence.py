"""Presence across restarts: shared commits, and rows that are not lost on a full disk."""

import asyncio
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lamplighter.database.engine import Database, open_file
from lamplighter.database.migrate import migrate
from lamplighter.database.presence import SqlPresenceStore
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import StreamPosition
from lamplighter.ports import PresenceStore, SavedPresence
from lamplighter.presence.machine import TrackedUser, Word
from lamplighter.presence.state import Presence, UserPresenceState
from tests.database.trouble import fill_disk, free_disk


def saved(
    name: str, position: int, status_msg: str | None = None, word: Word = Word.DEVICES
) -> SavedPresence:
    """Return somebody who is busy, at a place in the stream."""
    state = UserPresenceState(f"@{name}:lamp.test", Presence.BUSY, 1, 2, 3, status_msg, True)
    return SavedPresence(TrackedUser(state, word), StreamPosition(position))


async def load(database: Database) -> list[SavedPresence]:
    """Return what another process would find."""
    return sorted(await SqlPresenceStore(database).load(), key=lambda s: s.user.state.user_id)


class Commits:
    """Counts the transactions that are committed while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        event.listen(Engine, "commit", self._on_commit)
        return self

    def __exit__(self, *error: object) -> None:
        event.remove(Engine, "commit", self._on_commit)

    def _on_commit(self, connection: object) -> None:
        self.count += 1


async def test_round_trip(database: Database) -> None:
    """What is saved is loaded again, every field of it, whoever's word it is."""
    store: PresenceStore = SqlPresenceStore(database)
    states = [
        saved("alice", 2**62, "Making cupcakes"),
        saved("bob", 2, None, Word.SERVER),
        saved("charlie", 3, "", Word.MODULE),
    ]
    await store.save(states)
    assert await load(database) == states


async def test_the_newest_wins(database: Database) -> None:
    """Of several states of a user the one with the largest position stays, in whatever order."""
    store = SqlPresenceStore(database)
    await store.save([saved("alice", 5, "new"), saved("alice", 4, "old")])
    await store.save([saved("alice", 3, "older")])
    assert await load(database) == [saved("alice", 5, "new")]
    await store.save([saved("alice", 5, "unannounced")])
    assert await load(database) == [saved("alice", 5, "unannounced")]


async def test_shared_commits(database: Database) -> None:
    """Callers that come while a commit is under way share the next one."""
    store = SqlPresenceStore(database)
    states = [saved(f"user{n:02}", n + 1) for n in range(50)]
    with Commits() as commits:
        await asyncio.gather(*(store.save([state]) for state in states))
    assert commits.count == 1
    with Commits() as commits:
        async with database.write():  # the first of them has to wait, the others gather
            first = asyncio.ensure_future(store.save([saved("alice", 100)]))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.shield(first)
            others = [asyncio.ensure_future(store.save([s])) for s in states]
        await asyncio.gather(first, *others)
    assert commits.count == 3  # this test's own, the first one's, the others'
    assert await load(database) == [saved("alice", 100), *states]


async def test_a_caller_that_gives_up(database: Database) -> None:
    """One caller that is cancelled costs neither its row nor the others' commit."""
    store = SqlPresenceStore(database)
    states = [saved("alice", 1), saved("bob", 2)]
    patient = asyncio.ensure_future(store.save(states[1:]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await store.save(states[:1])
    await patient
    await store.settle()
    assert await load(database) == states


async def test_a_full_disk_loses_nothing(database: Database) -> None:
    """What could not be written fails for all its callers, and goes with the next call."""
    store = SqlPresenceStore(database)
    await store.save([saved("alice", 1, "before")])
    await fill_disk(database)
    large = "x" * 10_000
    attempts = [saved("alice", 2, large), saved("bob", 3, large), saved("charlie", 4, large)]
    outcomes = await asyncio.gather(
        *(store.save([attempt]) for attempt in attempts), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert await load(database) == [saved("alice", 1, "before")]
    await free_disk(database)
    await store.save([saved("bob", 5, "after")])
    assert await load(database) == [attempts[0], saved("bob", 5, "after"), attempts[2]]


async def test_kept_rows_go_by_themselves_too(database: Database) -> None:
    """Saving nothing writes what an earlier call could not."""
    store = SqlPresenceStore(database)
    await fill_disk(database)
    waiting = saved("alice", 2, "x" * 10_000)
    with pytest.raises(StorageUnavailable):
        await store.save([waiting])
    await free_disk(database)
    await store.save([])
    assert await load(database) == [waiting]


async def test_settling(database: Database) -> None:
    """`settle` returns once what was given to `save` is committed; at once if nothing was."""
    store = SqlPresenceStore(database)
    await store.settle()
    saving = asyncio.ensure_future(store.save([saved("alice", 1)]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.shield(saving)
    await store.settle()
    assert await load(database) == [saved("alice", 1)]
    await saving


async def test_text_that_no_database_takes(database: Database) -> None:
    """Half of a surrogate pair, which only a module can hand in, does not stop the others."""
    store = SqlPresenceStore(database)
    await store.save([saved("alice", 1, "\ud800!"), saved("bob", 2, "fine")])
    assert await load(database) == [saved("alice", 1, "?!"), saved("bob", 2, "fine")]


async def test_restart(tmp_path: Path) -> None:
    """Another process finds what was saved, though the first never closed the database."""
    path = tmp_path / "presence.db"
    first = open_file(path)
    await migrate(first)
    await SqlPresenceStore(first).save([saved("alice", 1, "hello")])
    second = open_file(path)
    assert await load(second) == [saved("alice", 1, "hello")]
    await first.close()
    await second.close()
