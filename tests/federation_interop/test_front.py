"""A real Synapse, with presence off, behind a real Lamplighter."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import yaml

from lamplighter.cli.homeserver import check_homeserver
from tests.federation_interop.certificates import Authority
from tests.federation_interop.front import Front, in_front_of, people
from tests.federation_interop.peer import Answer, Peer, presence_edu
from tests.federation_interop.people import log_in, news_of
from tests.federation_interop.synapse import Synapse
from tests.interop.clients import Person, register


@pytest.fixture
def front(tmp_path: Path, synapse: Synapse) -> Iterator[Front]:
    """Both, configured, and not started."""
    with in_front_of(synapse, tmp_path) as front:
        yield front


async def test_the_doctor(front: Front) -> None:
    """What the guide says is well; what it leaves out is named, with what to change."""
    config = front.lamplighter.folder / "lamplighter.yaml"
    said: list[str] = []
    assert not await asyncio.to_thread(check_homeserver, config, said.append)
    assert said[0].startswith(f"FAIL {front.synapse.url} does not answer")
    front.start()
    said.clear()
    assert await asyncio.to_thread(check_homeserver, config, said.append), said
    assert said == [
        f"ok   the homeserver answers at {front.synapse.url}",
        "ok   the homeserver knows the registration lamplighter",
        "ok   presence is off at the homeserver",
        "ok   the homeserver reaches this server",
        "ok   the homeserver sees clients' addresses",
    ]
    front.lamplighter.stop()
    front.synapse.kill_if_running()
    front.configure()
    front.synapse.configure({}, app_service_config_files=[str(front.registration)])
    front.synapse.start()
    said.clear()
    assert not await asyncio.to_thread(check_homeserver, config, said.append)
    assert [it for it in said if it.startswith("FAIL")] == [
        "FAIL presence is still on at the homeserver",
        f"FAIL the homeserver does not reach {front.lamplighter.url}: M_CONNECTION_FAILED "
        "ConnectionRefusedError: Connection was refused by other side: 111: Connection refused.",
    ]


async def test_both_restart(front: Front, http: aiohttp.ClientSession) -> None:
    """Messages and presence reach a client, each once, over restarts of either side."""
    await over_restarts(front, http)


async def test_a_unix_socket(front: Front, http: aiohttp.ClientSession) -> None:
    """All is well, over restarts too, where Synapse listens on a Unix socket."""
    front.use_socket()
    await over_restarts(front, http)
    said: list[str] = []
    config = front.lamplighter.folder / "lamplighter.yaml"
    assert await asyncio.to_thread(check_homeserver, config, said.append), said
    assert said[0] == f"ok   the homeserver answers at unix:{front.synapse.socket}"


async def over_restarts(front: Front, http: aiohttp.ClientSession) -> None:
    """Let two people speak, and restart both sides meanwhile."""
    front.start()
    alice, bob = await people(front, http, "alice", "bob")
    await alice.sync()
    await bob.put_status("online", "first")
    assert (await news_of(bob.user_id, alice))["status_msg"] == "first"

    await asyncio.to_thread(front.lamplighter.stop)
    await asyncio.to_thread(front.lamplighter.start)
    await bob.put_status("online", "second")
    assert (await news_of(bob.user_id, alice))["status_msg"] == "second"

    waiting = asyncio.ensure_future(news_of(bob.user_id, alice))
    await asyncio.to_thread(front.synapse.kill_if_running)
    await bob.put_status("online", "third")
    assert (await waiting)["status_msg"] == "third"
    await asyncio.to_thread(front.synapse.start)
    second = await log_in(http, front.lamplighter.url, alice.user_id)
    await second.sync()
    content = {"messages": {alice.user_id: {"*": {"n": 1}}}}
    sent = await bob.ask("PUT", "/sendToDevice/m.test/1", content)
    assert sent.status == 200
    for person in (alice, second):
        messages: list[Any] = []
        while not messages:
            messages = (
                (await person.sync(timeout=30_000)).json.get("to_device", {}).get("events", [])
            )
        assert [it["content"] for it in messages] == [{"n": 1}]


async def test_another_registration(front: Front, http: aiohttp.ClientSession) -> None:
    """A homeserver with other tokens than Lamplighter is told of while the server runs, and once
    it has the right ones again, so is that, and nobody was lost.
    """
    front.start()
    alice, bob = await people(front, http, "alice", "bob")
    await bob.put_status("online", "brb")
    assert (await alice.status(bob)).json["status_msg"] == "brb"
    right = front.registration.read_text()
    tokens = yaml.safe_load(right)
    for times, (token, finding) in enumerate(
        {
            "as_token": "the homeserver does not know the registration lamplighter",
            "hs_token": "the homeserver has another hs_token than the registration here",
        }.items(),
        1,
    ):
        for text in (right.replace(tokens[token], f"another-{token}"), right):
            front.registration.write_text(text)
            await asyncio.to_thread(front.synapse.kill_if_running)
            await asyncio.to_thread(front.synapse.start)
            # A join is told to the application service, which asks who is in the room.
            another = await register(http, front.synapse.url, f"carol{times}{text == right}")
            [room_id] = (await alice.ask("GET", "/joined_rooms")).json["joined_rooms"]
            await another.ask("POST", f"/join/{quote(room_id, safe='')}", {})
            if text != right:
                await asyncio.to_thread(front.lamplighter.logged, finding)
                async with http.get(f"{front.lamplighter.url}/ready") as response:
                    assert (await response.json())["warning"] == "homeserver not set up"
            else:
                await asyncio.to_thread(front.lamplighter.logged, "the homeserver is set up", times)
    assert (await alice.status(bob)).status == 200


async def test_leaves_and_log_outs(front: Front, http: aiohttp.ClientSession) -> None:
    """Who has left a room sees nobody of it, and a device that logs out is offline at once."""
    front.start()
    alice, bob = await people(front, http, "alice", "bob")
    [room_id] = (await alice.ask("GET", "/joined_rooms")).json["joined_rooms"]
    await bob.put_status("online", "brb")
    assert (await alice.status(bob)).json["status_msg"] == "brb"
    await alice.ask("POST", f"/rooms/{quote(room_id, safe='')}/leave", {})
    assert (await alice.status(bob)).status == 403
    # Past the front: the homeserver's transaction tells.
    direct = Person(http, front.synapse.url, alice.user_id, alice.token)
    await alice.sync()
    await direct.ask("POST", f"/join/{quote(room_id, safe='')}", {})
    assert (await news_of(bob.user_id, alice))["status_msg"] == "brb"
    await bob.ask("POST", "/logout", {})
    assert (await news_of(bob.user_id, alice))["presence"] == "offline"
    refused = await bob.sync()
    assert (refused.status, refused.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")


async def test_a_leave_while_we_are_down(front: Front, http: aiohttp.ClientSession) -> None:
    """A restart tells nobody anything again. If somebody has left past us meanwhile, the first
    answer says so, and nothing else.
    """
    front.start()
    alice, bob, carol = await people(front, http, "alice", "bob", "carol")
    [room_id] = (await alice.ask("GET", "/joined_rooms")).json["joined_rooms"]
    for person in (bob, carol):
        await person.put_status("online", "brb")
        assert (await news_of(person.user_id, alice))["status_msg"] == "brb"
    while "presence" in (await alice.sync()).json:
        pass
    await asyncio.to_thread(front.lamplighter.stop)
    await asyncio.to_thread(front.lamplighter.start)
    assert "presence" not in (await alice.sync()).json

    await carol.put_status("online", "back")
    assert (await news_of(carol.user_id, alice))["status_msg"] == "back"
    await asyncio.to_thread(front.lamplighter.stop)
    direct = Person(http, front.synapse.url, bob.user_id, bob.token)
    left = await direct.ask("POST", f"/rooms/{quote(room_id, safe='')}/leave", {})
    assert left.status == 200
    await asyncio.to_thread(front.lamplighter.start)
    answer = await alice.sync()
    assert answer.json["presence"]["events"] == [
        {"type": "m.presence", "sender": bob.user_id, "content": {"presence": "offline"}}
    ]
    assert (await alice.status(bob)).status == 403
    assert (await alice.status(carol)).json["status_msg"] == "back"


async def test_another_server(
    front: Front, peer: Peer, authority: Authority, http: aiohttp.ClientSession
) -> None:
    """Presence of another server comes in by transactions that Synapse verifies, and ours goes out
    with Synapse's key, which the check finds published.
    """
    charlie, alice, bob = peer.user("charlie"), *map(front.synapse.user, ("alice", "bob"))
    shows = json.dumps({charlie: [bob], alice: [charlie]})
    front.federate(
        authority,
        f"""
