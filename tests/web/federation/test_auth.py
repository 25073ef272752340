"""Verification of requests from other servers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec
import pytest

from lamplighter.devtools.http import Response
from lamplighter.federation.policy import ServerPolicy
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from tests.homeserver.world import SERVER
from tests.web.federation.peer import ONLINE, THERE, Header, Host, HostMaker, Peer, error_of

URI: Final = "/_matrix/federation/v1/send/1"
PROFILE: Final = "/_matrix/federation/v1/query/profile"
TAKEN: Final[tuple[int, object]] = (200, {"pdus": {}})
NOT_SIGNED: Final = "there.example has not signed this with ed25519:one"
DEAD: Final = (503, "M_UNKNOWN", "there.example is dead")
NO_KEY: Final = "there.example has no valid key"
MISSHAPEN: Final = "Authorization: not a list of name=value, separated by commas"


def answer_of(response: Response) -> tuple[int, object]:
    """Return status and content."""
    return response.status, response.json


async def put(peer: Peer, header: Header | str | None, content: Json | None = None) -> Response:
    """Send a transaction about Dave, or *content*, with this header or none."""
    body = msgspec.json.encode(content or peer.transaction())
    headers = {} if header is None else {"authorization": str(header)}
    return await peer.host.send("PUT", URI, body, headers)


def signed(peer: Peer) -> Header:
    """Return the valid header for `put`."""
    return peer.header("PUT", URI, peer.transaction())


async def assert_only_the_next_counts(peer: Peer) -> None:
    """No presence was accepted; the same transaction with a valid signature is processed."""
    assert peer.host.heard == []
    assert answer_of(await put(peer, signed(peer))) == TAKEN
    assert peer.host.heard == [ONLINE]


async def test_a_signed_request(peer: Peer) -> None:
    """A request with a valid signature is processed; the keys are fetched once."""
    assert answer_of(await peer.put(peer.transaction(), "1")) == TAKEN
    assert answer_of(await peer.put(peer.transaction(), "2")) == TAKEN
    assert peer.host.heard == [ONLINE, ONLINE]
    assert peer.host.published.asked == [THERE]


Forge = Callable[[Peer], Header | str | None]


async def test_misshapen_headers(peer: Peer) -> None:
    """A missing or malformed header is a 401, and causes no fetch of keys."""
    for header, error in (
        (None, "Authorization: the scheme is not X-Matrix"),
        (f"{signed(peer)},\xff=1", MISSHAPEN),
        (replace(signed(peer), sig="!"), "Authorization: sig is not base64"),
    ):
        assert error_of(await put(peer, header)) == (401, "M_UNAUTHORIZED", error)
    assert peer.host.published.asked == []
    await assert_only_the_next_counts(peer)


def by_another(peer: Peer) -> Header:
    """Return a header with the signature of another server, whose key has the same ID."""
    evil = Peer(peer.host, ServerName("evil.example"))
    evil.publish()
    return replace(evil.header("PUT", URI, peer.transaction()), origin=THERE)


@pytest.mark.parametrize(
    ("forge", "error"),
    [
        (lambda peer: replace(signed(peer), sig="A" * 86), NOT_SIGNED),
        (lambda peer: replace(signed(peer), sig="QUJD"), NOT_SIGNED),
        (lambda peer: replace(signed(peer), sig=signed(peer).sig[:-5]), NOT_SIGNED),
        (lambda peer: Peer(peer.host).header("PUT", URI, peer.transaction()), NOT_SIGNED),
        (lambda peer: replace(signed(peer), key="ed25519:two"), f"{NO_KEY} 'ed25519:two'"),
        (lambda peer: replace(signed(peer), key="rsa:one"), f"{NO_KEY} 'rsa:one'"),
        (by_another, NOT_SIGNED),
        (lambda peer: peer.header("POST", URI, peer.transaction()), NOT_SIGNED),
        (lambda peer: peer.header("PUT", URI + "2", peer.transaction()), NOT_SIGNED),
        (lambda peer: peer.header("PUT", URI + "?a=b", peer.transaction()), NOT_SIGNED),
        (lambda peer: peer.header("PUT", "https://demo" + URI, peer.transaction()), NOT_SIGNED),
        (lambda peer: peer.header("PUT", URI, peer.transaction(pdus=[])), NOT_SIGNED),
        (lambda peer: peer.header("PUT", URI), NOT_SIGNED),
        (
            lambda peer: replace(
                peer.header("PUT", URI, peer.transaction(), destination="other.example"),
                destination=SERVER,
            ),
            NOT_SIGNED,
        ),
        (
            lambda peer: peer.header("PUT", URI, peer.transaction(), destination="other.example"),
            "The request is for other.example",
        ),
        (
            lambda peer: replace(signed(peer), destination="demo:8448"),
            "The request is for demo:8448",
        ),
    ],
)
async def test_forged_requests(peer: Peer, forge: Forge, error: str) -> None:
    """A wrong signature, key, request or destination is a 401."""
    assert error_of(await put(peer, forge(peer))) == (401, "M_UNAUTHORIZED", error)
    await assert_only_the_next_counts(peer)


async def test_query_and_body_are_signed(peer: Peer) -> None:
    """A request with another query or another body than the signed one is a 401.

    An empty object as the body is part of the signed request.
    """
    uri = f"{PROFILE}?user_id=%40nobody%3Ademo"
    by_query = peer.header("GET", uri)
    for method, sent, body, header in (
        ("GET", uri + "&field=displayname", b"", by_query),
        ("GET", PROFILE, b"", by_query),
        ("GET", f"{PROFILE}?user_id=@nobody:demo", b"", by_query),
        ("GET", uri, b"", peer.header("GET", uri, {})),
        ("PUT", URI, b"{}", peer.header("PUT", URI)),
    ):
        response = await peer.host.send(method, sent, body, {"authorization": str(header)})
        assert error_of(response) == (401, "M_UNAUTHORIZED", NOT_SIGNED)
    wanted = (400, "M_BAD_JSON", "origin: not the server that signed the request")
    assert error_of(await peer.put({})) == wanted


@pytest.mark.parametrize(
    ("sent", "otherwise"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a%2Fb"),
        ("%61", "a"),
        ("$x:y!~+", "%24x%3Ay%21~%2B"),
        ("%C3%A9", "é"),
        ("a%20b", "a+b"),
    ],
)
async def test_paths_are_signed_as_they_are_sent(peer: Peer, sent: str, otherwise: str) -> None:
    """The path is verified in the encoding in which it was sent."""
    base, content = "/_matrix/federation/v1/send/", peer.transaction()
    body = msgspec.json.encode(content)
    header = {"authorization": str(peer.header("PUT", base + otherwise, content))}
    refused = await peer.host.send("PUT", base + sent, body, header)
    assert error_of(refused) == (401, "M_UNAUTHORIZED", NOT_SIGNED)
    assert peer.host.heard == []
    assert answer_of(await peer.put(content, sent)) == TAKEN
    assert peer.host.heard == [ONLINE]


@pytest.mark.parametrize(
    "query", ["user_id=%40nobody%3Ademo", "user_id=@nobody:demo", "&user_id=%40nobody:demo&&x"]
)
async def test_queries_are_signed_as_they_are_sent(peer: Peer, query: str) -> None:
    """The query is verified in the encoding in which it was sent."""
    answer = error_of(await peer.get(f"{PROFILE}?{query}"))
    assert answer == (404, "M_NOT_FOUND", "There is no user @nobody:demo")


async def test_our_own_name(host: Host) -> None:
    """A request in our own name is a 403, even with a valid signature."""
    ourselves = Peer(host, SERVER, host.keys.signing)
    ourselves.publish()
    response = await put(ourselves, signed(ourselves))
    assert error_of(response) == (403, "M_FORBIDDEN", "This server accepts no requests from demo")
    assert (host.heard, host.published.asked) == ([], [])


@pytest.mark.parametrize(
    "policy",
    [
        ServerPolicy(deny=["there.example"]),
        ServerPolicy(deny=["*.EXAMPLE"]),
        ServerPolicy(allow=["other.example"]),
        ServerPolicy(allow=[]),
        ServerPolicy(allow=["there.example"], deny=["there.example"]),
    ],
)
async def test_servers_that_the_policy_refuses(hosts: HostMaker, policy: ServerPolicy) -> None:
    """A request from a server that the policy refuses is a 403, and causes no fetch."""
    peer = Peer(hosts(policy=policy))
    peer.publish()
    for response in (await put(peer, signed(peer)), await peer.get(f"{PROFILE}?user_id=@a:demo")):
        wanted = (403, "M_FORBIDDEN", "This server accepts no requests from there.example")
        assert error_of(response) == wanted
    assert (peer.host.heard, peer.host.published.asked) == ([], [])


async def test_a_server_that_cannot_be_asked(host: Host) -> None:
    """While a server does not publish its keys, its requests get a 503."""
    peer = Peer(host)
    assert error_of(await put(peer, signed(peer))) == DEAD
    peer.publish()
    assert error_of(await put(peer, signed(peer))) == DEAD
    assert host.published.asked == [THERE]
    host.clock.advance(seconds=10)
    await assert_only_the_next_counts(peer)


async def test_an_expired_key(peer: Peer) -> None:
    """An expired key is a 401; if the server cannot be asked again, a 503."""
    host = peer.host
    assert answer_of(await put(peer, signed(peer))) == TAKEN
    host.clock.advance(hours=1, milliseconds=-1)
    assert answer_of(await peer.put(peer.transaction(), "2")) == TAKEN
    host.clock.advance(milliseconds=1)
    expired = (401, "M_UNAUTHORIZED", f"{NO_KEY} 'ed25519:one'")
    assert error_of(await peer.put(peer.transaction(), "3")) == expired
    host.clock.advance(seconds=10)
    host.published.answers.clear()
    assert error_of(await peer.put(peer.transaction(), "3")) == DEAD
    assert host.heard == [ONLINE, ONLINE]
