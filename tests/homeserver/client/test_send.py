"""Messages, typing notices, receipts and read markers: what they do for presence and to whom."""

from typing import Any
from urllib.parse import quote

import pytest

from lamplighter.devtools.http import Response
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from tests.homeserver.world import V3, Person, World, q

ALICE = Requester(UserId("@alice:demo"), DeviceId("PHONE"))


async def test_sending_is_an_activity(world: World, alice: Person) -> None:
    """A message, and an encrypted one as well, is stored and counts as activity."""
    room = await alice.room()
    for event_type in ("m.room.message", "m.room.encrypted"):
        response = await alice.put(f"/rooms/{room}/send/{event_type}/{event_type}", {"a": 1})
        assert response.json["event_id"].startswith("$")
    assert world.acted == [ALICE, ALICE]


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


Act = tuple[str, str, dict[str, Any]]

#: `$event` stands for the ID of an event of the room.
ACTIVITIES: list[Act] = [
    ("PUT", "typing/@alice:demo", {"typing": True, "timeout": 30000}),
    ("POST", "receipt/m.read/$event", {}),
    ("POST", "receipt/m.read/$event", {"thread_id": "main"}),
    ("POST", "receipt/m.fully_read/$event", {}),
    ("POST", "read_markers", {"m.fully_read": "$event", "m.read": "$event"}),
]
NO_ACTIVITIES: list[Act] = [
    ("PUT", "typing/@alice:demo", {"typing": False}),
    ("POST", "receipt/m.read.private/$event", {"thread_id": "main"}),
    ("POST", "read_markers", {"m.fully_read": "$event", "m.read.private": "$event"}),
]


async def an_event(person: Person, room: str) -> str:
    """Say something; return the event's ID."""
    answer = await person.put(f"/rooms/{q(room)}/send/m.room.message/x", {"body": "x"})
    event_id: str = answer.json["event_id"]
    return event_id


async def do(person: Person, room: str, act: Act, event_id: str = "$event") -> Response:
    """Let *person* do something in *room*."""
    method, path, body = act
    path = f"{V3}/rooms/{q(room)}/{path.replace('$event', quote(event_id, safe=''))}"
    body = {name: event_id if value == "$event" else value for name, value in body.items()}
    return await person.client.request(method, path, token=person.token, json=body)


@pytest.mark.parametrize(
    ("act", "acted"),
    [
        *((act, [ALICE]) for act in ACTIVITIES),
        *((act, []) for act in (*NO_ACTIVITIES, ("POST", "read_markers", {}))),
    ],
)
async def test_activities(world: World, alice: Person, act: Act, acted: list[Requester]) -> None:
    """Each of them is answered with nothing, and the activities count as such of the device.

    A request with m.read.private is stored, and is no activity: presence would reveal the reading.
    Neither is one that says that its user has stopped typing, or one that says nothing.
    """
    room = await alice.room()
    event_id = await an_event(alice, room)
    world.acted.clear()
    response = await do(alice, room, act, event_id)
    assert (response.status, response.json, world.acted) == (200, {}, acted)


@pytest.mark.parametrize("act", [*ACTIVITIES, *NO_ACTIVITIES, ("PUT", "send/m.a/1", {})])
async def test_strangers_are_refused(world: World, alice: Person, bob: Person, act: Act) -> None:
    """A user who is not joined sends, types and reads nothing, and that is no activity."""
    room = await bob.room()
    event_id = await an_event(bob, room)
    world.acted.clear()
    response = await do(alice, room, act, event_id)
    assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")
    assert world.acted == []


@pytest.mark.parametrize(
    ("act", "errcode"),
    [
        (("PUT", "typing/@bob:demo", {"typing": True}), "M_FORBIDDEN"),
        (("PUT", "typing/bob", {"typing": True}), "M_INVALID_PARAM"),
        (("PUT", "typing/@alice:demo", {}), "M_MISSING_PARAM"),
        (("PUT", "typing/@alice:demo", {"typing": "yes"}), "M_BAD_JSON"),
        (("PUT", "typing/@alice:demo", {"typing": True, "timeout": -1}), "M_BAD_JSON"),
        (("POST", "receipt/m.unread/$event", {}), "M_INVALID_PARAM"),
        (("POST", "receipt/m.read/$event", {"thread_id": 1}), "M_BAD_JSON"),
        (("POST", "receipt/m.read/$event", {"thread_id": ""}), "M_INVALID_PARAM"),
        (("POST", "receipt/m.fully_read/$event", {"thread_id": "main"}), "M_INVALID_PARAM"),
        (("POST", "receipt/m.read/$event", {}), "M_NOT_FOUND"),
        (("POST", "receipt/m.fully_read/$event", {}), "M_NOT_FOUND"),
        (("POST", "read_markers", {"m.fully_read": 1}), "M_BAD_JSON"),
        (("POST", "read_markers", {"m.read": "$event"}), "M_NOT_FOUND"),
    ],
)
async def test_what_is_malformed_is_no_activity(
    world: World, alice: Person, act: Act, errcode: str
) -> None:
    """Another user's typing, unknown receipts and events, and wrong types are refused."""
    response = await do(alice, await alice.room(), act)
    assert (response.json["errcode"], world.acted) == (errcode, [])


async def test_a_receipt_needs_no_body(alice: Person) -> None:
    """Older clients send nothing with a receipt."""
    room = await alice.room()
    path = f"{V3}/rooms/{q(room)}/receipt/m.read/{q(await an_event(alice, room))}"
    response = await alice.client.request("POST", path, token=alice.token)
    assert (response.status, response.json) == (200, {})


async def test_the_fully_read_marker_is_account_data(alice: Person) -> None:
    """The fully-read marker of a user is account data, which only the user's devices get."""
    room = await alice.room()
    event_id = await an_event(alice, room)
    await do(alice, room, ("POST", "read_markers", {"m.fully_read": "$event"}), event_id)
    path = f"/user/@alice:demo/rooms/{q(room)}/account_data/m.fully_read"
    assert (await alice.get(path)).json == {"event_id": event_id}
