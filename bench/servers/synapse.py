"""Synapse: one process in an environment of its own, SQLite, no rate limits."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from signedjson.key import generate_signing_key, write_signing_keys

from bench.matrix import SERVER_NAME
from bench.party import MatrixWire
from bench.servers.matrix_config import modules_for, presence_for
from bench.servers.process import ROOT, Command
from bench.shapes import Shape

__all__ = ["Synapse"]

_PYTHON: Final = ROOT / ".venv-synapse" / "bin" / "python"

_NO_LIMIT: Final = {"per_second": 1_000_000, "burst_count": 1_000_000}
_NO_LIMITS: Final[Mapping[str, Any]] = {
    "rc_message": _NO_LIMIT,
    "rc_registration": _NO_LIMIT,
    "rc_login": {"address": _NO_LIMIT, "account": _NO_LIMIT, "failed_attempts": _NO_LIMIT},
    "rc_joins": {"local": _NO_LIMIT, "remote": _NO_LIMIT},
    "rc_joins_per_room": _NO_LIMIT,
    "rc_room_creation": _NO_LIMIT,
    "rc_presence": {"per_user": _NO_LIMIT},
}

#: As quiet as Lamplighter's log: a line for each request would cost Synapse dearly.
_LOG: Final = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
}


class Synapse:
    """The Synapse that `make bench` has installed from `requirements/synapse.txt`."""

    name = "synapse"
    wire = MatrixWire()
    addresses = 1

    def __init__(self, registration: Path | None = None) -> None:
        """With the *registration* of an application service, presence is off."""
        self._registration = registration

    def absent(self) -> str | None:
        return None if _PYTHON.exists() else "`make bench` installs it"

    def commands(self, folder: Path, port: int, shape: Shape) -> Sequence[Command]:
        key, log, file = (folder / name for name in ("signing.key", "log.yaml", "homeserver.yaml"))
        with key.open("w") as stream:
            write_signing_keys(stream, [generate_signing_key("bench")])
        log.write_text(json.dumps(_LOG))  # JSON is YAML too
        config = {
            **_homeserver(folder, port, shape),
            "signing_key_path": str(key),
            "log_config": str(log),
            "modules": modules_for(shape),
        }
        if self._registration is not None:
            config |= {
                "presence": {"enabled": False},
                "modules": [],
                "app_service_config_files": [str(self._registration)],
            }
        file.write_text(json.dumps(config))
        serve = (str(_PYTHON), "-m", "synapse.app.homeserver", "-c", str(file))
        return [Command(self.name, port, serve, {"PYTHONPATH": str(ROOT)})]


def _homeserver(folder: Path, port: int, shape: Shape) -> dict[str, Any]:
    return {
        "server_name": SERVER_NAME,
        "listeners": [
            {
                "type": "http",
                "bind_addresses": ["127.0.0.1"],
                "port": port,
                "x_forwarded": True,
                "resources": [{"names": ["client"]}],
            }
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "presence": presence_for(shape),
        # Synapse would repeat an old answer to a client that asks twice within two minutes.
        "caches": {"sync_response_cache_duration": "0s"},
        "macaroon_secret_key": "for the benchmark only",
        "form_secret": "for the benchmark only, too",
        "enable_registration": True,
        "enable_registration_without_verification": True,
        "bcrypt_rounds": 4,
        "enable_media_repo": False,
        "user_directory": {"enabled": False},
        "trusted_key_servers": [],
        "report_stats": False,
        **_NO_LIMITS,
    }
