"""The signing keys of other servers: fetched, checked, and used while they are valid.

Implements <https://spec.matrix.org/latest/server-server-api/#retrieving-server-keys>, without
notaries: this server asks each server for its own keys.

Anybody can send a request in the name of any server, with any key ID, and so make this server ask
for keys. Three rules bound the work:

- One fetch per server at a time. Requests that need a key of the server wait for the same fetch.
- After a fetch, successful or not, the server is not asked again for `PAUSE`. A request that needs
  an unknown key meanwhile is refused at once, with the reason why the last fetch failed, if it did.
- `fetches.py` bounds how many fetches are under way at once, and shares them fairly.

Example: 1,000 requests arrive in the name of `there.example`, each with another made-up key ID. The
first makes this server ask `there.example`; all of them wait for that one answer, and all are
refused. For the next ten seconds, further ones are refused without a fetch.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

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

__all__ = ["Keyring", "ServerKeys", "check_server_keys"]

#: The longest time for which keys are used, whatever validity their server gives them.
MAX_VALIDITY: Final = timedelta(days=7)
#: The least time between two fetches from one server. A server that restarts with a new key within
#: the pause is refused until its end, so the pause is shorter than two restarts take.
PAUSE: Final = timedelta(seconds=10)
#: The greatest number of keys that a server may publish.
MAX_KEYS: Final = 32


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """The keys that a server has published, checked."""

    verify_keys: dict[str, VerifyKey]
    valid_until_ts: Timestamp
    #: The content as the server signed it; this server passes it on as a notary.
    content: Json


def check_server_keys(content: Json, server: ServerName, now: Timestamp) -> ServerKeys:
    """Return the keys in *content* that have signed *content*, which *server* has published.

    Keys are valid for at most 7 days. `old_verify_keys` cannot sign requests and are ignored.
    Raises `UnknownKey` if there is no such key.
    """
    until = content.get("valid_until_ts")
    published = content.get("verify_keys")
    if content.get("server_name") != server:
        raise UnknownKey(f"{server} publishes keys in another server's name")
    if not isinstance(until, int) or isinstance(until, bool):
        raise UnknownKey(f"{server} does not say how long its keys are valid")
    if not isinstance(published, dict) or len(published) > MAX_KEYS:
        raise UnknownKey(f"{server} does not publish verify_keys as it should")
    signed: dict[str, VerifyKey] = {}
    for key_id, entry in published.items():
        algorithm, _, version = key_id.partition(":")
        if not is_signing_algorithm_supported(key_id) or not isinstance(entry, dict):
            continue
        try:
            key = decode_verify_key_base64(algorithm, version, entry["key"])
        except Exception:  # noqa: BLE001 - base64 and PyNaCl each raise errors of their own
            continue
        with suppress(BadSignature):
            verify(content, server, key)
            signed[key_id] = key
    if not signed:
        raise UnknownKey(f"{server} publishes no key that has signed its keys")
    return ServerKeys(signed, min(Timestamp(until), after(now, MAX_VALIDITY)), content)


class Keyring:
    """The keys of at most *capacity* other servers.

    *server_keys* is `FederationClient.server_keys`.
    """

    def __init__(
        self,
        server_keys: Callable[[ServerName], Awaitable[Json]],
        *,
        capacity: int = 2000,
        fetches: Fetches | None = None,
    ) -> None:
        self._server_keys = server_keys
        self._fetches = Fetches() if fetches is None else fetches
        self._keys: Recent[ServerName, ServerKeys] = Recent(capacity, registrable_domain)
        #: When a server was last asked, and the fault of its answer, if there was one.
        self._asked: Recent[ServerName, tuple[Timestamp, UnknownKey | None]] = Recent(
            capacity, registrable_domain
        )

    async def verify_key(
        self, server: ServerName, key_id: str, now: Timestamp, asker: str
    ) -> VerifyKey:
        """Return the key *key_id* of *server*, which is valid now.

        *asker* is the network that sent the request to be verified. Raises `UnknownKey` if the
        server has no such key, and `KeysUnavailable` if the server cannot be asked.
        """
        key = self._valid_key(server, key_id, now)
        if key is None:
            await self._ask(server, now, asker)
            key = self._valid_key(server, key_id, now)
        if key is not None:
            return key
        asked = self._asked.get(server)
        fault = asked[1] if asked else KeysUnavailable(f"{server} could not be asked for its keys")
        if fault is None:
            raise UnknownKey(f"{server} has no valid key {key_id[:60]!r}")
        # A new exception each time: one that is raised twice collects both tracebacks.
        raise type(fault)(*fault.args)

    def known(self, server: ServerName) -> ServerKeys | None:
        """Return the last fetched keys of *server*, valid or not; None if there are none."""
        return self._keys.get(server)

    async def close(self) -> None:
        """Cancel all fetches. Callers that wait for one get `KeysUnavailable`."""
        await self._fetches.close()

    def _valid_key(self, server: ServerName, key_id: str, now: Timestamp) -> VerifyKey | None:
        known = self._keys.get(server)
        if known is None or known.valid_until_ts <= now:
            return None
        return known.verify_keys.get(key_id)

    async def _ask(self, server: ServerName, now: Timestamp, asker: str) -> None:
        """Fetch the keys of *server*, or wait for the fetch under way, or return in the pause."""
        task = self._fetches.of(server)
        if task is None:
            asked = self._asked.get(server)
            if asked is not None and now < after(asked[0], PAUSE):
                return
            task = asyncio.create_task(self._fetch(server, now))
            self._fetches.begin(server, asker, task)
        # Not `await task`: cancelling one caller would cancel the fetch for all of them.
        await asyncio.wait([task])

    async def _fetch(self, server: ServerName, now: Timestamp) -> None:
        fault: UnknownKey | None = None
        try:
            content = await self._server_keys(server)
            self._keys.put(server, check_server_keys(content, server, now))
        # Keys that were fetched before stay in use until they expire.
        except UnknownKey as error:
            fault = error
        except FederationError as error:
            fault = KeysUnavailable(str(error))
        self._asked.put(server, (now, fault))
