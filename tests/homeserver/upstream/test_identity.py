"""Who sends a request, as the homeserver is asked."""

import pytest

from tests.homeserver.upstream.front import Front

V3 = "/_matrix/client/v3"


SLIDING_SYNC = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
STATUS = f"{V3}/presence/@alice:demo/status"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"{V3}/sync"), ("GET", STATUS), ("PUT", STATUS)]
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
