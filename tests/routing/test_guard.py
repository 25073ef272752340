"""One module's callbacks: whatever they do costs that module's answer, and nothing else."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes
from lamplighter.routing.containment import contained
from lamplighter.routing.health import Failure
from lamplighter.routing.reasons import Module
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
    """Return the log line of a failure, its traceback aside."""
    return {
        "event": "module failed",
        "log_level": "warning",
        "module": "MyRouter",
        "callback": callback,
        "users": users,
        "problem": problem,
        "paused": False,
        **more,
    }


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged during the test."""
    with capture_logs() as lines:
        yield lines


def lines_without_traceback(logged: list[Any]) -> list[Any]:
    """Return the log lines, but for what they say of the exception's origin."""
    return [{key: line[key] for key in line if key != "exc_info"} for line in logged]


async def test_a_sound_answer(logged: list[Any]) -> None:
    """A sound answer is passed on, timed by the clock, and nothing is logged."""
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


async def test_interested_users() -> None:
    """The other callback is asked with the user ID, and its answer checked the same way."""
    act = Thinking()
    bench = Bench(act)
    answer = bench.module.interested_users(ALICE)
    await turns()
    act.answer({BOB, DORA})
    assert await answer == CheckedInterest(frozenset({BOB, DORA}))
    assert act.asked == [ALICE]


async def test_the_states_come_as_a_list() -> None:
    """A module gets a list of its own: what it does to it, it does to itself."""
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


ERRORS = [
    RuntimeError("no"),
    asyncio.CancelledError(),
    TimeoutError(),
    GeneratorExit(),
    StopAsyncIteration(),
    BaseException("odd"),
]


@pytest.mark.parametrize("how", [raising, raising_at_once])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_an_exception(how: Any, error: BaseException, logged: list[Any]) -> None:
    """A callback that raises, whatever it raises and when, has answered nothing."""
    bench = Bench(how(error))
    assert await bench.users_for_states() == MISSING
    assert lines_without_traceback(logged) == [
        failure(logged[0]["problem"], "get_users_for_states", BOB)
    ]
    assert type(error).__name__ in logged[0]["problem"]
    assert isinstance(logged[0]["exc_info"], BaseException)
    assert bench.failures("get_users_for_states", "exception") == 1


@pytest.mark.parametrize("how", [raising, raising_at_once])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_an_exit(how: Any, error: BaseException, logged: list[Any]) -> None:
    """A module that calls `sys.exit` does not end the server."""
    bench = Bench(how(error))
    assert await bench.module.interested_users(ALICE) == CheckedInterest(failed=True)
    problem = f"RuntimeError('the module tried to end the server: {error!r}')"
    assert lines_without_traceback(logged) == [failure(problem, "get_interested_users", ALICE)]


async def test_an_exception_that_cannot_be_shown(logged: list[Any]) -> None:
    """An exception whose own `repr` raises costs the answer, and is called by its type."""

    class Bomb(Exception):
        def __repr__(self) -> str:
            raise SystemExit(3)

    bench = Bench(raising(Bomb()))
    assert await bench.users_for_states() == MISSING
    assert [line["problem"] for line in logged] == ["Bomb"]


@pytest.mark.parametrize(("answer", "kind"), [({}, "dict"), (None, "NoneType"), ("ALL", "str")])
async def test_a_callback_that_is_not_async(answer: object, kind: str, logged: list[Any]) -> None:
    """A callback that returns instead of an awaitable is told so."""
    bench = Bench(not_async(answer))
    assert await bench.users_for_states() == MISSING
    problem = f"TypeError('the callback is not async: it returned {kind}')"
    assert lines_without_traceback(logged) == [failure(problem, "get_users_for_states", BOB)]


async def test_any_awaitable_will_do() -> None:
    """A callback that is not `async def` but returns an awaitable is as good."""

    def act(asked: object) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        future.set_result({BOB})
        return future

    assert await Bench(act).module.interested_users(ALICE) == CheckedInterest(frozenset({BOB}))


