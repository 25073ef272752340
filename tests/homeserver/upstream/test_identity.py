"""Who sends a request, as the homeserver is asked."""

import pytest

from tests.homeserver.upstream.front import Front

V3 = "/_matrix/client/v3"


SLIDING_SYNC = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
STATUS = f"{V3}/presence/@alice:demo/status"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{V3}/sync"), ("GET", STATUS), ("PUT", STATUS), ("POST", f"{V3}/logout/all")],
)
async def test_where_a_client_comes_from(door: Front, method: str, path: str) -> None:
    """The homeserver, which notes the address and the program of a device, is told the client's."""
    alice = door.person("alice")
    headers = {"user-agent": "Element", "x-forwarded-for": "203.0.113.7", "x-a": "b"}
    headers["host"] = host = "lamp.test"
    await door.server.http.request(method, path, token=alice.access_token, headers=headers)
    [asked] = [it for it in door.small.asked if it.path == f"{V3}/account/whoami"]
    assert dict(asked.headers) == {
        "host": "127.0.0.1:8018",
        "user-agent": "Element",
        "x-forwarded-for": "203.0.113.7",  # from a proxy on this machine
        "x-forwarded-proto": "http",
        "x-forwarded-host": host,
        "authorization": f"Bearer {alice.access_token}",
    }


async def test_a_body_is_no_form(door: Front) -> None:
    """The homeserver is told that the body of a sliding sync is JSON, whatever the client says:
    Synapse takes access tokens out of forms, too.
    """
    alice = door.person("alice")
    await door.server.http.request(
        "POST",
        SLIDING_SYNC,
        token=alice.access_token,
        headers={"content-type": "application/x-www-form-urlencoded"},
        json={"conn_id": "&access_token=x&"},
    )
    [asked] = [it for it in door.small.asked if it.path == SLIDING_SYNC]
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize("is_guest", [True, False])
async def test_guests(door: Front, is_guest: bool) -> None:
    """A guest may neither read nor set presence status, and sees others and is seen by `/sync`."""
    if is_guest:
        door.small.guests.add("@alice:demo")
    alice, bob = door.person("alice"), door.person("bob")
    await bob.set_status("online", "brb")
    asked = [
        await alice.request("GET", f"/presence/{user_id}/status")
        for user_id in ("@bob:demo", "@alice:demo")
    ]
    body = {"presence": "unavailable"}
    asked.append(await door.server.http.request("PUT", STATUS, token=alice.access_token, json=body))
    refused = (403, "M_GUEST_ACCESS_FORBIDDEN")
    answers = [(it.status, it.json.get("errcode")) for it in asked]
    assert answers == [refused if is_guest else (200, None)] * 3
    await alice.sync()
    assert alice.reads("@bob:demo") == "brb"
    while (await bob.sync()).presence:
        pass
    assert bob.sees("@alice:demo")


@pytest.mark.parametrize("said", [None, "true", 1, [], {}])
async def test_a_homeserver_that_says_nothing_of_guests(door: Front, said: object) -> None:
    """Only the homeserver's word, that a user is a guest, makes one."""
    alice = door.person("alice")
    content = {"user_id": "@alice:demo", "device_id": "PHONE", "is_guest": said}
    door.small.instead[f"{V3}/account/whoami"] = (200, content)
    assert (await alice.request("GET", "/presence/@alice:demo/status")).status == 200
