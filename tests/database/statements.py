"""What the databases are told, statement by statement, whoever tells them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

__all__ = ["traced_statements"]


@contextmanager
def traced_statements() -> Iterator[list[str]]:
    """Collect the SQL of all SQLite connections that are opened in the block, while it lasts."""
    statements: list[str] = []
    trace: Callable[[str], object] = statements.append

    def on_connect(connection: Any, record: object) -> None:
        connection.run_async(lambda driver: driver.set_trace_callback(trace))

    event.listen(Engine, "connect", on_connect)
    try:
        yield statements
    finally:
        event.remove(Engine, "connect", on_connect)
