"""Servers that send presence to each other, without a room between them."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from tests.scenarios.federated_worlds import ONE, THREE, TWO, Setup, World, running_world

ALICE: Final = f"@alice:{ONE}"
BOB: Final = f"@bob:{TWO}"
CAROL: Final = f"@carol:{THREE}"

#: Both directions, by both callbacks.
MUTUAL: Final = {ALICE: [BOB], BOB: [ALICE]}
#: Bob's server tells alice's of him, and alice may see him.
OF_BOB: Final = {ALICE: [BOB]}


@pytest.fixture
def setups() -> tuple[Setup, ...]:
    """Alice's server and bob's, by which they see each other; tests give their own."""
    return tuple(Setup(name, pushes=MUTUAL, names=MUTUAL) for name in (ONE, TWO))


@pytest.fixture
async def world(tmp_path: Path, setups: tuple[Setup, ...]) -> AsyncIterator[World]:
    """The servers, which run."""
    async with running_world(tmp_path, *setups) as world:
        yield world


@pytest.fixture
async def alice(world: World) -> Client:
    """A user of the one server."""
    return await world[ONE].register("alice")


@pytest.fixture
async def bob(world: World) -> Client:
    """A user of the other."""
    return await world[TWO].register("bob")


def given(*setups: Setup) -> pytest.MarkDecorator:
    """Give a test servers of its own."""
    return pytest.mark.parametrize("setups", [setups], ids=[""])


def seen_at(world: World, server: str, user_id: str) -> tuple[str, str | None]:
    """Return presence and status message as a server knows them."""
    state = world[server].presence_of(user_id)
    return state.state, state.status_msg


async def test_both_ways(world: World, alice: Client, bob: Client) -> None:
    """Each user's changes reach the other within one window, on both servers, with all fields."""
    for user, viewer in ((alice, bob), (bob, alice)):
        await viewer.sync(set_presence="offline")
        for presence, message in (("online", "hello"), ("unavailable", "brb"), ("online", None)):
            await user.set_status(presence, message)
            await world.advance(milliseconds=100)
            expected = {"presence": presence, "last_active_ago": 100}
            expected |= {"status_msg": message} if message else {}
            expected |= {"currently_active": True} if presence == "online" else {}
            answer = await viewer.sync(set_presence="offline")
            assert answer.presence == {user.user_id: expected}
            assert await viewer.status_of(user) == expected
        await user.set_status("offline")
        await world.advance(milliseconds=100)
        answer = await viewer.sync(set_presence="offline")
        gone = {"presence": "offline", "last_active_ago": 100}
        assert answer.presence == {user.user_id: gone}


async def test_a_poll_is_answered(world: World, alice: Client, bob: Client) -> None:
    """A poll is answered by a change of a user of another server."""
    await alice.sync(set_presence="offline")
    poll = await alice.polls(set_presence="offline")
    await bob.set_status("online", "hello")
    await world.advance(milliseconds=99)
    assert not poll.answered
    await world.advance(milliseconds=1)
    assert (await poll.answer()).presence[BOB]["status_msg"] == "hello"


@given(
    Setup(ONE, names={ALICE: [BOB], f"@ann:{ONE}": "ALL", f"@amy:{ONE}": [ALICE]}),
    Setup(TWO, pushes=OF_BOB),
)
async def test_who_sees_a_remote_user(world: World, alice: Client, bob: Client) -> None:
    """A remote user is seen by those for whom a module names them, or everybody; by nobody else.

    For whom their own server meant them does not count.
    """
    viewers = {name: await world[ONE].register(name) for name in ("alice", "ann", "amy", "al")}
    for viewer in viewers.values():
        await viewer.sync(set_presence="offline")
    await bob.set_status("online", "hello")
    await world.advance(seconds=1)
    may_see = {"alice", "ann"}
    told = {
        name
        for name, viewer in viewers.items()
        if BOB in (await viewer.sync(set_presence="offline")).presence
    }
    shown_first = {
        name
        for name, viewer in viewers.items()
        if BOB in (await viewer.first_sync(set_presence="offline")).presence
    }
    assert (told, shown_first) == (may_see, may_see)
    for name in viewers.keys() - may_see:
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await viewers[name].status_of(BOB)


async def test_silence(world: World, alice: Client, bob: Client) -> None:
    """A user whose server has been silent for half an hour is offline, to the millisecond."""
    await alice.sync(set_presence="offline")
    await bob.set_status("online", "hello")
    await world.advance(milliseconds=100)
    world.network.down.add(TWO)
    await world.advance(minutes=29, seconds=59, milliseconds=999)
    assert seen_at(world, ONE, BOB) == ("online", "hello")
    await world.advance(milliseconds=1)
    assert seen_at(world, ONE, BOB) == ("offline", "hello")
    answer = await alice.sync(set_presence="offline")
    gone = {"presence": "offline", "last_active_ago": 1_800_100, "status_msg": "hello"}
    assert answer.presence == {BOB: gone}


