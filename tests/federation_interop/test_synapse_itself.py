"""Synapse and a bare peer: the tools of these tests, and the messages between servers."""

import re
from typing import Any

import aiohttp
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from unpaddedbase64 import decode_base64

from tests.federation_interop.peer import SERVER_KEYS, Answer, Peer, Transaction, presence_edu
from tests.federation_interop.people import log_in, news_of, without_age
from tests.federation_interop.synapse import Synapse
from tests.interop.clients import register


def told(transaction: Transaction) -> dict[str, Any]:
    """Return the only entry of the only presence EDU, without its age."""
    content = transaction.content
    [entry] = content["edus"][0]["content"]["push"]
    assert content == {
        "origin": content["origin"],
        "origin_server_ts": content["origin_server_ts"],
        "pdus": [],
        "edus": [{"edu_type": "m.presence", "content": {"push": [entry]}}],
    }
    return without_age(entry)


async def test_presence_within_synapse(synapse: Synapse, http: aiohttp.ClientSession) -> None:
    """The module runs in Synapse: alice sees bob, without a room, and nobody else."""
    synapse.configure({synapse.user("alice"): [synapse.user("bob")]})
    synapse.start()
    alice, bob, charlie = [
        await register(http, synapse.url, name) for name in ("alice", "bob", "charlie")
    ]
    await alice.sync()
    await charlie.put_status("online", "not for alice")
    await bob.put_status("online", "brb")

    assert await news_of(bob.user_id, alice) == {
        "presence": "online",
        "status_msg": "brb",
        "currently_active": True,
    }
    phone = await log_in(http, synapse.url, alice.user_id)
    events = (await phone.sync()).json["presence"]["events"]
    assert sorted(event["sender"] for event in events) == [alice.user_id, bob.user_id]


async def test_what_synapse_sends(
    synapse: Synapse, peer: Peer, http: aiohttp.ClientSession
) -> None:
    """A remote recipient makes Synapse send each state; only online has `currently_active`."""
    synapse.configure({peer.user("charlie"): [synapse.user("bob")]})
    synapse.start()
    bob = await register(http, synapse.url, "bob")
    await bob.put_status("online", "brb")
    online = await peer.transaction()
    await bob.put_status("unavailable", "away")
    unavailable = await peer.transaction()
    await bob.put_status("offline", "")
    offline = await peer.transaction()

    assert [told(it) for it in (online, unavailable, offline)] == [
        {
            "user_id": bob.user_id,
            "presence": "online",
            "status_msg": "brb",
            "currently_active": True,
        },
        {"user_id": bob.user_id, "presence": "unavailable", "status_msg": "away"},
        {"user_id": bob.user_id, "presence": "offline"},
    ]
    # It asks for nothing first: no keys, no well-known, no version.
    assert peer.requests == [f"PUT {it.path}" for it in (online, unavailable, offline)]


async def test_how_synapse_signs(synapse: Synapse, peer: Peer, http: aiohttp.ClientSession) -> None:
    """Synapse's header has four quoted parameters, and a signature by its published key."""
    synapse.configure({peer.user("charlie"): [synapse.user("bob")]})
    synapse.start()
    bob = await register(http, synapse.url, "bob")
    await bob.put_status("online", "brb")
    transaction = await peer.transaction()
    keys = (await peer.get(synapse.name, SERVER_KEYS)).json

    scheme, _, parameters = transaction.authorization.partition(" ")
    header = dict(re.findall(r'(\w+)="([^"]*)"', parameters))
    signature = header.pop("sig")
    assert (scheme, header) == (
        "X-Matrix",
        {"origin": synapse.name, "key": "ed25519:synapse", "destination": peer.name},
    )
    request = {
        "method": "PUT",
        "uri": transaction.path,
        "origin": synapse.name,
        "destination": peer.name,
        "content": transaction.content,
        "signatures": {synapse.name: {"ed25519:synapse": signature}},
    }
    key = decode_base64(keys["verify_keys"]["ed25519:synapse"]["key"])
    verify_signed_json(request, synapse.name, decode_verify_key_bytes("ed25519:synapse", key))


async def test_what_synapse_receives(
    synapse: Synapse, peer: Peer, http: aiohttp.ClientSession
) -> None:
    """Synapse shows a remote user whom the module names, and asks the origin for keys once."""
    synapse.configure({synapse.user("alice"): [peer.user("charlie")]})
    synapse.start()
    alice = await register(http, synapse.url, "alice")
    await alice.sync()
    charlie = peer.user("charlie")
    online = presence_edu(
        charlie, "online", status_msg="hello", last_active_ago=1000, currently_active=True
    )
    away = presence_edu(charlie, "unavailable", last_active_ago=2000)

    assert await peer.send(synapse.name, "1", online) == Answer(200, {"pdus": {}})
    assert await news_of(charlie, alice) == {
        "presence": "online",
        "status_msg": "hello",
        "currently_active": True,
    }
    assert await peer.send(synapse.name, "2", away) == Answer(200, {"pdus": {}})
    assert await news_of(charlie, alice) == {"presence": "unavailable"}
    assert peer.requests == [f"GET {SERVER_KEYS}"]


async def test_synapse_speaks_to_a_peer_that_was_away(
    synapse: Synapse, peer: Peer, http: aiohttp.ClientSession
) -> None:
    """Synapse repeats a failed transaction, then sends the newest state and none between."""
    synapse.configure({peer.user("charlie"): [synapse.user("bob")]})
    synapse.start()
    bob = await register(http, synapse.url, "bob")
    await peer.leave()
    await bob.put_status("online", "one")
    while "Connection refused" not in synapse.log:
        await bob.status()
    await bob.put_status("online", "two")
    await bob.put_status("online", "three")
    await peer.listen()

    messages = [told(await peer.transaction())["status_msg"] for _ in range(2)]
    assert messages == ["one", "three"]
