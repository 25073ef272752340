"""matrix-nio, a client library that others wrote, drives the real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nio import (
    AsyncClient,
    JoinResponse,
    LoginResponse,
    PresenceEvent,
    PresenceGetError,
    PresenceGetResponse,
    PresenceSetResponse,
    RegisterResponse,
    RoomCreateResponse,
    RoomInviteResponse,
    RoomLeaveResponse,
    RoomMessageText,
    RoomSendResponse,
    SyncResponse,
)
from nio.rooms import MatrixRoom

from tests.interop.processes import SERVER, ServerProcess

#: Presence and status.
Seen = tuple[str, str | None]

ONLINE: Seen = ("online", None)
ALICE, BOB = f"@alice:{SERVER}", f"@bob:{SERVER}"


class Listener:
    """Collects what the callbacks of a client that syncs for ever get."""

    def __init__(self, client: AsyncClient) -> None:
        self._presence: asyncio.Queue[PresenceEvent] = asyncio.Queue()
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        client.add_presence_callback(self._presence_changed, PresenceEvent)
        client.add_event_callback(self._said, RoomMessageText)

    async def presence(self, user_id: str, after: Seen) -> Seen:
        """Return the next news of somebody that is not *after*."""
        while True:
            event = await self._presence.get()
            seen = (event.presence, event.status_msg)
            if event.user_id == user_id and seen != after:
                return seen

    async def text(self) -> str:
        """Return the next message."""
        return await self._texts.get()

    async def _presence_changed(self, event: PresenceEvent) -> None:
        self._presence.put_nowait(event)

    async def _said(self, room: MatrixRoom, event: RoomMessageText) -> None:
        self._texts.put_nowait(event.body)


@asynccontextmanager
async def client(server: ServerProcess, user_id: str) -> AsyncIterator[AsyncClient]:
    """Give a client of *user_id*, who is registered, and logged in anew."""
    first, second = AsyncClient(server.url, user_id), AsyncClient(server.url, user_id)
    try:
        registered = await first.register(user_id[1:].partition(":")[0], "wonderland", "a browser")
        assert isinstance(registered, RegisterResponse), registered
        logged_in = await second.login("wonderland", "a phone")
        assert isinstance(logged_in, LoginResponse), logged_in
        assert (logged_in.user_id, logged_in.device_id != registered.device_id) == (user_id, True)
        yield second
    finally:
        await first.close()
        await second.close()


@asynccontextmanager
async def syncing(client: AsyncClient) -> AsyncIterator[Listener]:
    """Let the client sync for ever, until the block ends."""
    listener = Listener(client)
    task = asyncio.create_task(client.sync_forever(timeout=30_000))
    try:
        await client.synced.wait()
        yield listener
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def share_a_room(alice: AsyncClient, bob: AsyncClient) -> str:
    """Let alice create a room and bob come in; return its ID."""
    room = await alice.room_create(name="Tea party")
    assert isinstance(room, RoomCreateResponse), room
    invited = await alice.room_invite(room.room_id, BOB)
    assert isinstance(invited, RoomInviteResponse), invited
    synced = await bob.sync()
    assert isinstance(synced, SyncResponse), synced
    assert list(synced.rooms.invite) == [room.room_id]
    assert isinstance(await bob.join(room.room_id), JoinResponse)
    return str(room.room_id)


async def test_two_people_and_a_room(server: ServerProcess) -> None:
    """Two nio clients in one room hear by their callbacks what the other one's presence is."""
    async with client(server, ALICE) as alice, client(server, BOB) as bob:
        room_id = await share_a_room(alice, bob)
        async with syncing(alice) as heard_by_alice, syncing(bob) as heard_by_bob:
            said = await bob.set_presence("unavailable", "Making tea")
            assert isinstance(said, PresenceSetResponse), said
            assert await heard_by_alice.presence(BOB, after=ONLINE) == ("unavailable", "Making tea")
            said = await alice.set_presence("online", "Hats off!")
            assert isinstance(said, PresenceSetResponse), said
            assert await heard_by_bob.presence(ALICE, after=ONLINE) == ("online", "Hats off!")
            content = {"msgtype": "m.text", "body": "More tea?"}
            sent = await alice.room_send(room_id, "m.room.message", content)
            assert isinstance(sent, RoomSendResponse), sent
            assert await heard_by_bob.text() == "More tea?"
        assert alice.rooms[room_id].users.keys() == {ALICE, BOB}
        assert alice.rooms[room_id].users[BOB].status_msg == "Making tea"


async def test_asking(server: ServerProcess) -> None:
    """A nio client may ask for the presence of who shares a room, and of nobody else."""
    async with client(server, ALICE) as alice, client(server, BOB) as bob:
        assert isinstance(await bob.set_presence("online", "Here"), PresenceSetResponse)
        refused = await alice.get_presence(BOB)
        assert isinstance(refused, PresenceGetError)
        assert refused.status_code == "M_FORBIDDEN"
        room_id = await share_a_room(alice, bob)
        seen = await alice.get_presence(BOB)
        assert isinstance(seen, PresenceGetResponse)
        assert (seen.presence, seen.status_msg, seen.currently_active) == ("online", "Here", True)
        assert isinstance(await bob.room_leave(room_id), RoomLeaveResponse)
        assert isinstance(await alice.get_presence(BOB), PresenceGetError)
