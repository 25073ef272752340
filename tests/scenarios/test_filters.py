"""Filters, inline and uploaded, as far as they are about presence."""

import json

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer

ALICE, BOB, CHARLIE = "@alice:demo", "@bob:demo", "@charlie:demo"

#: A filter of presence, and whose presence it admits.
FILTERS = [
    ({}, {ALICE, BOB, CHARLIE}),
    ({"types": ["m.presence"]}, {ALICE, BOB, CHARLIE}),
    ({"types": ["m.*"]}, {ALICE, BOB, CHARLIE}),
    ({"types": ["m.room.message"]}, set()),
    ({"types": []}, set()),
    ({"not_types": ["m.presence"]}, set()),
    ({"not_types": ["m.pres*"], "types": ["m.presence"]}, set()),
    ({"senders": [BOB]}, {BOB}),
    ({"senders": []}, set()),
    ({"not_senders": [BOB]}, {ALICE, CHARLIE}),
    ({"senders": [BOB, CHARLIE], "not_senders": [BOB]}, {CHARLIE}),
    ({"limit": 0}, set()),
]


@pytest.mark.parametrize("way", ["inline", "uploaded"])
async def test_filter(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, way: str
) -> None:
    """Both kinds of filter honour types, not_types, senders, not_senders and limit."""
    await server.room(alice, bob, charlie)
    for wanted, admitted in FILTERS:
        chosen = json.dumps({"presence": wanted})
        if way == "uploaded":
            path = f"/user/{alice.user_id}/filter"
            chosen = (await alice.call("POST", path, {"presence": wanted}))["filter_id"]
        for client in (alice, bob, charlie):
            await client.set_status("online")
        assert set((await alice.first_sync(filter=chosen)).presence) == admitted, wanted
        for client in (alice, bob, charlie):
            await client.set_status("unavailable")
        assert set((await alice.sync(filter=chosen)).presence) == admitted, wanted


async def test_a_filter_of_somebody_else(alice: Client, bob: Client) -> None:
    """The ID of alice's filter is nothing to bob, while alice polls with it too,
    until bob has uploaded the same.
    """
    definition = {"presence": {"not_types": ["*"]}}
    path = "/user/{}/filter"
    uploaded = await alice.call("POST", path.format(alice.user_id), definition)
    query = {"filter": uploaded["filter_id"]}
    for _ in range(2):
        assert (await alice.request("GET", "/sync", query=query)).status == 200
        refused = await bob.request("GET", "/sync", query=query)
        assert (refused.status, refused.json) == (
            400,
            {"errcode": "M_INVALID_PARAM", "error": "filter: no filter has this ID"},
        )
    assert await bob.call("POST", path.format(bob.user_id), definition) == uploaded
    assert (await bob.request("GET", "/sync", query=query)).status == 200
