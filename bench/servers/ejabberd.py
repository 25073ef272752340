"""ejabberd: XMPP, as the distribution packages it."""

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Final

from bench.matrix import SERVER_NAME
from bench.servers.process import Command
from bench.shapes import Shape
from bench.xmpp import XmppWire

__all__ = ["Ejabberd"]

#: The folder of ejabberd's Erlang applications on Debian and its derivatives.
_LIBRARIES: Final = tuple(Path("/usr/lib").glob("*/ejabberd-*"))

#: One scheduler for the one core, which does not spin while it waits: spinning counts as CPU time.
_MACHINE: Final = ("+K", "true", "+P", "250000", "+S", "1:1", "+sbwt", "none")


class Ejabberd:
    """One Erlang machine, plain text, rosters in Mnesia.

    The recipe does not use `ejabberdctl`: that would change to a user who may not write here, and
    leave a port mapper running.
    """

    name = "ejabberd"
    wire = XmppWire()
    addresses = 1

    def absent(self) -> str | None:
        found = which("erl") and _LIBRARIES
        return None if found else "`apt-get install ejabberd` installs it"

    def commands(self, folder: Path, port: int, _shape: Shape) -> Sequence[Command]:
        file = folder / "ejabberd.yml"
        file.write_text(json.dumps(_config(port)))  # JSON is YAML too
        mnesia = ("-mnesia", "dir", f'"{folder}/mnesia"')
        serve = ("erl", *_MACHINE, "-noinput", *mnesia, "-s", "ejabberd")
        environment = {
            "EJABBERD_CONFIG_PATH": str(file),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "ERL_LIBS": str(_LIBRARIES[0].parent),
            "HOME": str(folder),
        }
        return [Command(self.name, port, serve, environment)]


def _config(port: int) -> dict[str, object]:
    unlimited = {"shaper": "none", "max_stanza_size": 65536}
    listener = {"port": port, "ip": "127.0.0.1", "module": "ejabberd_c2s", **unlimited}
    return {
        "hosts": [SERVER_NAME],
        "loglevel": "warning",
        "auth_method": "internal",
        "auth_password_format": "plain",
        "registration_timeout": "infinity",
        "listen": [{**listener, "starttls": False}],
        "modules": {
            "mod_register": {"ip_access": "all", "access": "all"},
            "mod_roster": {},
        },
    }
