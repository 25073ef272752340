"""The end of visibility: who is told, of whom, and what the server remembers of it."""

import asyncio
from datetime import timedelta

import pytest

from lamplighter.cluster.entries import Left, VisibilityEnded
from lamplighter.cluster.log import MessageId, ToldToAll
from lamplighter.cluster.wire import decode_record
from lamplighter.delivery.outbox import Update
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import MembershipChange, SavedPresence
from lamplighter.presence.events import StatusSet
from lamplighter.presence.machine import StateSource, TrackedUser
from lamplighter.presence.state import Presence
from tests.cluster.memory_log import Way
from tests.routing.callbacks import Thinking, answering, turns
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, DORA, HALL, crowd, state
from tests.service.counting import counted_calls, counted_functions, most_in_a_cycle
from tests.service.nodes import Cluster, Node
from tests.service.parts import PHONE, Parts

START = StreamPosition(0)
END = (BOB, None)


@pytest.fixture
async def parts() -> Parts:
    """Alice and bob share the hall; bob is online with a message, and alice has an outbox."""
    parts = Parts()
    parts.room(HALL, ALICE, BOB)
    parts.feed.open(ALICE)
    await parts.publish(BOB, "hello")
    return parts


def told_of(update: Update) -> tuple[str, str | None]:
    """Return of whom an update tells, and the status message."""
    return update.state.user_id, update.state.status_msg


def left(user_id: UserId) -> MembershipChange:
    """Return that a user has left the hall."""
    return MembershipChange(HALL, user_id, joined=False)


def leave(parts: Parts) -> None:
    """Let bob leave the hall."""
    parts.stream.append(Left(HALL, (BOB,)))


async def test_a_leave(parts: Parts) -> None:
    """Both sides of a leave are remembered, and the outbox tells the end in place of the state."""
    await parts.publish(ALICE, None)
    leave(parts)
    assert (parts.ends.of(ALICE, START), parts.ends.of(BOB, START)) == ({BOB}, {ALICE})
    assert (parts.heard(ALICE)[0], parts.last(ALICE, BOB).reasons) == (END, ())
    assert parts.ends.of(ALICE, parts.feed.position) == set()


async def test_an_unread_update(parts: Parts) -> None:
    """A leave takes back an unread update at once, and does not wait for the modules."""
    parts.module(Thinking())
    leave(parts)
    await turns()
    assert parts.heard(ALICE) == []
    parts.background.stop()


async def test_somebody_never_heard_of(parts: Parts) -> None:
    """Nothing is remembered of a user who was never heard of."""
    leave(parts)
    assert parts.ends.of(BOB, START) == set()


async def test_a_viewer_of_another_server(parts: Parts) -> None:
    """Only viewers of this server are remembered: other servers are told in their own way."""
    parts.room(HALL, DORA)
    leave(parts)
    assert parts.ends.of(DORA, START) == set()


async def test_another_room(parts: Parts) -> None:
    """Visibility has not ended while another room shows the user."""
    parts.room(ATTIC, ALICE, BOB)
    leave(parts)
    assert parts.ends.of(ALICE, START) == set()


@pytest.mark.parametrize("is_stale", [False, True])
async def test_somebody_shown_as_offline(parts: Parts, is_stale: bool) -> None:
    """The end is no news to a token that has heard that the user is offline, unless the end is of
    an unknown time: then nothing depends on how the user is by now.
    """
    await parts.intake.accept(StatusSet(BOB, PHONE, Presence.OFFLINE, None))
    heard = parts.feed.position
    parts.rooms.left(HALL, BOB)
    await parts.ends.shown_no_more(ALICE, {BOB}, is_stale=is_stale)
    assert parts.ends.of(ALICE, heard) == ({BOB} if is_stale else set())
    assert parts.ends.of(ALICE, StreamPosition(heard - 1)) == {BOB}


async def test_a_module_sends_the_user(parts: Parts) -> None:
    """Visibility has not ended where a module sends the user's state to the viewer."""
    parts.module(answering({ALICE: {state(BOB)}}))
    parts.rooms.left(HALL, BOB)
    await parts.ends.look({ALICE, CHARLIE}, {BOB}, parts.feed.position)
    assert (parts.ends.of(ALICE, START), parts.ends.of(CHARLIE, START)) == (set(), {BOB})


