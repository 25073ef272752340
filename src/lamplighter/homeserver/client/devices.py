"""GET /devices, GET/PUT/DELETE /devices/{deviceId}, POST /delete_devices.

Implements <https://spec.matrix.org/latest/client-server-api/#device-management>.
"""

from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.client.interactive import AuthData, PasswordStage
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import DeviceId
from lamplighter.ports import DeviceRecord
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import display_name
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["MOST_AT_ONCE", "DeviceEndpoints"]

#: Devices that one request may delete; no user has as many.
MOST_AT_ONCE: Final = 1_000


class _Rename(msgspec.Struct):
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET


class _Delete(msgspec.Struct):
    auth: AuthData | None = None


class _DeleteMany(msgspec.Struct):
    devices: Annotated[list[DeviceId], msgspec.Meta(max_length=MOST_AT_ONCE)]
    auth: AuthData | None = None


class DeviceEndpoints:
    """The requester's devices."""

    def __init__(
        self, authenticator: Authenticator, accounts: SqlDirectory, password: PasswordStage
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._password = password

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/devices", self.list_all),
            ClientRoute("GET", "/devices/{device_id}", self.get),
            ClientRoute("PUT", "/devices/{device_id}", self.rename),
            ClientRoute("DELETE", "/devices/{device_id}", self.delete),
            ClientRoute("POST", "/delete_devices", self.delete_many),
        ]

    async def list_all(self, request: Request) -> Response:
        """Return all of them."""
        requester = await self._authenticator.requester(request)
        devices = await self._accounts.devices(requester.user_id)
        return json_response({"devices": [_content(device) for device in devices]})

    async def get(self, request: Request) -> Response:
        """Return one of them."""
        requester = await self._authenticator.requester(request)
        device = await self._accounts.device(requester.user_id, _device_id(request))
        return json_response(_content(device))

    async def rename(self, request: Request) -> Response:
        """Give one of them another name; an absent name leaves it as it is."""
        requester, body = await self._authenticator.requester_and_body(request, _Rename)
        device_id = _device_id(request)
        await self._accounts.device(requester.user_id, device_id)
        if not isinstance(body.display_name, msgspec.UnsetType):
            name = display_name("display_name", body.display_name)
            await self._accounts.rename_device(requester.user_id, device_id, name)
        return json_response({})

    async def delete(self, request: Request) -> Response:
        """Log one of them out, once the password was given."""
        requester, body = await self._authenticator.requester_and_optional_body(request, _Delete)
        await self._password.confirm(requester, body.auth, request)
        await self._accounts.delete_devices(requester.user_id, [_device_id(request)])
        return json_response({})

    async def delete_many(self, request: Request) -> Response:
        """Log several of them out, once the password was given."""
        requester, body = await self._authenticator.requester_and_body(request, _DeleteMany)
        await self._password.confirm(requester, body.auth, request)
        await self._accounts.delete_devices(requester.user_id, body.devices)
        return json_response({})


def _device_id(request: Request) -> DeviceId:
    return DeviceId(request.path_params["device_id"])


def _content(device: DeviceRecord) -> dict[str, Any]:
    fields = {
        "device_id": device.device_id,
        "display_name": device.display_name,
        "last_seen_ts": device.last_seen_ts,
    }
    return {name: value for name, value in fields.items() if value is not None}
