"""PUT /rooms/{roomId}/send/{eventType}/{txnId}."""

from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from tests.homeserver.world import Person, World, q

ALICE = Requester(UserId("@alice:demo"), DeviceId("PHONE"))


async def test_sending_is_an_activity(world: World, alice: Person) -> None:
    """A message, and an encrypted one as well, is stored and counts as activity."""
    room = await alice.room()
    for event_type in ("m.room.message", "m.room.encrypted"):
        response = await alice.put(f"/rooms/{room}/send/{event_type}/{event_type}", {"a": 1})
        assert response.json["event_id"].startswith("$")
    assert world.acted == [ALICE, ALICE]


async def test_a_transaction_sends_once(alice: Person) -> None:
    """The same transaction ID gives the same event, another one another."""
    room = await alice.room()
    path = f"/rooms/{q(room)}/send/m.room.message"
    first, again, other = [
        (await alice.put(f"{path}/{txn_id}", {"body": "x"})).json["event_id"]
        for txn_id in (q("a/b"), q("a/b"), "c")
    ]
    assert first == again
    assert first != other


async def test_who_is_refused_was_not_active(world: World, alice: Person, bob: Person) -> None:
    """A stranger sends nothing, and that is no activity."""
    room = await alice.room()
    response = await bob.put(f"/rooms/{room}/send/m.room.message/1", {})
    assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")
    assert world.acted == []


async def test_types_and_transactions_have_a_limit(alice: Person) -> None:
    """Event types and transaction IDs are at most 255 bytes long and hold no NUL."""
    path = f"/rooms/{await alice.room()}/send"
    long, nul = "x" * 256, "a%00b"
    errors = [
        (await alice.put(f"{path}/{event_type}/{txn_id}", {})).json["error"]
        for event_type, txn_id in ((long, "1"), ("m", long), (nul, "1"), ("m", nul))
    ]
    assert errors == [
        "eventType: longer than 255 bytes",
        "txnId: longer than 255 bytes",
        "eventType: must not contain a NUL",
        "txnId: must not contain a NUL",
    ]
