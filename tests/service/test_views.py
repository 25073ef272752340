"""Answers from scratch."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import AllUsers, Module, Self, SharedRoom
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import Interest
from lamplighter.service.scopes import Scope, everything, online_or_since
from lamplighter.service.views import PresenceAnswer
from tests.routing.callbacks import Thinking, answering, raising, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, HALL, state
from tests.service.parts import TIMEOUT, Parts

MODULE = Module("MyRouter")


@pytest.fixture
async def parts() -> Parts:
    """A server whose alice and bob share the hall; bob and charlie have set a status."""
    parts = Parts()
    parts.room(HALL, ALICE, BOB)
    await parts.publish(CHARLIE, "here")
    await parts.publish(BOB, "brb")
    return parts


def seen(reading: PresenceAnswer) -> list[tuple[str, str | None]]:
    """Return of whom an answer tells, and which status message; newest first."""
    return [(it.state.user_id, it.state.status_msg) for it in reading.updates]


async def test_reading(parts: Parts) -> None:
    """An answer has the visible users with the reasons, the newest change first."""
    await parts.publish(ALICE, "hello")
    reading = await parts.views.read(ALICE, everything())
    assert seen(reading) == [(ALICE, "hello"), (BOB, "brb")]
    assert [update.reasons for update in reading.updates] == [(Self(),), (SharedRoom(HALL),)]
    assert reading.position == parts.feed.position
    assert set(parts.feed.viewers) == {ALICE}


async def test_reading_a_part(parts: Parts) -> None:
    """Only what is in the scope is in the answer."""
    reading = await parts.views.read(ALICE, Scope())
    assert seen(reading) == []


async def test_unknown_users(parts: Parts) -> None:
    """Users of whom nothing was ever heard are left out, but for oneself, unless asked for."""
    parts.room(HALL, DORA)
    default = UserPresenceState.default
    known = await parts.views.read(ALICE, everything())
    every = await parts.views.read(ALICE, everything(), unknown_users=True)
    bob = parts.tracker.get(BOB)
    assert {it.state for it in known.updates} == {bob, default(ALICE)}
    assert {it.state for it in every.updates} == {bob, default(ALICE), default(DORA)}


async def test_reading_asks_both_callbacks(parts: Parts) -> None:
    """An answer from scratch shows whom modules name, and the states that they send."""
    hidden = parts.tracker.get(BOB).copy_and_replace(status_msg="hidden")
    parts.module(answering({ALICE: {hidden}}), answering({CHARLIE}))
    reading = await parts.views.read(ALICE, everything())
    reasons = {(it.state.user_id, it.state.status_msg): it.reasons for it in reading.updates}
    assert reasons == {
        (BOB, "hidden"): (SharedRoom(HALL), MODULE),
        (CHARLIE, "here"): (MODULE,),
        (ALICE, None): (Self(),),
    }


async def test_an_answer_for_a_crowd(parts: Parts) -> None:
    """A viewer gets the states that a module sends, however many others it names besides."""
    crowd = {f"@u{number}:demo": {parts.tracker.get(CHARLIE)} for number in range(60_000)}
    parts.module(answering({**crowd, ALICE: {parts.tracker.get(CHARLIE)}}), answering(set()))
    reading = await parts.views.read(ALICE, everything())
    assert (CHARLIE, "here") in seen(reading)
    [module] = parts.router.modules
    assert (module.health.calls, module.health.failures) == (2, 0)


async def test_reading_all_users(parts: Parts) -> None:
    """A viewer of all sees everybody known."""
    parts.module(None, answering("ALL"))
    reading = await parts.views.read(DORA, everything())
    assert {it.state.user_id: it.reasons for it in reading.updates} == {
        BOB: (AllUsers("MyRouter"),),
        CHARLIE: (AllUsers("MyRouter"),),
        DORA: (Self(),),
    }


async def test_a_module_that_fails_while_reading(parts: Parts) -> None:
    """A module that raises costs its own answer; the viewer sees what the rooms show."""
    parts.module(raising(RuntimeError()), raising(RuntimeError()))
    with capture_logs():
        reading = await parts.views.read(ALICE, online_or_since(parts.stream.position))
    assert seen(reading) == [(BOB, "brb")]


async def test_news_while_modules_think(parts: Parts) -> None:
    """A change that is published before the modules answer is newer than their answer."""
    thinking = Thinking()
    asked: list[Any] = []

    async def routes(states: Any) -> object:
        asked.append(states)
        return await thinking(states) if len(asked) == 1 else {}

    parts.module(routes)
    reading = asyncio.ensure_future(parts.views.read(ALICE, online_or_since(StreamPosition(0))))
    await turns()
    await parts.publish(BOB, "back")
    thinking.answer({ALICE: {parts.tracker.get(BOB).copy_and_replace(status_msg="old")}})
    assert seen(await reading)[0] == (BOB, "back")
    assert (await reading).position == parts.feed.position


async def test_an_outbox_that_is_dropped_while_modules_think(parts: Parts) -> None:
    """If the viewer's outbox is dropped meanwhile, the modules are asked again."""
    thinking = Thinking()
    parts.module(thinking)
    reading = asyncio.ensure_future(parts.views.read(ALICE, everything()))
    await turns()
    parts.feed.forget(ALICE)
    await parts.publish(BOB, "back")
    thinking.answer({})
    await turns()
    assert not reading.done()
    for _ in range(2):
        thinking.answer({})
    assert (BOB, "back") in seen(await reading)
    assert len(thinking.asked) == 3


