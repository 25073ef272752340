"""A swap of modules, as other servers and batches see it."""

import asyncio
from typing import Any

import pytest

from lamplighter.errors import ModuleError
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.registrations import Registrations
from lamplighter.service.scopes import everything, since
from tests.routing.callbacks import Act, Thinking, answering, raising, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, HALL
from tests.service.parts import Parts


@pytest.fixture
async def parts() -> Parts:
    """The parts of the service."""
    return Parts()


def other(parts: Parts, get_users_for_states: Act) -> Registrations:
    """Return another module that is not asked yet."""
    registrations = parts.swap.prepare()
    registrations.register("Other", get_users_for_states, answering(set()))
    return registrations


async def swap(parts: Parts, registrations: Registrations) -> None:
    """Swap, and let what follows from it happen."""
    await parts.swap.swap(registrations, lambda: None)
    await turns()


def sending_to(viewer: str) -> Act:
    """Return a callback that sends everything to *viewer*."""

    async def act(states: object) -> object:
        assert isinstance(states, list)
        return {viewer: set(states)}

    return act


def hiding_from(viewer: str) -> Act:
    """Return a callback that sends everything to *viewer*, without the status message."""

    async def act(states: object) -> object:
        assert isinstance(states, list)
        return {viewer: {it.copy_and_replace(status_msg=None) for it in states}}

    return act


async def test_what_waits_for_other_servers(parts: Parts) -> None:
    """A state that still waits, and that only the old module sent to a server, is not sent."""
    parts.module(sending_to(DORA))
    await parts.publish(BOB, "brb")
    assert parts.outgoing.messages == [("elsewhere.org", {BOB: "brb"})]
    await swap(parts, other(parts, answering({})))
    assert parts.outgoing.messages == []


async def test_what_waits_and_is_still_right(parts: Parts) -> None:
    """A state that the new module sends, too, is sent."""
    parts.module(sending_to(DORA))
    await parts.publish(BOB, "brb")
    await swap(parts, other(parts, sending_to(DORA)))
    assert parts.outgoing.messages == [("elsewhere.org", {BOB: "brb"})]


async def test_a_reminder_under_way(parts: Parts) -> None:
    """A reminder under way during a swap sends what the new modules answer."""
    await parts.publish(BOB, "brb")
    old = Thinking()
    parts.module(old)
    reminding = asyncio.ensure_future(parts.reminders.remind([parts.tracker.get(BOB)]))
    await turns()
    await swap(parts, other(parts, answering({})))
    old.answer({DORA: {parts.tracker.get(BOB)}})
    await reminding
    assert parts.outgoing.messages == []


async def test_a_batch_under_way(parts: Parts) -> None:
    """A batch of which the old module was asked is told before the swap, and what its word alone
    justified is taken back by it; what happens meanwhile is told by the word of the new one.
    """
    parts.module(sending_to(CHARLIE))
    parts.room(HALL, BOB, ALICE)
    for viewer in (ALICE, CHARLIE):
        parts.feed.open(viewer)
    parts.publisher.publish(parts.set(BOB, "one"))  # of which the old module is asked first
    swapping = asyncio.ensure_future(parts.swap.swap(other(parts, sending_to(ALICE)), lambda: None))
    await turns(1)
    parts.publisher.publish(parts.set(BOB, "two"))
    await swapping
    await parts.publisher.published()
    assert (parts.heard(ALICE), parts.heard(CHARLIE)) == ([(BOB, "two")], [])
    assert [len(it.deliveries) for it in parts.told] == [1, 1]


async def test_who_asked_is_gone(parts: Parts) -> None:
    """A swap that waits for a batch takes place if its caller is gone, and so does what follows."""
    done = []
    parts.module(sending_to(CHARLIE))
    parts.publisher.publish(parts.set(BOB, "one"))
    swapping = asyncio.ensure_future(
        parts.swap.swap(other(parts, sending_to(ALICE)), lambda: done.append("swapped"))
    )
    await turns(1)
    parts.publisher.after_published(lambda: done.append("follows"))
    swapping.cancel()
    await turns()
    assert done == ["swapped", "follows"]


