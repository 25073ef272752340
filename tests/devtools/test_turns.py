"""Waiting until nothing is ready in the event loop."""

import asyncio

import pytest

from lamplighter.devtools.turns import turns, turns_until_idle


async def _counts(turned: list[int]) -> None:
    while True:
        await turns(1)
        turned[0] += 1


async def _forwards(steps: int, done: list[str]) -> None:
    await turns(steps)
    done.append("done")


async def test_what_is_ready_runs_to_its_end() -> None:
    """The wait lasts until tasks that need no time have ended."""
    done: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_forwards(50, done))
        await turns_until_idle()
        assert done == ["done"]


@pytest.mark.parametrize("most", [4, 10])
async def test_what_is_always_ready(most: int) -> None:
    """What is ready again in each turn gets so many turns as the caller says."""
    turned = [0]
    task = asyncio.create_task(_counts(turned))
    await turns_until_idle(most)
    assert most - 2 <= turned[0] <= most
    task.cancel()
