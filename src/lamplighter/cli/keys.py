"""`lamplighter keys`: shows and changes the keys with which the server signs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lamplighter.app.federation import signing_key_path
from lamplighter.clock import SystemClock
from lamplighter.config import load_config
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import key_id_of

__all__ = ["rotate", "show"]


def show(path: Path) -> Iterator[str]:
    """Return a line for each key of the server whose configuration is at *path*; make none.

    Raises `ConfigError` if there are no keys yet, or the files hold no keys.
    """
    return _lines(_load(path))


def rotate(path: Path) -> Iterator[str]:
    """Replace the signing key; return the lines of `show`.

    `serve` uses the new key from its next start. Raises `ConfigError` as `show` does, and if a file
    cannot be written.
    """
    if load_config(path).homeserver is not None:
        raise ConfigError(f"{path}: the key is the homeserver's; change it there")
    return _lines(_load(path).rotate(SystemClock().now()))


def _load(path: Path) -> SigningKeys:
    config = load_config(path)
    file = signing_key_path(config, config.data_dir)
    if config.homeserver is None and not file.exists():
        raise ConfigError(f"{file}: is not there; the first start with federation makes it")
    return SigningKeys.load(file, config.server_name)


def _lines(keys: SigningKeys) -> Iterator[str]:
    yield f"{keys.path}"
    for key in keys.current:
        yield f"{key_id_of(key)} signs"
    for old in keys.old:
        expired = datetime.fromtimestamp(old.expired_ts / 1000, UTC).isoformat(timespec="seconds")
        yield f"{old.key_id} expired at {expired}"
