"""One module's callbacks: whatever they do costs that module's answer, and nothing else."""

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes
from lamplighter.routing.health import Failure
from tests.routing.callbacks import (
    Act,
    Thinking,
    answering,
    not_async,
    raising,
    raising_at_once,
    turns,
)
from tests.routing.guarded import BOBS, MISSING, Bench
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state


def failure(problem: str, callback: str, users: str, **more: Any) -> dict[str, Any]:
    """Return the log line of a failure."""
    return {
        "event": "module failed",
        "log_level": "warning",
        "module": "MyRouter",
        "callback": callback,
        "users": users,
        "problem": problem,
        "paused": False,
        "exc_info": None,
        **more,
    }


async def test_a_sound_answer(logged: list[Any]) -> None:
    """A valid answer is returned, timed by the clock, and nothing is logged."""
    act = Thinking()
    bench = Bench(act)
    answer = bench.module.users_for_states([BOBS])
    await turns()
    bench.clock.advance(milliseconds=400)
    act.answer({ALICE: {BOBS}})
    assert await answer == CheckedRoutes({ALICE: {BOB: BOBS}})
    labels = {"callback": "get_users_for_states", "module": "MyRouter"}
    assert bench.metric("module_seconds_count", **labels) == 1
    assert bench.metric("module_seconds_sum", **labels) == 0.4
    assert (logged, bench.clock.next_timer()) == ([], None)


async def test_the_states_come_as_a_list() -> None:
    """Each call gets a list of its own, so a module that changes the list changes no other."""
    states = [BOBS, state(CHARLIE)]
    seen: list[Any] = []

    async def greedy(asked: list[UserPresenceState]) -> object:
        seen.append(list(asked))
        asked.clear()
        return {}

    bench = Bench(greedy)
    for _ in range(2):
        await bench.module.users_for_states(states)
    await bench.module.users_for_states(tuple(states))
    assert seen == [states] * 3
    assert states == [BOBS, state(CHARLIE)]


EXITS = [SystemExit(3), KeyboardInterrupt()]
ERRORS = [
    RuntimeError("no"),
    asyncio.CancelledError(),
    TimeoutError(),
    GeneratorExit(),
    StopAsyncIteration(),
    BaseException("odd"),
]


class Bomb(Exception):
    """An exception whose own `repr` raises."""

    def __repr__(self) -> str:
        raise SystemExit(3)


NOT_ASYNC = "TypeError('the callback is not async: it returned {}')"
EXIT = "RuntimeError('the module tried to end the server: {!r}')"
RAISING = [
    *((raising(it), repr(it)) for it in ERRORS),
    *((raising_at_once(it), repr(it)) for it in ERRORS),
    *((raising(it), EXIT.format(it)) for it in EXITS),
    *((raising_at_once(it), EXIT.format(it)) for it in EXITS),
    (raising(Bomb()), "Bomb"),
    (not_async({}), NOT_ASYNC.format("dict")),
    (not_async(None), NOT_ASYNC.format("NoneType")),
    (not_async("ALL"), NOT_ASYNC.format("str")),
]


@pytest.mark.parametrize(("act", "problem"), RAISING, ids=[problem for _, problem in RAISING])
async def test_an_exception(act: Act, problem: str, logged: list[Any]) -> None:
    """A callback that raises any exception, or is not async, costs its answer and no more."""
    bench = Bench(act)
    assert await bench.users_for_states() == MISSING
    assert await bench.module.interested_users(ALICE) == CheckedInterest(failed=True)
    cause = logged[0]["exc_info"]
    assert isinstance(cause, BaseException)
    line = failure(problem, "get_users_for_states", BOB, exc_info=cause)
    assert logged[0] == line
    assert logged[1]["callback"] == "get_interested_users"
    assert bench.failures("get_users_for_states", "exception") == 1


async def test_any_awaitable_will_do() -> None:
    """A callback need not be `async def`: it may return any awaitable."""

    def act(asked: object) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        future.set_result({BOB})
        return future

    assert await Bench(act).module.interested_users(ALICE) == CheckedInterest(frozenset({BOB}))


async def test_an_answer_that_raises_when_it_is_read() -> None:
    """An answer may raise when it is looked at, as a proxy does that has nothing behind it."""

    class Proxy:
        @property  # type: ignore[misc] # it has no setter
        def __class__(self) -> type:
            raise RuntimeError("nothing is behind the proxy")

    module = Bench(answering(Proxy())).module
    interest = asyncio.ensure_future(module.interested_users(ALICE))
    routes = asyncio.ensure_future(module.users_for_states([BOBS]))
    await turns()
    assert interest.result() == CheckedInterest(failed=True)
    assert routes.result() == CheckedRoutes(unanswered=frozenset({BOB}))


