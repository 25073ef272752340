"""GET / and GET /.well-known/matrix/client."""

from html.parser import HTMLParser

import pytest

from lamplighter.devtools.server import running_server
from tests.web.admin.operator import ADMIN_CONFIG

BASE = "public_baseurl: https://matrix.example.org\n"


class Links(HTMLParser):
    """Reads where a page leads to, and which elements are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.elements: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.mark.parametrize(
    ("config", "content"),
    [
        (BASE, {"m.homeserver": {"base_url": "https://matrix.example.org/"}}),
        (
            "",
            {
                "errcode": "M_NOT_FOUND",
                "error": "This server does not say where clients reach it",
            },
        ),
    ],
)
async def test_where_clients_reach_the_server(config: str, content: dict[str, object]) -> None:
    """Discovery says `public_baseurl`, to scripts of every page too; without it there is none."""
    async with running_server(config=config) as server:
        response = await server.http.request("GET", "/.well-known/matrix/client")
    assert (response.status, response.json) == (200 if config else 404, content)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("config", ["", BASE, ADMIN_CONFIG, BASE + ADMIN_CONFIG])
async def test_the_page_says_what_this_is(config: str) -> None:
    """The page is small, names server and address, runs nothing; all of its own links lead on."""
    async with running_server(config=config) as server:
        response = await server.http.request("GET", "/")
        page, links = response.body.decode(), Links()
        links.feed(page)
        own = [it for it in links.links if "://" not in it]
        statuses = [(await server.http.request("GET", f"/{it}")).status for it in own]
    assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert len(page) < 2_000
    assert not links.elements & {"script", "style", "img", "form", "iframe", "link"}
    assert set(statuses) == {200}
    assert ("_lamplighter/" in own) == (ADMIN_CONFIG in config)
    assert ("https://matrix.example.org/" in page) == (BASE in config)
