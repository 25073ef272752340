"""One question to the modules for many viewers who are answered from scratch."""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.errors import QuestionFailed
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.router import Inquiry, ModuleRouter
from lamplighter.service.scopes import everything, since
from lamplighter.service.shared_questions import SharedQuestions
from lamplighter.service.views import PresenceAnswer
from lamplighter.service.witness import FreshView, Witness
from tests.routing.callbacks import Thinking, answering, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA
from tests.service.parts import TIMEOUT, Parts

#: More changes than a module is asked about for one viewer alone.
MANY = 150


class Ring:
    """Sends everybody to the next one of *users*; it counts what it is asked."""

    def __init__(self, users: Sequence[UserId]) -> None:
        self._next = dict(zip(users, [*users[1:], users[0]], strict=True))
        #: About how many states each question was.
        self.asked: list[int] = []

    async def __call__(self, states: Any) -> object:
        self.asked.append(len(states))
        return {self._next[it.user_id]: {it} for it in states if it.user_id in self._next}


class Looking(Witness):
    """Remembers the users whom each view was made from."""

    def __init__(self) -> None:
        self.users: list[set[UserId]] = []

    def viewed(self, view: FreshView) -> None:
        self.users.append(set(view.users))


class FailsOnce(ModuleRouter):
    """Fails at the first question, by a defect of its own."""

    is_whole = False

    async def completed(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> Inquiry:
        if not self.is_whole:
            self.is_whole = True
            raise ZeroDivisionError
        return await super().completed(states, viewers)


async def crowd(number: int) -> tuple[Parts, list[UserId]]:
    """Return a server that knows *number* people, who are all online and share no room."""
    parts = Parts()
    people = [UserId(f"@user{it}:demo") for it in range(number)]
    for it in people:
        await parts.publish(it, f"I am {it}")
    return parts, people


def seen(reading: PresenceAnswer) -> set[str]:
    """Return of whom an answer tells."""
    return {it.state.user_id for it in reading.updates}


def messages(reading: PresenceAnswer) -> dict[str, str | None]:
    """Return the status message of each user in an answer."""
    return {it.state.user_id: it.state.status_msg for it in reading.updates}


async def read_all(parts: Parts, viewers: Sequence[UserId]) -> list[PresenceAnswer]:
    """Let all *viewers* ask for everything in one cycle of the loop."""
    return await asyncio.gather(*(parts.views.read(it, everything()) for it in viewers))


@pytest.mark.parametrize("number", [120, 240])
async def test_first_views_at_once(number: int) -> None:
    """However many viewers are answered from scratch at once, each module is asked about everybody
    once, and each viewer gets what the modules send to them.
    """
    parts, people = await crowd(number)
    rings = Ring(people), Ring(people[::-1])
    parts.module(rings[0], name="One")
    parts.module(rings[1], name="Other")
    answers = await read_all(parts, people)
    neighbours = zip([people[-1], *people], people, [*people[1:], people[0]], strict=False)
    assert [seen(it) for it in answers] == [{*near} for near in neighbours]
    assert [ring.asked for ring in rings] == [[number], [number]]


async def test_a_view_takes_its_own_part() -> None:
    """A viewer's answer is made from those whom the viewer sees, however many others are known."""
    parts, people = await crowd(200)
    parts.module(Ring(people))
    looking = Looking()
    parts.witnesses.add(looking)
    await read_all(parts, people[1:3])
    assert looking.users == [{people[0], people[1]}, {people[1], people[2]}]


async def test_a_viewer_of_all() -> None:
    """A viewer of all gets everybody, from the question that others share."""
    parts, people = await crowd(3)
    ring = Ring(people)
    parts.module(ring, answering("ALL"))
    assert [seen(it) for it in await read_all(parts, people)] == [{*people}] * 3
    assert ring.asked == [3]


def hiding(parts: Parts, status_msg: str) -> dict[UserId, set[UserPresenceState]]:
    """Return the answer that shows everybody bob with another status message."""
    bobs = parts.roster.get(BOB).copy_and_replace(status_msg=status_msg)
    return {viewer: {bobs} for viewer in (ALICE, CHARLIE, DORA)}


def reading(parts: Parts, viewer: UserId) -> "asyncio.Task[PresenceAnswer]":
    """Begin to answer a viewer from scratch."""
    return asyncio.ensure_future(parts.views.read(viewer, everything()))


async def test_no_answer_from_before() -> None:
    """A viewer who comes while a question runs gets the answer to the next one, which begins when
    that one has ended, and shows everybody as they are then.
    """
    parts = Parts()
    await parts.publish(BOB, "one")
    thinking = Thinking()
    parts.module(thinking)
    first = reading(parts, ALICE)
    await turns()
    later = [reading(parts, viewer) for viewer in (CHARLIE, DORA)]
    await turns()
    assert len(thinking.asked) == 1
    parts.publisher.publish(parts.set(BOB, "two"))
    await turns()
    thinking.answer(hiding(parts, "as it was"))
    thinking.answer({})  # about the change, which is a question of its own
    await turns()
    assert (first.done(), [it.done() for it in later]) == (True, [False, False])
    assert [[it.status_msg for it in asked] for asked in thinking.asked] == [
        ["one"],
        ["two"],
        ["two"],
    ]
    thinking.answer(hiding(parts, "as it is"))
    assert [messages(await it)[BOB] for it in later] == ["as it is"] * 2
    assert len(thinking.asked) == 3


async def test_new_modules_are_asked_at_once() -> None:
    """Whoever comes after a swap of modules does not wait for the answer of the old ones."""
    parts = Parts()
    await parts.publish(BOB, "brb")
    old = Thinking()
    parts.module(old)
    first = reading(parts, ALICE)
    await turns()
    others = parts.swap.prepare()
    others.register("New", answering(hiding(parts, "new")), answering(set()))
    await parts.swap.swap(others, lambda: None)
    assert messages(await parts.views.read(CHARLIE, everything()))[BOB] == "new"
    assert not first.done()
    old.answer(hiding(parts, "old"))
    assert messages(await first)[BOB] == "new"


async def test_a_viewer_who_goes() -> None:
    """A viewer whose client goes does not take the answer from those who share it."""
    parts = Parts()
    await parts.publish(BOB, "brb")
    thinking = Thinking()
    parts.module(thinking)
    gone, stays = reading(parts, ALICE), reading(parts, CHARLIE)
    await turns()
    gone.cancel()
    await turns()
    thinking.answer(hiding(parts, "hidden"))
    assert (messages(await stays)[BOB], gone.cancelled()) == ("hidden", True)


async def test_the_end_of_the_server() -> None:
    """Nobody waits for an answer when the server has ended."""
    parts = Parts()
    await parts.publish(BOB, "brb")
    parts.module(Thinking())
    running = reading(parts, ALICE)
    await turns()
    waiting = reading(parts, CHARLIE)
    await turns()
    parts.background.stop()
    ended = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(it) for it in ended] == [asyncio.CancelledError] * 2


