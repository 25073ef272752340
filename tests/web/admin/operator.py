"""The operator, who has the admin token."""

from collections.abc import Mapping
from typing import Any, Final

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient, PendingRequest, Response
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.admin.auth import AdminAuth, hash_of
from lamplighter.web.admin.endpoints import Family, admin_endpoints
from lamplighter.web.admin.operations import PREFIX
from lamplighter.web.application import Application
from tests.web.clients import client_of

__all__ = ["ADMIN_CONFIG", "TOKEN", "Operator", "by_room", "events_in", "online", "operator_of"]

TOKEN: Final = "lamp_of-the-tests"
#: The configuration of the admin API with this token.
ADMIN_CONFIG: Final = f"admin: {{token_hash: {hash_of(TOKEN)}}}\n"


class Operator:
    """Sends requests to the admin API; paths begin after its prefix."""

    def __init__(self, http: HttpClient, token: str | None = TOKEN) -> None:
        self._http = http
        self._token = token

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Response:
        """Send any request."""
        return await self._http.request(
            method, PREFIX + path, token=self._token, query=query, json=json
        )

    async def get(self, path: str, **query: str) -> Any:
        """Send a GET; return the content of its answer, which must be a 200."""
        response = await self.request("GET", path, query)
        assert response.status == 200, response
        return response.json

    async def post(self, path: str) -> Any:
        """Send a POST; return the content of its answer, which must be a 200."""
        response = await self.request("POST", path)
        assert response.status == 200, response
        return response.json

    async def pages(self, path: str, **query: str) -> list[Any]:
        """Return the contents of all pages of a list."""
        found = [await self.get(path, **query)]
        while (start := found[-1]["next_batch"]) is not None:
            found.append(await self.get(path, **{**query, "from": start}))
        return found

    def stream(self) -> PendingRequest:
        """Open the stream of events."""
        return self._http.begin("GET", f"{PREFIX}/events", token=self._token)


def operator_of(family: Family) -> Operator:
    """Return the operator of a server that has only one family of operations."""
    auth = AdminAuth(hash_of(TOKEN), AccessLog(FakeClock(), print, ClientAddress([])))
    return Operator(client_of(Application(admin_endpoints(auth, family))))


def online(now: int, status_msg: str | None = None) -> dict[str, Any]:
    """Return the presence of a user who has set online at *now*."""
    return {
        "presence": "online",
        "status_msg": status_msg,
        "last_active_ts": now,
        "currently_active": True,
    }


def by_room(room_id: str, name: str) -> dict[str, Any]:
    """Return the reason of a shared room."""
    room = {"room_id": room_id, "name": name}
    return {"kind": "shared_room", "text": f"shared room {name}", "room": room, "module": None}


def events_in(body: bytes) -> list[tuple[str, str]]:
    """Return name and data of each server-sent event in *body*."""
    lines = [block.split("\n") for block in body.decode().split("\n\n") if block]
    return [(name.removeprefix("event: "), data.removeprefix("data: ")) for name, data in lines]
