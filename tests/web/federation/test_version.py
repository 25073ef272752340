"""The version, and where federation is served."""

from typing import Final

from lamplighter import __version__
from lamplighter.ids import ServerName
from tests.web.federation.peer import Host, HostMaker, error_of

WELL_KNOWN: Final = "/.well-known/matrix/server"


async def test_version(host: Host) -> None:
    """Anybody gets the name and version of the program."""
    response = await host.send("GET", "/_matrix/federation/v1/version")
    assert (response.status, response.json) == (
        200,
        {"server": {"name": "Lamplighter", "version": __version__}},
    )


async def test_where_federation_is_served(host: Host, hosts: HostMaker) -> None:
    """Anybody gets the server name that the operator has configured, if there is one."""
    wanted = (404, "M_NOT_FOUND", "This server does not delegate")
    assert error_of(await host.send("GET", WELL_KNOWN)) == wanted
    host = hosts(well_known_server=ServerName("matrix.demo:443"))
    response = await host.send("GET", WELL_KNOWN)
    assert response.headers["content-type"] == "application/json"
    assert (response.status, response.json) == (200, {"m.server": "matrix.demo:443"})


async def test_other_endpoints(host: Host) -> None:
    """Other paths are M_UNRECOGNIZED, also those of the client API."""
    for path in (
        "/_matrix/federation/v1/event/$1",
        "/_matrix/federation/v1/send",
        "/_matrix/federation/v1/send/a/b",
        "/_matrix/federation/v2/version",
        "/_matrix/client/v3/sync",
        "/",
    ):
        wanted = (404, "M_UNRECOGNIZED", "Unrecognized request")
        assert error_of(await host.send("GET", path)) == wanted
