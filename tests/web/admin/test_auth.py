"""Access to the admin API."""

import re

from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.web.admin.auth import hash_of, new_admin_token
from lamplighter.web.admin.operations import PREFIX
from tests.web.admin.operator import TOKEN, Operator


async def test_only_with_the_token(server: InMemoryServer) -> None:
    """Each operation refuses a request without the token.

    A token in the URL, another token, and an administrator's access token do not count.
    """
    login = await server.lamplighter.directory.register("root", None, is_admin=True)
    found = {}
    for route in server.lamplighter.admin.routes:
        if route.path.startswith(PREFIX):
            [method] = (route.methods or set()) - {"HEAD"}
            path = re.sub(r"\{\w+\}", "@root:demo", route.path.removeprefix(PREFIX))
            answers = [
                await Operator(server.http, token).request(method, path, query)
                for token, query in (
                    (None, None),
                    (None, {"access_token": TOKEN}),
                    (TOKEN + "x", None),
                    (login.access_token, None),
                )
            ]
            found[method, path] = [(it.status, it.json["errcode"]) for it in answers]
    refused = [(401, "M_MISSING_TOKEN")] * 2 + [(401, "M_UNKNOWN_TOKEN")] * 2
    assert ("GET", "/events") in found
    assert found == dict.fromkeys(found, refused)


async def test_without_a_token_in_the_configuration() -> None:
    """Without a configured token there is no admin API, and no dashboard."""
    async with running_server() as server:
        for path in (PREFIX + "/server", "/_lamplighter/"):
            response = await server.http.request("GET", path, token=TOKEN)
            assert (response.status, response.json["errcode"]) == (404, "M_UNRECOGNIZED")
        paths = {route.path for route in server.lamplighter.admin.routes}
    assert paths == {"/health", "/ready", "/metrics"}


def test_tokens() -> None:
    """A token is long and new each time, and its hash is something else."""
    one, other = new_admin_token(), new_admin_token()
    assert one != other
    assert len(one) > 40
    assert hash_of(one) == hash_of(one) != hash_of(other)
    assert len(hash_of(one)) == 64
