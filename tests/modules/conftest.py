"""A server's modules on fakes, stopped after the test."""

from collections.abc import AsyncIterator

import pytest

from tests.modules.fakes import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Modules of one server; the test decides when they start."""
    world = World()
    yield world
    await world.runtime.stop()
