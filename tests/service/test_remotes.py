"""The states that are sent to other servers: of whom, in which form, and when."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from lamplighter.ids import ServerName, UserId
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.service.remotes import RemoteUsers
from tests.routing.callbacks import Act, Thinking, answering, raising, turns
from tests.routing.people import ALICE, BOB, HALL
from tests.service.parts import Parts

R: Final = ServerName("r.example")
S: Final = ServerName("s.example")
X: Final = UserId("@x:r.example")
Y: Final = UserId("@y:r.example")
Z: Final = UserId("@z:s.example")
W: Final = UserId("@w:w.example")

#: Viewers, and whether they see what is altered.
Shown = Mapping[UserId, bool]
#: To which server what goes: by user, the status message.
Messages = list[tuple[ServerName, dict[str, str | None]]]


def answer(states: Iterable[UserPresenceState], shown: Shown) -> dict[str, set[UserPresenceState]]:
    """Return a module's answer: *states* for the viewers, with another message where altered."""
    return {
        viewer: {
            state.copy_and_replace(status_msg="altered") if altered else state for state in states
        }
        for viewer, altered in shown.items()
    }


def showing(shown: Shown) -> Act:
    """Return a module's callback that answers at once."""

    async def act(states: Any) -> object:
        return answer(states, shown)

    return act


def in_turn(*acts: Act) -> Act:
    """Return a callback that does one thing after the other, and then the last for ever."""
    left = list(acts)

    async def act(asked: Any) -> object:
        return await (left.pop(0) if len(left) > 1 else left[0])(asked)

    return act


def by_server(parts: Parts, start: int = 0) -> Messages:
    """Return the messages from the place *start* on, those of one server in their order."""
    return sorted(parts.outgoing.messages[start:], key=lambda it: it[0])


@pytest.fixture
async def parts() -> Parts:
    """A server whose alice and bob share the hall."""
    parts = Parts()
    parts.room(HALL, ALICE, BOB)
    return parts


async def test_a_room_sends_nothing(parts: Parts) -> None:
    """Without a module that says so, nothing goes anywhere."""
    await parts.publish(BOB, "one")
    assert parts.outgoing.sent == []


async def test_one_message_per_server(parts: Parts) -> None:
    """A server is handed one state of each user, however many viewers it has."""
    parts.module(showing({X: False, Y: False, Z: False, ALICE: False}))
    parts.publisher.publish([*parts.set(BOB, "one"), *parts.set(ALICE, "hello")])
    await parts.publisher.published()
    told = {BOB: "one", ALICE: "hello"}
    assert by_server(parts) == [(R, told), (S, told)]


async def test_only_our_own_users(parts: Parts) -> None:
    """The presence of users of other servers is never sent on, whatever a module answers."""
    parts.module(showing({X: True, Z: False}))
    update = RemoteUpdate(Y, Presence.ONLINE, "hi", None, True)
    parts.publisher.publish(parts.tracker.feed(update, parts.clock.now()))
    await parts.publisher.published()
    assert parts.outgoing.sent == []
    await parts.publish(BOB, "one")
    assert by_server(parts) == [(R, {BOB: "altered"}), (S, {BOB: "one"})]


async def test_only_our_own_users_by_name(parts: Parts) -> None:
    """Nor is it sent if a module names a remote user for a viewer who is sent one of ours."""
    parts.module(showing({X: False}), answering({Y, Z}))
    await parts.views.ask_interest(X)
    update = RemoteUpdate(Z, Presence.ONLINE, "hi", None, True)
    parts.publisher.publish(parts.tracker.feed(update, parts.clock.now()))
    parts.publisher.publish(parts.set(BOB, "one"))
    await parts.publisher.published()
    assert parts.outgoing.messages == [(R, {BOB: "one"})]


@pytest.mark.parametrize(
    "modules",
    [
        [{X: True, Y: False, Z: False}],
        [{Y: False, X: True, Z: False}],
        [{X: True}, {Y: False, Z: False}],
        [{Y: False, Z: False}, {X: True}],
    ],
)
async def test_altered_wins_on_a_push(parts: Parts, modules: list[Shown]) -> None:
    """A state that is altered for one viewer goes to the viewer's server for all viewers there,
    whichever viewer, or module, comes first.
    """
    for shown in modules:
        parts.module(showing(shown))
    await parts.publish(BOB, "one")
    assert by_server(parts) == [(R, {BOB: "altered"}), (S, {BOB: "one"})]


