"""Servers that share rooms with our users: which states they are sent, and when that ends."""

from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from lamplighter.ids import RoomId, ServerName, UserId
from lamplighter.ports import MembershipChange
from lamplighter.presence.state import Presence
from tests.routing.callbacks import Thinking, answering, raising, turns
from tests.routing.people import ALICE, ATTIC, BOB, HALL
from tests.service.parts import Parts
from tests.service.test_remotes import R, S, X, Y, Z, answer, by_server, in_turn, showing


@pytest.fixture
async def parts() -> Parts:
    """A server that sends presence by rooms: alice and bob share the hall with users of two."""
    parts = Parts(tells_servers=True)
    parts.room(HALL, ALICE, BOB, X, Y, Z)
    return parts


async def moved(parts: Parts, *moves: tuple[UserId, RoomId, bool]) -> None:
    """Let users join or leave, and what follows from it happen."""
    changes = [MembershipChange(room_id, user_id, joined=it) for user_id, room_id, it in moves]
    parts.directory_events.memberships_changed(changes)
    await turns()


async def test_changes(parts: Parts) -> None:
    """Each server in a room gets one state of each user who changes; servers elsewhere get none."""
    parts.room(ATTIC, ALICE, UserId("@w:w.example"))
    await parts.publish(BOB, "one")
    assert by_server(parts) == [(R, {BOB: "one"}), (S, {BOB: "one"})]


async def test_switched_off() -> None:
    """If presence is not sent by rooms, a server gets what modules name, and nothing besides."""
    parts = Parts()
    parts.room(HALL, ALICE, BOB, X, Z)
    parts.module(in_turn(answering({}), lambda states: showing({X: False})(states[:1])))
    await parts.publish(BOB, "one")
    assert parts.outgoing.sent == []
    parts.publisher.publish([*parts.set(ALICE, "hello"), *parts.set(BOB, "two")])
    await parts.publisher.published()
    assert parts.outgoing.messages == [(R, {ALICE: "hello"})]
    await moved(parts, (Y, HALL, True), (X, HALL, False))
    assert (len(parts.outgoing.sent), parts.outgoing.withdrawn) == (1, [])


async def test_altered(parts: Parts) -> None:
    """What a module alters for one user of a server goes to that server in place of the state."""
    parts.module(showing({X: True}))
    await parts.publish(BOB, "one")
    assert by_server(parts) == [(R, {BOB: "altered"}), (S, {BOB: "one"})]


async def test_held(parts: Parts) -> None:
    """A server waits for a module that has altered something there before, and gets the state."""
    late = Thinking()
    parts.module(in_turn(showing({X: True}), late))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await parts.publish(BOB, "two")
    assert parts.outgoing.messages == [(S, {BOB: "two"})]
    late.answer({})
    await turns()
    assert parts.outgoing.messages[1:] == [(R, {BOB: "two"})]


async def test_held_by_two(parts: Parts) -> None:
    """A server is sent a state once, after the last of the modules for which it waited."""
    first, second = Thinking(), Thinking()
    parts.module(in_turn(showing({X: True}), first))
    parts.module(in_turn(showing({Z: True}), second))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await parts.publish(BOB, "two")
    assert parts.outgoing.messages == []
    first.answer({})
    await turns()
    second.answer({})
    await turns()
    assert parts.outgoing.messages == [(R, {BOB: "two"}), (S, {BOB: "two"})]


async def test_held_and_altered(parts: Parts) -> None:
    """What the module that is late alters goes there; the real state never does."""
    late = Thinking()
    parts.module(in_turn(showing({X: True}), late))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await parts.publish(BOB, "two")
    late.answer(answer(late.asked[0], {X: True}))
    await turns()
    assert parts.outgoing.messages == [(S, {BOB: "two"}), (R, {BOB: "altered"})]


async def test_withheld(parts: Parts) -> None:
    """If a module fails that altered a user for a viewer, the viewer's server is sent nothing."""
    parts.module(in_turn(showing({X: True}), raising(RuntimeError("no"))))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    with capture_logs():
        await parts.publish(BOB, "two")
        await parts.reminders.remind([parts.tracker.get(BOB)])
        await moved(parts, (BOB, ATTIC, True), (X, ATTIC, True))
    assert parts.outgoing.messages == [(S, {BOB: "two"})] * 2


async def test_held_while_modules_are_replaced(parts: Parts) -> None:
    """A server that waited for a module gets the state once another module is in its place."""
    parts.module(in_turn(showing({X: True}), Thinking()))
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    parts.outgoing.sent.clear()
    registrations = parts.swap.prepare()
    registrations.register("Other", answering({}), answering(set()))
    await parts.swap.swap(registrations, lambda: None)
    await turns()
    assert (R, {BOB: "two"}) in parts.outgoing.messages