modules:
- module: lamplighter_examples.custom_presence_router.CustomPresenceRouter
  config: {{shows: {shows}}}
""",
    )
    front.start()
    said: list[str] = []
    config = front.lamplighter.folder / "lamplighter.yaml"
    assert await asyncio.to_thread(check_homeserver, config, said.append), said
    assert said[-1] == "ok   the homeserver publishes the signing key ed25519:synapse"

    viewer, user = await people(front, http, "alice", "bob")
    await viewer.sync(set_presence="offline")
    await user.put_status("online", "brb")
    assert (await news_of(bob, viewer))["status_msg"] == "brb"
    transaction = await peer.transaction()
    [entry] = transaction.content["edus"][0]["content"]["push"]
    assert (entry["user_id"], entry["status_msg"]) == (bob, "brb")
    assert f'origin="{front.synapse.name}",' in transaction.authorization
    # Synapse would refuse what is signed for somebody else.
    online = presence_edu(charlie, "online", status_msg="never", last_active_ago=1000)
    answer = await peer.send("elsewhere.example", "1", online, at=front.lamplighter.url)
    assert answer.status == 401
    online = presence_edu(charlie, "unavailable", status_msg="hello", last_active_ago=1000)
    answer = await peer.send(front.synapse.name, "2", online, at=front.lamplighter.url)
    assert answer == Answer(200, {"pdus": {}})
    assert await news_of(charlie, viewer) == {"presence": "unavailable", "status_msg": "hello"}


class Slider:
    """A client that slides, and wants presence."""

    def __init__(self, http: aiohttp.ClientSession, front: Front, person: Person) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {person.token}"}
        path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
        self._url = front.lamplighter.url + path
        self.pos: str | None = None
        #: The position of the last poll.
        self.sent: str | None = None

    async def slide(self) -> Any:
        """Poll, and go on from the answer."""
        body = {
            "conn_id": "main",
            "lists": {"all": {"ranges": [[0, 9]], "required_state": [], "timeline_limit": 9}},
            "extensions": {"presence": {"enabled": True}, "e2ee": {"enabled": True}},
        }
        self.sent = self.pos
        query = {"timeout": 30_000} | ({} if self.pos is None else {"pos": self.pos})
        async with self._http.post(
            self._url, json=body, params=query, headers=self._headers
        ) as response:
            content = await response.json()
        if response.status == 200:
            self.pos = content["pos"]
        return content


async def next_said(slider: Slider) -> list[str]:
    """Poll until there are messages, and return them: activity is told by itself, too."""
    while True:
        said = [
            event["content"]["body"]
            for room in (await slider.slide())["rooms"].values()
            for event in room.get("timeline", [])
            if event["type"] == "m.room.message"
        ]
        if said:
            return said


async def test_sliding_sync(front: Front, http: aiohttp.ClientSession) -> None:
    """Presence comes by itself, under the position that Synapse knows, and no message is lost."""
    front.start()
    alice, bob = await people(front, http, "alice", "bob")
    [room_id] = (await alice.ask("GET", "/joined_rooms")).json["joined_rooms"]
    sending = f"/rooms/{quote(room_id, safe='')}/send/m.room.message"
    slider = Slider(http, front, alice)
    first = await slider.slide()
    assert set(first["rooms"]) == {room_id}
    assert "device_one_time_keys_count" in first["extensions"]["e2ee"]
    told, said = list[str](), list[str]()
    while len(told) < 2:  # Synapse may have something to answer in between
        waiting = asyncio.ensure_future(slider.slide())
        said.append(f"text {len(said)}")
        await bob.put_status("online", said[-1])
        content = await waiting
        presence = content["extensions"].pop("presence", None)
        if presence and not content["lists"]:
            of_bob = [it["content"] for it in presence["events"] if it["sender"] == bob.user_id]
            told += [it["status_msg"] for it in of_bob if "status_msg" in it]
            before = str(slider.sent).rpartition("~")[0]
            assert content.pop("pos").rpartition("~")[0] == before
            assert content == {"lists": {}, "rooms": {}, "extensions": {}}
    assert set(told) <= set(said)
    assert (await bob.status(alice)).json["presence"] == "online"

    waiting = asyncio.ensure_future(next_said(slider))
    await bob.ask("PUT", f"{sending}/1", {"msgtype": "m.text", "body": "hello"})
    assert await waiting == ["hello"]
    slider.pos = slider.sent  # as if the answer had been lost: Synapse takes a position again
    assert await next_said(slider) == ["hello"]
    lost = asyncio.ensure_future(slider.slide())
    await bob.put_status("online", "third")
    await lost
    lost = asyncio.ensure_future(slider.slide())
    await bob.status()  # the poll has come by now, and waits
    lost.cancel()
    await bob.ask("PUT", f"{sending}/2", {"msgtype": "m.text", "body": "again"})
    assert await next_said(slider) == ["again"]
    slider.pos = f"999/{str(slider.pos).partition('/')[2]}"
    assert (await slider.slide())["errcode"] == "M_UNKNOWN_POS"
