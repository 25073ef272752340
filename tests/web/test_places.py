"""Places for expensive reads."""

import asyncio
from collections.abc import Callable

import pytest

from lamplighter.errors import LimitExceeded
from lamplighter.ids import UserId
from lamplighter.web.places import AT_A_TIME, MOST_WAITING, Places
from tests.web.http.peer import settle

ALICE, BOB = UserId("@alice:demo"), UserId("@bob:demo")


async def test_the_order_of_places() -> None:
    """A user holds two places; the next requests wait, and get a place in their order. Another user
    has places of their own.
    """
    places, order = Places(), list[int]()

    async def take(number: int) -> Callable[[], None]:
        leave = await places.take(ALICE)
        order.append(number)
        return leave

    tasks = [asyncio.ensure_future(take(number)) for number in range(4)]
    await settle()
    assert order == [0, 1]
    (await asyncio.wait_for(places.take(BOB), 300))()
    tasks[1].result()()
    await settle()
    assert order == [0, 1, 2]
    for task in (tasks[0], *tasks[2:]):
        (await task)()
    assert (order, len(places)) == ([0, 1, 2, 3], 0)


async def full() -> tuple[Places, Callable[[], None]]:
    """Return places of which alice has all, and what gives one of them back."""
    places = Places()
    for _ in range(AT_A_TIME - 1):
        await places.take(ALICE)
    return places, await places.take(ALICE)


async def test_few_wait() -> None:
    """Beyond the bound a request is refused, with the time after which it may come again."""
    places, leave = await full()
    waiting = [asyncio.ensure_future(places.take(ALICE)) for _ in range(MOST_WAITING)]
    await settle()
    with pytest.raises(LimitExceeded) as refused:
        await places.take(ALICE)
    assert refused.value.retry_after.total_seconds() == 1
    leave()
    for task in waiting:
        (await task)()


async def test_a_place_is_given_back_once() -> None:
    """To give a place back twice frees no second one."""
    places, leave = await full()
    leave()
    other = await places.take(ALICE)
    leave()
    waiting = asyncio.ensure_future(places.take(ALICE))
    await settle()
    assert not waiting.done()
    other()
    await waiting


async def test_a_request_that_stops_waiting_takes_no_place() -> None:
    """A request that is cancelled while it waits, or just when it gets a place, keeps none."""
    places, leave = await full()
    first, second = [asyncio.ensure_future(places.take(ALICE)) for _ in range(2)]
    await settle()
    first.cancel()
    leave()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    third = asyncio.ensure_future(places.take(ALICE))
    await settle()
    assert third.done()