async def test_a_wrong_entry(logged: list[Any]) -> None:
    """What is wrong in an answer is logged and counted; what is right counts."""
    bench = Bench(answering({ALICE: {BOBS}, DORA: [], 7: set()}))
    assert (await bench.users_for_states()).routes == {ALICE: {BOB: BOBS}}
    problem = f"the value of {DORA} is a list instead of a set; 7 is not a user ID"
    assert logged == [failure(problem, "get_users_for_states", BOB, exc_info=None)]
    assert bench.failures("get_users_for_states", "wrong answer") == 1


async def test_a_late_answer(logged: list[Any]) -> None:
    """An answer after the time-out is none; the callback is cancelled, and not a moment before."""
    act = Thinking()
    bench = Bench(act)
    answer = bench.module.users_for_states([BOBS])
    await turns()
    bench.clock.advance(milliseconds=4_999)
    await turns()
    assert (answer.done(), act.cancelled) == (False, 0)
    bench.clock.advance(milliseconds=1)
    await turns()
    assert (await answer, act.cancelled) == (MISSING, 1)
    problem = "no answer within 0:00:05"
    assert logged == [failure(problem, "get_users_for_states", BOB, exc_info=None)]
    assert bench.failures("get_users_for_states", "timeout") == 1


async def test_a_callback_that_will_not_be_cancelled(logged: list[Any]) -> None:
    """A callback that swallows cancellation holds nobody up, and what it answers is dropped."""
    act = Thinking(stubborn=True)
    bench = Bench(act)
    answer = bench.module.users_for_states([BOBS])
    await turns()
    bench.clock.advance(seconds=5)
    assert await answer == MISSING
    await turns()
    act.answer({ALICE: {BOBS}})
    await turns()
    assert (answer.result(), act.cancelled, len(logged)) == (MISSING, 1, 1)
    assert bench.failures("get_users_for_states", "timeout") == 1


async def test_a_callback_that_raises_when_late(logged: list[Any]) -> None:
    """A callback that answers its cancellation with an exception has failed once, not twice."""
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


async def test_users_in_the_log(logged: list[Any]) -> None:
    """A log line names at most three of the users whom the module was asked about."""
    bench = Bench(answering([]))
    await bench.users_for_states(*(state(user) for user in (ALICE, BOB, CHARLIE, DORA)))
    assert [line["users"] for line in logged] == [f"{ALICE}, {BOB}, {CHARLIE}"]


async def test_a_pause_can_be_ended(logged: list[Any]) -> None:
    """A module that is reset is asked again at once, however long its pause was to be."""
    bench = Bench(Thinking())
    await bench.wait_in_vain(3)
    paused_until = bench.module.paused_until
    assert paused_until is not None
    assert paused_until > bench.clock.now()
    bench.module.reset()
    assert (bench.module.is_paused, bench.module.paused_until) == (False, None)
    assert bench.metric("module_paused", module="MyRouter") == 0
    await bench.wait_in_vain(1)
    assert bench.failures("get_interested_users", "timeout") == 4


async def test_health(logged: list[Any]) -> None:
    """Calls are counted, and failures, of which the last one is remembered."""
    bench = Bench(raising(RuntimeError("no")))
    await bench.ask(5)
    health = bench.module.health
    assert (health.calls, health.failures) == (5, 5)
    assert health.last_failure == Failure(
        "get_interested_users", "exception", "RuntimeError('no')", bench.clock.now()
    )
    answering_well = Bench(answering(set()))
    await answering_well.ask(1)
    health = answering_well.module.health
    assert (health.calls, health.failures, health.seconds(1)) == (1, 0, 0.0)


async def test_the_module_is_paused(logged: list[Any]) -> None:
    """After time-outs in a row the module is not called; it is asked again after the pause."""
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


async def test_a_try_that_fails() -> None:
    """A module that fails again after its pause stays paused, for longer."""
    bench = Bench(Thinking())
    await bench.wait_in_vain(3)
    bench.clock.advance(seconds=30)
    await bench.wait_in_vain(1)
    bench.clock.advance(seconds=54)
    await bench.ask(1)
    assert bench.failures("get_interested_users", "timeout") == 4
    bench.clock.advance(seconds=1)
    await bench.wait_in_vain(1)
    assert bench.failures("get_interested_users", "timeout") == 5


