"""The dashboard in front of a homeserver that is not set up, in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from lamplighter.homeserver.upstream.registration import write_registration
from lamplighter.web.admin.auth import hash_of
from tests.interop.chromium import CHROMIUM, new_tab
from tests.interop.conftest import MakeServer
from tests.interop.processes import SERVER

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

TOKEN: Final = "lamp_in-the-browser"


@pytest.fixture
async def refusing() -> AsyncIterator[str]:
    """The address of a homeserver that knows nobody."""

    async def refuse(_request: web.Request) -> web.Response:
        content = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}
        return web.json_response(content, status=401)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_registration_that_is_not_known(
    refusing: str, make_server: MakeServer, tmp_path: Path, browser: str
) -> None:
    """The page says what is wrong with the homeserver, and what to change."""
    registration = tmp_path / "registration.yaml"
    write_registration(registration, "http://127.0.0.1:1", SERVER)
    server = make_server(
        f"admin: {{token_hash: {hash_of(TOKEN)}}}\n"
        f"homeserver: {{url: '{refusing}', registration: {registration}}}\n"
    )
    server.start()
    async with new_tab(browser) as tab:
        await tab.looks(width=1280, height=900)
        await tab.open(f"{server.url}/_lamplighter/")
        await tab.until("document.activeElement?.id === 'token'")
        await tab.types(TOKEN)
        await tab.presses("Enter")
        await tab.until(
            "document.querySelector('#homeserver-problem').textContent === "
            "'the homeserver does not know the registration lamplighter. Add the file to "
            "app_service_config_files of the homeserver, and restart it.'"
        )
