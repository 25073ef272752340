"""The oracle of `make chaos` finds each kind of mistake, and allows what may be so."""

from collections.abc import AsyncIterator
from dataclasses import replace
from math import inf
from random import Random  # noqa: TID251 - clients of these tests choose nothing
from typing import Final

import aiohttp
import pytest

from lamplighter.ids import RoomId, UserId
from tests.chaos.client import Client, Refusals
from tests.chaos.oracle import Freeze, Oracle
from tests.chaos.passing import Lateness, instant
from tests.chaos.person import LogOut, Person, Shown, Told
from tests.chaos.rules import Rule
from tests.chaos.sight import Sight

ALICE, BOB, VERA = UserId("@alice:demo"), UserId("@bob:demo"), UserId("@vera:demo")
ROOM: Final = RoomId("!room:demo")
NODE: Final = "http://node"
ONLINE, OFFLINE = Shown("online", 0), Shown("offline", 0)


def _note_nothing(*_what: str) -> None:
    pass


class World:
    """Alice, Bob and Vera, who sees Bob by a rule, without his message."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        rule = Rule(0, {}, {VERA: {BOB}})
        self.oracle = Oracle(Sight((ALICE, BOB, VERA), rule), Lateness())
        for user_id in (ALICE, BOB, VERA):
            client = Client(http, [], Refusals(), Random(1))
            self.oracle.people[user_id] = Person(user_id, client, self.oracle, _note_nothing)
        self.oracle.sight.add_room(ROOM)
        self.alice, self.bob = self.oracle.people[ALICE], self.oracle.people[BOB]
        self.now = instant()

    def share_room(self, ago: float) -> None:
        """Let Alice and Bob have joined a room so many seconds ago."""
        for user_id in (ALICE, BOB):
            self.oracle.sight.joined(ROOM, user_id, self.now - ago, is_in=True)

    def bob_leaves(self, ago: float) -> None:
        """Let Bob have left the room."""
        self.oracle.sight.joined(ROOM, BOB, self.now - ago, is_in=False)

    def bob_polls(self) -> None:
        """Let Bob have polled for half a minute."""
        for ago in (30, 24, 18, 12, 6, 0):
            self.bob.attendance.polled(self.now - ago, 200)

    def told(self, viewer: UserId, *shown: Shown, is_first: bool = False) -> list[str]:
        """Return what is wrong if a client is told this of Bob, or nothing."""
        states = dict.fromkeys((BOB,), *shown) if shown else {}
        told = Told(NODE, self.now, self.now, is_first, states)
        self.oracle.told(self.oracle.people[viewer], told)
        return [str(it) for it in self.oracle.problems]

    def told_after(self, log_out: LogOut, *shown: Shown) -> list[str]:
        """Return what is wrong if a poll of Alice's ended device is told this of Alice."""
        states = dict.fromkeys((ALICE,), *shown) if shown else {}
        told = Told(NODE, self.now, self.now, is_first=False, states=states)
        self.oracle.told_after(self.alice, told, log_out)
        return [str(it) for it in self.oracle.problems]

    def gets(self, *shown: Shown) -> list[str]:
        """Return what is wrong if Alice gets this by a GET of Bob's presence, or a refusal."""
        self.oracle.got(self.alice, self.bob, self.now, *(shown or (None,)))
        return [str(it) for it in self.oracle.problems]

    def shows(self, *shown: Shown) -> list[str]:
        """Return what is wrong if Alice's client shows this of Bob, or nothing, once it is calm."""
        self.alice.believes = dict.fromkeys((BOB,), *shown) if shown else {}
        found = self.oracle.false_beliefs(self.oracle.sights_now())
        return [str(it) for it in found if it.viewer is self.alice and it.user is self.bob]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Nobody has joined the room, and Bob has not polled yet."""
    async with aiohttp.ClientSession() as http:
        yield World(http)


async def test_who_may_not_be_seen(world: World) -> None:
    """Whoever shares no room may not be shown; offline says nothing."""
    assert world.told(ALICE, OFFLINE) == []
    assert world.told(ALICE, ONLINE) == ["alice is told online 0 of bob: alice may not see bob"]


@pytest.mark.parametrize(("ago", "mistakes"), [(1, 0), (10, 1)])
async def test_who_has_left(world: World, ago: float, mistakes: int) -> None:
    """Whoever has left a while ago may not be shown; one who has just left may."""
    world.share_room(60)
    world.bob_leaves(ago)
    assert len(world.told(ALICE, ONLINE)) == mistakes


async def test_who_polls(world: World) -> None:
    """Whoever polls may not be shown offline; one who was away until now may."""
    world.share_room(60)
    assert world.told(ALICE, OFFLINE) == []
    world.bob_polls()
    assert world.told(ALICE, OFFLINE) == ["alice is told offline 0 of bob: bob polls"]


async def test_hidden_message(world: World) -> None:
    """A message that the rule hides may not be told to whom the rule hides it."""
    world.bob.status.may_be(world.now - 60, {1})
    assert world.told(VERA, ONLINE) == []
    assert world.told(VERA, Shown("online", 1)) == [
        "vera is told online 1 of bob: bob is seen without the message, with one of [0]"
    ]


async def test_old_status(world: World) -> None:
    """A status is over a while after the next one was acknowledged, and at once for a GET."""
    world.share_room(60)
    world.bob.status.may_be(world.now - 60, {1})
    world.bob.status.may_be(world.now - 2, {2})
    assert world.told(ALICE, Shown("online", 1)) == []
    assert world.gets(Shown("online", 2)) == []
    wrong = "alice gets online 1 of bob: bob is seen as the user is, with one of [2]"
    assert world.gets(Shown("online", 1)) == [wrong]


@pytest.mark.parametrize(
    ("url", "ended", "mistakes"),
    [(NODE, 0.5, 0), (NODE, 1.5, 1), ("http://another", 0.5, 1)],
)
async def test_a_node_that_was_frozen(world: World, url: str, ended: float, mistakes: int) -> None:
    """A node that has just been frozen tells what was so when it froze; later, or at another node,
    that is a mistake.
    """
    world.share_room(60)
    world.bob.status.may_be(world.now - 60, {1})
    world.bob.status.may_be(world.now - 9, {2})
    world.oracle.freezes = [Freeze(url, world.now - 6, world.now - ended)]
    assert len(world.told(ALICE, Shown("online", 1))) == mistakes


async def test_what_was_over_when_a_node_froze(world: World) -> None:
    """A node that was frozen tells nothing that was over some time before it froze."""
    world.share_room(60)
    world.bob.status.may_be(world.now - 60, {1})
    world.bob.status.may_be(world.now - 11, {2})
    world.oracle.freezes = [Freeze(NODE, world.now - 6, world.now - 0.5)]
    assert len(world.told(ALICE, Shown("online", 1))) == 1


@pytest.mark.parametrize(("quiet", "ago", "mistakes"), [(3, 2, 0), (9, 2, 1), (9, 0.5, 0)])
async def test_where_nothing_fails(world: World, quiet: float, ago: float, mistakes: int) -> None:
    """Where nothing has failed for a while, a status is over a moment after the next one, and a
    client goes on to show no other either.
    """
    world.share_room(60)
    world.bob_polls()
    world.oracle.quiet_since = world.now - quiet
    world.bob.status.may_be(world.now - 60, {1})
    world.bob.status.may_be(world.now - ago, {2})
    assert len(world.told(ALICE, Shown("online", 1))) == mistakes
    world.alice.believes = {BOB: Shown("online", 1)}
    assert len(world.told(ALICE)) == 2 * mistakes


async def test_refusal(world: World) -> None:
    """A GET may be refused only where the user may not be seen."""
    assert world.gets() == []
    world.share_room(60)
    assert world.gets() == ["alice gets nothing of bob: sees bob as the user is"]


async def test_first_sync(world: World) -> None:
    """A first sync has everybody who polls; another answer need not, if the client shows them."""
    world.share_room(60)
    world.bob_polls()
    world.alice.believes = {BOB: ONLINE}
    assert world.told(ALICE) == []
    assert world.told(ALICE, is_first=True) == [
        "alice has in a first sync nothing of bob: sees bob as the user is"
    ]


async def test_once_it_is_calm(world: World) -> None:
    """In the end a client shows the last status of whoever polls, and nothing of whom it may not
    see.
    """
    assert world.shows(ONLINE) == ["alice shows online 0 of bob, whom alice may not see"]
    world.share_room(60)
    assert world.shows() == ["alice shows offline 0 of bob, who is there, with one of [0]"]
    assert world.shows(ONLINE) == []
    world.bob_leaves(10)
    assert world.shows(ONLINE) == ["alice shows online 0 of bob, whom alice may not see"]


async def test_what_a_client_goes_on_to_show(world: World) -> None:
    """After an answer the client may show nothing that was not so of late, told or not."""
    world.share_room(60)
    world.bob_polls()
    world.alice.believes = {BOB: ONLINE}
    world.bob.status.may_be(world.now - 8, {1})
    assert world.told(ALICE) == []
    world.bob.status.may_be(world.now - 8, {1})
    world.now += 2
    assert world.told(ALICE) == [
        "alice still shows online 0 of bob: bob is seen as the user is, with one of [1]"
    ]


async def test_a_step_back(world: World) -> None:
    """Whoever was told a status is not told an earlier one, if one between is acknowledged."""
    world.share_room(60)
    world.bob.status.may_be(world.now - 60, {1, 2, 3})
    world.alice.believes = {BOB: Shown("online", 3)}
    assert world.told(ALICE, Shown("online", 1)) == []
    world.bob.acknowledged.append(2)
    assert world.told(ALICE, Shown("online", 2)) == []
    assert world.told(ALICE, Shown("online", 1)) == [
        "alice is told online 1 of bob: online 3 was told before, and 2 is acknowledged"
    ]


@pytest.mark.parametrize(("seconds", "mistakes"), [(1, 0), (10, 1)])
async def test_a_poll_after_the_log_out(world: World, seconds: float, mistakes: int) -> None:
    """The poll of a device ends soon after the device is logged out."""
    assert len(world.told_after(LogOut(world.now - seconds, was_there=True))) == mistakes


@pytest.mark.parametrize("at", [0.0, inf])
async def test_what_follows_from_a_log_out(world: World, at: float) -> None:
    """A device that was logged out is not told that its user is offline by that, however soon; one
    of a user who was not there before may be.
    """
    world.alice.believes = {ALICE: ONLINE}
    log_out = LogOut(world.now + at, was_there=True)
    assert world.told_after(log_out, ONLINE) == []
    assert world.told_after(replace(log_out, was_there=False), OFFLINE) == []
    assert world.told_after(log_out, OFFLINE) == [
        "alice is told offline 0 of itself, which follows from its log-out"
    ]


@pytest.mark.parametrize(("ago", "mistakes"), [(12, 1), (18, 0)])
async def test_a_short_absence(world: World, ago: float, mistakes: int) -> None:
    """Whoever has polled within the grace is not shown offline."""
    world.share_room(60)
    for before in (40, 30, 20):
        world.bob.attendance.polled(world.now - before, 200)
    world.bob.attendance.polled(world.now - ago, 200)
    assert len(world.told(ALICE, OFFLINE)) == mistakes


async def test_a_blackout(world: World) -> None:
    """Where all nodes and all data of the log are lost, a client may go on to show whom it was
    shown before, and may not see any more; never an older status, and nobody of whom it is told.
    """
    world.share_room(60)
    world.bob_polls()
    world.alice.believes, world.alice.learned = {BOB: ONLINE}, {BOB: world.now - 30}
    world.oracle.blackouts = [world.now - 20]
    world.bob.status.may_be(world.now - 10, {1})
    assert len(world.told(ALICE)) == 1
    world.oracle.problems.clear()
    world.bob_leaves(10)
    assert world.told(ALICE) == world.shows(ONLINE) == []
    assert world.told(ALICE, ONLINE) == ["alice is told online 0 of bob: alice may not see bob"]
    world.alice.learned = {BOB: world.now - 15}
    assert world.shows(ONLINE) == ["alice shows online 0 of bob, whom alice may not see"]


async def test_no_node_is_left(world: World) -> None:
    """Where all nodes end, that is so only of users whom the rule has shown."""
    world.oracle.darknesses = [world.now - 20]
    world.alice.learned = {BOB: world.now - 30}
    assert world.shows(ONLINE) == ["alice shows online 0 of bob, whom alice may not see"]
    world.oracle.sight.rule.may_be(world.now - 60, {Rule(1, {ALICE: {BOB}}, {})})
    world.oracle.sight.rule.may_be(world.now - 10, {Rule(2, {}, {})})
    assert world.shows(ONLINE) == []


@pytest.mark.parametrize(
    ("killed", "outage", "mistakes"),
    [(28.5, (), 0), (27.0, (), 1), (31.0, (), 1), (20.0, (31, 22), 0), (20.0, (40, 33), 1)],
    ids=["at once", "later", "before", "unsaved", "saved"],
)
async def test_a_node_is_killed(
    world: World, killed: float, outage: tuple[float, float] | tuple[()], mistakes: int
) -> None:
    """Where a node is killed before it can save whom the rule has shown, a client may go on to show
    that user.
    """
    world.oracle.kills = [world.now - killed]
    world.oracle.outages = [(world.now - outage[0], world.now - outage[1])] if outage else []
    world.alice.learned = {BOB: world.now - 30}
    world.oracle.sight.rule.may_be(world.now - 60, {Rule(1, {ALICE: {BOB}}, {})})
    world.oracle.sight.rule.may_be(world.now - 10, {Rule(2, {}, {})})
    assert len(world.shows(ONLINE)) == mistakes
