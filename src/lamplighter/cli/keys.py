"""`lamplighter keys`: the keys with which this server signs, shown and changed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lamplighter.app.federation import signing_key_path
from lamplighter.clock import SystemClock
from lamplighter.config import load_config
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys, key_id_of

__all__ = ["rotate", "show"]


def show(path: Path) -> Iterator[str]:
    """Give a line for each key of the server whose configuration is at *path*; make none.

    Raises `ConfigError` where there are no keys yet, or files that are not keys.
    """
    return _lines(_load(path))


def rotate(path: Path) -> Iterator[str]:
    """Replace the signing key, and give the lines of `show`; `serve` takes it at its next start.

    Raises `ConfigError` as `show` does, and where a file cannot be written.
    """
    return _lines(_load(path).rotate(SystemClock().now()))


def _load(path: Path) -> SigningKeys:
    config = load_config(path)
    file = signing_key_path(config, config.data_dir)
    if not file.exists():
        raise ConfigError(f"{file}: is not there; the first start with federation makes it")
    return SigningKeys.load(file, config.server_name)


def _lines(keys: SigningKeys) -> Iterator[str]:
    yield f"{keys.path}"
    for key in keys.current:
        yield f"{key_id_of(key)} signs"
    for old in keys.old:
        expired = datetime.fromtimestamp(old.expired_ts / 1000, UTC).isoformat(timespec="seconds")
        yield f"{old.key_id} expired at {expired}"
