"""Users of other servers: which updates count, and which users are remembered."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.cluster.positions import BEGINNING
from lamplighter.ids import ServerName, UserId
from lamplighter.presence.changes import Change
from lamplighter.presence.events import RemoteUpdate, SetByModule
from lamplighter.presence.state import Presence
from tests.routing.people import ALICE, BOB, CHARLIE, DORA
from tests.service.parts import Parts

THERE: Final = ServerName("elsewhere.org")
EVE: Final = UserId("@eve:elsewhere.org")


@pytest.fixture
async def parts() -> Parts:
    """The parts that it stands on."""
    return Parts()


def update(
    user_id: UserId, presence: Presence = Presence.ONLINE, status_msg: str | None = None
) -> RemoteUpdate:
    """Return what a server says of its user."""
    return RemoteUpdate(user_id, presence, status_msg, timedelta(0), presence is Presence.ONLINE)


def take_in(parts: Parts, updates: Iterable[RemoteUpdate]) -> set[str]:
    """Feed what is admitted of *updates* to the tracker; return who is known then."""
    for admitted in parts.federated.admitted(updates):
        parts.tracker.feed(admitted, parts.clock.now())
    return {state.user_id for state in parts.tracker.known()}


def test_nobody_to_remember(parts: Parts) -> None:
    """A user who is offline, without a message, and was never heard of, is not remembered."""
    updates = [update(DORA, Presence.OFFLINE), update(EVE, Presence.OFFLINE, "on holiday")]
    assert take_in(parts, updates) == {EVE}


def test_who_is_known_goes_offline(parts: Parts) -> None:
    """An update of a user who is known counts, even in the message that made the user known."""
    take_in(parts, [update(DORA), update(DORA, Presence.OFFLINE)])
    assert parts.tracker.get(DORA).state == "offline"


def test_offline_strangers_are_not_counted(parts: Parts) -> None:
    """Users who are not remembered take no place."""
    strangers = [UserId(f"@u{n}:{THERE}") for n in range(20_000)]
    take_in(parts, [update(user_id, Presence.OFFLINE) for user_id in strangers])
    assert list(parts.federated.admitted([update(DORA)])) == [update(DORA)]


def test_too_many_of_one_domain(parts: Parts) -> None:
    """20,000 users of one domain are remembered; they, and users of other domains, are heard."""
    users = [UserId(f"@u{n}:s{n % 25}.{THERE}") for n in range(20_000)]
    assert take_in(parts, [update(user_id) for user_id in users]) == set(users)
    other = UserId("@dora:third.org")
    news = [update(EVE), update(users[0], status_msg="still here"), update(other)]
    assert list(parts.federated.admitted(news)) == news[1:]


async def test_who_is_offline_is_forgotten_for_another_one(parts: Parts) -> None:
    """A user who is offline gives up the place, and nothing of the user is kept or stored."""
    users = [UserId(f"@u{n}:{THERE}") for n in range(20_000)]
    take_in(parts, [update(user_id) for user_id in users])
    parts.publisher.publish(take_change(parts, update(users[0], Presence.OFFLINE)))
    await parts.publisher.published()
    assert list(parts.federated.admitted([update(EVE)])) == [update(EVE)]
    assert parts.tracker.user(users[0]) is None
    assert parts.roster.last(users[0]).changed == BEGINNING
    assert parts.store.forgotten == [users[0]]


async def test_who_is_online_is_offline_before_being_forgotten(parts: Parts) -> None:
    """If a smaller domain needs a place, the user who gives it up goes offline and is forgotten."""
    for domain in range(5):
        crowd = [UserId(f"@u{n}:evil{domain}.org") for n in range(20_000)]
        take_in(parts, [update(user_id) for user_id in crowd])
    first = UserId("@u0:evil0.org")
    admitted = parts.federated.admitted([update(EVE)])
    assert next(admitted) == RemoteUpdate(first, Presence.OFFLINE)
    parts.publisher.publish(take_change(parts, RemoteUpdate(first, Presence.OFFLINE)))
    assert list(admitted) == [update(EVE)]
    assert parts.tracker.get(first).state == "offline"
    assert parts.tracker.user(first) is not None
    await parts.publisher.published()
    assert (parts.tracker.user(first), parts.store.forgotten) == (None, [first])


def test_after_a_restart(parts: Parts) -> None:
    """A restored user keeps the place, and one who was silent for a week is forgotten. Our own
    users, and users whose presence a module has set, take no place.
    """
    parts.tracker.feed(update(EVE), parts.clock.now())
    parts.clock.advance(days=7)
    parts.set(BOB, None)
    parts.tracker.feed(SetByModule(CHARLIE, Presence.ONLINE), parts.clock.now())
    users = [UserId(f"@u{n}:{THERE}") for n in range(20_000)]
    for user_id in users:
        parts.tracker.feed(update(user_id), parts.clock.now())
    parts.federated.restore(parts.clock.now())
    assert parts.store.forgotten == [EVE]
    assert {it.user_id for it in parts.tracker.known()} == {BOB, CHARLIE, *users}
    assert list(parts.federated.admitted([update(EVE)])) == []


def take_change(parts: Parts, news: RemoteUpdate) -> list[Change]:
    """Feed *news* to the tracker; return what changes."""
    return parts.tracker.feed(news, parts.clock.now())


def test_recently_told(parts: Parts) -> None:
    """`recently_told` has our users of whom other servers were told in the last half hour."""
    parts.set(ALICE, "long ago")
    parts.clock.advance(milliseconds=1)
    parts.set(BOB, "half an hour ago")
    parts.clock.advance(minutes=29, seconds=59, milliseconds=999)
    parts.tracker.feed(SetByModule(CHARLIE, Presence.OFFLINE, None), parts.clock.now())
    parts.tracker.feed(update(DORA), parts.clock.now())
    told = parts.federated.recently_told(parts.clock.now())
    assert [state.user_id for state in told] == [BOB, CHARLIE]
