"""The front door's part for other servers: whose word counts, and what they may have missed."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import pytest

from lamplighter.cluster.positions import BEGINNING
from lamplighter.ids import ServerName, UserId
from lamplighter.presence.changes import Change
from lamplighter.presence.events import RemoteUpdate, SetByModule
from lamplighter.presence.state import Presence
from lamplighter.service.federated import FederatedPresence
from tests.routing.callbacks import Thinking, answering, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA
from tests.service.parts import HERE, Parts

THERE: Final = ServerName("elsewhere.org")
EVE: Final = UserId("@eve:elsewhere.org")
TIMEOUT: Final = timedelta(minutes=30)


@pytest.fixture
async def parts() -> Parts:
    """The parts that it stands on."""
    return Parts()


def federated(parts: Parts) -> FederatedPresence:
    """Return it, over *parts*."""
    return FederatedPresence(HERE, parts.tracker, parts.views, parts.publisher, TIMEOUT)


def update(
    user_id: UserId, presence: Presence = Presence.ONLINE, status_msg: str | None = None
) -> RemoteUpdate:
    """Return what a server says of its user."""
    return RemoteUpdate(user_id, presence, status_msg, timedelta(0), presence is Presence.ONLINE)


def take_in(parts: Parts, door: FederatedPresence, updates: Iterable[RemoteUpdate]) -> set[str]:
    """Feed what is admitted of *updates* to the tracker; return who is known then."""
    for admitted in door.admitted(updates):
        parts.tracker.feed(admitted, parts.clock.now())
    return {state.user_id for state in parts.tracker.known()}


@pytest.mark.parametrize(("user_id", "mine"), [(BOB, True), (DORA, False)])
def test_whose_users(parts: Parts, user_id: UserId, mine: bool) -> None:
    """A user is ours by the server name in the ID."""
    assert federated(parts).is_mine(user_id) is mine


def test_nobody_to_remember(parts: Parts) -> None:
    """Who is offline, says nothing, and was never heard of, is not remembered."""
    door = federated(parts)
    updates = [update(DORA, Presence.OFFLINE), update(EVE, Presence.OFFLINE, "on holiday")]
    assert take_in(parts, door, updates) == {EVE}


def test_who_is_known_goes_offline(parts: Parts) -> None:
    """Who is known is heard of, in the same message too."""
    door = federated(parts)
    take_in(parts, door, [update(DORA), update(DORA, Presence.OFFLINE)])
    assert parts.tracker.get(DORA).state == "offline"


def test_offline_strangers_are_not_counted(parts: Parts) -> None:
    """Those who are not remembered do not count towards how many a server may make us remember."""
    door = federated(parts)
    strangers = [UserId(f"@u{n}:{THERE}") for n in range(20_000)]
    take_in(parts, door, [update(user_id, Presence.OFFLINE) for user_id in strangers])
    assert list(door.admitted([update(DORA)])) == [update(DORA)]


def test_too_many_of_one_domain(parts: Parts) -> None:
    """Of one domain 20,000 users are remembered; those who are go on being heard, and others'."""
    door = federated(parts)
    users = [UserId(f"@u{n}:s{n % 25}.{THERE}") for n in range(20_000)]
    assert take_in(parts, door, [update(user_id) for user_id in users]) == set(users)
    other = UserId("@dora:third.org")
    news = [update(EVE), update(users[0], status_msg="still here"), update(other)]
    assert list(door.admitted(news)) == news[1:]


async def test_who_is_offline_is_forgotten_for_another_one(parts: Parts) -> None:
    """Somebody offline gives the place up, and nothing of them is kept, or stored, any more."""
    door = federated(parts)
    users = [UserId(f"@u{n}:{THERE}") for n in range(20_000)]
    take_in(parts, door, [update(user_id) for user_id in users])
    parts.publisher.publish(take_change(parts, update(users[0], Presence.OFFLINE)))
    await parts.publisher.published()
    assert list(door.admitted([update(EVE)])) == [update(EVE)]
    assert parts.tracker.user(users[0]) is None
    assert parts.publisher.changed_at(users[0]) == BEGINNING
    assert parts.store.forgotten == [users[0]]


async def test_who_is_online_is_offline_before_being_forgotten(parts: Parts) -> None:
    """Where a smaller domain needs a place, its last holder is told offline, and then forgotten."""
    door = federated(parts)
    for domain in range(5):
        crowd = [UserId(f"@u{n}:evil{domain}.org") for n in range(20_000)]
        take_in(parts, door, [update(user_id) for user_id in crowd])
    first = UserId("@u0:evil0.org")
    admitted = door.admitted([update(EVE)])
    assert next(admitted) == RemoteUpdate(first, Presence.OFFLINE)
    parts.publisher.publish(take_change(parts, RemoteUpdate(first, Presence.OFFLINE)))
    assert list(admitted) == [update(EVE)]
    assert parts.tracker.get(first).state == "offline"
    assert parts.tracker.user(first) is not None
    await parts.publisher.published()
    assert (parts.tracker.user(first), parts.store.forgotten) == (None, [first])


