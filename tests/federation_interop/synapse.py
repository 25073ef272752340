"""A real Synapse: one process in an environment of its own, SQLite, and TLS on loopback."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from signedjson.key import generate_signing_key, write_signing_keys

from tests.federation_interop.certificates import Authority

__all__ = ["MODULES", "Ports", "Synapse"]

_PYTHON: Final = Path(__file__).parents[2] / ".venv-synapse" / "bin" / "python"

#: The folder of the modules that Synapse imports by the names of their files.
MODULES: Final = Path(__file__).parent / "modules"

#: How long the process may take to start or to end on a busy machine.
_PATIENCE_SECONDS: Final = 300

_NO_LIMIT: Final = {"per_second": 100_000, "burst_count": 100_000}
_NO_LIMITS: Final[Mapping[str, Any]] = {
    "rc_message": _NO_LIMIT,
    "rc_registration": _NO_LIMIT,
    "rc_login": {"address": _NO_LIMIT, "account": _NO_LIMIT, "failed_attempts": _NO_LIMIT},
    "rc_joins": {"local": _NO_LIMIT, "remote": _NO_LIMIT},
    "rc_joins_per_room": _NO_LIMIT,
    "rc_invites": {"per_room": _NO_LIMIT, "per_user": _NO_LIMIT, "per_issuer": _NO_LIMIT},
    "rc_room_creation": _NO_LIMIT,
    "rc_presence": {"per_user": _NO_LIMIT},
    "rc_federation": {"sleep_limit": 100_000, "reject_limit": 100_000, "concurrent": 100},
}

#: Makes Synapse try a server that is away again every second, for minutes.
_EAGER: Final = {
    "max_long_retries": 100,
    "max_short_retry_delay": "1s",
    "max_long_retry_delay": "1s",
    "destination_min_retry_interval": "1s",
    "destination_max_retry_interval": "1s",
}


@dataclass(frozen=True)
class Ports:
    """The ports of a Synapse: TLS for other servers, plain HTTP for clients."""

    federation: int
    client: int


class Synapse:
    """A homeserver process; its name is `localhost:<federation port>`, if it has no other."""

    def __init__(
        self, folder: Path, ports: Ports, authority: Authority, name: str | None = None
    ) -> None:
        """Put certificate, signing key and data below *folder*."""
        folder.mkdir(exist_ok=True)
        self.name = name or f"localhost:{ports.federation}"
        self.url = f"http://127.0.0.1:{ports.client}"
        #: The Unix socket at which it serves clients, too.
        self.socket = folder / "synapse.sock"
        self._folder = folder
        self._ports = ports
        self._log = folder / "synapse.log"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        certificate = authority.certificate(folder)
        self.signing_key = folder / "signing.key"
        with self.signing_key.open("w") as stream:
            write_signing_keys(stream, [generate_signing_key("synapse")])
        listener = {"type": "http", "bind_addresses": ["127.0.0.1"], "x_forwarded": True}
        all_resources = [{"names": ["client", "federation"]}]
        self._fixed = {
            "server_name": self.name,
            "listeners": [
                {**listener, "port": port, "tls": tls, "resources": [{"names": resources}]}
                for port, resources, tls in (
                    (ports.federation, ["federation"], True),
                    (ports.client, ["client", "federation"], False),
                )
            ]
            + [{"type": "http", "path": str(self.socket), "resources": all_resources}],
            "tls_certificate_path": str(certificate.chain),
            "tls_private_key_path": str(certificate.private_key),
            "signing_key_path": str(self.signing_key),
            "macaroon_secret_key": "for tests only",
            "form_secret": "for tests only, too",
        }
        self.configure({})

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(errors="replace")

    def user(self, name: str) -> str:
        """Return the ID of this server's user of that *name*."""
        return f"@{name}:{self.name}"

    def configure(self, shows: Mapping[str, Sequence[str]], **more: Any) -> None:
        """Write the configuration for the next start; *more* are options of homeserver.yaml."""
        module = {"module": "both_sides.BothSides", "config": {"shows": shows}}
        config = {**self._fixed, **_house(self._folder), "modules": [module], **more}
        # JSON is YAML too.
        (self._folder / "homeserver.yaml").write_text(json.dumps(config, indent=2))

    def start(self) -> None:
        """Start the server; return once it answers."""
        assert _PYTHON.exists(), "there is no Synapse here; `make test-interop` installs one"
        command = [str(_PYTHON), "-m", "synapse.app.homeserver", "-c", "homeserver.yaml"]
        # All servers are on loopback, so no proxy may be used.
        kept = {name: it for name, it in os.environ.items() if not name.lower().endswith("_proxy")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**kept, "PYTHONPATH": str(MODULES)},
                stdout=log,
                stderr=log,
            )
        for _ in range(_PATIENCE_SECONDS * 20):
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.05)
                raise AssertionError(f"Synapse has ended with code {code}\n{self.log}")
            if self._is_healthy():
                return
        raise AssertionError(f"Synapse does not answer\n{self.log}")

    def kill_if_running(self) -> None:
        """Kill the process if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_SECONDS)

    def _is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self._ports.client, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _house(folder: Path) -> dict[str, Any]:
    return {
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "presence": {"enabled": True},
        # Otherwise a client that asks twice in two minutes gets the same answer.
        "caches": {"sync_response_cache_duration": "0s"},
        # The other servers are on loopback, and the tests' own authority certifies them.
        "federation_verify_certificates": False,
        "ip_range_blacklist": [],
        "trusted_key_servers": [],
        "federation": _EAGER,
        "enable_registration": True,
        "enable_registration_without_verification": True,
        "bcrypt_rounds": 4,
        "enable_media_repo": False,
        "user_directory": {"enabled": False},
        "report_stats": False,
        **_NO_LIMITS,
    }
