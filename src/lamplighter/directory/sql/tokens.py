"""Access tokens: given out once, kept hashed, recognised by one dict look-up."""

import hashlib
import secrets
from collections.abc import Iterable

from sqlalchemy import select

from lamplighter.clock import Timestamp
from lamplighter.database.tables import devices
from lamplighter.directory.sql.ledger import Ledger
from lamplighter.errors import UnknownToken
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester

__all__ = ["Tokens", "hash_token", "new_token"]


def new_token() -> str:
    """Return an access token that nobody can guess."""
    return secrets.token_urlsafe(32)


def hash_token(access_token: str) -> str:
    """Return what is kept of an access token. It is random, so a plain SHA-256 protects it."""
    return hashlib.sha256(access_token.encode(errors="replace")).hexdigest()


class Tokens:
    """Knows whose the access tokens in use are."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: By the token's hash. Tokens that do not exist are not remembered.
        self._requesters: dict[str, Requester] = {}
        self._last_seen: dict[str, Timestamp] = {}
        self._revocations = 0

    async def authenticate(self, access_token: str) -> Requester:
        """Return whose token it is; raise `UnknownToken`."""
        requester = self.requester_in_use(access_token)
        if requester is None:
            token_hash = hash_token(access_token)
            requester = await self._look_up(token_hash)
            self._last_seen[token_hash] = self._ledger.now()
        return requester

    def requester_in_use(self, access_token: str) -> Requester | None:
        """Return whose token it is, if it has been used before."""
        token_hash = hash_token(access_token)
        requester = self._requesters.get(token_hash)
        if requester is not None:
            self._last_seen[token_hash] = self._ledger.now()
        return requester

    def last_seen(self, token_hash: str) -> Timestamp | None:
        """Return when the token was last used, if it was since the process started."""
        return self._last_seen.get(token_hash)

    def revoke(self, token_hashes: Iterable[str]) -> None:
        """Forget tokens that are no longer stored."""
        self._revocations += 1
        for token_hash in token_hashes:
            self._requesters.pop(token_hash, None)
            self._last_seen.pop(token_hash, None)

    async def _look_up(self, token_hash: str) -> Requester:
        while True:
            revocations = self._revocations
            requester = await self._read(token_hash)
            if revocations == self._revocations:  # else it may have been revoked as we read
                self._requesters[token_hash] = requester
                return requester

    async def _read(self, token_hash: str) -> Requester:
        query = select(devices).where(devices.c.token_hash == token_hash)
        async with self._ledger.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise UnknownToken("Unknown access token")
        return Requester(UserId(row.user_id), DeviceId(row.device_id))
