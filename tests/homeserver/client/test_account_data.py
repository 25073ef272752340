"""Account data, global and of a room; and uploaded filters."""

import pytest

from tests.homeserver.world import Person

GLOBAL = "/user/@alice:demo/account_data"
ROOM = "/user/@alice:demo/rooms/!a:demo/account_data"


@pytest.mark.parametrize("path", [GLOBAL, ROOM])
async def test_data_comes_back_as_it_was(alice: Person, path: str) -> None:
    """A client gets back the newest data of each type."""
    await alice.put(f"{path}/org.example", {"old": True})
    assert (await alice.put(f"{path}/org.example", {"a": [None, 1.5]})).json == {}
    assert (await alice.get(f"{path}/org.example")).json == {"a": [None, 1.5]}


async def test_a_room_has_data_of_its_own(alice: Person) -> None:
    """Global data is not the room's, and the room's not global."""
    await alice.put(f"{GLOBAL}/global", {})
    await alice.put(f"{ROOM}/room", {})
    responses = [await alice.get(f"{ROOM}/global"), await alice.get(f"{GLOBAL}/room")]
    assert [(r.status, r.json["errcode"]) for r in responses] == [(404, "M_NOT_FOUND")] * 2


@pytest.mark.parametrize("path", [GLOBAL, ROOM])
async def test_data_is_ones_own(alice: Person, bob: Person, path: str) -> None:
    """Nobody reads or writes another user's data."""
    await alice.put(f"{path}/a", {})
    responses = [await bob.get(f"{path}/a"), await bob.put(f"{path}/a", {"b": 1})]
    assert [(r.status, r.json["errcode"]) for r in responses] == [(403, "M_FORBIDDEN")] * 2
    assert (await alice.get(f"{path}/a")).json == {}


@pytest.mark.parametrize(
    ("path", "body", "errcode"),
    [
        (f"{GLOBAL}/a", [], "M_BAD_JSON"),
        (f"{GLOBAL}/{'x' * 256}", {}, "M_TOO_LARGE"),
        ("/user/@alice:demo/rooms/kitchen/account_data/a", {}, "M_INVALID_PARAM"),
        ("/user/alice/account_data/a", {}, "M_INVALID_PARAM"),
        (f"{GLOBAL}/a", {"a": "x" * 80_000}, "M_TOO_LARGE"),
    ],
)
async def test_what_cannot_be_kept(alice: Person, path: str, body: object, errcode: str) -> None:
    """No object, an over-long type, a malformed ID, too much: each has its errcode."""
    assert (await alice.put(path, body)).json["errcode"] == errcode


PATH = "/user/@alice:demo/filter"


async def test_a_filter_comes_back_as_it_was(alice: Person) -> None:
    """An uploaded filter has an ID, and keeps the fields that are not known here."""
    definition = {"presence": {"types": ["m.*"]}, "org.example": [1]}
    filter_id = (await alice.post(PATH, definition)).json["filter_id"]
    assert not filter_id.startswith("{")
    assert (await alice.get(f"{PATH}/{filter_id}")).json == definition


@pytest.mark.parametrize(
    ("definition", "errcode", "error"),
    [
        ([], "M_BAD_JSON", "body: expected object, got array"),
        ({"room": []}, "M_BAD_JSON", "room: expected object, got array"),
        (
            {"presence": {"types": "m.presence"}},
            "M_BAD_JSON",
            "presence.types: expected array | null, got str",
        ),
        (
            {"room": {"not_rooms": ["kitchen"]}},
            "M_INVALID_PARAM",
            "room.not_rooms: 'kitchen' is not a room ID (!opaque:server.name)",
        ),
    ],
)
async def test_a_malformed_filter_names_the_field(
    alice: Person, definition: object, errcode: str, error: str
) -> None:
    """A filter that could not be applied is not taken."""
    response = await alice.post(PATH, definition)
    assert response.json == {"errcode": errcode, "error": error}


async def test_an_unknown_filter_is_not_found(alice: Person) -> None:
    """An ID that was never given out is M_NOT_FOUND."""
    response = await alice.get(f"{PATH}/none")
    assert (response.status, response.json["errcode"]) == (404, "M_NOT_FOUND")


async def test_filters_are_ones_own(alice: Person, bob: Person) -> None:
    """Nobody reads or writes another user's filters."""
    filter_id = (await alice.post(PATH, {})).json["filter_id"]
    responses = [await bob.post(PATH, {}), await bob.get(f"{PATH}/{filter_id}")]
    assert [(r.status, r.json["errcode"]) for r in responses] == [(403, "M_FORBIDDEN")] * 2
