"""POST /user/{userId}/filter, GET /user/{userId}/filter/{filterId}."""

import pytest

from tests.homeserver.world import Person

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
