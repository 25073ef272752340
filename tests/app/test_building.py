"""The wired server: what only all parts together can show."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from lamplighter.app import Storage, build
from lamplighter.cli.users import stored_accounts
from lamplighter.clock import after, next_turn
from lamplighter.config import parse_config_text
from lamplighter.database.adapter import Sharing
from lamplighter.database.tables import users
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.delivery.tokens import epoch_of_name
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import StorageUnavailable
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import UserId
from lamplighter.presence.state import Presence
from tests.database.statements import traced_statements
from tests.database.trouble import allow_writing, forbid_writing
from tests.web.clients import client_of

_CONFIG = parse_config_text("server_name: demo\n", Path("app.yaml"))

#: What every statement has that reads all memberships.
_MEMBERS = "FROM memberships WHERE membership = 'join'"


async def test_health_recovers_by_itself(tmp_path: Path) -> None:
    """A server that could not write is well again a minute after it could, used or not."""
    clock, storage = FakeClock(), Storage.in_directory(tmp_path)
    server = await build(parse_config_text("server_name: demo\n", Path("app.yaml")), clock, storage)
    server.start()
    client = client_of(server.application)

    async def health() -> int:
        return (await client.request("GET", "/health")).status

    assert await health() == 200
    async with storage.database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "lamplighter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        await server.directory.register("alice", None)
    assert await health() == 503
    other.close()
    assert await health() == 503
    clock.advance_to(after(clock.now(), timedelta(minutes=1)))
    for _ in range(10_000):
        if await health() == 200:
            break
        await asyncio.to_thread(lambda: None)
    assert await health() == 200
    await server.stop()


async def test_a_start_reads_everybody_at_once(tmp_path: Path) -> None:
    """A start asks the database as often for twenty users as for one."""
    config = parse_config_text("server_name: demo\n", Path("app.yaml"))

    async def statements(*names: str) -> int:
        server = await build(config, FakeClock(), Storage.in_directory(tmp_path))
        for name in names:
            login = await server.directory.register(name, None)
            await server.core.for_modules.set_presence_for_users(
                {login.user_id: (Presence.ONLINE, None)}
            )
        await server.stop()
        with traced_statements() as traced:
            again = await build(config, FakeClock(), Storage.in_directory(tmp_path))
        known = [again.core.roster.get(UserId(f"@{name}:demo")).state for name in names]
        assert known == ["online"] * len(names)
        await again.stop()
        return len(traced)

    assert await statements("one") == await statements(*(f"user{n}" for n in range(20)))


async def test_a_start_reads_memberships_once(tmp_path: Path) -> None:
    """A start reads the memberships once, and a command does not read them."""
    config = parse_config_text(f"server_name: demo\ndata_dir: {tmp_path}\n", Path("app.yaml"))
    with traced_statements() as of_start:
        server = await build(config, FakeClock(), Storage.of(config))
    await server.stop()
    with traced_statements() as of_command:
        async with stored_accounts(config, Sharing.ALONE) as directory:
            await directory.account(UserId("@alice:demo"))
    whole = f"SELECT room_id, user_id, since_ts {_MEMBERS} ORDER BY since_ts, since_position"
    read = [[" ".join(it.split()) for it in some] for some in (of_start, of_command)]
    assert [[it for it in some if _MEMBERS in it] for some in read] == [[whole], []]


async def test_a_deactivation_cut_short(tmp_path: Path) -> None:
    """A user whose deactivation was cut short leaves every room once the next start is over."""
    config, storage = _CONFIG, Storage.in_directory(tmp_path)
    server = await build(config, FakeClock(), storage)
    alice, bob = [(await server.directory.register(it, None)).user_id for it in ("alice", "bob")]
    room_id = await server.directory.create_room(alice, NewRoom("public_chat"))
    await server.directory.join(bob, room_id)
    async with storage.database.write() as connection:  # as the first step of `deactivate` does
        gone = update(users).where(users.c.user_id == alice).values(is_deactivated=True)
        await connection.execute(gone)
    await server.stop()
    server = await build(config, FakeClock(), Storage.in_directory(tmp_path))
    server.start()
    assert [it.user_id for it in await server.directory.members()] == [alice, bob]
    server.opened()
    while await server.directory.joined_rooms(alice):
        pass  # another thread reads, and this one goes on meanwhile
    assert [it.user_id for it in await server.directory.members()] == [bob]
    await server.stop()


async def test_a_deactivation_cut_short_while_the_database_is_away(tmp_path: Path) -> None:
    """So does a user if the database cannot be used when the start is over, once it can be."""
    config, storage, clock = _CONFIG, Storage.in_directory(tmp_path), FakeClock()
    server = await build(config, clock, storage)
    alice = (await server.directory.register("alice", None)).user_id
    await server.directory.create_room(alice, NewRoom("public_chat"))
    async with storage.database.write() as connection:
        await connection.execute(update(users).values(is_deactivated=True))
    await forbid_writing(storage.database)
    server.start()
    with capture_logs() as logs:
        server.opened()
        while not storage.database.failures:
            await next_turn()
    assert [it["event"] for it in logs] == ["the database cannot be written"]
    await allow_writing(storage.database)
    while await server.directory.joined_rooms(alice):
        clock.advance(seconds=5)
    await server.stop()


async def test_epochs(tmp_path: Path) -> None:
    """Data keep their epoch over restarts; data from before epochs go on with the server's name."""
    config = parse_config_text("server_name: demo\nrate_limits: off\n", tmp_path / "x.yaml")
    epochs = []
    for kept_in in (tmp_path / "one", tmp_path / "one", tmp_path / "other"):
        server = await build(config, FakeClock(), Storage.in_directory(kept_in))
        epochs.append(server.core.memory.epoch)
        await server.stop()
    first, again, other = epochs
    assert first == again != other
    storage = Storage.in_directory(tmp_path / "one")
    server = await build(config, FakeClock(), storage)
    await server.core.for_modules.set_presence_for_users(
        {UserId("@bob:demo"): (Presence.ONLINE, None)}
    )
    await server.core.settled()
    store = SqlVisibilityStore(storage.database)
    await store.update([UserId("epoch")], lambda _viewer, _kept: None)
    await server.stop()
    server = await build(config, FakeClock(), Storage.in_directory(tmp_path / "one"))
    assert server.core.memory.epoch == epoch_of_name(config.server_name)
    await server.stop()
