"""`ModuleApi`: the object that a module gets, with the names and signatures of Synapse's.

The parts are `presence_part.py`, `account_part.py`, `room_part.py`, `background_part.py`, and
`other_callbacks.py` for the callbacks of other kinds of modules.
"""

import logging
from typing import TYPE_CHECKING, Any

from lamplighter.modules.account_part import AccountPart
from lamplighter.modules.background_part import BackgroundPart
from lamplighter.modules.cache import cached
from lamplighter.modules.hints import api_hint, missing_attribute
from lamplighter.modules.hs import HomeServer
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.other_callbacks import OTHER_CALLBACKS, OtherCallbacksPart
from lamplighter.modules.parts import ApiParts
from lamplighter.modules.presence_part import PresencePart
from lamplighter.modules.room_part import RoomPart
from lamplighter.modules.synapse.types import DomainSpecificString

__all__ = ["ModuleApi"]


class ModuleApi(PresencePart, AccountPart, RoomPart, BackgroundPart, OtherCallbacksPart):
    """The API of one module.

    A name that is not here raises an `AttributeError` that tells what to use instead.
    """

    #: A decorator that caches the answers of an async method.
    cached = staticmethod(cached)

    def __init__(self, module: str, parts: ApiParts) -> None:
        super().__init__(module, parts)
        self._hs = HomeServer(module, parts.server, parts.background)
        self._serves_web = False
        #: A logger of the standard library, named after the module.
        self.logger = logging.getLogger(module)

    @property
    def server_name(self) -> str:
        """The server name, with which the IDs of local users end."""
        return self._parts.server.server_name

    @property
    def public_baseurl(self) -> str:
        """The base URL for clients, with a slash at the end."""
        return self._parts.server.public_baseurl

    @property
    def worker_name(self) -> str | None:
        """The name of this node; None on a server that has only one."""
        return self._parts.server.node.name

    @property
    def worker_app(self) -> None:
        """None: every node is a main process, and serves everything."""
        return

    @property
    def http_client(self) -> SimpleHttpClient:
        """An HTTP client, shared by all modules."""
        return self._parts.http_client

    @property
    def is_of_presence(self) -> bool:
        """Whether the module has used something that makes it a presence module.

        A web resource counts unless the module has registered callbacks of another kind.
        """
        serves = self._serves_web and not self.registered_elsewhere
        return self.is_presence_router or self.uses_presence or serves

    def is_mine(self, id: str | DomainSpecificString) -> bool:
        """Tell whether an identifier (of a user, an alias, a room) belongs to this server."""
        domain = id.partition(":")[2] if isinstance(id, str) else id.domain
        return domain == self.server_name

    def get_qualified_user_id(self, username: str) -> str:
        """Return the user ID of a local user; a *username* with an `@` is returned unchanged."""
        return username if username.startswith("@") else f"@{username}:{self.server_name}"

    def register_web_resource(self, path: str, resource: object) -> None:
        """Serve *resource* at *path*, an absolute path, and below it. Call this in `__init__`.

        A resource is an async function that takes a Starlette `Request` and returns a `Response`
        (or a dict, for JSON), or an ASGI application. If two modules register the same path, the
        first one gets it. Raises `ModuleError` for a path that the server uses itself, and for
        another kind of resource.
        """
        self._parts.web.register(self._module, path, resource)
        self._serves_web = True

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            if name in OTHER_CALLBACKS:
                return self._registers_other(name)
            raise missing_attribute("ModuleApi", name, self._module, api_hint(name))
