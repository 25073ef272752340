"""`/events` and `/initialSync`, which old clients and test suites still use."""

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


async def test_events_mark_online(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """`/events` marks its user online, and its end begins the grace."""
    response = await bob.request("GET", "/events", query={"timeout": "0"})
    assert response.status == 200
    assert server.presence_of(bob).state == "online"
    await server.advance(seconds=30)
    assert server.presence_of(bob).state == "offline"


async def test_initial_sync(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """`/initialSync` shows rooms and presence; who does not say otherwise is online."""
    await bob.set_status("unavailable")
    answer = await alice.call("GET", "/initialSync")
    contents = [it["content"] for it in answer["presence"]]
    assert sorted((it["user_id"], it["presence"]) for it in contents) == [
        (alice.user_id, "online"),
        (bob.user_id, "unavailable"),
    ]
    assert [it["room_id"] for it in answer["rooms"]] == [room]


async def test_room_initial_sync(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, room: str
) -> None:
    """`/rooms/{id}/initialSync` shows the presence of its members, and of nobody else."""
    await server.room(alice, charlie)
    await bob.set_status("unavailable")
    await charlie.set_status("unavailable")
    answer = await alice.call("GET", f"/rooms/{room}/initialSync")
    assert {it["content"]["user_id"] for it in answer["presence"]} == {alice.user_id, bob.user_id}


async def test_events_show_no_strangers(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """Neither of them shows a user who is not visible."""
    first = await alice.call("GET", "/initialSync")
    await bob.set_status("online")
    query = {"from": first["end"], "timeout": "0"}
    news = await alice.request("GET", "/events", query=query)
    again = await alice.call("GET", "/initialSync")
    senders = {it["sender"] for it in [*news.json["chunk"], *again["presence"]]}
    assert bob.user_id not in senders
