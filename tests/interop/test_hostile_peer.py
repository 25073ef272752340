"""Requests of a hostile server: they are refused, and nobody else is disturbed.

Which headers and bodies are refused is in `tests/web/federation/`; the answers of a hostile server
are in `test_hostile_answers.py`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from signedjson.key import generate_signing_key

from tests.federation_interop.peer import presence_edu
from tests.federation_interop.people import news_of
from tests.interop.arena import Arena, open_arena, said
from tests.interop.hostile_peer import (
    SEND,
    Refusal,
    abort,
    head,
    refusal,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN: Final = Refusal(200, None)
NOT_PROVEN: Final = Refusal(401, "M_UNAUTHORIZED")
TOO_LARGE: Final = Refusal(413, "M_TOO_LARGE")
#: Far more than the server reads of a body, and what sockets hold besides.
MUCH: Final = 16 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """One server for all of this file; the other servers run before it does."""
    async with open_arena(tmp_path_factory.mktemp("arena")) as arena:
        yield arena


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _still_serves(arena: Arena) -> AsyncIterator[None]:
    """After each test the server serves others as before."""
    yield
    await arena.exchanges()


URI: Final = SEND + "forged"


async def test_in_anothers_name(arena: Arena) -> None:
    """Nobody speaks for another server, by whatever key; and nobody but it for this one."""
    carol, status = arena.healthy.user("carol"), arena.fresh()
    await arena.hears(carol, arena.healthy, status)
    edu = said(carol, "forged")
    refusals = []
    for origin in (arena.healthy.name, arena.name):
        for version in ("evil", "peer"):
            content = arena.hostile.transaction(edu, origin=origin)
            header = arena.hostile.authorization(
                URI, content, arena.name, origin=origin, key=generate_signing_key(version)
            )
            body = json.dumps(content).encode()
            refusals.append(await arena.hostile.put(arena.name, URI, body, header))
    own = Refusal(403, "M_FORBIDDEN")
    assert refusals == [NOT_PROVEN, NOT_PROVEN, own, own]
    # Its own signature is good for its own users only.
    assert await arena.hostile.send(arena.name, "foreign", edu) == TAKEN
    assert await arena.status_of(carol) == status


async def test_replay(arena: Arena) -> None:
    """A transaction that comes again is answered as before, and not taken a second time."""
    peer, mallory = arena.hostile, arena.hostile.user("mallory")
    content = peer.transaction(said(mallory, "once"))
    header = peer.authorization(SEND + "once", content, arena.name)
    body = json.dumps(content).encode()
    assert await peer.put(arena.name, SEND + "once", body, header) == TAKEN
    assert (await news_of(mallory, arena.people["alice"]))["status_msg"] == "once"
    status = arena.fresh()
    await arena.hears(mallory, peer, status)
    assert await peer.put(arena.name, SEND + "once", body, header) == TAKEN
    assert await arena.status_of(mallory) == status


async def test_good_ones_among_bad_ones(arena: Arena) -> None:
    """A misshapen part of a transaction is left out; the parts beside it count."""
    peer, mallory, status = arena.hostile, arena.hostile.user("mallory"), arena.fresh()
    bad: list[Any] = [
        None,
        [],
        "m.presence",
        {},
        {"edu_type": "m.presence"},
        {"edu_type": ["m.presence"], "content": {}},
        {"edu_type": "m.presence", "content": {"push": {}}},
        {"edu_type": "m.typing", "content": {"push": [{"user_id": mallory}]}},
        presence_edu(mallory, "asleep", status_msg="forged"),
        presence_edu(mallory, "busy", status_msg="forged"),
        said(arena.healthy.user("carol"), "forged"),
        presence_edu(f"@alice:{arena.name}", "offline", status_msg="forged"),
        said("mallory", "forged"),
    ]
    # What is odd in these costs the field only.
    odd = [
        said(mallory, "x" * 10_000),
        said(mallory, "", status_msg=["forged"]),
        said(mallory, "odd", last_active_ago=-1),
        said(mallory, "odd", last_active_ago=10**15),
        said(mallory, "odd", currently_active="yes"),
    ]
    good = said(mallory, status)
    entries = [entry for edu in bad[8:] for entry in edu["content"]["push"]]
    good["content"]["push"] = [None, 5, *entries, *good["content"]["push"], *entries]
    assert await peer.send(arena.name, "mixed", *bad, *odd, good, *bad) == TAKEN
    alice = arena.people["alice"]
    assert (await news_of(mallory, alice))["status_msg"] == status
    assert (await alice.status()).json.get("status_msg") != "forged"


async def test_more_than_a_transaction_may_be(arena: Arena) -> None:
    """A body of more than 5 MiB is refused, at its announcement or as soon as it is longer."""
    peer, chunk = arena.hostile, b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    signed = {"Authorization": peer.authorization(URI, {}, arena.name)}
    before = arena.server.memory
    announced = head(URI, {**signed, "Content-Length": str(5 * 1024 * 1024 + 1)})
    assert refusal(await peer.raw(arena.name, announced)) == TOO_LARGE
    for headers in (signed, {}):
        flowing = head(URI, {**headers, "Transfer-Encoding": "chunked"})
        assert await peer.flood(arena.name, flowing, chunk, 4 * MUCH) < MUCH
    assert arena.server.memory - before < 2 * MUCH


async def test_who_never_comes_to_an_end(arena: Arena) -> None:
    """Hundreds of connections with half a handshake, head or body keep nobody from being served.

    They are given up, the half handshakes first; with them goes all that was kept of them.
    """
    peer, before = arena.hostile, await arena.open_files()
    host, _, port = arena.name.rpartition(":")
    handshakes = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
    for number, (_, writer) in enumerate(handshakes):
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[: number % 12])
    signed = {"Authorization": peer.authorization(URI, {}, arena.name), "Content-Length": "1000"}
    request = head(URI, signed) + b'{"edus": [' + b" " * 500
    slow = [await peer.connect(arena.name) for _ in range(100)]
    for number, (_, writer) in enumerate(slow):
        writer.write(request[: 1 + number * len(request) // 100])
    for byte in request[1:]:  # one of them goes on, byte by byte
        slow[0][1].write(bytes([byte]))
        await slow[0][1].drain()
    await arena.exchanges()
    assert await arena.open_files() >= before + 100
    assert [await reader.read() for reader, _ in handshakes] == [b""] * 50
    for _, writer in (*handshakes, *slow):
        abort(writer)
    for _ in range(10_000):
        if await arena.open_files() <= before + 10:
            return
    raise AssertionError("connections are kept that nobody has")


async def test_what_is_no_tls(arena: Arena) -> None:
    """A connection without TLS is closed."""
    host, _, port = arena.name.rpartition(":")
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 1000):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(nonsense)
        assert not (await reader.read()).startswith(b"HTTP/")
        abort(writer)
