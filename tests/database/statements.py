"""Counts what SQLite executes, statement by statement, and the trips to its threads."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

__all__ = ["counted_wakes", "traced_statements"]


@contextmanager
def traced_statements() -> Iterator[list[str]]:
    """Collect the SQL of all SQLite connections that are opened in the block, while it lasts."""
    statements: list[str] = []
    trace: Callable[[str], object] = statements.append

    def on_connect(connection: Any, record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(trace)
        else:
            connection.run_async(lambda driver: driver.set_trace_callback(trace))

    event.listen(Engine, "connect", on_connect)
    try:
        yield statements
    finally:
        event.remove(Engine, "connect", on_connect)


@contextmanager
def counted_wakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Collect what other threads ask of the loop: each time, both have been woken up."""
    loop = asyncio.get_running_loop()
    original = loop.call_soon_threadsafe
    asked: list[object] = []

    def asking(callback: Any, *arguments: Any, **more: Any) -> asyncio.Handle:
        asked.append(callback)
        return original(callback, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", asking)
        yield asked
