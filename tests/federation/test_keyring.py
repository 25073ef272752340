"""Keys of other servers: which are valid, for how long, and how often they are fetched."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest
from signedjson.key import generate_signing_key
from signedjson.types import SigningKey

from lamplighter.clock import Timestamp, after
from lamplighter.errors import KeysUnavailable, RemoteUnreachable, UnknownKey
from lamplighter.federation.fetches import Fetches
from lamplighter.federation.keyring import Keyring, check_server_keys
from lamplighter.ids import ServerName
from tests.federation import signed
from tests.federation.signed import public

THERE: Final = ServerName("there.example")
NOW: Final = Timestamp(1_704_067_200_000)
HOUR: Final = timedelta(hours=1)
#: The network that sent the request to be verified.
ASKER: Final = "192.0.2.1"
ONE: Final = generate_signing_key("one")
TWO: Final = generate_signing_key("two")


def published(
    *keys: SigningKey, server: str = THERE, until: object = after(NOW, HOUR), **others: Any
) -> dict[str, Any]:
    """Return *keys* as *server* publishes them, valid for an hour by default."""
    return signed.published(server, *keys, until=until, **others)


class Servers:
    """Servers that publish *answers* in turn, while `open` is set; None is no answer."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)
        self.asked: list[ServerName] = []
        self.open = asyncio.Event()
        self.open.set()

    async def server_keys(self, server: ServerName) -> dict[str, Any]:
        self.asked.append(server)
        await self.open.wait()
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            raise RemoteUnreachable(f"{server} is dead")
        return answer


WEEK: Final = 7 * 24 * 3_600_000
DEAD: Final = "there.example is dead"
NONE: Final = "there.example has no valid key 'ed25519:{}'"
OLD: Final = {"ed25519:two": {"key": public(TWO), "expired_ts": NOW - 1}}


@pytest.mark.parametrize(
    ("answers", "questions", "fetches"),
    [
        # a key is fetched once, and used until it expires; then it is fetched again
        (
            [published(ONE), published(TWO, until=after(NOW, 2 * HOUR))],
            [("one", 0, "one"), ("one", 3_599_999, "one"), ("one", 3_600_000, NONE)],
            2,
        ),
        # keys that are published after their expiry are refused
        ([published(ONE)] * 2, [("one", 0, "one"), ("one", 3_600_000, NONE)], 2),
        # a key is used for at most a week, whatever validity its server gives it
        (
            [published(ONE, until=after(NOW, timedelta(days=400)))],
            [("one", 0, "one"), ("one", WEEK - 1, "one"), ("one", WEEK, DEAD)],
            2,
        ),
        # a key in `old_verify_keys` is refused, though it has signed the keys
        ([published(ONE, signed_by=(ONE, TWO), old_verify_keys=OLD)], [("two", 0, NONE)], 1),
        # made-up key IDs cause at most one fetch in ten seconds
        (
            [published(ONE), published(ONE, TWO)],
            [("made-up", 0, NONE), ("two", 9_999, NONE), ("two", 10_000, "two")],
            2,
        ),
        # a failed fetch is remembered for ten seconds, with its reason
        (
            [None, published(ONE)],
            [("one", 0, DEAD), ("one", 9_999, DEAD), ("one", 10_000, "one")],
            2,
        ),
        # a fetch for a made-up key that fails does not cost the valid key
        (
            [published(ONE), None],
            [("one", 0, "one"), ("made-up", 10_000, DEAD), ("one", 10_000, "one")],
            2,
        ),
    ],
)
async def test_when_keys_are_fetched(
    answers: list[dict[str, Any] | None], questions: list[tuple[str, int, str]], fetches: int
) -> None:
    """The keyring gives valid keys, or the reason why it has none, with as few fetches."""
    servers = Servers(*answers)
    keyring = Keyring(servers.server_keys)
    given = []
    for version, late, _ in questions:
        try:
            now = Timestamp(NOW + late)
            key = await keyring.verify_key(THERE, f"ed25519:{version}", now, ASKER)
            given.append(key.version)
        except UnknownKey as error:
            given.append(str(error))
    assert given == [expected.format(version) for version, _, expected in questions]
    assert servers.asked == [THERE] * fetches


