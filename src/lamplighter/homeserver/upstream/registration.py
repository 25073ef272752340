"""The registration of Lamplighter as an application service of the homeserver.

Implements <https://spec.matrix.org/latest/application-service-api/#registration>. The operator
writes it with a command, gives the homeserver a copy, and Lamplighter reads its tokens from it.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Final

import msgspec
import yaml

from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName

__all__ = [
    "SERVICE_ID",
    "_SERVICE_USER",
    "ServiceRegistration",
    "read_registration",
    "write_registration",
]

SERVICE_ID: Final = "lamplighter"
#: The localpart of the service's own user.
_SERVICE_USER: Final = "lamplighter"
_MOST_BYTES: Final = 64 * 1024


class ServiceRegistration(msgspec.Struct, frozen=True):
    """What Lamplighter reads of its registration."""

    id: str
    #: What Lamplighter shows the homeserver, and what the homeserver shows Lamplighter.
    as_token: str
    hs_token: str
    url: str | None = None
    sender_localpart: str = _SERVICE_USER

    def __repr__(self) -> str:
        return f"<the registration {self.id}>"  # the tokens are secrets


def read_registration(path: Path) -> ServiceRegistration:
    """Return the registration in a file; raise `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"homeserver.registration: {path} does not exist; `lamplighter homeserver registration`"
            " writes it"
        ) from None
    except OSError as error:
        raise ConfigError(f"homeserver.registration: {path}: {error.strerror}") from None
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError
        found = msgspec.convert(yaml.safe_load(content), ServiceRegistration)
        if not found.as_token or not found.hs_token or not found.as_token.isascii():
            raise ValueError
    except (yaml.YAMLError, msgspec.ValidationError, ValueError, RecursionError):
        raise ConfigError(f"homeserver.registration: {path} is no registration") from None
    return found


def write_registration(path: Path, url: str, server_name: ServerName) -> None:
    """Write a new registration, which only its owner may read; raise `ConfigError`.

    A file that exists is left as it is: the homeserver knows its tokens.
    """
    users = rf"^@.*:{re.escape(server_name)}$"
    content = {
        "id": SERVICE_ID,
        "url": url,
        "as_token": secrets.token_urlsafe(32),
        "hs_token": secrets.token_urlsafe(32),
        "sender_localpart": _SERVICE_USER,
        "rate_limited": False,
        "namespaces": {
            "users": [{"exclusive": False, "regex": users}],
            "aliases": [],
            "rooms": [],
        },
        "receive_ephemeral": False,
    }
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists, and the homeserver may know its tokens; remove it to begin anew"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(yaml.safe_dump(content, sort_keys=False))
