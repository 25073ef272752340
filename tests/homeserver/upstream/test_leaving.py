"""Taking the server out again: clients go back to the homeserver's own tokens first."""

from pathlib import Path

from lamplighter.devtools.client import Client
from tests.homeserver.upstream.front import LOBBY, front

ALICE, BOB = "@alice:demo", "@bob:demo"


async def test_presence_switched_off(tmp_path: Path) -> None:
    """Everybody is offline, once, and each answer gives the client the homeserver's own token."""
    async with front(tmp_path) as door:
        for user_id in (ALICE, BOB):
            door.small.join(user_id, LOBBY)
        alice, bob = door.person("alice"), door.person("bob")
        await bob.sync()
        await bob.set_status("online", "brb")
        await alice.sync()
        assert alice.sees(BOB, "online")

        door.configure("presence: {enabled: false}")
        await door.server.restart(alice, bob)
        door.small.say(LOBBY, "hello")
        answer = await alice.sync()
        assert answer.joined[LOBBY]
        assert not alice.sees(BOB)
        assert answer.next_batch == "s3~2.3"
        answer = await alice.sync()
        assert (answer.presence, answer.next_batch) == ({}, "s3~2.3")

        direct = Client(door.past_the_front(), alice.user_id, alice.device_id, alice.access_token)
        direct.next_batch = alice.next_batch
        door.small.say(LOBBY, "back")
        assert (await direct.sync()).joined[LOBBY]
