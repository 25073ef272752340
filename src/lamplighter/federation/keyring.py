"""Other servers' keys: asked for, checked, and believed for as long as they are valid.

Implements <https://spec.matrix.org/latest/server-server-api/#retrieving-server-keys>, without
notaries: each server is asked itself.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from signedjson.key import decode_verify_key_base64, is_signing_algorithm_supported
from signedjson.types import VerifyKey

from lamplighter.clock import Timestamp, after
from lamplighter.domains import registrable_domain
from lamplighter.errors import FederationError, KeysUnavailable, UnknownKey
from lamplighter.federation.fetches import Fetches
from lamplighter.federation.signing import BadSignature, verify
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from lamplighter.recent import Recent

__all__ = ["KeyFetcher", "Keyring", "ServerKeys", "check_server_keys"]

#: However long a server says that its keys are valid, after this they are asked for again.
MAX_VALIDITY: Final = timedelta(days=7)
#: A server is not asked more often than this, whatever comes in its name. Who signs with a new key
#: sooner after we asked is refused, so it is shorter than any server takes to restart twice.
PAUSE: Final = timedelta(seconds=10)
#: More keys than these no server needs.
MAX_KEYS: Final = 32


class KeyFetcher(Protocol):
    """What asks a server for its keys."""

    async def server_keys(self, server: ServerName) -> Json:
        """Return what *server* answers to `GET /_matrix/key/v2/server`, unchecked.

        Raises `FederationError` where it answers nothing of use.
        """


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a server has published of its keys, checked."""

    verify_keys: dict[str, VerifyKey]
    valid_until_ts: Timestamp
    #: The content as the server signed it, for those who ask us as a notary.
    content: Json


def check_server_keys(content: Json, server: ServerName, now: Timestamp) -> ServerKeys:
    """Return the keys in *content* which *server* published and signed with each of them.

    They are valid for 7 days at most. `old_verify_keys` are of no use for requests, and left
    where they are. Raises `UnknownKey` where there is no key to be believed.
    """
    until = content.get("valid_until_ts")
    published = content.get("verify_keys")
    if content.get("server_name") != server:
        raise UnknownKey(f"{server} publishes keys in another server's name")
    if not isinstance(until, int) or isinstance(until, bool):
        raise UnknownKey(f"{server} does not say how long its keys are valid")
    if not isinstance(published, dict) or len(published) > MAX_KEYS:
        raise UnknownKey(f"{server} does not publish verify_keys as it should")
    signed = {
        key_id: key
        for key_id, entry in published.items()
        if (key := _decode(key_id, entry)) is not None and _has_signed(content, server, key)
    }
    if not signed:
        raise UnknownKey(f"{server} publishes no key that has signed its keys")
    return ServerKeys(signed, min(Timestamp(until), after(now, MAX_VALIDITY)), content)


class Keyring:
    """The keys of at most *capacity* other servers, each asked for once at a time.

    A server that was asked, with or without success, is left alone for a while: neither made-up
    key IDs nor dead servers make us ask all the time. `fetches.py` says how many are asked at once.
    """

    def __init__(
        self, fetcher: KeyFetcher, *, capacity: int = 2000, fetches: Fetches | None = None
    ) -> None:
        self._fetcher = fetcher
        self._fetches = Fetches() if fetches is None else fetches
        self._keys: Recent[ServerName, ServerKeys] = Recent(capacity, registrable_domain)
        #: When a server was last asked, and what was wrong with its answer, if anything.
        self._asked: Recent[ServerName, tuple[Timestamp, UnknownKey | None]] = Recent(
            capacity, registrable_domain
        )

    async def verify_key(
        self, server: ServerName, key_id: str, now: Timestamp, asker: str
    ) -> VerifyKey:
        """Return the key *key_id* of *server*, valid now for requests.

        *asker* is the network from which the request came that is to be verified. Raises
        `UnknownKey` where the server has no such key, `KeysUnavailable` where the server cannot be
        asked.
        """
        key = self._valid_key(server, key_id, now)
        if key is None:
            await self._ask(server, now, asker)
            key = self._valid_key(server, key_id, now)
        if key is None:
            raise self._fault(server) or UnknownKey(f"{server} has no valid key {key_id[:60]!r}")
        return key

    def known(self, server: ServerName) -> ServerKeys | None:
        """Return the keys of *server* as they were last fetched, valid or not; None if never."""
        return self._keys.get(server)

    async def close(self) -> None:
        """Ask no longer; who still waits is told that there is no key."""
        await self._fetches.close()

    def _valid_key(self, server: ServerName, key_id: str, now: Timestamp) -> VerifyKey | None:
        known = self._keys.get(server)
        if known is None or known.valid_until_ts <= now:
            return None
        return known.verify_keys.get(key_id)

    def _fault(self, server: ServerName) -> UnknownKey | None:
        """Return what is wrong with the server, new: raised twice, it would tell of both."""
        asked = self._asked.get(server)
        fault = asked[1] if asked else KeysUnavailable(f"{server} could not be asked for its keys")
        return type(fault)(*fault.args) if fault else None

    async def _ask(self, server: ServerName, now: Timestamp, asker: str) -> None:
        """Ask *server*, or wait for the answer that somebody else is waiting for."""
        task = self._fetches.of(server)
        if task is None:
            asked = self._asked.get(server)
            if asked is not None and now < after(asked[0], PAUSE):
                return
            task = asyncio.create_task(self._fetch(server, now))
            self._fetches.begin(server, asker, task)
        # Not `await task`: that one who waits gives up must not cost the others the answer.
        await asyncio.wait([task])

    async def _fetch(self, server: ServerName, now: Timestamp) -> None:
        fault: UnknownKey | None = None
        try:
            content = await self._fetcher.server_keys(server)
            self._keys.put(server, check_server_keys(content, server, now))
        # What was published before stays valid for as long as it was said to be.
        except UnknownKey as error:
            fault = error
        except FederationError as error:
            fault = KeysUnavailable(str(error))
        self._asked.put(server, (now, fault))


def _decode(key_id: str, entry: object) -> VerifyKey | None:
    if not is_signing_algorithm_supported(key_id) or not isinstance(entry, dict):
        return None
    algorithm, _, version = key_id.partition(":")
    try:
        return decode_verify_key_base64(algorithm, version, entry["key"])
    except Exception:  # noqa: BLE001 - base64 and PyNaCl each raise errors of their own
        return None


def _has_signed(content: Json, server: ServerName, key: VerifyKey) -> bool:
    try:
        verify(content, server, key)
    except BadSignature:
        return False
    return True