@pytest.mark.parametrize(
    ("at_once", "late", "first", "then"),
    [
        (
            {X: True},
            {Y: False, Z: False},
            [(R, {BOB: "altered"})],
            [(R, {BOB: "altered"}), (S, {BOB: "one"})],
        ),
        (
            {X: False, Z: False},
            {Y: True},
            [(R, {BOB: "one"}), (S, {BOB: "one"})],
            [(R, {BOB: "altered"})],
        ),
        ({X: False}, {}, [(R, {BOB: "one"})], []),
    ],
    ids=["late unaltered", "late altered", "nothing new"],
)
async def test_a_late_answer(
    parts: Parts, at_once: Shown, late: Shown, first: Messages, then: Messages
) -> None:
    """A late answer about a viewer does not undo what was altered for another viewer there, and
    replaces what went there unaltered; without news nothing is sent again.
    """
    thinking = Thinking()
    parts.module(showing(at_once))
    parts.module(thinking)
    await parts.publish(BOB, "one")
    assert by_server(parts) == first
    thinking.answer(answer(thinking.asked[0], late))
    await turns()
    assert by_server(parts, len(first)) == then


async def test_late_never_replaces_newer(parts: Parts) -> None:
    """A late answer about an older change goes nowhere: the newer one has gone there."""
    late = Thinking()
    parts.module(showing({X: False}))
    parts.module(late)
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    late.answer(answer(late.asked[0], {Y: True, Z: False}))
    await turns()
    assert parts.outgoing.messages == [(R, {BOB: "one"}), (R, {BOB: "two"})]
    late.answer(answer(late.asked[1], {Z: False}))
    await turns()
    assert parts.outgoing.messages[2:] == [(S, {BOB: "two"})]


async def test_late_with_somebody_older(parts: Parts) -> None:
    """A late answer about one user takes no older change of another along, who may be seen too."""
    late = Thinking()
    parts.module(late, answering({BOB}))
    await parts.views.ask_interest(X)
    parts.publisher.publish([*parts.set(BOB, "old"), *parts.set(ALICE, "hello")])
    await parts.publisher.published()
    await parts.publish(BOB, "new")
    late.answer(answer([state for state in late.asked[0] if state.user_id == ALICE], {X: False}))
    await turns()
    assert parts.outgoing.messages == [(R, {ALICE: "hello"})]


async def test_where_something_was_altered_nothing_goes_early(parts: Parts) -> None:
    """While a module thinks that altered for one of its users, a server waits; others do not."""
    late = Thinking()
    parts.module(showing({X: False, Z: False}))
    parts.module(in_turn(showing({Y: True}), late))
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    assert by_server(parts) == [
        (R, {BOB: "altered"}),
        (S, {BOB: "one"}),
        (S, {BOB: "two"}),
    ]
    late.answer(answer(late.asked[0], {Y: True}))
    await turns()
    assert parts.outgoing.messages[3:] == [(R, {BOB: "altered"})]


async def test_waiting_for_who_altered_of_another_user(parts: Parts) -> None:
    """A server waits also where the module has altered somebody else's state there so far."""
    late = Thinking()
    parts.module(showing({X: False}))
    parts.module(in_turn(showing({Y: True}), late))
    await parts.publish(ALICE, "hello")
    await parts.publish(BOB, "one")
    assert parts.outgoing.messages == [(R, {ALICE: "altered"})]
    late.answer({})
    await turns()
    assert parts.outgoing.messages[1:] == [(R, {BOB: "one"})]


async def test_withheld_from_a_whole_server(parts: Parts) -> None:
    """If a module fails that altered a user for a viewer, the viewer's server is sent nothing."""
    parts.module(showing({X: False, Z: False}))
    parts.module(in_turn(showing({Y: True}), raising(RuntimeError("no"))))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    parts.publisher.publish([*parts.set(BOB, "two"), *parts.set(ALICE, "hello")])
    with capture_logs():
        await parts.publisher.published()
        await turns()  # in which it is asked about each of the two
    told = {ALICE: "hello"}
    assert by_server(parts) == [(R, told), (S, {BOB: "two", **told})]


async def test_withheld_when_the_time_is_up(parts: Parts) -> None:
    """Nor is it if the module has not answered in time; other servers are sent the state."""
    parts.module(showing({X: False, Z: False}))
    parts.module(in_turn(showing({Y: True}), Thinking()))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    await parts.publish(BOB, "two")
    with capture_logs():
        parts.clock.advance(seconds=5)
        await turns()
    assert parts.outgoing.messages == [(S, {BOB: "two"})]


@pytest.mark.parametrize(
    ("viewers", "sent"),
    [({X}, "altered"), ({Y}, "altered"), ({X, Y}, "altered"), ({W}, None)],
)
async def test_altered_wins_in_a_snapshot(
    parts: Parts, viewers: set[UserId], sent: str | None
) -> None:
    """A snapshot holds what is altered for any viewer there; a viewer who sees nobody gets none."""
    parts.module(showing({X: True, Y: False, Z: False}))
    await parts.reminders.show(viewers, [parts.set(BOB, "one")[0].new])
    assert parts.outgoing.messages == ([(R, {BOB: sent})] if sent else [])


