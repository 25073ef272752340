"""The files of the dashboard. How it works in a browser is in interop/test_dashboard.py."""

import re
from importlib.resources import files

from lamplighter.devtools.server import InMemoryServer
from lamplighter.web.admin import dashboard

FILES = sorted(it.name for it in files(dashboard.__name__).iterdir() if "py" not in it.name)
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


async def test_the_page(server: InMemoryServer) -> None:
    """The page needs no token; a request without the final slash is redirected."""
    page = await server.http.request("GET", "/_lamplighter/")
    named = await server.http.request("GET", "/_lamplighter/index.html")
    sent_on = await server.http.request("GET", "/_lamplighter")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body == named.body
    assert (sent_on.status, sent_on.headers["location"]) == (308, "/_lamplighter/")


async def test_files(server: InMemoryServer) -> None:
    """Each file has its media type, and headers that forbid anything from elsewhere."""
    for name in FILES:
        response = await server.http.request("GET", f"/_lamplighter/{name}")
        headers = response.headers
        assert response.status == 200
        assert headers["content-type"].partition(";")[0] == TYPES[name.rpartition(".")[2]]
        policy = dict(it.split(" ", 1) for it in headers["content-security-policy"].split("; "))
        ours = dict.fromkeys(["script-src", "style-src", "img-src", "connect-src"], "'self'")
        nowhere = ["default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types"]
        scripts = {"require-trusted-types-for": "'script'"}
        assert policy == ours | dict.fromkeys(nowhere, "'none'") | scripts
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_what_is_not_there(server: InMemoryServer) -> None:
    """No other file is served."""
    for name in ("__init__.py", "nothing.js", "../auth.py", "%2e%2e/auth.py"):
        response = await server.http.request("GET", f"/_lamplighter/{name}")
        assert (response.status, response.json["errcode"]) == (404, "M_UNRECOGNIZED")


def test_everything_is_our_own() -> None:
    """The page loads nothing from elsewhere, and never turns text into markup."""
    for name in FILES:
        text = files(dashboard.__name__).joinpath(name).read_text()
        urls = set(re.findall(r"(?:https?:)?//[\w.]+", re.sub(r"(?m)^\s*//.*$", "", text)))
        assert urls <= {"http://www.w3.org"}, name
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\sstyle="
        assert not re.search(forbidden, text), name
