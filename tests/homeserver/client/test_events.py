"""The queries of the deprecated endpoints."""

from typing import Any

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


async def events(client: Client, **query: str) -> dict[str, Any]:
    """Ask for events; return the answer."""
    response = await client.request("GET", "/events", query=query)
    answer: dict[str, Any] = response.json
    return answer


async def test_a_wrong_timeout(dora: Client) -> None:
    """A timeout that is no number is refused by its name."""
    assert await events(dora, timeout="soon") == {
        "errcode": "M_INVALID_PARAM",
        "error": "timeout: 'soon' is not a whole number",
    }


async def test_no_from(server: InMemoryServer, dora: Client) -> None:
    """Without `from` the events are those from now on: the answer says from where."""
    room_id = await dora.create_room()
    await dora.send(room_id, "before")
    answer = await events(dora, timeout="0")
    assert answer == {"start": answer["start"], "end": answer["end"], "chunk": answer["chunk"]}
    assert {event["type"] for event in answer["chunk"]} <= {"m.presence"}


async def test_events_of_rooms(dora: Client) -> None:
    """An event of a room comes once, with the room's ID."""
    room_id = await dora.create_room()
    start = (await events(dora, timeout="0"))["end"]
    await dora.send(room_id, "hello")
    answer = await events(dora, timeout="0", **{"from": start})
    (message,) = answer["chunk"]
    assert {key: message[key] for key in ("type", "room_id", "sender", "content")} == {
        "type": "m.room.message",
        "room_id": room_id,
        "sender": dora.user_id,
        "content": {"msgtype": "m.text", "body": "hello"},
    }
    assert (answer["start"], answer["end"] != start) == (start, True)


async def test_presence_has_a_user_id(server: InMemoryServer, dora: Client) -> None:
    """The content of a presence event holds the user ID, beside the sender."""
    start = (await events(dora, timeout="0"))["end"]
    await dora.set_status("online", "brb")
    answer = await events(dora, timeout="0", **{"from": start})
    assert answer["chunk"] == [
        {
            "type": "m.presence",
            "sender": "@dora:demo",
            "content": {
                "user_id": "@dora:demo",
                "presence": "online",
                "currently_active": True,
                "last_active_ago": 0,
                "status_msg": "brb",
            },
        }
    ]


async def test_a_wait_that_is_not_said(server: InMemoryServer, dora: Client) -> None:
    """A request without a time-out waits thirty seconds."""
    start = (await events(dora, timeout="0"))["end"]
    query = {"from": start}
    exchange = server.http.begin(
        "GET", "/_matrix/client/v3/events", token=dora.access_token, query=query
    )
    await exchange.waiting()
    await server.advance(milliseconds=29_999)
    assert not exchange.answered
    await server.advance(milliseconds=1)
    assert (await exchange.response()).json["chunk"] == []


@pytest.mark.parametrize(
    ("limit", "messages"),
    [({"limit": "2"}, 2), ({}, 10), ({"limit": "002"}, 2)],
)
async def test_the_limit_of_an_initial_sync(
    dora: Client, limit: dict[str, str], messages: int
) -> None:
    """`limit` says how many events of each room come; without it, ten."""
    room_id = await dora.create_room()
    for number in range(12):
        await dora.send(room_id, f"message {number}")
    whole = await dora.request("GET", "/initialSync", query=limit)
    room = await dora.request("GET", f"/rooms/{room_id}/initialSync", query=limit)
    assert [len(it["messages"]["chunk"]) for it in (*whole.json["rooms"], room.json)] == [
        messages,
        messages,
    ]


async def test_initial_sync(server: InMemoryServer, dora: Client) -> None:
    """`initialSync` says everything, and its end is where `/events` goes on from."""
    answer = (await dora.request("GET", "/initialSync")).json
    assert answer.keys() == {"end", "rooms", "presence", "account_data", "receipts"}
    content = {"presence": "online", "currently_active": True, "last_active_ago": 0}
    assert answer["presence"] == [
        {
            "type": "m.presence",
            "sender": "@dora:demo",
            "content": {**content, "user_id": "@dora:demo"},
        }
    ]
    await dora.set_status("unavailable")
    later = await events(dora, timeout="0", **{"from": answer["end"]})
    assert [event["content"]["presence"] for event in later["chunk"]] == ["unavailable"]


async def test_initial_sync_of_a_room(server: InMemoryServer, dora: Client) -> None:
    """A room comes with the presence of all its members, the offline ones too, and of nobody else;
    a stranger gets nothing.
    """
    erik = await server.register("erik")
    fay = await server.register("fay")
    room_id = await server.room(dora, erik)
    await server.room(dora, fay)
    for client in (erik, fay):
        await client.set_status("online")
    gina = await server.register("gina")
    await gina.join(room_id)
    answer = (await dora.request("GET", f"/rooms/{room_id}/initialSync")).json
    shown = {event["sender"]: event["content"]["presence"] for event in answer["presence"]}
    assert shown == {dora.user_id: "offline", erik.user_id: "online", gina.user_id: "offline"}
    refused = await fay.request("GET", f"/rooms/{room_id}/initialSync")
    assert (refused.status, refused.json["errcode"]) == (403, "M_FORBIDDEN")