def test_after_a_restart(parts: Parts) -> None:
    """Who was restored keeps the place, and who was silent for a week is forgotten.

    Our own users, and those by a module's word, have nothing to do with it.
    """
    parts.tracker.feed(update(EVE), parts.clock.now())
    parts.clock.advance(days=7)
    parts.set(BOB, None)
    parts.tracker.feed(SetByModule(CHARLIE, Presence.ONLINE), parts.clock.now())
    users = [UserId(f"@u{n}:{THERE}") for n in range(20_000)]
    for user_id in users:
        parts.tracker.feed(update(user_id), parts.clock.now())
    door = federated(parts)
    door.restore(parts.clock.now())
    assert parts.store.forgotten == [EVE]
    assert {it.user_id for it in parts.tracker.known()} == {BOB, CHARLIE, *users}
    assert list(door.admitted([update(EVE)])) == []


def take_change(parts: Parts, news: RemoteUpdate) -> list[Change]:
    """Feed *news* to the tracker; return what changes."""
    return parts.tracker.feed(news, parts.clock.now())


def test_recently_told(parts: Parts) -> None:
    """Other servers may believe of our users what they were told in the last half hour."""
    parts.set(ALICE, "long ago")
    parts.clock.advance(milliseconds=1)
    parts.set(BOB, "half an hour ago")
    parts.clock.advance(minutes=29, seconds=59, milliseconds=999)
    parts.tracker.feed(SetByModule(CHARLIE, Presence.OFFLINE, None), parts.clock.now())
    parts.tracker.feed(update(DORA), parts.clock.now())
    told = federated(parts).recently_told(parts.clock.now())
    assert [state.user_id for state in told] == [BOB, CHARLIE]


async def test_who_is_online(parts: Parts) -> None:
    """The servers of the viewers get our users who are not offline, as far as they may see them."""
    for user_id in (ALICE, BOB, CHARLIE):
        parts.set(user_id, user_id)
    parts.tracker.feed(update(UserId("@fay:third.org")), parts.clock.now())
    parts.tracker.feed(SetByModule(ALICE, Presence.OFFLINE, "gone"), parts.clock.now())
    parts.module(get_interested_users=answering({ALICE, BOB, UserId("@fay:third.org")}))
    await federated(parts).show_online({DORA, EVE})
    assert parts.outgoing.messages == [(THERE, {BOB: BOB})]


async def test_modules_are_asked_afresh(parts: Parts) -> None:
    """Whom a viewer may see is asked again, even if the answer is not old."""
    asked: list[Any] = []

    async def interested(user_id: Any) -> object:
        asked.append(user_id)
        return {BOB} if asked.count(user_id) > 1 else set()

    parts.set(BOB, "one")
    parts.module(get_interested_users=interested)
    door = federated(parts)
    await door.show_online({DORA})
    assert (asked, parts.outgoing.messages) == ([DORA], [])
    await door.show_online({DORA})
    assert (asked, parts.outgoing.messages) == ([DORA, DORA], [(THERE, {BOB: "one"})])


async def test_nobody_to_show_to(parts: Parts) -> None:
    """Without viewers nobody is asked anything."""
    thinking = Thinking()
    parts.set(BOB, "one")
    parts.module(thinking, thinking)
    await federated(parts).show_online(set())
    assert thinking.asked == []


@pytest.mark.parametrize(
    ("presence", "last"), [(Presence.UNAVAILABLE, {BOB: "new"}), (Presence.OFFLINE, None)]
)
async def test_what_changes_meanwhile(
    parts: Parts, presence: Presence, last: dict[UserId, str] | None
) -> None:
    """Who changes while modules think is not shown as they were, but as they are by then.

    Nobody is shown as offline who was not told of before.
    """
    thinking = Thinking()
    parts.module(thinking, answering({ALICE, BOB}))
    for user_id in (ALICE, BOB):
        parts.set(user_id, "old")
    showing = asyncio.ensure_future(federated(parts).show_online({DORA}))
    await turns()
    changes = parts.tracker.feed(SetByModule(BOB, presence, "new"), parts.clock.now())
    parts.publisher.publish(changes)
    await parts.publisher.published()
    thinking.answer({})
    await turns()
    assert parts.outgoing.messages == [(THERE, {ALICE: "old"})]
    for _ in thinking.asked[1:]:
        thinking.answer({})
    await showing
    assert parts.outgoing.messages[1:] == ([(THERE, last)] if last else [])
