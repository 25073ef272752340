"""What anybody may know of this server."""

from typing import Final

import pytest

from lamplighter import __version__
from lamplighter.devtools.clock import FakeClock
from lamplighter.federation.keys import SigningKeys
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName
from tests.web.federation.peer import Host, error_of

WELL_KNOWN: Final = "/.well-known/matrix/server"


async def test_version(host: Host) -> None:
    """Anybody is told what serves here."""
    response = await host.send("GET", "/_matrix/federation/v1/version")
    assert (response.status, response.json) == (
        200,
        {"server": {"name": "Lamplighter", "version": __version__}},
    )


async def test_where_federation_is_served(
    directory: SqlDirectory, clock: FakeClock, keys: SigningKeys
) -> None:
    """Where the operator has said so, anybody is told where federation is served."""
    host = Host(directory, clock, keys, well_known_server=ServerName("matrix.demo:443"))
    response = await host.send("GET", WELL_KNOWN)
    assert response.headers["content-type"] == "application/json"
    assert (response.status, response.json) == (200, {"m.server": "matrix.demo:443"})


async def test_no_delegation(host: Host) -> None:
    """Otherwise there is no such document."""
    wanted = (404, "M_NOT_FOUND", "This server does not delegate")
    assert error_of(await host.send("GET", WELL_KNOWN)) == wanted


@pytest.mark.parametrize(
    "path",
    [
        "/_matrix/federation/v1/event/$1",
        "/_matrix/federation/v1/send",
        "/_matrix/federation/v1/send/a/b",
        "/_matrix/federation/v2/version",
        "/_matrix/client/v3/sync",
        "/",
    ],
)
async def test_other_endpoints(host: Host, path: str) -> None:
    """What is not served is M_UNRECOGNIZED: the client API too has another door."""
    wanted = (404, "M_UNRECOGNIZED", "Unrecognized request")
    assert error_of(await host.send("GET", path)) == wanted
