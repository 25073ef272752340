"""docs/changing-modules.md: a record, other rules over it, and what is shown of them."""

import re
from pathlib import Path

import aiohttp
import pytest

from lamplighter.config import parse_config_text
from tests.docs.commands import blocks, commands, named_files, runs, typed
from tests.interop.clients import register
from tests.interop.processes import reserved_port

PAGE = "docs/changing-modules.md"
#: What differs from one day to the next.
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


async def hour(url: str) -> None:
    """Let happen what the page's record is of, as people at clients do it."""
    async with aiohttp.ClientSession() as http:
        people = [await register(http, url, name) for name in ("alice", "dora", "bob", "charlie")]
        alice, dora, bob, charlie = people
        for viewer in (alice, dora):
            await viewer.sync(set_presence="offline")
        await bob.put_status("online", "in a bad mood")
        await charlie.put_status("online", "at the desk")
        for viewer in (alice, dora):
            await viewer.sync(set_presence="offline")


def replayed(command: str, folder: Path) -> str:
    """Return what the command prints to a wide terminal, without times; it finds differences."""
    printed = typed(f"COLUMNS=200 {command}", folder, code=1).stdout
    return "\n".join(line.rstrip() for line in TIME.sub("TIME", printed).strip().splitlines())


@pytest.mark.processes
async def test_a_reader_rehearses_a_rule(tmp_path: Path) -> None:
    """The server records, and the replay prints what the page shows."""
    serve, replay = commands(PAGE)
    with reserved_port() as port:
        for name, content in named_files(PAGE, "python", "yaml").items():
            (tmp_path / name).write_text(content.replace("8008", str(port)))
        with runs(serve, tmp_path, port):
            await hour(f"http://127.0.0.1:{port}")
    [shown] = [body for _, body in blocks(PAGE, "text") if "decided again" in body]
    assert replayed(replay, tmp_path) == TIME.sub("TIME", shown.strip())


@pytest.mark.parametrize("text", [body for _, body in blocks(PAGE, "yaml")])
def test_configurations_can_be_used(text: str) -> None:
    """Each configuration of the page is one."""
    assert parse_config_text(text, Path("docs.yaml")).server_name == "example.org"
