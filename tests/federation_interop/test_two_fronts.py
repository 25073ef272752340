"""Two real Synapses, each behind its own Lamplighter and nginx, in one federation."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.deploy.proxies import Places, Proxy, free_places, running
from tests.federation_interop.certificates import Authority
from tests.federation_interop.front import Front, in_front_of
from tests.federation_interop.synapse import Ports, Synapse
from tests.interop.clients import Person, register
from tests.interop.processes import reserved_port

NGINX = Proxy("nginx", "front/nginx-all.conf")

pytestmark = pytest.mark.skipif(not NGINX.is_here, reason="nginx is not installed")


class Viewer:
    """A user who polls, and all that the polls have told."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.said: list[str] = []
        self.seen: dict[str, Any] = {}

    async def poll(self) -> None:
        """Take in the answer to one `/sync`."""
        answer = await self.person.sync(timeout=30_000)
        assert answer.status == 200, answer
        for event in answer.json.get("presence", {}).get("events", []):
            self.seen[event["sender"]] = event["content"]
        for room in answer.json.get("rooms", {}).get("join", {}).values():
            timeline = room["timeline"]["events"]
            self.said += [
                it["content"]["body"] for it in timeline if it["type"] == "m.room.message"
            ]

    async def sees(self, other: Person, status_msg: str) -> None:
        """Poll until this is what was told last of *other*."""
        while self.seen.get(other.user_id, {}).get("status_msg") != status_msg:
            await self.poll()

    async def hears(self, *texts: str) -> None:
        """Poll until there are as many messages; they must be these, each once.

        What was said while the servers could not reach each other has no order of its own.
        """
        while len(self.said) < len(texts):
            await self.poll()
        assert sorted(self.said) == sorted(texts)


@contextmanager
def site(folder: Path, authority: Authority) -> Iterator[Front]:
    """Run a homeserver, Lamplighter, and nginx, whose port is in the homeserver's name."""
    folder.mkdir()
    with ExitStack() as stack:
        federation, client = (stack.enter_context(reserved_port()) for _ in range(2))
        places = stack.enter_context(free_places(folder))
        name = f"localhost:{places.proxy}"
        synapse = Synapse(folder / "synapse", Ports(federation, client), authority, name)
        stack.callback(synapse.kill_if_running)
        front = stack.enter_context(in_front_of(synapse, folder))
        places = Places(folder, places.proxy, {8018: front.lamplighter.port})
        front.federate(authority)
        front.start()
        stack.enter_context(running(NGINX, places, authority))
        yield front


@pytest.fixture
async def sites(tmp_path: Path, authority: Authority) -> AsyncIterator[tuple[Front, Front]]:
    """Two sites that run."""
    with site(tmp_path / "one", authority) as one, site(tmp_path / "two", authority) as two:
        yield one, two


async def share_a_room(one: Person, two: Person) -> str:
    """Let *one* create a room, and *two* join it from the other server; return its ID, encoded."""
    created = await one.ask("POST", "/createRoom", {"preset": "public_chat"})
    room_id = quote(created.json["room_id"], safe="")
    server = one.user_id.partition(":")[2]
    joined = await two.ask("POST", f"/join/{room_id}?via={server}&server_name={server}", {})
    assert joined.status == 200, joined
    return room_id


async def say(person: Person, room_id: str, text: str) -> None:
    """Send a message."""
    content = {"msgtype": "m.text", "body": text}
    path = f"/rooms/{room_id}/send/m.room.message/{quote(text)}"
    assert (await person.ask("PUT", path, content)).status == 200


async def test_both_ways(sites: tuple[Front, Front], http: aiohttp.ClientSession) -> None:
    """Users who share a room see each other, and each message comes once, over restarts."""
    one, two = sites
    alice = await register(http, one.lamplighter.url, "alice")
    bob = await register(http, two.lamplighter.url, "bob")
    await alice.sync()
    await bob.sync()
    await alice.put_status("online", "before the room")
    room_id = await share_a_room(alice, bob)
    by_alice, by_bob = Viewer(alice), Viewer(bob)
    # Alice's server learns of the join, and tells Bob's server what was said before it.
    await by_bob.sees(alice, "before the room")
    # Presence and messages at one time: servers may take them in in any order.
    await asyncio.gather(say(alice, room_id, "one"), alice.put_status("online", "in the room"))
    await by_bob.sees(alice, "in the room")
    await by_bob.hears("one")
    await asyncio.gather(say(bob, room_id, "two"), bob.put_status("online", "in the room"))
    await by_alice.sees(bob, "in the room")
    for viewer in (by_alice, by_bob):
        await viewer.hears("one", "two")

    await asyncio.to_thread(one.lamplighter.stop)
    await bob.put_status("online", "while it was away")
    await say(bob, room_id, "three")
    await asyncio.to_thread(one.lamplighter.start)
    await by_alice.sees(bob, "while it was away")
    await asyncio.to_thread(two.synapse.kill_if_running)
    await alice.put_status("online", "the other one is away")
    await say(alice, room_id, "four")
    await asyncio.to_thread(two.synapse.start)
    await by_bob.sees(alice, "the other one is away")
    for viewer in (by_alice, by_bob):
        await viewer.hears("one", "two", "three", "four")

    await bob.ask("POST", f"/rooms/{room_id}/leave", {})
    while (await alice.status(bob)).status != 403:
        pass
    await alice.put_status("online", "alone")
    assert (await bob.status(alice)).status == 403