async def test_a_steady_user_stays(world: World, alice: Client, bob: Client) -> None:
    """A user who stays online does so on the other server, too, without events for viewers."""
    await bob.set_status("online")
    await world.advance(minutes=1)  # that device is gone, and the module's word stands
    await world[TWO].api.set_presence_for_users({BOB: ("online", "here")})
    await world.advance(seconds=1)
    await alice.sync(set_presence="offline")
    told = len(world.network.puts)
    for _ in range(6):
        await world.advance(minutes=20)
        assert seen_at(world, ONE, BOB) == ("online", "here")
        assert (await alice.sync(set_presence="offline")).presence == {}
    assert len(world.network.puts) - told in (4, 5)


@given(Setup(ONE), Setup(TWO, pushes={ALICE: "ALL"}))
async def test_pings_are_spread(world: World) -> None:
    """Users who came online together are pinged once in a period each, spread over the period."""
    users = [f"@user{number}:{TWO}" for number in range(200)]
    await world[TWO].api.set_presence_for_users(dict.fromkeys(users, ("online", "here")))
    await world.advance(minutes=25)
    began = len(world.network.puts)
    await world.advance(minutes=25)
    pings = world.network.puts[began:]
    reminded = Counter(user_id for put in pings for user_id in put.push)
    assert reminded == Counter(users)
    per_minute = Counter(put.at // timedelta(minutes=1) for put in pings for _ in put.push)
    assert len(per_minute) >= 25  # 8 each, if evenly spread
    assert max(per_minute.values()) < 20


@given(Setup(ONE), Setup(TWO, names={ALICE: [BOB, f"@ben:{TWO}"]}))
async def test_a_snapshot(world: World, bob: Client) -> None:
    """`send_local_online_presence_to` a remote user sends whom they may see and who is online."""
    ben, bill = [await world[TWO].register(name) for name in ("ben", "bill")]
    await bob.set_status("unavailable", "brb")
    await ben.set_status("offline", "gone")
    await bill.set_status("online", "hello")
    await world.advance(seconds=1)
    assert world.network.puts == []
    await world[TWO].api.send_local_online_presence_to([ALICE])
    await world.advance(milliseconds=100)
    (put,) = world.network.arrived(TWO)
    entry = {"presence": "unavailable", "last_active_ago": 1100, "status_msg": "brb"}
    assert (put.destination, put.push) == (ONE, {BOB: {"user_id": BOB, **entry}})
    assert seen_at(world, ONE, BOB) == ("unavailable", "brb")


async def test_down_for_an_hour(world: World, alice: Client, bob: Client) -> None:
    """A server that comes back after an hour gets the newest state once, and no older one."""
    world.network.down.add(ONE)
    for number in range(6):
        await bob.set_status("online", f"message {number}")
        await world.advance(minutes=10)
    tried = world.network.puts
    assert {put.status for put in tried} == {None}
    assert len(tried) <= 14  # each pause is twice as long as the one before, or nearly
    await bob.set_status("unavailable", "the last")
    world.network.down.clear()
    while not world.network.arrived(TWO):
        await world.advance(seconds=10)
    assert world.network.time < timedelta(hours=2)
    assert [put.messages for put in world.network.arrived(TWO)] == [{BOB: "the last"}]
    assert seen_at(world, ONE, BOB)[1] == "the last"
    await bob.set_status("online", "hello again")
    await world.advance(milliseconds=100)
    assert seen_at(world, ONE, BOB) == ("online", "hello again")


@given(
    Setup(ONE), Setup(TWO, pushes={ALICE: [BOB], CAROL: [BOB]}), Setup(THREE, names={CAROL: [BOB]})
)
async def test_others_do_not_wait_for_who_is_down(world: World, bob: Client) -> None:
    """A server that is down costs the others nothing."""
    world.network.down.add(ONE)
    for number in range(5):
        await bob.set_status("online", f"message {number}")
        await world.advance(milliseconds=100)
        assert seen_at(world, THREE, BOB) == ("online", f"message {number}")
        await world.advance(minutes=1)


async def test_backing_off_over_restarts(world: World, bob: Client) -> None:
    """Restarts do not make a server send more often to one that has not answered for long."""
    world.network.down.add(ONE)
    await bob.set_status("online", "hello")
    for _ in range(12):
        await world.advance(minutes=5)
        await world.restart_one(TWO, bob)
    assert 10 <= len(world.network.puts) <= 20  # a hundred, if each start forgot
    world.network.down.clear()
    await bob.set_status("unavailable", "back")
    await world.advance(hours=1)
    assert world.network.arrived(TWO)[0].messages == {BOB: "back"}


async def test_what_a_stop_has_cut_off(world: World, bob: Client) -> None:
    """A state that was not sent when a server stopped is sent when the server starts."""
    await bob.set_status("online", "hello")
    await world.advance(seconds=1)
    await bob.set_status("unavailable", "never sent before the stop")
    await world.restart_one(TWO, bob)
    assert seen_at(world, ONE, BOB) == ("online", "hello")
    await world.advance(milliseconds=100)
    assert seen_at(world, ONE, BOB) == ("unavailable", "never sent before the stop")


async def test_who_is_gone_by_the_restart(world: World, bob: Client) -> None:
    """A user who went offline right before a stop is offline on other servers after the start."""
    await bob.set_status("online", "hello")
    await world.advance(seconds=1)
    await bob.log_out()
    await world.restart_one(TWO)
    await world.advance(milliseconds=100)
    assert seen_at(world, ONE, BOB) == ("offline", "hello")


async def test_the_receiver_restarts(world: World, alice: Client, bob: Client) -> None:
    """A server that restarts knows what it knew, and hears what happened meanwhile."""
    await bob.set_status("offline", "hello")
    await world.advance(minutes=1)
    await world.restart_one(ONE, alice)
    assert seen_at(world, ONE, BOB) == ("offline", "hello")
    await world.stop_one(ONE)
    news = {BOB: ("unavailable", "while you were out")}
    await world[TWO].api.set_presence_for_users(news)
    await world.advance(seconds=30)
    await world.start_one(ONE, alice)
    assert seen_at(world, ONE, BOB) == ("offline", "hello")
    await world.advance(minutes=1)
    assert seen_at(world, ONE, BOB) == news[BOB]
    first = (await alice.first_sync(set_presence="offline")).presence
    assert first[BOB]["status_msg"] == "while you were out"


async def test_silence_over_a_restart(world: World, bob: Client) -> None:
    """Half an hour of silence counts from when the server was last heard, restart or not."""
    await bob.set_status("online", "hello")
    await world.advance(milliseconds=100)
    world.network.down.add(TWO)
    await world.advance(minutes=20)
    await world.restart_one(ONE)
    await world.advance(minutes=9, seconds=59, milliseconds=999)
    assert seen_at(world, ONE, BOB) == ("online", "hello")
    await world.advance(milliseconds=1)
    assert seen_at(world, ONE, BOB) == ("offline", "hello")


@pytest.mark.parametrize(
    "setups",
    [
        (Setup(ONE, names=OF_BOB, ahead=ahead), Setup(TWO, pushes=OF_BOB))
        for ahead in (timedelta(hours=3), timedelta(hours=-3))
    ],
    ids=["ahead", "behind"],
)
async def test_clocks_that_differ(world: World, alice: Client, bob: Client) -> None:
    """The time of the last activity is right by each server's own clock."""
    await bob.set_status("online", "hello")
    await world.advance(seconds=40)
    await bob.set_status("online", "still here")
    active = world[ONE].clock.now()
    await world.advance(seconds=20)
    state = world[ONE].presence_of(BOB)
    assert (state.last_active_ts, state.last_federation_update_ts) == (active, active + 100)
    assert (await alice.status_of(BOB))["last_active_ago"] == 20_000


@given(
    Setup(ONE, names=OF_BOB),
    Setup(TWO, pushes={f"@ben:{TWO}": [BOB]}, hides=OF_BOB),
)
async def test_an_altered_state(world: World, alice: Client, bob: Client) -> None:
    """A state that a module alters for a remote user arrives altered, and is unaltered here."""
    ben = await world[TWO].register("ben")
    await ben.sync(set_presence="offline")
    await bob.set_status("online", "secret")
    await world.advance(seconds=1)
    entry = {"presence": "online", "last_active_ago": 1000, "currently_active": True}
    assert await alice.status_of(BOB) == entry
    told = (await ben.sync(set_presence="offline")).presence
    assert told == {BOB: {**entry, "status_msg": "secret"}}
    assert "secret" not in repr(world.network.puts)


@given(
    Setup(ONE, pushes={CAROL: "ALL"}, names={ALICE: "ALL"}),
    Setup(TWO, pushes=OF_BOB),
    Setup(THREE, names={CAROL: "ALL"}),
)
async def test_nothing_is_passed_on(world: World, alice: Client, bob: Client) -> None:
    """A server sends the presence of its own users only, whatever its modules answer."""
    carol = await world[THREE].register("carol")
    await bob.set_status("online", "hello")
    await alice.set_status("online", "hi")
    await world[ONE].api.send_local_online_presence_to([CAROL])
    await world.advance(hours=1)
    first = (await carol.first_sync(set_presence="offline")).presence
    assert first.keys() - {CAROL} == {ALICE}
    assert {user for put in world.network.arrived(ONE) for user in put.push} == {ALICE}


@given(
    Setup(ONE, pushes=MUTUAL, names=MUTUAL, denies=[TWO]), Setup(TWO, pushes=MUTUAL, names=MUTUAL)
)
async def test_a_denied_server(world: World, alice: Client, bob: Client) -> None:
    """A denied server is sent nothing, and its transactions are refused."""
    await alice.set_status("online", "hello")
    await bob.set_status("online", "hello")
    await world.advance(seconds=1)
    assert seen_at(world, ONE, BOB) == seen_at(world, TWO, ALICE) == ("offline", None)
    assert {(put.origin, put.status) for put in world.network.puts} == {(TWO, 403)}
