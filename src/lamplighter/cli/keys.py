"""`lamplighter keys`: shows and changes the keys with which the server signs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lamplighter.app.signing_keys import own_keys, signing_key_path
from lamplighter.cli.preflight import keys_in_database
from lamplighter.clock import SystemClock
from lamplighter.config import Config, load_config
from lamplighter.database.identity import KnownKeys
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import key_id_of

__all__ = ["retire", "rotate", "show"]


def show(path: Path) -> Iterator[str]:
    """Return a line for each key of the server whose configuration is at *path*; make none.

    Raises `ConfigError` if there are no keys yet, or the files hold no keys, or not those by which
    other servers know this server.
    """
    return _lines(_load(load_config(path)))


def rotate(path: Path) -> Iterator[str]:
    """Replace the signing key; return the lines of `show`.

    `serve` uses the new key from its next start. Raises `ConfigError` as `show` does, and if a file
    cannot be written.
    """
    return _lines(_load(_own(path)).rotate(SystemClock().now()))


def retire(path: Path) -> Iterator[str]:
    """Let the keys be old that the database knows and the file lacks; return the lines of `show`.

    The key in the file signs; a new one if there is no file. Raises `ConfigError` if no key is
    lost, and if a file cannot be written.
    """
    config = _own(path)
    known, file = keys_in_database(config), signing_key_path(config, config.data_dir)
    lost = known.public
    if file.exists():
        lost = SigningKeys.load(file, config.server_name).lacks(lost)
        if not lost:
            raise ConfigError(f"{file}: no key is lost; `lamplighter keys rotate` makes a new one")
    elif not known.is_in_use:
        raise ConfigError(_not_yet(file))
    now = SystemClock().now()
    return _lines(SigningKeys.retire(file, config.server_name, lost, now))


def _own(path: Path) -> Config:
    """Return the configuration of a server that has keys of its own."""
    config = load_config(path)
    if config.homeserver is not None:
        raise ConfigError(f"{path}: the key is the homeserver's; change it there")
    return config


def _load(config: Config) -> SigningKeys:
    known = KnownKeys() if config.homeserver is not None else keys_in_database(config)
    keys = own_keys(config, config.data_dir, known)
    if keys is None:
        raise ConfigError(_not_yet(signing_key_path(config, config.data_dir)))
    return keys


def _not_yet(file: Path) -> str:
    return f"{file}: is not there; the first start with federation makes it"


def _lines(keys: SigningKeys) -> Iterator[str]:
    yield f"{keys.path}"
    for key in keys.current:
        yield f"{key_id_of(key)} signs"
    for old in keys.old:
        expired = datetime.fromtimestamp(old.expired_ts / 1000, UTC).isoformat(timespec="seconds")
        yield f"{old.key_id} expired at {expired}"
