"""Modules in files of a test, which change while the server runs."""

import importlib
import json
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer, configured_server
from lamplighter.service.reload import ReloadResult
from tests.compat.world import ALICE, BOB, CHARLIE, SERVER

__all__ = ["ALICE", "BOB", "CHARLIE", "Folder", "Lab", "folder_of_modules", "lab"]

#: Shows each viewer some users, by both callbacks; what it does besides is in a file beside it.
RULE: Final = """
from rule_helpers import altered, before_answer
from synapse.module_api import ModuleApi

SHOWS = {shows}

class Rule:
    def __init__(self, config: dict, api: ModuleApi = None, module_api: ModuleApi = None):
        self.api = api = api or module_api
        self.config = config
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates):
        await before_answer()
        routes = {{}}
        for viewer, users in SHOWS.items():
            shown = {{altered(state) for state in state_updates if state.user_id in users}}
            if shown:
                routes[viewer] = shown
        return routes

    async def get_interested_users(self, user_id):
        return set(SHOWS.get(user_id, ()))
"""

HELPERS: Final = """
def altered(state):
    return state{alters}

async def before_answer():
    {before}
"""


@dataclass(frozen=True)
class Folder:
    """The folder from which modules are imported."""

    path: Path

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.path / name).write_text(text)

    def forget(self) -> None:
        """Remove everything that was imported from the folder, as in a new process."""
        for name, module in list(sys.modules.items()):
            if str(self.path) in str(getattr(module, "__file__", "")):
                del sys.modules[name]
        importlib.invalidate_caches()

    def rule(
        self, shows: Mapping[str, Collection[str]], *, say: str | None = None, before: str = "pass"
    ) -> None:
        """Write the module `rule.Rule`, which shows users to viewers, perhaps altered."""
        alters = "" if say is None else f".copy_and_replace(status_msg={say!r})"
        self.write("rule_helpers.py", HELPERS.format(alters=alters, before=before))
        self.write("rule.py", RULE.format(shows=json.dumps({k: list(v) for k, v in shows.items()})))

    def configure(self, *modules: str | dict[str, Any], **settings: Any) -> Path:
        """Write the configuration with *modules* (paths or entries); return its path."""
        entries = [{"module": it} if isinstance(it, str) else it for it in modules]
        named = {"server_name": SERVER, "rate_limits": "off", "modules": entries}
        self.write("lamplighter.yaml", yaml.safe_dump({**named, **settings}))
        return self.path / "lamplighter.yaml"


@contextmanager
def folder_of_modules(path: Path) -> Iterator[Folder]:
    """Import modules from *path* until the block ends, and then forget them."""
    folder = Folder(path)
    writes_bytecode = not sys.dont_write_bytecode
    # Python compares compiled files with their sources by the second of the change.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(path))
    try:
        yield folder
    finally:
        sys.dont_write_bytecode = not writes_bytecode
        sys.path.remove(str(path))
        folder.forget()


@dataclass(frozen=True)
class Lab:
    """A server whose modules change, and three users who share no room."""

    server: InMemoryServer
    alice: Client
    bob: Client
    charlie: Client

    async def reload(self) -> ReloadResult:
        """Load the modules that the files have now."""
        return await self.server.in_time(self.server.lamplighter.reload())


@asynccontextmanager
async def lab(config: Path) -> AsyncIterator[Lab]:
    """Run a server with the configuration in that file."""
    async with configured_server(config) as server:
        yield Lab(server, *[await server.register(it) for it in ("alice", "bob", "charlie")])