async def test_a_wrong_entry(logged: list[Any]) -> None:
    """A wrong entry of an answer is logged and counted as a failure; the valid ones count."""
    bench = Bench(answering({ALICE: {BOBS}, DORA: [], 7: set()}))
    assert (await bench.users_for_states()).routes == {ALICE: {BOB: BOBS}}
    problem = f"the value of {DORA} is a list instead of a set; 7 is not a user ID"
    assert logged == [failure(problem, "get_users_for_states", BOB)]
    assert bench.failures("get_users_for_states", "wrong answer") == 1


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_late_answer(stubborn: bool, logged: list[Any]) -> None:
    """An answer after the time-out is lost, also of a callback that swallows its cancellation.

    The server cancels the callback at the time-out, not earlier.
    """
    act = Thinking(stubborn=stubborn)
    bench = Bench(act)
    answer = bench.module.users_for_states([BOBS])
    await turns()
    bench.clock.advance(milliseconds=4_999)
    await turns()
    assert (answer.done(), act.cancelled) == (False, 0)
    bench.clock.advance(milliseconds=1)
    await turns()
    assert (await answer, act.cancelled) == (MISSING, 1)
    act.answer({ALICE: {BOBS}})
    await turns()
    assert answer.result() == MISSING
    problem = "no answer within 0:00:05"
    assert logged == [failure(problem, "get_users_for_states", BOB)]
    assert bench.failures("get_users_for_states", "timeout") == 1


async def test_a_callback_that_raises_when_late(logged: list[Any]) -> None:
    """A callback that raises when it is cancelled has failed once, not twice."""
    began = asyncio.Event()

    async def act(asked: object) -> object:
        try:
            began.set()
            return await asyncio.get_running_loop().create_future()
        finally:
            raise RuntimeError("and another thing")

    bench = Bench(act)
    answer = bench.module.interested_users(ALICE)
    await began.wait()
    bench.clock.advance(seconds=5)
    await turns()
    assert (await answer, len(logged)) == (CheckedInterest(failed=True), 1)


async def test_health(logged: list[Any]) -> None:
    """Calls and failures are counted, and the last failure is known."""
    bench = Bench(raising(RuntimeError("no")))
    await bench.ask(5)
    health = bench.module.health
    assert bench.module.problem == "get_interested_users: RuntimeError('no')"
    assert (health.calls, health.failures) == (5, 5)
    assert health.last_failure == Failure(
        "get_interested_users", "exception", "RuntimeError('no')", bench.clock.now()
    )
    answering_well = Bench(answering(set()))
    await answering_well.ask(1)
    health = answering_well.module.health
    assert (health.calls, health.failures, health.seconds(1)) == (1, 0, 0.0)


async def test_the_module_is_paused(logged: list[Any]) -> None:
    """After time-outs in a row the module is not called until the pause is over."""
    act = Thinking()
    bench = Bench(act)
    await bench.wait_in_vain(3)
    assert [line["paused"] for line in logged] == [False]
    assert bench.module.is_paused
    assert bench.metric("module_paused", module="MyRouter") == 1
    assert await bench.module.interested_users(ALICE) == CheckedInterest(failed=True)
    assert await bench.users_for_states() == MISSING
    assert (len(act.asked), bench.failures("get_interested_users", "timeout")) == (3, 3)
    act.forget()
    bench.clock.advance(seconds=30)
    answer = bench.module.interested_users(ALICE)
    await turns()
    assert await bench.module.interested_users(BOB) == CheckedInterest(failed=True)
    act.answer({BOB})
    assert await answer == CheckedInterest(frozenset({BOB}))
    assert (bench.module.is_paused, act.asked) == (False, [ALICE] * 4)
    assert bench.metric("module_paused", module="MyRouter") == 0


async def test_a_call_after_the_pause_that_fails() -> None:
    """A module that fails again after its pause stays paused for longer, until it is reset."""
    bench = Bench(Thinking())
    await bench.wait_in_vain(3)
    bench.clock.advance(seconds=30)
    await bench.wait_in_vain(1)
    bench.clock.advance(seconds=54)
    await bench.ask(1)
    assert bench.failures("get_interested_users", "timeout") == 4
    assert bench.module.paused_until == bench.clock.now() + 1_000
    bench.module.reset()
    assert not bench.module.is_paused
    assert bench.metric("module_paused", module="MyRouter") == 0
    await bench.wait_in_vain(1)
    assert bench.failures("get_interested_users", "timeout") == 5


async def test_time_outs_at_the_same_time() -> None:
    """Time-outs of calls that began together are failures in a row."""
    bench = Bench(Thinking())
    for _ in range(3):
        bench.module.interested_users(ALICE)
    await turns()
    bench.clock.advance(seconds=5)
    await turns()
    assert bench.module.is_paused


