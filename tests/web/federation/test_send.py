"""Transactions that come in over HTTP: what is taken, refused, and passed over."""

from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.http import Response
from lamplighter.ids import ServerName, UserId
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence
from tests.web.federation.peer import DAVE, ONLINE, Peer, error_of, presence

URI: Final = "/_matrix/federation/v1/send/1"
ERIN: Final = UserId("@erin:there.example")
NO_ROOMS: Final = {"error": "This server takes no events of rooms of other servers"}
PDU: Final[dict[str, Any]] = {"event_id": "$1:there.example", "type": "m.room.message"}
LIMIT: Final = 5 * 1024 * 1024
TOO_LONG: Final = (413, "M_TOO_LARGE", f"The body is longer than {LIMIT} bytes")


async def put_bytes(peer: Peer, body: bytes, *more: bytes, signed: object = None) -> Response:
    """Send *body*, signed as *signed*; in several chunks without its length."""
    authorization = str(peer.header("PUT", URI, signed or {}))
    return await peer.host.send(
        "PUT", URI, [body, *more] if more else body, {"authorization": authorization}
    )


async def assert_taken(peer: Peer, content: object) -> None:
    """The transaction is answered as one without PDUs."""
    response = await peer.put(content)
    assert (response.status, response.json) == (200, {"pdus": {}})


async def test_what_is_told(peer: Peer) -> None:
    """All that an entry says arrives."""
    entry = {
        "user_id": DAVE,
        "presence": "unavailable",
        "status_msg": "Tea",
        "last_active_ago": 5000,
        "currently_active": True,
    }
    await assert_taken(peer, peer.transaction(presence(entry)))
    assert peer.host.heard == [
        RemoteUpdate(DAVE, Presence.UNAVAILABLE, "Tea", timedelta(seconds=5), currently_active=True)
    ]


async def test_the_same_transaction_again(peer: Peer) -> None:
    """A transaction that comes again is answered alike, and counts once, whatever it holds."""
    first = await peer.put(peer.transaction(pdus=[PDU]))
    again = await peer.put(peer.transaction(pdus=[PDU]))
    assert (first.status, first.json) == (200, {"pdus": {"$1:there.example": NO_ROOMS}})
    assert (again.status, again.body) == (200, first.body)
    await assert_taken(peer, peer.transaction(presence({"user_id": ERIN, "presence": "online"})))
    assert peer.host.heard == [ONLINE]


async def test_an_id_in_two_ways(peer: Peer) -> None:
    """A transaction ID is what the path means, however it is encoded."""
    for txn_id in ("a%2Fb", "a%2fb", "%61%2Fb"):
        assert (await peer.put(peer.transaction(), txn_id)).status == 200
    assert peer.host.heard == [ONLINE]


async def test_the_same_id_of_others(peer: Peer) -> None:
    """Each server has its own transaction IDs."""
    other = Peer(peer.host, ServerName("other.example"))
    other.publish()
    eve = UserId("@eve:other.example")
    await assert_taken(peer, peer.transaction())
    await assert_taken(other, other.transaction(presence({"user_id": eve, "presence": "online"})))
    assert peer.host.heard == [ONLINE, RemoteUpdate(eve, Presence.ONLINE)]


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


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"origin": "evil.example"}, "origin: not the server that signed the request"),
        ({"origin": None}, "origin: not the server that signed the request"),
        ({"origin": "there.example:8448"}, "origin: not the server that signed the request"),
        ({"origin_server_ts": None}, "origin_server_ts: missing, or not an integer"),
        ({"origin_server_ts": 1.5}, "origin_server_ts: missing, or not an integer"),
        ({"edus": [presence()] * 101}, "edus: more than 100"),
        ({"edus": presence()}, "edus: not an array"),
        ({"edus": None}, "edus: not an array"),
        ({"pdus": [PDU] * 51}, "pdus: more than 50"),
        ({"pdus": {}}, "pdus: not an array"),
    ],
)
async def test_misshapen_transactions(peer: Peer, change: dict[str, Any], error: str) -> None:
    """A transaction of another shape is refused whole, and its ID is not used up."""
    response = await peer.put(peer.transaction() | change)
    assert error_of(response) == (400, "M_BAD_JSON", error)
    assert peer.host.heard == []
    await assert_taken(peer, peer.transaction())
    assert peer.host.heard == [ONLINE]