async def test_trying_out(parts: Parts) -> None:
    """A module that fails when it is tried is refused; the one that is asked goes on."""
    parts.module(sending_to(DORA))
    await parts.publish(BOB, "brb")
    with pytest.raises(ModuleError, match=r"module Other fails when it is tried: .*'no data'"):
        await parts.swap.try_out(other(parts, raising(RuntimeError("no data"))))
    await parts.publish(BOB, "back")
    assert parts.outgoing.messages[-1] == ("elsewhere.org", {BOB: "back"})


async def test_trying_out_tells_nobody(parts: Parts) -> None:
    """The answers of a module that is tried are delivered to nobody."""
    await parts.publish(BOB, "brb")
    await parts.swap.try_out(other(parts, sending_to(DORA)))
    assert parts.outgoing.messages == []


async def test_a_message_since_the_trial(parts: Parts) -> None:
    """A message that was set and told after the new module was tried, and that the module hides, is
    replaced for whoever was told it: the module had altered nothing in the trial.
    """
    parts.room(HALL, BOB, ALICE)
    parts.feed.open(ALICE)
    await parts.publish(BOB, None)
    new = other(parts, hiding_from(ALICE))
    await parts.swap.try_out(new)
    await parts.publish(BOB, "brb")
    assert parts.heard(ALICE) == [(BOB, "brb")]
    told = parts.stream.position
    await swap(parts, new)
    read = await parts.views.read(ALICE, since(told))
    assert [(it.state.user_id, it.state.status_msg) for it in read.updates] == [(BOB, None)]


async def large_hall(parts: Parts, number: int) -> tuple[list[UserId], StreamPosition]:
    """Let *number* people with a message share a hall with alice, who has read of all of them.

    Returns the people, and how far alice has read.
    """
    people = [UserId(f"@user{it}:demo") for it in range(number)]
    parts.room(HALL, ALICE, *people)
    for it in people:
        parts.publisher.publish(parts.set(it, "secret"))
    await parts.publisher.published()
    parts.module(answering({}))
    told = await parts.views.read(ALICE, everything())
    assert len(told.updates) == number + 1
    return people, told.position


async def told_since(parts: Parts, position: StreamPosition) -> dict[str, str | None]:
    """Return the messages that alice is told after *position*."""
    read = await parts.views.read(ALICE, since(position))
    return {it.state.user_id: it.state.status_msg for it in read.updates}


async def test_everybody_is_tried(parts: Parts) -> None:
    """However many users there are, each whose message the new module hides is told anew."""
    people, told = await large_hall(parts, 1_500)
    new = other(parts, hiding_from(ALICE))
    await parts.swap.try_out(new)
    await swap(parts, new)
    assert await told_since(parts, told) == dict.fromkeys(people)


async def test_those_who_are_left(parts: Parts) -> None:
    """A trial of a slow module ends after 20 s; whoever was not tried by then is told anew."""
    people, told = await large_hall(parts, 1_000)
    slow = Thinking()

    async def slow_at_first(states: object) -> object:
        return await slow(states) if len(slow.asked) < 5 else {}

    new = other(parts, slow_at_first)
    trial = asyncio.ensure_future(parts.swap.try_out(new))
    for _ in range(5):
        await turns()
        parts.clock.advance(seconds=4)
        slow.answer({})
    await trial
    assert [len(it) for it in slow.asked] == [100] * 5
    await swap(parts, new)
    assert await told_since(parts, told) == dict.fromkeys(people[500:], "secret")


async def test_those_without_an_answer(parts: Parts) -> None:
    """Whoever the new module has not answered about in the trial is told anew."""
    people, told = await large_hall(parts, 10)

    async def fails_for_one(states: Any) -> object:
        if any(it.user_id == people[3] for it in states):
            raise RuntimeError("no data")
        return {}

    new = other(parts, fails_for_one)
    await parts.swap.try_out(new)
    await swap(parts, new)
    assert await told_since(parts, told) == {people[3]: "secret"}


async def test_no_change_since_the_trial(parts: Parts) -> None:
    """Whoever has not changed since the new module was tried, and whom no module alters, is not
    told again.
    """
    parts.room(HALL, BOB, ALICE)
    parts.feed.open(ALICE)
    await parts.publish(BOB, "brb")
    new = other(parts, answering({}))
    await parts.swap.try_out(new)
    told = parts.stream.position
    await swap(parts, new)
    assert list((await parts.views.read(ALICE, since(told))).updates) == []
