"""Asking about several users: a user for whom the module fails costs the others nothing."""

from typing import Any

import pytest

from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from tests.routing.callbacks import Act
from tests.routing.guarded import BOBS, Bench
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state


def crowd(count: int) -> list[UserPresenceState]:
    """Return the states of *count* users."""
    return [state(UserId(f"@u{number}:demo")) for number in range(count)]


def failing_for(*users: str, answer: object = None) -> Act:
    """Return a callback that sends all users to alice, and fails if it is asked about *users*.

    Then it raises an exception, or returns *answer*.
    """

    async def act(asked: Any) -> object:
        if {it.user_id for it in asked}.isdisjoint(users):
            return {ALICE: set(asked)}
        if answer is None:
            raise KeyError(users[0])
        return answer

    return act


@pytest.mark.parametrize("answer", [None, [], "ALL"], ids=repr)
async def test_one_of_thousands(answer: object, logged: list[Any]) -> None:
    """A user among thousands for whom the module fails costs the others nothing, in few calls."""
    states = crowd(3_000)
    bench = Bench(failing_for("@u1234:demo", answer=answer))
    for calls in (27, 2):
        bench.module.health.calls = 0
        checked = await bench.users_for_states(*states)
        assert checked.unanswered == {"@u1234:demo"}
        others = {it.user_id: it for it in states if it.user_id != "@u1234:demo"}
        assert checked.routes == {ALICE: others}
        assert bench.module.health.calls <= calls
    assert [line["users"] for line in logged] == ["@u1234:demo"]
    assert not bench.module.is_paused


async def test_too_many(logged: list[Any]) -> None:
    """If a module fails for very many users, the calls are bounded, and the log says so."""
    states = crowd(1_000)
    bench = Bench(failing_for(*(it.user_id for it in states)))
    checked = await bench.users_for_states(*states)
    assert (len(checked.unanswered), bench.module.health.calls <= 100) == (1_000, True)
    assert "users are left without an answer" in str(bench.module.problem)
    assert len(logged) == 1


async def test_a_batch_that_cannot_be_taken_whole(logged: list[Any]) -> None:
    """A module that fails only for many users together is asked about fewer; the log says so."""

    async def act(asked: Any) -> object:
        if len(asked) > 2:
            raise MemoryError
        return {ALICE: set(asked)}

    states = crowd(8)
    checked = await Bench(act).users_for_states(*states)
    assert checked.routes == {ALICE: {it.user_id: it for it in states}}
    assert [line["problem"] for line in logged] == [
        "MemoryError(); asked about fewer users at a time, it answers"
    ]


async def test_what_is_withheld_by_parts(logged: list[Any]) -> None:
    """Only users whom the module alters and fails for are withheld from the viewer."""
    bad: set[str] = set()

    async def act(asked: Any) -> object:
        if not bad.isdisjoint(it.user_id for it in asked):
            raise KeyError
        return {ALICE: {it.copy_and_replace(status_msg="hidden") for it in asked}}

    bench = Bench(act)
    states = [state(BOB, "one"), state(CHARLIE, "two"), state(DORA, "three")]
    await bench.users_for_states(*states)
    bad.add(CHARLIE)
    checked = await bench.users_for_states(*states)
    assert checked.routes == {ALICE: {it: state(it, "hidden") for it in (BOB, DORA)}}
    assert checked.withheld == {ALICE: {CHARLIE}}


@pytest.mark.parametrize("torn", [[BOBS], {7}, {BOBS.copy_and_replace(status_msg=b"x")}])
async def test_what_is_withheld_by_a_torn_answer(torn: object, logged: list[Any]) -> None:
    """If the module's states for a viewer are wrong, the users whom it alters are withheld."""
    answers: list[object] = [{ALICE: {BOBS.copy_and_replace(status_msg="hidden")}}, {ALICE: torn}]

    async def act(asked: Any) -> object:
        return answers.pop(0)

    bench = Bench(act)
    await bench.users_for_states()
    checked = await bench.users_for_states()
    assert checked.routes == {}
    assert checked.withheld == {ALICE: frozenset({BOB})}
