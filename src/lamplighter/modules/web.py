"""The web resources of modules, as ASGI applications.

A module calls `register_web_resource` with an ASGI application (Starlette's, for instance), or
with an async function that takes a Starlette `Request` and returns a `Response`, or a dict (JSON).
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.errors import ModuleError, RequestError
from lamplighter.modules.synapse.errors import RedirectException, SynapseError
from lamplighter.routing.containment import as_module, contained

__all__ = ["RESERVED_PATHS", "WebResources"]

Handler = Callable[[Request], Awaitable[object]]

#: Paths that the server uses itself, with everything below them.
RESERVED_PATHS: Final = (
    "/_lamplighter",
    "/_matrix/app",
    "/_matrix/client",
    "/_matrix/federation",
    "/_matrix/key",
    "/_matrix/media",
    "/_synapse/admin",
    "/health",
    "/metrics",
    "/ready",
)

_log = structlog.get_logger(__name__)


class WebResources:
    """The web resources by path; modules can register them only while they are loaded."""

    def __init__(self) -> None:
        self._resources: dict[str, ASGIApp] = {}
        self._owners: dict[str, str] = {}
        self._is_open = True

    def register(self, module: str, path: str, resource: object) -> None:
        """Serve *resource* at *path*, unless an earlier module does; raise `ModuleError`."""
        _check_path(module, path)
        if not self._is_open:
            raise ModuleError(f"module {module}: web resources are registered in __init__ only")
        application = _application(module, path, resource)
        if path in self._resources:
            _log.warning("web resource ignored: an earlier module has it", module=module, path=path)
            return
        self._resources[path] = application
        self._owners[path] = module

    def discard(self, module: str) -> None:
        """Serve nothing of what *module* has registered: it is not loaded after all."""
        for path in [it for it, owner in self._owners.items() if owner == module]:
            del self._resources[path], self._owners[path]

    def close(self) -> Mapping[str, ASGIApp]:
        """End the registration; return the applications by path, which serve all paths below."""
        self._is_open = False
        return dict(self._resources)


def _check_path(module: str, path: str) -> None:
    if not path.startswith("/") or path.rstrip("/") == "":
        raise ModuleError(f"module {module}: web resource path {path!r}: give an absolute path")
    for reserved in RESERVED_PATHS:
        if f"{path}/".startswith(f"{reserved}/"):
            advice = "the server itself answers there; give one below /_synapse/client"
            raise ModuleError(f"module {module}: web resource path {path!r}: {advice}")


def _application(module: str, path: str, resource: object) -> ASGIApp:
    if not callable(resource):
        raise ModuleError(
            f"module {module}: the web resource for {path!r} is a {type(resource).__name__}; "
            "Twisted resources are not served: give an async function that takes a Starlette "
            "Request and returns a Response, or an ASGI application"
        )
    if len(inspect.signature(resource).parameters) >= 3:

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await contained(module, lambda: resource(scope, receive, send))

        return application

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _respond(module, resource, Request(scope, receive))
        await response(scope, receive, send)

    return page


async def _respond(module: str, page: Handler, request: Request) -> Response:
    """Return the response of a module's function, also if it raises."""
    try:
        with as_module(module):
            answer = await page(request)
        if isinstance(answer, dict):
            return JSONResponse(answer)
        if isinstance(answer, Response):
            return answer
        kind = type(answer).__name__
        raise TypeError(f"a web resource returns a Response or a dict, not {kind}")
    except SynapseError as error:
        return JSONResponse(error.as_json(), error.code, error.headers)
    except RedirectException as error:
        return RedirectResponse(error.location.decode(), error.code)
    except (HTTPException, RequestError):
        raise
    except BaseException as error:
        # A module may raise `CancelledError` although the server does not cancel the request.
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        _log.exception("web resource failed", module=module, path=request.url.path)
        content = {"errcode": "M_UNKNOWN", "error": "Internal server error"}
        return JSONResponse(content, 500)
