"""The admin API of a running server, for commands: one request after the other."""

import http.client
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from lamplighter.errors import AdminUnavailable
from lamplighter.web.admin.openapi import MatrixError
from lamplighter.web.admin.operations import PREFIX
from lamplighter.web.admin.visibility_content import VisibilityContent, VisibilityPage

__all__ = ["TOKEN_VARIABLE", "AdminClient", "read_token"]

T = TypeVar("T")

#: The environment variable that may hold the token.
TOKEN_VARIABLE: Final = "LAMPLIGHTER_ADMIN_TOKEN"
#: In seconds: longer than a server may wait for its modules.
_TIMEOUT: Final = 60
#: A longer answer is not from a Lamplighter server.
_MOST: Final = 64 * 1024 * 1024
_CONNECTIONS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


def read_token(path: Path | None) -> str:
    """Return the token from the file at *path*, or from the environment.

    Raises `AdminUnavailable` if there is none.
    """
    if path is None:
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            raise AdminUnavailable(f"no admin token: give --token-file, or set {TOKEN_VARIABLE}")
        return token.strip()
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise AdminUnavailable(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token or len(token.split()) != 1:
        raise AdminUnavailable(f"{path}: is no file with a token and nothing else")
    return token


class AdminClient:
    """Sends requests to the admin API of the server at *url*, with *token*."""

    def __init__(self, url: str, token: str) -> None:
        """Raise `AdminUnavailable` if *url* is not the address of a server."""
        self._url = url.rstrip("/")
        self._parts = _parts(url)
        self._token = token

    def get(self, path: str, query: Mapping[str, str], shape: type[T]) -> T:
        """Return the answer to a GET request; raise `AdminUnavailable` if there is none."""
        status, body = self._request("GET", f"{PREFIX}{path}?{urlencode(query)}")
        return self._content(status, body, shape)

    def post(self, path: str, content: Mapping[str, object]) -> None:
        """Send a POST request; raise `AdminUnavailable` if it does not succeed."""
        status, body = self._request("POST", PREFIX + path, msgspec.json.encode(content))
        self._content(status, body, dict)

    def _content(self, status: int, body: bytes, shape: type[T]) -> T:
        if status != 200:
            raise self._refusal(status, body)
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.DecodeError:
            raise AdminUnavailable(f"{self._url}: answers, but not as Lamplighter does") from None

    def visibility(self, path: str, query: Mapping[str, str]) -> Iterator[VisibilityContent]:
        """Yield all entries of a list, page by page."""
        start: dict[str, str] = {}
        while True:
            page = self.get(path, {**query, "limit": "500", **start}, VisibilityPage)
            yield from page.sights
            if page.next_batch is None:
                return
            start = {"from": page.next_batch}

    def _request(self, method: str, target: str, content: bytes = b"") -> tuple[int, bytes]:
        kind = _CONNECTIONS[self._parts.scheme]
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT)
        try:
            path = self._parts.path.rstrip("/") + target
            headers = {"Authorization": f"Bearer {self._token}"}
            connection.request(method, path, content or None, headers)
            response = connection.getresponse()
            return response.status, response.read(_MOST)
        except OSError as error:
            problem = error.strerror or str(error) or type(error).__name__
            raise AdminUnavailable(f"{self._url}: cannot be reached: {problem}") from None
        except (http.client.HTTPException, ValueError):
            raise AdminUnavailable(f"{self._url}: answers, but not in HTTP") from None
        finally:
            connection.close()

    def _refusal(self, status: int, body: bytes) -> AdminUnavailable:
        try:
            error = msgspec.json.decode(body, type=MatrixError)
        except msgspec.DecodeError:
            return AdminUnavailable(f"{self._url}: answers {status}, but not as Lamplighter does")
        if status == 401:
            return AdminUnavailable(f"{self._url}: does not accept this admin token")
        if (status, error.errcode) == (404, "M_UNRECOGNIZED"):
            advice = "set admin.token_hash there; `lamplighter admin-token` makes one"
            return AdminUnavailable(f"{self._url}: has no admin API: {advice}")
        return AdminUnavailable(f"{self._url}: {error.error} ({error.errcode})")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in _CONNECTIONS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or not url.isascii() or not url.isprintable():
        raise AdminUnavailable(f"--url: {url!r} is not the address of a server")
    return parts
