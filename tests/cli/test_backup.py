"""`lamplighter backup`, and restoring what it makes."""

import sqlite3
import tarfile
from pathlib import Path

import pytest

from lamplighter.app import Storage
from lamplighter.cli.backup import backup
from lamplighter.cli.serve import serving
from lamplighter.clock import Timestamp
from lamplighter.config import load_config
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import ServerName, UserId
from tests.interop.processes import reserved_port


def configured(folder: Path, port: int, more: str = "") -> Path:
    """Write a configuration below *folder*."""
    folder.mkdir(exist_ok=True)
    path = folder / "lamplighter.yaml"
    path.write_text(f"server_name: example.org\nlisten: 127.0.0.1:{port}\n{more}")
    return path


async def test_a_backup_of_a_running_server_restores_all(tmp_path: Path) -> None:
    """Accounts, rooms and keys that existed before the backup are there after unpacking."""
    with reserved_port() as port:
        path = configured(tmp_path / "old", port)
        config = load_config(path)
        keys = SigningKeys.load_or_create(_made(config.data_dir) / "signing.key", ServerName("x"))
        keys.rotate(Timestamp(5))
        async with serving(config, Storage.in_directory(config.data_dir)) as server:
            login = await server.directory.register("alice", "secret")
            room_id = await server.directory.create_room(login.user_id, NewRoom("private_chat"))
            lines = list(backup(path, tmp_path / "backup.tar.gz"))
            await server.directory.register("bob", "after the backup")
    assert lines == [
        f"{tmp_path / 'backup.tar.gz'}: {name}"
        for name in ("lamplighter.db", "signing.key", "signing.key.old")
    ]
    with reserved_port() as port:
        config = load_config(configured(tmp_path / "new", port))
        with tarfile.open(tmp_path / "backup.tar.gz") as archive:
            archive.extractall(_made(config.data_dir), filter="data")
        assert (config.data_dir / "signing.key").read_text() == (
            tmp_path / "old" / "data" / "signing.key"
        ).read_text()
        async with serving(config, Storage.in_directory(config.data_dir)) as server:
            directory = server.directory
            requester = await directory.authenticate(login.access_token)
            assert requester.user_id == login.user_id
            assert await directory.joined_rooms(login.user_id) == [room_id]
            await directory.check_password(login.user_id, "secret")
            assert await directory.account(UserId("@bob:example.org")) is None


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _database(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (1)")
    database.commit()
    database.close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The archive has password hashes and keys in it: nobody else may read it, nor its content."""
    path = configured(tmp_path, 1)
    for name in ("lamplighter.db", "modules.db", "modules-shadow.db"):
        _database(_made(tmp_path / "data") / name)
    target = tmp_path / "backup.tar.gz"
    assert len(list(backup(path, target))) == 3
    assert target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as archive:
        assert {(it.name, it.mode, it.uid) for it in archive.getmembers()} == {
            (name, 0o600, 0) for name in ("lamplighter.db", "modules.db", "modules-shadow.db")
        }
    assert sorted(it.name for it in tmp_path.iterdir()) == [
        "backup.tar.gz",
        "data",
        "lamplighter.yaml",
    ]


def test_keys_of_another_place(tmp_path: Path) -> None:
    """A key that is elsewhere is in the archive too, and where it belongs is told."""
    key = tmp_path / "keys" / "mine.key"
    key.parent.mkdir()
    SigningKeys.load_or_create(key, ServerName("x"))
    path = configured(tmp_path, 1, "federation: {signing_key: keys/mine.key}\n")
    _database(_made(tmp_path / "data") / "lamplighter.db")
    lines = list(backup(path, tmp_path / "b.tar.gz"))
    assert lines[-1] == f"signing.key belongs to {key}, by federation.signing_key"


def test_keys_of_a_homeserver(tmp_path: Path) -> None:
    """The key of the homeserver behind this server is not in the archive."""
    (tmp_path / "its.key").write_text("secret")
    homeserver = "homeserver: {url: 'http://a:1', signing_key: its.key}\n"
    path = configured(tmp_path, 1, homeserver)
    _database(_made(tmp_path / "data") / "lamplighter.db")
    assert list(backup(path, tmp_path / "b.tar.gz")) == [f"{tmp_path}/b.tar.gz: lamplighter.db"]


def test_what_cannot_be_backed_up(tmp_path: Path) -> None:
    """PostgreSQL, no database, a damaged one or an existing file is an error without an archive."""
    target = tmp_path / "b.tar.gz"
    path = configured(tmp_path, 1, "database: postgresql://lamplighter@localhost/x\n")
    with pytest.raises(ConfigError, match="PostgreSQL is backed up by pg_dump"):
        list(backup(path, target))
    path = configured(tmp_path, 1)
    with pytest.raises(ConfigError, match="has no database: nothing to back up"):
        list(backup(path, target))
    (_made(tmp_path / "data") / "lamplighter.db").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="the backup has failed: file is not a database"):
        list(backup(path, target))
    with pytest.raises(ConfigError, match="the backup has failed: No such file or directory"):
        list(backup(path, tmp_path / "nowhere" / "b.tar.gz"))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["data", "lamplighter.yaml"]
    target.write_text("something else")
    with pytest.raises(ConfigError, match="exists already; name another file, or remove it"):
        list(backup(path, target))
    assert target.read_text() == "something else"
