"""A server's modules on fakes, stopped after the test; and what is logged during it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.modules.fakes import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The modules of one server; the test decides when they start."""
    world = World()
    yield world
    await world.runtime.stop()


@pytest.fixture
async def running(world: World) -> World:
    """The modules of one server that runs."""
    world.runtime.start()
    return world


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """The lines that are logged during the test."""
    with capture_logs() as lines:
        yield lines
