"""`lamplighter demo`: a server, three users, one module, and the reasons for each delivery.

The users act through the HTTP API of a real server with a real database.
"""

import asyncio
import json
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from rich.console import Console
from rich.live import Live

from lamplighter.app import Lamplighter, Storage
from lamplighter.cli.demo_screen import Screen
from lamplighter.cli.demo_text import Told, curl_lines, dashboard_lines, told
from lamplighter.cli.serve import serving, until_told_to_stop
from lamplighter.config import Config, parse_config_text
from lamplighter.errors import ConfigError
from lamplighter.homeserver.values import Login
from lamplighter.ids import UserId, localpart_of
from lamplighter.logs import set_up_logs
from lamplighter.service import Published
from lamplighter.web.admin.auth import hash_of, new_admin_token

__all__ = ["DemoUser", "demo"]

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


@dataclass
class DemoUser:
    """A user at a client: a login, and the since token of the last sync."""

    session: aiohttp.ClientSession
    base: str
    login: Login
    next_batch: str | None = None

    async def sync(self, timeout_ms: int = 0) -> Mapping[str, Any]:
        """Sync; return the presence events by sender."""
        query = {"timeout": str(timeout_ms)}
        if self.next_batch is not None:
            query["since"] = self.next_batch
        async with self.session.get(
            f"{self.base}/sync", params=query, headers=self._headers
        ) as response:
            answer = await response.json()
        self.next_batch = answer["next_batch"]
        events = answer.get("presence", {}).get("events", [])
        return {event["sender"]: event["content"] for event in events}

    async def set_status(self, presence: str, status_msg: str) -> None:
        """Set the user's own status."""
        url = f"{self.base}/presence/{quote(self.login.user_id, safe='@:')}/status"
        content = {"presence": presence, "status_msg": status_msg}
        async with self.session.put(url, json=content, headers=self._headers) as response:
            response.raise_for_status()

    async def keep_watching(self) -> None:
        """Poll as a client does, until cancelled."""
        while True:
            await self.sync(_POLL_MS)

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.login.access_token}"}


async def _demo(config: Config, token: str) -> None:
    base = f"http://{config.listen[0]}"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serving(config, Storage.in_directory(config.data_dir))
        )
        history: deque[Told] = deque(maxlen=12)
        server.core.witnesses.observe(lambda published: history.extend(told(published)))
        logins = [await server.directory.register(name, name) for name in _NAMES]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        people = {
            login.user_id: DemoUser(session, f"{base}/_matrix/client/v3", login) for login in logins
        }
        lines = [*curl_lines(base, logins, _BOB), *dashboard_lines(base, token)]
        if sys.stdout.isatty():
            await _show_live(server, base, people, lines, history)
        else:
            await _show_plainly(server, base, people, lines, history)


async def _show_plainly(
    server: Lamplighter,
    base: str,
    people: Mapping[UserId, DemoUser],
    lines: Sequence[str],
    history: Sequence[Told],
) -> None:
    _say(f"Lamplighter serves {base}. alice, bob and charlie share no room.")
    _say("The module CustomPresenceRouter shows bob to alice.")
    for line in await _story(people):
        _say(line)
    for entry in history:
        _say(f"Why: {entry}")
    _say("To try more:")
    for line in lines:
        _say(f"  {line}")
    _say("Serving until Ctrl-C.")
    server.core.witnesses.observe(_say_told)
    await _watch(people)


async def _show_live(
    server: Lamplighter,
    base: str,
    people: Mapping[UserId, DemoUser],
    lines: Sequence[str],
    history: Sequence[Told],
) -> None:
    console = Console()
    screen = Screen(server, base, list(people), history)
    screen.story = await _story(people)
    # Above the live view, where a terminal can select and copy them.
    for line in lines:
        console.print(f"{line}\n", soft_wrap=True, highlight=False, markup=False)
    with Live(screen, console=console, refresh_per_second=4):
        await _watch(people)


async def _story(people: Mapping[UserId, DemoUser]) -> Sequence[str]:
    """Let bob set a status; return what alice and charlie received."""
    for viewer in (_ALICE, _CHARLIE):
        await people[viewer].sync()
    await people[_BOB].set_status("online", "lighting the lamps")
    lines = ["bob sets his status: online “lighting the lamps”"]
    for viewer in (_ALICE, _CHARLIE):
        name = localpart_of(viewer)
        about_bob = (await people[viewer].sync()).get(_BOB)
        received = (
            f"receives bob's presence: {json.dumps(about_bob)}"
            if about_bob
            else "receives nothing of bob"
        )
        lines.append(f"{name}'s /sync {received}")
    return lines


async def _watch(people: Mapping[UserId, DemoUser]) -> None:
    """Let alice and charlie poll until the process is told to stop."""
    watching = [
        asyncio.get_running_loop().create_task(people[viewer].keep_watching())
        for viewer in (_ALICE, _CHARLIE)
    ]
    await until_told_to_stop()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)


def _say_told(published: Published) -> None:
    for entry in told(published):
        _say(str(entry))


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the demo prints
