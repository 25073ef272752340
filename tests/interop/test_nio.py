"""matrix-nio, a client library that others wrote, drives the real server."""

from nio import (
    PresenceGetError,
    PresenceGetResponse,
    PresenceSetResponse,
    RoomLeaveResponse,
    RoomSendResponse,
)

from tests.interop.nio_clients import Seen, client, share_a_room, syncing
from tests.interop.processes import SERVER, ServerProcess

ONLINE: Seen = ("online", None)
ALICE, BOB = f"@alice:{SERVER}", f"@bob:{SERVER}"


async def test_two_people_and_a_room(server: ServerProcess) -> None:
    """Two nio clients in one room hear by their callbacks what the other one's presence is."""
    async with client(server.url, ALICE) as alice, client(server.url, BOB) as bob:
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
    async with client(server.url, ALICE) as alice, client(server.url, BOB) as bob:
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
