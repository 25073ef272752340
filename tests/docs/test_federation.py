"""docs/federation.md: two servers on one machine, as a reader starts them."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.docs.commands import commands, named_files, runs, typed
from tests.federation_interop.people import news_of
from tests.interop.clients import register
from tests.interop.processes import reserved_port

PAGE = "docs/federation.md"


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """Ports that are free, in the place of those on the page."""
    with ExitStack() as stack:
        shown = ("8448", "8449", "8008", "8009")
        yield {port: str(stack.enter_context(reserved_port())) for port in shown}


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page makes a certificate by it")
async def test_a_reader_gets_two_servers_that_talk(tmp_path: Path, ports: dict[str, str]) -> None:
    """The certificate, both configurations and all commands work, in the page's order."""
    certify, serve_one, serve_two, show, rotate, retire = commands(PAGE)
    for name, content in named_files(PAGE, "yaml").items():
        (tmp_path / name).write_text(_with(ports, content))

    typed(certify, tmp_path)
    client_ports = int(ports["8008"]), int(ports["8009"])
    urls = [f"http://127.0.0.1:{port}" for port in client_ports]
    with (
        runs(serve_one, tmp_path, client_ports[0]),
        runs(serve_two, tmp_path, client_ports[1]),
    ):
        async with aiohttp.ClientSession() as http:
            alice = await register(http, urls[0], "alice")
            bob = await register(http, urls[1], "bob")
            await alice.sync()
            await bob.put_status("online", "brb")
            seen = await news_of(bob.user_id, alice)
    assert seen == {"presence": "online", "status_msg": "brb", "currently_active": True}

    assert "signs" in typed(show, tmp_path).stdout
    assert "expired at" in typed(rotate, tmp_path).stdout
    (tmp_path / "one" / "signing.key").unlink()
    assert "expired at" in typed(retire, tmp_path).stdout


def _with(ports: dict[str, str], text: str) -> str:
    for shown, port in ports.items():
        text = text.replace(shown, port)
    return text
