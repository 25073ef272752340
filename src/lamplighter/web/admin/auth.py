"""Who may use the admin API: whoever has the one token whose hash the configuration has."""

import hashlib
import hmac
import secrets

from starlette.requests import Request

from lamplighter.errors import MissingToken, UnknownToken
from lamplighter.web.access_log import AccessLog
from lamplighter.web.auth import access_token

__all__ = ["AdminAuth", "hash_of", "new_token"]


def new_token() -> str:
    """Return a token that nobody can guess."""
    return f"lamp_{secrets.token_urlsafe(32)}"


def hash_of(token: str) -> str:
    """Return what the configuration keeps of a token. It is random, so a plain SHA-256 will do."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class AdminAuth:
    """Lets those in who have the token with this hash."""

    def __init__(self, token_hash: str, log: AccessLog) -> None:
        self._token_hash = token_hash
        self._log = log

    def check(self, request: Request) -> None:
        """Raise `MissingToken` or `UnknownToken` unless the header `Authorization` has the token.

        It is not looked for in the query: URLs are written down in too many places. Refusals are
        logged.
        """
        try:
            self._check(request)
        except (MissingToken, UnknownToken) as refusal:
            self._log.admin_refused(str(refusal), request)
            raise

    def _check(self, request: Request) -> None:
        token = access_token(request.headers.raw, b"")
        # Of two hashes even their first difference says nothing about the token; all the same.
        if not hmac.compare_digest(hash_of(token), self._token_hash):
            raise UnknownToken("This is not the admin token")
