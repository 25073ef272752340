"""Prosody: XMPP, as the distribution packages it."""

from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Final

from bench.matrix import SERVER_NAME
from bench.servers.process import Command
from bench.shapes import Shape
from bench.xmpp import XmppWire

__all__ = ["Prosody"]

_CONFIG: Final = """\
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
run_as_root = true
modules_enabled = {{ "roster", "saslauth", "register" }}
modules_disabled = {{ "s2s", "tls" }}
authentication = "internal_plain"
allow_registration = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
log = {{ warn = "*console" }}
VirtualHost "{server_name}"
"""


class Prosody:
    """One process, plain text, rosters in files."""

    name = "prosody"
    wire = XmppWire()
    addresses = 1

    def absent(self) -> str | None:
        return None if which("prosody") else "`apt-get install prosody` installs it"

    def commands(self, folder: Path, port: int, _shape: Shape) -> Sequence[Command]:
        file = folder / "prosody.cfg.lua"
        file.write_text(_CONFIG.format(folder=folder, port=port, server_name=SERVER_NAME))
        return [Command(self.name, port, ("prosody", "-F", "--config", str(file)))]