async def test_seeing_somebody(parts: Parts) -> None:
    """A visible user is shown as they are, or as a module alters them; other users are not."""
    update = await parts.views.see(ALICE, BOB)
    assert update is not None
    assert (update.state, update.about) == (
        parts.tracker.get(BOB),
        parts.roster.last(BOB).changed,
    )
    assert await parts.views.see(ALICE, CHARLIE) is None
    assert await parts.views.see(ALICE, UserId("@nobody:demo")) is None
    parts.module(answering({ALICE: {state(BOB, "hidden"), state(CHARLIE, "shown")}}))
    views = [await parts.views.see(ALICE, user) for user in (BOB, CHARLIE)]
    assert [it.state for it in views if it] == [state(BOB, "hidden"), state(CHARLIE, "shown")]


async def test_interest_is_kept(parts: Parts) -> None:
    """An answer about interest serves until it is a minute old, less two time-outs."""
    asked = Thinking()
    parts.module(None, asked)
    for seconds, questions in ((0, 1), (49.999, 1), (0.001, 2), (49, 2)):
        parts.clock.advance(seconds=seconds)
        asking = asyncio.ensure_future(parts.views.ask_interest(ALICE))
        await turns()
        if not asking.done():
            asked.answer({BOB})
        await asking
        assert len(asked.asked) == questions


async def test_due_for_interest(parts: Parts) -> None:
    """`due_for_interest` has the viewers whose answers will soon be too old."""
    parts.module(None, answering({BOB}))
    await parts.views.ask_interest(ALICE)
    await parts.views.ask_interest(CHARLIE)
    parts.clock.advance(seconds=50)
    assert parts.views.due_for_interest() == []
    parts.clock.advance(milliseconds=1)
    parts.views.forget_interest(CHARLIE)
    assert parts.views.due_for_interest() == [ALICE]


async def test_one_question_at_a_time(parts: Parts) -> None:
    """However many requests of a viewer wait, the modules are asked once; a caller who is
    cancelled does not take the answer from the others.
    """
    asked = Thinking()
    parts.module(None, asked)
    one, other = (asyncio.ensure_future(parts.views.ask_interest(ALICE)) for _ in range(2))
    await turns()
    one.cancel()
    await turns()
    asked.answer({BOB})
    await other
    assert (asked.asked, one.cancelled()) == ([ALICE], True)
    assert set(parts.interests.named_for(ALICE)) == {BOB}


class FailsOnce(ModuleRouter):
    """Fails at the first question about interest, by a defect of its own."""

    is_whole = False

    async def interested_users(self, viewer: UserId) -> Interest:
        if not self.is_whole:
            self.is_whole = True
            raise ZeroDivisionError
        return await super().interested_users(viewer)


async def test_a_defect(parts: Parts) -> None:
    """A question that fails by a defect fails for all who wait for it; the next one is asked."""
    parts.views.router = FailsOnce(parts.clock, parts.metrics, GuardSettings(TIMEOUT))
    parts.views.router.adopt(parts.registrations)
    parts.module(None, answering({BOB}))
    both = [parts.views.ask_interest(ALICE), parts.views.ask_interest(ALICE)]
    failed = await asyncio.gather(*both, return_exceptions=True)
    assert [type(it) for it in failed] == [ZeroDivisionError] * 2
    await parts.views.ask_interest(ALICE)
    assert parts.interests.was_named(ALICE, BOB)


async def test_forgotten_interest(parts: Parts) -> None:
    """Once it is forgotten, the next question goes to the modules."""
    answers: list[set[str]] = [{BOB}, {CHARLIE}]

    async def interested(viewer: str) -> object:
        return answers.pop(0)

    parts.module(None, interested)
    await parts.views.ask_interest(ALICE)
    parts.views.forget_interest(ALICE)
    await parts.views.ask_interest(ALICE)
    assert set(parts.interests.named_for(ALICE)) == {CHARLIE}


async def test_no_modules_are_not_asked(parts: Parts) -> None:
    """Without modules nothing is kept for anybody."""
    await parts.views.ask_interest(ALICE)
    assert parts.interests.asked_at(ALICE) is None


async def test_introducing(parts: Parts) -> None:
    """Users who have become visible are delivered to viewers who poll, if they were heard of."""
    parts.feed.open(ALICE)
    parts.feed.open(DORA)
    before = len(parts.told)
    about = parts.feed.position
    await parts.views.deliver_states({ALICE, CHARLIE}, [BOB, DORA])
    assert [it.deliveries for it in parts.told[before:]] == [
        [Delivery(parts.tracker.get(BOB), {ALICE: (SharedRoom(HALL),)})]
    ]
    assert parts.last(ALICE, BOB).about == about < parts.last(ALICE, BOB).position
    assert (parts.feed.outbox(CHARLIE), parts.heard(DORA)) == (None, [])


async def test_introducing_nobody(parts: Parts) -> None:
    """If nobody polls, or nobody known has become visible, no module is asked."""
    asked = Thinking()
    parts.module(asked)
    before = len(parts.told)
    await parts.views.deliver_states({ALICE}, [BOB])
    parts.feed.open(ALICE)
    await parts.views.deliver_states({ALICE}, [DORA])
    await parts.views.deliver_states(set(), [BOB])
    assert (asked.asked, len(parts.told)) == ([], before)


async def test_introducing_as_modules_show(parts: Parts) -> None:
    """A user who has become visible is shown as modules alter them; no other user is delivered."""
    parts.module(answering({ALICE: {state(BOB, "hidden"), state(CHARLIE, "shown")}}))
    parts.feed.open(ALICE)
    await parts.views.deliver_states({ALICE}, [BOB])
    assert parts.heard(ALICE) == [(BOB, "hidden")]
