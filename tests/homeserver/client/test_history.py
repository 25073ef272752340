"""GET /rooms/{roomId}/messages, /context/{eventId} and /event/{eventId}."""

from typing import Any

import pytest

from lamplighter.database.engine import Database
from lamplighter.delivery.tokens import Tokens
from lamplighter.devtools.http import Response
from lamplighter.ids import StreamEpoch, StreamPosition
from tests.database.bulk import repeat_last_event
from tests.homeserver.world import EPOCH, Person, World, q


async def say(person: Person, room: str, *bodies: str, event_type: str = "m.room.message") -> None:
    """Send messages, each with its body as the transaction ID."""
    for body in bodies:
        path = f"/rooms/{q(room)}/send/{event_type}/{q(body)}"
        assert (await person.put(path, {"msgtype": "m.text", "body": body})).status == 200


async def page(person: Person, room: str, **query: str) -> Response:
    """Ask for messages; `from_` stands for `from`."""
    asked = {name.rstrip("_"): value for name, value in query.items()}
    return await person.get(f"/rooms/{q(room)}/messages", asked)


def bodies(events: list[Any]) -> list[str]:
    """Return what was said in messages, and the types of other events."""
    return [event["content"].get("body", event["type"]) for event in events]


async def test_backwards_to_the_beginning(alice: Person) -> None:
    """Page after page leads from the newest event to the first, and then there is no `end`."""
    room = await alice.room()
    await say(alice, room, *"abcdefgh")
    first = (await page(alice, room, dir="b", limit="5")).json
    second = (await page(alice, room, dir="b", limit="5", from_=first["end"])).json
    third = (await page(alice, room, dir="b", limit="50", from_=second["end"])).json
    assert bodies(first["chunk"]) == list("hgfed")
    assert bodies(second["chunk"])[:3] == list("cba")
    assert bodies(third["chunk"])[-2:] == ["m.room.member", "m.room.create"]
    assert (second["start"], "end" in third) == (first["end"], False)


async def test_forwards_from_the_beginning(alice: Person) -> None:
    """Forwards a page begins after its token, and up to `to`."""
    room = await alice.room()
    await say(alice, room, *"abcd")
    start = (await page(alice, room, dir="b", limit="4")).json["end"]
    first = (await page(alice, room, dir="f", limit="2", from_=start)).json
    second = (await page(alice, room, dir="f", from_=first["end"])).json
    between = (await page(alice, room, dir="f", from_=start, to=first["end"])).json
    whole = (await page(alice, room, dir="f", limit="1")).json
    assert (bodies(first["chunk"]), bodies(second["chunk"])) == (["a", "b"], ["c", "d"])
    assert (bodies(between["chunk"]), "end" in between) == (["a", "b"], False)
    assert (bodies(whole["chunk"]), "end" in second) == (["m.room.create"], False)


async def test_an_event_as_the_specification_has_it(alice: Person, bob: Person) -> None:
    """An event has its room ID, and a transaction ID for the device that has sent it only."""
    room = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(room)}/join", {})
    await say(alice, room, "a")
    seen = [(await page(it, room, dir="b", limit="1")).json["chunk"][0] for it in (alice, bob)]
    assert seen[0].pop("unsigned") == {"age": 0, "transaction_id": "a"}
    assert seen[1].pop("unsigned") == {"age": 0}
    assert seen[0] == seen[1]
    assert {name: seen[0][name] for name in ("type", "sender", "room_id", "content")} == {
        "type": "m.room.message",
        "sender": "@alice:demo",
        "room_id": room,
        "content": {"msgtype": "m.text", "body": "a"},
    }


async def test_filters(alice: Person) -> None:
    """A filter chooses by type, sender and room, and by whether there is a URL."""
    room = await alice.room()
    await say(alice, room, "a", "b")
    await alice.put(f"/rooms/{q(room)}/send/m.room.message/pic", {"body": "c", "url": "mxc://a/b"})
    found = [
        bodies((await page(alice, room, dir="b", filter=text)).json["chunk"])
        for text in (
            '{"types": ["m.room.message"]}',
            '{"types": ["m.room.message"], "contains_url": true}',
            '{"types": ["m.room.message"], "contains_url": false}',
            '{"types": ["m.room.create"]}',
            '{"not_senders": ["@alice:demo"]}',
            '{"rooms": ["!another:demo"]}',
        )
    ]
    assert found == [["c", "b", "a"], ["c"], ["b", "a"], ["m.room.create"], [], []]


async def test_a_filter_looks_at_so_many_events_only(database: Database, alice: Person) -> None:
    """In a long room a page may find nothing, and says from where to go on."""
    room = await alice.room()
    await say(alice, room, "first")
    await say(alice, room, "second", event_type="m.other")
    await repeat_last_event(database, 1_998)
    await say(alice, room, "last", event_type="m.other")
    wanted = '{"types": ["m.room.message"]}'
    first = (await page(alice, room, dir="b", filter=wanted)).json
    second = (await page(alice, room, dir="b", filter=wanted, from_=first["end"])).json
    assert (first["chunk"], bodies(second["chunk"]), "end" in second) == ([], ["first"], False)


async def test_tokens_of_sync(alice: Person, world: World) -> None:
    """A since token of `/sync` is a place in the history as well; another server's is none."""
    room = await alice.room()
    await say(alice, room, "a")
    place = (await page(alice, room, dir="b", limit="1")).json["start"]
    await say(alice, room, "b")
    tokens = [
        Tokens(it).write(place, StreamPosition(1), StreamPosition(1))
        for it in (EPOCH, StreamEpoch("0badc0de"))
    ]
    ours, foreign = [await page(alice, room, dir="b", limit="1", from_=it) for it in tokens]
    assert bodies(ours.json["chunk"]) == ["a"]
    assert (foreign.status, foreign.json["errcode"]) == (400, "M_INVALID_PARAM")


