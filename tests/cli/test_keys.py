"""`lamplighter keys`."""

import asyncio
from pathlib import Path

import pytest

from lamplighter.app import Storage
from lamplighter.app.signing_keys import keep_own_keys, own_keys_made
from lamplighter.cli.keys import retire, rotate, show
from lamplighter.config import load_config
from lamplighter.database.migrate import migrate
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import key_id_of
from lamplighter.ids import ServerName


async def start(path: Path) -> SigningKeys:
    """Return the keys with which the server of a configuration starts."""
    config = load_config(path)
    database = Storage.of(config).database
    try:
        await migrate(database)
        keys = await own_keys_made(config, config.data_dir, database)
        await keep_own_keys(config, database, keys)
    finally:
        await database.close()
    assert keys is not None
    return keys


def test_keys(tmp_path: Path) -> None:
    """A rotated key is shown as expired, and a new one signs; without a file there is no key."""
    config = tmp_path / "lamplighter.yaml"
    config.write_text(f"server_name: demo\ndata_dir: {tmp_path}\n")
    with pytest.raises(ConfigError, match="is not there"):
        show(config)
    path = tmp_path / "signing.key"
    [key] = SigningKeys.load_or_create(path, ServerName("demo")).current
    assert list(show(config)) == [str(path), f"{key_id_of(key)} signs"]

    file, signs, expired = rotate(config)
    assert file == str(path)
    assert signs.endswith(" signs")
    assert not signs.startswith(key_id_of(key))
    assert expired.startswith(f"{key_id_of(key)} expired at 20")
    assert list(show(config)) == [file, signs, expired]


def test_a_key_that_is_lost(tmp_path: Path) -> None:
    """Where the key of a server that has been in use is gone, nothing makes another one but
    `retire`; that does nothing as long as no key is lost.
    """
    config = tmp_path / "lamplighter.yaml"
    config.write_text(f"server_name: demo\ndata_dir: {tmp_path}\nfederation: {{enabled: true}}\n")
    path = tmp_path / "signing.key"
    with pytest.raises(ConfigError, match="the first start with federation makes it"):
        retire(config)
    [key_id] = asyncio.run(start(config)).public
    with pytest.raises(ConfigError, match="no key is lost"):
        retire(config)
    path.unlink()
    for command in (show, rotate):
        with pytest.raises(ConfigError, match=f"is not there, and .* by {key_id} "):
            command(config)
    _, signs, expired = retire(config)
    assert expired.startswith(f"{key_id} expired at 20")
    assert f"{next(iter(asyncio.run(start(config)).public))} signs" == signs


def test_keys_of_a_homeserver(tmp_path: Path) -> None:
    """The key of the homeserver behind this server is shown, and never changed here."""
    config = tmp_path / "lamplighter.yaml"
    config.write_text("{server_name: demo, homeserver: {url: 'http://a:1', signing_key: its.key}}")
    with pytest.raises(ConfigError, match=r"its\.key: cannot be read"):
        show(config)
    path = tmp_path / "its.key"
    path.write_text(f"ed25519 a_1 {'A' * 43}\n")
    assert list(show(config)) == [str(path), "ed25519:a_1 signs"]
    for command in (rotate, retire):
        with pytest.raises(ConfigError, match="the key is the homeserver's"):
            command(config)
    assert [it.name for it in tmp_path.iterdir() if it != config] == ["its.key"]
