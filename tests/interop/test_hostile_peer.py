"""Requests of a hostile server: they are refused, and nobody else is disturbed.

The answers of such a server are in `test_hostile_answers.py`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
import pytest_asyncio
from signedjson.key import generate_signing_key

from tests.federation_interop.peer import presence_edu
from tests.federation_interop.people import news_of
from tests.interop.arena import Arena, open_arena, said
from tests.interop.hostile_peer import (
    SEND,
    HostilePeer,
    Refusal,
    abort,
    head,
    refusal,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN: Final = Refusal(200, None)
NOT_PROVEN: Final = Refusal(401, "M_UNAUTHORIZED")
BAD_JSON: Final = Refusal(400, "M_BAD_JSON")
NO_JSON: Final = Refusal(400, "M_NOT_JSON")
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
#: Each makes a header for what it is given: a peer, a body, and whom the request goes to.
Forgery = Callable[[HostilePeer, Any, str], str]
FORGERIES: Final[dict[str, Forgery]] = {
    "nothing": lambda _peer, _content, _to: "",
    "another scheme": lambda _peer, _content, _to: "Bearer aaaa",
    "half of it": lambda peer, content, to: peer.authorization(URI, content, to)[:-30],
    "twice": lambda peer, content, to: peer.authorization(URI, content, to) + ',origin="a.example"',
    "a huge one": lambda peer, content, to: peer.authorization(URI, content, to) + ",a=" * 4000,
    "another key": lambda peer, content, to: peer.authorization(
        URI, content, to, key=generate_signing_key("evil")
    ),
    "an unknown key": lambda peer, content, to: peer.authorization(
        URI, content, to, key=generate_signing_key("other")
    ),
    "another body": lambda peer, content, to: peer.authorization(
        URI, {**content, "pdus": [{}]}, to
    ),
    "another path": lambda peer, content, to: peer.authorization(SEND + "other", content, to),
    "to somebody else": lambda peer, content, _to: peer.authorization(URI, content, "a.example"),
    "readdressed": lambda peer, content, to: peer.authorization(URI, content, "a.example").replace(
        "a.example", to
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_who_is_not_who_it_says(arena: Arena, forgery: str) -> None:
    """A request that its origin has not signed, as it is and for this server, is refused."""
    mallory, status = arena.hostile.user("mallory"), arena.fresh()
    await arena.hears(mallory, arena.hostile, status)
    content = arena.hostile.transaction(said(mallory, "forged"))
    header = FORGERIES[forgery](arena.hostile, content, arena.name)
    refused = await arena.hostile.put(arena.name, URI, json.dumps(content).encode(), header)
    assert refused == NOT_PROVEN
    assert await arena.status_of(mallory) == status


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


MISSHAPEN: Final[dict[str, dict[str, Any]]] = {
    "another's": {"origin": "a.example"},
    "nobody's": {"origin": None},
    "of no time": {"origin_server_ts": "now"},
    "too many EDUs": {"edus": [{}] * 101},
    "too many PDUs": {"pdus": [{}] * 51},
    "no array": {"edus": {"0": {}}},
}


@pytest.mark.parametrize("altered", MISSHAPEN)
async def test_a_transaction_that_is_none(arena: Arena, altered: str) -> None:
    """A transaction that is signed, but not of the shape that it should be, is told so."""
    refused = await arena.hostile.send(arena.name, "misshapen", **MISSHAPEN[altered])
    assert refused == BAD_JSON


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", NO_JSON),
        (b"{", NO_JSON),
        (b'{"\xff": 1}', NO_JSON),
        (b"[]", BAD_JSON),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, BAD_JSON),
    ],
)
async def test_a_body_that_is_none(arena: Arena, body: bytes, expected: Refusal) -> None:
    """A body that is no JSON object is told so, whoever has signed what."""
    header = arena.hostile.authorization(URI, {}, arena.name)
    assert await arena.hostile.put(arena.name, URI, body, header) == expected


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
    """What is misshapen in a transaction costs itself, and nothing beside it."""
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


async def test_nobodys_body(arena: Arena) -> None:
    """A request without an origin, or from a server without a key, is refused before its body."""
    headers = {"Content-Length": "1000"}
    assert refusal(await arena.hostile.raw(arena.name, head(URI, headers))) == NOT_PROVEN
    headers["Authorization"] = arena.hostile.authorization(
        URI, {}, arena.name, key=generate_signing_key("other")
    )
    assert refusal(await arena.hostile.raw(arena.name, head(URI, headers))) == NOT_PROVEN


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
