"""Which module holds the event loop, and which is blamed for a time-out."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.routing.answers import CheckedInterest
from lamplighter.routing.guard import GuardedModule
from lamplighter.routing.loop_time import Holding
from tests.busy_clock import BusyClock
from tests.routing.callbacks import Act, Thinking, turns
from tests.routing.guarded import Machine
from tests.routing.people import ALICE, BOB, CHARLIE, state

NAMED = CheckedInterest(frozenset({BOB}))


def blocking(clock: FakeClock, answer: object = None, **duration: float) -> Act:
    """Return a callback that holds the event loop for this *duration*, and then answers."""

    async def act(asked: Any) -> object:
        clock.advance(**duration)
        return answer

    return act


def kinds(module: GuardedModule) -> str | None:
    """Return the kind of the module's last failure."""
    last = module.health.last_failure
    return last.kind if last else None


async def test_each_step_is_measured() -> None:
    """A call holds the loop for as long as its steps take together; while it waits, it does not."""
    machine = Machine()
    gate = asyncio.Event()

    async def work() -> str:
        machine.clock.advance(milliseconds=300)
        await gate.wait()
        machine.clock.advance(milliseconds=20)
        return "done"

    holding = Holding(machine.loop_time)

    async def driven() -> str:
        return await holding.steps_of(work())

    task = asyncio.ensure_future(driven())
    await turns()
    machine.clock.advance(hours=1)
    gate.set()
    assert (await task, holding.own, holding.others) == ("done", 320, 0)


async def test_others() -> None:
    """It is known how long others have held the loop since a call began, also during their step."""
    machine = Machine()
    first, second = Holding(machine.loop_time), Holding(machine.loop_time)
    seen: list[tuple[int, int]] = []

    def step() -> None:
        machine.clock.advance(milliseconds=70)
        seen.append((first.others, second.own))

    second.step(step)
    assert seen == [(70, 70)]
    assert (first.own, first.others, Holding(machine.loop_time).others) == (0, 70, 0)


async def test_cancellation() -> None:
    """A cancellation reaches the module, which may continue after it."""
    machine = Machine()
    began = asyncio.Event()

    async def stubborn() -> str:
        try:
            began.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "not yet"
        return "never"

    async def driven() -> str:
        return await Holding(machine.loop_time).steps_of(stubborn())

    task = asyncio.ensure_future(driven())
    await began.wait()
    task.cancel()
    assert await task == "not yet"


@pytest.mark.parametrize(("held", "paused"), [(500, False), (501, True), (5_000, True)])
async def test_a_module_that_holds_the_loop(held: int, paused: bool) -> None:
    """Five calls in a row that hold the loop for more than a tenth of the time-out pause it."""
    machine = Machine()
    module = machine.guarded(blocking(machine.clock, {BOB}, milliseconds=held))
    with capture_logs() as logs:
        for _ in range(5):
            await module.interested_users(ALICE)
    assert module.is_paused is paused
    assert len(logs) == int(paused)


async def test_the_answer_of_a_blocking_call() -> None:
    """An answer that took long to compute, but is in time, counts."""
    machine = Machine()
    module = machine.guarded(blocking(machine.clock, {BOB}, seconds=2))
    with capture_logs() as logs:
        assert await module.interested_users(ALICE) == NAMED
    assert kinds(module) == "blocked"
    assert logs[0]["problem"] == "held the event loop for 0:00:02: nobody else could do anything"


@pytest.mark.parametrize("seconds", [4, 6, 60, 3_600])
async def test_the_innocent_are_not_paused(seconds: int) -> None:
    """A module that waits while another holds the loop gets its whole time afterwards."""
    machine = Machine()
    thinking = Thinking()
    innocent = machine.guarded(thinking)
    busy = machine.guarded(blocking(machine.clock, seconds=seconds))
    with capture_logs():
        for _ in range(10):
            answer = innocent.interested_users(ALICE)
            await turns()
            busy.interested_users(ALICE)
            busy.reset()
            await turns()
            machine.clock.advance(milliseconds=4_999)
            await turns()
            thinking.answer({BOB})
            assert await answer == NAMED
    assert (innocent.is_paused, innocent.problem) == (False, None)
    assert busy.health.failures == 10


async def test_the_innocent_may_be_late_too() -> None:
    """A module that does not answer within its own time is late, even if another held the loop."""
    machine = Machine()
    late = machine.guarded(Thinking())
    busy = machine.guarded(blocking(machine.clock, seconds=60))
    answer = late.interested_users(ALICE)
    await turns()
    with capture_logs():
        busy.interested_users(ALICE)
        await turns()
        machine.clock.advance(milliseconds=4_999)
        assert not answer.done()
        machine.clock.advance(milliseconds=1)
    assert (answer.result().failed, kinds(late)) == (True, "timeout")


async def test_a_loop_that_is_late_for_another_reason() -> None:
    """If the time-out fires late and no module held the loop, the module gets its time again."""
    machine = Machine(clock := BusyClock())
    thinking = Thinking()
    module = machine.guarded(thinking)
    answer = module.interested_users(ALICE)
    await turns()
    clock.be_late(seconds=7)
    clock.advance(seconds=5)
    await turns()
    assert not answer.done()
    thinking.answer({BOB})
    assert await answer == NAMED


@pytest.mark.parametrize("late", [[5.0] * 6, [-3_600.0]], ids=["always late", "set back"])
async def test_odd_clocks(late: list[float]) -> None:
    """A module that never answers is late in the end, even if every timer is late, or the clock is
    set back.
    """
    machine = Machine(clock := BusyClock())
    with capture_logs():
        answer = machine.guarded(Thinking()).interested_users(ALICE)
        for seconds in late:
            clock.be_late(seconds=seconds)
            clock.advance(seconds=5)
    assert answer.done()


async def test_calls_after_a_slow_one() -> None:
    """Calls that follow a slow call of the same question are not blamed for its time."""
    machine = Machine()
    asked = 0

    async def act(states: Any) -> object:
        nonlocal asked
        asked += 1
        if len(states) > 1:
            await wait.wait()
            raise KeyError("no")
        return await asyncio.get_running_loop().create_future()

    module = machine.guarded(act)
    with capture_logs() as logs:
        for _ in range(6):
            wait = asyncio.Event()
            answer = module.users_for_states([state(BOB), state(CHARLIE)])
            await turns()
            machine.clock.advance(seconds=4)
            wait.set()
            await turns()
            machine.clock.advance(seconds=1)
            assert (await answer).unanswered == {BOB, CHARLIE}
            await turns()
    assert (asked, module.is_paused) == (18, False)
    assert [line["problem"] for line in logs] == ["no answer within 0:00:05"]
