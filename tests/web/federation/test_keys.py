"""Keys over HTTP: our own, and those that this server passes on as a notary."""

from datetime import timedelta
from typing import Any, Final

import pytest
from signedjson.key import get_verify_key
from signedjson.sign import verify_signed_json

from lamplighter.clock import after
from lamplighter.devtools.clock import FakeClock
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.signing import key_id_of
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from tests.federation.signed import public
from tests.homeserver.world import SERVER
from tests.web.federation.peer import THERE, Host, HostMaker, Peer, error_of

OWN: Final = "/_matrix/key/v2/server"
QUERY: Final = "/_matrix/key/v2/query"
NONE: Final[tuple[int, Json]] = (200, {"server_keys": []})


async def get(host: Host, uri: str) -> tuple[int, Any]:
    """Return status and content of the answer to an unsigned GET."""
    response = await host.send("GET", uri)
    return response.status, response.json


async def post(host: Host, **server_keys: object) -> tuple[int, Any]:
    """Return the notary's answer to an unsigned POST; `_` in a name stands for a dot."""
    wanted = {name.replace("_", "."): criteria for name, criteria in server_keys.items()}
    response = await host.post(QUERY, {"server_keys": wanted})
    return response.status, response.json


def verified(content: Json, peer: Peer) -> Json:
    """Verify the signatures of the peer and of us; return *content* without ours."""
    verify_signed_json(content, peer.name, get_verify_key(peer.key))
    signing = peer.host.keys.signing
    verify_signed_json(content, SERVER, get_verify_key(signing))
    signatures = dict(content["signatures"])
    assert signatures.pop(SERVER).keys() == {key_id_of(signing)}
    return {**content, "signatures": signatures}


@pytest.mark.parametrize("key_id", ["", "/ed25519:a_old", "/ed25519%3Aauto"])
async def test_our_own_keys(host: Host, key_id: str) -> None:
    """Anybody gets our keys, signed and valid for a day, with and without a key ID."""
    key = host.keys.signing
    status, content = await get(host, OWN + key_id)
    verify_signed_json(content, SERVER, get_verify_key(key))
    assert status == 200
    assert content.pop("signatures").keys() == {"demo"}
    assert content == {
        "server_name": "demo",
        "valid_until_ts": after(host.clock.now(), timedelta(days=1)),
        "verify_keys": {key_id_of(key): {"key": public(key)}},
        "old_verify_keys": {},
    }


async def test_after_a_rotation(
    directory: SqlDirectory, clock: FakeClock, keys: SigningKeys
) -> None:
    """After a rotation the new key signs, and the old key is published as expired."""
    rotated = keys.rotate(clock.now())
    clock.advance(hours=1)
    status, content = await get(Host(directory, clock, rotated), OWN)
    verify_signed_json(content, SERVER, get_verify_key(rotated.signing))
    expired = {"key": public(keys.signing), "expired_ts": clock.now() - 3_600_000}
    assert (status, content["old_verify_keys"]) == (200, {key_id_of(keys.signing): expired})
    for part in (content["verify_keys"], content["signatures"]["demo"]):
        assert part.keys() == {key_id_of(rotated.signing)}


async def test_others_keys(peer: Peer) -> None:
    """A notary passes on a server's signed keys, expired ones too, and signs them."""
    published = peer.publish(more={"unknown": "fields"})
    await peer.introduce()
    peer.host.clock.advance(days=30)
    for status, content in (
        await get(peer.host, f"{QUERY}/there.example"),
        await post(peer.host, there_example={}),
    ):
        assert status == 200
        assert [verified(it, peer) for it in content["server_keys"]] == [published]
    assert peer.host.published.asked == [THERE]


async def test_ours_among_others(peer: Peer) -> None:
    """A notary gives its own keys too, and leaves out servers whose keys it does not know."""
    published = peer.publish()
    await peer.introduce()
    _, own = await get(peer.host, OWN)
    assert await get(peer.host, f"{QUERY}/demo") == (200, {"server_keys": [own]})
    status, content = await post(peer.host, unheard_example={}, demo={}, there_example={})
    first, second = content["server_keys"]
    assert (status, first, verified(second, peer)) == (200, own, published)


async def test_a_query_causes_no_fetch(peer: Peer) -> None:
    """A query for keys that are unknown, or expire too soon, causes no fetch."""
    soon = peer.publish()["valid_until_ts"]
    uri = f"{QUERY}/there.example?minimum_valid_until_ts={soon + 1}"
    assert await get(peer.host, uri) == NONE
    assert await post(peer.host, there_example={}, dead_example={}) == NONE
    assert peer.host.published.asked == []
    await peer.introduce()
    later = {"ed25519:one": {"minimum_valid_until_ts": soon + 1}}
    for _, content in (await get(peer.host, uri), await post(peer.host, there_example=later)):
        assert len(content["server_keys"]) == 1
    assert peer.host.published.asked == [THERE]


