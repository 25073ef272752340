"""Access tokens: given out once, stored hashed, recognised by one dict look-up.

The tokens in use are the memory of one process, which does not read them again. It would not learn
of a log-out by another process. So commands that log devices out ask a running server to do it.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from lamplighter.clock import Timestamp
from lamplighter.database.tables import devices
from lamplighter.errors import UnknownToken
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester

__all__ = ["AccessTokens", "hash_token", "new_token"]


def new_token() -> str:
    """Return an access token that nobody can guess."""
    return secrets.token_urlsafe(32)


def hash_token(access_token: str) -> str:
    """Return the hash of an access token. A token is random, so a plain SHA-256 protects it."""
    return hashlib.sha256(access_token.encode(errors="replace")).hexdigest()


@dataclass(slots=True)
class _InUse:
    requester: Requester
    last_seen_ts: Timestamp


class AccessTokens:
    """Knows the devices to which access tokens belong."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: The tokens in use, by the token itself. Tokens that do not exist take no memory.
        self._in_use: dict[str, _InUse] = {}
        self._by_hash: dict[str, str] = {}
        self._revocations = 0

    async def authenticate(self, access_token: str, _query: str = "") -> Requester:
        """Return the device whose token it is; raise `UnknownToken`."""
        return self.requester_in_use(access_token) or await self._look_up(access_token)

    def requester_in_use(self, access_token: str, _query: str = "") -> Requester | None:
        """Return the device whose token it is, if the token was used in this process."""
        known = self._in_use.get(access_token)
        if known is None:
            return None
        known.last_seen_ts = self._ledger.now()
        return known.requester

    def last_seen(self, token_hash: str) -> Timestamp | None:
        """Return when the token was last used, if it was since the process started."""
        token = self._by_hash.get(token_hash)
        return None if token is None else self._in_use[token].last_seen_ts

    def revoke(self, token_hashes: Iterable[str]) -> None:
        """Forget tokens that are no longer stored."""
        self._revocations += 1
        for token_hash in token_hashes:
            token = self._by_hash.pop(token_hash, None)
            if token is not None:
                del self._in_use[token]

    async def _look_up(self, access_token: str) -> Requester:
        token_hash = hash_token(access_token)
        while True:
            revocations = self._revocations
            query = select(devices).where(devices.c.token_hash == token_hash)
            async with self._ledger.read() as connection:
                row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise UnknownToken("Unknown access token")
            if revocations == self._revocations:  # else it may have been revoked as we read
                requester = Requester(UserId(row.user_id), DeviceId(row.device_id))
                self._in_use[access_token] = _InUse(requester, self._ledger.now())
                self._by_hash[token_hash] = access_token
                return requester