async def bob_goes_offline(parts: Parts, thinking: Thinking) -> None:
    """Let bob go offline while a module thinks about what bob has ended, and answer then."""
    await turns()
    parts.publisher.publish(parts.goes_offline(BOB))
    await turns()
    for _ in range(2):
        thinking.answer({})
    await turns(20)


async def test_a_user_goes_offline_after_a_leave(parts: Parts) -> None:
    """A viewer is told of the end as well where the user goes offline while the modules think: the
    viewer, who does not see the user any more, is not told that.
    """
    parts.module(thinking := Thinking())
    heard = parts.feed.position
    leave(parts)
    await bob_goes_offline(parts, thinking)
    assert [told_of(it) for it in parts.feed.open(ALICE).after(heard)] == [END]


async def test_a_user_goes_offline_after_modules_named_them(parts: Parts) -> None:
    """The same holds where modules do not name a user any more."""
    parts.module(thinking := Thinking())
    parts.rooms.left(HALL, BOB)
    heard = parts.feed.position
    ending = asyncio.ensure_future(parts.ends.shown_no_more(ALICE, {BOB}, is_stale=False))
    await bob_goes_offline(parts, thinking)
    assert [told_of(it) for it in parts.feed.open(ALICE).after(heard)] == [END]
    await ending


async def test_a_former_room(parts: Parts) -> None:
    """A viewer has lost the members of a room that counted; after a leave the pair is kept."""
    ended = StreamPosition(7)
    for user_id in (ALICE, CHARLIE):
        parts.former_rooms.joined(ATTIC, user_id, ended)
    before = StreamPosition(6)
    assert (parts.ends.of(ALICE, before), parts.ends.of(ALICE, ended)) == ({CHARLIE}, set())
    parts.stream.append(Left(ATTIC, (CHARLIE,)))
    assert (parts.ends.of(ALICE, before), parts.ends.of(ALICE, ended)) == ({CHARLIE}, set())
    await turns()
    assert parts.former_rooms.members(ATTIC) == {ALICE: ended}
    assert (parts.ends.of(ALICE, before), parts.ends.of(ALICE, ended)) == ({CHARLIE}, set())
    assert parts.endings.of(ALICE) == {CHARLIE: ended}


async def test_many_users_at_once() -> None:
    """Where modules take back most users for a viewer, the entry is short, every node hides them
    all, whoever is seen by a room or sent by a module stays, and the ends of others are remembered.
    """
    cluster = Cluster(ALICE, BOB)
    people = [BOB, CHARLIE, *crowd(2_000)]
    cluster.store.save(
        [SavedPresence(TrackedUser(state(it), StateSource.MODULE), START) for it in people]
    )
    a, b = [await cluster.start(name) for name in "ab"]
    await cluster.passes(1)
    for node in (a, b):
        node.core.endings.put(DORA, {BOB: StreamPosition(1)})
        node.core.router.adopt(registered := node.core.router.prepare())
        registered.register("One", answering({ALICE: {state(CHARLIE)}}), answering(set()))
    b.core.feed.open(ALICE)
    began, assumed = a.core.feed.position, a.core.stream.position
    ending = asyncio.ensure_future(a.core.ends.shown_no_more(ALICE, {*people}, is_stale=False))
    await cluster.passes(1)
    assert ending.done()
    assert a.holder.lease is not None
    told = await a.log.read(a.holder.lease, assumed, MessageId(""), timedelta(0))
    assert sum(len(it.payload) for it in told.records if isinstance(it, ToldToAll)) < 300
    for node in (a, b):
        assert node.core.ends.of(ALICE, began) == {*crowd(2_000)}
        assert node.core.ends.of(DORA, START) == {BOB}
        assert len(node.core.endings) < 10
    assert len(b.core.feed.open(ALICE).after(began)) == 2_000
    await cluster.stop()


async def ends_in_the_log(node: Node, since: StreamPosition) -> list[VisibilityEnded]:
    """Return the ends of visibility that the log tells after a position."""
    assert node.holder.lease is not None
    news = await node.log.read(node.holder.lease, since, MessageId(""), timedelta(0))
    told = [it.payload for it in news.records if isinstance(it, ToldToAll)]
    entries = [entry for payload in told for entry in decode_record(payload).entries]
    return [it for it in entries if isinstance(it, VisibilityEnded)]


