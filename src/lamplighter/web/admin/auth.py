"""Access to the admin API: one token, whose hash is in the configuration."""

import hashlib
import hmac
import secrets

from starlette.requests import Request

from lamplighter.errors import MissingToken, UnknownToken
from lamplighter.web.access_log import AccessLog
from lamplighter.web.auth import access_token

__all__ = ["AdminAuth", "hash_of", "new_admin_token"]


def new_admin_token() -> str:
    """Return a token that nobody can guess."""
    return f"lamp_{secrets.token_urlsafe(32)}"


def hash_of(token: str) -> str:
    """Return the hash of *token* for the configuration: SHA-256, since the token is random."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class AdminAuth:
    """Checks that requests have the token with *token_hash*, and logs those that do not."""

    def __init__(self, token_hash: str, log: AccessLog) -> None:
        self._token_hash = token_hash
        self._log = log

    def check(self, request: Request) -> None:
        """Raise `MissingToken` or `UnknownToken` unless the header `Authorization` has the token.

        A token in the query does not count, because URLs are in many logs.
        """
        try:
            token = access_token(request.headers.raw, b"")
            if not hmac.compare_digest(hash_of(token), self._token_hash):
                raise UnknownToken("This is not the admin token")
        except (MissingToken, UnknownToken) as refusal:
            self._log.admin_refused(str(refusal), request)
            raise