async def test_pings(parts: Parts) -> None:
    """A reminder goes to the servers in the user's rooms."""
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await parts.reminders.remind([parts.tracker.get(BOB)])
    assert by_server(parts) == [(R, {BOB: "one"}), (S, {BOB: "one"})]


V = UserId("@v:v.example")
W = UserId("@w:w.example")


@pytest.mark.parametrize(
    ("moves", "sent"),
    [
        # A server comes to a room: it is sent who is not offline.
        ([(V, HALL, True)], [("v.example", {BOB: "one"})]),
        ([(V, HALL, True), (UserId("@u:v.example"), HALL, True)], [("v.example", {BOB: "one"})]),
        # A user comes to a room: the servers that are new to the user are sent it, once.
        (
            [(V, ATTIC, True), (X, ATTIC, True), (BOB, ATTIC, True)],
            [("v.example", {BOB: "one"})],
        ),
        # What is new by many joins goes together.
        (
            [(V, HALL, True), (W, HALL, True), (W, ATTIC, True), (BOB, ATTIC, True)],
            [("v.example", {BOB: "one"}), ("w.example", {BOB: "one"})],
        ),
        # Nothing is new.
        ([(UserId("@u:r.example"), HALL, True)], []),
        ([(ALICE, ATTIC, True), (V, ATTIC, True)], []),
        ([(V, ATTIC, True), (ALICE, ATTIC, True)], []),
        ([(V, ATTIC, True), (V, HALL, True), (V, HALL, False)], []),
    ],
)
async def test_joins(
    parts: Parts, moves: Iterable[tuple[UserId, RoomId, bool]], sent: list[object]
) -> None:
    """A server that comes to share a room with a user who is not offline is sent the state."""
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await moved(parts, *moves)
    assert by_server(parts) == sent


async def test_servers_of_other_nodes(parts: Parts) -> None:
    """Of many nodes, the one that sends to a new server shows users to it: the others ask modules
    nothing for that.
    """
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    parts.outgoing.of_others = {ServerName("v.example")}
    asked = Thinking()
    parts.module(asked)
    await moved(parts, (V, HALL, True))
    assert asked.asked == []
    await moved(parts, (V, ATTIC, True), (W, ATTIC, True), (BOB, ATTIC, True))
    asked.answer({})
    await turns()
    assert (len(asked.asked), parts.outgoing.messages) == (1, [("w.example", {BOB: "one"})])


async def test_leaves(parts: Parts) -> None:
    """A server whose last user has left is sent nothing more, nor what waits for it."""
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await moved(parts, (X, HALL, False))
    assert parts.outgoing.withdrawn == []
    await moved(parts, (Y, HALL, False))
    assert parts.outgoing.withdrawn == [(R, {ALICE, BOB})]
    await parts.publish(BOB, "two")
    assert parts.outgoing.messages == [(S, {BOB: "two"})]


async def test_a_user_leaves(parts: Parts) -> None:
    """After our user has left, servers with which the user shares no room are sent nothing more."""
    parts.room(ATTIC, BOB, Z)
    await moved(parts, (BOB, HALL, False))
    assert parts.outgoing.withdrawn == [(R, {BOB})]
    await parts.publish(BOB, "two")
    assert parts.outgoing.messages == [(S, {BOB: "two"})]


async def test_leaves_and_modules(parts: Parts) -> None:
    """What a module sends to the server all the same is sent after a leave once more."""
    parts.module(showing({X: False}))
    await parts.publish(BOB, "one")
    before = len(parts.outgoing.sent)
    await moved(parts, (X, HALL, False), (Y, HALL, False))
    assert parts.outgoing.withdrawn == [(ServerName("r.example"), {ALICE, BOB})]
    assert (R, {BOB: "one"}) in parts.outgoing.messages[before:]
    assert parts.roster.get(BOB).state == Presence.ONLINE


async def test_a_room_with_too_many_members() -> None:
    """The servers in a room that grows too large are sent nothing more, nor what still waits, if
    they share no other room. Once it has shrunk, those that are new are sent who is not offline.
    """
    parts = Parts(tells_servers=True, most_members=3)
    await moved(parts, *((it, HALL, True) for it in (ALICE, BOB, X)), (BOB, ATTIC, True))
    await moved(parts, (Z, ATTIC, True), (Z, HALL, True), (ALICE, ATTIC, True))
    assert parts.outgoing.withdrawn == [(R, {ALICE, BOB})]
    await parts.publish(BOB, "one")
    assert parts.outgoing.messages == [(S, {BOB: "one"})]
    await moved(parts, (Z, HALL, False))
    assert parts.outgoing.messages[1:] == [(R, {BOB: "one"})]
    parts.outgoing.sent.clear()
    await parts.publish(BOB, "two")
    assert by_server(parts) == [(R, {BOB: "two"}), (S, {BOB: "two"})]
