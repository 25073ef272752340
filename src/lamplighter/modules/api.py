"""`ModuleApi`: what a module is given, with the names and signatures of Synapse's.

The parts by subject: `presence_part.py`, `account_part.py`, `room_part.py`, `background_part.py`;
what modules of other kinds register: `other_callbacks.py`.
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
    """The way from a module to the server; each module has one of its own.

    What is not here raises an `AttributeError` that names the module and says what to use.
    """

    #: A decorator for async methods that remember their answers.
    cached = staticmethod(cached)

    def __init__(self, module: str, parts: ApiParts) -> None:
        super().__init__(module, parts)
        self._hs = HomeServer(module, parts.server.server_name, parts.background)
        self._serves_web = False
        #: The module's own logger, of the standard library, named after it.
        self.logger = logging.getLogger(module)

    @property
    def server_name(self) -> str:
        """The server name, in which the IDs of local users end."""
        return self._parts.server.server_name

    @property
    def public_baseurl(self) -> str:
        """Where clients reach the server, with a slash at the end."""
        return self._parts.server.public_baseurl

    @property
    def worker_name(self) -> None:
        """None: this is the main process."""
        return

    @property
    def worker_app(self) -> None:
        """None: this is the main process."""
        return

    @property
    def http_client(self) -> SimpleHttpClient:
        """What asks other servers; all modules share it."""
        return self._parts.http_client

    @property
    def is_of_presence(self) -> bool:
        """Whether the module has begun something that counts here.

        A resource on the web is nothing of presence beside callbacks of another kind.
        """
        serves = self._serves_web and not self.registered_elsewhere
        return self.is_presence_router or self.uses_presence or serves

    def is_mine(self, id: str | DomainSpecificString) -> bool:
        """Tell whether an identifier (of a user, an alias, a room) is of this server."""
        domain = id.partition(":")[2] if isinstance(id, str) else id.domain
        return domain == self.server_name

    def get_qualified_user_id(self, username: str) -> str:
        """Return the user ID of a local user; what begins with `@` is returned as it is."""
        return username if username.startswith("@") else f"@{username}:{self.server_name}"

    def register_web_resource(self, path: str, resource: object) -> None:
        """Serve *resource* at *path*, an absolute path, and below; call this in `__init__`.

        A resource is an async function that takes a Starlette `Request` and returns a `Response`
        (or a dict, for JSON), or an ASGI application. The first module to ask for a path gets it.
        Raises `ModuleError` for a path that the server itself serves, or another kind of resource.
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
