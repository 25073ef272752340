"""How news reach the nodes: in the order of the writes, once, and in time or not."""

import asyncio

import pytest

from lamplighter.clock import Clock
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterUnavailable, LogUnreachable, Untold
from lamplighter.homeserver.sql.news import Written, decode_news, encode_news
from lamplighter.homeserver.sql.spreading import Spreading
from lamplighter.ids import UserId

ALICE = UserId("@alice:lamp.test")
SEVEN, EIGHT, NINE = (Written(it - 1, it, frozenset({ALICE})) for it in (7, 8, 9))


async def nowhere(_: bytes, /) -> None:
    """Tell nobody, without an error."""


def spreading(clock: Clock | None = None) -> Spreading:
    """Return a node that has heard everything up to 6."""
    return Spreading(nowhere, clock or FakeClock(), 6)


def test_the_order_of_the_writes() -> None:
    """News that come before those of an earlier write are heard after them."""
    node = spreading()
    heard = [list(node.in_order(it)) for it in (EIGHT, NINE, SEVEN)]
    assert (heard, node.heard) == ([[], [], [SEVEN, EIGHT, NINE]], 9)


def test_news_are_heard_once() -> None:
    """News that are told again, before or after they are heard, are heard once."""
    node = spreading()
    told = (EIGHT, EIGHT, SEVEN, SEVEN, EIGHT, NINE)
    assert [list(node.in_order(it)) for it in told] == [[], [], [SEVEN, EIGHT], [], [], [NINE]]


def test_early_news_are_bounded() -> None:
    """Of news that come early, a node keeps a limited number; the others are told again later."""
    node = Spreading(nowhere, FakeClock(), 0)
    early = [Written(it - 1, it) for it in range(2, 2_000)]
    assert not any(list(node.in_order(it)) for it in early)
    assert list(node.in_order(Written(0, 1)))[1:] == early[:1_000]
    assert list(node.in_order(early[1_000])) == [early[1_000]]


async def test_a_write_waits_for_its_own_news() -> None:
    """The telling of news ends when they are heard, and those of earlier writes as well."""
    node = spreading()
    telling = asyncio.ensure_future(node.tell(8, encode_news(EIGHT)))
    await turns_until_idle()
    list(node.in_order(EIGHT))
    await turns_until_idle()
    assert not telling.done()
    list(node.in_order(SEVEN))
    await telling


async def test_news_that_nobody_hears() -> None:
    """News that are not heard within two seconds are untold; so is what a write waits for."""
    clock = FakeClock()
    node = spreading(clock)
    waits = [node.tell(7, encode_news(SEVEN)), node.reach(8)]
    tasks = [asyncio.ensure_future(it) for it in waits]
    await turns_until_idle()
    clock.advance(seconds=1.9)
    await turns_until_idle()
    assert not any(it.done() for it in tasks)
    clock.advance(seconds=0.1)
    for task in tasks:
        with pytest.raises(Untold):
            await task
    await node.reach(6)


async def test_a_stream_that_cannot_be_reached() -> None:
    """News that cannot be appended are untold at once."""

    async def unreachable(_: bytes, /) -> None:
        raise LogUnreachable("not now")

    node = Spreading(unreachable, FakeClock(), 6)
    with pytest.raises(Untold):
        await node.tell(7, encode_news(SEVEN))
    with pytest.raises(ClusterUnavailable):
        await node.repeat(encode_news(SEVEN))


def test_news_as_bytes() -> None:
    """News are the same after the way over the wire."""
    assert decode_news(encode_news(EIGHT)) == EIGHT
