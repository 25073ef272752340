"""Answers of a hostile server to requests for its keys, and to transactions.

Names that lead to inward addresses by DNS or by a well-known document are in
`tests/federation/test_inward.py`, because they need names and port 443.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from itertools import islice
from typing import Any, Final

import pytest
import pytest_asyncio
from signedjson.key import generate_signing_key
from signedjson.sign import sign_json

from lamplighter.federation.fetches import MOST_OF_ONE
from tests.interop.arena import Arena, open_arena
from tests.interop.hostile_peer import (
    KEYS,
    SEND,
    HostilePeer,
    Refusal,
    Script,
    endless,
    once,
    response,
    silence,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_PROVEN: Final = Refusal(401, "M_UNAUTHORIZED")
NOT_KNOWN: Final = Refusal(503, "M_UNKNOWN")
#: Far more than the server reads of an answer, and what sockets hold besides.
MUCH: Final = 16 * 1024 * 1024
URI: Final = SEND + "claimed"
OK: Final = once(response(200, {"pdus": {}}))
FLOWING: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"
#: What is answered to a transaction.
ANSWERS: Final = {
    "redirect": once(response(307, {}, "Location: /elsewhere")),
    "endless": endless(FLOWING, b" " * 65_536),
    "endless_headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000),
    "huge_header": endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65_536),
    "garbage": once(response(200, b"<html>")),
    "array": once(response(200, [])),
    "deep": once(response(200, b"[" * 100_000)),
    "no_http": once(b"\x00\xff\r\n\r\n"),
    "cut_off": once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "hang_up": once(),
    "failure": once(response(500, b"\xff")),
    "forbidden": once(response(403, {"errcode": ["M_FORBIDDEN"], "error": {}})),
    "silence": silence(),
    "half": silence(FLOWING),
    "continue": silence(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """One server for all of this file; the other servers run before it does."""
    async with open_arena(tmp_path_factory.mktemp("arena"), *ANSWERS) as arena:
        yield arena


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _still_serves(arena: Arena) -> AsyncIterator[None]:
    """After each test the server serves others as before."""
    yield
    await arena.exchanges()


def resigned(peer: HostilePeer, **altered: Any) -> dict[str, Any]:
    """Return what the peer publishes of its keys, *altered*, but signed by another key."""
    content = {key: it for key, it in peer.keys(**altered).items() if key != "signatures"}
    return sign_json(content, peer.name, generate_signing_key("evil"))


SHORT: Final = {"ed25519:evil": {"key": "AAAA"}}
MANY: Final = {f"ed25519:{number}": {"key": "A" * 43} for number in range(100)}
# fmt: off
KEY_ATTACKS: Final[dict[str, tuple[Callable[[HostilePeer], Script], Refusal]]] = {
    "endless": (lambda _: ANSWERS["endless"], NOT_KNOWN),
    "endless headers": (lambda _: ANSWERS["endless_headers"], NOT_KNOWN),
    "huge": (lambda peer: once(response(200, peer.keys(more="x" * 100_000))), NOT_KNOWN),
    "redirect": (lambda _: once(response(302, {}, "Location: /keys")), NOT_KNOWN),
    "no JSON": (lambda _: once(response(200, b"<html>")), NOT_KNOWN),
    "deep": (lambda _: ANSWERS["deep"], NOT_KNOWN),
    "hung up": (lambda _: once(), NOT_KNOWN),
    "none there": (lambda _: once(response(404, {})), NOT_KNOWN),
    "empty": (lambda _: once(response(200, {})), NOT_PROVEN),
    "expired": (lambda peer: once(response(200, peer.keys(valid_until_ts=1))), NOT_PROVEN),
    "another's": (lambda peer: once(response(200, peer.keys(server_name="a"))), NOT_PROVEN),
    "altered": (lambda peer: once(response(200, {**peer.keys(), "more": 1})), NOT_PROVEN),
    "unsigned": (lambda peer: once(response(200, {**peer.keys(), "signatures": {}})), NOT_PROVEN),
    "misshapen": (lambda peer: once(response(200, {**peer.keys(), "signatures": 5})), NOT_PROVEN),
    "another key": (lambda peer: once(response(200, resigned(peer))), NOT_PROVEN),
    "no keys": (lambda peer: once(response(200, peer.keys(verify_keys={}))), NOT_PROVEN),
    "no key": (lambda peer: once(response(200, peer.keys(verify_keys=SHORT))), NOT_PROVEN),
    "many keys": (lambda peer: once(response(200, peer.keys(verify_keys=MANY))), NOT_PROVEN),
}
# fmt: on


@pytest.mark.parametrize("attack", KEY_ATTACKS)
async def test_keys_that_are_none(arena: Arena, attack: str) -> None:
    """A server must publish its own keys, short and signed; it is not asked again at once."""
    make, expected = KEY_ATTACKS[attack]
    peer = await arena.another()
    good, peer.scripts = peer.scripts[KEYS], {KEYS: make(peer)}
    peer.scripts["/keys"] = good
    refusals = [await peer.send(arena.name, txn_id) for txn_id in ("one", "two")]
    assert refusals == [expected, expected]
    # Where there is no answer at all, a request is made a second time at once.
    assert [it.path for it in peer.requests] == [KEYS] * (2 if attack == "hung up" else 1)
    assert peer.sent < MUCH


async def test_keys_that_come_slowly(arena: Arena) -> None:
    """While one server does not come to the end of its keys, others are served."""
    peer = await arena.another()
    peer.scripts = {KEYS: silence(FLOWING)}
    sending = [asyncio.create_task(peer.send(arena.name, str(it))) for it in range(10)]
    await peer.requested(KEYS)
    await arena.exchanges()
    assert not any(task.done() for task in sending)
    peer.hang_up()
    assert await asyncio.gather(*sending) == [NOT_KNOWN] * 10
    assert [it.path for it in peer.requests] == [KEYS]


async def test_names_without_number(arena: Arena) -> None:
    """The server fetches the keys of at most 16 claimed servers at a time.

    The keys of every honest server can be fetched meanwhile.
    """
    with ExitStack() as stack:
        silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(100)]
        for listener in silent:
            stack.enter_context(listener)
            listener.setblocking(False)
        names = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in silent]
        header = arena.hostile.authorization(URI, {}, arena.name)
        putting = [
            asyncio.create_task(
                arena.hostile.put(arena.name, URI, b"{}", header.replace(arena.hostile.name, name))
            )
            for name in names
        ]
        try:
            refused = [await it for it in islice(asyncio.as_completed(putting), 50)]
            await arena.exchanges()
            asked = sum(_is_asked(listener) for listener in silent)
        finally:
            for listener in silent:
                listener.close()
            await asyncio.wait(putting)
    assert refused == [NOT_KNOWN] * 50
    assert 0 < asked <= MOST_OF_ONE  # the exchanges have taken a place of one more, or not
    assert [task.result() for task in putting] == [NOT_KNOWN] * len(names)


def _was_called(listener: socket.socket) -> bool:
    """Tell whether somebody has connected."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _is_asked(listener: socket.socket) -> bool:
    """Tell whether somebody has connected, and still waits for an answer."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    with connection:
        connection.setblocking(False)
        try:
            while connection.recv(65536):
                pass
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
    return False


async def test_names_that_lead_inward(arena: Arena) -> None:
    """An address that is not admitted is not contacted, whoever claims to be there."""
    header = arena.hostile.authorization(URI, {}, arena.name)
    with socket.create_server(("127.0.0.2", arena.server.port)) as trap:
        trap.setblocking(False)
        port = arena.server.port
        names = [
            f"127.0.0.2:{port}", f"[::ffff:127.0.0.2]:{port}", f"[::1]:{port}",
            "169.254.169.254:80", "[fe80::1]", "[64:ff9b::10.0.0.1]:80", "0.0.0.0:80", "10.0.0.1",
        ]  # fmt: skip
        for name in names:
            claimed = header.replace(arena.hostile.name, name)
            assert await arena.hostile.put(arena.name, URI, b"{}", claimed) == NOT_KNOWN
        # walter is shown to somebody there.
        assert (await arena.people["walter"].put_status("online", "hello")).status == 200
        refused = f'"127.0.0.2:{port} has no address that may be contacted"'
        while refused.replace(f":{port}", "") not in arena.server.log:
            await arena.exchanges()
        assert not _was_called(trap)


@pytest.mark.parametrize("case", ANSWERS)
async def test_what_is_no_answer(arena: Arena, case: str) -> None:
    """A server that answers nothing of use costs nobody else anything, and is told again later."""
    peer, status = arena.answering[case], arena.fresh()
    peer.scripts = {SEND: ANSWERS[case]}
    assert (await arena.people[case].put_status("online", status)).status == 200
    first = await peer.requested(SEND)
    peer.scripts = {SEND: OK}
    await arena.exchanges()
    if case in {"silence", "half", "continue"}:
        assert len(peer.requests) == 1
        peer.hang_up()
    second = await peer.requested(SEND, 2)
    assert [status in it.body.decode() for it in (first, second)] == [True, True]
    assert [it for it in peer.requests if not it.path.startswith(SEND)] == []
    assert peer.sent < MUCH
