"""How the devices of a user become the user's presence, as others see it."""

import itertools

import pytest

from lamplighter.devtools.client import Client, SyncQuery
from lamplighter.devtools.server import InMemoryServer, running_server

STATES = ("busy", "online", "unavailable", "offline")
PRESENCE = {"busy": "org.matrix.msc3026.busy"}

#: For polls that last: with it, not even one's own presence is news.
QUIET = '{"presence": {"types": []}, "room": {"rooms": []}}'


@pytest.mark.parametrize("config", ["presence: {busy: true}"], ids=["with busy"])
async def test_highest_device_wins(server: InMemoryServer) -> None:
    """A user's presence is the highest of the devices': busy, online, unavailable, offline."""
    shown, highest = {}, {}
    for states in itertools.product(STATES, repeat=2):
        name = "-and-".join(states)
        for state in states:
            device = await server.register(name)
            await device.set_status(PRESENCE.get(state, state))
        shown[states] = server.presence_of(device).state
        higher = min(states, key=STATES.index)
        highest[states] = PRESENCE.get(higher, higher)
    assert shown == highest


async def test_nobody_there(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A user without a device is offline."""
    assert server.presence_of(bob).state == "offline"
    assert (await alice.status_of(bob)) == {"presence": "offline"}


async def test_a_sync_makes_online(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A user who begins to sync is online, and active at that moment."""
    await alice.sync()
    await bob.sync()
    assert (await alice.sync()).presence[bob.user_id] == {
        "presence": "online",
        "currently_active": True,
        "last_active_ago": 0,
    }


async def test_grace_begins_at_the_end_of_the_last_poll(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A device is dropped 30 s after the end of its last poll, however long that took."""
    await bob.sync()
    poll = await bob.polls(timeout=40_000, filter=QUIET)
    await server.advance(seconds=40)
    await poll.answer()
    await server.advance(milliseconds=29_999)
    assert server.presence_of(bob).state == "online"
    await server.advance(milliseconds=1)
    assert server.presence_of(bob).state == "offline"


async def test_poll_in_flight_never_drops(server: InMemoryServer, bob: Client) -> None:
    """A device whose poll is in flight is never dropped; for want of activity it idles."""
    await bob.sync()
    poll = await bob.polls(timeout=600_000, filter=QUIET)
    await server.advance(minutes=9, seconds=59)
    assert (poll.answered, server.presence_of(bob).state) == (False, "unavailable")


async def test_client_that_goes_away(server: InMemoryServer, bob: Client) -> None:
    """A client that closes the connection does not count as connected: the grace begins then."""
    await bob.sync()
    poll = await bob.polls(timeout=600_000, filter=QUIET)
    await server.advance(seconds=10)
    await poll.go_away()
    await server.advance(seconds=30)
    assert server.presence_of(bob).state == "offline"


async def test_steady_polling_is_not_activity(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A user who only polls stops being active after a minute, and is unavailable after five."""
    await bob.sync()
    seen = []
    for _ in range(10):
        poll = await bob.polls(timeout=30_000, filter=QUIET)
        await server.advance(seconds=30)
        await poll.answer()
        state = server.presence_of(bob)
        seen.append((state.state, state.currently_active))
    active, quiet, idle = ("online", True), ("online", False), ("unavailable", False)
    assert seen == [active, *[quiet] * 8, idle]
    assert (await alice.status_of(bob)) == {"presence": "unavailable", "last_active_ago": 300_000}


@pytest.mark.parametrize(
    ("config", "query", "state"),
    [
        ("presence: {sync_is_activity: explicit}", {}, "unavailable"),
        ("presence: {sync_is_activity: explicit}", {"set_presence": "online"}, "online"),
        ("presence: {sync_is_activity: always}", {}, "online"),
        ("presence: {sync_is_activity: never}", {"set_presence": "online"}, "unavailable"),
    ],
)
async def test_sync_is_activity(
    server: InMemoryServer, bob: Client, query: SyncQuery, state: str
) -> None:
    """`sync_is_activity` says which polls keep somebody from idling: explicit, always, never."""
    await bob.sync(**query)
    quiet: SyncQuery = {**query, "filter": QUIET}
    for _ in range(11):
        poll = await bob.polls(timeout=30_000, **quiet)
        await server.advance(seconds=30)
        await poll.answer()
    assert server.presence_of(bob).state == state


async def test_change_by_sync_is_activity(server: InMemoryServer, bob: Client) -> None:
    """A poll that asks for another presence than before changes it, and is an activity."""
    await bob.sync(set_presence="unavailable")
    await server.advance(seconds=20)
    await bob.sync(set_presence="online")
    state = server.presence_of(bob)
    assert (state.state, state.last_active_ts) == ("online", server.clock.now())


@pytest.mark.parametrize("config", ["presence: {idle_timeout: 2m}"], ids=["2m"])
async def test_idle_device_beside_an_active_one(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """While one device is in use, another one that idles does not show."""
    laptop = await server.register("bob")
    await laptop.sync()
    await laptop.polls(timeout=600_000, filter=QUIET)
    await bob.sync()
    await bob.polls(timeout=600_000, filter=QUIET)
    for _ in range(3):
        await server.advance(minutes=1)
        await bob.types(room)
    assert server.presence_of(bob).state == "online"
    await server.advance(minutes=2)
    assert server.presence_of(bob).state == "unavailable"


async def test_set_presence_offline_leaves_it_alone(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A sync with `set_presence=offline` neither shows its user nor keeps a device alive."""
    await bob.sync(set_presence="offline")
    assert server.presence_of(bob).state == "offline"
    await bob.set_status("online")
    await server.advance(seconds=15)
    await bob.sync(set_presence="offline")
    await server.advance(seconds=14)
    assert server.presence_of(bob).state == "online"
    await server.advance(seconds=1)
    assert server.presence_of(bob).state == "offline"


async def test_sync_keeps_a_message(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A status message outlives syncs and the loss of every device."""
    await bob.set_status("online", "on the train")
    await bob.sync(set_presence="unavailable")
    assert server.presence_of(bob).status_msg == "on the train"
    await server.advance(minutes=10)
    state = server.presence_of(bob)
    assert (state.state, state.status_msg) == ("offline", "on the train")


async def test_logout_drops_at_once(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A device that logs out is gone at once, and its poll with it."""
    laptop = await server.register("bob")
    await laptop.set_status("unavailable")
    await bob.sync()
    await bob.log_out()
    assert server.presence_of(bob).state == "unavailable"
    await laptop.log_out()
    assert server.presence_of(bob).state == "offline"


async def test_logout_everywhere(server: InMemoryServer, bob: Client) -> None:
    """`logout/all` drops all devices at once."""
    await (await server.register("bob")).sync()
    await bob.sync()
    await bob.call("POST", "/logout/all", {})
    assert server.presence_of(bob).state == "offline"


@pytest.mark.parametrize(
    ("timer", "seconds", "before", "then"),
    [
        ("sync_online_timeout: 90s", 90, ("online", False), ("offline", False)),
        ("last_active_granularity: 20s", 20, ("online", True), ("online", False)),
        (
            "idle_timeout: 70s, sync_online_timeout: 5m",
            70,
            ("online", False),
            ("unavailable", False),
        ),
    ],
)
async def test_timers_from_the_config(
    timer: str, seconds: int, before: tuple[str, bool], then: tuple[str, bool]
) -> None:
    """Every timer of presence is as long as the configuration says."""
    async with running_server(config=f"presence: {{{timer}}}") as server:
        bob = await server.register("bob")
        await bob.set_status("online")
        seen = []
        for step in (seconds * 1000 - 1, 1):
            await server.advance(milliseconds=step)
            state = server.presence_of(bob)
            seen.append((state.state, state.currently_active))
        assert seen == [before, then]
