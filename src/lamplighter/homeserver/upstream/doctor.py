"""Looks whether the homeserver behind this server is set up as it has to be.

Each question is asked of the homeserver itself, with the token of the application service. An
answer that is not as it should be comes with what the operator has to change.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import msgspec

from lamplighter.errors import HomeserverTooSlow, HomeserverUnreachable
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import key_id_of
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import UpstreamAnswer
from lamplighter.homeserver.upstream.registration import SERVICE_ID, ServiceRegistration
from lamplighter.ids import ServerName

__all__ = ["Diagnosis", "Doctor", "examine"]

_CLIENT: Final = "/_matrix/client/v3"
_TIME_LIMIT: Final = timedelta(seconds=20)
#: A user whom no homeserver has: the name is too odd.
_NOBODY: Final = "lamplighter-asks-for-nobody"
#: An address that nobody has (RFC 5737).
_NOT_OURS: Final = "192.0.2.71"


class Diagnosis(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    is_good: bool
    what: str
    #: What to change; "" if nothing.
    advice: str = ""


async def examine(
    client: UpstreamClient,
    registration: ServiceRegistration,
    server_name: ServerName,
    url: str,
    keys: SigningKeys | None = None,
) -> AsyncIterator[Diagnosis]:
    """Yield what is found, one after the other; stop where the rest cannot be asked.

    *url* is where the homeserver is, for people. *keys* sign what is sent to other servers; None is
    no federation.
    """
    doctor = Doctor(client, registration, server_name)
    found = await doctor.answers(url)
    yield found
    if not found.is_good:
        return
    found = await doctor.knows_us()
    yield found
    if found.is_good:
        yield await doctor.presence_is_off()
        yield await doctor.reaches_us()
        yield await doctor.sees_addresses()
    if keys is not None:
        yield await doctor.publishes_key(keys)


class Doctor:
    """Asks one question after the other."""

    def __init__(
        self, client: UpstreamClient, registration: ServiceRegistration, server_name: ServerName
    ) -> None:
        self._client = client
        self._registration = registration
        self._server_name = server_name

    async def answers(self, url: str) -> Diagnosis:
        """Look whether there is a homeserver."""
        try:
            answer = await self._ask("GET", "/_matrix/client/versions", token=None)
        except (HomeserverUnreachable, HomeserverTooSlow) as error:
            advice = "Start the homeserver, or set homeserver.url to where it listens."
            return Diagnosis(False, f"{url} does not answer: {error}", advice)
        if answer.status != 200 or "versions" not in _content(answer):
            what = f"what answers at {url} is no homeserver (status {answer.status})"
            return Diagnosis(False, what, "Set homeserver.url to where the homeserver listens.")
        return Diagnosis(True, f"the homeserver answers at {url}")

    async def knows_us(self) -> Diagnosis:
        """Look whether the registration is there, and is the same."""
        answer = await self._ask("GET", f"{_CLIENT}/account/whoami")
        if answer.status != 200:
            return Diagnosis(
                False,
                f"the homeserver does not know the registration {self._registration.id}",
                "Add the file to app_service_config_files of the homeserver, and restart it.",
            )
        user_id = str(_content(answer).get("user_id", ""))
        if not user_id.endswith(f":{self._server_name}"):
            return Diagnosis(
                False,
                f"the homeserver's users end in :{user_id.partition(':')[2]}",
                "Set server_name to what the homeserver has.",
            )
        return Diagnosis(True, f"the homeserver knows the registration {self._registration.id}")

    async def presence_is_off(self) -> Diagnosis:
        """Look whether the homeserver has presence itself: it would cost what it cost before."""
        nobody = quote(f"@{_NOBODY}:{self._server_name}", safe="")
        answer = await self._ask("GET", f"{_CLIENT}/presence/{nobody}/status")
        if answer.status == 200:
            return Diagnosis(True, "presence is off at the homeserver")
        return Diagnosis(
            False,
            "presence is still on at the homeserver",
            "Set `presence: {enabled: false}` in homeserver.yaml, and restart the homeserver.",
        )

    async def reaches_us(self) -> Diagnosis:
        """Look whether the homeserver reaches our listener."""
        path = f"/_matrix/client/v1/appservice/{quote(SERVICE_ID, safe='')}/ping"
        answer = await self._ask("POST", path, {})
        if answer.status == 200:
            return Diagnosis(True, "the homeserver reaches this server")
        said = _content(answer)
        if answer.status == 404:  # it has no such endpoint
            what = "whether the homeserver reaches this server could not be found out"
            return Diagnosis(True, f"{what} (status 404)")
        if said.get("status") == 403:  # what this server has answered
            return Diagnosis(
                False,
                "the homeserver has another hs_token than the registration here",
                "Give the homeserver the file of homeserver.registration, and restart it.",
            )
        return Diagnosis(
            False,
            f"the homeserver does not reach {self._registration.url}: "
            f"{said.get('errcode', answer.status)} {said.get('error', '')}".rstrip(),
            "Start `lamplighter serve`, and see that `url` in the registration leads to it.",
        )

    async def sees_addresses(self) -> Diagnosis:
        """Look whether the homeserver believes X-Forwarded-For: a log-in shows it."""
        user, kind = self._registration.sender_localpart, "m.login.application_service"
        # The service's own user has an account only once somebody has registered it. Synapse fails
        # if it sees no address, as at a Unix socket.
        account = {"type": kind, "username": user, "inhibit_login": True}
        await self._ask("POST", f"{_CLIENT}/register", account, address=_NOT_OURS)
        login = {
            "type": kind,
            "identifier": {"type": "m.id.user", "user": user},
            "device_id": "LAMPLIGHTER_CHECK",
        }
        answer = await self._ask("POST", f"{_CLIENT}/login", login, address=_NOT_OURS)
        token = _content(answer).get("access_token")
        if answer.status != 200 or not isinstance(token, str):
            what = "whether the homeserver sees clients' addresses could not be found out"
            return Diagnosis(True, f"{what} (status {answer.status})")
        # The answer tells of requests before it.
        await self._ask("GET", f"{_CLIENT}/devices", token=token, address=_NOT_OURS)
        devices = await self._ask("GET", f"{_CLIENT}/devices", token=token, address=_NOT_OURS)
        await self._ask("POST", f"{_CLIENT}/logout", {}, token=token)
        seen = {it.get("last_seen_ip") for it in _content(devices).get("devices", [])}
        if _NOT_OURS in seen:
            return Diagnosis(True, "the homeserver sees clients' addresses")
        return Diagnosis(
            False,
            "the homeserver takes all clients for one: it does not read X-Forwarded-For",
            "Set `x_forwarded: true` at the homeserver's listener.",
        )

    async def publishes_key(self, keys: SigningKeys) -> Diagnosis:
        """Look whether other servers will find the key with which this server signs."""
        answer = await self._ask("GET", "/_matrix/key/v2/server", token=None)
        found = _content(answer).get("verify_keys")
        if answer.status != 200 or not isinstance(found, dict):
            return Diagnosis(
                False,
                f"the homeserver does not publish keys at this address (status {answer.status})",
                "Add `federation` to the resources of the homeserver's listener.",
            )
        key_id = key_id_of(keys.signing)
        if found.get(key_id) == {"key": keys.public[key_id]}:
            return Diagnosis(True, f"the homeserver publishes the signing key {key_id}")
        return Diagnosis(
            False,
            f"the homeserver does not publish the key {key_id} of {keys.path}",
            "Set homeserver.signing_key to the file of signing_key_path in homeserver.yaml.",
        )

    async def _ask(
        self,
        method: str,
        path: str,
        content: Any = None,
        *,
        token: str | None = "",
        address: str | None = None,
    ) -> UpstreamAnswer:
        """Ask with *token*: that of the registration if it is empty, none if it is None."""
        headers = [(b"accept-encoding", b"identity"), (b"x-forwarded-proto", b"https")]
        if token is not None:
            bearer = token or self._registration.as_token
            headers.append((b"authorization", b"Bearer " + bearer.encode()))
        if address is not None:
            headers.append((b"x-forwarded-for", address.encode()))
        body = b"" if content is None else msgspec.json.encode(content)
        return await self._client.fetch(
            method, path.encode(), headers, body, time_limit=_TIME_LIMIT
        )


def _content(answer: UpstreamAnswer) -> dict[str, Any]:
    """Return the JSON object of an answer; an empty one if there is none."""
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
