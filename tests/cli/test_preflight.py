"""One list of checks: `check-config` refuses what `serve` refuses, and changes nothing."""

import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.cli.preflight import CHECKS
from lamplighter.cli.running import find_running_server, mark_as_running
from lamplighter.cli.serve import serve
from lamplighter.config import load_config
from lamplighter.errors import ClusterUnavailable, ConfigError, ModuleError, StorageUnavailable
from tests.interop.processes import reserved_port
from tests.logs_as_before import logs_as_before as logs_as_before

MODULES = """
class Half:
    def __init__(self, config, api):
        api.register_presence_router_callbacks(get_interested_users=self.interest)
    async def interest(self, user_id):
        return set()

class Raises:
    def __init__(self, config, api):
        raise KeyError("room")

class Refuses:
    get_users_for_states = None
    @staticmethod
    def parse_config(config):
        raise ValueError("a room is needed")
"""
OLDER = """
class Older:
    def __init__(self, config, api):
        pass
    async def get_users_for_states(self, states):
        return {}
    async def get_interested_users(self, user_id):
        return set()
"""

IDLE = """
class Nothing:
    def __init__(self, config, api):
        pass
"""

#: What is wrong with a configuration, by what is beside its server_name and its address.
BROKEN = {
    "unknown key": "no_such_key: 1",
    "value": "registration: perhaps",
    "data_dir below a file": "data_dir: a_file/data",
    "data_dir is a file": "data_dir: a_file",
    "data_dir below a device": "data_dir: /dev/null/data",
    "data_dir in a file system of the kernel": "data_dir: /proc/no_such_place",
    "database is none": "data_dir: damaged",
    "database is a directory": "data_dir: odd",
    "database of a newer version": "data_dir: newer",
    "database is no URL": "database: sqlite:///x.db",
    "database that nobody serves": "database: postgresql://lamp:pw@127.0.0.1:{other}/x",
    "log that nobody serves": "database: postgresql://lamp:pw@127.0.0.1:{other}/x\n"
    "cluster: {{node: a, bus: 'redis://127.0.0.1:{other}/0'}}",
    "record without a directory": "routing: {record: no_such_folder/decisions.log}",
    "record is a directory": "routing: {record: damaged}",
    "record below a file": "routing: {record: a_file/decisions.log}",
    "address of another machine": "listen: 192.0.2.77:8008",
    "address that is no name": "listen: no-such-host.invalid:8008",
    "address in use": "listen: 127.0.0.1:{taken}",
    "second address in use": "listen: ['127.0.0.1:{port}', '127.0.0.1:{taken}']",
    "two addresses that are one": "listen: ['0.0.0.0:{port}', '127.0.0.1:{port}']",
    "federation address in use": "federation: {{enabled: true, listen: '127.0.0.1:{taken}'}}",
    "certificate missing": "federation: {{enabled: true, listen: '127.0.0.1:{other}', "
    "tls_certificate: no.pem, tls_private_key: no.key}}",
    "certificate is none": "federation: {{enabled: true, listen: '127.0.0.1:{other}', "
    "tls_certificate: a_file, tls_private_key: a_file}}",
    "authorities missing": "federation: {{enabled: true, listen: '127.0.0.1:{other}', "
    "extra_ca_files: [no.pem]}}",
    "signing key is none": "federation: {{enabled: true, listen: '127.0.0.1:{other}', "
    "signing_key: a_file}}",
    "signing key that is lost": "data_dir: known\nfederation: {{enabled: true, "
    "listen: '127.0.0.1:{other}'}}",
    "signing key without a directory": "federation: {{enabled: true, listen: "
    "'127.0.0.1:{other}', signing_key: no_such_folder/signing.key}}",
    "signing key of the homeserver missing": "homeserver: {{url: 'http://127.0.0.1:1', "
    "signing_key: no.key}}\nfederation: {{enabled: true}}",
    "module is a function": "modules: [{module: json.dumps}]",
    "module is no class": "modules: [{module: broken_modules.MODULES}]",
    "module missing": "modules: [{module: no_such_package.Router}]",
    "module registers one callback": "modules: [{module: broken_modules.Half}]",
    "module registers nothing": "modules: [{module: idle_modules.Nothing}]",
    "older router among modules": "modules: [{module: older_modules.Older}]",
    "module raises": "modules: [{module: broken_modules.Raises}]",
    "module refuses its configuration": "modules: [{module: broken_modules.Refuses}]",
    "older router without methods": "presence: {presence_router: {module: broken_modules.Half}}",
}


