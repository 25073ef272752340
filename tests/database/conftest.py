"""Databases with their tables and nothing in them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.database.sqlite import open_file


@pytest.fixture
async def database(open_database: Callable[[], Database]) -> AsyncIterator[Database]:
    """A new, migrated database: on each engine once."""
    opened = open_database()
    await migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def file_database(tmp_path: Path) -> AsyncIterator[Database]:
    """A new, migrated database in a file."""
    opened = open_file(tmp_path / "lamplighter.db")
    await migrate(opened)
    yield opened
    await opened.close()
