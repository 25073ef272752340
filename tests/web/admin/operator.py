"""The operator, who has the admin token."""

from collections.abc import Mapping
from typing import Any, Final

from lamplighter.devtools.http import HttpClient, PendingRequest, Response
from lamplighter.web.admin.auth import hash_of
from lamplighter.web.admin.operations import PREFIX

__all__ = ["ADMIN_CONFIG", "TOKEN", "Operator", "by_room", "events_in", "online"]

TOKEN: Final = "lamp_of-the-tests"
#: What opens the admin API to the token.
ADMIN_CONFIG: Final = f"admin: {{token_hash: {hash_of(TOKEN)}}}\n"


class Operator:
    """Asks the admin API; paths begin behind its prefix."""

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
        """Return the content of an answer, which is a good one."""
        response = await self.request("GET", path, query)
        assert response.status == 200, response
        return response.json

    async def post(self, path: str) -> Any:
        """Do something; return the content of the answer, which is a good one."""
        response = await self.request("POST", path)
        assert response.status == 200, response
        return response.json

    async def pages(self, path: str, **query: str) -> list[Any]:
        """Return the contents of all parts of a list."""
        found = [await self.get(path, **query)]
        while (start := found[-1]["next_batch"]) is not None:
            found.append(await self.get(path, **{**query, "from": start}))
        return found

    def stream(self) -> PendingRequest:
        """Begin to listen to events."""
        return self._http.begin("GET", f"{PREFIX}/events", token=self._token)


def online(now: int, status_msg: str | None = None) -> dict[str, Any]:
    """Return the presence of somebody who has said at the instant *now* that they are online."""
    return {
        "presence": "online",
        "status_msg": status_msg,
        "last_active_ts": now,
        "currently_active": True,
    }


def by_room(room_id: str, name: str) -> dict[str, Any]:
    """Return the reason that two people share this room."""
    room = {"room_id": room_id, "name": name}
    return {"kind": "shared_room", "text": f"shared room {name}", "room": room, "module": None}


def events_in(body: bytes) -> list[tuple[str, str]]:
    """Return name and data of each server-sent event in *body*."""
    lines = [block.split("\n") for block in body.decode().split("\n\n") if block]
    return [(name.removeprefix("event: "), data.removeprefix("data: ")) for name, data in lines]
