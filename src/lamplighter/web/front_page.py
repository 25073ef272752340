"""GET / and GET /.well-known/matrix/client: for people and clients that know only the address.

Implements <https://spec.matrix.org/latest/client-server-api/#getwell-knownmatrixclient>.
"""

import html
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter import __version__
from lamplighter.errors import NotFound
from lamplighter.ids import ServerName
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["FrontPage"]

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: a Matrix server</title>
</head>
<body>
<h1>{name}</h1>
<p>This is a <a href="https://matrix.org/">Matrix</a> server. It is made for programs: to use it,
log in with a <a href="https://matrix.org/ecosystem/clients/">Matrix client</a>,
and give it the address{address}.</p>
<ul>
<li><a href="_matrix/client/versions">The versions of Matrix that it speaks</a></li>
<li><a href="health">Whether it is well</a></li>{dashboard}
</ul>
<p>Lamplighter {version}, a presence server.</p>
</body>
</html>
"""
_DASHBOARD: Final = '\n<li><a href="_lamplighter/">The dashboard, for its operator</a></li>'
#: The page loads nothing, runs nothing, and cannot be framed.
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
}


class FrontPage:
    """Tells people what this is, and clients where the server is."""

    def __init__(
        self, server_name: ServerName, public_baseurl: str | None, *, has_dashboard: bool
    ) -> None:
        self._public_baseurl = public_baseurl
        address = (
            f" <code>{html.escape(public_baseurl)}</code>" if public_baseurl else " of this page"
        )
        self._page = _PAGE.format(
            name=html.escape(server_name),
            address=address,
            dashboard=_DASHBOARD if has_dashboard else "",
            version=html.escape(__version__),
        )

    def routes(self) -> list[Route]:
        return [
            MatrixRoute("GET", "/", self.page),
            MatrixRoute("GET", "/.well-known/matrix/client", self.client),
        ]

    async def page(self, _request: Request) -> Response:
        """Answer everybody."""
        return Response(self._page, headers=_HEADERS, media_type="text/html")

    async def client(self, _request: Request) -> Response:
        """Say where clients reach the server; 404 where the operator did not say."""
        if self._public_baseurl is None:
            raise NotFound("This server does not say where clients reach it")
        return json_response({"m.homeserver": {"base_url": self._public_baseurl}})
