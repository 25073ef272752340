"""Places for expensive reads."""

import asyncio

import pytest

from lamplighter.errors import LimitExceeded
from lamplighter.ids import UserId
from lamplighter.web.places import Places
from tests.web.http.peer import settle

ALICE, BOB = UserId("@alice:demo"), UserId("@bob:demo")


async def test_so_many_at_a_time_in_the_order_of_their_coming() -> None:
    """A user holds two places; who comes later waits, and gets a place in turn."""
    places = Places()
    order: list[int] = []

    async def read(number: int, may_end: asyncio.Event) -> None:
        async with places.place(ALICE):
            order.append(number)
            await may_end.wait()

    ends = [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.ensure_future(read(number, end)) for number, end in enumerate(ends)]
    await settle()
    assert order == [0, 1]
    ends[1].set()
    await settle()
    assert order == [0, 1, 2]
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)
    assert (order, len(places)) == ([0, 1, 2, 3], 0)


async def test_one_user_takes_no_place_of_another() -> None:
    """Each user has places of their own."""
    places = Places(at_a_time=1)
    leave = await places.take(ALICE)
    leave_too = await asyncio.wait_for(places.take(BOB), 300)
    leave()
    leave_too()
    assert len(places) == 0


async def test_so_many_wait_and_no_more() -> None:
    """Beyond the bound a request is refused, with the time after which it may come again."""
    places = Places(at_a_time=1, most_waiting=2)
    leave = await places.take(ALICE)
    waiting = [asyncio.ensure_future(places.take(ALICE)) for _ in range(2)]
    await settle()
    with pytest.raises(LimitExceeded) as refused:
        await places.take(ALICE)
    assert refused.value.retry_after.total_seconds() == 1
    leave()
    for task in waiting:
        (await task)()
    assert len(places) == 0


async def test_a_place_is_given_back_once() -> None:
    """To give a place back twice frees no second one."""
    places = Places(at_a_time=1)
    leave = await places.take(ALICE)
    leave()
    other = await places.take(ALICE)
    leave()
    waiting = asyncio.ensure_future(places.take(ALICE))
    await settle()
    assert not waiting.done()
    other()
    (await waiting)()
    assert len(places) == 0


async def test_who_stops_waiting_takes_no_place() -> None:
    """Whoever is cancelled while it waits, or just when it is given a place, keeps none."""
    places = Places(at_a_time=1)
    leave = await places.take(ALICE)
    first, second = [asyncio.ensure_future(places.take(ALICE)) for _ in range(2)]
    await settle()
    first.cancel()
    await settle()
    leave()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert len(places) == 0