async def test_no_notary(hosts: HostMaker) -> None:
    """A server that is not a notary publishes only its own keys."""
    host = hosts(notary=False)
    assert (await get(host, OWN))[0] == 200
    refused = [
        error_of(await host.send("GET", f"{QUERY}/there.example")),
        error_of(await host.post(QUERY, {"server_keys": {}})),
    ]
    assert refused == [(404, "M_UNRECOGNIZED", "Unrecognized request")] * 2


async def test_servers_that_the_policy_refuses(hosts: HostMaker) -> None:
    """Keys of a server that the policy refuses are not passed on; our own always are."""
    peer = Peer(hosts(policy=ServerPolicy(deny=["*"])))
    peer.publish()
    assert await get(peer.host, f"{QUERY}/there.example") == NONE
    assert await post(peer.host, there_example={}) == NONE
    assert len((await post(peer.host, demo={}))[1]["server_keys"]) == 1


@pytest.mark.parametrize("given", ["", "x", "-1", "1.5", "1e3", "%201", "0x10", "%D9%A1", "%C2%B2"])
async def test_malformed_timestamps_in_a_query(peer: Peer, given: str) -> None:
    """A malformed timestamp is M_INVALID_PARAM, and causes no fetch."""
    uri = f"{QUERY}/there.example?minimum_valid_until_ts={given}"
    status, errcode, error = error_of(await peer.host.send("GET", uri))
    assert (status, errcode) == (400, "M_INVALID_PARAM")
    assert error.startswith("minimum_valid_until_ts: ")
    assert error.endswith(" is not a whole number")
    assert peer.host.published.asked == []


NO_NAME: Final = "'a/b' is not a server name (host or host:port)"
PLACE: Final = "server_keys[...][...].minimum_valid_until_ts"


@pytest.mark.parametrize(
    ("server_keys", "errcode", "error"),
    [
        ([], "M_BAD_JSON", "server_keys: expected object, got array"),
        ({"there.example": []}, "M_BAD_JSON", "server_keys[...]: expected object, got array"),
        *[
            (
                {"there.example": {"ed25519:1": {"minimum_valid_until_ts": it}}},
                "M_BAD_JSON",
                f"{PLACE}: expected int{problem}",
            )
            for it, problem in (("5", ", got str"), (1.5, ", got float"), (-1, " >= 0"))
        ],
        ({"a/b": {}}, "M_INVALID_PARAM", f"server_keys: {NO_NAME}"),
        (
            {f"s{number}.example": {} for number in range(21)},
            "M_INVALID_PARAM",
            "server_keys: more than 20 servers",
        ),
    ],
)
async def test_malformed_queries(host: Host, server_keys: object, errcode: str, error: str) -> None:
    """A malformed query is refused, and causes no fetch."""
    refused = error_of(await host.post(QUERY, {"server_keys": server_keys}))
    assert (refused, host.published.asked) == ((400, errcode, error), [])


async def test_nothing_named(host: Host) -> None:
    """A query without servers, or with a malformed one in the path, is refused."""
    missing = error_of(await host.post(QUERY, {}))
    malformed = error_of(await host.send("GET", f"{QUERY}/a%2Fb"))
    assert missing == (400, "M_MISSING_PARAM", "server_keys: missing")
    assert malformed == (400, "M_INVALID_PARAM", NO_NAME)
    assert host.published.asked == []


@pytest.mark.parametrize("number", [1.5, 2**53, 2**80])
async def test_what_has_no_canonical_form(peer: Peer, number: float) -> None:
    """Keys with numbers that have no canonical form are left out of the notary's answer.

    They verify the requests of their server all the same.
    """
    good = Peer(peer.host, ServerName("good.example"))
    published = good.publish()
    peer.publish(more=number)
    await good.introduce()
    await peer.introduce()
    assert await get(peer.host, f"{QUERY}/there.example") == NONE
    status, content = await post(peer.host, there_example={}, good_example={})
    assert (status, [verified(it, good) for it in content["server_keys"]]) == (200, [published])
    assert (await peer.put(peer.transaction())).status == 200


@pytest.mark.parametrize("ours", [5, None, "x", ["x"], {"ed25519:x": "x"}])
async def test_signatures_of_others(peer: Peer, ours: object) -> None:
    """Signatures of further servers, and a forged one of ours, are not passed on."""
    published = peer.publish()
    signatures = {**published["signatures"], SERVER: ours, "third.example": {"ed25519:x": "x"}}
    peer.host.published.answers[THERE] = published | {"signatures": signatures}
    await peer.introduce()
    status, content = await get(peer.host, f"{QUERY}/there.example")
    assert status == 200
    assert [verified(it, peer) for it in content["server_keys"]] == [published]