async def test_time_outs_at_the_same_time() -> None:
    """Answers that do not come are failures in a row, also where they were asked for together."""
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
async def test_what_costs_no_time_pauses_nobody(act: Act, logged: list[Any]) -> None:
    """Whatever a module raises or answers, however often: it is asked again the next time."""
    bench = Bench(act)
    for _ in range(20):
        await bench.users_for_states()
        await bench.ask(1)
    assert (bench.module.health.calls, bench.module.is_paused) == (40, False)
    assert bench.metric("module_paused", module="MyRouter") == 0


async def test_an_exception_ends_a_row(logged: list[Any]) -> None:
    """A module that raises in time has cost no time: time-outs before it are not in a row."""
    thinking, failing = Thinking(), raising(RuntimeError())
    turns_taken: list[Act] = [thinking, thinking, failing, thinking, thinking]

    async def act(asked: object) -> object:
        return await turns_taken.pop(0)(asked)

    bench = Bench(act)
    for times, waits in ((2, True), (1, False), (2, True)):
        await (bench.wait_in_vain(times) if waits else bench.ask(times))
    assert not bench.module.is_paused


async def test_nothing() -> None:
    """To return nothing, or to name who cannot be, is no failure: nothing is logged or counted."""
    odd = {ALICE: {BOBS}, "@🛒:vel.example": {BOBS}, DORA: None, CHARLIE: {state("bob")}}
    for answer in (None, odd, {BOB, "@🛒:vel.example"}):
        bench = Bench(answering(answer))
        with capture_logs() as lines:
            if isinstance(answer, set):
                assert (await bench.module.interested_users(ALICE)).named == {BOB}
            else:
                routes = (await bench.users_for_states()).routes
                assert routes == ({ALICE: {BOB: BOBS}} if answer else {})
            if answer is None:
                await bench.ask(1)
        assert (lines, bench.module.health.failures) == ([], 0)


async def test_the_same_problem_again_and_again(logged: list[Any]) -> None:
    """One line tells of a problem, then one a minute, with how many were left out; all count."""
    bench = Bench(raising(KeyError("@alice:demo")))
    for _ in range(4):
        await bench.ask(30)
        bench.clock.advance(seconds=30)
    assert [line.get("left_out") for line in logged] == [None, 59]
    assert bench.failures("get_interested_users", "exception") == 120


async def test_different_problems(logged: list[Any]) -> None:
    """Problems of different kinds, lines and callbacks have lines of their own in the log."""

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
    assert [line["users"] for line in logged] == [ALICE, DORA, BOB, BOB]


async def test_who_is_shown_something_else() -> None:
    """The module is remembered for altering a state for a viewer, not for passing one on."""
    hidden = BOBS.copy_and_replace(status_msg="hidden")
    bench = Bench(answering({ALICE: {hidden}, CHARLIE: {BOBS}, DORA: {state(CHARLIE)}}))
    await bench.users_for_states(BOBS)
    assert bench.module.alters == {ALICE: {BOB}}


def test_a_module_is_known_by_its_name() -> None:
    """The name is the reason that people see."""
    module = Bench(answering(None)).module
    assert (module.name, module.reason) == ("MyRouter", Module("MyRouter"))


async def test_contained_passes_on() -> None:
    """`contained` returns what the call returns."""
    assert await contained("MyRouter", lambda: answering("x")(None)) == "x"


async def test_calls_that_never_end(logged: list[Any]) -> None:
    """A module that swallows its cancellation is not called again and again, for ever."""
    begun = 0

    async def immortal(_states: object) -> object:
        nonlocal begun
        begun += 1
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                if begun < 0:
                    raise

    bench = Bench(immortal)
    asked = [bench.module.users_for_states([BOBS]) for _ in range(150)]
    await turns()
    assert begun == 100
    begun = -1
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    bench.clock.advance(seconds=5)
    assert [await it for it in asked] == [MISSING] * 150