@pytest.mark.parametrize(
    ("query", "errcode", "error"),
    [
        ({}, "M_MISSING_PARAM", "dir: missing"),
        ({"dir": "x"}, "M_INVALID_PARAM", "dir: must be b or f"),
        (
            {"dir": "b", "from": "x"},
            "M_INVALID_PARAM",
            "from: this server has not given out this token",
        ),
        (
            {"dir": "b", "to": "x"},
            "M_INVALID_PARAM",
            "to: this server has not given out this token",
        ),
        ({"dir": "b", "limit": "-1"}, "M_INVALID_PARAM", "limit: '-1' is not a whole number"),
        ({"dir": "b", "filter": "{"}, "M_NOT_JSON", "filter: not JSON"),
        (
            {"dir": "b", "filter": "[]"},
            "M_BAD_JSON",
            "filter: not an object, or nested too deeply",
        ),
        (
            {"dir": "b", "filter": '{"types": 1}'},
            "M_BAD_JSON",
            "room.timeline.types: expected array | null, got int",
        ),
    ],
)
async def test_malformed(alice: Person, query: dict[str, str], errcode: str, error: str) -> None:
    """The error for a malformed query names the parameter."""
    response = await alice.get(f"/rooms/{q(await alice.room())}/messages", query)
    assert (response.status, response.json["errcode"], response.json["error"]) == (
        400,
        errcode,
        error,
    )


async def test_who_may_read(alice: Person, bob: Person) -> None:
    """A stranger reads nothing, a former member what was said up to the end of their stay."""
    room = await alice.room(preset="public_chat")
    path = f"/rooms/{q(room)}"
    await say(alice, room, "before")
    strangers = [await page(bob, room, dir="b"), await bob.get(f"{path}/event/$x")]
    await bob.post(f"{path}/join", {})
    await say(alice, room, "while")
    await bob.post(f"{path}/leave", {})
    await say(alice, room, "after")
    events = (await page(alice, room, dir="b", limit="1")).json["chunk"]
    hidden = [await bob.get(f"{path}/{it}/{events[0]['event_id']}") for it in ("event", "context")]
    seen = bodies((await page(bob, room, dir="b", limit="4")).json["chunk"])
    assert seen == ["m.room.member", "while", "m.room.member", "before"]
    assert [response.status for response in (*strangers, *hidden)] == [403, 403, 404, 404]


async def test_one_event(alice: Person) -> None:
    """An event is found by its ID, in its own room only."""
    room, other = await alice.room(), await alice.room()
    await say(alice, room, "a")
    event = (await page(alice, room, dir="b", limit="1")).json["chunk"][0]
    path = f"event/{q(event['event_id'])}"
    found = await alice.get(f"/rooms/{q(room)}/{path}")
    elsewhere = await alice.get(f"/rooms/{q(other)}/{path}")
    assert (found.json, elsewhere.json["errcode"]) == (event, "M_NOT_FOUND")


async def test_context(alice: Person, bob: Person) -> None:
    """An event stands between its neighbours, with tokens for the pages beyond, and the state."""
    room = await alice.room(preset="public_chat", name="Tea")
    await bob.post(f"/rooms/{q(room)}/join", {})
    await say(alice, room, *"abcdefg")
    newest = (await page(alice, room, dir="b", limit="7")).json["chunk"]
    path = f"/rooms/{q(room)}/context/{q(newest[3]['event_id'])}"
    found = (await alice.get(path, {"limit": "5"})).json
    assert bodies([found["event"]]) == ["d"]
    assert (bodies(found["events_before"]), bodies(found["events_after"])) == (
        ["c", "b"],
        ["e", "f"],
    )
    before = await page(alice, room, dir="b", limit="1", from_=found["start"])
    after = await page(alice, room, dir="f", limit="1", from_=found["end"])
    assert (bodies(before.json["chunk"]), bodies(after.json["chunk"])) == (["a"], ["g"])
    members = [it["state_key"] for it in found["state"] if it["type"] == "m.room.member"]
    assert sorted(members) == ["@alice:demo", "@bob:demo"]
    lazily = (await alice.get(path, {"limit": "0", "filter": '{"lazy_load_members": true}'})).json
    members = [it["state_key"] for it in lazily["state"] if it["type"] == "m.room.member"]
    assert (lazily["events_before"], lazily["events_after"]) == ([], [])
    assert members == ["@alice:demo"]


async def test_names_beside_a_page(alice: Person, bob: Person) -> None:
    """A client that loads members lazily gets the memberships of the senders beside a page, as of
    its newest event; others, and a page without events, have none.
    """
    room = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(room)}/join", {})
    await say(alice, room, *"ab")
    lazily = '{"lazy_load_members": true}'
    found = (await page(alice, room, dir="b", limit="2", filter=lazily)).json
    assert bodies(found["chunk"]) == ["b", "a"]
    assert [(it["type"], it["state_key"]) for it in found["state"]] == [
        ("m.room.member", "@alice:demo")
    ]
    assert "state" not in (await page(alice, room, dir="b", limit="2")).json
    empty = await page(alice, room, dir="f", from_=found["start"], filter=lazily)
    assert (empty.json["chunk"], "state" in empty.json) == ([], False)
