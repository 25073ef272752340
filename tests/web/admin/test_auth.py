"""Access to the admin API."""

import pytest

from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.web.admin.auth import hash_of, new_admin_token
from lamplighter.web.admin.operations import PREFIX
from tests.web.admin.operator import TOKEN, Operator

PATHS = [
    "/server",
    "/users",
    "/users/@a:demo",
    "/online",
    "/modules",
    "/destinations",
    "/explain",
    "/sees",
    "/seen_by",
    "/events",
    "/openapi.json",
]


@pytest.mark.parametrize("path", PATHS)
async def test_only_with_the_token(server: InMemoryServer, path: str) -> None:
    """Without the token, or with another token, each path is a 401 in Matrix' form."""
    missing = await Operator(server.http, None).request("GET", path)
    wrong = await Operator(server.http, TOKEN + "x").request("GET", path)
    assert (missing.status, missing.json["errcode"]) == (401, "M_MISSING_TOKEN")
    assert (wrong.status, wrong.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")


async def test_the_token_is_not_looked_for_in_the_query(server: InMemoryServer) -> None:
    """A token in the URL does not count."""
    response = await Operator(server.http, None).request("GET", "/server", {"access_token": TOKEN})
    assert (response.status, response.json["errcode"]) == (401, "M_MISSING_TOKEN")


async def test_a_users_token_does_not_count(server: InMemoryServer) -> None:
    """An access token does not open the admin API, even an administrator's."""
    login = await server.lamplighter.directory.register("root", None, is_admin=True)
    response = await Operator(server.http, login.access_token).request("GET", "/server")
    assert (response.status, response.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")


@pytest.mark.parametrize("path", [*(PREFIX + it for it in PATHS), "/_lamplighter/"])
async def test_without_a_token_in_the_configuration(path: str) -> None:
    """Without a configured token there is no admin API, and no dashboard."""
    async with running_server() as server:
        response = await server.http.request("GET", path, token=TOKEN)
    assert (response.status, response.json["errcode"]) == (404, "M_UNRECOGNIZED")


def test_tokens() -> None:
    """A token is long and new each time, and its hash is something else."""
    one, other = new_admin_token(), new_admin_token()
    assert one != other
    assert len(one) > 40
    assert hash_of(one) == hash_of(one) != hash_of(other)
    assert len(hash_of(one)) == 64
