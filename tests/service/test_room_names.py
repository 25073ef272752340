"""Names of rooms."""

from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.ids import RoomId
from lamplighter.service.room_names import RoomNames


def names_at(server: InMemoryServer) -> RoomNames:
    """Return what looks the rooms of *server* up."""
    return RoomNames(server.lamplighter.directory, server.clock)


async def test_names_and_aliases() -> None:
    """A room goes by its name, else by its alias, else by nothing, as one that is not there."""
    async with running_server() as server:
        alice = await server.register("alice")
        named = await alice.create_room(name="The hall", room_alias_name="hall")
        aliased = await alice.create_room(room_alias_name="attic")
        nameless = await alice.create_room(name="")
        rooms = [RoomId(it) for it in (named, aliased, nameless, "!gone:demo")]
        names = await names_at(server).of([*rooms, *rooms])
    assert names == dict(zip(rooms, ("The hall", "#attic:demo", None, None), strict=True))


async def test_names_that_are_no_text() -> None:
    """A name that is no text is no name."""
    async with running_server() as server:
        alice = await server.register("alice")
        content = {"type": "m.room.name", "state_key": "", "content": {"name": ["x"]}}
        room = RoomId(await alice.create_room(initial_state=[content]))
        assert await names_at(server).of([room]) == {room: None}


async def test_a_new_name_is_seen_in_half_a_minute() -> None:
    """A name is kept for half a minute, and then looked up anew."""
    async with running_server() as server:
        alice = await server.register("alice")
        room = RoomId(await alice.create_room(name="Before"))
        names = names_at(server)
        seen = [await names.of([room])]
        await alice.call("PUT", f"/rooms/{room}/state/m.room.name", {"name": "After"})
        for seconds in (29, 1):
            server.clock.advance(seconds=seconds)
            seen.append(await names.of([room]))
    assert [it[room] for it in seen] == ["Before", "Before", "After"]
