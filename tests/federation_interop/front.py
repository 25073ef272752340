"""A real Synapse, with presence off, behind a real Lamplighter."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from lamplighter.homeserver.upstream.registration import write_registration
from lamplighter.ids import ServerName
from tests.federation_interop.certificates import Authority
from tests.federation_interop.synapse import Synapse
from tests.interop.clients import Person, register
from tests.interop.processes import ServerProcess, reserved_port

__all__ = ["Front", "in_front_of", "people"]

_CONFIG: Final = "homeserver: {{url: '{url}', registration: {registration}}}\n"
_FEDERATED: Final = """
homeserver:
  url: '{url}'
  registration: {registration}
  signing_key: {signing_key}
federation:
  enabled: true
  extra_ca_files: [{authority}]
  allow_addresses: [127.0.0.0/8, "::1/128"]
{more}
"""


class Front:
    """Both processes."""

    def __init__(self, synapse: Synapse, lamplighter: ServerProcess, registration: Path) -> None:
        self.synapse = synapse
        self.lamplighter = lamplighter
        self.registration = registration

    def configure(self, **more: Any) -> None:
        """Write homeserver.yaml as the guide says."""
        self.synapse.configure(
            {},
            presence={"enabled": False},
            app_service_config_files=[str(self.registration)],
            user_directory={"enabled": True, "search_all_users": True},
            **more,
        )

    def add(self, more: str) -> None:
        """Put *more* into Lamplighter's configuration."""
        config = _CONFIG.format(url=self.synapse.url, registration=self.registration)
        self.lamplighter.configure(config + more, self.synapse.name)

    def use_socket(self) -> None:
        """Let Lamplighter reach the homeserver by its Unix socket."""
        config = _CONFIG.format(url=f"unix:{self.synapse.socket}", registration=self.registration)
        self.lamplighter.configure(config, self.synapse.name)

    def federate(self, authority: Authority, more: str = "") -> None:
        """Let Lamplighter exchange presence with other servers; *more* is more configuration."""
        config = _FEDERATED.format(
            url=self.synapse.url,
            registration=self.registration,
            signing_key=self.synapse.signing_key,
            authority=authority.file,
            more=more,
        )
        self.lamplighter.configure(config, self.synapse.name)

    def start(self) -> None:
        """Start the homeserver, and the server in front of it."""
        self.synapse.start()
        self.lamplighter.start()


@contextmanager
def in_front_of(synapse: Synapse, folder: Path) -> Iterator[Front]:
    """Give a Lamplighter in front of *synapse*; both are configured, and not started."""
    with reserved_port() as port:
        registration = folder / "registration.yaml"
        config = _CONFIG.format(url=synapse.url, registration=registration)
        lamplighter = ServerProcess(folder / "lamplighter", port, config, synapse.name)
        write_registration(registration, lamplighter.url, ServerName(synapse.name))
        front = Front(synapse, lamplighter, registration)
        front.configure()
        try:
            yield front
        finally:
            lamplighter.kill_if_running()


async def people(front: Front, http: aiohttp.ClientSession, *names: str) -> list[Person]:
    """Register people through the front, who share a room."""
    found = [await register(http, front.lamplighter.url, it) for it in names]
    room = await found[0].ask("POST", "/createRoom", {"preset": "public_chat"})
    for person in found[1:]:
        joined = await person.ask("POST", f"/join/{quote(room.json['room_id'], safe='')}", {})
        assert joined.status == 200
    return found
