"""What is looked at when a homeserver is behind: here the signing key; with Synapse, the rest."""

from pathlib import Path
from typing import Any

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.federation.keys import SigningKeys
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.doctor import Diagnosis, examine
from lamplighter.homeserver.upstream.registration import read_registration
from lamplighter.ids import ServerName
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import SmallHomeserver

DEMO = ServerName("demo")


@pytest.mark.parametrize("case", ["published", "another key", "another ID", "no keys", "not there"])
async def test_signing_key(tmp_path: Path, case: str) -> None:
    """The key that signs here must be among those that the homeserver publishes, by its ID."""
    (tmp_path / "its.key").write_text(f"ed25519 a_1 {'A' * 43}\n")
    (tmp_path / "other.key").write_text(f"ed25519 a_1 {'B' * 42}A\n")
    keys = SigningKeys.load(tmp_path / "its.key", DEMO)
    [key], [other] = (
        SigningKeys.load(tmp_path / it, DEMO).public.values() for it in ("its.key", "other.key")
    )
    published: dict[str, Any] = {
        "published": {"ed25519:a_0": {"key": other}, "ed25519:a_1": {"key": key}},
        "another key": {"ed25519:a_1": {"key": other}},
        "another ID": {"ed25519:a_2": {"key": key}},
        "no keys": 5,
    }
    differs = Diagnosis(
        False,
        f"the homeserver does not publish the key ed25519:a_1 of {keys.path}",
        "Set homeserver.signing_key to the file of signing_key_path in homeserver.yaml.",
    )
    assert (
        await found(tmp_path, published.get(case), keys)
        == {
            "published": Diagnosis(True, "the homeserver publishes the signing key ed25519:a_1"),
            "another key": differs,
            "another ID": differs,
            "no keys": not_there(200),
            "not there": not_there(404),
        }[case]
    )


def not_there(status: int) -> Diagnosis:
    """Return what is found where no keys are published."""
    return Diagnosis(
        False,
        f"the homeserver does not publish keys at this address (status {status})",
        "Add `federation` to the resources of the homeserver's listener.",
    )


async def found(folder: Path, published: Any, keys: SigningKeys) -> Diagnosis:
    """Return the last thing that is found of a homeserver with these keys; None is no keys."""
    clock = FakeClock()
    small = SmallHomeserver(clock)
    small.instead["/_matrix/client/versions"] = (200, {"versions": ["v1.11"]})
    small.instead["/_matrix/key/v2/server"] = (
        (404, {"errcode": "M_UNRECOGNIZED"})
        if published is None
        else (200, {"server_name": DEMO, "verify_keys": published})
    )
    (folder / "registration.yaml").write_text("{id: lamplighter, as_token: a, hs_token: b}")
    registration = read_registration(folder / "registration.yaml")
    behind = HttpServer(small, clock, MATRIX)
    client = UpstreamClient(Pipe(behind), b"hs.example", clock)
    try:
        return [it async for it in examine(client, registration, DEMO, "here", keys)][-1]
    finally:
        await client.close()
        behind.abort()
