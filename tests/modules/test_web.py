"""Web resources of modules."""

from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.errors import ModuleError
from lamplighter.modules.synapse.errors import RedirectException, SynapseError
from lamplighter.modules.web import RESERVED_PATHS, WebResources

PATH = "/_synapse/client/mine"


async def page(request: Request) -> Response:
    """Say which path was asked for."""
    return PlainTextResponse(f"{request.method} {request.url.path}")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as an ASGI application."""
    await PlainTextResponse("from ASGI")(scope, receive, send)


async def get(app: ASGIApp, path: str = PATH) -> tuple[int, bytes, dict[str, str]]:
    """Return the status, the body and the headers of the response."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]), headers


def served(resource: object) -> ASGIApp:
    """Return the application for a resource."""
    resources = WebResources()
    resources.register("MyModule", PATH, resource)
    return resources.close()[PATH]


def acting(outcome: object) -> Any:
    """Return a page that returns *outcome*, or raises it."""

    async def act(request: Request) -> object:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return act


async def test_function() -> None:
    """A function gets a request, and its response is sent."""
    status, body, _ = await get(served(page), f"{PATH}/below")
    assert (status, body) == (200, b"GET /_synapse/client/mine/below")


@pytest.mark.parametrize(
    ("outcome", "status", "body", "header"),
    [
        ({"open": True}, 200, b'{"open":true}', ("content-type", "application/json")),
        (
            SynapseError(403, "Not today", "M_FORBIDDEN", {"until": "tomorrow"}, {"X-Why": "no"}),
            403,
            b'{"errcode":"M_FORBIDDEN","error":"Not today","until":"tomorrow"}',
            ("x-why", "no"),
        ),
        (
            RedirectException(b"https://example.com/there"),
            302,
            b"",
            ("location", "https://example.com/there"),
        ),
    ],
    ids=["dict", "SynapseError", "redirect"],
)
async def test_outcomes(outcome: object, status: int, body: bytes, header: tuple[str, str]) -> None:
    """A dict becomes JSON; a SynapseError and a RedirectException become their responses."""
    found = await get(served(acting(outcome)))
    assert header in found[2].items()


async def test_an_application_that_ends_the_server() -> None:
    """A `SystemExit` of an ASGI application becomes a RuntimeError."""

    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="tried to end the server"):
        await get(served(leave))


async def test_http_exception() -> None:
    """Exceptions of Starlette and of the server are raised on."""
    with pytest.raises(HTTPException):
        await get(served(acting(HTTPException(418))))


@pytest.mark.parametrize("outcome", [7, None, ValueError("secret inside")])
async def test_defect(outcome: object, logged: list[Any]) -> None:
    """Other exceptions and results are logged with the module; the client gets 500."""
    status, body, _ = await get(served(acting(outcome)))
    assert (status, body) == (500, b'{"errcode":"M_UNKNOWN","error":"Internal server error"}')
    assert [(line["event"], line["module"], line["path"]) for line in logged] == [
        ("web resource failed", "MyModule", PATH)
    ]


async def test_first_module_wins(logged: list[Any]) -> None:
    """If two modules register a path, the first one gets it; the log names the other."""
    resources = WebResources()
    resources.register("First", PATH, application)
    resources.register("Second", PATH, page)
    assert (await get(resources.close()[PATH]))[1] == b"from ASGI"
    assert [(line["log_level"], line["module"], line["path"]) for line in logged] == [
        ("warning", "Second", PATH)
    ]


@pytest.mark.parametrize(
    "path", [*RESERVED_PATHS, "/_matrix/client/v3/mine", "/", "", "_synapse/client/mine"]
)
def test_paths_that_are_not_given_away(path: str) -> None:
    """Paths that the server uses, and paths that are not absolute, are refused; a path that only
    begins with the letters of a reserved one is not. After the loading, every path is refused.
    """
    resources = WebResources()
    resources.register("MyModule", "/healthy", application)
    assert list(resources.close()) == ["/healthy"]
    with pytest.raises(ModuleError, match="in __init__ only"):
        resources.register("MyModule", PATH, page)
    with pytest.raises(ModuleError, match="module MyModule: web resource path"):
        WebResources().register("MyModule", path, page)


def test_what_is_no_resource() -> None:
    """A Twisted resource is refused, with what to register instead."""
    with pytest.raises(ModuleError, match=r"is a Twisted; .*give an async function"):
        WebResources().register("MyModule", PATH, type("Twisted", (), {})())
