"""GET /_lamplighter/: the dashboard, a page for the operator.

The page consists of the files in this directory, which are sent unchanged. They hold no secret: the
page asks the operator for the admin token, and sends it to the admin API.
"""

from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lamplighter.web.routes import MatrixRoute, Route

__all__ = ["Dashboard"]

_AT: Final = "/_lamplighter/"
_PAGE: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: The page may load only files from this server, and run no inline script.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


class Dashboard:
    """Serves the page and its files."""

    def __init__(self) -> None:
        found = [it for it in files(__name__).iterdir() if _suffix(it.name) in _TYPES]
        self._files = {it.name: it.read_bytes() for it in found}

    def routes(self) -> list[Route]:
        return [
            MatrixRoute("GET", _AT.rstrip("/"), self.redirect),
            *(MatrixRoute("GET", f"{_AT}{name}", self.get) for name in self._files),
            MatrixRoute("GET", _AT, self.get),
        ]

    async def redirect(self, _request: Request) -> Response:
        """Redirect a request without the final slash to the page."""
        return RedirectResponse(_AT, 308)

    async def get(self, request: Request) -> Response:
        """Return the page, or one of its files."""
        name = request.url.path.removeprefix(_AT) or _PAGE
        return Response(self._files[name], headers=_HEADERS, media_type=_TYPES[_suffix(name)])


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"
