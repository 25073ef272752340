"""The files of the dashboard. How it works in a browser is in interop/test_dashboard.py."""

import re
from importlib.resources import files

import pytest

from lamplighter.devtools.server import InMemoryServer
from lamplighter.web.admin import dashboard

FILES = sorted(it.name for it in files(dashboard.__name__).iterdir() if ".py" not in it.name)
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


async def test_the_page(server: InMemoryServer) -> None:
    """The page needs no token; a request without the final slash is redirected."""
    page = await server.http.request("GET", "/_lamplighter/")
    named = await server.http.request("GET", "/_lamplighter/index.html")
    sent_on = await server.http.request("GET", "/_lamplighter")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body == named.body
    assert (sent_on.status, sent_on.headers["location"]) == (308, "/_lamplighter/")


@pytest.mark.parametrize("name", [it for it in FILES if it != "__pycache__"])
async def test_files(server: InMemoryServer, name: str) -> None:
    """Each file has its media type, and headers that forbid anything from elsewhere."""
    response = await server.http.request("GET", f"/_lamplighter/{name}")
    headers = response.headers
    assert response.status == 200
    assert headers["content-type"].partition(";")[0] == TYPES[name.rpartition(".")[2]]
    policy = dict(it.split(" ", 1) for it in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["__init__.py", "nothing.js", "../auth.py", "%2e%2e/auth.py"])
async def test_what_is_not_there(server: InMemoryServer, name: str) -> None:
    """No other file is served."""
    response = await server.http.request("GET", f"/_lamplighter/{name}")
    assert (response.status, response.json["errcode"]) == (404, "M_UNRECOGNIZED")


def test_everything_is_our_own() -> None:
    """The page loads nothing from elsewhere, and never turns text into markup."""
    for name in FILES:
        if name == "__pycache__":
            continue
        text = files(dashboard.__name__).joinpath(name).read_text()
        urls = set(re.findall(r"(?:https?:)?//[\w.]+", re.sub(r"(?m)^\s*//.*$", "", text)))
        assert urls <= {"http://www.w3.org"}, name
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\sstyle="
        assert not re.search(forbidden, text), name
