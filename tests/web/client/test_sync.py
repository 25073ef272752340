"""The query of `/sync`, and how it is answered."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.http import Response
from lamplighter.devtools.server import InMemoryServer
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.ids import UserId
from lamplighter.ports import Json, Requester
from lamplighter.web.client.sync import milliseconds_in
from lamplighter.web.fields import LARGEST


async def sync(client: Client, **query: str) -> Response:
    """Send a `/sync` with exactly this query."""
    return await client.request("GET", "/sync", query=query)


async def upload_filter(client: Client) -> str:
    """Upload a filter that leaves nothing out, and return its ID."""
    uploaded = await client.call("POST", f"/user/{client.user_id}/filter", {})
    return str(uploaded["filter_id"])


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"timeout": "-1"}, "timeout: '-1' is not a whole number"),
        ({"timeout": "1.5"}, "timeout: '1.5' is not a whole number"),
        ({"timeout": "soon"}, "timeout: 'soon' is not a whole number"),
        ({"timeout": "\u0663"}, "timeout: '\u0663' is not a whole number"),
        ({"full_state": "yes"}, "full_state: 'yes' is neither true nor false"),
        ({"full_state": "True"}, "full_state: 'True' is neither true nor false"),
        (
            {"set_presence": "away"},
            "set_presence: 'away' is none of offline, unavailable, online",
        ),
        (
            {"set_presence": "org.matrix.msc3026.busy"},
            "set_presence: 'org.matrix.msc3026.busy' is none of offline, unavailable, online",
        ),
        ({"filter": "17"}, "filter: no filter has this ID"),
        (
            {"filter": '{"presence": {"senders": ["bob"]}}'},
            "presence.senders: 'bob' is not a user ID (@localpart:server.name)",
        ),
    ],
)
async def test_wrong_values(
    server: InMemoryServer, dora: Client, query: dict[str, str], error: str
) -> None:
    """A parameter with a wrong value is M_INVALID_PARAM by its name, and touches no presence."""
    response = await sync(dora, **query)
    assert (response.status, response.json) == (
        400,
        {"errcode": "M_INVALID_PARAM", "error": error},
    )
    assert server.presence_of(dora).state == "offline"


@pytest.mark.parametrize("name", ["since", "timeout", "set_presence", "filter", "full_state"])
async def test_empty_values(dora: Client, name: str) -> None:
    """A parameter without a value is as good as absent; but `full_state` is true or false."""
    response = await sync(dora, **{name: ""})
    assert response.status == (400 if name == "full_state" else 200)


async def test_parameters_nobody_knows(dora: Client) -> None:
    """A parameter that the specification does not know is passed over."""
    assert (await sync(dora, use_state_after="true", x="\ud7ff")).status == 200


@pytest.mark.parametrize("config", ["presence: {busy: true}"])
async def test_busy(server: InMemoryServer, dora: Client) -> None:
    """Where busy is on, a poll may ask for it."""
    assert (await sync(dora, set_presence="org.matrix.msc3026.busy")).status == 200
    assert server.presence_of(dora).state == "org.matrix.msc3026.busy"


async def test_tokens_of_access(server: InMemoryServer, dora: Client) -> None:
    """The access token may stand in the header or in the query; without one, the answer is 401."""
    path = "/_matrix/client/v3/sync"
    http = server.http
    responses = [
        await http.request("GET", path, query={"access_token": dora.access_token}),
        await http.request("GET", path),
        await http.request("GET", path, token="wrong"),
    ]
    assert [(it.status, it.json.get("errcode")) for it in responses] == [
        (200, None),
        (401, "M_MISSING_TOKEN"),
        (401, "M_UNKNOWN_TOKEN"),
    ]


async def test_a_whole_answer(server: InMemoryServer, dora: Client) -> None:
    """An answer is one JSON object: the token, and what there is to say, no more."""
    first = await sync(dora, set_presence="offline")
    assert (first.headers["content-type"], first.headers["access-control-allow-origin"]) == (
        "application/json",
        "*",
    )
    token = first.json["next_batch"]
    assert {**first.json, "account_data": ...} == {
        "next_batch": token,
        "presence": {
            "events": [
                {"type": "m.presence", "sender": "@dora:demo", "content": {"presence": "offline"}}
            ]
        },
        "account_data": ...,
    }
    silent = await sync(dora, since=token, set_presence="offline")
    assert silent.json == {"next_batch": token}


async def test_rooms_and_account_data(dora: Client) -> None:
    """Rooms and account data stand in the answer as the directory gives them."""
    token = (await sync(dora)).json["next_batch"]
    room_id = await dora.create_room()
    await dora.call("PUT", f"/user/{dora.user_id}/account_data/com.example", {"a": "é"})
    answer: dict[str, Any] = (await sync(dora, since=token)).json
    assert answer.keys() == {"next_batch", "rooms", "account_data"}
    assert list(answer["rooms"]["join"]) == [room_id]
    assert answer["account_data"]["events"] == [{"type": "com.example", "content": {"a": "é"}}]


async def test_answers_are_counted(server: InMemoryServer, dora: Client) -> None:
    """Every answer counts, and no poll counts as waiting once it has one."""
    for _ in range(2):
        await dora.sync()
    exposition = server.lamplighter.metrics.exposition().decode()
    assert "lamplighter_syncs_total 2.0" in exposition
    assert "lamplighter_polls_in_flight 0.0" in exposition


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        (None, timedelta(0)),
        ("", timedelta(0)),
        ("0", timedelta(0)),
        ("0030", timedelta(milliseconds=30)),
        ("3600000", timedelta(hours=1)),
        ("9" * 5_000, timedelta(milliseconds=LARGEST)),
    ],
)
def test_durations(text: str | None, duration: timedelta) -> None:
    """A duration is a whole number of milliseconds; none is none, and an age is long enough."""
    assert milliseconds_in("timeout", text) == duration


async def test_a_device_that_logs_out_while_its_filter_is_read(
    server: InMemoryServer, dora: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No poll begins for a device that is gone before there is one: it is refused at once."""
    directory = server.lamplighter.directory
    filter_id = await upload_filter(dora)
    read = directory.filter

    async def slowly(user_id: UserId, filter_id: str) -> Json:
        definition = await read(user_id, filter_id)
        await directory.log_out(Requester(dora.user_id, dora.device_id))
        return definition

    monkeypatch.setattr(directory, "filter", slowly)
    response = await sync(dora, filter=filter_id, timeout="30000", set_presence="online")
    assert (response.status, response.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    assert server.presence_of(dora).state == "offline"


async def test_a_client_that_goes_while_its_filter_is_read(
    server: InMemoryServer, dora: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No poll begins for a client that is gone: its user does not come online by it."""
    directory = server.lamplighter.directory
    filter_id = await upload_filter(dora)
    read, is_reading, goes = directory.filter, asyncio.Event(), asyncio.Event()

    async def slowly(user_id: UserId, filter_id: str) -> Json:
        is_reading.set()
        await goes.wait()
        return await read(user_id, filter_id)

    monkeypatch.setattr(directory, "filter", slowly)
    poll = dora.begin_poll(filter=filter_id)
    await is_reading.wait()
    await poll.go_away()
    goes.set()
    await turns_until_idle()
    assert server.presence_of(dora).state == "offline"
