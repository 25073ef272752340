"""A fixture for tests that set up the logs of the process: afterwards they are as before."""

import logging
from collections.abc import Iterator

import pytest
import structlog

__all__ = ["logs_as_before"]

_TALKATIVE = ("aiosqlite", "alembic")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Leave the logs as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    structlog.reset_defaults()
