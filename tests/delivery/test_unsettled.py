"""What a node has still to tell."""

import asyncio

from lamplighter.delivery.unsettled import Unsettled
from lamplighter.ids import StreamPosition
from tests.routing.callbacks import turns
from tests.routing.people import ALICE, BOB, CHARLIE


async def test_until_it_is_told() -> None:
    """A viewer was told everything up to the first thing that is still to be told to them."""
    told = [asyncio.Event(), asyncio.Event()]
    unsettled = Unsettled()

    async def tell(number: int) -> None:
        await told[number].wait()

    async def until() -> list[int]:
        await turns()
        return [unsettled.told_until(it, StreamPosition(99)) for it in (ALICE, BOB, CHARLIE)]

    for number, viewers in enumerate(({ALICE, BOB}, {ALICE})):
        position = StreamPosition(50 - 10 * number)
        unsettled.until_done(asyncio.ensure_future(tell(number)), viewers, position)
    assert await until() == [39, 49, 99]
    assert unsettled.told_until(ALICE, StreamPosition(39)) == 39
    told[1].set()
    assert await until() == [49, 49, 99]
    told[0].set()
    assert await until() == [99, 99, 99]