@pytest.mark.parametrize(
    "act",
    [raising(RuntimeError()), raising(SystemExit()), not_async({}), answering([]), answering({7})],
)
async def test_only_lost_time_pauses(act: Act, logged: list[Any]) -> None:
    """Exceptions and wrong answers, however many, do not pause a module."""
    bench = Bench(act)
    for _ in range(20):
        await bench.users_for_states()
        await bench.ask(1)
    assert (bench.module.health.calls, bench.module.is_paused) == (40, False)
    assert bench.metric("module_paused", module="MyRouter") == 0


async def test_an_exception_ends_a_row(logged: list[Any]) -> None:
    """An exception in time loses no time: the time-outs before it are not in a row."""
    thinking, failing = Thinking(), raising(RuntimeError())
    turns_taken: list[Act] = [thinking, thinking, failing, thinking, thinking]

    async def act(asked: object) -> object:
        return await turns_taken.pop(0)(asked)

    bench = Bench(act)
    for times, waits in ((2, True), (1, False), (2, True)):
        await (bench.wait_in_vain(times) if waits else bench.ask(times))
    assert not bench.module.is_paused


async def test_empty_answers() -> None:
    """None, and a malformed user ID, are no failures: nothing is logged or counted."""
    odd = {ALICE: {BOBS}, "@🛒:vel.example": {BOBS}, DORA: None, CHARLIE: {state("bob")}}
    with capture_logs() as lines:
        for answer in (None, odd):
            bench = Bench(answering(answer))
            routes = (await bench.users_for_states()).routes
            assert routes == ({ALICE: {BOB: BOBS}} if answer else {})
        for names in (None, {BOB, "@🛒:vel.example"}):
            bench = Bench(answering(names))
            assert (await bench.module.interested_users(ALICE)).named == ({BOB} if names else set())
            assert bench.module.health.failures == 0
    assert lines == []


async def test_the_same_problem_again_and_again(logged: list[Any]) -> None:
    """The same problem is logged once a minute, with the number of lines left out; all count."""
    bench = Bench(raising(KeyError("@alice:demo")))
    for _ in range(4):
        await bench.ask(30)
        bench.clock.advance(seconds=30)
    assert [line.get("left_out") for line in logged] == [None, 59]
    assert bench.failures("get_interested_users", "exception") == 120


async def test_different_problems(logged: list[Any]) -> None:
    """Problems of other types, source lines and callbacks are logged on their own.

    A log line names at most three of the users.
    """

    async def act(asked: Any) -> object:
        if asked == ALICE:
            raise KeyError(asked)
        if asked == DORA:
            raise KeyError(asked)
        raise ValueError(asked)

    bench = Bench(act)
    for viewer in (ALICE, DORA, BOB, ALICE, DORA, BOB):
        await bench.module.interested_users(viewer)
    await bench.users_for_states()
    await Bench(answering([])).users_for_states(*(state(it) for it in (ALICE, BOB, CHARLIE, DORA)))
    three = f"{ALICE}, {BOB}, {CHARLIE}"
    assert [line["users"] for line in logged] == [ALICE, DORA, BOB, BOB, three]


async def test_calls_that_never_end(logged: list[Any]) -> None:
    """A module with a hundred late calls that do not end is not called, even if its pause is ended,
    before they end.
    """
    begun = 0
    is_immortal = True

    async def immortal(_states: object) -> object:
        nonlocal begun
        begun += 1
        while is_immortal:
            with suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
        return {}

    bench = Bench(immortal)
    late = [bench.module.users_for_states([BOBS]) for _ in range(100)]
    await turns()
    bench.clock.advance(seconds=5)
    assert [await it for it in late] == [MISSING] * 100
    bench.module.reset()
    assert await bench.users_for_states() == MISSING
    assert (await bench.module.interested_users(ALICE)).failed
    assert begun == 100
    is_immortal = False
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await turns()
    assert await bench.users_for_states() == CheckedRoutes()
    assert begun == 101


async def test_a_crowd_at_once(logged: list[Any]) -> None:
    """Of a thousand questions at once each is asked, and answered: a crowd is no failure."""
    thinking = Thinking()
    bench = Bench(thinking)
    asked = [bench.module.interested_users(ALICE) for _ in range(1_000)]
    await turns()
    for _ in asked:
        thinking.answer({BOB})
    assert [await it for it in asked] == [CheckedInterest(frozenset({BOB}))] * 1_000
    assert (len(thinking.asked), logged) == (1_000, [])


async def test_an_answer_is_not_kept() -> None:
    """What a module has returned is let go once it was read: it may be large."""

    class Returned(dict[Any, Any]):
        """A dict that a weak reference may name."""

    returned: list[weakref.ref[Returned]] = []

    async def act(_asked: object) -> object:
        answer = Returned({ALICE: {BOBS}})
        returned.append(weakref.ref(answer))
        return answer

    bench = Bench(act)
    gc.disable()  # it would let go too, some time
    try:
        assert (await bench.users_for_states()).routes == {ALICE: {BOB: BOBS}}
        await turns()
        assert [it() for it in returned] == [None]
    finally:
        gc.enable()
