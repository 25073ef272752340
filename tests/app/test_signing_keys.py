"""The keys with which a server signs: its file, and what its database knows."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from lamplighter.app.signing_keys import keep_own_keys, own_keys_made
from lamplighter.clock import Timestamp
from lamplighter.config import Config, parse_config_text
from lamplighter.database.engine import Database
from lamplighter.database.identity import KnownKeys, known_keys
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.ids import ServerName

NAME: Final = ServerName("demo")
TEXT: Final = "server_name: demo\nfederation: {enabled: true}\n"
BEHIND: Final = "{url: 'http://127.0.0.1:1', signing_key: its.key}"


def config(folder: Path, text: str = TEXT) -> Config:
    """Return a configuration in *folder*."""
    return parse_config_text(text, folder / "lamplighter.yaml")


async def started(folder: Path, database: Database) -> SigningKeys:
    """Return the keys of a server that starts with its file in *folder*."""
    settings = config(folder)
    keys = await own_keys_made(settings, folder, database)
    assert keys is not None
    await keep_own_keys(settings, database, keys)
    return keys


async def refusal(folder: Path, database: Database) -> str:
    """Return why a server does not start."""
    with pytest.raises(ConfigError) as raised:
        await own_keys_made(config(folder), folder, database)
    return str(raised.value)


def names_in(folder: Path) -> list[str]:
    """Return the names of the files in *folder*."""
    return [it.name for it in folder.iterdir()]


def shown(keys: SigningKeys) -> str:
    """Return the only key as errors name it."""
    [(key_id, public)] = keys.public.items()
    return f"{key_id} {public}"


async def test_a_key_that_is_lost(tmp_path: Path, database: Database) -> None:
    """The first start makes a key. Where the file is gone, another start makes none: the error
    says which key it was. With the file, the server starts again.
    """
    keys = await started(tmp_path, database)
    file = keys.path.rename(tmp_path / "elsewhere")
    said = await refusal(tmp_path, database)
    assert said.startswith(f"{keys.path}: is not there, and other servers know this server by ")
    assert f" by {shown(keys)}: copy the file to here" in said
    assert "`lamplighter keys retire`" in said
    assert names_in(tmp_path) == ["elsewhere"]
    file.rename(keys.path)
    assert await started(tmp_path, database) == keys


async def test_another_key(tmp_path: Path, database: Database) -> None:
    """A file with another key is refused, and both keys are named."""
    keys = await started(tmp_path, database)
    keys.path.unlink()
    other = SigningKeys.load_or_create(keys.path, NAME)
    said = await refusal(tmp_path, database)
    assert f"know this server by {shown(keys)}, which is not the key in this file" in said
    assert f", {shown(other)}: copy the right file to here" in said


async def test_a_rotation(tmp_path: Path, database: Database) -> None:
    """A rotated key is taken, and from then on it is the one that other servers know."""
    keys = await started(tmp_path, database)
    before = keys.path.read_bytes()
    rotated = keys.rotate(Timestamp(1))
    assert (await started(tmp_path, database)).public == rotated.public
    keys.path.write_bytes(before)
    assert f"know this server by {shown(rotated)}, " in await refusal(tmp_path, database)


async def test_a_node_that_is_refused(tmp_path: Path, database: Database) -> None:
    """A node with a rotated key that does not join changes nothing: the others may start again."""
    keys = await started(tmp_path, database)
    before = keys.path.read_bytes()
    keys.rotate(Timestamp(1))
    await own_keys_made(config(tmp_path), tmp_path, database)
    keys.path.write_bytes(before)
    assert (await started(tmp_path, database)).public == keys.public


async def test_two_that_make_a_key(tmp_path: Path, database: Database) -> None:
    """Of nodes that make a key at once, all but one keep none, and say which is right."""
    folders = [tmp_path / it for it in "abc"]
    for folder in folders:
        folder.mkdir()
    starts = [own_keys_made(config(it), it, database) for it in folders]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    [keys] = [it for it in ended if isinstance(it, SigningKeys)]
    said = [str(it) for it in ended if isinstance(it, ConfigError)]
    assert len(said) == 2
    assert all(shown(keys) in it for it in said)
    assert [bool(names_in(it)) for it in folders] == [it is keys for it in ended]


async def test_a_homeserver_behind(tmp_path: Path, database: Database) -> None:
    """The key of the homeserver is as that publishes it: it may be another one with each start."""
    settings = config(tmp_path, f"{TEXT}homeserver: {BEHIND}\n")
    for _ in range(2):
        (tmp_path / "its.key").unlink(missing_ok=True)
        made = SigningKeys.load_or_create(tmp_path / "its.key", NAME)
        keys = await own_keys_made(settings, tmp_path, database)
        assert keys == made
        await keep_own_keys(settings, database, keys)
    async with database.read() as connection:
        assert await connection.run_sync(known_keys, NAME) == KnownKeys()


async def test_no_federation(tmp_path: Path, database: Database) -> None:
    """A server without federation has no keys."""
    assert await own_keys_made(config(tmp_path, "server_name: demo"), tmp_path, database) is None
    assert names_in(tmp_path) == []
