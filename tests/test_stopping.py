"""Stopping in steps, each with its own time limit."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from lamplighter.clock import after, next_turn
from lamplighter.devtools.clock import FakeClock
from lamplighter.stopping import Step, stop_by_steps

SHARE = timedelta(seconds=2)


class World:
    """A clock, and a log of the steps with seconds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.begun_at = self.clock.now()
        self.log: list[tuple[str, int]] = []

    def note(self, what: str) -> None:
        """Add an entry to the log."""
        self.log.append((what, (self.clock.now() - self.begun_at) // 1000))

    async def stop(self, *steps: Step) -> None:
        """Stop, while time passes second by second."""
        stopping = asyncio.ensure_future(stop_by_steps(self.clock, steps))
        while not stopping.done():
            for _ in range(10):
                await next_turn()
            self.clock.advance_to(after(self.clock.now(), timedelta(seconds=1)))
        await stopping

    def quick(self, name: str) -> Step:
        """Return a step that ends at once."""

        async def work() -> None:
            self.note(name)

        return Step(name, SHARE, work)

    def stubborn(self, name: str, free: asyncio.Event) -> Step:
        """Return a step that ignores cancellation, and ends when *free* is set."""

        async def work() -> None:
            self.note(name)
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    self.note(f"{name} is cancelled")

        return Step(name, SHARE, work)

    def failing(self, name: str, failure: Callable[[], BaseException]) -> Step:
        """Return a step that raises."""

        async def work() -> None:
            self.note(name)
            raise failure()

        return Step(name, SHARE, work)


async def test_steps_that_do_not_end() -> None:
    """The server waits for a step that does not end only for the step's share."""
    world, free = World(), asyncio.Event()
    await world.stop(
        world.stubborn("modules", free), world.stubborn("presence", free), world.quick("database")
    )
    free.set()
    assert world.log == [
        ("modules", 0),
        ("modules is cancelled", 2),
        ("presence", 2),
        ("presence is cancelled", 4),
        ("database", 4),
    ]


async def test_steps_that_fail() -> None:
    """Steps run one after the other without waiting, and the first failure is raised at the end."""
    world = World()
    with pytest.raises(LookupError):
        await world.stop(
            world.failing("modules", asyncio.CancelledError),
            world.failing("presence", LookupError),
            world.failing("federation", ValueError),
            world.quick("database"),
        )
    assert world.log == [("modules", 0), ("presence", 0), ("federation", 0), ("database", 0)]