@pytest.mark.parametrize("content", [[], "x", 1, None, True])
async def test_a_body_that_is_no_object(peer: Peer, content: object) -> None:
    """A body is an object, or M_BAD_JSON."""
    response = await put_bytes(peer, msgspec.json.encode(content), signed=content)
    status, errcode, error = error_of(response)
    assert (status, errcode) == (400, "M_BAD_JSON")
    assert error.startswith("body: expected object, got ")
    assert peer.host.heard == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"hello", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"{} {}"],
)
async def test_a_body_that_is_not_json(peer: Peer, body: bytes) -> None:
    """What is not JSON is M_NOT_JSON, whatever its header says."""
    response = await put_bytes(peer, body)
    status, errcode, error = error_of(response)
    assert (status, errcode) == (400, "M_NOT_JSON")
    assert error.startswith("The body is not JSON: ")
    assert peer.host.heard == []


async def test_the_longest_body(peer: Peer) -> None:
    """Five MiB are taken, whether or not they are announced."""
    content = peer.transaction()
    body = msgspec.json.encode(content).ljust(LIMIT)
    for parts in ([body], [body[:70_000], body[70_000:]]):
        response = await put_bytes(peer, *parts, signed=content)
        assert (response.status, response.json) == (200, {"pdus": {}})
        peer.host.clock.advance(minutes=1)
    assert peer.host.heard == [ONLINE]


async def test_a_body_that_is_too_long(peer: Peer) -> None:
    """One byte more is refused, announced or not."""
    content = peer.transaction()
    body = msgspec.json.encode(content).ljust(LIMIT + 1)
    assert error_of(await put_bytes(peer, body, signed=content)) == TOO_LONG
    assert error_of(await put_bytes(peer, body[:-1], b" ", signed=content)) == TOO_LONG
    assert peer.host.heard == []


async def test_a_body_without_a_signature(peer: Peer) -> None:
    """Who does not say who they are is refused before their body is read, and asked for no key."""
    announced = {"content-length": str(LIMIT + 1)}
    response = await peer.host.send("PUT", URI, [b""], announced)
    assert error_of(response)[:2] == (401, "M_UNAUTHORIZED")
    assert (peer.host.heard, peer.host.published.asked) == ([], [])