async def test_a_defect() -> None:
    """A question that fails by a defect fails for all who share it, and is logged once. The next
    one is asked.
    """
    parts = Parts()
    await parts.publish(BOB, "brb")
    router = FailsOnce(parts.clock, parts.metrics, GuardSettings(TIMEOUT))
    shared = SharedQuestions(parts.roster, router, parts.feed, parts.background)
    with capture_logs() as logs:
        failed = await asyncio.gather(
            *(shared.about_everybody(it) for it in (ALICE, BOB, CHARLIE)), return_exceptions=True
        )
        answer = await shared.about_everybody(DORA)
    assert [type(it) for it in failed] == [QuestionFailed] * 3
    assert ([it["event"] for it in logs], set(answer.known)) == (["background work failed"], {BOB})


async def test_the_end_before_the_question() -> None:
    """Nobody waits for a question whose server ends before the question begins."""
    parts = Parts()
    await parts.publish(BOB, "brb")
    parts.module(Thinking())
    waiting = asyncio.ensure_future(parts.views.shared.about_everybody(ALICE))
    asyncio.get_running_loop().call_soon(parts.background.stop)  # after the viewer has come
    ended = await asyncio.gather(waiting, return_exceptions=True)
    assert [type(it) for it in ended] == [asyncio.CancelledError]


async def test_a_module_that_is_late() -> None:
    """A module that is late costs its answer for those who share the question, and counts as late
    once.
    """
    parts = Parts()
    await parts.publish(BOB, "brb")
    parts.module(Thinking())
    views = [reading(parts, viewer) for viewer in (ALICE, BOB, CHARLIE)]
    await turns()
    parts.clock.advance(seconds=5)
    assert [seen(await it) for it in views] == [{ALICE}, {BOB}, {CHARLIE}]
    assert parts.router.modules[0].health.failures == 1


async def returned(parts: Parts, viewer: UserId, position: StreamPosition) -> set[str]:
    """Let the viewer return with a token; return of whom the viewer is told."""
    return seen(await parts.views.read(viewer, since(position)))


async def test_many_who_return() -> None:
    """Viewers who return at once after many changes share one question, about whoever has changed
    since the oldest of their tokens; each is told what is new to their own.
    """
    parts, people = await crowd(MANY)
    ring = Ring(people)
    parts.module(ring)
    await read_all(parts, people)  # so that interest is no news
    ring.asked.clear()
    before = parts.feed.position
    for it in people[1:]:
        await parts.publish(it, "changed")
    for it in people:
        parts.feed.forget(it)
    ring.asked.clear()
    late = StreamPosition(before + 40)
    assert await asyncio.gather(
        *(returned(parts, it, before) for it in people[1:20]),
        returned(parts, people[5], late),
        returned(parts, people[100], late),
    ) == [
        {people[1]},
        *({one, next_one} for one, next_one in pairwise(people[1:20])),
        set(),
        {people[99], people[100]},
    ]
    assert ring.asked == [MANY - 1]


async def test_one_who_returns_to_little_news() -> None:
    """A viewer who returns to few changes has a question of their own, about these only, and does
    not wait for one about everybody.
    """
    parts, people = await crowd(MANY)
    ring, thinking = Ring(people), Thinking()

    async def routes(states: Any) -> object:
        return await (ring if len(states) == 1 else thinking)(states)

    parts.module(routes)
    await parts.views.ask_interest(people[8])
    before = parts.feed.position
    await parts.publish(people[7], "changed")
    ring.asked.clear()
    first = reading(parts, people[0])
    await turns()
    assert await returned(parts, people[8], before) == {people[7]}
    assert (ring.asked, first.done()) == ([1], False)
    thinking.answer({})
    assert seen(await first) == {people[0]}
