"""Transactions over HTTP: which are processed, and which are refused."""

from typing import Any, Final

import msgspec
import pytest

from lamplighter.devtools.http import Response
from lamplighter.ids import ServerName, UserId
from lamplighter.presence.state import Presence
from tests.web.federation.peer import DAVE, ONLINE, Peer, error_of, presence

URI: Final = "/_matrix/federation/v1/send/1"
ERIN: Final = UserId("@erin:there.example")
NO_ROOMS: Final = {"error": "This server takes no events of rooms of other servers"}
PDU: Final[dict[str, Any]] = {"event_id": "$1:there.example", "type": "m.room.message"}
LIMIT: Final = 5 * 1024 * 1024
TOO_LONG: Final = (413, "M_TOO_LARGE", f"The body is longer than {LIMIT} bytes")


async def put_bytes(peer: Peer, body: bytes, *more: bytes, signed: object = None) -> Response:
    """Send *body* with a signature of *signed*; several chunks are sent without a length."""
    authorization = str(peer.header("PUT", URI, signed or {}))
    return await peer.host.send(
        "PUT", URI, [body, *more] if more else body, {"authorization": authorization}
    )


async def assert_taken(peer: Peer, content: object) -> None:
    """Send a transaction, which must be answered as one without PDUs."""
    response = await peer.put(content)
    assert (response.status, response.json) == (200, {"pdus": {}})


async def test_the_same_transaction_again(peer: Peer) -> None:
    """A transaction ID counts once, in any encoding, and gets the same answer.

    The body of a repeated transaction does not matter.
    """
    answers = [
        await peer.put(peer.transaction(pdus=[PDU]), txn_id)
        for txn_id in ("a%2Fb", "a%2fb", "%61%2Fb")
    ]
    answer = {"pdus": {"$1:there.example": NO_ROOMS}}
    assert [(it.status, it.json) for it in answers] == [(200, answer)] * 3
    erin = presence({"user_id": ERIN, "presence": "online"})
    assert (await peer.put(peer.transaction(erin), "a%2Fb")).json == {"pdus": {}}
    assert peer.host.heard == [ONLINE]


@pytest.mark.parametrize(
    ("txn_id", "error"),
    [
        ("x" * 256, (413, "M_TOO_LARGE", "txnId: longer than 255 bytes")),
        ("%C3%A9" * 128, (413, "M_TOO_LARGE", "txnId: longer than 255 bytes")),
        ("a%00b", (400, "M_INVALID_PARAM", "txnId: must not contain a NUL")),
        ("%FF", (400, "M_INVALID_PARAM", "txn_id: not UTF-8")),
    ],
)
async def test_transaction_ids(peer: Peer, txn_id: str, error: tuple[int, str, str]) -> None:
    """A transaction ID is text of at most 255 bytes."""
    assert error_of(await peer.put(peer.transaction(), txn_id)) == error
    assert peer.host.heard == []
    assert (await peer.put(peer.transaction(), "x" * 255)).status == 200


async def test_a_misshapen_transaction(peer: Peer) -> None:
    """A malformed transaction is refused as a whole, and its ID may be used again."""
    response = await peer.put(peer.transaction(origin="evil.example"))
    error = "origin: not the server that signed the request"
    assert error_of(response) == (400, "M_BAD_JSON", error)
    assert peer.host.heard == []
    await assert_taken(peer, peer.transaction())
    assert peer.host.heard == [ONLINE]


