"""Presence across restarts: shared commits, and rows that are not lost on a full disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.database.presence import SqlPresenceStore
from lamplighter.database.sqlite import open_file
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import PresenceStore, SavedPresence
from lamplighter.presence.machine import StateSource, TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from tests.database.statements import traced_statements
from tests.database.trouble import fill_disk, free_disk


def saved(
    name: str,
    position: int,
    status_msg: str | None = None,
    source: StateSource = StateSource.DEVICES,
) -> SavedPresence:
    """Return somebody who is busy, at a place in the stream."""
    state = UserPresenceState(f"@{name}:lamp.test", Presence.BUSY, 1, 2, 3, status_msg, True)
    return SavedPresence(TrackedUser(state, source), StreamPosition(position))


def uncounted(states: int) -> None:
    """Leave the commit out of all metrics."""


async def load(database: Database) -> list[SavedPresence]:
    """Return what another process would find."""
    return sorted(
        await SqlPresenceStore(database, uncounted).load(), key=lambda s: s.user.state.user_id
    )


@asynccontextmanager
async def traced_database(path: Path) -> AsyncIterator[tuple[Database, list[str]]]:
    """Give a migrated database, and what it is told from now on."""
    with traced_statements() as statements:
        database = open_file(path)
        await migrate(database)
        statements.clear()
        yield database, statements
        await database.close()


def verbs(statements: list[str]) -> list[str]:
    """Return the first word of each statement."""
    return [statement.split()[0] for statement in statements]


async def test_round_trip(database: Database) -> None:
    """A saved state is loaded again, with every field and each source."""
    store: PresenceStore = SqlPresenceStore(database, uncounted)
    states = [
        saved("alice", 2**62, "Making cupcakes"),
        saved("bob", 2, None, StateSource.SERVER),
        saved("charlie", 3, "", StateSource.MODULE),
    ]
    await store.save(states)
    assert await load(database) == states


async def test_the_newest_position(database: Database) -> None:
    """A node that starts learns how far positions have gone without loading anybody."""
    store = SqlPresenceStore(database, uncounted)
    assert await store.newest() == StreamPosition(0)
    await store.save([saved("alice", 2**62, None), saved("bob", 7, None)])
    assert await store.newest() == StreamPosition(2**62)


async def test_the_newest_wins(database: Database) -> None:
    """Of several states of a user the one with the largest position stays, in whatever order."""
    store = SqlPresenceStore(database, uncounted)
    await store.save([saved("alice", 5, "new"), saved("alice", 4, "old")])
    await store.save([saved("alice", 3, "older")])
    assert await load(database) == [saved("alice", 5, "new")]
    await store.save([saved("alice", 5, "unannounced")])
    assert await load(database) == [saved("alice", 5, "unannounced")]


async def test_shared_commits(tmp_path: Path) -> None:
    """Callers that come while a commit is under way share the next one."""
    states = [saved(f"user{n:03}", n + 1) for n in range(500)]
    async with traced_database(tmp_path / "shared.db") as (database, statements):
        store = SqlPresenceStore(database, uncounted)
        async with database.write():  # the first of them has to wait, the others gather
            first = asyncio.ensure_future(store.save([saved("alice", 100)]))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.shield(first)
            others = [asyncio.ensure_future(store.save([s])) for s in states]
            statements.clear()
        await asyncio.gather(first, *others)
        assert verbs(statements) == ["COMMIT", "INSERT", "INSERT"]  # the test's own is the first
        assert await load(database) == [saved("alice", 100), *states]


async def test_a_commit_is_one_statement(tmp_path: Path) -> None:
    """The states of many callers in one cycle of the event loop are one statement."""
    states = [saved(f"user{n:03}", n + 1) for n in range(500)]
    async with traced_database(tmp_path / "one.db") as (database, statements):
        store = SqlPresenceStore(database, uncounted)
        await asyncio.gather(*(store.save([state]) for state in states))
        assert verbs(statements)[-1:] == ["INSERT"]
        statements.clear()
        await asyncio.gather(*(store.save([state]) for state in states))
        assert verbs(statements) == ["INSERT"]


async def test_a_caller_that_gives_up(database: Database) -> None:
    """One caller that is cancelled costs neither its row nor the others' commit."""
    store = SqlPresenceStore(database, uncounted)
    states = [saved("alice", 1), saved("bob", 2)]
    patient = asyncio.ensure_future(store.save(states[1:]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await store.save(states[:1])
    await patient
    await store.settle()
    assert await load(database) == states


async def test_a_full_disk_loses_nothing(file_database: Database) -> None:
    """A commit that fails does so for all its callers; the states go with the next call."""
    store = SqlPresenceStore(file_database, uncounted)
    await store.save([saved("alice", 1, "before")])
    await fill_disk(file_database)
    large = "x" * 10_000
    attempts = [saved("alice", 2, large), saved("bob", 3, large), saved("charlie", 4, large)]
    outcomes = await asyncio.gather(
        *(store.save([attempt]) for attempt in attempts), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert await load(file_database) == [saved("alice", 1, "before")]
    await free_disk(file_database)
    await store.save([saved("bob", 5, "after")])
    rest = "x" * 1024  # longer messages than that are cut when they are read
    alice, charlie = saved("alice", 2, rest), saved("charlie", 4, rest)
    assert await load(file_database) == [alice, saved("bob", 5, "after"), charlie]


async def test_kept_rows_go_by_themselves_too(file_database: Database) -> None:
    """Saving nothing writes what an earlier call could not."""
    store = SqlPresenceStore(file_database, uncounted)
    await fill_disk(file_database)
    waiting = saved("alice", 2, "x" * 10_000)
    with pytest.raises(StorageUnavailable):
        await store.save([waiting])
    await free_disk(file_database)
    await store.save([])
    assert await load(file_database) == [saved("alice", 2, "x" * 1024)]


async def test_settling(database: Database) -> None:
    """`settle` returns once what was given to `save` is committed; at once if nothing was."""
    store = SqlPresenceStore(database, uncounted)
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
    store = SqlPresenceStore(database, uncounted)
    await store.save([saved("alice", 1, "\ud800!"), saved("bob", 2, "fine")])
    assert await load(database) == [saved("alice", 1, "?!"), saved("bob", 2, "fine")]


async def test_restart(tmp_path: Path) -> None:
    """Another process finds what was saved, though the first never closed the database."""
    path = tmp_path / "presence.db"
    first = open_file(path)
    await migrate(first)
    await SqlPresenceStore(first, uncounted).save([saved("alice", 1, "hello")])
    second = open_file(path)
    assert await load(second) == [saved("alice", 1, "hello")]
    await first.close()
    await second.close()


async def test_each_commit_is_counted(database: Database) -> None:
    """Each commit with states is counted, with their number."""
    committed: list[int] = []
    store = SqlPresenceStore(database, committed.append)
    first = store.save([saved("alice", 1, "hello")])
    second = store.save([saved("bob", 2, None), saved("charlie", 3, None)])
    await first
    await second
    await store.save([])
    assert committed == [3]


async def test_a_count_that_fails(database: Database) -> None:
    """Whoever waits for a commit is answered, even if what counts commits fails."""

    def fails(_states: int) -> None:
        raise ZeroDivisionError

    store = SqlPresenceStore(database, fails)
    await asyncio.wait_for(store.save([saved("anna", 1)]), 10)
    assert await load(database) == [saved("anna", 1)]


async def test_forgotten(database: Database) -> None:
    """A user who is forgotten is deleted with the next commit, also one that is not written yet."""
    store = SqlPresenceStore(database, uncounted)
    alice, bob, charlie = (saved(name, place) for place, name in enumerate("abc"))
    await store.save([alice, charlie])
    store.save([bob])
    for it in (alice, bob):
        store.forget(UserId(it.user.state.user_id))
    await store.save(())
    assert await load(database) == [charlie]


async def test_forgotten_and_saved_again(database: Database) -> None:
    """Somebody who is saved after being forgotten is stored, at whatever position."""
    store = SqlPresenceStore(database, uncounted)
    await store.save([saved("a", 7, "before")])
    store.forget(UserId("@a:lamp.test"))
    await store.save([saved("a", 5, "after")])
    assert await load(database) == [saved("a", 5, "after")]


async def test_many_are_forgotten(database: Database) -> None:
    """Any number of users is forgotten at once."""
    store = SqlPresenceStore(database, uncounted)
    everybody = [saved(f"u{number:03}", number) for number in range(150)]
    await store.save(everybody)
    for it in everybody[:101]:
        store.forget(UserId(it.user.state.user_id))
    await store.save(())
    assert await load(database) == everybody[101:]


async def test_a_full_disk_forgets_later(file_database: Database) -> None:
    """A user whose row could not be deleted is deleted with the next commit that can be made."""
    store = SqlPresenceStore(file_database, uncounted)
    await store.save([saved("alice", 1), saved("bob", 2)])
    await fill_disk(file_database)
    store.forget(UserId("@alice:lamp.test"))
    with pytest.raises(StorageUnavailable):
        await store.save([saved("charlie", 3, "x" * 10_000)])
    await free_disk(file_database)
    await store.save([])
    assert await load(file_database) == [saved("bob", 2), saved("charlie", 3, "x" * 1024)]


async def test_a_message_that_is_older_than_the_limit(database: Database) -> None:
    """A message that was stored before there was a limit is cut when it is read, not refused."""
    store = SqlPresenceStore(database, uncounted)
    await store.save([saved("alice", 1, "é" * 600)])
    assert await load(database) == [saved("alice", 1, "é" * 512)]
