"""Modules that hear of announced states."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.service.subscribers import Subscribers
from tests.routing.callbacks import Thinking, not_async, raising, raising_at_once, turns
from tests.routing.people import ALICE, BOB, state

ERRORS = [RuntimeError("no"), SystemExit(3), KeyboardInterrupt()]
Heard = list[list[UserPresenceState]]


class Bench:
    """Subscribers who may take five seconds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.subscribers = Subscribers(self.clock, self.metrics, timedelta(seconds=5))

    def listener(self) -> Heard:
        """Return what a subscriber hears from now on."""
        heard: Heard = []

        async def listen(states: list[UserPresenceState]) -> None:
            heard.append(states)

        self.subscribers.subscribe(listen, "Listener")
        return heard

    def subscribe(self, act: Any) -> Callable[[], None]:
        return self.subscribers.subscribe(act, "MyModule")

    async def announce(self, *states: UserPresenceState) -> None:
        self.subscribers.announce(states)
        await turns()

    def failures(self, kind: str) -> bool:
        labels = f'callback="subscribe_to_presence",kind="{kind}",module="MyModule"'
        sample = f"lamplighter_module_failures_total{{{labels}}} 1.0"
        return sample in self.metrics.exposition().decode()


@pytest.fixture
def bench() -> Bench:
    """Nobody has subscribed."""
    return Bench()


async def test_every_batch(bench: Bench) -> None:
    """A subscriber hears every batch, as a list of its own, in order."""
    first, second = bench.listener(), bench.listener()
    await bench.announce(state(ALICE), state(BOB))
    first[0].clear()
    await bench.announce(state(BOB, "brb"))
    assert first == [[], [state(BOB, "brb")]]
    assert second == [[state(ALICE), state(BOB)], [state(BOB, "brb")]]


async def test_nothing_to_hear(bench: Bench) -> None:
    """A batch without states is not told."""
    heard = bench.listener()
    await bench.announce()
    assert heard == []


async def test_while_busy(bench: Bench) -> None:
    """A callback that works gets the newest state of each user afterwards, once."""
    slow = Thinking()
    bench.subscribe(slow)
    await bench.announce(state(BOB, "one"))
    await bench.announce(state(BOB, "two"), state(ALICE))
    await bench.announce(state(BOB, "three"))
    assert slow.asked == [[state(BOB, "one")]]
    slow.answer(None)
    await turns()
    assert slow.asked == [[state(BOB, "one")], [state(BOB, "three"), state(ALICE)]]
    bench.subscribers.close()
    await turns()


async def test_unsubscribing(bench: Bench) -> None:
    """A module that has unsubscribed is not called; unsubscribing twice is harmless."""
    slow = Thinking()
    unsubscribe = bench.subscribe(slow)
    await bench.announce(state(BOB, "one"))
    await bench.announce(state(BOB, "two"))
    unsubscribe()
    unsubscribe()
    slow.answer(None)
    await bench.announce(state(BOB, "three"))
    assert slow.asked == [[state(BOB, "one")]]


@pytest.mark.parametrize("how", [raising, raising_at_once])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_a_callback_that_raises(bench: Bench, how: Any, error: BaseException) -> None:
    """A callback that raises, or tries to end the server, is logged, and asked again next time."""
    bench.subscribe(how(error))
    heard = bench.listener()
    with capture_logs() as logged:
        await bench.announce(state(BOB))
    (line,) = logged
    assert (line["event"], line["module"], line["callback"], line["log_level"]) == (
        "module failed",
        "MyModule",
        "subscribe_to_presence",
        "warning",
    )
    assert type(error).__name__ in line["problem"]
    assert (bench.failures("exception"), heard) == (True, [[state(BOB)]])
    with capture_logs() as logged:
        await bench.announce(state(BOB))
        bench.clock.advance(minutes=1)
        await bench.announce(state(BOB))
    assert [line["left_out"] for line in logged] == [1]  # after a minute


async def test_a_callback_that_is_not_async(bench: Bench) -> None:
    """A callback that returns instead of an awaitable is logged as such."""
    bench.subscribe(not_async(None))
    with capture_logs() as logged:
        await bench.announce(state(BOB))
    problem = "TypeError('the callback is not async: it returned NoneType')"
    assert [line["problem"] for line in logged] == [problem]


async def test_a_callback_that_takes_too_long(bench: Bench) -> None:
    """A callback that takes too long is cancelled and logged; the others have not waited."""
    slow = Thinking()
    bench.subscribe(slow)
    heard = bench.listener()
    await bench.announce(state(BOB))
    assert heard == [[state(BOB)]]
    with capture_logs() as logged:
        bench.clock.advance(seconds=5)
        await turns()
    assert (slow.cancelled, bench.failures("timeout")) == (1, True)
    assert [line["problem"] for line in logged] == ["TimeoutError()"]
    await bench.announce(state(ALICE))
    assert slow.asked == [[state(BOB)], [state(ALICE)]]
    bench.subscribers.close()
    await turns()


async def test_a_callback_that_subscribes(bench: Bench) -> None:
    """A callback may subscribe another one, which hears what comes after that."""
    later: list[Heard] = []

    async def subscribe(states: Any) -> None:
        if not later:
            later.append(bench.listener())

    bench.subscribe(subscribe)
    await bench.announce(state(BOB))
    await bench.announce(state(ALICE))
    assert later == [[[state(ALICE)]]]


async def test_closing(bench: Bench) -> None:
    """After closing nobody is called, and what was under way is cancelled."""
    slow = Thinking()
    bench.subscribe(slow)
    heard = bench.listener()
    await bench.announce(state(BOB))
    bench.subscribers.close()
    await bench.announce(state(ALICE))
    assert (slow.cancelled, heard) == (1, [[state(BOB)]])


async def test_a_callback_that_cancels_itself(bench: Bench) -> None:
    """A callback that raises `CancelledError` misses what it was told, and hears the next."""
    calls: list[Any] = []

    def act(states: Any) -> Awaitable[None]:
        calls.append(states)
        raise asyncio.CancelledError

    bench.subscribe(act)
    await bench.announce(state(BOB))
    await bench.announce(state(ALICE))
    assert calls == [[state(BOB)], [state(ALICE)]]
