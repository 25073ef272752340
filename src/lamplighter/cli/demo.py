"""`lamplighter demo`: a server, three users, one module, and the reasons for each delivery.

The users act through the HTTP API of a real server with a real database, over connections within
the process.
"""

import asyncio
import json
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live

from lamplighter.app import Storage
from lamplighter.cli.demo_screen import Screen, Told, curl_lines, dashboard_lines, told
from lamplighter.cli.serve import serving, until_told_to_stop
from lamplighter.clock import SystemClock
from lamplighter.config import Config, parse_config_text
from lamplighter.devtools.client import Client
from lamplighter.devtools.http import HttpClient
from lamplighter.errors import ConfigError
from lamplighter.ids import UserId, localpart_of
from lamplighter.logs import set_up_logs
from lamplighter.web.admin.auth import hash_of, new_admin_token

__all__ = ["demo"]

_CONFIG: Final = """\
server_name: demo
listen: {listen}
data_dir: .
registration: open
admin: {{token_hash: {token_hash}}}
modules:
  - module: lamplighter_examples.custom_presence_router.CustomPresenceRouter
    config:
      shows: {{"@alice:demo": ["@bob:demo"]}}
"""
_NAMES: Final = ("alice", "bob", "charlie")
_ALICE: Final = UserId("@alice:demo")
_BOB: Final = UserId("@bob:demo")
_CHARLIE: Final = UserId("@charlie:demo")
_POLL_MS: Final = 30_000


def demo(listen: str) -> None:
    """Run the demo at the address *listen* until SIGTERM or Ctrl-C."""
    set_up_logs("warning")
    with tempfile.TemporaryDirectory(prefix="lamplighter-demo-") as folder:
        token = new_admin_token()
        text = _CONFIG.format(listen=listen, token_hash=hash_of(token))
        try:
            asyncio.run(_demo(parse_config_text(text, Path(folder) / "demo.yaml"), token))
        except ConfigError as error:
            problem = str(error).rpartition("listen: ")[2]
            raise ConfigError(f"--listen: {problem}; such as --listen 127.0.0.1:8009") from None


async def _demo(config: Config, token: str) -> None:
    base = f"http://{config.listen[0]}"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serving(config, Storage.in_directory(config.data_dir))
        )
        history: deque[Told] = deque(maxlen=12)
        server.core.witnesses.observe(lambda published: history.extend(told(published)))
        logins = [await server.directory.register(name, name) for name in _NAMES]
        http_server = server.http_server(SystemClock())
        stack.callback(http_server.abort)
        http = HttpClient(http_server.connect)
        people = {
            it.user_id: Client(http, it.user_id, it.device_id, it.access_token) for it in logins
        }
        lines = [*curl_lines(base, logins, _BOB), *dashboard_lines(base, token)]
        if sys.stdout.isatty():
            console = Console()
            screen = Screen(server, base, list(people), history)
            screen.story = await _story(people)
            # Above the live view, where a terminal can select and copy them.
            for line in lines:
                console.print(f"{line}\n", soft_wrap=True, highlight=False, markup=False)
            with Live(screen, console=console, refresh_per_second=4):
                await _watch(people)
        else:
            _say(f"Lamplighter serves {base}. alice, bob and charlie share no room.")
            _say("The module CustomPresenceRouter shows bob to alice.")
            _say(*await _story(people))
            _say(*(f"Why: {entry}" for entry in history))
            _say("To try more:", *(f"  {line}" for line in lines), "Serving until Ctrl-C.")
            server.core.witnesses.observe(lambda published: _say(*map(str, told(published))))
            await _watch(people)


async def _story(people: Mapping[UserId, Client]) -> Sequence[str]:
    """Let bob set a status; return what alice and charlie received."""
    for viewer in (_ALICE, _CHARLIE):
        await people[viewer].sync()
    await people[_BOB].set_status("online", "lighting the lamps")
    lines = ["bob sets his status: online “lighting the lamps”"]
    for viewer in (_ALICE, _CHARLIE):
        name = localpart_of(viewer)
        about_bob = (await people[viewer].sync()).presence.get(_BOB)
        received = (
            f"receives bob's presence: {json.dumps(about_bob)}"
            if about_bob
            else "receives nothing of bob"
        )
        lines.append(f"{name}'s /sync {received}")
    return lines


async def _watch(people: Mapping[UserId, Client]) -> None:
    """Let alice and charlie poll until the process is told to stop."""

    async def poll(person: Client) -> None:
        while True:
            await person.sync(timeout=_POLL_MS)

    watching = [asyncio.ensure_future(poll(people[viewer])) for viewer in (_ALICE, _CHARLIE)]
    await until_told_to_stop()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - the demo prints