async def test_many_who_wait_ask_once() -> None:
    """Requests at the same time share one fetch, and cancelling one does not cost the others."""
    servers = Servers(published(ONE))
    servers.open.clear()
    keyring = Keyring(servers.server_keys)
    waiting = [
        asyncio.create_task(keyring.verify_key(THERE, "ed25519:one", NOW, ASKER)) for _ in range(3)
    ]
    while not servers.asked:
        await asyncio.wait(waiting, timeout=0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    servers.open.set()
    keys = await asyncio.gather(*waiting[1:])
    assert keys[0] is keys[1]
    assert servers.asked == [THERE]


async def test_a_fetch_gives_way() -> None:
    """Requests whose fetch was displaced get a 503, and the next request causes a new fetch."""
    servers = Servers(published(ONE), published(ONE, server="slow.example"))
    servers.open.clear()
    keyring = Keyring(servers.server_keys, fetches=Fetches(1))
    slow = ServerName("slow.example")
    given_up = asyncio.create_task(keyring.verify_key(slow, "ed25519:one", NOW, "a"))
    while not servers.asked:
        await asyncio.wait([given_up], timeout=0)
    fast = asyncio.create_task(keyring.verify_key(THERE, "ed25519:one", NOW, "b"))
    with pytest.raises(KeysUnavailable, match=r"^slow\.example could not be asked for its keys$"):
        await given_up
    servers.open.set()
    assert (await fast).version == "one"
    assert (await keyring.verify_key(slow, "ed25519:one", NOW, "a")).version == "one"
    assert servers.asked == [slow, THERE, slow]


async def test_close() -> None:
    """A request that waits while the server stops gets an error, and no task is left."""
    servers = Servers()
    servers.open.clear()
    keyring = Keyring(servers.server_keys)
    waiting = asyncio.create_task(keyring.verify_key(THERE, "ed25519:one", NOW, ASKER))
    while not servers.asked:
        await asyncio.wait([waiting], timeout=0)
    await keyring.close()
    with pytest.raises(KeysUnavailable, match=r"^there\.example could not be asked for its keys$"):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_bounded() -> None:
    """Beyond the capacity the keys that were unused for longest are dropped."""
    names = [ServerName(f"{letter}.example") for letter in "aba"]
    servers = Servers(*(published(ONE, server=name) for name in names))
    keyring = Keyring(servers.server_keys, capacity=1)
    for name in names:
        await keyring.verify_key(name, "ed25519:one", NOW, ASKER)
    assert servers.asked == names


async def test_what_a_notary_gets() -> None:
    """A notary gets all keys as their server signed them, without a fetch."""
    servers = Servers(published(ONE))
    keyring = Keyring(servers.server_keys)
    assert keyring.known(THERE) is None
    await keyring.verify_key(THERE, "ed25519:one", NOW, ASKER)
    known = keyring.known(THERE)
    assert known is not None
    assert (known.content, servers.asked) == (published(ONE), [THERE])


NO_KEY: Final = "there.example publishes no key that has signed its keys"
NOT_AS_IT_SHOULD: Final = "there.example does not publish verify_keys as it should"
NO_VALIDITY: Final = "there.example does not say how long its keys are valid"
OTHERS_NAME: Final = "there.example publishes keys in another server's name"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, OTHERS_NAME),
        (published(ONE, server="evil.example"), OTHERS_NAME),
        (published(ONE, until="soon"), NO_VALIDITY),
        (published(ONE, until=True), NO_VALIDITY),
        (published(ONE, until=None), NO_VALIDITY),
        (published(ONE, verify_keys=[]), NOT_AS_IT_SHOULD),
        (
            published(ONE, verify_keys={f"ed25519:{n}": {"key": public(ONE)} for n in range(33)}),
            NOT_AS_IT_SHOULD,
        ),
        (published(ONE, verify_keys={"ed25519:one": public(ONE)}), NO_KEY),
        (published(ONE, verify_keys={"ed25519:one": {}}), NO_KEY),
        (published(ONE, verify_keys={"ed25519:one": {"key": 5}}), NO_KEY),
        (published(ONE, verify_keys={"ed25519:one": {"key": "QUJD"}}), NO_KEY),
        (published(ONE, verify_keys={"rsa:one": {"key": public(ONE)}}), NO_KEY),
        (published(ONE, verify_keys={"": {"key": public(ONE)}}), NO_KEY),
        (published(ONE, signed_by=()), NO_KEY),
        (published(ONE, signed_by=(TWO,)), NO_KEY),
        (published(ONE) | {"signatures": []}, NO_KEY),
        (published(ONE) | {"signatures": {"there.example": ["ed25519:one"]}}, NO_KEY),
        (published(ONE) | {"signatures": {"there.example": {"ed25519:one": 5}}}, NO_KEY),
        (published(ONE) | {"valid_until_ts": NOW}, NO_KEY),
        (published(ONE) | {"more": float("nan")}, NO_KEY),
    ],
)
def test_keys_that_are_refused(content: dict[str, Any], message: str) -> None:
    """Keys in another server's name, and unsigned, forged or malformed keys, are refused."""
    with pytest.raises(UnknownKey) as raised:
        check_server_keys(content, THERE, NOW)
    assert str(raised.value) == message


def test_keys_that_are_left_out() -> None:
    """A published key of an unknown algorithm, or that has not signed the keys, is left out."""
    both = {"ed25519:one": {"key": public(ONE)}, "ed448:x": {"key": "QUJD"}}
    for content in (published(ONE, TWO, signed_by=(ONE,)), published(ONE, verify_keys=both)):
        keys = check_server_keys(content, THERE, NOW)
        assert (list(keys.verify_keys), keys.valid_until_ts) == (["ed25519:one"], after(NOW, HOUR))
