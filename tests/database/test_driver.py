"""A driver's own connection."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lamplighter.database.driver import DriverConnection


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/x.db", pool_size=1)
    yield engine
    await engine.dispose()


async def test_one_connection(engine: AsyncEngine) -> None:
    """It is the engine's connection, opened once; another one after the engine has closed it."""
    driver = DriverConnection(engine)
    first = await driver.open()
    async with engine.connect() as connection:
        assert (await connection.get_raw_connection()).driver_connection is first
    assert await driver.open() is first
    await engine.dispose()
    second = await driver.open()
    assert second is not first
    assert await second.execute_fetchall("SELECT 1") == [(1,)]


async def test_a_connection_that_is_of_no_use(engine: AsyncEngine) -> None:
    """The engine replaces a connection that is not usable any more."""
    ended = set[Any]()

    def refuse(adapted: Any, _record: object, _proxy: object) -> None:
        if adapted.driver_connection in ended:
            raise DisconnectionError

    event.listen(engine.sync_engine, "checkout", refuse)
    driver = DriverConnection(engine, lambda connection: connection not in ended)
    first = await driver.open()
    ended.add(first)
    second = await driver.open()
    assert (second is first, await driver.open() is second) == (False, True)
