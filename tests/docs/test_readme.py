"""README's commands and examples, run as its reader would."""

import importlib
import json
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.devtools.server import running_server
from lamplighter.modules import synapse_paths
from tests.docs.commands import ROOT, blocks, commands, runs, typed
from tests.interop.processes import reserved_port


@pytest.mark.processes
def test_the_two_commands_are_there() -> None:
    """README's commands of make are targets of the Makefile; two of them come first."""
    targets = [command for command in commands("README.md") if command.startswith("make ")]

    assert targets == ["make run", "make test", "make setup"]
    for target in targets:
        subprocess.run(["make", "-n", target.removeprefix("make ")], cwd=ROOT, check=True)


@pytest.mark.processes
def test_the_command_is_found_after_make_setup() -> None:
    """README puts the folder of the command into PATH, before it types `lamplighter`."""
    typed_lines = commands("README.md")
    export = next(it for it in typed_lines if it.startswith("export PATH="))
    assert typed_lines.index("make setup") < typed_lines.index(export)
    assert typed_lines.index(export) < next(
        index for index, it in enumerate(typed_lines) if it.startswith("lamplighter ")
    )
    shell = f"{export}; command -v lamplighter"
    found = subprocess.run(
        ["sh", "-c", shell], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert found == str(ROOT / ".venv" / "bin" / "lamplighter")


def test_it_is_short_and_works_early() -> None:
    """README has at most 120 lines, and its two commands stand in the first 30."""
    lines = (ROOT / "README.md").read_text().splitlines()

    assert len(lines) <= 120
    assert "$ make test" in lines[:30]


@pytest.mark.processes
def test_the_commands_make_a_server_that_people_log_in_to(tmp_path: Path) -> None:
    """Configuration, check, account and server, in README's words; then alice logs in."""
    generate, check, register, serve = [
        command for command in commands("README.md") if "lamplighter " in command
    ]
    typed(generate, tmp_path)
    with reserved_port() as port:
        config = tmp_path / "lamplighter.yaml"
        config.write_text(f"{config.read_text()}\nlisten: 127.0.0.1:{port}\n")
        typed(check, tmp_path)
        typed(register, tmp_path)
        with runs(serve, tmp_path, port):
            answer = _log_in(port, "alice", "correct horse battery")

    assert answer["user_id"] == "@alice:example.org"


async def test_the_module_shows_bob_to_alice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README's module does what its name says, loaded by README's piece of configuration."""
    [(_, module)] = blocks("README.md", "python")
    config, _ = [body for _, body in blocks("README.md", "yaml")]
    (tmp_path / "my_package.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    synapse_paths.install()
    importlib.invalidate_caches()

    server_name, _, modules = config.partition("\n")
    name = server_name.removeprefix("server_name: ")
    async with running_server(server_name=name, config=modules) as server:
        alice, bob, charlie = [await server.register(it) for it in ("alice", "bob", "charlie")]
        await bob.set_status("online", "brb")
        await alice.sync()
        await charlie.sync()

    sys.modules.pop("my_package")
    assert (alice.sees(bob), charlie.sees(bob)) == (True, False)


def test_two_servers_can_be_configured_so(tmp_path: Path) -> None:
    """README's lines, ten at most, are a configuration that a server with federation takes."""
    _, text = [body for _, body in blocks("README.md", "yaml")]

    config = parse_config_text(text, tmp_path / "lamplighter.yaml")

    assert len(text.splitlines()) <= 10
    assert (config.server_name, config.federation.enabled) == ("one.example.org", True)
    [module] = config.modules
    assert module.config == {
        "shows": {
            "@alice:one.example.org": ["@bob:two.example.org"],
            "@bob:two.example.org": ["@alice:one.example.org"],
        }
    }


def _log_in(port: int, user: str, password: str) -> dict[str, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    identifier = {"type": "m.id.user", "user": user}
    login = {"type": "m.login.password", "identifier": identifier, "password": password}
    connection.request("POST", "/_matrix/client/v3/login", json.dumps(login))
    answer: dict[str, str] = json.loads(connection.getresponse().read())
    connection.close()
    return answer