async def test_withheld_in_a_snapshot(parts: Parts) -> None:
    """A snapshot leaves out who is withheld from one viewer of the server."""
    parts.module(showing({X: False}))
    parts.module(in_turn(showing({Y: True}), raising(RuntimeError("no"))))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    states = [parts.tracker.get(BOB), parts.set(ALICE, "hello")[0].new]
    with capture_logs():
        await parts.reminders.show({X}, states)
    assert parts.outgoing.messages == [(R, {ALICE: "hello"})]


async def test_altered_wins_in_a_reminder(parts: Parts) -> None:
    """A reminder waits for every module, and sends what is altered for one viewer."""
    late = Thinking()
    parts.module(showing({X: False, Z: False}))
    parts.module(late)
    state = parts.set(BOB, "one")[0].new
    parts.publisher.publish([Change(state, state, ChangeReason.FEDERATION_PING)])
    await turns()
    assert parts.outgoing.sent == []
    late.answer(answer(late.asked[0], {Y: True}))
    await turns()
    assert by_server(parts) == [(R, {BOB: "altered"}), (S, {BOB: "one"})]


async def test_withheld_in_a_reminder(parts: Parts) -> None:
    """A reminder leaves out who is withheld from one viewer of the server."""
    parts.module(showing({X: False, Z: False}))
    parts.module(in_turn(showing({Y: True}), raising(RuntimeError("no"))))
    await parts.publish(BOB, "one")
    parts.outgoing.sent.clear()
    with capture_logs():
        await parts.reminders.remind([parts.tracker.get(BOB)])
    assert parts.outgoing.messages == [(S, {BOB: "one"})]


async def test_a_reminder_never_replaces_newer(parts: Parts) -> None:
    """A user who changes before the modules answer about a reminder is left out of it."""
    late = Thinking()
    parts.module(in_turn(late, showing({X: False})))
    state = parts.set(BOB, "one")[0].new
    parts.publisher.publish([Change(state, state, ChangeReason.FEDERATION_PING)])
    await turns()
    await parts.publish(BOB, "two")
    late.answer(answer(late.asked[0], {X: False, Z: False}))
    await turns()
    assert parts.outgoing.messages == [(R, {BOB: "two"})]


async def test_who_is_reminded_of_and_changes_is_told_once(parts: Parts) -> None:
    """A reminder that comes with a change of the same user is no second message."""
    parts.module(showing({X: False}))
    changes = parts.set(BOB, "one")
    state = changes[0].new
    parts.publisher.publish([Change(state, state, ChangeReason.FEDERATION_PING), *changes])
    await parts.publisher.published()
    await turns()
    assert parts.outgoing.messages == [(R, {BOB: "one"})]


def nobody(_user_id: UserId) -> bool:
    """Say that everybody is online."""
    return False


def everybody(_user_id: UserId) -> bool:
    """Say that everybody is offline."""
    return True


def of(domain: str, number: int) -> UserId:
    """Return a user of one of a domain's servers: each user has another server."""
    return UserId(f"@u:s{number}.{domain}")


def test_so_many_of_each_domain() -> None:
    """Each domain has a number of places, whatever its servers are called; known users have one."""
    users = RemoteUsers([of("x.example", 0)], of_one_domain=2)
    assert [users.admit(of("x.example", n), nobody) for n in (1, 2, 3)] == [(), None, None]
    assert [users.admit(of("y.example", n), nobody) for n in (1, 2, 3)] == [(), (), None]


def test_who_is_offline_gives_way() -> None:
    """In a domain without places a new user gets that of the one not heard of for longest."""
    users = RemoteUsers((), of_one_domain=2)
    for number in (1, 2):
        users.admit(of("x.example", number), nobody)
    users.heard_of(of("x.example", 1))
    assert users.admit(of("x.example", 3), everybody) == (of("x.example", 2),)
    known = [number for number in (1, 2, 3) if of("x.example", number) in users]
    assert known == [1, 3]


def test_the_largest_domain_gives_way() -> None:
    """If all places are taken, the domain with the most places gives up one, offline or not."""
    users = RemoteUsers((), of_one_domain=4, of_all=5)
    for number in range(4):
        users.admit(of("evil.example", number), nobody)
    users.admit(of("good.example", 0), nobody)
    assert users.admit(of("other.example", 0), nobody) == (of("evil.example", 0),)
    assert users.admit(of("other.example", 1), nobody) == (of("evil.example", 1),)
    # Now no domain has more than the newcomer's would.
    assert users.admit(of("other.example", 2), nobody) is None
    assert users.admit(of("other.example", 2), everybody) == (of("evil.example", 2),)
