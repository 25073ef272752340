"""A fixture for the tests of routing."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """The lines that are logged during the test."""
    with capture_logs() as lines:
        yield lines
