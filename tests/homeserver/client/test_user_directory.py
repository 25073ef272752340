"""POST /user_directory/search."""

from typing import Any

from tests.homeserver.world import Person, World, q


async def found(person: Person, term: str, **body: Any) -> list[str]:
    """Return whom a search finds."""
    answer = await person.post("/user_directory/search", {"search_term": term, **body})
    return [it["user_id"] for it in answer.json["results"]]


async def test_who_shares_a_room_is_found(alice: Person, bob: Person, world: World) -> None:
    """One finds those of one's rooms and of published rooms, and nobody else: not even by ID."""
    carol, dave = await world.person("carol"), await world.person("dave")
    together = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(together)}/join", {})
    await carol.room(visibility="public")
    await dave.room()
    assert await found(alice, ":demo") == ["@alice:demo", "@bob:demo", "@carol:demo"]
    assert await found(alice, "@dave:demo") == []
    await bob.post(f"/rooms/{q(together)}/leave", {})
    assert await found(alice, "bob") == []


async def test_an_invite_shows_nobody(alice: Person, bob: Person) -> None:
    """Being invited is not being in the room, for either of the two."""
    await alice.room(invite=["@bob:demo"])
    assert (await found(alice, "bob"), await found(bob, "alice")) == ([], [])


async def test_names_and_ids(alice: Person) -> None:
    """A term is a part of the ID or of the name, in capitals or not; it holds no wildcards."""
    await alice.room()
    await alice.put(f"/profile/{q('@alice:demo')}/displayname", {"displayname": "Queen of Émile"})
    answer = await alice.post("/user_directory/search", {"search_term": "QUEEN"})
    assert answer.json == {
        "results": [{"user_id": "@alice:demo", "display_name": "Queen of Émile"}],
        "limited": False,
    }
    assert [await found(alice, term) for term in ("ALICE", "Émile", "al%", "alic_")] == [
        ["@alice:demo"],
        ["@alice:demo"],
        [],
        [],
    ]


async def test_limit(alice: Person, bob: Person) -> None:
    """An answer names so many people, and says if there are more."""
    room = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(room)}/join", {})
    answer = await alice.post("/user_directory/search", {"search_term": "demo", "limit": 1})
    assert (answer.json["limited"], len(answer.json["results"])) == (True, 1)


async def test_deactivated_users_are_not_found(world: World, alice: Person, bob: Person) -> None:
    """Whoever is gone is not found."""
    room = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(room)}/join", {})
    await world.directory.deactivate(bob.user_id)
    assert await found(alice, "bob") == []


async def test_searches_are_limited(alice: Person) -> None:
    """A user searches 50 times at once, and then ten times a second."""
    statuses = [
        (await alice.post("/user_directory/search", {"search_term": "x"})).status for _ in range(51)
    ]
    assert statuses == [200] * 50 + [429]
