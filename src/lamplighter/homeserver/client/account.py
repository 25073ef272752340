"""GET /account/whoami, POST /account/{deactivate,password}, GET /devices.

And GET/PUT/DELETE /devices/{deviceId}, POST /delete_devices.

Implements <https://spec.matrix.org/latest/client-server-api/#current-account-information>,
<https://spec.matrix.org/latest/client-server-api/#account-management> and
<https://spec.matrix.org/latest/client-server-api/#device-management>.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.client.interactive import AuthData, PasswordStage
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import MAX_PASSWORD
from lamplighter.ids import DeviceId
from lamplighter.ports import DeviceRecord
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import display_name, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["MOST_AT_ONCE", "AccountEndpoints"]

#: Devices that one request may delete; no user has as many.
MOST_AT_ONCE: Final = 1_000


class _Confirmed(msgspec.Struct):
    auth: AuthData | None = None


class _Deactivate(_Confirmed):
    id_server: str | None = None
    erase: bool = False


class _NewPassword(_Confirmed, kw_only=True):
    new_password: str
    logout_devices: bool = True


class _Rename(msgspec.Struct):
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET


class _DeleteMany(_Confirmed, kw_only=True):
    devices: Annotated[list[DeviceId], msgspec.Meta(max_length=MOST_AT_ONCE)]


@dataclass(frozen=True, slots=True)
class AccountEndpoints:
    """The requester's own account, and its devices."""

    authenticator: Authenticator
    directory: SqlDirectory
    password: PasswordStage

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/account/whoami", self.whoami),
            ClientRoute("POST", "/account/deactivate", self.deactivate),
            ClientRoute("POST", "/account/password", self.set_password),
            ClientRoute("GET", "/devices", self.devices),
            ClientRoute("GET", "/devices/{device_id}", self.device),
            ClientRoute("PUT", "/devices/{device_id}", self.rename),
            ClientRoute("DELETE", "/devices/{device_id}", self.delete),
            ClientRoute("POST", "/delete_devices", self.delete_many),
        ]

    async def whoami(self, request: Request) -> Response:
        """Return the user and the device of the token."""
        requester = await self.authenticator.requester(request)
        content = {"user_id": requester.user_id, "device_id": requester.device_id}
        return json_response({**content, "is_guest": False})

    async def deactivate(self, request: Request) -> Response:
        """Close the account, if the request has the password."""
        requester, body = await self.authenticator.requester_and_optional_body(request, _Deactivate)
        await self.password.confirm(requester, body.auth, request)
        await self.directory.deactivate(requester.user_id)
        return json_response({"id_server_unbind_result": "no-support"})

    async def set_password(self, request: Request) -> Response:
        """Replace the password, if the request has the old one, and log other devices out.

        Other devices stay logged in if `logout_devices` is false. This device stays in any case.
        """
        requester, body = await self.authenticator.requester_and_body(request, _NewPassword)
        password = text("new_password", body.new_password, MAX_PASSWORD)
        if not password:
            raise InvalidParam("new_password: must not be empty")
        await self.password.confirm(requester, body.auth, request)
        await self.directory.set_password(
            requester.user_id, password, log_out=body.logout_devices, but=requester.device_id
        )
        return json_response({})

    async def devices(self, request: Request) -> Response:
        """Return all devices."""
        requester = await self.authenticator.requester(request)
        devices = await self.directory.devices(requester.user_id)
        return json_response({"devices": [_content(device) for device in devices]})

    async def device(self, request: Request) -> Response:
        """Return one device."""
        requester = await self.authenticator.requester(request)
        device = await self.directory.device(requester.user_id, _device_id(request))
        return json_response(_content(device))

    async def rename(self, request: Request) -> Response:
        """Give a device another name; an absent name leaves it as it is."""
        requester, body = await self.authenticator.requester_and_body(request, _Rename)
        device_id = _device_id(request)
        await self.directory.device(requester.user_id, device_id)
        if not isinstance(body.display_name, msgspec.UnsetType):
            name = display_name("display_name", body.display_name)
            await self.directory.rename_device(requester.user_id, device_id, name)
        return json_response({})

    async def delete(self, request: Request) -> Response:
        """Log a device out, if the request has the password."""
        requester, body = await self.authenticator.requester_and_optional_body(request, _Confirmed)
        await self.password.confirm(requester, body.auth, request)
        await self.directory.delete_devices(requester.user_id, [_device_id(request)])
        return json_response({})

    async def delete_many(self, request: Request) -> Response:
        """Log several devices out, if the request has the password."""
        requester, body = await self.authenticator.requester_and_body(request, _DeleteMany)
        await self.password.confirm(requester, body.auth, request)
        await self.directory.delete_devices(requester.user_id, body.devices)
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
