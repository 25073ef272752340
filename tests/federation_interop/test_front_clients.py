"""Client libraries that others wrote, in front of a real Synapse."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import pytest
from nio import AsyncClient, PresenceSetResponse, RoomSendResponse

from tests.federation_interop.front import Front, in_front_of
from tests.federation_interop.synapse import Synapse
from tests.interop.hydrogen import PACKAGES
from tests.interop.nio_clients import Listener, client, share_a_room, syncing

NODE = shutil.which("node")
SCRIPTS = Path(__file__).parents[1] / "interop" / "npm"

needs_js_sdk = pytest.mark.skipif(
    NODE is None or not (PACKAGES / "matrix-js-sdk").is_dir(),
    reason="Node is not installed, or npm ci was not run in tests/interop/npm",
)


@pytest.fixture
def front(tmp_path: Path, synapse: Synapse) -> Iterator[Front]:
    """A Synapse and a Lamplighter that run."""
    with in_front_of(synapse, tmp_path) as front:
        front.start()
        yield front


async def say(client: AsyncClient, room_id: str, text: str) -> None:
    """Send a message."""
    content = {"msgtype": "m.text", "body": text}
    sent = await client.room_send(room_id, "m.room.message", content)
    assert isinstance(sent, RoomSendResponse), sent


async def set_status(client: AsyncClient, text: str) -> None:
    """Set the client's own presence."""
    assert isinstance(await client.set_presence("online", text), PresenceSetResponse)


async def told(listener: Listener, user_id: str, text: str) -> None:
    """Return once the client is told of that status message."""
    while (await listener.presence(user_id))[1] != text:
        pass


async def test_matrix_nio_through_restarts(front: Front) -> None:
    """Two nio clients go on through restarts: each message comes once and in order, and presence
    with it, which comes even while Synapse is away.
    """
    url = front.lamplighter.url
    alice_id, bob_id = front.synapse.user("alice"), front.synapse.user("bob")
    async with client(url, alice_id) as alice, client(url, bob_id) as bob:
        room_id = await share_a_room(alice, bob)
        async with syncing(alice) as by_alice, syncing(bob) as by_bob:
            await asyncio.gather(say(bob, room_id, "one"), set_status(bob, "first"))
            await told(by_alice, bob_id, "first")

            await asyncio.to_thread(front.lamplighter.stop)
            await asyncio.to_thread(front.lamplighter.start)
            await asyncio.gather(say(alice, room_id, "two"), set_status(alice, "second"))
            await told(by_bob, alice_id, "second")

            await asyncio.to_thread(front.synapse.kill_if_running)
            await set_status(bob, "third")
            await told(by_alice, bob_id, "third")
            await asyncio.to_thread(front.synapse.start)
            await asyncio.gather(say(bob, room_id, "three"), set_status(bob, "fourth"))
            await told(by_alice, bob_id, "fourth")
            for listener in (by_alice, by_bob):
                assert [await listener.text() for _ in range(3)] == ["one", "two", "three"]


@needs_js_sdk
async def test_two_people_at_matrix_js_sdk(front: Front) -> None:
    """Two people at Element's library see presence, typing, messages and receipts of each other."""
    process = await asyncio.create_subprocess_exec(
        str(NODE), str(SCRIPTS / "two_people.mjs"), front.lamplighter.url, stdout=-1, stderr=-1
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    told = [json.loads(line) for line in output.decode().splitlines() if line.startswith('["')]
    alice, bob = front.synapse.user("alice"), front.synapse.user("bob")
    assert told[:5] == [
        ["members", [alice, bob]],
        ["presence", ["unavailable", "Making tea"]],
        ["typing", bob],
        ["message", "More tea?"],
        ["receipt", True],
    ]
    assert told[-1] == ["left", True]


@needs_js_sdk
async def test_matrix_js_sdk_through_restarts(front: Front) -> None:
    """A client at Element's library is told each message once and in order, and the presence that
    came with it, through restarts of either side.
    """
    process = await asyncio.create_subprocess_exec(
        str(NODE),
        str(SCRIPTS / "alice_hears_bob.mjs"),
        front.lamplighter.url,
        stdin=PIPE,
        stdout=PIPE,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    told: list[list[str]] = []

    async def until(what: str, value: str) -> None:
        while [what, value] not in told:
            line = await stdout.readline()
            assert line, "the client has ended"
            if line.startswith(b'["'):
                told.append(json.loads(line))

    try:
        await until("ready", "")
        restarts = (
            (front.lamplighter.stop, front.lamplighter.start),
            (front.synapse.kill_if_running, front.synapse.start),
        )
        for text, restart in zip(("one", "two", "three"), ((), *restarts), strict=True):
            for action in restart:
                await asyncio.to_thread(action)
            stdin.write(f"{text}\n".encode())
            await until("presence", text)
            await until("message", text)
        stdin.write(b"\n")
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert [text for what, text in told if what == "message"] == ["one", "two", "three"]
