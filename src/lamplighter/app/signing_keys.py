"""The keys with which this server signs: from its file, as its database knows them.

Other servers know a server by its keys. So a new key is made only where the database knows of none.
A file with other keys is right if the file of old keys beside it has those that the database knows:
`lamplighter keys rotate` and `keys retire` write them there. The keys of a homeserver behind this
server are its own: it publishes what is right.
"""

from collections.abc import Mapping
from pathlib import Path

from lamplighter.config import Config
from lamplighter.database.engine import Database
from lamplighter.database.identity import KnownKeys, begin_keys, keep_keys, known_keys
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys

__all__ = ["keep_own_keys", "own_keys", "own_keys_made", "signing_key_path"]


def signing_key_path(config: Config, data_dir: Path | None) -> Path:
    """Return where the signing key is; raise `ConfigError` if there is no place for one."""
    if config.homeserver is not None and config.homeserver.signing_key is not None:
        return config.homeserver.signing_key
    if config.federation.signing_key is not None:
        return config.federation.signing_key
    if data_dir is None:
        raise ConfigError("federation.signing_key: missing; a server in memory has no other place")
    return data_dir / "signing.key"


def own_keys(config: Config, data_dir: Path | None, known: KnownKeys) -> SigningKeys | None:
    """Return the keys in the file; None if there is none, and the server may make one.

    Raises `ConfigError` for a file of no use, and where it does not have what the database knows.
    """
    path = signing_key_path(config, data_dir)
    if config.homeserver is not None:
        return SigningKeys.load(path, config.server_name)
    if not path.exists():
        if known.is_in_use:
            raise _missing(path, known.public)
        return None
    keys = SigningKeys.load(path, config.server_name)
    if lost := keys.lacks(known.public):
        raise ConfigError(
            f"{path}: other servers know this server by {_shown(lost)}, which is not the key in"
            f" this file, {_shown(keys.public)}: copy the right file to here, with"
            f" {path.name}.old; or, to go on with this one, give the command"
            " `lamplighter keys retire`"
        )
    return keys


async def own_keys_made(
    config: Config, data_dir: Path | None, database: Database
) -> SigningKeys | None:
    """Return the keys of this server, made if it has never had any; None without federation.

    Raises `ConfigError` as `own_keys` does, and `StorageUnavailable`.
    """
    if not config.federation.enabled:
        return None
    async with database.read() as connection:
        known = await connection.run_sync(known_keys, config.server_name)
    keys = own_keys(config, data_dir, known)
    if keys is not None:
        return keys
    path = signing_key_path(config, data_dir)
    keys = SigningKeys.load_or_create(path, config.server_name)
    kept = await begin_keys(database, keys.public)
    if keys.lacks(kept):  # another node has made one at the same time
        path.unlink(missing_ok=True)
        raise _missing(path, kept)
    return keys


async def keep_own_keys(config: Config, database: Database, keys: SigningKeys | None) -> None:
    """Let the database know *keys*, with which this server runs; raise `StorageUnavailable`."""
    if keys is not None and config.homeserver is None:
        await keep_keys(database, keys.public)


def _missing(path: Path, known: Mapping[str, str]) -> ConfigError:
    by = _shown(known) if known else "the key that it had"
    return ConfigError(
        f"{path}: is not there, and other servers know this server by {by}: copy the file to here,"
        f" with {path.name}.old, from another node, from the data_dir of before or from a backup;"
        " or, if it is lost, make a new key by the command `lamplighter keys retire`"
    )


def _shown(public: Mapping[str, str]) -> str:
    return ", ".join(f"{key_id} {key}" for key_id, key in public.items())