REFUSALS = (ClusterUnavailable, ConfigError, ModuleError, StorageUnavailable)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the configurations name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_modules.py").write_text(MODULES)
    (tmp_path / "older_modules.py").write_text(OLDER)
    (tmp_path / "idle_modules.py").write_text(IDLE)
    (tmp_path / "a_file").write_text("not what it should be\n")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "lamplighter.db").write_bytes(b"no database" * 100)
    (tmp_path / "odd" / "lamplighter.db").mkdir(parents=True)
    (tmp_path / "newer").mkdir()
    (tmp_path / "known").mkdir()
    database = sqlite3.connect(tmp_path / "known" / "lamplighter.db")
    database.execute("CREATE TABLE visibility (viewer TEXT, content TEXT)")
    kept = ("server keys", '{"keys": {"ed25519:a": "A"}}')
    database.execute("INSERT INTO visibility VALUES (?, ?)", kept)
    database.commit()
    database.close()
    database = sqlite3.connect(tmp_path / "newer" / "lamplighter.db")
    database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.commit()
    database.close()
    return tmp_path


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    """A port at which somebody listens, and two that are free."""
    listening = socket.create_server(("127.0.0.1", 0))
    with listening as taken, reserved_port() as port, reserved_port() as other:
        yield {"taken": taken.getsockname()[1], "port": port, "other": other}


def written(folder: Path, lines: str, ports: dict[str, int]) -> Path:
    """Return the file of a configuration."""
    path = folder / "lamplighter.yaml"
    for name, port in ports.items():
        lines = lines.replace(f"{{{name}}}", str(port))
    lines = lines.replace("{{", "{").replace("}}", "}")
    listen = (
        "" if "listen: " in lines.split("federation")[0] else f"listen: 127.0.0.1:{ports['port']}\n"
    )
    path.write_text(f"server_name: example.org\n{listen}{lines}\n")
    return path


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Return all files and folders, with what is in the files."""
    return {
        str(it.relative_to(folder)): it.read_bytes() if it.is_file() else None
        for it in folder.rglob("*")
        if "__pycache__" not in it.parts
    }


@pytest.mark.parametrize("fault", BROKEN)
def test_what_serve_refuses_check_config_refuses(
    fault: str, folder: Path, ports: dict[str, int]
) -> None:
    """The two refuse the same configurations, with the same words; a check leaves no trace."""
    path = written(folder, BROKEN[fault], ports)
    before = everything_in(folder)
    with pytest.raises(REFUSALS) as checked:
        list(check_config(path))
    assert everything_in(folder) == before
    with pytest.raises(REFUSALS) as served:
        serve(path)
    assert (type(checked.value), str(checked.value)) == (type(served.value), str(served.value))


def test_a_good_one_leaves_no_trace(folder: Path, ports: dict[str, int]) -> None:
    """A configuration that is good makes no file, no folder, no key, and keeps no port."""
    path = written(
        folder,
        "data_dir: deep/below/data\nrouting: {record: deep/below/data/decisions.log}\n"
        "federation: {{enabled: true, listen: '127.0.0.1:{other}'}}",
        ports,
    )
    before = everything_in(folder)
    assert list(check_config(path)) == [
        f"{path}: good, for example.org on 127.0.0.1:{ports['port']}"
    ]
    assert everything_in(folder) == before
    for name in ("port", "other"):
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            again.bind(("127.0.0.1", ports[name]))
            again.listen()


def test_each_check_is_needed(folder: Path, ports: dict[str, int]) -> None:
    """Each check of the list refuses something that no check before it refuses."""
    refusing: set[str] = set()
    for lines in BROKEN.values():
        try:
            config = load_config(written(folder, lines, ports))
        except ConfigError:
            continue
        for check in CHECKS:
            try:
                check(config)
            except REFUSALS:
                refusing.add(check.__name__)
                break
    assert refusing == {check.__name__ for check in CHECKS}


def test_the_server_that_runs_is_in_nobodys_way(folder: Path, ports: dict[str, int]) -> None:
    """The addresses of the server that runs on the same data directory are no fault: it is named.

    Another server on that directory is refused.
    """
    path = written(folder, "listen: 127.0.0.1:{taken}", ports)
    config = load_config(path)
    config.data_dir.mkdir()
    with mark_as_running(config):
        running = find_running_server(config.data_dir)
        assert running is not None
        assert (running.pid, running.addresses) == (os.getpid(), tuple(config.listen))
        assert list(check_config(path))[1:] == [
            f"A server runs with this data_dir, as process {os.getpid()}: restart it to use this"
        ]
        with pytest.raises(ConfigError) as refused:
            serve(path)
        assert str(refused.value) == (
            f"data_dir: {config.data_dir} is in use by the server that runs as process "
            f"{os.getpid()}: stop it first"
        )
    assert find_running_server(config.data_dir) is None
    with pytest.raises(ConfigError, match="is in use: give another address"):
        list(check_config(path))
