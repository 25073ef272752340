"""Typing notifications, receipts and read markers."""

from typing import Any

import pytest

from lamplighter.devtools.http import Response
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from tests.web.world import V3, Person, World, q

ALICE = Requester(UserId("@alice:demo"), DeviceId("PHONE"))

ACTIVITIES: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", "typing/@alice:demo", {"typing": True, "timeout": 30000}),
    ("PUT", "typing/@alice:demo", {"typing": False}),
    ("POST", "receipt/m.read/$event", {}),
    ("POST", "receipt/m.read.private/$event", {"thread_id": "main"}),
    ("POST", "receipt/m.fully_read/$event", {}),
    ("POST", "read_markers", {"m.fully_read": "$event", "m.read": "$event"}),
]


async def do(person: Person, room: str, activity: tuple[str, str, dict[str, Any]]) -> Response:
    """Let *person* do something in *room*."""
    method, path, body = activity
    path = f"{V3}/rooms/{q(room)}/{path}"
    return await person.client.request(method, path, token=person.token, json=body)


@pytest.mark.parametrize("activity", ACTIVITIES)
async def test_who_types_or_reads_is_active(
    world: World, alice: Person, activity: tuple[str, str, dict[str, Any]]
) -> None:
    """Each of them is answered with nothing, and counts as an activity of the device."""
    response = await do(alice, await alice.room(), activity)
    assert (response.status, response.json, world.acted) == (200, {}, [ALICE])


@pytest.mark.parametrize("activity", ACTIVITIES)
async def test_strangers_are_refused(
    world: World, alice: Person, bob: Person, activity: tuple[str, str, dict[str, Any]]
) -> None:
    """Where one is not joined there is nothing to type or read, and no activity."""
    response = await do(alice, await bob.room(), activity)
    assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")
    assert world.acted == []


@pytest.mark.parametrize(
    ("activity", "errcode"),
    [
        (("PUT", "typing/@bob:demo", {"typing": True}), "M_FORBIDDEN"),
        (("PUT", "typing/bob", {"typing": True}), "M_INVALID_PARAM"),
        (("PUT", "typing/@alice:demo", {}), "M_MISSING_PARAM"),
        (("PUT", "typing/@alice:demo", {"typing": "yes"}), "M_BAD_JSON"),
        (("POST", "receipt/m.unread/$event", {}), "M_INVALID_PARAM"),
        (("POST", "receipt/m.read/$event", {"thread_id": 1}), "M_BAD_JSON"),
        (("POST", "read_markers", {"m.fully_read": 1}), "M_BAD_JSON"),
    ],
)
async def test_what_is_malformed_is_no_activity(
    world: World, alice: Person, activity: tuple[str, str, dict[str, Any]], errcode: str
) -> None:
    """Another user's typing, an unknown receipt and wrong types are refused."""
    response = await do(alice, await alice.room(), activity)
    assert (response.json["errcode"], world.acted) == (errcode, [])


async def test_a_receipt_needs_no_body(world: World, alice: Person) -> None:
    """Older clients send nothing with a receipt."""
    path = f"{V3}/rooms/{await alice.room()}/receipt/m.read/$event"
    response = await world.client.request("POST", path, token=alice.token)
    assert (response.status, response.json) == (200, {})