def nested(depth: int) -> list[Any]:
    """Return lists in lists."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


async def test_deep_nesting(peer: Peer) -> None:
    """A body is nested 100 levels deep at most, wherever the depth is."""
    await assert_taken(peer, peer.transaction(more=nested(99)))
    refused = (400, "M_BAD_JSON", "The body is nested more than 100 levels deep")
    assert error_of(await peer.put(peer.transaction(more=nested(100)), "2")) == refused
    entry = {"user_id": DAVE, "presence": "online", "more": nested(96)}
    assert error_of(await peer.put(peer.transaction(presence(entry)), "2")) == refused
    hostile = b'{"edus":' + b"[" * 100_000
    assert error_of(await put_bytes(peer, hostile)) == refused
    assert peer.host.heard == [ONLINE]


async def test_many_values(peer: Peer) -> None:
    """A body of more than 150,000 JSON values is refused before it is read as JSON."""
    refused = (413, "M_TOO_LARGE", "The body holds more than 150000 values")
    for hostile in (b"[" * LIMIT, b'{"edus":[' + b"[]," * 100_000):
        assert error_of(await put_bytes(peer, hostile)) == refused


async def test_how_much_a_server_may_send(peer: Peer) -> None:
    """One large body after the other is refused with a 429, however many names a domain has.

    The server is heard again as soon as it was told.
    """
    peers = [Peer(peer.host, ServerName(f"s{number}.there.example")) for number in range(2)]
    large = {"more": "x" * 4_500_000}
    for it in peers:
        it.publish()
    assert (await peers[0].put(peers[0].transaction(**large))).status == 200
    response = await peers[1].put(peers[1].transaction(**large))
    assert (response.status, response.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    peer.host.clock.advance(milliseconds=response.json["retry_after_ms"])
    assert (await peers[1].put(peers[1].transaction(**large))).status == 200


async def test_what_nobody_has_signed_costs_the_origin_nothing(peer: Peer) -> None:
    """A stranger who sends large bodies in a server's name spends what the stranger's network has.

    The server is heard, from its own network.
    """
    body = msgspec.json.encode(peer.transaction(more="x" * 4_500_000))
    forged = {"authorization": str(peer.header("PUT", URI, {}))}
    from_afar = ("198.51.100.7", 1)
    answers = [await peer.host.send("PUT", URI, body, forged, client=from_afar) for _ in range(3)]
    assert [it.status for it in answers] == [401, 429, 429]
    await assert_taken(peer, peer.transaction(more="x" * 4_500_000))


@pytest.mark.parametrize("number", [1.5, -0.25, 2**53, 2**80, 1e300])
async def test_numbers_that_are_not_canonical(peer: Peer, number: float) -> None:
    """Numbers for which there is no canonical JSON are verified as their server signed them.

    In an entry they cost the field that they stand in.
    """
    entry = {"user_id": ERIN, "presence": "online", "last_active_ago": number}
    await assert_taken(peer, peer.transaction(presence(entry), presence(), more=number))
    [erin, dave] = peer.host.heard
    assert (erin.user_id, erin.presence, dave) == (ERIN, Presence.ONLINE, ONLINE)


async def test_numbers_that_are_not_signed(peer: Peer) -> None:
    """Other numbers than those that were signed are another request."""
    body = msgspec.json.encode(peer.transaction(more=1.5))
    response = await put_bytes(peer, body, signed=peer.transaction(more=1.25))
    wanted = (401, "M_UNAUTHORIZED", "there.example has not signed this with ed25519:one")
    assert error_of(response) == wanted
    assert peer.host.heard == []


@pytest.mark.parametrize("written", [b"1e2", b"100.0"])
async def test_one_number_in_other_words(peer: Peer, written: bytes) -> None:
    """A whole number is verified in its canonical form, however it is written."""
    content = peer.transaction(more=100)
    body = msgspec.json.encode(content).replace(b'"more":100', b'"more":' + written)
    response = await put_bytes(peer, body, signed=content)
    assert (response.status, peer.host.heard) == (200, [ONLINE])


async def test_a_number_out_of_range(peer: Peer) -> None:
    """A number that nothing can hold is M_BAD_JSON."""
    response = await put_bytes(peer, b'{"a": 1e400}')
    assert error_of(response) == (400, "M_BAD_JSON", "[...]: number out of range")


async def test_pdus(peer: Peer) -> None:
    """Each event gets an error, under its ID; what stands beside the events counts."""
    pdus = [PDU | {"event_id": f"${number}"} for number in range(50)]
    response = await peer.put(peer.transaction(pdus=[*pdus[:49], "x"]))
    assert (response.status, response.json) == (
        200,
        {"pdus": {f"${number}": NO_ROOMS for number in range(49)}},
    )
    assert peer.host.heard == [ONLINE]
    assert len((await peer.put(peer.transaction(pdus=pdus), "2")).json["pdus"]) == 50


async def test_a_hundred_edus(peer: Peer) -> None:
    """A hundred EDUs are not too many, of which those that are unknown say nothing."""
    typing = {"edu_type": "m.typing", "content": {"push": [{"user_id": DAVE}]}}
    await assert_taken(peer, peer.transaction(*[typing] * 98, presence(), presence()))
    assert peer.host.heard == [ONLINE, ONLINE]


async def test_users_of_other_servers(peer: Peer) -> None:
    """A server speaks of its own users only: not of ours, nor of a third's, nor of its port's."""
    names = ["@alice:demo", "@eve:evil.example", "@dave:there.example:8448", "@dave:THERE.example"]
    entries = [{"user_id": name, "presence": "online"} for name in names]
    with capture_logs() as logged:
        await assert_taken(peer, peer.transaction(presence(*entries)))
    assert peer.host.heard == []
    assert logged == [
        {
            "event": "refused presence entries",
            "log_level": "info",
            "origin": "there.example",
            "problems": [
                f"push[{place}]: user_id: {name} is not a user of there.example"
                for place, name in enumerate(names)
            ],
        }
    ]


@pytest.mark.parametrize(
    "edu",
    [
        None,
        [],
        "m.presence",
        {},
        {"edu_type": "m.presence"},
        {"edu_type": "m.presence", "content": None},
        {"edu_type": "m.presence", "content": {}},
        {"edu_type": "m.presence", "content": {"push": {"user_id": DAVE, "presence": "online"}}},
        {"edu_type": ["m.presence"], "content": presence()["content"]},
        {"edu_type": "M.PRESENCE", "content": presence()["content"]},
        {"edu_type": "org.example.unknown", "content": presence()["content"]},
        presence(None),
        presence([]),
        presence({}),
        presence({"user_id": DAVE}),
        presence({"user_id": DAVE, "presence": "asleep"}),
        presence({"user_id": DAVE, "presence": {}, "last_active_ago": -1}),
        presence({"user_id": "@d\0:there.example", "presence": "online"}),
    ],
)
async def test_misshapen_among_good_ones(peer: Peer, edu: object) -> None:
    """What is misshapen, or of a kind that is not known, costs nothing that stands beside it."""
    erin = {"user_id": ERIN, "presence": "offline"}
    await assert_taken(peer, peer.transaction(presence(), edu, presence(erin)))
    assert peer.host.heard == [ONLINE, RemoteUpdate(ERIN, Presence.OFFLINE)]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_method(peer: Peer, method: str) -> None:
    """A transaction is PUT."""
    content = peer.transaction()
    header = {"authorization": str(peer.header(method, URI, content))}
    response = await peer.host.send(method, URI, msgspec.json.encode(content), header)
    wanted = (405, "M_UNRECOGNIZED", "Unrecognized request: wrong HTTP method")
    assert (error_of(response), peer.host.heard) == (wanted, [])
