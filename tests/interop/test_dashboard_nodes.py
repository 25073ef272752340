"""The dashboard of a node, in a real browser."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from lamplighter.web.admin.auth import hash_of
from tests.interop.chromium import CHROMIUM, new_tab
from tests.interop.nodes import nodes_at, owning
from tests.interop.processes import ServerProcess, reserved_port
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

TOKEN: Final = "lamp_in-the-browser"
CONFIG: Final = f"admin: {{token_hash: {hash_of(TOKEN)}}}\n"
#: The name of each node, and what is said of its state.
NODES: Final = """\
Array.from(document.querySelectorAll('#nodes-list li .top')).map((it) => it.innerText.split('\\n'))
"""
PROBLEMS: Final = "document.querySelector('#nodes-problems').innerText"


@pytest.fixture
def nodes(
    tmp_path: Path, postgres_url: str, valkey: ValkeyServer
) -> Iterator[dict[str, ServerProcess]]:
    """Two nodes."""
    with ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        yield stack.enter_context(nodes_at(ports, tmp_path, postgres_url, valkey, CONFIG))


async def test_a_node_dies(
    nodes: dict[str, ServerProcess], http: aiohttp.ClientSession, browser: str
) -> None:
    """The page shows all nodes; where one dies it says what is wrong, until the other owns all."""
    await owning(http, list(nodes.values()))
    async with new_tab(browser) as tab:
        await tab.looks(width=1200, height=900)
        await tab.open(f"{nodes['a'].url}/_lamplighter/")
        await tab.until("document.activeElement?.id === 'token'")
        await tab.types(TOKEN)
        await tab.presses("Enter")
        await tab.until("document.querySelectorAll('#nodes-list li').length === 2")
        assert await tab.value(NODES) == [["a", "keeps up"], ["b", "keeps up"]]
        assert " · node a · " in await tab.text("#server")
        assert await tab.value(PROBLEMS) == ""
        nodes["b"].kill()
        await tab.until("document.querySelectorAll('#nodes-list li').length === 1")
        await tab.until(f"{PROBLEMS} === ''")
        assert await tab.value(NODES) == [["a", "keeps up"]]
        assert "partitions\n64" in await tab.text("#nodes-list")
        assert tab.problems == []
