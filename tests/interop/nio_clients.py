"""Clients at matrix-nio, a library that others wrote."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nio import (
    AsyncClient,
    JoinResponse,
    LoginResponse,
    PresenceEvent,
    RegisterResponse,
    RoomCreateResponse,
    RoomInviteResponse,
    RoomMessageText,
    SyncResponse,
)
from nio.rooms import MatrixRoom

__all__ = ["Listener", "Seen", "client", "share_a_room", "syncing"]

#: Presence and status.
Seen = tuple[str, str | None]


class Listener:
    """Collects what the callbacks of a client that syncs for ever get."""

    def __init__(self, client: AsyncClient) -> None:
        self._presence: asyncio.Queue[PresenceEvent] = asyncio.Queue()
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        client.add_presence_callback(self._presence_changed, PresenceEvent)
        client.add_event_callback(self._said, RoomMessageText)

    async def presence(self, user_id: str, after: Seen | None = None) -> Seen:
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
async def client(url: str, user_id: str) -> AsyncIterator[AsyncClient]:
    """Give a client of *user_id*, who is registered, and logged in anew."""
    first, second = AsyncClient(url, user_id), AsyncClient(url, user_id)
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
    invited = await alice.room_invite(room.room_id, bob.user_id)
    assert isinstance(invited, RoomInviteResponse), invited
    synced = await bob.sync()
    assert isinstance(synced, SyncResponse), synced
    assert list(synced.rooms.invite) == [room.room_id]
    assert isinstance(await bob.join(room.room_id), JoinResponse)
    return str(room.room_id)
