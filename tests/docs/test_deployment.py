"""docs/deployment.md, as far as it can be done on the machine of a test."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from lamplighter.config import Config, parse_config_text
from tests.docs.commands import ROOT, commands, named_files, typed
from tests.interop.clients import register
from tests.interop.processes import ServerProcess, reserved_port

PAGE = "docs/deployment.md"
UNIT = (ROOT / "deploy/lamplighter.service").read_text(encoding="utf-8")
CONTAINERFILE = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections."""
    async with aiohttp.ClientSession() as session:
        yield session


def _config() -> Config:
    return parse_config_text(named_files(PAGE, "yaml")["lamplighter.yaml"], Path("page.yaml"))


def test_all_speak_of_the_same_places() -> None:
    """Proxies, unit and Prometheus use the addresses and folders of the page."""
    config = _config()
    addresses = {str(config.listen[0]), str(config.federation.listen)}

    for proxy in ("nginx.conf", "Caddyfile"):
        text = (ROOT / "deploy" / proxy).read_text(encoding="utf-8")
        assert set(re.findall(r"127\.0\.0\.1:\d+", text)) == addresses
    prometheus = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    assert f'["{config.listen[0]}"]' in prometheus
    assert f"WorkingDirectory={config.data_dir}\n" in UNIT


def test_what_is_installed_is_there() -> None:
    """Every file that the page puts somewhere is in deploy/, the configuration aside."""
    sources = {
        word
        for command in commands(PAGE)
        if " install " in command and "pip" not in command
        for word in re.findall(r"(?<= )deploy/\S+", command)
    }

    assert len(sources) == 4
    assert [source for source in sources if not (ROOT / source).is_file()] == []


def test_machine_and_container_are_made_alike() -> None:
    """The page installs by the very commands that a container is built with, tested there."""
    by_hand = [_pip(it) for it in commands(PAGE) if " -m pip " in it]
    built = [_pip(it) for it in re.findall(r"^RUN (.*)$", CONTAINERFILE, re.MULTILINE)]

    assert by_hand == [it for it in built if it] * 2


def _pip(command: str) -> list[str]:
    """Return the arguments of pip, those aside that tell an image or an upgrade from the rest."""
    _, _, arguments = command.partition(" -m pip ")
    return [it for it in arguments.split() if it not in ("--no-cache-dir", "--force-reinstall")]


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the page copies databases by it")
async def test_a_backup_can_be_restored(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """The page's commands copy what a running server knows; a server from the copy knows it."""
    there, copy = tmp_path / "there", tmp_path / "copy"
    (copy / "data").mkdir(parents=True)
    with reserved_port() as port, reserved_port() as federation:
        signing = f"federation: {{enabled: true, listen: '127.0.0.1:{federation}'}}"
        server = ServerProcess(there, port, signing)
        server.start()
        alice = await register(http, server.url, "alice")
        await alice.put_status("online", "before the backup")

        for command in _backup(there / "data", copy / "data"):
            typed(command, tmp_path)
        server.kill()

        restored = ServerProcess(copy, port)
        restored.start()
        answer = await alice.status()
        restored.stop()

    assert answer.json["status_msg"] == "before the backup"


def _backup(data: Path, backup: Path) -> list[str]:
    """Return the page's commands for other places and no other user."""
    chosen = [it for it in commands(PAGE) if "/var/backups/lamplighter" in it]
    return [
        it.replace("sudo ", "")
        .replace("-u lamplighter ", "")
        .replace("-o lamplighter ", "")
        .replace("/var/lib/lamplighter", str(data))
        .replace("/var/backups/lamplighter", str(backup))
        for it in chosen
    ]