@pytest.mark.parametrize("way", [Way.CLOSED, Way.ANSWERS_LOST])
async def test_an_end_is_lost_with_the_lease(cluster: Cluster, way: Way) -> None:
    """A node whose entry is lost with its lease tells all nodes once it has another lease; none
    notes the end before. An entry that was written after all is not told again.
    """
    a, b = cluster.nodes["a"], cluster.nodes["b"]
    began = a.core.stream.position
    a.log.way = way
    ending = asyncio.ensure_future(a.core.ends.shown_no_more(ALICE, {CHARLIE}, is_stale=True))
    await cluster.passes(1)
    assert a.core.ends.of(ALICE, START) == set()
    await cluster.passes(5)
    assert ending.done()
    a.log.way = Way.OPEN
    await cluster.passes(5)
    assert [it.core.ends.of(ALICE, began) for it in (a, b)] == [{CHARLIE}] * 2
    assert await ends_in_the_log(b, began) == [VisibilityEnded(ALICE, (CHARLIE,), True)]


async def test_the_work_of_a_leave() -> None:
    """A leave costs a bounded number of calls for each member of the room: 5,000 of them, too."""
    calls = []
    for members in (500, 5_000):
        parts = Parts()
        parts.room(HALL, BOB, *crowd(members))
        for member in list(parts.rooms.members(HALL)):
            parts.feed.open(member)
            parts.roster.changed(state(member), START)
        with counted_calls() as count:
            leave(parts)
        assert len(parts.ends.of(BOB, START)) == members
        calls.append(count() / members)
    few, many = calls
    assert many == pytest.approx(few, rel=0.02)
    assert many < 60


async def test_all_leave_at_once() -> None:
    """Where all leave a large room in one write, a cycle of the event loop looks at a bounded
    number of pairs, and no token passes the leaves before all were looked at.
    """
    parts = Parts()
    people = crowd(300)
    parts.room(HALL, *people)
    for member in people:
        parts.feed.open(member)
        await parts.publish(member, "hello")
    before = parts.feed.position
    with counted_functions("lamplighter/routing/plan.py") as calls:
        parts.directory_events.memberships_changed([left(it) for it in people])
        assert calls["Planner.sees"] == 0
        assert parts.unsettled.told_until(people[0], parts.feed.position) < parts.feed.position
        most = await most_in_a_cycle(parts.background, calls, "Planner.sees")
    assert 300 * 299 <= calls["Planner.sees"] < 300 * 302
    assert most <= 10_300
    for member in people:
        assert parts.ends.of(member, before) == {*people} - {member}


async def test_modules_are_asked_once_for_all_who_leave() -> None:
    """Where users leave a room in one write, modules are asked once for their views of all, and
    once for the views that others have of them.
    """
    parts = Parts()
    parts.room(HALL, ALICE, BOB, CHARLIE)
    for member in (ALICE, BOB, CHARLIE):
        await parts.publish(member, "hello")
    parts.module(thinking := Thinking())
    parts.directory_events.memberships_changed([left(ALICE), left(BOB)])
    await turns()
    asked = [{it.user_id for it in states} for states in thinking.asked]
    assert asked == [{ALICE, BOB, CHARLIE}, {ALICE, BOB}]
    for _ in asked:
        thinking.answer({})
    await turns()


async def test_a_crowd_that_leaves() -> None:
    """Where all leave a large room at once, nobody looks whom a member of another server, of whom
    nothing was ever heard, has seen, nor who has seen such a member.
    """
    parts = Parts()
    parts.room(HALL, *(UserId(f"@u{number}:far.example") for number in range(100)), ALICE, BOB)
    parts.feed.open(ALICE)
    await parts.publish(BOB, "hello")
    with counted_functions("lamplighter/service/endings.py") as calls:
        for member in list(parts.rooms.members(HALL)):
            parts.stream.append(Left(HALL, (member,)))
    assert calls["VisibilityEnds.begin_to_look"] == 1
    assert parts.ends.of(ALICE, START) == {BOB}
