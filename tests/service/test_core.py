"""The front door: what no story of a client tells."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.ports import Requester
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence
from lamplighter.service import Published
from tests.routing.people import DORA


@pytest.fixture
def config() -> str:
    """What the server's configuration says beside its name; tests give their own."""
    return ""


@pytest.fixture
async def server(config: str, tmp_path: Path) -> AsyncIterator[InMemoryServer]:
    """A server without modules."""
    async with running_server(config=config, data_dir=tmp_path / "data") as server:
        yield server


@pytest.fixture
async def bob(server: InMemoryServer) -> Client:
    """Somebody."""
    return await server.register("bob")


def requester(client: Client) -> Requester:
    """Return who the client's requests come from."""
    return Requester(client.user_id, client.device_id)


@pytest.mark.parametrize("config", ["presence: {enabled: false}"])
async def test_off(server: InMemoryServer, bob: Client) -> None:
    """Where presence is off nothing changes and nobody is shown, a module's word included."""
    await server.api.set_presence_for_users({bob.user_id: ("online", "brb")})
    await bob.set_status("online", "hello")
    server.lamplighter.core.intake.acted(requester(bob))
    answer = await bob.sync()
    assert (server.presence_of(bob).state, answer.presence) == ("offline", {})


@pytest.mark.parametrize("config", ["presence: {enabled: untracked}"])
async def test_untracked(server: InMemoryServer, bob: Client) -> None:
    """Where presence is untracked clients are not heard, and modules are."""
    await bob.set_status("online", "hello")
    await bob.sync()
    server.lamplighter.core.intake.acted(requester(bob))
    assert server.presence_of(bob).state == "offline"
    await server.api.set_presence_for_users({bob.user_id: ("online", "brb")})
    assert (await bob.sync()).presence == {
        bob.user_id: {"presence": "online", "currently_active": False, "status_msg": "brb"}
    }


@pytest.mark.parametrize(
    ("config", "heard"),
    [
        ("presence: {enabled: true}", "online"),
        ("presence: {enabled: untracked}", "offline"),
        ("presence: {enabled: false}", "offline"),
    ],
)
async def test_other_servers(server: InMemoryServer, heard: str) -> None:
    """Other servers are heard where presence is tracked, and nowhere else."""
    update = RemoteUpdate(DORA, Presence.ONLINE, "hi", timedelta(0), True)
    server.lamplighter.core.federated.remote_updates([update])
    assert server.presence_of(DORA).state == heard


async def test_snapshots_are_for_local_users(server: InMemoryServer, bob: Client) -> None:
    """`send_local_online_presence_to` takes users of other servers without complaint."""
    await server.lamplighter.core.for_modules.send_local_online_presence_to([DORA, bob.user_id])
    poll = await bob.polls()
    assert bob.user_id in (await poll.answer()).presence


async def test_observers_see_everything(server: InMemoryServer, bob: Client) -> None:
    """Who looks on sees each batch, with the changes and who was told."""
    told: list[Published] = []
    await bob.sync()
    server.lamplighter.core.witnesses.observe(told.append)
    await bob.set_status("online", "brb")
    (published,) = told
    assert [(it.old.status_msg, it.new.status_msg) for it in published.changes] == [(None, "brb")]
    assert [delivery.recipients.keys() for delivery in published.deliveries] == [{bob.user_id}]


async def test_time_is_watched_once(server: InMemoryServer, bob: Client) -> None:
    """However many users are active, one timer waits for what time alone changes."""
    timers: list[int | None] = []
    for number in range(3):
        client = await server.register(f"user{number}")
        await client.sync()
        timers.append(server.clock.next_timer())
    await server.advance(minutes=10)
    states = [server.presence_of(f"@user{number}:demo").state for number in range(3)]
    assert states == ["offline"] * 3


async def test_stopping_leaves_no_timer(tmp_path: Path) -> None:
    """A server that has stopped wants to be woken by nothing."""
    async with running_server(data_dir=tmp_path / "data") as server:
        bob = await server.register("bob")
        await bob.sync()
        await server.stop()
        assert server.clock.next_timer() is None
        await server.start()


async def test_what_was_not_announced_is_saved(tmp_path: Path) -> None:
    """What changes without being announced is saved within a minute, or when the server stops."""
    async with running_server(data_dir=tmp_path / "data") as server:
        bob = await server.register("bob")
        await bob.set_status("online", "brb")
        began = server.presence_of(bob).last_active_ts
        await server.advance(seconds=20)
        await bob.types(await bob.create_room())
        await server.advance(seconds=1)
        await server.restart(bob)
        assert server.presence_of(bob).last_active_ts == began + 20_000


async def test_deactivation_forgets(server: InMemoryServer, bob: Client) -> None:
    """A user whose account is closed is offline at once, and keeps no message."""
    await bob.set_status("online", "brb")
    await server.lamplighter.directory.deactivate(bob.user_id)
    state = server.presence_of(bob)
    assert (state.state, state.status_msg, state.currently_active) == ("offline", None, False)
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await bob.sync()


async def test_stopping_answers_polls(server: InMemoryServer, bob: Client) -> None:
    """When the server is about to stop, every poll is answered, and none waits from then on."""
    await bob.sync()
    poll = await bob.polls(filter='{"presence": {"types": []}}')
    assert not poll.answered
    server.lamplighter.answer_polls()
    assert (await poll.answer()).presence == {}
    assert (await (await bob.polls()).answer()).next_batch


async def test_subscribers_hear_announced_states(server: InMemoryServer, bob: Client) -> None:
    """Who subscribes hears the announced states, and nothing of what is only introduced."""
    heard: list[Any] = []
    stop = server.api.subscribe_to_presence(
        lambda states: heard.extend((it.user_id, it.status_msg) for it in states)
    )
    alice = await server.register("alice")
    await bob.set_status("online", "one")
    await server.room(bob, alice)
    await server.settled()
    stop()
    await bob.set_status("online", "two")
    await server.settled()
    assert heard == [(bob.user_id, "one")]


async def test_malformed_presence_by_a_module(server: InMemoryServer, bob: Client) -> None:
    """A module cannot set a message that could not be kept: the next PUT is not its victim."""
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        await server.api.set_presence_for_users({bob.user_id: ("online", "\ud83d")})
    await bob.set_status("online", "brb")
    assert server.presence_of(bob).status_msg == "brb"


async def test_an_observer_that_fails(server: InMemoryServer, bob: Client) -> None:
    """An observer that raises is logged; neither the others nor the PUT notice."""
    told: list[Published] = []

    def broken(published: Published) -> None:
        raise ZeroDivisionError

    server.lamplighter.core.witnesses.observe(broken)
    server.lamplighter.core.witnesses.observe(told.append)
    with capture_logs() as logged:
        await bob.set_status("online", "brb")
    assert [line["event"] for line in logged] == ["an observer failed"]
    assert len(told) == 1
