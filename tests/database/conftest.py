"""A database in a file, with its tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamplighter.database.engine import Database, open_file
from lamplighter.database.migrate import migrate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A new, migrated database file."""
    opened = open_file(tmp_path / "lamplighter.db")
    await migrate(opened)
    yield opened
    await opened.close()