def nested(depth: int) -> list[Any]:
    """Return nested lists."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


TOO_DEEP: Final = (400, "M_BAD_JSON", "The body is nested more than 100 levels deep")
TOO_MANY: Final = (413, "M_TOO_LARGE", "The body holds more than 150000 values")
NO_JSON: Final = (400, "M_NOT_JSON", "The body is not JSON: ")
NO_OBJECT: Final = (400, "M_BAD_JSON", "body: expected object, got ")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        *((it, NO_OBJECT) for it in (b"[]", b'"x"', b"1", b"null", b"true")),
        *((it, NO_JSON) for it in (b"", b"{", b"hello", b'{"a": NaN}', b"{} {}")),
        *((it, NO_JSON) for it in (b'{"a": "\xff"}', b'{"a": "\\ud800"}')),
        (b'{"a": 1e400}', (400, "M_BAD_JSON", "[...]: number out of range")),
        (b'{"edus":' + b"[" * 100_000, TOO_DEEP),
        (b"[" * LIMIT, TOO_MANY),
        (b'{"edus":[' + b"[]," * 100_000, TOO_MANY),
    ],
    ids=range(16),
)
async def test_bodies_that_are_refused(
    peer: Peer, body: bytes, refusal: tuple[int, str, str]
) -> None:
    """A body must be a JSON object, not too deep, and without too many values."""
    status, errcode, error = error_of(await put_bytes(peer, body))
    assert (status, errcode, error[: len(refusal[2])]) == refusal
    assert peer.host.heard == []


async def test_deep_nesting(peer: Peer) -> None:
    """A body may be nested 100 levels deep, in any place."""
    await assert_taken(peer, peer.transaction(more=nested(99)))
    assert error_of(await peer.put(peer.transaction(more=nested(100)), "2")) == TOO_DEEP
    entry = {"user_id": DAVE, "presence": "online", "more": nested(96)}
    assert error_of(await peer.put(peer.transaction(presence(entry)), "2")) == TOO_DEEP
    assert peer.host.heard == [ONLINE]


async def test_the_longest_body(peer: Peer) -> None:
    """A body may have five MiB, with and without a `Content-Length`; a longer one is refused."""
    content = peer.transaction()
    body = msgspec.json.encode(content).ljust(LIMIT)
    for parts in ([body], [body[:70_000], body[70_000:]]):
        response = await put_bytes(peer, *parts, signed=content)
        assert (response.status, response.json) == (200, {"pdus": {}})
        peer.host.clock.advance(minutes=1)
    assert peer.host.heard == [ONLINE]
    for parts in ([body + b" "], [body, b" "]):
        assert error_of(await put_bytes(peer, *parts, signed=content)) == TOO_LONG


async def test_a_body_without_a_signature(peer: Peer) -> None:
    """A request without a signature is refused before its body is read, and causes no fetch."""
    announced = {"content-length": str(LIMIT + 1)}
    response = await peer.host.send("PUT", URI, b"", announced)
    assert error_of(response)[:2] == (401, "M_UNAUTHORIZED")
    assert (peer.host.heard, peer.host.published.asked) == ([], [])


async def test_how_much_a_server_may_send(peer: Peer) -> None:
    """All names of a domain share one budget in all networks: the second large body gets a 429.

    The server is served again after the `retry_after_ms` of the answer.
    """
    peers = [Peer(peer.host, ServerName(f"s{number}.there.example")) for number in range(2)]
    large = {"more": "x" * 4_500_000}
    for it in peers:
        it.publish()
    assert (await peers[0].put(peers[0].transaction(**large))).status == 200
    response = await peers[1].put(peers[1].transaction(**large), address="198.51.100.7")
    assert (response.status, response.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    peer.host.clock.advance(milliseconds=response.json["retry_after_ms"])
    assert (await peers[1].put(peers[1].transaction(**large))).status == 200


async def test_a_forged_body_is_not_charged_to_the_origin(peer: Peer) -> None:
    """A stranger who sends large bodies in a server's name spends the budget of its own network.

    Requests of the server itself are processed, from its own network.
    """
    body = msgspec.json.encode(peer.transaction(more="x" * 4_500_000))
    forged = {"authorization": str(peer.header("PUT", URI, {}))}
    from_afar = "198.51.100.7"
    answers = [await peer.host.send("PUT", URI, body, forged, address=from_afar) for _ in range(3)]
    assert [it.status for it in answers] == [401, 429, 429]
    await assert_taken(peer, peer.transaction(more="x" * 4_500_000))


@pytest.mark.parametrize("number", [1.5, -0.25, 2**53, 2**80, 1e300])
async def test_numbers_that_are_not_canonical(peer: Peer, number: float) -> None:
    """Numbers without a canonical form are verified as their server signed them.

    In an entry such a number costs its field.
    """
    entry = {"user_id": ERIN, "presence": "online", "last_active_ago": number}
    await assert_taken(peer, peer.transaction(presence(entry), presence(), more=number))
    [erin, dave] = peer.host.heard
    assert (erin.user_id, erin.presence, dave) == (ERIN, Presence.ONLINE, ONLINE)


@pytest.mark.parametrize("written", [b"1e2", b"100.0"])
async def test_another_notation_of_a_number(peer: Peer, written: bytes) -> None:
    """A whole number is verified in its canonical form, in any notation."""
    content = peer.transaction(more=100)
    body = msgspec.json.encode(content).replace(b'"more":100', b'"more":' + written)
    response = await put_bytes(peer, body, signed=content)
    assert (response.status, peer.host.heard) == (200, [ONLINE])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_method(peer: Peer, method: str) -> None:
    """Only PUT is allowed."""
    content = peer.transaction()
    header = {"authorization": str(peer.header(method, URI, content))}
    response = await peer.host.send(method, URI, msgspec.json.encode(content), header)
    wanted = (405, "M_UNRECOGNIZED", "Unrecognized request: wrong HTTP method")
    assert (error_of(response), peer.host.heard) == (wanted, [])
