"""The SQL engines on which the contract suites run."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from lamplighter.app import Storage
from lamplighter.database.adapter import Sharing
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.sqlite import open_file

__all__ = ["ENGINES", "databases_of_nodes", "opening"]

#: The engines on which what a port promises is tested.
ENGINES: Final = (
    "sqlite-memory",
    "sqlite-file",
    pytest.param("postgresql", marks=pytest.mark.processes),
)


def opening(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Return what opens a database on *engine*, for one test."""
    if engine == "sqlite-memory":
        return open_memory
    if engine == "sqlite-file":
        Storage.prepare(tmp_path)
        return lambda: open_file(tmp_path / "lamplighter.db")
    from lamplighter.database.postgresql import open_url

    url = request.getfixturevalue("postgres_url")
    return lambda: open_url(url)


def databases_of_nodes(request: pytest.FixtureRequest) -> list[Database]:
    """Return two ways to one PostgreSQL database, for two nodes of a server."""
    from lamplighter.database.postgresql import open_url

    url = request.getfixturevalue("postgres_url")
    return [open_url(url, sharing=Sharing.BESIDE) for _ in range(2)]
